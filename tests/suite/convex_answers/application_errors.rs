//! convex-http-api A.3: the texts of application errors; backend-contract §1.3 and §1.4: their literals.

use mission_control_runtime::convex::{CallClass, CallReason, Ran};

use super::{Caller, Classes, GONE, MAYBE_SAME, PATIENT, REFUSED, ROLLED_BACK, asks_once, check, client};
use crate::support::scripted_http::{Move, ScriptedHttp, answer};

const ID: &str = "[Request ID: 4f1b4f1b4f1b4f1b] Server Error";

/// A mutation or a query was rolled back, and would fail again. An unsafe action may have done a part.
const ENDED: Classes = (CallClass::Ambiguous, CallClass::Refused, CallClass::Refused);

fn failed(status: u16, text: &str) -> Move {
    let text = serde_json::Value::from(text);
    Move::Send(answer(status, &format!(r#"{{"status":"error","errorMessage":{text},"logLines":[]}}"#)))
}

#[test]
fn each_family_of_messages_has_its_class() {
    let rows: &[(&str, CallReason, Classes)] = &[
        ("Forbidden: Task belongs to different account", CallReason::Forbidden, REFUSED),
        ("Not found: Task does not exist", CallReason::NotFound, GONE),
        ("not found: spelled otherwise", CallReason::NotFound, GONE),
        ("Not found: Account does not exist", CallReason::TokenRefused, REFUSED),
        ("Invalid service token", CallReason::TokenRefused, REFUSED),
        ("Invalid service token format", CallReason::TokenRefused, REFUSED),
        ("Forbidden: Account has no service token configured", CallReason::TokenRefused, REFUSED),
        ("Forbidden: Service token does not match account", CallReason::TokenRefused, REFUSED),
        ("Unauthorized: Must be authenticated", CallReason::Unauthorised, REFUSED),
        ("Invalid transition: Cannot move from 'done'", CallReason::Invalid, REFUSED),
        ("Title too long (max 2000 characters)", CallReason::Invalid, REFUSED),
        ("Unknown recipient slugs: a, b", CallReason::Invalid, REFUSED),
        ("something else", CallReason::FunctionFailed, REFUSED),
    ];
    for (words, why, classes) in rows {
        for text in [
            format!("{ID}\nUncaught Error: {words}\n    at handler (../convex/a.ts:12:3)\n"),
            format!(
                "{ID}\nUncaught Error: Uncaught Error: {words}\n    at async handler (../convex/a.ts:1:1)\n"
            ),
        ] {
            check(&text, &failed(200, &text), *why, *classes);
        }
    }
}

#[test]
fn messages_of_the_platform_have_their_class() {
    let rows: &[(&str, CallReason, Classes)] = &[
        // A value that does not fit is this call's problem. A shape that does not fit is the deployment's.
        (
            "ArgumentValidationError: Value does not match validator.\nPath: .x\nValue: 1",
            CallReason::Invalid,
            REFUSED,
        ),
        (
            "ArgumentValidationError: Found ID \"x\" from table `tasks`, which does not match",
            CallReason::Invalid,
            REFUSED,
        ),
        (
            "ArgumentValidationError: Object is missing the required field `x`.",
            CallReason::BadArguments,
            REFUSED,
        ),
        ("ArgumentValidationError: Object contains extra field `x`", CallReason::BadArguments, REFUSED),
        (
            "ArgumentValidationError: Object has multiple validation errors:\n- x",
            CallReason::BadArguments,
            REFUSED,
        ),
        ("Uncaught ConvexError: Forbidden: no", CallReason::Forbidden, REFUSED),
        ("Could not find public function for 'a:b'.", CallReason::NoSuchFunction, REFUSED),
        (
            "Could not find function for 'a:b'. Did you forget to run `npx convex dev`?",
            CallReason::NoSuchFunction,
            REFUSED,
        ),
        ("Trying to execute a.js:b as Query, but it is defined as Action.", CallReason::WrongKind, REFUSED),
        ("Function execution timed out (maximum duration: 1s)", CallReason::FunctionTimedOut, ENDED),
        (
            "Uncaught Error: Function execution timed out (maximum duration: 1s)",
            CallReason::FunctionTimedOut,
            ENDED,
        ),
        (
            "Your request timed out performing too many system operations.",
            CallReason::DatabaseTimedOut,
            ROLLED_BACK,
        ),
        (
            "Function a:b return value is too large (17 MiB > maximum size 16 MiB)",
            CallReason::ResultTooLarge,
            ENDED,
        ),
        ("Arguments for a:b are too large (17 MiB > maximum size 16 MiB)", CallReason::TooLarge, REFUSED),
        (
            "Uncaught TypeError: Cannot read properties of undefined (reading 'x')",
            CallReason::FunctionFailed,
            REFUSED,
        ),
    ];
    for (words, why, classes) in rows {
        check(words, &failed(200, &format!("{ID}\n{words}\n")), *why, *classes);
    }
}

/// A deployment that hides its errors sends only the first line of every error.
#[test]
fn a_hidden_reason_is_refused_and_unknown_and_never_gone() {
    for text in [ID, "", "[Request ID: 4f1b] Server Error\n"] {
        check(text, &failed(200, text), CallReason::Unknown, REFUSED);
    }
    let silent = Move::Send(answer(200, r#"{"status":"error"}"#));
    check("no text at all", &silent, CallReason::Unknown, REFUSED);
    for (caller, ran) in [(Caller::UnsafeAction, Ran::Maybe), (Caller::UnsafeMutation, Ran::No)] {
        let server = ScriptedHttp::start([failed(200, ID)]);
        let error = caller.ask(&client(&server.url(), asks_once()), PATIENT).unwrap_err();
        assert_eq!((error.ran, error.literal.as_deref()), (ran, None));
        assert!(error.not_before.is_some(), "retried only after a pause");
        assert!(error.sentence.contains("request id"), "{}", error.sentence);
    }
}

#[test]
fn status_560_is_read_like_200() {
    let text = format!("{ID}\nUncaught Error: Not found: Task does not exist\n");
    check("560", &failed(560, &text), CallReason::NotFound, GONE);
    check("560 hidden", &failed(560, ID), CallReason::Unknown, REFUSED);
    check("560 without JSON", &Move::Send(answer(560, "{\"a\":1}")), CallReason::NotUnderstood, MAYBE_SAME);
    let server = ScriptedHttp::start([Move::Send(answer(560, super::GOOD))]);
    assert!(
        Caller::Query.ask(&client(&server.url(), asks_once()), PATIENT).is_ok(),
        "the `status` field decides"
    );
}

#[test]
fn the_literal_is_one_line_without_wrapping_and_stack() {
    let text = format!(
        "{ID}\nUncaught Error: Uncaught Error: Invalid status: nope\n    at handler (../convex/a.ts)\n"
    );
    let server = ScriptedHttp::start([failed(200, &text)]);
    let error = Caller::Query.ask(&client(&server.url(), asks_once()), PATIENT).unwrap_err();
    assert_eq!(error.literal.as_deref(), Some("Invalid status: nope"));
    assert_eq!((error.status, error.code), (Some(200), None));
    assert_eq!(
        &*error.sentence,
        "a:b: Mission Control does not accept a value of the call (Invalid status: nope)."
    );
}

#[test]
fn a_structured_error_is_read_even_if_texts_are_hidden() {
    let body = format!(
        r#"{{"status":"error","errorMessage":"{ID}","errorData":{{"code":"GONE","message":"Not found: Task"}}}}"#
    );
    check("structured", &Move::Send(answer(200, &body)), CallReason::NotFound, GONE);
}
