//! Agents of the account that the gateway does not have: they get no turn, nothing is lost, and their work goes on by
//! itself once the gateway has them.

use mission_control_runtime::demo::gateway::{ANY_AGENT, Options, Prompt, Thought};
use serde_json::{Value, json};

use super::processes::Stack;

fn polite(prompt: &Prompt) -> Thought {
    Thought::say(format!("{} answers.", prompt.agent))
}

/// A gateway with these agents.
fn has(agents: &[&str]) -> impl FnOnce(&mut Options) {
    let agents = agents.iter().map(|agent| (*agent).to_owned()).collect();
    move |options| options.agents = agents
}

/// Replaces the gateway by one with changed options.
fn reconfigure(stack: &mut Stack, change: impl FnOnce(&mut Options)) {
    let address = stack.stop_gateway_for(change);
    stack.start_gateway(&address);
}

fn lacks(stack: &Stack, agents: &[&str]) -> Value {
    stack.until("the missing agents", |health| health["gateway"]["missingAgents"]["agents"] == json!(agents))
}

/// The turns that the gateway was asked for in the name of this agent.
fn turns_of(stack: &Stack, agent: &str) -> usize {
    stack.gateway().requests().iter().filter(|seen| seen.agent == agent).count()
}

/// The agent is missing, across a restart of the program too, then added, removed and added again.
#[test]
fn the_work_of_a_missing_agent_waits_until_the_gateway_has_it() {
    let mut stack = Stack::at(&["ada", "ben"], has(&["ada"]), None, polite);
    let (task, of_ada) = (stack.task("in_progress", &["ben"]), stack.task("in_progress", &["ada"]));
    stack.mention(&task, "ben", "hello");
    stack.mention(&of_ada, "ada", "hello");
    assert_eq!(stack.answer_of("ada", &of_ada), "ada answers.");
    let health = lacks(&stack, &["ben"]);
    assert!(health["reasons"].as_array().unwrap().contains(&json!("agents_missing")), "{health}");
    let advice = "the gateway does not know ben: add it, under its slug, to agents.entries of the gateway's configuration";
    assert_eq!(health["gateway"]["missingAgents"]["advice"], advice);
    stack.until("the other rows settled", |_| stack.undelivered().len() == 1);
    for asked in ["ben", stack.undelivered()[0]["_id"].as_str().unwrap()] {
        let (_, why) = stack.command(["why", asked]);
        assert!(why.contains("The gateway does not know the agent ben: add it"), "{asked}: {why}");
    }
    stack.kill_and_start();
    lacks(&stack, &["ben"]);
    assert_eq!((turns_of(&stack, "ben"), stack.undelivered().len()), (0, 1));

    reconfigure(&mut stack, has(&["ada", "ben"]));
    assert_eq!(stack.answer_of("ben", &task), "ben answers.");
    let health = lacks(&stack, &[]);
    assert!(!health["reasons"].as_array().unwrap().contains(&json!("agents_missing")), "{health}");

    reconfigure(&mut stack, has(&["ada"]));
    let other = stack.task("in_progress", &["ben"]);
    stack.mention(&other, "ben", "and now?");
    lacks(&stack, &["ben"]);
    reconfigure(&mut stack, has(&["ada", "ben"]));
    assert_eq!(stack.answer_of("ben", &other), "ben answers.");
    stack.settled();
    assert_eq!(stack.health()["delivery"]["dead"], 0);
    assert_eq!((stack.said_by("ben", &task).len(), stack.said_by("ben", &other).len()), (1, 1));
    stack.stop();
}

/// A slug that was changed in Mission Control names an agent that the gateway does not have.
#[test]
fn a_renamed_agent_waits_under_its_new_name() {
    let more = [("AGENT_SYNC_INTERVAL", "5000")];
    let mut stack = Stack::set(&["ada", "ben"], polite, &more);
    stack.board.edit("agents", stack.agent("ben"), json!({"slug": "benny"}));
    lacks(&stack, &["benny"]);
    reconfigure(&mut stack, has(&["ada", "benny"]));
    lacks(&stack, &[]);
    stack.stop();
}

/// Every turn waits, and that is said clearly: the gateway is probably another one.
#[test]
fn a_list_without_any_agent_of_the_account_is_named_as_another_gateway() {
    let mut stack = Stack::at(&["ada", "ben"], has(&["main"]), None, polite);
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "hello");
    let health = lacks(&stack, &["ada", "ben"]);
    let advice = health["gateway"]["missingAgents"]["advice"].as_str().unwrap();
    let words = "it lists none of the account's agents, but main; check that OPENCLAW_GATEWAY_URL names the right gateway";
    assert!(advice.contains(words), "{advice}");
    let (_, doctor) = stack.command(["doctor"]);
    assert!(doctor.contains(words), "{doctor}");
    let log = stack.stop();
    assert!(log.contains("The gateway does not know agents of the account, so their work waits"), "{log}");
}

/// An empty list proves nothing, so it stops no agent.
#[test]
fn a_gateway_that_lists_no_agent_stops_none() {
    let mut stack = Stack::at(&["ada", "ben"], has(&[ANY_AGENT]), None, polite);
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "hello");
    assert_eq!(stack.answer_of("ben", &task), "ben answers.");
    let health = stack.until("no list", |health| health["gateway"]["listsAgents"] == false);
    assert_eq!(health["gateway"]["missingAgents"]["count"], 0);
    let (_, doctor) = stack.command(["doctor"]);
    assert!(doctor.contains("it does not list its agents"), "{doctor}");
    stack.stop();
}
