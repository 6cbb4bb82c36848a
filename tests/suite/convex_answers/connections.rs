//! Connections that break or go silent at each point of an exchange: what is known of the function. No unsafe
//! request is ever sent twice.

use std::thread;
use std::time::{Duration, Instant};

use mission_control_runtime::convex::{Backoff, CallClass, CallReason, Convex, ConvexLimits, Ran};
use serde_json::value::RawValue;

use super::{
    Caller, EARLY, GOOD, MAYBE, PATIENT, asks_again, asks_once, check, check_with, class_for, client, phases,
};
use crate::support::scripted_http::{Move, Refusing, ScriptedHttp, answer};

/// More than the socket buffers of both ends hold, so that a server that does not read blocks the sender.
const LARGE: usize = 14 * 1024 * 1024;

fn large_args() -> Box<RawValue> {
    RawValue::from_string(format!("{{\"x\":\"{}\"}}", "x".repeat(LARGE))).unwrap()
}

#[test]
fn a_connection_cut_after_the_request_may_have_run_it() {
    let cut = |text: &str| Move::SendAndCut(text.into());
    let rows = [
        ("at once", Move::CutAtOnce, CallReason::LostAnswer),
        ("after the head", Move::CutAfterHead, CallReason::LostAnswer),
        // The body of a small request is sent before the sender notices.
        ("in the body", Move::CutInBody(5), CallReason::LostAnswer),
        ("before the answer", cut(""), CallReason::LostAnswer),
        ("in the status line", cut("HTTP/1.1 2"), CallReason::LostAnswer),
        ("in the headers", cut("HTTP/1.1 200 OK\r\nContent-Le"), CallReason::LostAnswer),
        ("before the body", cut("HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n"), CallReason::LostAnswer),
        (
            "in the body",
            cut("HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n{\"status\":\"succ"),
            CallReason::LostAnswer,
        ),
        (
            "in a chunk",
            cut("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{\"status"),
            CallReason::LostAnswer,
        ),
        (
            "in the body of an error",
            cut("HTTP/1.1 503 X\r\nContent-Length: 60\r\n\r\n{\"code\":"),
            CallReason::LostAnswer,
        ),
        (
            "in a body without length",
            cut("HTTP/1.1 200 OK\r\n\r\n{\"status\":\"succ"),
            CallReason::NotUnderstood,
        ),
    ];
    for (name, bad, why) in rows {
        check(&format!("cut {name}"), &bad, why, MAYBE);
    }
}

