//! The name of a conversation at the gateway: the old name if the gateway has a single agent.

use mission_control_runtime::demo::gateway::{Prompt, Thought};
use serde_json::json;

use super::processes::House;

fn polite(_: &Prompt) -> Thought {
    Thought::say("Here I am.")
}

/// An agent answers once more on this task; returns the session of the turn at the gateway.
fn session(house: &House, task: &str, slug: &str) -> String {
    let before = house.gateway().requests().len();
    house.mention(task, slug, "hello");
    house.until("a turn", |_| house.gateway().requests().len() > before);
    house.settled();
    house.gateway().requests()[before].session.clone()
}

/// How a gateway with one agent names the backend's key (`task:…:agent:…`), which earlier runtimes sent
/// unchanged.
fn kept(house: &House, task: &str, slug: &str) -> String {
    format!("agent:{slug}:task:{task}:agent:{slug}:{}:v1", house.board.account).to_lowercase()
}

fn renamed(house: &House, task: &str, slug: &str) -> String {
    format!("agent:{slug}:task:{task}:{}:v1", house.board.account).to_lowercase()
}

#[test]
fn a_gateway_with_one_agent_continues_earlier_conversations() {
    let house = House::new(&["ben"], polite);
    let task = house.task("in_progress", &["ben"]);
    assert_eq!(session(&house, &task, "ben"), kept(&house, &task, "ben"));
}

#[test]
fn a_gateway_with_several_agents_gets_valid_names() {
    let house = House::new(&["ben", "ada"], polite);
    let task = house.task("in_progress", &["ben"]);
    assert_eq!(session(&house, &task, "ben"), renamed(&house, &task, "ben"));
}

/// The choice is permanent: an agent that joins later, or a restart, must not start new conversations.
#[test]
fn the_choice_of_names_survives_a_restart_and_a_second_agent() {
    let mut house = House::new(&["ben"], polite);
    let task = house.task("in_progress", &["ben"]);
    let first = session(&house, &task, "ben");
    house.hire("ada");
    assert_eq!(session(&house, &task, "ben"), first);
    house.kill_and_start();
    assert_eq!(session(&house, &task, "ben"), first);
    let other = house.task("in_progress", &["ada"]);
    assert_eq!(session(&house, &other, "ada"), kept(&house, &other, "ada"), "one rule for all");
}

/// Until the gateway reports how many agents it has, no turn is sent and nothing is chosen.
#[test]
fn names_are_chosen_once_the_gateway_is_reachable() {
    let mut house = House::new(&["ben"], polite);
    let address = house.stop_gateway();
    let task = house.task("in_progress", &["ben"]);
    house.board.person_says(&task, "@ben, hello");
    assert_eq!(house.ask("POST", "/nudge", ""), 202);
    house.until("a closed breaker", |health| health["gateway"]["breakerOpen"] == true);
    house.kill_and_start();
    house.start_gateway(&address);
    house.answer_of("ben", &task);
    assert_eq!(house.gateway().requests()[0].session, kept(&house, &task, "ben"));
}

/// Conversations that began under new names keep them, even if only one agent is left.
#[test]
fn a_state_directory_of_an_earlier_version_keeps_its_names() {
    let mut house = House::new(&["ben"], polite);
    house.kill();
    // Earlier versions had no such file.
    std::fs::remove_file(format!("{}/conversation-names", house.state_dir())).unwrap();
    house.start();
    let task = house.task("in_progress", &["ben"]);
    assert_eq!(session(&house, &task, "ben"), renamed(&house, &task, "ben"));
}

/// A turn that is active when the process is killed is looked for under the name under which it was sent.
#[test]
fn an_active_turn_is_found_by_its_name_after_a_crash() {
    let slow = |_: &Prompt| Thought::say("Late.").after(std::time::Duration::from_secs(2));
    let mut house = House::new(&["ben"], slow);
    let task = house.task("in_progress", &["ben"]);
    house.mention(&task, "ben", "hello");
    house.begun();
    house.kill_and_start();
    assert_eq!(house.answer_of("ben", &task), "Late.");
    house.settled();
    let name = kept(&house, &task, "ben");
    assert!(house.gateway().requests().iter().all(|turn| turn.session == name), "one conversation");
    assert_eq!(house.health()["delivery"]["ended"], json!({"answered": 1}));
}
