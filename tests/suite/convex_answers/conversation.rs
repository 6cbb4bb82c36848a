//! What is sent, what is returned unchanged, how calls are repeated, and how all calls end at once.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use mission_control_runtime::convex::{Backoff, CallClass, CallReason, ConvexLimits, Ran};
use mission_control_runtime::wire::Stop;
use serde_json::value::RawValue;

use super::{Caller, EARLY, GOOD, PATIENT, TOKEN, asks_again, asks_once, class_for, client, endpoint};
use crate::support::log_capture;
use crate::support::scripted_http::{Move, ScriptedHttp, answer, answer_with};

/// The log derives the component `convex` from this target.
const OURS: &str = " mcr_clients::convex::";

/// convex-http-api A.2.
#[test]
fn a_request_has_the_form_that_the_backend_expects() {
    for (caller, place) in [
        (Caller::UnsafeAction, "/api/action"),
        (Caller::SafeMutation, "/api/mutation"),
        (Caller::Query, "/api/query"),
    ] {
        let server = ScriptedHttp::start([Move::Send(answer(500, ""))]);
        let error = caller.ask(&client(&server.url(), asks_once()), PATIENT).unwrap_err();
        let seen = server.seen().remove(0);
        let head = seen.head.to_lowercase();
        assert!(head.starts_with(&format!("post {place} http/1.1\r\n")), "{head}");
        for header in [
            "content-type: application/json",
            concat!("convex-client: mission-control-runtime-", env!("CARGO_PKG_VERSION")),
            &format!("convex-request-id: {}", error.request_id),
            &format!("content-length: {}", seen.body.len()),
        ] {
            assert!(head.lines().any(|line| line == header), "{header} in {head}");
        }
        for header in ["authorization:", "accept-encoding:", "transfer-encoding:", "expect:", "cookie:"] {
            assert!(!head.lines().any(|line| line.starts_with(header)), "{header} in {head}");
        }
        assert_eq!(
            seen.body,
            format!(r#"{{"path":"a:b","format":"json","args":[{{"serviceToken":"{TOKEN}"}}]}}"#)
        );
    }
}

#[test]
fn a_value_is_returned_as_it_was_written() {
    let rows = [
        (GOOD, r#"{"n":3.0,"s":"x"}"#),
        (r#"{"status":"success","value":1750222681271.6697}"#, "1750222681271.6697"),
        (r#"{"value":[1.50, "\u00e9"],"status":"success","new":{}}"#, r#"[1.50, "\u00e9"]"#),
        (r#"{"status":"success","value":null}"#, "null"),
        (r#"{"status":"success"}"#, "null"),
        (r#"{"status":"success","value":"cut \ud83d","logLines":["\udc00"]}"#, r#""cut \ufffd""#),
    ];
    for (body, value) in rows {
        let server = ScriptedHttp::start([Move::Send(answer(200, body))]);
        let answer = Caller::Query.ask(&client(&server.url(), asks_once()), PATIENT).unwrap();
        assert_eq!(answer.get(), value);
    }
    // With every framing that the server may choose.
    let framed = [
        format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{GOOD}\r\n0\r\n\r\n",
            GOOD.len()
        ),
        format!("HTTP/1.1 200 OK\r\n\r\n{GOOD}"),
    ];
    for bytes in framed {
        let server = ScriptedHttp::start([Move::SendAndCut(bytes.into_bytes())]);
        let answer = Caller::UnsafeAction.ask(&client(&server.url(), asks_once()), PATIENT).unwrap();
        assert_eq!(answer.get(), r#"{"n":3.0,"s":"x"}"#);
    }
}

#[test]
fn the_longest_deadline_does_not_overflow() {
    let server = ScriptedHttp::start([Move::Send(answer(200, GOOD))]);
    Caller::Query.ask(&client(&server.url(), asks_once()), Duration::MAX).unwrap();
}

#[test]
fn a_client_keeps_its_connection_through_successes_and_failures() {
    let server = ScriptedHttp::start([
        Move::Send(answer(200, GOOD)),
        Move::Send(answer(503, "a page")),
        Move::Send(answer(404, "")),
        Move::Send(answer(200, GOOD)),
    ]);
    let convex = client(&server.url(), asks_once());
    let results: Vec<bool> = (0..4).map(|_| Caller::SafeAction.ask(&convex, PATIENT).is_ok()).collect();
    assert_eq!(results, [true, false, false, true]);
    assert_eq!((server.seen().len(), server.connections()), (4, 1));
}

/// A deadline that leaves the first attempt four seconds, and each attempt ten, on a loaded machine too.
const ENOUGH: Duration = Duration::from_secs(14);

/// Few attempts, each with enough time before [`ENOUGH`].
fn repeated_with_time() -> Backoff {
    let shortest_attempt = Duration::from_secs(10);
    Backoff { overload: Duration::from_millis(500), shortest_attempt, ..asks_again().backoff }
}

#[test]
fn a_safe_call_is_repeated_until_its_deadline_and_under_one_request_id() {
    let server = ScriptedHttp::start([Move::Send(answer(503, r#"{"code":"ExpiredInQueue"}"#))]);
    let begun = Instant::now();
    // The last attempt has enough time to end by its answer, not by the deadline.
    let backoff = repeated_with_time();
    let convex = client(&server.url(), ConvexLimits { backoff, ..asks_again() });
    let error = Caller::SafeAction.ask(&convex, ENOUGH).unwrap_err();
    assert!(begun.elapsed() < EARLY, "{:?}", begun.elapsed());
    let seen = server.seen();
    assert!(seen.len() > 1);
    assert_eq!(seen.len(), usize::try_from(error.attempts).unwrap());
    assert_eq!(
        (error.class, error.why, error.code.as_deref()),
        (CallClass::Transient, CallReason::Overloaded, Some("ExpiredInQueue"))
    );
    assert!(error.not_before >= Some(Duration::from_secs(3)));
    assert!(error.sentence.contains(&format!("tried {} times", error.attempts)), "{}", error.sentence);
    assert!(seen.iter().all(|request| request.head.contains(&*error.request_id)));
}

/// A later attempt that certainly did not run proves nothing about the first.
#[test]
fn a_later_attempt_does_not_clear_what_an_earlier_one_may_have_done() {
    let server = ScriptedHttp::start([
        Move::SendAndCut(Vec::new()),
        Move::Send(answer(503, r#"{"code":"ExpiredInQueue"}"#)),
    ]);
    // The last attempt has enough time to end by its answer, not by the deadline.
    let backoff = repeated_with_time();
    let convex = client(&server.url(), ConvexLimits { backoff, ..asks_again() });
    let error = Caller::SafeAction.ask(&convex, ENOUGH).unwrap_err();
    assert_eq!(
        (error.class, error.why, error.ran),
        (CallClass::Transient, CallReason::Overloaded, Ran::Maybe)
    );
}

#[test]
fn arguments_over_the_limit_of_the_backend_are_not_sent() {
    let args = RawValue::from_string(format!("{{\"x\":\"{}\"}}", "x".repeat(16 * 1024 * 1024))).unwrap();
    let server = ScriptedHttp::start([Move::Send(answer(200, GOOD))]);
    let error =
        Caller::SafeAction.ask_with(&client(&server.url(), asks_again()), &args, PATIENT).unwrap_err();
    assert_eq!((error.why, error.class, error.ran), (CallReason::TooLarge, CallClass::Refused, Ran::No));
    assert!(error.sentence.contains("16 MiB"), "{}", error.sentence);
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_stop_ends_calls_in_flight_and_prevents_new_ones() {
    for caller in Caller::ALL {
        let server =
            ScriptedHttp::start([Move::SendAndStall(b"HTTP/1.1 200 OK\r\n\r\n{\"status\":".to_vec())]);
        let stop = Stop::new();
        let convex = endpoint(&server.url(), asks_once()).client(&stop);
        let begun = Instant::now();
        let error = thread::scope(|scope| {
            let call = scope.spawn(|| caller.ask(&convex, PATIENT).unwrap_err());
            server.wait_for_one();
            stop.close();
            call.join().unwrap()
        });
        assert!(begun.elapsed() < EARLY, "{:?}", begun.elapsed());
        assert_eq!(
            (error.why, error.class),
            (CallReason::Stopped, class_for(super::MAYBE, caller)),
            "{error:?}"
        );
        let late = caller.ask(&convex, PATIENT).unwrap_err();
        assert_eq!(
            (late.why, late.class, late.ran, late.attempts),
            (CallReason::Stopped, CallClass::Transient, Ran::No, 0)
        );
        assert_eq!(server.seen().len(), 1);
    }
}

#[test]
fn a_stop_ends_the_pause_before_a_retry() {
    let server = ScriptedHttp::start([Move::Send(answer(503, ""))]);
    let stop = Stop::new();
    let long = Duration::from_secs(50);
    let limits = asks_again();
    let backoff = Backoff { overload: long, ..limits.backoff };
    let convex = endpoint(&server.url(), ConvexLimits { backoff, ..limits }).client(&stop);
    let begun = Instant::now();
    let error = thread::scope(|scope| {
        let call = scope.spawn(|| Caller::SafeAction.ask(&convex, PATIENT).unwrap_err());
        server.wait_for_one();
        stop.close();
        call.join().unwrap()
    });
    assert!(begun.elapsed() < EARLY, "{:?}", begun.elapsed());
    assert_eq!((error.why, error.class), (CallReason::Stopped, CallClass::Transient), "{error:?}");
}

/// The log correlates our lines with the deployment's: success at debug, failure at warn, both with the
/// request id.
#[test]
fn each_call_logs_a_line_with_its_request_id() {
    log_capture::begin();
    let server = ScriptedHttp::start([Move::Send(answer(200, GOOD)), Move::Send(answer(500, ""))]);
    let convex = client(&server.url(), asks_once());
    Caller::UnsafeAction.ask(&convex, PATIENT).unwrap();
    let error = Caller::UnsafeAction.ask(&convex, PATIENT).unwrap_err();
    let lines: Vec<_> = log_capture::lines().into_iter().filter(|line| line.contains(OURS)).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let answered = "DEBUG mcr_clients::convex::http Mission Control answered function=a:b";
    let failed = "WARN mcr_clients::convex::http Call of Mission Control failed";
    assert!(lines[0].starts_with(answered) && lines[1].starts_with(failed), "{lines:?}");
    assert!(lines[1].contains(&format!("request={} error=a:b: ", error.request_id)), "{lines:?}");
    let (_, id) = lines[0].split_once("request=").unwrap();
    assert!(server.seen()[0].head.contains(id), "{id}");
}

#[test]
fn a_deprecation_is_logged_once_per_endpoint() {
    log_capture::begin();
    let headers =
        "x-convex-deprecation-state: UpgradeRequired\r\nx-convex-deprecation-message: please upgrade\r\n";
    let server = ScriptedHttp::start([Move::Send(answer_with(200, headers, GOOD.as_bytes()))]);
    let endpoint = endpoint(&server.url(), asks_once());
    for _ in 0..2 {
        let convex = endpoint.client(&Stop::new());
        Caller::Query.ask(&convex, PATIENT).unwrap();
        Caller::Query.ask(&convex, PATIENT).unwrap();
    }
    let warnings: Vec<_> = log_capture::lines().into_iter().filter(|line| line.starts_with("WARN")).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("UpgradeRequired: please upgrade"), "{warnings:?}");
}

/// Runs itself in a process whose environment names a proxy where nothing listens.
#[test]
fn the_configured_proxy_applies_to_other_hosts_and_never_to_loopback() {
    const NAME: &str =
        "convex_answers::conversation::the_configured_proxy_applies_to_other_hosts_and_never_to_loopback";
    const INSIDE: &str = "MCR_TEST_INSIDE_PROXY";
    if std::env::var_os(INSIDE).is_none() {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", NAME, "--nocapture"]).env(INSIDE, "1").env("NO_PROXY", "direct.example.com");
        for name in ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy", "https_proxy", "http_proxy"] {
            child.env(name, "http://127.0.0.1:9");
        }
        let output = child.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    let server = ScriptedHttp::start([Move::Send(answer(200, GOOD))]);
    for host in ["127.0.0.1", "localhost"] {
        let url = server.url().replace("127.0.0.1", host);
        Caller::UnsafeAction.ask(&client(&url, asks_once()), PATIENT).unwrap();
        assert_eq!(endpoint(&url, asks_once()).proxy(), None);
    }
    let proxy = |url: &str| endpoint(url, asks_once()).proxy();
    assert_eq!(proxy("https://name.convex.cloud").as_deref(), Some("127.0.0.1:9"));
    assert_eq!(proxy("https://direct.example.com"), None);
    let away = client("https://name.convex.cloud", asks_once());
    let error = Caller::UnsafeAction.ask(&away, PATIENT).unwrap_err();
    assert_eq!((error.why, error.class), (CallReason::Unreachable, CallClass::Transient), "{error:?}");
    assert!(error.sentence.contains("proxy 127.0.0.1:9"), "{}", error.sentence);
}
