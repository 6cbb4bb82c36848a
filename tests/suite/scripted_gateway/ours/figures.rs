//! Turns per second. `cargo test … -- --nocapture figures` prints the figures.

use std::thread;

use mission_control_runtime::demo::gateway::{Prompt, Thought};
use mission_control_runtime::http::message::{Header, Method, Request};
use serde_json::json;

use super::super::*;

const TURNS: u32 = 4_000;

fn request(session: u32) -> Request {
    let header = |text: String| text.parse::<Header>().unwrap();
    let headers = [
        header(format!("authorization: Bearer {TOKEN}")),
        header(format!("x-openclaw-session-key: agent:qa:task:{session}")),
    ];
    let body = json!({"model": "openclaw/qa", "input": "[n-1 try 1] hello", "instructions": "Be short.", "tools": [tool("a")]});
    Request::new(Method::Post, PATH).with_headers(headers).with_body(body.to_string())
}

#[test]
#[allow(clippy::print_stdout, reason = "figures are for people")]
fn instant_turns_are_quick() {
    for (kept, name) in [(1_000, "with memory"), (0, "without memory")] {
        let gateway = ScriptedGateway::new(
            Options { transcript: kept, ..options() },
            Arc::new(|_: &Prompt| Thought::say("hello back")),
        );
        let began = Instant::now();
        thread::scope(|scope| {
            for session in 0..2 {
                let gateway = &gateway;
                scope.spawn(move || {
                    let request = request(session);
                    (0..TURNS / 2).for_each(|_| assert_eq!(gateway.answer(&request).status(), 200));
                });
            }
        });
        let rate = f64::from(TURNS) / began.elapsed().as_secs_f64();
        println!("{name}: {rate:.0} turns/s");
        // Far below the measured rate, since tests are not optimized and run concurrently on a loaded machine.
        assert!(rate > 40.0, "{rate}");
    }
}

#[test]
#[allow(clippy::print_stdout, reason = "figures are for people")]
fn instant_turns_as_events_over_sockets_are_quick() {
    const CLIENTS: u32 = 4;
    let target = Target::ours(options(), |_: &Prompt| Thought::say("hello back"));
    let began = Instant::now();
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let target = &target;
            scope.spawn(move || {
                let session = format!("agent:qa:task:{client}");
                for _ in 0..TURNS / 4 / CLIENTS {
                    assert!(target.events(&session, "[n-1 try 1] hello", json!({})).whole);
                }
            });
        }
    });
    let rate = f64::from(TURNS / 4) / began.elapsed().as_secs_f64();
    println!("events over {CLIENTS} sockets, client and server in one process: {rate:.0} turns/s");
    assert!(rate > 10.0, "{rate}");
    assert_eq!(
        (target.gateway().observations().posts(), target.gateway().observations().overlaps()),
        (u64::from(TURNS / 4), 0)
    );
}
