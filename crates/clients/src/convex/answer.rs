//! Reads a complete answer (status and body): its value, or a [`Finding`] about the failure.
//!
//! The table is convex-http-api A.3. The backend's stable `code` decides where there is one, otherwise the
//! status. Where the table says "did not run", that holds for queries and mutations only. Inside an action
//! the same code may come from a nested call, after an earlier part has committed (`rolled_back`).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::{CallReason, Ran};
use super::error_text::{self, ErrorText};
use super::finding::{Finding, Outlook, rolled_back};
use super::{Call, FunctionKind};
use mcr_model::json;

/// A complete answer of the backend.
pub(super) struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    /// The host that a redirect points to.
    pub(super) location: Option<String>,
}

/// `{"status":"success","value":…}` or `{"status":"error","errorMessage":…}`. Log lines and other fields are
/// ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outcome<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    #[serde(borrow)]
    error_message: Option<Cow<'a, str>>,
    #[serde(borrow)]
    error_data: Option<&'a RawValue>,
}

/// The body of a system error: `{"code":…,"message":…}`.
#[derive(Deserialize)]
struct SystemError {
    code: String,
    message: Option<String>,
}

/// Returns the value, untouched, or why there is none.
pub(super) fn read(answer: &Answer, call: &Call<'_>) -> Result<Box<RawValue>, Finding> {
    let result = match answer.status {
        // 560 is an older status for a failed function. The body is the same.
        200 | 560 => outcome(&answer.body, call.kind),
        status => Err(system_error(status, answer, call.kind)),
    };
    result.map_err(|finding| finding.with_status(answer.status))
}

fn outcome(body: &[u8], kind: FunctionKind) -> Result<Box<RawValue>, Finding> {
    let text = json::bytes(body);
    let outcome: Outcome<'_> = serde_json::from_slice(&text).map_err(|error| {
        if is_page(body) {
            let page = Finding::new(CallReason::NotConvex, Ran::Maybe, Outlook::Passes);
            return page.with_detail("it sent a web page");
        }
        // JSON of another shape will come again. A broken text may have been cut in transit.
        let outlook = if error.is_data() { Outlook::Stays } else { Outlook::Passes };
        Finding::new(CallReason::NotUnderstood, Ran::Maybe, outlook)
            .with_detail(format!("invalid JSON: {error}"))
    })?;
    match &*outcome.status {
        "success" => Ok(outcome.value.unwrap_or(RawValue::NULL).to_owned()),
        "error" => {
            let text = outcome.error_message.as_deref().unwrap_or_default();
            Err(application_error(error_text::read(text, outcome.error_data), kind))
        }
        other => Err(Finding::new(CallReason::NotUnderstood, Ran::Maybe, Outlook::Stays)
            .with_detail(format!("unknown status \"{other}\""))),
    }
}

fn application_error(text: ErrorText, kind: FunctionKind) -> Finding {
    let outlook = match text.why {
        CallReason::NotFound => Outlook::SaidGone,
        // Not a refusal by the function: the platform stopped it before it finished.
        CallReason::DatabaseTimedOut => Outlook::PassesLater,
        CallReason::FunctionTimedOut | CallReason::ResultTooLarge => Outlook::Stays,
        CallReason::NoSuchFunction
        | CallReason::WrongKind
        | CallReason::BadArguments
        | CallReason::TokenRefused
        | CallReason::Unauthorised
        | CallReason::Forbidden
        | CallReason::Invalid
        | CallReason::TooLarge
        | CallReason::FunctionFailed
        | CallReason::Unknown
        // No function reports the following.
        | CallReason::Unreachable
        | CallReason::NameNotFound
        | CallReason::Proxy
        | CallReason::CertificateRefused
        | CallReason::NoTls
        | CallReason::LostAnswer
        | CallReason::TimedOut
        | CallReason::Overloaded
        | CallReason::Throttled
        | CallReason::ServerFault
        | CallReason::Paused
        | CallReason::NotConvex
        | CallReason::OurRequest
        | CallReason::AnswerTooLarge
        | CallReason::NotUnderstood
        | CallReason::Stopped => Outlook::SaidNo,
    };
    let mut finding = Finding::new(text.why, rolled_back(kind), outlook);
    finding.literal = text.literal;
    finding.code = text.code;
    finding
}

fn system_error(status: u16, answer: &Answer, kind: FunctionKind) -> Finding {
    let error: Option<SystemError> = serde_json::from_slice(&json::bytes(&answer.body)).ok();
    let Some(error) = error else {
        return without_code(status, answer, kind);
    };
    let mut finding = by_code(status, &error.code, kind).unwrap_or_else(|| by_status(status, kind));
    finding.detail = Some(match &error.message {
        Some(message) => format!("{}: {message}", error.code),
        None => error.code.clone(),
    });
    finding.code = Some(error.code);
    finding
}

