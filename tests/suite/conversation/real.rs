//! The program with a real gateway: OpenClaw itself, with a model that follows the instructions in a message.
//!
//! `make conformance` sets `CONFORMANCE_GATEWAY_URL`, `…_TOKEN` and `…_RELEASE`. Without them the same tests
//! run against the scripted gateway, so that the two cannot drift apart. The board is the oracle.
//!
//! A refused key blocks its agent for a minute, so each failure has its own agent.

/// A turn that is aborted because its budget is used up.
mod budget;
/// Heartbeats and the questions that their session has.
mod heartbeats;
/// A release that does not support our tools.
mod old;

use std::time::{Duration, Instant};

use mission_control_runtime::demo::gateway::Release;
use serde_json::{Value, json};

use super::processes::Stack;
use crate::support::team::missing_id;

/// The agents of both gateways.
const AGENTS: [&str; 5] = ["engineer", "qa", "denied", "picky", "down"];

fn stack(slugs: &[&str]) -> Stack {
    Stack::both(Release::V2026_9_6, &AGENTS, slugs, None)
}

/// The beginning of every input about the only row.
fn marker(stack: &Stack, attempt: u32) -> String {
    let rows = stack.board.rows("notifications");
    let mentions = rows.iter().filter(|row| row["type"] == "mention");
    let ids: Vec<&str> = mentions.map(|row| row["_id"].as_str().unwrap()).collect();
    let [id] = ids.as_slice() else { panic!("one row is expected: {rows:?}") };
    format!("[n-{id} try {attempt}]\n")
}

/// The inputs of the agent, in order.
fn heard(items: &[Value]) -> Vec<&str> {
    let users = items.iter().filter(|item| item["role"] == "user");
    users.map(|item| item["content"].as_str().unwrap()).collect()
}

/// How often a task has changed its status.
fn moves(stack: &Stack, task: &str) -> usize {
    let happened = stack.board.look("activities:listByTask", json!({"taskId": task})).unwrap();
    happened.as_array().unwrap().iter().filter(|row| row["type"] == "task_status_changed").count()
}

#[test]
fn a_mention_is_answered_and_the_marker_begins_the_history() {
    let stack = stack(&["engineer"]);
    let task = stack.task("in_progress", &["engineer"]);
    stack.tell(&task, "engineer", "SAY Good morning, Dana.");
    assert_eq!(stack.answer_of("engineer", &task), "Good morning, Dana.");
    stack.settled();
    let items = stack.history("engineer", &task);
    let [text] = heard(&items)[..] else { panic!("{items:?}") };
    assert!(text.starts_with(&marker(&stack, 1)), "{text}");
    assert!(text.contains("SAY Good morning") && text.contains("Now reply."), "it is whole: {text}");
    let health = stack.health();
    assert_eq!((&health["status"], &health["reasons"]), (&json!("healthy"), &json!([])), "{health}");
    assert_eq!(health["delivery"]["ended"], json!({"answered": 1}), "{health}");
    assert_eq!((&health["delivery"]["failed"], &health["delivery"]["waiting"]), (&json!(0), &json!(0)));
    assert_eq!(health["versions"]["openclaw"], "2026.9.6");
}

#[test]
fn a_session_continues_and_old_answers_are_not_taken_for_new_ones() {
    let stack = stack(&["engineer"]);
    let task = stack.task("in_progress", &["engineer"]);
    let want = ["one", "two", "three"];
    for (number, word) in (1..).zip(want) {
        stack.tell(&task, "engineer", &format!("SAY {word}"));
        stack.until("an answer", |_| stack.said_by("engineer", &task).len() == number);
        stack.settled();
    }
    assert_eq!(stack.said_by("engineer", &task), want);
    assert_eq!(heard(&stack.history("engineer", &task)).len(), 3);
    assert_eq!(stack.health()["delivery"]["ended"], json!({"answered": 3}));
}

