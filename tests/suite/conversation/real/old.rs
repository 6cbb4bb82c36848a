//! The release that the reference product pinned: texts work, tools do not, and that is reported once.

use mission_control_runtime::demo::gateway::Release;
use serde_json::json;

use super::{NOTE, Stack};

fn stack(slugs: &[&str]) -> Stack {
    Stack::both(Release::V2026_2_19, &super::AGENTS, slugs, None)
}

#[test]
fn texts_are_answered_and_missing_tools_are_reported_once() {
    let mut stack = stack(&["engineer", "qa"]);
    for slug in ["engineer", "qa"] {
        let task = stack.task("in_progress", &[slug]);
        let call = json!({"taskId": task, "status": "review"});
        stack.tell(&task, slug, &format!("CALL task_status {call}\nSAY Only words."));
        assert_eq!(stack.answer_of(slug, &task), "Only words.");
        assert_eq!(stack.board.row("tasks", &task)["status"], "in_progress");
    }
    stack.settled();
    let health = stack.health();
    assert_eq!(
        (&health["reasons"], &health["delivery"]["failed"]),
        (&json!(["gateway_too_old"]), &json!(0)),
        "{health}"
    );
    assert_eq!(health["delivery"]["ended"], json!({"answered": 2}));
    let log = stack.stop();
    let words =
        "accepts tools only in an old form and may never show them to the agent: upgrade it to 2026.3.31";
    assert_eq!(log.matches(words).count(), 1, "{log}");
}

#[test]
fn silence_and_errors_as_text_are_posted_nowhere() {
    for words in ["EMPTY", "SAY NO_REPLY"] {
        let stack = stack(&["engineer"]);
        let task = stack.task("in_progress", &["engineer"]);
        stack.tell(&task, "engineer", words);
        stack.settled();
        assert_eq!(stack.health()["delivery"]["ended"], json!({"unanswered": 1}), "{words}");
        assert_eq!(stack.said_by("engineer", &task), [NOTE], "{words}: only that there is no answer");
    }
    let stack = stack(&["picky"]);
    let task = stack.task("in_progress", &["picky"]);
    stack.tell(&task, "picky", "FAIL 400 bad thing");
    // A real gateway hides the provider's message in a stream, and sends a failed answer in its place. Such a
    // failure may pass.
    let sentences = ["the model's provider does not accept the request", "the gateway had an internal error"];
    stack.until("a failure with a name", |health| {
        let why = health["delivery"]["lastErrorMessage"].as_str();
        why.is_some_and(|why| sentences.iter().any(|sentence| why.contains(sentence)))
    });
    assert_eq!(stack.said_by("picky", &task), Vec::<String>::new());
}
