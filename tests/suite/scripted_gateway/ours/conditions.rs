//! §2, §4, §7 and §8: one agent, phases, cool-down, failing providers, concurrency, disconnects, and observations.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::thread;

use mission_control_runtime::clock::{Clock, Millis};
use mission_control_runtime::demo::gateway::{Fault, Marks, Phase, Prompt, Thought};
use serde_json::json;

use super::super::*;

struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::SeqCst))
    }
}

#[test]
fn a_single_agent_needs_no_name_and_owns_every_key() {
    let only = Options { agents: vec!["main".to_owned()], ..options() };
    let target = Target::ours(only, Directives);
    let headers = [target.bearer(), ("x-openclaw-session-key", "Task:T1:x".to_owned())];
    let body = json!({"model": "openclaw", "input": "SAY hi"}).to_string();
    assert_eq!(target.send(PATH, &headers, &body).unwrap().text(), "hi");
    assert_eq!(target.history("task:t1:x", "").json()["sessionKey"], "agent:main:task:t1:x");
}

#[test]
fn a_disabled_endpoint_is_404() {
    let target = Target::ours(Options { endpoint: false, ..options() }, Directives);
    let answer = target.turn("agent:qa:x", "SAY no", json!({}));
    assert_eq!((answer.status, answer.body.as_str()), (404, "Not Found"));
    assert_eq!(target.get("/v1/models", &[target.bearer()]).status, 404);
    assert_eq!(target.get("/health", &[]).status, 200);
}

#[test]
fn accepts_turns_while_starting_and_none_while_draining() {
    let target = Target::ours(options(), Directives);
    target.gateway().set_phase(Phase::Starting);
    let ready = target.get("/readyz", &[]);
    assert_eq!((ready.status, &ready.json()["failing"]), (503, &json!(["startup-sidecars"])));
    assert_eq!(target.get("/startupz", &[]).status, 503);
    assert_eq!(target.turn("agent:qa:x", "SAY hi", json!({})).text(), "hi");

    thread::scope(|scope| {
        let slow = scope.spawn(|| target.turn("agent:qa:slow", "DELAY 300 SAY done", json!({})).text());
        until("the turn", || target.gateway().observations().in_flight() == 1);
        target.gateway().set_phase(Phase::Draining);
        let ready = target.get("/readyz", &[]);
        assert_eq!((ready.status, &ready.json()["failing"]), (503, &json!(["gateway-draining"])));
        assert_eq!(target.get("/health", &[]).status, 200);
        let refused = [target.turn("agent:qa:x", "SAY no", json!({})), target.history("agent:qa:x", "")];
        for answer in refused {
            let error = &answer.json()["error"];
            assert_eq!((answer.status, &error["code"]), (503, &json!("gateway_unavailable")));
            assert_eq!(error["message"], "Gateway is temporarily unavailable while suspending or restarting");
        }
        assert_eq!(slow.join().unwrap(), "done");
    });
}

#[test]
fn retries_a_refused_key_after_a_minute() {
    let hands = Arc::new(Hands(AtomicI64::new(1_765_526_400_000)));
    let target = Target::ours(Options { clock: hands.clone(), ..options() }, Directives);
    target.turn("agent:qa:a", "FAIL 403 no", json!({}));
    assert_eq!(target.turn("agent:qa:b", "SAY hi", json!({})).failure(), internal_error(500));
    let before = target.gateway().observations().runs();
    assert_eq!(before, 1, "the model is not asked meanwhile");
    hands.0.fetch_add(60_000, Ordering::SeqCst);
    assert_eq!(target.turn("agent:qa:b", "SAY hi", json!({})).text(), "hi");
}

#[test]
fn failing_providers_map_to_statuses() {
    let target = Target::ours(Options { run_timeout: Duration::from_millis(50), ..options() }, Directives);
    let rows = [
        ("FAIL 429 slow down", 429, "rate_limit_error", "429 slow down"),
        ("FAIL 500 boom", 502, "api_error", "upstream provider error"),
        ("FAIL 503 busy", 503, "api_error", "upstream provider overloaded"),
        ("DROP", 408, "api_error", "upstream provider timeout"),
        ("HANG", 500, "api_error", "internal error"),
    ];
    for (asked, status, code, message) in rows {
        let failure = target.turn(&fresh("trouble"), asked, json!({})).failure();
        assert_eq!(failure, (status, code.to_owned(), message.to_owned()), "{asked}");
    }
    let slow =
        Target::ours(Options { provider_patience: Duration::from_millis(300), ..options() }, Directives);
    let began = Instant::now();
    slow.turn(&fresh("slow"), "FAIL 500 boom", json!({}));
    assert!(began.elapsed() >= Duration::from_millis(300));
}

#[test]
fn bounds_the_number_of_concurrent_turns() {
    static NOW: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    let target = Target::ours(Options { max_concurrent: 4, ..options() }, |_: &Prompt| {
        MOST.fetch_max(NOW.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(100));
        NOW.fetch_sub(1, Ordering::SeqCst);
        Thought::say("hi")
    });
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(target.turn(&fresh("many"), "x", json!({})).text(), "hi"));
        }
    });
    assert_eq!(MOST.load(Ordering::SeqCst), 4);
    assert_eq!(
        (target.gateway().observations().most_at_once(), target.gateway().observations().overlaps()),
        (8, 0)
    );
}

