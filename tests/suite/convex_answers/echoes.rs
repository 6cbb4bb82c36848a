//! A backend that returns our own secrets: no error and no log line may repeat them.

use mission_control_runtime::convex::{
    Call, CallClass, CallError, CallReason, ConvexEndpoint, FunctionKind, Ran,
};
use mission_control_runtime::model::BaseUrl;
use mission_control_runtime::redact::Redactor;
use mission_control_runtime::secret::Secret;
use mission_control_runtime::wire::Stop;
use serde_json::{Value, json};

use super::{Caller, PATIENT, asks_once, roots};
use crate::support::log_capture;
use crate::support::scripted_http::{Move, ScriptedHttp, answer, answer_with};

/// An operator may choose any secret. The spelling of this one changes when it is quoted.
const AWKWARD: &str = concat!("mc_service_", r#"acc0unt_qu"ote\back/slash-c4n4ry"#);
/// The part that no spelling changes.
const CANARY: &str = "slash-c4n4ry";

#[test]
fn a_returned_token_is_not_passed_on() {
    let token = AWKWARD;
    let quoted = Value::from(token).to_string();
    let id = "[Request ID: 4f1b] Server Error";
    let thrown = |words: &str| {
        answer(200, &json!({"status": "error", "errorMessage": format!("{id}\n{words}\n")}).to_string())
    };
    let echo = format!(
        "ArgumentValidationError: Object contains extra field `x`.\n\nObject: {{serviceToken: {quoted}}}"
    );
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("a thrown error", thrown(&format!("Uncaught Error: Invalid thing: {token} is wrong"))),
        ("a quoted one", thrown(&format!("Uncaught Error: Invalid thing: {quoted} is wrong"))),
        ("the arguments", thrown(&echo)),
        ("the arguments on one line", thrown(&echo.replace('\n', " "))),
        ("where the text is cut", thrown(&format!("Uncaught Error: {} {token}", "x".repeat(280)))),
        ("structured data", answer(200, &json!({"status": "error", "errorMessage": id, "errorData": {"code": token, "message": token}}).to_string())),
        ("a system error", answer(400, &json!({"code": token, "message": format!("bad: {token}")}).to_string())),
        ("a page", answer(502, &format!("<html>{token}</html>"))),
        ("an unknown status", answer(200, &json!({"status": token}).to_string())),
        ("broken JSON", answer(200, &format!("{{\"status\": {token}"))),
        ("another type", answer(200, &json!({"status": {"a": token}}).to_string())),
        ("a redirect", answer_with(307, &format!("Location: {token}\r\n"), b"")),
        ("a deprecation", answer_with(200, &format!("x-convex-deprecation-state: {token}\r\n"), b"{}")),
    ];
    log_capture::begin();
    for (name, bytes) in rows {
        let server = ScriptedHttp::start([Move::Send(bytes)]);
        let redactor = Redactor::new(&[Secret::new(token)]).into();
        let endpoint = ConvexEndpoint::with_limits(
            BaseUrl::parse(&server.url()).unwrap(),
            roots(),
            redactor,
            asks_once(),
        );
        let args = serde_json::value::to_raw_value(&json!({"serviceToken": token})).unwrap();
        let convex = endpoint.client(&Stop::new());
        let error = Caller::UnsafeAction.ask_with(&convex, &args, PATIENT).unwrap_err();
        let call = Call {
            kind: FunctionKind::Action,
            path: "a:b",
            args: &args,
            deadline: PATIENT,
            may_repeat: false,
        };
        for text in [
            format!("{call:?}"),
            error.to_string(),
            format!("{error:?}"),
            format!("{convex:?}"),
            format!("{endpoint:?}"),
        ] {
            assert!(!text.contains(CANARY), "{name}: {text}");
        }
        assert!(!error.sentence.is_empty());
        if name.starts_with("the arguments") {
            assert_eq!(error.why, CallReason::BadArguments);
            assert_eq!(error.literal.as_deref(), Some("Object contains extra field `x`."));
        }
    }
    // At level trace the library logs all bytes that pass. The log's own filter drops those lines (see
    // `wire`).
    let ours = log_capture::lines().into_iter().filter(|line| line.contains(" mcr_"));
    for line in ours {
        assert!(!line.contains(CANARY), "{line}");
    }
}

#[test]
fn foreign_control_characters_do_not_reach_the_log() {
    let text = "Uncaught Error: Invalid thing: a\rWARN forged\u{1b}[31m line";
    let body = json!({"status": "error", "errorMessage": text}).to_string();
    let server = ScriptedHttp::start([Move::Send(answer(200, &body))]);
    let error = Caller::Query.ask(&super::client(&server.url(), asks_once()), PATIENT).unwrap_err();
    assert!(!error.to_string().chars().any(char::is_control), "{error:?}");
}

/// A value that does not fit its type came from a function that ran.
#[test]
fn a_misfit_value_is_ambiguous_where_a_second_run_would_do_harm_and_is_not_quoted_with_its_secrets() {
    let args = serde_json::value::to_raw_value(&json!({})).unwrap();
    for (kind, may_repeat, class) in [
        (FunctionKind::Action, false, CallClass::Ambiguous),
        (FunctionKind::Action, true, CallClass::Refused),
        (FunctionKind::Query, false, CallClass::Refused),
    ] {
        let call = Call { kind, path: "a:b", args: &args, deadline: PATIENT, may_repeat };
        let words = serde_json::from_value::<u32>(json!(super::TOKEN)).unwrap_err().to_string();
        let error = CallError::not_understood(&call, &words);
        assert_eq!((error.class, error.why, error.ran), (class, CallReason::NotUnderstood, Ran::Yes));
        assert!(!error.to_string().contains("s3cr3t"), "{error}");
        assert!(!error.to_string().contains("(request"), "{error}");
    }
}
