//! convex-http-api A.3, the table of system errors, and the answers of proxies and other servers.

use mission_control_runtime::convex::{CallClass, CallReason};

use super::{Classes, MAYBE, MAYBE_SAME, REFUSED, ROLLED_BACK, TRANSIENT, check};
use crate::support::scripted_http::{Move, Refusing, answer, answer_with};

/// The function certainly ran, and a retry cannot show more.
const RAN: Classes = (CallClass::Ambiguous, CallClass::Ambiguous, CallClass::Refused);

#[test]
fn each_code_of_the_backend_has_its_class() {
    let rows: &[(u16, &str, CallReason, Classes)] = &[
        (400, "BadJsonBody", CallReason::OurRequest, REFUSED),
        (400, "BadConvexFunctionIdentifier", CallReason::OurRequest, REFUSED),
        (400, "InvalidClientVersion", CallReason::OurRequest, REFUSED),
        (400, "ClientVersionUnsupported", CallReason::OurRequest, REFUSED),
        (400, "InvalidRequestId", CallReason::OurRequest, REFUSED),
        (400, "BadPathArgs", CallReason::OurRequest, REFUSED),
        (400, "MissingIdentifier", CallReason::OurRequest, REFUSED),
        (400, "InvalidAdminKey", CallReason::OurRequest, REFUSED),
        (400, "InvalidHeaderFailure", CallReason::OurRequest, REFUSED),
        (400, "BadFormat", CallReason::OurRequest, RAN),
        (400, "SystemTimeoutError", CallReason::DatabaseTimedOut, ROLLED_BACK),
        (400, "BackendIsNotRunning", CallReason::Paused, ROLLED_BACK),
        (400, "SomethingNew", CallReason::OurRequest, REFUSED),
        (401, "InvalidAuthHeader", CallReason::Unauthorised, REFUSED),
        (401, "NoAuthProvider", CallReason::Unauthorised, REFUSED),
        (401, "Unauthenticated", CallReason::Unauthorised, REFUSED),
        (403, "BadDeployKey", CallReason::Unauthorised, REFUSED),
        (404, "FunctionPathNotFound", CallReason::NoSuchFunction, REFUSED),
        (404, "FunctionPathWrongType", CallReason::WrongKind, REFUSED),
        (408, "SomethingNew", CallReason::TimedOut, MAYBE),
        (421, "SomethingNew", CallReason::ServerFault, ROLLED_BACK),
        (425, "SomethingNew", CallReason::ServerFault, ROLLED_BACK),
        (429, "TooManyConcurrentRequests", CallReason::Throttled, ROLLED_BACK),
        (429, "TooManyWrites", CallReason::Throttled, ROLLED_BACK),
        (429, "SomethingNew", CallReason::Throttled, MAYBE),
        (500, "InternalServerError", CallReason::ServerFault, MAYBE),
        (503, "OptimisticConcurrencyControlFailure", CallReason::Overloaded, ROLLED_BACK),
        (503, "ExpiredInQueue", CallReason::Overloaded, ROLLED_BACK),
        (503, "WorkerOverloaded", CallReason::Overloaded, ROLLED_BACK),
        (503, "ExecuteFullError", CallReason::Overloaded, ROLLED_BACK),
        (503, "InitialPermitTimeoutError", CallReason::Overloaded, ROLLED_BACK),
        (503, "IsolateNotClean", CallReason::Overloaded, ROLLED_BACK),
        (503, "UpstreamConnectError", CallReason::Overloaded, ROLLED_BACK),
        (503, "CommitterFullError", CallReason::Overloaded, MAYBE),
        (503, "SubscriptionsWorkerFullError", CallReason::Overloaded, MAYBE),
        (503, "SearchIndexTooLarge", CallReason::Overloaded, MAYBE),
        (503, "TableSummariesIndexesUnavailable", CallReason::Overloaded, MAYBE),
        (503, "InternalServerError", CallReason::Overloaded, MAYBE),
    ];
    for (status, code, why, classes) in rows {
        let body = format!(r#"{{"code":"{code}","message":"some words"}}"#);
        check(&format!("{status} {code}"), &Move::Send(answer(*status, &body)), *why, *classes);
    }
    let bare = answer(503, r#"{"code":"ExpiredInQueue"}"#);
    check("without a message", &Move::Send(bare), CallReason::Overloaded, ROLLED_BACK);
}

#[test]
fn answers_without_a_code_are_read_by_their_status() {
    let page = "<!DOCTYPE html>\n<html><title>Bad gateway</title></html>";
    let rows: &[(u16, &str, CallReason, Classes)] = &[
        // Empty bodies: no such route, the server's own limit on a request, and internal errors of the hosted
        // service.
        (404, "", CallReason::NotConvex, REFUSED),
        (408, "", CallReason::TimedOut, MAYBE),
        (421, "", CallReason::ServerFault, ROLLED_BACK),
        (425, "", CallReason::ServerFault, ROLLED_BACK),
        (429, "", CallReason::Throttled, MAYBE),
        (500, "", CallReason::ServerFault, MAYBE),
        // Proxies.
        (429, page, CallReason::Throttled, MAYBE),
        (500, "plain words", CallReason::ServerFault, MAYBE),
        (502, page, CallReason::ServerFault, MAYBE),
        (503, "no healthy upstream", CallReason::Overloaded, MAYBE),
        (504, page, CallReason::TimedOut, MAYBE),
        (520, page, CallReason::ServerFault, MAYBE),
        (413, page, CallReason::TooLarge, REFUSED),
        // Other servers.
        (400, "Bad Request", CallReason::NotConvex, REFUSED),
        (401, page, CallReason::NotConvex, REFUSED),
        (403, page, CallReason::NotConvex, REFUSED),
        (404, page, CallReason::NotConvex, REFUSED),
        (405, r#"{"error":"method"}"#, CallReason::NotConvex, REFUSED),
        // Successes that Convex never sends.
        (201, GOOD_BUT_CREATED, CallReason::NotUnderstood, MAYBE_SAME),
        (299, "", CallReason::NotUnderstood, MAYBE_SAME),
        // A proxy in between that answers without content: the next answer may have some.
        (204, "", CallReason::NotUnderstood, MAYBE),
    ];
    for (status, body, why, classes) in rows {
        check(&format!("{status} {body:?}"), &Move::Send(answer(*status, body)), *why, *classes);
    }
}

const GOOD_BUT_CREATED: &str = r#"{"status":"success","value":1.0}"#;

#[test]
fn a_redirect_is_not_followed_and_its_target_is_named() {
    for status in [301, 302, 303, 307, 308] {
        let moved = answer_with(status, "Location: https://login.example.com/api/action?x\r\n", b"moved");
        check(&format!("{status}"), &Move::Send(moved), CallReason::NotConvex, TRANSIENT);
    }
    let server = crate::support::scripted_http::ScriptedHttp::start([Move::Send(answer_with(
        308,
        "Location: https://login.example.com/api/action?x\r\n",
        b"",
    ))]);
    let convex = super::client(&server.url(), super::asks_once());
    let error = super::Caller::Query.ask(&convex, super::PATIENT).unwrap_err();
    assert!(error.sentence.contains("login.example.com"), "{}", error.sentence);
    assert!(error.sentence.contains("CONVEX_URL"), "{}", error.sentence);
}

#[test]
fn a_success_that_cannot_be_read_is_no_success() {
    let send = |body: &[u8]| Move::Send(answer_with(200, "Content-Type: application/json\r\n", body));
    let rows: &[(&[u8], CallReason, Classes)] = &[
        // Invalid texts: a retry may bring the complete one.
        (b"", CallReason::NotUnderstood, MAYBE),
        (b"{\"status\":\"succ", CallReason::NotUnderstood, MAYBE),
        (b"{\"status\":\"success\",\"value\":\"\xff\xfe\"}", CallReason::NotUnderstood, MAYBE),
        (b"{\"status\":\"success\",\"value\":NaN}", CallReason::NotUnderstood, MAYBE),
        (b"{\"status\":\"success\",\"value\":1} trailing", CallReason::NotUnderstood, MAYBE),
        (b"\x1f\x8b\x08\0compressed without being asked", CallReason::NotUnderstood, MAYBE),
        (b"  <html><body>Please log in</body></html>", CallReason::NotConvex, MAYBE),
        // Valid texts of another shape: a retry brings the same.
        (b"[]", CallReason::NotUnderstood, MAYBE_SAME),
        (b"null", CallReason::NotUnderstood, MAYBE_SAME),
        (b"{\"ok\":true}", CallReason::NotUnderstood, MAYBE_SAME),
        (b"{\"status\":7,\"value\":1}", CallReason::NotUnderstood, MAYBE_SAME),
        (b"{\"status\":\"pending\",\"value\":1}", CallReason::NotUnderstood, MAYBE_SAME),
    ];
    for (body, why, classes) in rows {
        check(&String::from_utf8_lossy(body), &send(body), *why, *classes);
    }
    let deep = format!(r#"{{"status":"success","value":{}{}}}"#, "[".repeat(2000), "]".repeat(2000));
    check("endless nesting", &send(&deep.into_bytes()[..4000]), CallReason::NotUnderstood, MAYBE);
}

#[test]
fn an_answer_over_the_limit_is_refused() {
    let long = format!(r#"{{"status":"success","value":"{}"}}"#, "x".repeat(4096));
    check("announced", &Move::Send(answer(200, &long)), CallReason::AnswerTooLarge, MAYBE_SAME);
    let unannounced = format!("HTTP/1.1 200 OK\r\n\r\n{long}").into_bytes();
    check("not announced", &Move::SendAndCut(unannounced), CallReason::AnswerTooLarge, MAYBE_SAME);
    let lying = b"HTTP/1.1 200 OK\r\nContent-Length: 9000000000000000000\r\n\r\n{".to_vec();
    check("a lie", &Move::SendAndCut(lying), CallReason::AnswerTooLarge, MAYBE_SAME);
    let headers = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(100_000)).into_bytes();
    check("headers", &Move::SendAndCut(headers), CallReason::AnswerTooLarge, MAYBE_SAME);
}

#[test]
fn what_is_not_http_is_named() {
    for bytes in
        ["SSH-2.0-OpenSSH_9.2\r\n\r\n", "garbage garbage garbage\r\n\r\n", "\x15\x03\x03\0\x02\x02\x46\r\n"]
    {
        check(bytes, &Move::SendAndCut(bytes.into()), CallReason::NotConvex, MAYBE);
    }
}

#[test]
fn a_call_that_did_not_run_is_transient() {
    // The connection is refused: nothing listens.
    let refusing = Refusing::new();
    let port = refusing.address();
    for caller in super::Caller::ALL {
        let convex = super::client(&format!("http://{port}"), super::asks_once());
        let error = caller.ask(&convex, super::PATIENT).unwrap_err();
        assert_eq!(
            (error.why, error.class),
            (CallReason::Unreachable, super::class_for(TRANSIENT, caller)),
            "{error:?}"
        );
        assert!(error.sentence.contains(&port.to_string()), "{}", error.sentence);
    }
}