#[test]
fn a_second_turn_during_a_sessions_first_turn_fails() {
    let target = Target::ours(options(), Directives);
    thread::scope(|scope| {
        let first = scope.spawn(|| target.turn("agent:qa:fresh", "DELAY 400 SAY one", json!({})).text());
        until("the first", || target.gateway().observations().runs() == 1);
        assert_eq!(target.turn("agent:qa:fresh", "SAY two", json!({})).failure(), internal_error(500));
        assert_eq!(first.join().unwrap(), "one");
    });
    assert_eq!(target.gateway().observations().overlaps(), 1);
}

#[test]
fn a_disconnect_ends_the_turn() {
    let target = Target::ours(options(), |prompt: &Prompt| match prompt.text.as_str() {
        "slow" => Thought::say("late").after(GUARD),
        "drip" => Thought::say("a b c d e f g h").dripping(GUARD),
        _ => Thought::say(prompt.as_read()),
    });
    for text in ["slow", "drip"] {
        let session = fresh("gone");
        let headers = [target.bearer(), ("x-openclaw-session-key", session.clone())];
        let body = engineers(text, json!({"stream": true})).to_string();
        let response = target.start(PATH, &headers, &body).unwrap();
        until("the turn", || target.gateway().observations().in_flight() == 1);
        drop(response);
        until("the end of the turn", || target.gateway().observations().in_flight() == 0);
        let items = || target.history(&session, "").json()["items"].clone();
        assert_eq!((items().as_array().unwrap().len(), &items()[0]["content"]), (1, &json!(text)));
        let said = target.turn(&session, "now", json!({})).text();
        assert!(
            said.starts_with("[Queued user message from") && said.ends_with(&format!("]\n{text}\n\nnow")),
            "{said}"
        );
        assert_eq!((items().as_array().unwrap().len(), &items()[0]["content"]), (2, &json!("now")));
    }
}

#[test]
fn the_model_receives_the_whole_prompt_and_calls_are_counted() {
    let target = Target::ours(options(), |prompt: &Prompt| {
        let tools: Vec<&str> = prompt.tools.iter().map(|tool| tool.name.as_str()).collect();
        let outputs: Vec<String> = prompt.outputs().map(|(id, text)| format!("{id}={text}")).collect();
        let turns = prompt.transcript.len();
        let seen = format!("{} {} {tools:?} {outputs:?} {turns}", prompt.agent, prompt.instructions);
        if prompt.text == "call" { Thought::call("a", &json!({"x": 1})) } else { Thought::say(seen) }
    });
    let session = "agent:qa:seen";
    let more = json!({"instructions": "Be short.", "tools": [tool("a")]});
    assert_eq!(target.turn(session, "[n-7 try 1] x", more.clone()).text(), "qa Be short. [\"a\"] [] 1");
    let call = target.turn(session, "call", more.clone()).calls().remove(0);
    let id = call["call_id"].as_str().unwrap().to_owned();
    let answer = target.turn(session, json!([output(&call, "R")]), more);
    assert_eq!(answer.text(), format!("qa Be short. [\"a\"] [\"{id}=R\"] 6"));
    target.gateway().faults().next(Fault::LoseAnswer);
    assert!(target.try_turn(session, "[n-7 try 2] x", json!({})).is_err());

    let observations = target.gateway().observations();
    assert_eq!(
        (observations.posts(), observations.runs(), observations.turns(session), observations.in_flight()),
        (4, 4, 4, 0)
    );
    assert_eq!(observations.marks("n-7"), Marks { posts: 2, runs: 2, answers: 2, resumptions: 0 });
    assert_eq!(
        (observations.markers().len(), observations.overlaps(), observations.requests().len()),
        (1, 0, 4)
    );
    let first = &observations.requests()[0];
    assert_eq!(
        (first.session.as_str(), first.agent.as_str(), first.tools.join(",")),
        (session, "qa", "a".to_owned())
    );
}

#[test]
fn does_not_delegate_a_tool_that_was_not_offered() {
    let target = Target::ours(options(), |prompt: &Prompt| match prompt.outputs().next() {
        Some((_, output)) => Thought::say(output),
        None => Thought::call("nope", &json!({})),
    });
    let answer = target.turn("agent:qa:nope", "x", json!({"tools": [tool("a")]}));
    assert_eq!(answer.text(), "Tool nope not found");
    let stubborn = Target::ours(options(), |_: &Prompt| Thought::call("nope", &json!({})));
    assert_eq!(stubborn.turn("agent:qa:nope", "x", json!({})).failure(), internal_error(500));
}

#[test]
fn bounds_its_memory_as_configured() {
    let target = Target::ours(Options { transcript: 4, requests: 3, ..options() }, Directives);
    for number in 0..20 {
        target.turn("agent:qa:long", format!("SAY {number}"), json!({}));
    }
    let items = target.history("agent:qa:long", "").json()["items"].clone();
    let seqs: Vec<u64> =
        items.as_array().unwrap().iter().map(|item| item["__openclaw"]["seq"].as_u64().unwrap()).collect();
    assert!((4..8).contains(&seqs.len()) && seqs.last() == Some(&40), "{seqs:?}");
    assert_eq!(target.gateway().observations().requests().len(), 3);
    let none = Target::ours(Options { transcript: 0, requests: 0, ..options() }, Directives);
    none.turn("agent:qa:x", "SAY hi", json!({}));
    assert_eq!(
        (none.history("agent:qa:x", "").status, none.gateway().observations().requests().len()),
        (404, 0)
    );
}
