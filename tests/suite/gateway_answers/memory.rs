//! Large answers share one pool of memory. They wait for each other, small ones never wait, and a stalled one
//! loses its memory.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use mission_control_runtime::gateway::client::GatewayLimits;
use mission_control_runtime::gateway::{Class, Why};
use mission_control_runtime::memory::{ByteBudget, Pool};
use mission_control_runtime::wire::Stop;
use serde_json::{Value, json};

use super::{
    PATIENT, STREAM_HEAD, ask, chunk, created, endpoint_with, events, message, replying, response, said,
    stream,
};
use crate::support::scripted_http::{Move, ScriptedHttp, answer};

const LARGE: usize = 15_500_000;

/// An answer with a small text and this many bytes of unused reasoning.
fn large(bytes: usize) -> Vec<Value> {
    let reasoning = json!({"type": "reasoning", "summary": "x".repeat(bytes)});
    vec![reasoning, message("Short.")]
}

/// Ten turns at once at this gateway, in 32 MiB; returns the most that was held at any moment.
fn ten_at_once(server: &ScriptedHttp) -> usize {
    let pool = ByteBudget::default().gateway;
    let endpoint = endpoint_with(&server.url(), GatewayLimits::new(PATIENT)).with_memory(pool.clone());
    let (ended, most) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Acquire) {
                most.fetch_max(pool.held(), Ordering::Relaxed);
                thread::yield_now();
            }
        });
        let turns: Vec<_> = (0..10).map(|_| scope.spawn(|| ask(&endpoint.client(&Stop::new())).0)).collect();
        for turn in turns {
            let reply = turn.join().unwrap();
            assert_eq!(
                reply.as_ref().ok().and_then(|reply| reply.text.as_deref()),
                Some("Short."),
                "{reply:?}"
            );
        }
        ended.store(true, Ordering::Release);
    });
    assert_eq!(pool.held(), 0, "all memory is given back");
    most.load(Ordering::Relaxed)
}

#[test]
fn ten_large_answers_at_once_all_arrive_within_the_pool() {
    let streamed = stream(&[
        created(),
        json!({"type": "response.completed", "response": response("completed", &json!(large(LARGE)))}),
    ]);
    let plain = answer(200, &response("completed", &json!(large(LARGE))).to_string());
    for bytes in [streamed, plain] {
        let most = ten_at_once(&ScriptedHttp::start([Move::Send(bytes)]));
        assert!(most > LARGE && most <= 32 * 1024 * 1024, "{most} bytes were held");
    }
}

#[test]
fn a_small_answer_is_read_while_no_memory_is_free() {
    let pool = Pool::new(1024 * 1024);
    let mut taken = pool.share(1024 * 1024, Duration::ZERO);
    taken.hold(1024 * 1024).unwrap();
    let limits = GatewayLimits { room: Duration::from_millis(50), ..GatewayLimits::new(PATIENT) };
    let ask_for = |bytes: Vec<u8>| {
        let server = ScriptedHttp::start([Move::Send(bytes)]);
        ask(&endpoint_with(&server.url(), limits).with_memory(pool.clone()).client(&Stop::new())).0
    };
    assert_eq!(ask_for(said("Short.")).unwrap().text.as_deref(), Some("Short."));
    let error = ask_for(stream(&replying("completed", &large(500_000)))).unwrap_err();
    assert_eq!((error.class, error.why), (Class::Lost, Why::LostAnswer), "{error:?}");
    assert!(error.to_string().contains("RECEIVE_MEMORY_MB"), "{error}");
    drop(taken);
    assert_eq!(
        ask_for(stream(&replying("completed", &large(500_000)))).unwrap().text.as_deref(),
        Some("Short.")
    );
}

/// A turn may be silent for long, but not in the middle of a large event.
#[test]
fn a_stalled_large_event_releases_its_memory() {
    let pool = ByteBudget::default().gateway;
    let limits = GatewayLimits { step: Duration::from_millis(300), ..GatewayLimits::new(PATIENT) };
    let whole = events(&replying("completed", &large(2_000_000)));
    let mut half = STREAM_HEAD.as_bytes().to_vec();
    half.extend(chunk(&whole.as_bytes()[..1_500_000]));
    let server = ScriptedHttp::start([Move::SendAndStall(half)]);
    let endpoint = endpoint_with(&server.url(), limits).with_memory(pool.clone());
    let error = ask(&endpoint.client(&Stop::new())).0.unwrap_err();
    assert_eq!((error.class, error.why), (Class::Lost, Why::Silent), "{error:?}");
    assert_eq!(pool.held(), 0);
}
