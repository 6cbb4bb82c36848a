//! The whole of it: the program as a process between the embedded Mission Control and the scripted gateway.

/// The three of them, started and joined.
mod house;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mission_control_runtime::demo::gateway::{Fault, Prompt, Thought};
use serde_json::{Value, json};

use crate::support::team::gone;
use house::House;

/// What every agent here says unless a test wants something else.
fn polite(prompt: &Prompt) -> Thought {
    Thought::say(format!("{} answers.", prompt.agent))
}

#[test]
fn a_mention_becomes_an_answer_and_health_tells_of_it() {
    let mut house = House::new(&["ben", "ada"], polite);
    let task = house.task("assigned", &["ben"]);
    house.mention(&task, "ben", "what do you think?");
    assert_eq!(house.answer_of("ben", &task), "ben answers.");
    house.settled();
    let health = house.health();
    assert_eq!((&health["status"], &health["reasons"]), (&json!("healthy"), &json!([])), "{health}");
    assert_eq!(health["delivery"]["ended"]["answered"], 1, "{health}");
    assert_eq!((&health["gateway"]["running"], &health["gateway"]["sessions"]), (&json!(true), &json!(1)));
    assert_eq!(health["versions"]["openclaw"], "2026.9.6", "the gateway tells its release");
    assert_eq!(health["agentSync"]["agents"], 2);
    assert!(health["memory"]["rss"].as_u64().unwrap() > 1_000_000);
    for field in [
        "lastDelivery",
        "delivered",
        "failed",
        "consecutiveFailures",
        "lastErrorAt",
        "lastErrorMessage",
        "noResponseTerminalSkipCount",
        "requiredNotificationRetryExhaustedCount",
        "taskLessReplies",
        "config",
    ] {
        assert!(health["delivery"].get(field).is_some(), "{field}");
    }
    assert_eq!(house.account()["runtimeStatus"], "online");
    let log = house.stop();
    assert!(log.contains("stopped"), "{log}");
    assert_eq!(house.account()["runtimeStatus"], "offline", "nobody types any more");
    assert_eq!(house.gateway().overlaps(), 0);
}

/// §3.8 of the gateway's file: sessions are named by the table of the design, lower-cased, by way of the agent.
#[test]
fn sessions_have_the_agents_name_in_front() {
    let house = House::new(&["ben"], polite);
    let task = house.task("assigned", &["ben"]);
    house.mention(&task, "ben", "hello");
    house.answer_of("ben", &task);
    let seen = house.gateway().requests();
    assert_eq!(seen[0].session, format!("agent:ben:task:{task}:{}:v1", house.board.account).to_lowercase());
    assert_eq!(seen[0].agent, "ben");
}

/// Every fault of the gateway at the same time, each in a session of its own: each is that row's own problem, nothing
/// of it is posted, and the others do not wait for it.
#[test]
fn a_gateway_that_misbehaves_in_one_session_disturbs_no_other() {
    let faults = [
        ("html", Fault::Html),
        ("bad-gateway", Fault::BadGateway),
        ("hang-up", Fault::HangUp),
        ("lose-answer", Fault::LoseAnswer),
        ("half-answer", Fault::HalfAnswer),
        ("cut-after", Fault::CutAfter(5)),
        ("huge", Fault::Huge(100 * 1024 * 1024)),
        ("endless", Fault::Endless),
        ("not-json", Fault::NotJson),
        ("append-only", Fault::AppendOnly),
        ("failed", Fault::Failed("api_error", "internal error")),
        ("unknown-tool", Fault::UnknownTool),
        ("same-ids", Fault::SameCallIds),
        ("broken-args", Fault::BrokenArguments),
        ("extra-items", Fault::ExtraItems),
    ];
    let names: Vec<&str> = faults.iter().map(|(name, _)| *name).chain(["good", "late"]).collect();
    let house = House::new(&names, |prompt: &Prompt| {
        let calls = ["same-ids", "broken-args"].contains(&prompt.agent.as_str());
        if calls && prompt.outputs().next().is_none() {
            return Thought::call("get_agent_skills", &json!({}));
        }
        polite(prompt)
    });
    let mut tasks = BTreeMap::new();
    for (name, fault) in faults {
        let task = house.task("assigned", &[name]);
        let session = format!("agent:{name}:task:{task}:{}:v1", house.board.account);
        house.faults().next_in(&session, fault);
        house.mention(&task, name, "hello");
        tasks.insert(name, task);
    }
    let began = Instant::now();
    let good = house.task("assigned", &["good"]);
    house.mention(&good, "good", "hello");
    house.answer_of("good", &good);
    // A page in place of an answer closes the gate until a probe has found the gateway behind it.
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());

    for (name, task) in &tasks {
        assert_eq!(house.answer_of(name, task), format!("{name} answers."), "in the end, and nothing else");
    }
    let late = house.task("assigned", &["late"]);
    let began = Instant::now();
    house.mention(&late, "late", "hello");
    house.answer_of("late", &late);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(house.gateway().overlaps(), 0, "never two turns of a session at once");
}

