//! The program with older releases of the gateway: what they do differently is never posted, and is named.

use mission_control_runtime::demo::gateway::{Directives, Fault, Release};
use serde_json::json;

use super::processes::Stack;

fn at(release: Release) -> Stack {
    Stack::at(
        &["engineer"],
        |options| {
            options.release = release;
            options.run_timeout = std::time::Duration::from_millis(50);
        },
        None,
        Directives,
    )
}

/// A silent provider is no silent agent, and its message is no answer.
#[test]
fn a_provider_that_does_not_answer_is_named_and_not_posted() {
    for release in [Release::V2026_3_31, Release::V2026_7_1] {
        let stack = at(release);
        let task = stack.task("in_progress", &["engineer"]);
        stack.tell(&task, "engineer", "HANG");
        stack.until("a named failure", |health| {
            let why = health["delivery"]["lastErrorMessage"].as_str();
            why.is_some_and(|why| why.contains("the model's provider is overloaded or fails"))
        });
        assert_eq!(stack.said_by("engineer", &task), Vec::<String>::new(), "{release:?}");
    }
}

/// Up to 2026.5.7 the model is called again while the client has yet to run the calls. A model that repeats its call never
/// ends the turn, so the runtime ends it.
#[test]
fn a_turn_that_repeats_its_calls_is_ended_at_the_limit() {
    let mut stack = at(Release::V2026_5_7);
    stack.stop();
    stack.set_variable("TOOL_MAX_CALLS", "4");
    // The monitor's intervals follow from it.
    stack.set_variable("OPENCLAW_REQUEST_TIMEOUT_MS", "5000");
    stack.start();
    let task = stack.task("in_progress", &["engineer"]);
    stack.tell(
        &task,
        "engineer",
        &format!("LOOP DELAY 50 CALL task_status {{\"taskId\":\"{task}\",\"status\":\"review\"}}"),
    );
    stack.until("its end", |health| health["delivery"]["ended"]["dead"] == 1);
    let said = stack.said_by("engineer", &task);
    assert!(said.len() == 1 && said[0].contains("repeated tool calls in one turn"), "{said:?}");
    assert_eq!(stack.board.row("tasks", &task)["status"], "in_progress", "none of the calls ran");
    assert_eq!(stack.gateway().posts(), 1, "nothing is sent twice");
    stack.until("the end of the run", |_| stack.gateway().in_flight() == 0);
    let log = stack.stop();
    assert!(log.contains("exceeds TOOL_MAX_CALLS"), "{log}");
    assert!(
        log.contains("A running turn is ended: it makes calls without waiting for their results"),
        "{log}"
    );
}

/// Without a way to the history a lost answer ends as dead, and `/health` says so before.
#[test]
fn a_closed_history_is_reported_before_an_answer_is_lost() {
    let mut stack = at(Release::V2026_3_31);
    stack.until("the reason", |health| health["reasons"] == json!(["gateway_history_closed"]));
    let health = stack.health();
    assert_eq!(health["gateway"]["history"], "closed", "{health}");
    assert_eq!(
        health["gateway"]["behaviour"]["errors"], "messages",
        "unknown before the first turn: {health}"
    );
    let task = stack.task("in_progress", &["engineer"]);
    stack.tell(&task, "engineer", "SAY Hello.");
    assert_eq!(stack.answer_of("engineer", &task), "Hello.");
    stack.until("the version", |health| health["gateway"]["doubt"].is_null());
    assert_eq!(stack.health()["gateway"]["behaviour"]["errors"], "placeholders");
    stack.faults().next(Fault::LoseAnswer);
    stack.tell(&task, "engineer", "SAY Lost.");
    stack.until("its end", |health| health["delivery"]["ended"]["dead"] == 1);
    let said = stack.said_by("engineer", &task);
    assert!(!said.iter().any(|text| text == "Lost."), "{said:?}");
    assert_eq!(stack.gateway().requests().len(), 2, "nothing is sent twice");
    let log = stack.stop();
    assert!(log.contains("tools.alsoAllow"), "{log}");
}