/// Seven seconds of waiting, in parallel. The limit is longer than a loaded machine needs to send a small request.
#[test]
fn a_connection_gone_silent_after_the_request_may_have_run_it() {
    let rows = [
        ("at once", Move::StallAtOnce),
        ("before the answer", Move::SendAndStall(Vec::new())),
        ("in the status line", Move::SendAndStall(b"HTTP/1.1 2".to_vec())),
        ("in the headers", Move::SendAndStall(b"HTTP/1.1 200 OK\r\nContent-Le".to_vec())),
        ("in the body", Move::SendAndStall(b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n{".to_vec())),
    ];
    let short = phases(Duration::from_secs(1));
    thread::scope(|scope| {
        for (name, bad) in &rows {
            scope.spawn(move || {
                for caller in Caller::ALL {
                    let server = ScriptedHttp::start([bad.clone()]);
                    let convex = client(&server.url(), ConvexLimits { phases: short, ..asks_once() });
                    let error = caller.ask(&convex, PATIENT).unwrap_err();
                    let expected = (CallReason::TimedOut, class_for(MAYBE, caller));
                    assert_eq!((error.why, error.class), expected, "silent {name}: {error:?}");
                }
                for caller in [Caller::UnsafeAction, Caller::UnsafeMutation] {
                    let server = ScriptedHttp::start([bad.clone(), Move::Send(answer(200, GOOD))]);
                    let convex = client(&server.url(), ConvexLimits { phases: short, ..asks_again() });
                    assert!(caller.ask(&convex, PATIENT).is_err());
                    assert_eq!(server.connections(), 1, "silent {name}: sent once");
                }
            });
        }
    });
}

#[test]
fn a_request_that_was_not_sent_completely_did_not_run() {
    let args = large_args();
    let limits =
        |limits: ConvexLimits, ms| ConvexLimits { phases: phases(Duration::from_millis(ms)), ..limits };
    let rows = [
        ("cut", Move::CutInBody(1000), 60_000, CallReason::LostAnswer),
        ("silent", Move::StallAtOnce, 300, CallReason::TimedOut),
    ];
    for (name, bad, ms, why) in rows {
        for caller in [Caller::UnsafeAction, Caller::UnsafeMutation] {
            let server = ScriptedHttp::start([bad.clone()]);
            let convex = client(&server.url(), limits(asks_once(), ms));
            let error = caller.ask_with(&convex, &args, PATIENT).unwrap_err();
            assert_eq!(
                (error.why, error.class, error.ran),
                (why, CallClass::Transient, Ran::No),
                "{name}: {error:?}"
            );
            assert_eq!(server.seen().len(), 0);
        }
    }
    let server = ScriptedHttp::start([Move::CutInBody(1000), Move::Send(answer(200, GOOD))]);
    let convex = client(&server.url(), asks_again());
    assert!(
        Caller::UnsafeAction.ask_with(&convex, &args, PATIENT).is_ok(),
        "so it is sent again, even this one"
    );
    assert_eq!(server.seen().len(), 1, "and seen once");
}

#[test]
fn a_refused_connection_is_retried_even_for_unsafe_calls() {
    let refusing = Refusing::new();
    // The deadline may end an attempt of the last milliseconds before the refusal arrives.
    let (pause, shortest_attempt) = (Duration::from_millis(500), Duration::from_secs(10));
    let backoff = Backoff { first: pause, most: pause, shortest_attempt, ..asks_again().backoff };
    let convex = client(&format!("http://{}", refusing.address()), ConvexLimits { backoff, ..asks_again() });
    let error = Caller::UnsafeAction.ask(&convex, Duration::from_secs(14)).unwrap_err();
    assert!(error.attempts > 1, "{error:?}");
    assert_eq!((error.why, error.class, error.ran), (CallReason::Unreachable, CallClass::Transient, Ran::No));
}

#[test]
fn the_deadline_of_a_call_ends_a_silent_attempt() {
    let server = ScriptedHttp::start([Move::SendAndStall(Vec::new())]);
    let begun = Instant::now();
    let error =
        Caller::UnsafeAction.ask(&client(&server.url(), asks_again()), Duration::from_secs(4)).unwrap_err();
    assert_eq!((error.why, error.class), (CallReason::TimedOut, CallClass::Ambiguous));
    assert!(begun.elapsed() < EARLY, "{:?}", begun.elapsed());
}

/// A proxy closes idle connections at any moment. The client notices before it writes the next request.
#[test]
fn an_idle_connection_closed_by_the_server_costs_nothing() {
    for caller in Caller::ALL {
        let server = ScriptedHttp::start([Move::Send(answer(200, GOOD))]);
        let convex = client(&server.url(), asks_once());
        caller.ask(&convex, PATIENT).unwrap();
        server.close_connections();
        caller.ask(&convex, PATIENT).unwrap();
        assert_eq!((server.seen().len(), server.connections()), (2, 2));
    }
}

/// Between that check and the write, a connection can still close. The fate of the request is then unknown.
#[test]
fn a_kept_connection_lost_under_a_request_is_not_silently_replaced() {
    check_with(
        "kept",
        &Move::SendAndCut(Vec::new()),
        asks_once(),
        asks_again(),
        |caller, convex: &dyn Convex| {
            (caller.ask(convex, PATIENT), CallReason::LostAnswer, class_for(MAYBE, caller))
        },
    );
    let server = ScriptedHttp::start([
        Move::Send(answer(200, GOOD)),
        Move::SendAndCut(Vec::new()),
        Move::Send(answer(200, GOOD)),
    ]);
    let convex = client(&server.url(), asks_again());
    Caller::UnsafeAction.ask(&convex, PATIENT).unwrap();
    let error = Caller::UnsafeAction.ask(&convex, PATIENT).unwrap_err();
    assert_eq!((error.class, server.seen().len(), server.connections()), (CallClass::Ambiguous, 2, 1));
}
