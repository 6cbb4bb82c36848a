//! `demo --gateway URL`: another gateway, and the limit of turns.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use mission_control_runtime::demo::gateway::{
    self, BODY_BYTES, Fault, Options, Prompt, ScriptedGateway, Thought,
};
use mission_control_runtime::http::server::{Server, ServerLimits};
use serde_json::json;

use super::{PATIENCE, Visitor};
use crate::support::program::{Program, get};

const TOKEN: &str = "the-token-of-this-gateway";
/// More turns than the demo's first deliveries need without tools, and fewer than with them.
const TURNS: u64 = 7;

/// An agent that never stops to load its task.
fn busy(prompt: &Prompt) -> Thought {
    let task = prompt.session.split(':').nth(3).unwrap_or_default();
    Thought::call("task_load", &json!({"taskId": task})).after(Duration::from_millis(20))
}

/// Tool rounds, refused requests and a killed runtime all count.
#[test]
fn no_more_turns_than_permitted_reach_the_gateway() {
    let options = Options {
        token: Some(TOKEN.to_owned()),
        agents: vec!["main".to_owned(), gateway::ANY_AGENT.to_owned()],
        fresh_sessions_conflict: false,
        ..Options::default()
    };
    let scripted = ScriptedGateway::new(options, Arc::new(busy));
    let shared = scripted.clone();
    let limits = ServerLimits::default().with_body_limit(gateway::PATH, BODY_BYTES);
    let server = Server::bind_refusing("127.0.0.1:0", limits, ScriptedGateway::refuse, move |request| {
        shared.answer(&request)
    });
    let server = server.unwrap();
    let url = format!("http://{}", server.local_addr());
    scripted.faults().next(Fault::LoseAnswer);

    let turns = TURNS.to_string();
    let program = Program::new(["demo", "--port", "0", "--gateway", &url, "--turns", &turns]);
    let mut visitor = Visitor::of(program.with("OPENCLAW_GATEWAY_TOKEN", TOKEN));
    let until = Instant::now() + PATIENCE;
    while scripted.observations().posts() < TURNS / 2 {
        assert!(Instant::now() < until, "{} turns", scripted.observations().posts());
        thread::sleep(Duration::from_millis(5));
    }
    let killed = std::process::Command::new("kill").args(["-KILL", &visitor.runtime()]).status();
    assert!(killed.unwrap().success());
    visitor.program.wait_for_log("is started again");
    let address = visitor.program.address();
    visitor.program.wait_for_log("Turn limit reached");
    let health = loop {
        let health = get(&address, "/health").1;
        if health.contains("turn_limit_reached") {
            break health;
        }
        assert!(Instant::now() < until, "{health}");
        thread::sleep(Duration::from_millis(50));
    };
    assert!(health.contains("7 turns were sent"), "{health}");
    visitor.program.signal("TERM");
    let (code, log) = visitor.program.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("Stopped: all permitted turns are sent"), "{log}");
    assert!(!log.contains(TOKEN), "the token is no part of the log: {log}");
    let posts = scripted.observations().posts();
    // A kill between the count and the request loses at most the requests that were about to leave.
    assert!((TURNS - 5..=TURNS).contains(&posts), "{posts} turns reached the gateway");
    scripted.end();
    server.stop(Duration::ZERO);
}
