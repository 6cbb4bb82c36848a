//! An agent whose turns all fail inside the gateway until the gateway restarts: a person reads its name and the remedy, and its
//! messages are answered after the restart.

use mission_control_runtime::delivery::blocked_agents::AGENT_BLOCKED;
use mission_control_runtime::demo::gateway::{Prompt, Thought};
use serde_json::{Value, json};

use super::processes::Stack;

fn polite(prompt: &Prompt) -> Thought {
    Thought::say(format!("{} answers.", prompt.agent))
}

fn is_blocked(health: &Value) -> bool {
    health["reasons"].as_array().unwrap().contains(&json!("agents_blocked"))
}

/// Ada is answered while Ben fails. Ben's message gets more attempts than an internal error has, also across a restart of
/// the program.
#[test]
fn a_blocked_agent_is_named_and_answers_after_the_gateways_restart() {
    let limits = [(AGENT_BLOCKED, "1000"), ("DELIVERY_MAX_ATTEMPTS", "5")];
    let mut stack = Stack::set(&["ada", "ben"], polite, &limits);
    stack.faults().block("ben");
    let (task, of_ada) = (stack.task("in_progress", &["ben"]), stack.task("in_progress", &["ada"]));
    stack.mention(&task, "ben", "hello");
    let posts_for_ben =
        |stack: &Stack| stack.gateway().requests().iter().filter(|seen| seen.agent == "ben").count();
    stack.until("a failed turn", |health| posts_for_ben(&stack) > 0 && health["delivery"]["failed"] != 0);
    assert!(!is_blocked(&stack.health()), "one failure proves nothing");
    stack.mention(&of_ada, "ada", "hello");
    assert_eq!(stack.answer_of("ada", &of_ada), "ada answers.");
    let health = stack.until("the blocked agent", is_blocked);
    assert_eq!(health["gateway"]["blockedAgents"], json!(["ben"]), "{health}");
    let id = stack.undelivered()[0]["_id"].as_str().unwrap().to_owned();
    let (_, why) = stack.command(["why", &id]);
    assert!(why.contains("fails inside the gateway") && why.contains("Restart the gateway"), "{why}");

    // The next process takes over what the ledger knows. The step of an answer waits for the disk, and takes along what was
    // noted before it.
    stack.mention(&of_ada, "ada", "hello again");
    stack.until("the second answer", |_| stack.said_by("ada", &of_ada).len() == 2);
    stack.kill_and_start();
    stack.until("the blocked agent again", is_blocked);
    let before = posts_for_ben(&stack);
    stack.until("many attempts", |_| posts_for_ben(&stack) > before + 6);
    assert_eq!(stack.health()["delivery"]["dead"], 0);

    stack.restart_gateway();
    assert_eq!(stack.answer_of("ben", &task), "ben answers.");
    stack.settled();
    let health = stack.until("no blocked agent", |health| !is_blocked(health));
    assert_eq!(health["gateway"]["blockedAgents"], json!([]), "{health}");
}

/// If no agent is answered, nothing says that the agent is the cause: its message ends as dead, as before.
#[test]
fn an_agent_that_fails_like_all_others_is_not_blamed() {
    let limits = [(AGENT_BLOCKED, "1000"), ("DELIVERY_MAX_ATTEMPTS", "4")];
    let stack = Stack::set(&["ada", "ben"], polite, &limits);
    for slug in ["ada", "ben"] {
        stack.faults().block(slug);
        stack.mention(&stack.task("in_progress", &[slug]), slug, "hello");
    }
    let health = stack.until("both ends", |health| health["delivery"]["dead"] == 2);
    assert!(!is_blocked(&health), "{health}");
}
