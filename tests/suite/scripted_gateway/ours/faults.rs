//! Every fault as a client sees it, and how far the turn got.

use std::thread;

use mission_control_runtime::demo::gateway::Fault;
use serde_json::json;

use super::super::*;

fn ours() -> Target {
    Target::ours(options(), Directives)
}

/// One turn with a fault, as events or not. Also returns the number of calls of the model.
fn under(fault: &Fault, stream: bool, input: &str) -> (Result<Answer, ureq::Error>, u64) {
    let target = ours();
    target.gateway().faults().next(fault.clone());
    let more = json!({"stream": stream, "tools": [tool("a"), tool("b")]});
    let answer = target.try_turn("agent:qa:x", input, more);
    (answer, target.gateway().observations().runs())
}

#[test]
fn a_refused_request_does_not_run() {
    let wait = Duration::from_secs(7);
    for stream in [false, true] {
        for (fault, status) in
            [(Fault::Html, 200), (Fault::BadGateway, 502), (Fault::TooManyLogins(wait), 429)]
        {
            let (answer, runs) = under(&fault, stream, "SAY hi");
            let answer = answer.unwrap();
            assert_eq!((answer.status, runs), (status, 0), "{fault:?}");
            if fault == Fault::TooManyLogins(wait) {
                assert_eq!(answer.header("retry-after"), "7");
                assert_eq!(answer.refusal().0, 429);
            } else {
                assert!(serde_json::from_str::<Value>(&answer.body).is_err());
            }
        }
        let (answer, runs) = under(&Fault::HangUp, stream, "SAY hi");
        assert!(answer.is_err() && runs == 0);
    }
}

#[test]
fn a_lost_answer_is_in_the_history() {
    for stream in [false, true] {
        for fault in
            [Fault::LoseAnswer, Fault::HalfAnswer, Fault::CutAfter(2), Fault::NotJson, Fault::AppendOnly]
        {
            let target = ours();
            target.gateway().faults().next(fault.clone());
            let answer = target.try_turn("agent:qa:x", "SAY hi", json!({"stream": stream}));
            match (&fault, answer) {
                (Fault::LoseAnswer, answer) => assert!(answer.is_err()),
                (Fault::HalfAnswer | Fault::CutAfter(_), answer) => {
                    let answer = answer.unwrap();
                    assert!(answer.status == 200 && !answer.whole && !answer.body.is_empty(), "{answer:?}");
                }
                (Fault::NotJson, answer) => {
                    let answer = answer.unwrap();
                    assert!(answer.whole && serde_json::from_str::<Value>(&answer.body).is_err());
                }
                (_, answer) => {
                    let answer = answer.unwrap();
                    if stream {
                        let sentence =
                            "Assistant output cannot be represented as an append-only response stream.";
                        assert_eq!(answer.failure(), (200, "server_error".into(), sentence.into()));
                    }
                }
            }
            let items = target.history("agent:qa:x", "").json()["items"].clone();
            assert_eq!(items[1]["content"][0]["text"], "hi", "{fault:?}");
        }
    }
    let target = ours();
    target.gateway().faults().next(Fault::CutAfter(2));
    let cut = target.try_turn("agent:qa:x", "SAY hi", json!({"stream": true})).unwrap();
    assert_eq!(events(&cut.body).len(), 2);
}

#[test]
fn a_stalled_request_continues_on_release() {
    for (fault, stream) in [
        (Fault::StallBefore, false),
        (Fault::StallAfter, false),
        (Fault::StallBefore, true),
        (Fault::StallAfter, true),
    ] {
        let target = ours();
        let before = fault == Fault::StallBefore;
        target.gateway().faults().next_in("agent:qa:x", fault);
        thread::scope(|scope| {
            let held = scope.spawn(|| target.turn("agent:qa:x", "SAY hi", json!({"stream": stream})).text());
            assert_eq!(target.turn("agent:qa:other", "SAY free", json!({})).text(), "free");
            let runs = if before { 1 } else { 2 };
            until("the turn", || target.gateway().observations().runs() == runs);
            // Proves over time that the held turn neither ends nor runs again.
            thread::sleep(Duration::from_millis(60));
            assert!(!held.is_finished());
            assert_eq!(target.gateway().observations().runs(), runs);
            target.gateway().faults().release();
            assert_eq!(held.join().unwrap(), "hi");
        });
    }
}