#[test]
fn two_calls_in_one_reply_change_the_board_once_each() {
    let stack = stack(&["engineer"]);
    let task = stack.task("in_progress", &["engineer"]);
    let status = json!({"taskId": task, "status": "review"});
    let document =
        json!({"title": "Findings", "content": "It was the cookie.", "type": "deliverable", "taskId": task});
    let words =
        format!("CALL task_status {status}\nCALL document_upsert {document}\nTHEN\nSAY Both are done.");
    stack.tell(&task, "engineer", &words);
    assert_eq!(stack.answer_of("engineer", &task), "Both are done.");
    stack.settled();
    assert_eq!(stack.board.row("tasks", &task)["status"], "review");
    assert_eq!(moves(&stack, &task), 1);
    let documents = stack.board.rows("documents");
    assert_eq!(documents.len(), 1, "{documents:?}");
    assert_eq!(
        (&documents[0]["title"], &documents[0]["content"]),
        (&json!("Findings"), &json!("It was the cookie."))
    );

    let items = stack.history("engineer", &task);
    let [briefing, results] = heard(&items)[..] else { panic!("{items:?}") };
    assert!(briefing.starts_with(&marker(&stack, 1)), "{briefing}");
    let lines: Vec<&str> = results.lines().filter(|line| line.starts_with("Tool:")).collect();
    let [first, second] = lines[..] else { panic!("{results}") };
    let id = |line: &str| line.split(':').nth(1).unwrap().to_owned();
    assert!(id(first) != id(second) && !id(first).is_empty(), "{results}");
    assert!(first.ends_with(" result 1.1]") && second.ends_with(" result 1.2]"), "{results}");
    assert!(results.contains("\"success\":true") && results.contains("documentId"), "{results}");
    assert_eq!(stack.health()["delivery"]["ended"], json!({"answered": 1}));
}

#[test]
fn results_of_one_round_lead_to_the_next() {
    let stack = stack(&["engineer"]);
    let task = stack.task("in_progress", &["engineer"]);
    let load = json!({"taskId": task});
    let document = json!({"title": "Second", "content": "After the first.", "type": "note", "taskId": task});
    let words =
        format!("CALL task_load {load}\nTHEN\nCALL document_upsert {document}\nTHEN\nSAY After two rounds.");
    stack.tell(&task, "engineer", &words);
    assert_eq!(stack.answer_of("engineer", &task), "After two rounds.");
    stack.settled();
    assert_eq!(stack.board.rows("documents").len(), 1);
    let items = stack.history("engineer", &task);
    let [_, loaded, written] = heard(&items)[..] else { panic!("{items:?}") };
    assert!(loaded.starts_with("Tool:") && loaded.contains(&task), "{loaded}");
    assert!(written.starts_with("Tool:") && written.contains("documentId"), "{written}");
    assert_eq!(stack.health()["delivery"]["failed"], 0);
}

/// A failed call is reported to the agent only.
#[test]
fn a_failed_call_is_returned_as_its_result() {
    let stack = stack(&["engineer"]);
    let task = stack.task("in_progress", &["engineer"]);
    let call = json!({"taskId": missing_id(&task), "status": "review"});
    stack.tell(&task, "engineer", &format!("CALL task_status {call}\nTHEN\nSAY BLOCKED, it failed."));
    assert_eq!(stack.answer_of("engineer", &task), "BLOCKED, it failed.");
    assert_eq!(stack.board.row("tasks", &task)["status"], "in_progress");
    let items = stack.history("engineer", &task);
    let [_, result] = heard(&items)[..] else { panic!("{items:?}") };
    assert!(result.contains("\"success\":false"), "{result}");
}

/// The notice in the thread of a person who gets no answer.
const NOTE: &str =
    "*(Automatic note: asked 3 times, the agent said nothing to this mention. Mention it to ask again.)*";

/// Openclaw-gateway §5: the gateway answers silence with an error, and only its history shows that it was
/// silence.
#[test]
fn a_silent_agent_is_asked_three_times_and_then_reported() {
    for words in ["EMPTY", "SAY NO_REPLY"] {
        let stack = stack(&["engineer"]);
        let task = stack.task("in_progress", &["engineer"]);
        stack.tell(&task, "engineer", words);
        stack.settled();
        let health = stack.health();
        assert_eq!(health["delivery"]["ended"], json!({"unanswered": 1}), "{words}: {health}");
        assert_eq!(health["delivery"]["requiredNotificationRetryExhaustedCount"], 1);
        assert_eq!(stack.said_by("engineer", &task), [NOTE], "{words}: only that there is no answer");
        let items = stack.history("engineer", &task);
        let texts = heard(&items);
        assert!(texts.last().unwrap().starts_with(&marker(&stack, 3)), "{words}: {texts:?}");
        assert!(stack.undelivered().is_empty());
    }
}

