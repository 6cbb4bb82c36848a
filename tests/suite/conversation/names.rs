//! The name of a conversation at the gateway: the old name if the gateway has a single agent.

use mission_control_runtime::demo::gateway::{Prompt, Thought};
use serde_json::json;

use super::processes::Stack;

fn polite(_: &Prompt) -> Thought {
    Thought::say("Here I am.")
}

/// An agent answers once more on this task; returns the session of the turn at the gateway.
fn session(stack: &Stack, task: &str, slug: &str) -> String {
    let before = stack.gateway().requests().len();
    stack.mention(task, slug, "hello");
    stack.until("a turn", |_| stack.gateway().requests().len() > before);
    stack.settled();
    stack.gateway().requests()[before].session.clone()
}

/// How a gateway with one agent names the backend's key (`task:…:agent:…`), which earlier runtimes sent
/// unchanged.
fn kept(stack: &Stack, task: &str, slug: &str) -> String {
    format!("agent:{slug}:task:{task}:agent:{slug}:{}:v1", stack.board.account).to_lowercase()
}

fn renamed(stack: &Stack, task: &str, slug: &str) -> String {
    format!("agent:{slug}:task:{task}:{}:v1", stack.board.account).to_lowercase()
}

#[test]
fn a_gateway_with_one_agent_continues_earlier_conversations() {
    let stack = Stack::new(&["ben"], polite);
    let task = stack.task("in_progress", &["ben"]);
    assert_eq!(session(&stack, &task, "ben"), kept(&stack, &task, "ben"));
}

#[test]
fn a_gateway_with_several_agents_gets_valid_names() {
    let stack = Stack::new(&["ben", "ada"], polite);
    let task = stack.task("in_progress", &["ben"]);
    assert_eq!(session(&stack, &task, "ben"), renamed(&stack, &task, "ben"));
}

/// The choice is permanent: an agent that joins later, or a restart, must not start new conversations.
#[test]
fn the_choice_of_names_survives_a_restart_and_a_second_agent() {
    let mut stack = Stack::new(&["ben"], polite);
    let task = stack.task("in_progress", &["ben"]);
    let first = session(&stack, &task, "ben");
    stack.hire("ada");
    assert_eq!(session(&stack, &task, "ben"), first);
    stack.kill_and_start();
    assert_eq!(session(&stack, &task, "ben"), first);
    let other = stack.task("in_progress", &["ada"]);
    assert_eq!(session(&stack, &other, "ada"), kept(&stack, &other, "ada"), "one rule for all");
}

/// Until the gateway reports how many agents it has, no turn is sent and nothing is chosen.
#[test]
fn names_are_chosen_once_the_gateway_is_reachable() {
    let mut stack = Stack::new(&["ben"], polite);
    let address = stack.stop_gateway();
    let task = stack.task("in_progress", &["ben"]);
    stack.board.person_says(&task, "@ben, hello");
    assert_eq!(stack.ask("POST", "/nudge", ""), 202);
    stack.until("a closed breaker", |health| health["gateway"]["breakerOpen"] == true);
    stack.kill_and_start();
    stack.start_gateway(&address);
    stack.answer_of("ben", &task);
    assert_eq!(stack.gateway().requests()[0].session, kept(&stack, &task, "ben"));
}

/// Conversations that began under new names keep them, even if only one agent is left.
#[test]
fn a_state_directory_of_an_earlier_version_keeps_its_names() {
    let mut stack = Stack::new(&["ben"], polite);
    stack.kill();
    // Earlier versions had no such file.
    std::fs::remove_file(format!("{}/conversation-names", stack.state_dir())).unwrap();
    stack.start();
    let task = stack.task("in_progress", &["ben"]);
    assert_eq!(session(&stack, &task, "ben"), renamed(&stack, &task, "ben"));
}

/// A turn that is active when the process is killed is looked for under the name under which it was sent.
#[test]
fn an_active_turn_is_found_by_its_name_after_a_crash() {
    let slow = |_: &Prompt| Thought::say("Late.").after(std::time::Duration::from_secs(2));
    let mut stack = Stack::new(&["ben"], slow);
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "hello");
    stack.begun();
    stack.kill_and_start();
    assert_eq!(stack.answer_of("ben", &task), "Late.");
    stack.settled();
    let name = kept(&stack, &task, "ben");
    assert!(stack.gateway().requests().iter().all(|turn| turn.session == name), "one conversation");
    assert_eq!(stack.health()["delivery"]["ended"], json!({"answered": 1}));
}
