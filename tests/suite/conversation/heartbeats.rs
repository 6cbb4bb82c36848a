//! Heartbeats through the program, with the embedded Mission Control and the scripted gateway.

use std::sync::{Arc, Mutex};

use mission_control_runtime::demo::gateway::{Prompt, Thought};
use serde_json::{Value, json};

use super::operator::as_operator;
use super::processes::Stack;
use super::wakes::tell;

/// Agents with nothing to report, and the questions that they got.
fn idle_agents(slugs: &[&str]) -> (Stack, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let questions = asked.clone();
    let mind = move |prompt: &Prompt| {
        questions.lock().unwrap().push(prompt.text.clone());
        Thought::say("HEARTBEAT_OK")
    };
    let more = [("HEARTBEAT_MODE", "gated"), ("AGENT_API_TOKENS", "false")];
    (Stack::set(slugs, mind, &more), asked)
}

fn prompted(health: &Value) -> u64 {
    health["heartbeat"]["beats"]["prompted"].as_u64().unwrap()
}

/// No message came, and still the agent was asked and is online.
#[test]
fn an_agent_without_messages_has_a_heartbeat_and_is_online() {
    let (mut stack, asked) = idle_agents(&["ben"]);
    let health = stack.until("the first heartbeat", |health| prompted(health) == 1);
    let beats = &health["heartbeat"];
    assert_eq!(
        (&beats["running"], &beats["scheduledAgents"], &beats["mode"]),
        (&json!(true), &json!(1), &json!("gated"))
    );
    assert_eq!((&beats["beats"]["didWork"], &beats["agents"][0]["agent"]), (&json!(0), &json!("ben")));
    assert!(beats["agents"][0]["nextAt"].is_number(), "{beats}");
    assert_eq!(health["delivery"]["ended"], json!({}), "heartbeats are counted apart");
    let row = stack.board.row("agents", stack.agent("ben"));
    assert_eq!((&row["status"], row["lastHeartbeat"].is_number()), (&json!("online"), true));
    let (_, status) = stack.command(["status"]);
    assert!(status.contains("1 sent, 0 did work, 0 saved; 1 agent scheduled"), "{status}");
    assert!(asked.lock().unwrap()[0].contains("Heartbeat. Current time:"));
    stack.stop();
}

/// A wake begins a heartbeat with the event. After a SIGKILL nothing is shown again, and no turn is paid for twice.
#[test]
fn a_wake_begins_a_heartbeat_that_shows_its_event_once_also_across_a_kill() {
    let (mut stack, asked) = idle_agents(&["ben"]);
    stack.until("the first heartbeat", |health| prompted(health) == 1);
    let own = format!("system:agent:ben:{}:v1", stack.board.account);
    tell(&stack, "wake", &own, &json!({"text": "The build is red."}));
    stack.until("the woken heartbeat", |health| {
        prompted(health) == 2 && health["heartbeat"]["eventsWaiting"] == 0
    });
    stack.kill_and_start();
    stack.until("the roster", |health| health["heartbeat"]["scheduledAgents"] == 1);
    tell(&stack, "wake", &own, &json!({"text": "The build is green."}));
    // A wake follows another one after a pause.
    stack.until("the next woken heartbeat", |_| asked.lock().unwrap().len() == 3);
    stack.until("no waiting event", |health| health["heartbeat"]["eventsWaiting"] == 0);
    let asked = asked.lock().unwrap();
    let showing = |text: &str| asked.iter().filter(|question| question.contains(text)).count();
    assert_eq!(
        (showing("The build is red."), showing("The build is green."), asked.len()),
        (1, 1, 3),
        "{asked:?}"
    );
}

/// A heartbeat of a paused agent has not started: the page says why.
#[test]
fn a_held_heartbeat_is_shown_with_its_reason() {
    let (mut stack, asked) = idle_agents(&["ben"]);
    stack.until("the first heartbeat", |health| prompted(health) == 1);
    assert_eq!(as_operator(&stack, "POST", "/pause", r#"{"agent": "ben"}"#).0, 200);
    let own = format!("system:agent:ben:{}:v1", stack.board.account);
    tell(&stack, "wake", &own, &json!({"text": "The build is red."}));
    let waits = |stack: &Stack| {
        let shown = as_operator(stack, "GET", "/overview", "").1["agents"]["shown"].take();
        shown[0]["heartbeatWaits"].as_str().map(str::to_owned)
    };
    let mut why = None;
    stack.until("the held heartbeat", |_| {
        why = waits(&stack);
        why.is_some()
    });
    let why = why.unwrap();
    assert!(why.contains("paused"), "{why}");
    assert_eq!(as_operator(&stack, "POST", "/resume", r#"{"agent": "ben"}"#).0, 200);
    stack.until("the woken heartbeat", |health| prompted(health) == 2);
    assert!(waits(&stack).is_none() && asked.lock().unwrap().len() == 2);
    stack.stop();
}

/// A stop ends the running turn of the heartbeat that is about the task, and `why` says so.
#[test]
fn a_stop_of_a_task_ends_the_heartbeat_that_is_about_it() {
    let mind = |prompt: &Prompt| {
        if prompt.text.contains("Focus Task ID:") { Thought::hang() } else { Thought::say("HEARTBEAT_OK") }
    };
    let more = [("HEARTBEAT_MODE", "gated"), ("AGENT_API_TOKENS", "false")];
    let mut stack = Stack::set(&["ben"], mind, &more);
    stack.until("the first heartbeat", |health| prompted(health) == 1);
    let task = stack.task("in_progress", &["ben"]);
    let own = format!("system:agent:ben:{}:v1", stack.board.account);
    tell(&stack, "wake", &own, &json!({"text": "Continue."}));
    stack.until("the turn", |_| stack.gateway().in_flight() == 1);
    stack.board.person("tasks:pauseAgents", json!({"taskId": task})).unwrap();
    assert_eq!(stack.ask("POST", "/nudge", ""), 202);
    let mut stopped = Vec::new();
    stack.until("its record", |_| {
        let recent = as_operator(&stack, "GET", "/deliveries", "").1["recent"].take();
        let of_stops = |one: &&Value| one["state"] == "stopped" && one["kind"] == "heartbeat";
        stopped = recent.as_array().unwrap().iter().filter(of_stops).cloned().collect();
        !stopped.is_empty()
    });
    assert_eq!(stopped.len(), 1, "{stopped:?}");
    let (_, why) = stack.command(["why", stopped[0]["id"].as_str().unwrap()]);
    assert!(why.contains("person stopped the work on a task of this heartbeat"), "{why}");
    assert!(stack.said_by("ben", &task).is_empty());
    assert_eq!(stack.health()["heartbeat"]["agents"][0]["failed"], json!(0));
    // The next heartbeat shows the event again.
    assert_eq!(stack.health()["heartbeat"]["eventsWaiting"], json!(1));
    stack.stop();
}