#[test]
fn the_silence_word_is_posted_nowhere() {
    let stack = stack(&["qa"]);
    let task = stack.task("in_progress", &["qa"]);
    stack.tell(&task, "qa", "SAY HEARTBEAT_OK");
    stack.settled();
    assert_eq!(stack.health()["delivery"]["ended"], json!({"silent": 1}), "{}", stack.health());
    assert_eq!(stack.said_by("qa", &task), Vec::<String>::new());
}

/// A failing provider may recover, so the row waits; other agents are not affected.
#[test]
fn a_provider_failure_of_one_agent_is_reported_and_the_others_continue() {
    let rows = [
        ("picky", "FAIL 400 no such thing", "the model's provider does not accept the request"),
        ("denied", "FAIL 401 bad key", "the model's provider does not accept the gateway's key or account"),
        ("down", "FAIL 500 boom", "the model's provider is overloaded or fails"),
    ];
    for (slug, words, sentence) in rows {
        let stack = stack(&[slug, "qa"]);
        let (task, other) = (stack.task("in_progress", &[slug]), stack.task("in_progress", &["qa"]));
        stack.tell(&task, slug, words);
        stack.tell(&other, "qa", "SAY Here I am.");
        assert_eq!(stack.answer_of("qa", &other), "Here I am.", "{slug}");
        let named = |health: &Value| {
            let last = health["delivery"]["lastErrorMessage"].as_str();
            last.is_some_and(|last| last.contains(sentence))
        };
        let health = stack.until(sentence, named);
        assert!(health["delivery"]["ended"]["dead"].is_null(), "{slug}: {health}");
        // An answered row is marked a moment later.
        stack.until("one row settled", |_| stack.undelivered().len() == 1);
        assert_eq!(stack.said_by(slug, &task), Vec::<String>::new(), "{slug}");
    }
}

#[test]
fn two_agents_work_at_the_same_time() {
    let stack = stack(&["engineer", "qa"]);
    let tasks = ["engineer", "qa"].map(|slug| (slug, stack.task("in_progress", &[slug])));
    for (slug, task) in &tasks {
        stack.tell(task, slug, &format!("DELAY 3000\nSAY {slug} at last."));
    }
    stack.until("two turns under way", |health| health["delivery"]["inFlight"] == 2);
    for (slug, task) in &tasks {
        assert_eq!(stack.answer_of(slug, task), format!("{slug} at last."));
    }
    stack.settled();
    assert_eq!(stack.health()["delivery"]["ended"], json!({"answered": 2}));
}

#[test]
fn an_agent_unknown_to_the_gateway_is_reported_and_may_be_added() {
    let mut stack = stack(&["nobody", "qa"]);
    let (task, other) = (stack.task("in_progress", &["nobody"]), stack.task("in_progress", &["qa"]));
    stack.tell(&task, "nobody", "SAY hello");
    stack.tell(&other, "qa", "SAY Here I am.");
    assert_eq!(stack.answer_of("qa", &other), "Here I am.");
    stack.until("one row settled", |_| stack.undelivered().len() == 1);
    stack
        .until("the agent named", |health| health["gateway"]["missingAgents"]["agents"] == json!(["nobody"]));
    let (_, why) = stack.command(["why", "nobody"]);
    assert!(
        why.contains("The gateway does not know the agent nobody: add it, under its slug, to agents.entries"),
        "{why}"
    );
    stack.stop();
    assert_eq!(stack.said_by("nobody", &task), Vec::<String>::new());
}

