//! convex-http-api A.3, the table of system errors, and the answers of proxies and other servers.

use mission_control_runtime::convex::{Class, Why};

use super::{Classes, MAYBE, MAYBE_SAME, REFUSED, ROLLED_BACK, TRANSIENT, check};
use crate::support::scripted_http::{Move, Refusing, answer, answer_with};

/// The function certainly ran, and a retry cannot show more.
const RAN: Classes = (Class::Ambiguous, Class::Ambiguous, Class::Refused);

#[test]
fn each_code_of_the_backend_has_its_class() {
    let rows: &[(u16, &str, Why, Classes)] = &[
        (400, "BadJsonBody", Why::OurRequest, REFUSED),
        (400, "BadConvexFunctionIdentifier", Why::OurRequest, REFUSED),
        (400, "InvalidClientVersion", Why::OurRequest, REFUSED),
        (400, "ClientVersionUnsupported", Why::OurRequest, REFUSED),
        (400, "InvalidRequestId", Why::OurRequest, REFUSED),
        (400, "BadPathArgs", Why::OurRequest, REFUSED),
        (400, "MissingIdentifier", Why::OurRequest, REFUSED),
        (400, "InvalidAdminKey", Why::OurRequest, REFUSED),
        (400, "InvalidHeaderFailure", Why::OurRequest, REFUSED),
        (400, "BadFormat", Why::OurRequest, RAN),
        (400, "SystemTimeoutError", Why::DatabaseTimedOut, ROLLED_BACK),
        (400, "BackendIsNotRunning", Why::Paused, ROLLED_BACK),
        (400, "SomethingNew", Why::OurRequest, REFUSED),
        (401, "InvalidAuthHeader", Why::Unauthorised, REFUSED),
        (401, "NoAuthProvider", Why::Unauthorised, REFUSED),
        (401, "Unauthenticated", Why::Unauthorised, REFUSED),
        (403, "BadDeployKey", Why::Unauthorised, REFUSED),
        (404, "FunctionPathNotFound", Why::NoSuchFunction, REFUSED),
        (404, "FunctionPathWrongType", Why::WrongKind, REFUSED),
        (408, "SomethingNew", Why::TimedOut, MAYBE),
        (421, "SomethingNew", Why::ServerFault, ROLLED_BACK),
        (425, "SomethingNew", Why::ServerFault, ROLLED_BACK),
        (429, "TooManyConcurrentRequests", Why::Throttled, ROLLED_BACK),
        (429, "TooManyWrites", Why::Throttled, ROLLED_BACK),
        (429, "SomethingNew", Why::Throttled, MAYBE),
        (500, "InternalServerError", Why::ServerFault, MAYBE),
        (503, "OptimisticConcurrencyControlFailure", Why::Overloaded, ROLLED_BACK),
        (503, "ExpiredInQueue", Why::Overloaded, ROLLED_BACK),
        (503, "WorkerOverloaded", Why::Overloaded, ROLLED_BACK),
        (503, "ExecuteFullError", Why::Overloaded, ROLLED_BACK),
        (503, "InitialPermitTimeoutError", Why::Overloaded, ROLLED_BACK),
        (503, "IsolateNotClean", Why::Overloaded, ROLLED_BACK),
        (503, "UpstreamConnectError", Why::Overloaded, ROLLED_BACK),
        (503, "CommitterFullError", Why::Overloaded, MAYBE),
        (503, "SubscriptionsWorkerFullError", Why::Overloaded, MAYBE),
        (503, "SearchIndexTooLarge", Why::Overloaded, MAYBE),
        (503, "TableSummariesIndexesUnavailable", Why::Overloaded, MAYBE),
        (503, "InternalServerError", Why::Overloaded, MAYBE),
    ];
    for (status, code, why, classes) in rows {
        let body = format!(r#"{{"code":"{code}","message":"some words"}}"#);
        check(&format!("{status} {code}"), &Move::Send(answer(*status, &body)), *why, *classes);
    }
    let bare = answer(503, r#"{"code":"ExpiredInQueue"}"#);
    check("without a message", &Move::Send(bare), Why::Overloaded, ROLLED_BACK);
}

#[test]
fn answers_without_a_code_are_read_by_their_status() {
    let page = "<!DOCTYPE html>\n<html><title>Bad gateway</title></html>";
    let rows: &[(u16, &str, Why, Classes)] = &[
        // Empty bodies: no such route, the server's own limit on a request, and internal errors of the hosted
        // service.
        (404, "", Why::NotConvex, REFUSED),
        (408, "", Why::TimedOut, MAYBE),
        (421, "", Why::ServerFault, ROLLED_BACK),
        (425, "", Why::ServerFault, ROLLED_BACK),
        (429, "", Why::Throttled, MAYBE),
        (500, "", Why::ServerFault, MAYBE),
        // Proxies.
        (429, page, Why::Throttled, MAYBE),
        (500, "plain words", Why::ServerFault, MAYBE),
        (502, page, Why::ServerFault, MAYBE),
        (503, "no healthy upstream", Why::Overloaded, MAYBE),
        (504, page, Why::TimedOut, MAYBE),
        (520, page, Why::ServerFault, MAYBE),
        (413, page, Why::TooLarge, REFUSED),
        // Other servers.
        (400, "Bad Request", Why::NotConvex, REFUSED),
        (401, page, Why::NotConvex, REFUSED),
        (403, page, Why::NotConvex, REFUSED),
        (404, page, Why::NotConvex, REFUSED),
        (405, r#"{"error":"method"}"#, Why::NotConvex, REFUSED),
        // Successes that Convex never sends.
        (201, GOOD_BUT_CREATED, Why::NotUnderstood, MAYBE_SAME),
        (299, "", Why::NotUnderstood, MAYBE_SAME),
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
        check(&format!("{status}"), &Move::Send(moved), Why::NotConvex, TRANSIENT);
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
    let rows: &[(&[u8], Why, Classes)] = &[
        // Invalid texts: a retry may bring the complete one.
        (b"", Why::NotUnderstood, MAYBE),
        (b"{\"status\":\"succ", Why::NotUnderstood, MAYBE),
        (b"{\"status\":\"success\",\"value\":\"\xff\xfe\"}", Why::NotUnderstood, MAYBE),
        (b"{\"status\":\"success\",\"value\":NaN}", Why::NotUnderstood, MAYBE),
        (b"{\"status\":\"success\",\"value\":1} trailing", Why::NotUnderstood, MAYBE),
        (b"\x1f\x8b\x08\0compressed without being asked", Why::NotUnderstood, MAYBE),
        (b"  <html><body>Please log in</body></html>", Why::NotConvex, MAYBE),
        // Valid texts of another shape: a retry brings the same.
        (b"[]", Why::NotUnderstood, MAYBE_SAME),
        (b"null", Why::NotUnderstood, MAYBE_SAME),
        (b"{\"ok\":true}", Why::NotUnderstood, MAYBE_SAME),
        (b"{\"status\":7,\"value\":1}", Why::NotUnderstood, MAYBE_SAME),
        (b"{\"status\":\"pending\",\"value\":1}", Why::NotUnderstood, MAYBE_SAME),
    ];
    for (body, why, classes) in rows {
        check(&String::from_utf8_lossy(body), &send(body), *why, *classes);
    }
    let deep = format!(r#"{{"status":"success","value":{}{}}}"#, "[".repeat(2000), "]".repeat(2000));
    check("endless nesting", &send(&deep.into_bytes()[..4000]), Why::NotUnderstood, MAYBE);
}

#[test]
fn an_answer_over_the_limit_is_refused() {
    let long = format!(r#"{{"status":"success","value":"{}"}}"#, "x".repeat(4096));
    check("announced", &Move::Send(answer(200, &long)), Why::AnswerTooLarge, MAYBE_SAME);
    let unannounced = format!("HTTP/1.1 200 OK\r\n\r\n{long}").into_bytes();
    check("not announced", &Move::SendAndCut(unannounced), Why::AnswerTooLarge, MAYBE_SAME);
    let lying = b"HTTP/1.1 200 OK\r\nContent-Length: 9000000000000000000\r\n\r\n{".to_vec();
    check("a lie", &Move::SendAndCut(lying), Why::AnswerTooLarge, MAYBE_SAME);
    let headers = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(100_000)).into_bytes();
    check("headers", &Move::SendAndCut(headers), Why::AnswerTooLarge, MAYBE_SAME);
}

#[test]
fn what_is_not_http_is_named() {
    for bytes in
        ["SSH-2.0-OpenSSH_9.2\r\n\r\n", "garbage garbage garbage\r\n\r\n", "\x15\x03\x03\0\x02\x02\x46\r\n"]
    {
        check(bytes, &Move::SendAndCut(bytes.into()), Why::NotConvex, MAYBE);
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
            (Why::Unreachable, super::class_for(TRANSIENT, caller)),
            "{error:?}"
        );
        assert!(error.sentence.contains(&port.to_string()), "{}", error.sentence);
    }
}
