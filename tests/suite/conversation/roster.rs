//! Changes of agents in Mission Control, seen by the running program.

use std::sync::{Arc, Mutex};

use mission_control_runtime::demo::gateway::{Prompt, Thought};
use serde_json::{Value, json};

use super::processes::Stack;
use super::wakes::tell;

fn polite(prompt: &Prompt) -> Thought {
    Thought::say(format!("{} answers.", prompt.agent))
}

/// The intervals of an hour, so that only a request fetches the roster.
const HOURLY: (&str, &str) = ("AGENT_SYNC_INTERVAL", "3600000");

fn heartbeat_of(health: &Value, slug: &str) -> Value {
    let agents = health["heartbeat"]["agents"].as_array().unwrap();
    agents.iter().find(|agent| agent["agent"] == slug).cloned().unwrap_or_default()
}

/// The delivery for an agent that the roster does not have fetches the roster at once, for all its users.
#[test]
fn a_new_agent_is_in_the_roster_as_soon_as_something_names_it() {
    let mut stack = Stack::set(&["ben"], polite, &[HOURLY, ("HEARTBEAT_MODE", "gated")]);
    stack.until("the roster", |health| health["heartbeat"]["scheduledAgents"] == 1);
    stack.hire("ada");
    let task = stack.task("in_progress", &["ada"]);
    stack.mention(&task, "ada", "hello");
    assert_eq!(stack.answer_of("ada", &task), "ada answers.");
    let health = stack.until("both agents", |health| health["agentSync"]["agents"] == 2);
    assert_eq!(
        (&health["agentSync"]["addedCount"], &health["agentSync"]["stale"]),
        (&json!(1), &json!(false))
    );
    stack.until("a heartbeat of the new one", |health| health["heartbeat"]["scheduledAgents"] == 2);
    stack.stop();
}

/// A renamed slug, a changed interval and a removed agent need no restart.
#[test]
fn changes_of_agents_need_no_restart() {
    let more = [("AGENT_SYNC_INTERVAL", "5000"), ("HEARTBEAT_MODE", "gated")];
    let mut stack = Stack::set(&["ben", "ada"], polite, &more);
    stack.until("the roster", |health| heartbeat_of(health, "ben")["intervalSeconds"] == 900.0);
    stack.board.edit("agents", stack.agent("ben"), json!({"slug": "benny", "heartbeatInterval": 60}));
    stack.until("the new name", |health| heartbeat_of(health, "benny")["intervalSeconds"] == 3_600.0);
    stack.board.person("agents:remove", json!({"agentId": stack.agent("ada")})).unwrap();
    let health = stack.until("one agent", |health| health["agentSync"]["agents"] == 1);
    assert_eq!(
        (&health["agentSync"]["removedCount"], &heartbeat_of(&health, "ada")),
        (&json!(1), &Value::Null)
    );
    stack.stop();
}

/// Unusable agents are named with their reasons, and the others work on.
#[test]
fn unusable_agents_are_named_and_the_others_work_on() {
    let slugs = ["blank", "path", "long", "twin", "zero", "huge", "ben"];
    let more = [("AGENT_SYNC_INTERVAL", "5000"), ("HEARTBEAT_MODE", "gated")];
    let mut stack = Stack::set(&slugs, polite, &more);
    let long = "x".repeat(10_240);
    for (slug, fields) in [
        ("blank", json!({"slug": " "})),
        ("path", json!({"slug": "../../etc"})),
        ("long", json!({"slug": long})),
        ("twin", json!({"slug": "BEN"})),
        ("zero", json!({"heartbeatInterval": 0})),
        ("huge", json!({"heartbeatInterval": 1e9})),
    ] {
        stack.board.edit("agents", stack.agent(slug), fields);
    }
    let health = stack.until("all problems", |health| health["agentSync"]["problemCount"] == 6);
    assert_eq!((&health["status"], &health["reasons"]), (&json!("degraded"), &json!(["agents_unusable"])));
    let problems = health["agentSync"]["problems"].to_string();
    for words in [
        "the slug is blank",
        "../../etc",
        "more than 64 characters",
        "has the same slug",
        "it is shorter than 1 minute: 1 minute is used",
        "it is longer than 24 hours: 24 hours are used",
        // A note: the account works without one.
        "the account has none, so no agent follows up",
    ] {
        assert!(problems.contains(words), "{words}: {problems}");
    }
    assert!(problems.len() < 2_000, "long slugs are cut: {problems}");
    assert_eq!(stack.account()["runtimeStatus"], "online", "the account as a whole is not affected");
    let (_, doctor) = stack.command(["doctor"]);
    assert!(doctor.contains("agents          note") && doctor.contains("the slug is blank"), "{doctor}");
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "hello");
    assert_eq!(stack.answer_of("ben", &task), "ben answers.");
    let lines = stack.stop();
    assert_eq!(lines.matches("An agent in Mission Control needs attention").count(), 6, "each once: {lines}");
}

