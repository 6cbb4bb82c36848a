//! A restart that a person requests while turns run: it waits for them, and an operator can cancel it.

use std::time::Duration;

use mission_control_runtime::demo::gateway::{Prompt, Thought};
use serde_json::{Value, json};

use super::operator::as_operator;
use super::processes::Stack;

const VARIABLES: [(&str, &str); 3] =
    [("HEALTH_CHECK_INTERVAL", "5000"), ("DRAIN_TIMEOUT_MS", "120000"), ("UPGRADE_MODE", "exit")];

/// The answer takes longer than a look at requests.
fn slow(prompt: &Prompt) -> Thought {
    Thought::say(format!("answer of {}", prompt.agent)).after(Duration::from_secs(12))
}

fn operation(health: &Value) -> &Value {
    &health["requests"]["operation"]
}

/// A turn of ben, and a restart that waits for it.
fn restarting() -> (Stack, String) {
    let stack = Stack::set(&["ben"], slow, &VARIABLES);
    let task = stack.task("assigned", &["ben"]);
    stack.mention(&task, "ben", "hello");
    stack.until("the turn", |health| health["delivery"]["inFlight"] == 1);
    stack.board.person("accounts:requestRestart", json!({})).unwrap();
    stack.until("the drain", |health| operation(health)["step"] == "drain");
    (stack, task)
}

#[test]
fn a_restart_waits_for_the_running_turn_and_starts_no_other() {
    let (mut stack, task) = restarting();
    let health = stack.health();
    assert_eq!(operation(&health)["waitsForTurns"], 1, "{health:#}");
    let other = stack.task("assigned", &["ben"]);
    stack.mention(&other, "ben", "later");
    let (code, log) = stack.give().end();
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(stack.said_by("ben", &task), ["answer of ben"], "{log}");
    assert!(stack.said_by("ben", &other).is_empty(), "no turn starts in the drain");
    stack.start();
    stack.until("the result", |health| operation(health)["outcome"]["kind"] == "success");
    stack.until("the other answer", |_| stack.said_by("ben", &other) == ["answer of ben"]);
}

#[test]
fn an_operator_cancels_a_restart_that_waits() {
    let (stack, task) = restarting();
    let other = stack.task("assigned", &["ben"]);
    stack.mention(&other, "ben", "later");
    let (status, answer) = as_operator(&stack, "POST", "/requests/cancel", "");
    assert_eq!(status, 200, "{answer}");
    stack.until("the end", |health| operation(health)["outcome"]["kind"] == "cancelled");
    let (status, answer) = as_operator(&stack, "POST", "/requests/cancel", "");
    assert_eq!(status, 409, "{answer}");
    stack.until("both answers", |_| {
        [&task, &other].iter().all(|task| stack.said_by("ben", task) == ["answer of ben"])
    });
}