#[test]
fn a_wrong_token_delays_rows_and_loses_none() {
    let stack = Stack::both(Release::V2026_9_6, &AGENTS, &["engineer", "qa"], Some("not-the-token"));
    let tasks = ["engineer", "qa"].map(|slug| (slug, stack.task("in_progress", &[slug])));
    for (slug, task) in &tasks {
        stack.tell(task, slug, "SAY hello");
    }
    let closed = |health: &Value| health["gateway"]["running"] == false;
    let health = stack.until("a closed gate", closed);
    assert_eq!(health["status"], "degraded", "{health}");
    // Repeatedly, at the intervals of the breaker.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(4) {
        std::thread::sleep(Duration::from_millis(200));
        let health = stack.health();
        assert_eq!(health["delivery"]["ended"], json!({}), "{health}");
    }
    // A busy gateway may miss the time of a probe in between.
    let health = stack.until("a gate closed by the token", |health| {
        let why = health["gateway"]["closed"].as_str();
        why.is_some_and(|why| why.contains("the gateway does not accept the runtime's token"))
    });
    let last = health["gateway"]["lastSendError"].as_str().unwrap();
    assert!(last.contains("Set OPENCLAW_GATEWAY_TOKEN to"), "{last}");
    assert_eq!((stack.undelivered().len(), &health["delivery"]["waiting"]), (2, &json!(2)));
}

/// Checks that the whole text of this many characters is there.
#[track_caller]
fn assert_whole(answer: &str, chars: usize) {
    // The end of a message has no white space.
    assert_eq!(answer.len(), chars - 1);
    let lines: Vec<&str> = answer.lines().collect();
    assert_eq!(lines.len(), chars / 80);
    for (number, line) in lines.iter().enumerate() {
        assert_eq!(*line, format!("{number:.<79}"));
    }
}

/// Far longer than a history shows, shorter than a message may be.
#[test]
fn a_long_answer_is_posted_whole() {
    const CHARS: usize = 60_000;
    let stack = stack(&["engineer"]);
    let task = stack.task("in_progress", &["engineer"]);
    stack.tell(&task, "engineer", &format!("LONG {CHARS}"));
    assert_whole(&stack.answer_of("engineer", &task), CHARS);
}

/// The connection loses the answer and the history cuts it; the whole text is still available. The model is
/// called once.
#[test]
fn a_long_lost_answer_is_adopted_whole() {
    const CHARS: usize = 20_000;
    let mut stack = Stack::lossy(Release::V2026_9_6, &AGENTS, &["engineer"], 1);
    let task = stack.task("in_progress", &["engineer"]);
    stack.tell(&task, "engineer", &format!("LONG {CHARS}"));
    assert_whole(&stack.answer_of("engineer", &task), CHARS);
    stack.settled();
    assert_eq!(
        (stack.losses_left(), stack.health()["delivery"]["ended"].clone()),
        (0, json!({"answered": 1}))
    );
    let items = stack.history("engineer", &task);
    let [text] = heard(&items)[..] else { panic!("{items:?}") };
    assert!(text.starts_with(&marker(&stack, 1)), "{text}");
    let shown = items.last().unwrap()["content"][0]["text"].as_str().unwrap();
    assert!(shown.ends_with("...(truncated)..."), "{}", shown.len());
    let log = stack.stop();
    assert!(log.contains("its answer was found in the session's history"), "{log}");
}

/// A briefing of the largest usual size: a message of 40 KB, a long description, a long thread.
#[test]
fn a_full_briefing_is_accepted_whole() {
    let stack = stack(&["engineer", "qa"]);
    let task = stack.task("in_progress", &["engineer"]);
    stack.board.edit("tasks", &task, json!({"description": "The cookie is lost. ".repeat(400)}));
    for number in 0..30 {
        stack.board.says(
            stack.agent("qa"),
            &task,
            &format!("SAY old words {number}. {}", "More of it. ".repeat(100)),
        );
    }
    stack.settled();
    let filler = "Grüße aus dem Thread, mit 絵文字 🙂 und \"Zeichen\". ".repeat(800);
    stack.tell(&task, "engineer", &format!("SAY It was all there.\n{filler}\nthe very end"));
    stack.until("the answer", |_| {
        stack.said_by("engineer", &task).iter().any(|said| said == "It was all there.")
    });
    stack.settled();
    assert_eq!(stack.health()["delivery"]["failed"], 0, "nothing was refused");
    let items = stack.history("engineer", &task);
    let last = *heard(&items).last().unwrap();
    assert!(last.starts_with("[n-") && last.contains(" try 1]\n"), "{last}");
    assert!(last.ends_with("...(truncated)..."), "longer than what is shown: {}", last.len());
}
