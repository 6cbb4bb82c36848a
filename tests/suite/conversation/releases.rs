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