/// Rows that nobody can answer are settled with their reason, and the rest goes on.
#[test]
fn rows_whose_agent_or_task_is_gone_are_settled_and_counted() {
    let house = House::new(&["ben"], polite);
    let (task, other) = (house.task("assigned", &["ben"]), house.task("archived", &["ben"]));
    house.board.notification(&gone(&house.board.account.replacen('k', "j", 1)), json!({"taskId": task}));
    house.board.notification(house.agent("ben"), json!({"taskId": gone(&task)}));
    house.board.notification(house.agent("ben"), json!({"taskId": other}));
    house.mention(&task, "ben", "hello");
    assert_eq!(house.answer_of("ben", &task), "ben answers.");
    house.settled();
    let health = house.health();
    assert_eq!(health["delivery"]["ended"], json!({"answered": 1, "skipped": 3}), "{health}");
    assert_eq!(health["delivery"]["delivered"], 4);
    assert_eq!(health["delivery"]["skipped"].as_object().unwrap().len(), 3, "{health}");
}

/// Agents that answer each other do not wait for polls: each hop is one list at once.
#[test]
fn five_agents_in_a_chain_answer_within_a_moment() {
    let names = ["one", "two", "three", "four", "five"];
    let house = House::slow_polls(&names, |prompt: &Prompt| {
        let next = match prompt.agent.as_str() {
            "one" => "two",
            "two" => "three",
            "three" => "four",
            "four" => "five",
            _ => return Thought::say("The end."),
        };
        if prompt.outputs().next().is_none() && prompt.offers("response_request") {
            return Thought::call(
                "response_request",
                &json!({"recipientSlugs": [next], "message": "Your turn."}),
            );
        }
        Thought::say(format!("Over to {next}."))
    });
    let task = house.task("in_progress", &names);
    house.mention(&task, "one", "begin");
    let began = Instant::now();
    for name in names {
        house.answer_of(name, &task);
    }
    // The list interval is a minute here; four hops by polls would take minutes.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn a_nudge_is_for_this_machine_has_no_body_and_is_cheap() {
    let house = House::new(&["ben"], polite);
    let rows: [(&str, &str, &str, u16); 5] = [
        ("POST", "/nudge", "", 202),
        ("POST", "/nudge", "{}", 400),
        ("GET", "/nudge", "", 405),
        ("POST", "/nudges", "", 404),
        ("POST", "/health", "", 405),
    ];
    for (method, path, body, status) in rows {
        assert_eq!(house.ask(method, path, body), status, "{method} {path} {body:?}");
    }
    let before = house.lists();
    for _ in 0..200 {
        assert_eq!(house.ask("POST", "/nudge", ""), 202);
    }
    let took = house.lists() - before;
    assert!(took >= 1, "a nudge makes a list");
}

/// Without a gateway nothing is lost and health says why; with it the backlog is worked off.
#[test]
fn without_a_gateway_rows_wait_and_health_says_why() {
    let mut house = House::without_gateway(&["ben"]);
    let task = house.task("assigned", &["ben"]);
    house.mention(&task, "ben", "hello");
    house.hear("nobody answers at the gateway's address");
    let health = house.health();
    assert_eq!(health["status"], "degraded");
    assert!(health["reasons"].as_array().unwrap().contains(&json!("gateway_unreachable")), "{health}");
    let waiting: Vec<Value> = house.undelivered();
    assert_eq!(waiting.len(), 1, "it still waits");
    house.stop();
}
