//! Budgets with a real gateway: the usage is read while a turn runs, the turn is aborted at the limit, and its session
//! answers afterwards.

use mission_control_runtime::demo::gateway::Release;
use serde_json::{Value, json};

use super::super::processes::Stack;
use super::AGENTS;

/// The tokens that the session's items report.
fn reported(items: &[Value]) -> u64 {
    items.iter().filter_map(|item| item["usage"]["totalTokens"].as_u64()).sum()
}

fn spent(stack: &Stack) -> u64 {
    let (code, text) = stack.command(["budget", "show", "--json"]);
    assert_eq!(code, Some(0), "{text}");
    let shown: Value = serde_json::from_str(&text).unwrap();
    shown["budget"]["scopes"][0]["spent"]["tokens"].as_u64().unwrap()
}

#[test]
fn a_running_turn_is_aborted_at_the_limit_and_its_session_answers_afterwards() {
    // One model call costs more than the budget of the scripted gateway, and a third of it at the real one.
    let variables = [("BUDGET_DAILY_TOKENS", "40")];
    let mut stack = Stack::both_with(Release::V2026_9_6, &AGENTS, &["engineer"], &variables);
    let task = stack.task("in_progress", &["engineer"]);
    stack.tell(&task, "engineer", "AGAIN 8 DELAY 1000 SAY All of it is done.");
    let health = stack.until("the end of the turn at the limit", |health| {
        health["reasons"].as_array().unwrap().contains(&json!("budget_reached"))
            && health["delivery"]["turns"] == json!([])
            && health["delivery"]["inFlight"] == 0
    });
    assert_eq!(
        (&health["delivery"]["dead"], &health["delivery"]["failed"]),
        (&json!(0), &json!(0)),
        "{health}"
    );
    stack.until("the settlement", |_| spent(&stack) >= 40);
    let items = stack.history("engineer", &task);
    let calls = items.iter().filter(|item| item["role"] == "toolResult").count();
    assert!((1..8).contains(&calls), "{items:?}");
    assert_eq!(spent(&stack), reported(&items), "{items:?}");
    assert!(stack.said_by("engineer", &task).iter().all(|text| text.contains("Automatic note")));

    let (code, text) = stack.command(["budget", "raise", "1000000"]);
    assert_eq!(code, Some(0), "{text}");
    stack.until("the answer", |_| {
        stack.said_by("engineer", &task).iter().any(|text| text == "All of it is done.")
    });
    let items = stack.history("engineer", &task);
    stack.until("the settlement of the second turn", |_| spent(&stack) >= reported(&items));
    assert_eq!(spent(&stack), reported(&stack.history("engineer", &task)));
    stack.stop();
}