/// One incomplete list may be a mistake of the backend. An agent with another slug is the same agent.
#[test]
fn an_incomplete_list_and_a_new_slug_lose_no_events() {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let prompts = asked.clone();
    let mind = move |prompt: &Prompt| {
        prompts.lock().unwrap().push(prompt.text.clone());
        if prompt.text.contains("Heartbeat. Current time:") {
            Thought::say("HEARTBEAT_OK")
        } else {
            polite(prompt)
        }
    };
    let more = [HOURLY, ("HEARTBEAT_MODE", "gated"), ("AGENT_API_TOKENS", "false")];
    let mut stack = Stack::set(&["ben", "ada"], mind, &more);
    stack.until("the roster", |health| health["heartbeat"]["scheduledAgents"] == 2);
    let account = stack.board.account.clone();
    let session = |slug: &str| format!("agent:{slug}:{account}");
    for slug in ["ben", "ada"] {
        tell(&stack, "wake", &session(slug), &json!({"text": "Begin."}));
    }
    // Both figures are of one moment: `/health` may be a little older than the wakes.
    stack.until("the first heartbeats", |health| {
        health["heartbeat"]["beats"]["prompted"] == 2 && health["heartbeat"]["eventsWaiting"] == 0
    });
    for slug in ["ben", "ada"] {
        let answer = tell(&stack, "event", &session(slug), &json!({"text": format!("Note of {slug}.")}));
        assert_eq!(answer["kept"], json!(true));
    }
    // A delivery for a new agent requests the roster.
    let fetch = |stack: &mut Stack, newcomer: &str| {
        stack.hire(newcomer);
        let task = stack.task("in_progress", &[newcomer]);
        stack.mention(&task, newcomer, "hello");
        stack.until("the new agent", |health| heartbeat_of(health, newcomer)["agent"] == newcomer);
        assert_eq!(stack.answer_of(newcomer, &task), format!("{newcomer} answers."));
    };
    let ada = stack.agent("ada").to_owned();
    stack.board.edit("agents", &ada, json!({"accountId": "another"}));
    fetch(&mut stack, "carl");
    stack.until("the incomplete roster", |health| health["agentSync"]["addedCount"] == 1);
    assert_eq!(stack.health()["heartbeat"]["eventsWaiting"], json!(2));
    let problems = stack.health()["agentSync"]["problems"].to_string();
    assert!(problems.contains("the newest list of agents lacks it"), "{problems}");

    stack.board.edit("agents", &ada, json!({"accountId": account}));
    stack.board.edit("agents", stack.agent("ben"), json!({"slug": "benny"}));
    stack.add_to_gateway("benny");
    fetch(&mut stack, "dora");
    stack.until("the complete roster", |health| health["agentSync"]["agents"] == 4);
    for slug in ["benny", "ada"] {
        tell(&stack, "wake", &session(slug), &json!({"text": "Look."}));
    }
    let health = stack.until("the woken heartbeats", |health| health["heartbeat"]["eventsWaiting"] == 0);
    assert_eq!(health["heartbeat"]["eventsDropped"], json!(0));
    let asked = asked.lock().unwrap();
    for note in ["Note of ben.", "Note of ada."] {
        assert_eq!(asked.iter().filter(|text| text.contains(note)).count(), 1, "{note}");
    }
    stack.stop();
}