/// The codes of A.3 that say more than their status.
fn by_code(status: u16, code: &str, kind: FunctionKind) -> Option<Finding> {
    let ran = rolled_back(kind);
    let (why, ran, outlook) = match (status, code) {
        // Our output format is a constant, so this code should never come. If it does, the function has run.
        (400, "BadFormat") => (CallReason::OurRequest, Ran::Yes, Outlook::Stays),
        (400, "SystemTimeoutError") => (CallReason::DatabaseTimedOut, ran, Outlook::Passes),
        (400, "BackendIsNotRunning") => (CallReason::Paused, ran, Outlook::Passes),
        (404, "FunctionPathNotFound") => (CallReason::NoSuchFunction, Ran::No, Outlook::Stays),
        (404, "FunctionPathWrongType") => (CallReason::WrongKind, Ran::No, Outlook::Stays),
        (429, "TooManyConcurrentRequests" | "TooManyWrites") => (CallReason::Throttled, ran, Outlook::Passes),
        (
            503,
            "OptimisticConcurrencyControlFailure"
            | "ExpiredInQueue"
            | "WorkerOverloaded"
            | "ExecuteFullError"
            | "InitialPermitTimeoutError"
            | "IsolateNotClean"
            | "UpstreamConnectError",
        ) => (CallReason::Overloaded, ran, Outlook::Passes),
        _ => return None,
    };
    Some(Finding::new(why, ran, outlook))
}

/// What a status means by itself, when Convex sends it.
fn by_status(status: u16, kind: FunctionKind) -> Finding {
    let (why, ran, outlook) = match status {
        401 | 403 => (CallReason::Unauthorised, Ran::No, Outlook::Stays),
        408 | 504 => (CallReason::TimedOut, Ran::Maybe, Outlook::Passes),
        413 => (CallReason::TooLarge, Ran::No, Outlook::Stays),
        421 | 425 => (CallReason::ServerFault, rolled_back(kind), Outlook::Passes),
        429 => (CallReason::Throttled, Ran::Maybe, Outlook::Passes),
        503 => (CallReason::Overloaded, Ran::Maybe, Outlook::Passes),
        400..500 => (CallReason::OurRequest, Ran::No, Outlook::Stays),
        500.. => (CallReason::ServerFault, Ran::Maybe, Outlook::Passes),
        // A success or a redirect that Convex never sends.
        _ => (CallReason::NotUnderstood, Ran::Maybe, Outlook::Stays),
    };
    Finding::new(why, ran, outlook)
}

/// An answer without a code: from a proxy in front of the backend, from another server, or empty.
fn without_code(status: u16, answer: &Answer, kind: FunctionKind) -> Finding {
    let what = if answer.body.is_empty() {
        "empty body"
    } else if is_page(&answer.body) {
        "a web page"
    } else {
        "a body without a code"
    };
    let finding = match status {
        408 | 413 | 421 | 425 | 429 | 500.. => by_status(status, kind),
        // A proxy that is being moved, or the login page of a network: either may pass.
        300..400 => Finding::new(CallReason::NotConvex, Ran::No, Outlook::Passes),
        // Another server, or another path on this one.
        400..500 => Finding::new(CallReason::NotConvex, Ran::No, Outlook::Stays),
        // A server or a proxy in between that answers without content. The next answer may have some.
        204 => Finding::new(CallReason::NotUnderstood, Ran::Maybe, Outlook::Passes),
        _ => Finding::new(CallReason::NotUnderstood, Ran::Maybe, Outlook::Stays),
    };
    finding.with_detail(match &answer.location {
        Some(host) => format!("status {status}, redirects to {host}"),
        None => format!("status {status}, {what}"),
    })
}

/// Whether the body looks like HTML or XML, as proxies, routers and login portals send it.
fn is_page(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'<')
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Any status with any body is read without a panic, and only Convex's own success counts as one.
        #[test]
        fn any_answer_is_read(status in 100_u16..1000, body in prop::collection::vec(any::<u8>(), 0..200)) {
            let args = RawValue::from_string("{}".to_owned()).unwrap();
            let call = Call { kind: FunctionKind::Action, path: "a:b", args: &args, deadline: Duration::ZERO, may_repeat: false };
            let answer = Answer { status, body, location: None };
            prop_assert!(read(&answer, &call).is_err());
        }

        #[test]
        fn any_text_of_a_function_is_read(text in "(\\PC|\n|Error: |\\[Request ID: |Path: |Object:|ArgumentValidationError: ){0,40}") {
            let text = error_text::read(&text, None);
            prop_assert!(text.literal.is_none_or(|literal| !literal.contains('\n')));
        }
    }
}