#[test]
fn sends_slow_large_and_endless_responses() {
    for stream in [false, true] {
        let began = Instant::now();
        let (answer, _) = under(&Fault::SlowFirstByte(Duration::from_millis(150)), stream, "SAY hi");
        assert!(answer.unwrap().text() == "hi" && began.elapsed() >= Duration::from_millis(150));
        let (answer, _) = under(&Fault::Huge(3_000_000), stream, "SAY hi");
        assert_eq!(answer.unwrap().text().len(), 3_000_002);

        let target = ours();
        target.gateway().faults().next(Fault::Endless);
        let headers = [target.bearer(), ("x-openclaw-session-key", "agent:qa:x".to_owned())];
        let response = target
            .start(PATH, &headers, &engineers("SAY hi", json!({"stream": stream})).to_string())
            .unwrap();
        let mut reader = response.into_body().into_reader();
        let read =
            std::io::copy(&mut std::io::Read::take(&mut reader, 5_000_000), &mut std::io::sink()).unwrap();
        assert_eq!(read, 5_000_000);
    }
}

#[test]
fn sends_responses_with_other_contents() {
    for stream in [false, true] {
        let (answer, _) = under(&Fault::Failed("api_error", "internal error"), stream, "SAY hi");
        assert_eq!(answer.unwrap().failure(), internal_error(if stream { 200 } else { 500 }));
        let (answer, _) = under(&Fault::ErrorAsText("Request timed out."), stream, "SAY hi");
        assert_eq!(answer.unwrap().text(), "Request timed out.");
        let (answer, _) = under(&Fault::ExtraItems, stream, "SAY hi");
        let answer = answer.unwrap();
        let output = answer.response()["output"].clone();
        let mut kinds: Vec<&str> =
            output.as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
        kinds.sort_unstable();
        assert_eq!((kinds, answer.text().as_str()), (vec!["message", "message", "reasoning"], "hi"));
    }
}

#[test]
fn sends_malformed_calls() {
    for stream in [false, true] {
        let (answer, _) = under(&Fault::UnknownTool, stream, "SAY hi");
        assert_eq!(answer.unwrap().calls()[0]["name"], "no_such_tool");
        for asked in ["CALL a {}", "CALL a {} CALL b {}"] {
            let (answer, _) = under(&Fault::SameCallIds, stream, asked);
            let calls = answer.unwrap().calls();
            assert_eq!((calls.len(), &calls[0]["call_id"]), (2, &calls[1]["call_id"]));
        }
        let (answer, _) = under(&Fault::BrokenArguments, stream, "CALL a {}");
        let calls = answer.unwrap().calls();
        assert!(serde_json::from_str::<Value>(calls[0]["arguments"].as_str().unwrap()).is_err());
    }
}

#[test]
fn faults_apply_as_planned() {
    let target = ours();
    let faults = target.gateway().faults();
    let said = |session: &str| target.turn(session, "SAY hi", json!({})).status;
    faults.next(Fault::BadGateway);
    faults.next_in("agent:qa:B", Fault::TooManyLogins(Duration::ZERO));
    assert_eq!([said("agent:qa:b"), said("agent:qa:a"), said("agent:qa:a")], [429, 502, 200]);
    faults.always_in("agent:qa:a", Fault::BadGateway);
    assert_eq!([said("agent:qa:a"), said("agent:qa:b"), said("agent:qa:a")], [502, 200, 502]);
    faults.always(Fault::TooManyLogins(Duration::ZERO));
    assert_eq!([said("agent:qa:a"), said("agent:qa:b")], [502, 429]);
    faults.clear();
    assert_eq!([said("agent:qa:a"), said("agent:qa:b")], [200, 200]);
}
