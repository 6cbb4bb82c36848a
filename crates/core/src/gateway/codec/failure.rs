//! Classifies refusals (spec §7, §11.8).
//!
//! There are two shapes. `{"error":{"message","type","code"?}}` is a refusal before a run: the gateway itself
//! refuses. A whole response with `status:"failed"` and `error:{"code","message"}` is a failed run: usually
//! the model's provider failed. The same status therefore has two meanings. A 401 concerns our token in the
//! first shape and the provider's key in the second.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;

use super::super::dialect::ToolShape;
use super::super::gateway_texts::is_overflow;
use super::{COOLDOWN, Class, TurnFailure, Why};
use mcr_model::json;

/// The longest `Retry-After` that is honoured.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);

/// A complete answer that reports no success.
pub struct ErrorResponse<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The whole body.
    pub body: &'a [u8],
    /// The header `Retry-After`.
    pub retry_after: Option<&'a str>,
    /// The shape of the tools that were sent; `None` if none were sent.
    pub tools: Option<ToolShape>,
}

/// Both shapes: the second has an `object` or a `status`.
#[derive(Deserialize)]
struct ErrorBody<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    object: Option<Cow<'a, str>>,
    #[serde(borrow)]
    status: Option<Cow<'a, str>>,
    #[serde(borrow)]
    error: Option<ErrorFields<'a>>,
}

/// The error object of either shape.
#[derive(Default, Deserialize)]
pub(super) struct ErrorFields<'a> {
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
    #[serde(borrow)]
    r#type: Option<Cow<'a, str>>,
}

/// Classifies an answer with a status other than 200.
pub fn refusal(answer: &ErrorResponse<'_>) -> TurnFailure {
    let text = json::bytes(answer.body);
    let body: Option<ErrorBody<'_>> = serde_json::from_slice(&text).ok();
    let failure = match body {
        Some(ErrorBody { id, object, status, error }) => {
            let fields = error.unwrap_or_default();
            let ran = object.as_deref() == Some("response") || status.as_deref() == Some("failed");
            if ran {
                run_failed(answer.status, &fields).with_run(id.map(Cow::into_owned))
            } else {
                refused(answer, &fields)
            }
        }
        None => without_words(answer),
    };
    failure.with_status(answer.status)
}

/// Classifies a failed run: by the code if there is one (a stream's status is always 200), then by the
/// status.
pub(super) fn run_failed(status: u16, fields: &ErrorFields<'_>) -> TurnFailure {
    let message = fields.message.as_deref().unwrap_or_default();
    let code = fields.code.as_deref().or(fields.r#type.as_deref()).unwrap_or_default();
    let (class, why) = if message.contains("append-only response stream") {
        // The run has answered, and only the stream could not carry the answer: it is in the history.
        (Class::Lost, Why::Internal)
    } else if message.contains("invalid tool configuration") {
        (Class::Refused, Why::ToolsRefused)
    } else if is_overflow(message) {
        (Class::Refused, Why::ContextTooLong)
    } else {
        match (code, status) {
            ("authentication_error" | "insufficient_quota", _) | (_, 401..=403) => {
                (Class::Transient, Why::ProviderRefused)
            }
            ("invalid_request_error", _) | (_, 400 | 404) => (Class::Refused, Why::ProviderRejected),
            ("rate_limit_error", _) | (_, 408 | 429 | 502 | 503 | 504) => {
                (Class::Transient, Why::ProviderTrouble)
            }
            _ if message.starts_with("upstream provider") || message.starts_with("tool_choice") => {
                (Class::Transient, Why::ProviderTrouble)
            }
            _ if ["aborted", "interrupted", "cancelled", "canceled"]
                .iter()
                .any(|word| message.contains(word)) =>
            {
                (Class::Transient, Why::Interrupted)
            }
            // `internal error`, `Agent run failed`: silence, a time limit, a key in its cooldown, or a
            // recovery that came first. Only the session's history distinguishes them (spec §11.8).
            _ => (Class::Lost, Why::Internal),
        }
    };
    let not_before = (why == Why::ProviderRefused).then_some(COOLDOWN);
    TurnFailure { not_before, ..TurnFailure::new(class, why).with_detail(words(message, code)) }
}

/// A refusal before a run: no turn was started.
fn refused(answer: &ErrorResponse<'_>, fields: &ErrorFields<'_>) -> TurnFailure {
    let message = fields.message.as_deref().unwrap_or_default();
    let code = fields.code.as_deref().or(fields.r#type.as_deref()).unwrap_or_default();
    let (class, why) = match answer.status {
        400 => return bad_request(answer, message),
        401 | 403 => (Class::Closed, Why::TokenRefused),
        404 | 405 => (Class::Closed, Why::EndpointOff),
        413 => (Class::Refused, Why::TooLarge),
        429 => (Class::Closed, Why::TooManyLogins),
        503 => (Class::Closed, Why::Draining),
        408 | 500.. => (Class::Transient, Why::Internal),
        402..500 => (Class::Refused, Why::OurRequest),
        _ => (Class::Closed, Why::NotAGateway),
    };
    TurnFailure {
        not_before: retry_after(answer),
        ..TurnFailure::new(class, why).with_detail(words(message, code))
    }
}

/// The gateway does not accept the form of our request.
fn bad_request(answer: &ErrorResponse<'_>, message: &str) -> TurnFailure {
    let why = if message.contains("Unknown agent") {
        Why::UnknownAgent
    } else if message.starts_with("tools") || message.contains("invalid tool configuration") {
        Why::ToolsRefused
    } else {
        Why::OurRequest
    };
    let missing = tool_key(message);
    let wants_other_tools = match answer.tools {
        Some(ToolShape::Flat) => missing == Some("function"),
        Some(ToolShape::Nested) => missing == Some("name"),
        None => false,
    };
    TurnFailure { wants_other_tools, ..TurnFailure::new(Class::Refused, why).with_detail(message) }
}

/// `function` of `tools.0.function: Invalid input: …`.
fn tool_key(message: &str) -> Option<&str> {
    let (number, rest) = message.strip_prefix("tools.")?.split_once('.')?;
    let key = rest.split(|c: char| !c.is_ascii_alphanumeric()).next()?;
    (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())).then_some(key)
}

/// An answer without JSON: from the gateway's HTTP layer, a proxy, or another server.
fn without_words(answer: &ErrorResponse<'_>) -> TurnFailure {
    let page = answer.body.trim_ascii_start().first() == Some(&b'<');
    let (class, why) = match (answer.status, page) {
        (401 | 403 | 407, false) => (Class::Closed, Why::TokenRefused),
        (404 | 405, false) => (Class::Closed, Why::EndpointOff),
        (413, _) => (Class::Refused, Why::TooLarge),
        (429, _) => (Class::Closed, Why::TooManyLogins),
        // A proxy timed out or lost the gateway: the turn may continue behind it.
        (502 | 504 | 520 | 524, _) => (Class::Lost, Why::LostAnswer),
        (503 | 521..=523, _) => (Class::Closed, Why::Unreachable),
        (408 | 421 | 425, _) => (Class::Transient, Why::Unreachable),
        (500.., _) => (Class::Transient, Why::Internal),
        (400 | 402..500, false) => (Class::Refused, Why::OurRequest),
        _ => (Class::Closed, Why::NotAGateway),
    };
    let detail = match (page, answer.body.trim_ascii()) {
        (true, _) => format!("status {} and a web page", answer.status),
        (false, b"") => format!("status {}", answer.status),
        (false, text) => format!("status {}: {}", answer.status, String::from_utf8_lossy(text)),
    };
    TurnFailure { not_before: retry_after(answer), ..TurnFailure::new(class, why).with_detail(detail) }
}

fn words(message: &str, code: &str) -> String {
    match (message, code) {
        ("", code) => code.to_owned(),
        (message, "") => message.to_owned(),
        (message, code) => format!("{code}: {message}"),
    }
}

/// In seconds. The date form is not supported and counts as absent.
fn retry_after(answer: &ErrorResponse<'_>) -> Option<Duration> {
    let seconds = answer.retry_after?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(status: u16, body: &str, tools: Option<ToolShape>) -> TurnFailure {
        refusal(&ErrorResponse { status, body: body.as_bytes(), retry_after: None, tools })
    }

    /// spec §1.2, §9: only the other shape's key is a reason to try the other shape.
    #[test]
    fn only_the_other_shapes_key_asks_for_the_other_shape() {
        let rows = [
            ("tools.0.function: Invalid input: expected object", Some(ToolShape::Flat), true),
            ("tools.12.function: Invalid input", Some(ToolShape::Flat), true),
            ("tools.0.name: Invalid input", Some(ToolShape::Flat), false),
            ("tools.0.name: Invalid input: expected string", Some(ToolShape::Nested), true),
            ("tools.0.function: Invalid input", Some(ToolShape::Nested), false),
            ("tools.0.functional: Invalid input", Some(ToolShape::Flat), false),
            ("tools.x.function: Invalid input", Some(ToolShape::Flat), false),
            ("tools.0.function: Invalid input", None, false),
        ];
        for (message, tools, wants) in rows {
            let body = format!(r#"{{"error":{{"message":"{message}","type":"invalid_request_error"}}}}"#);
            let failure = read(400, &body, tools);
            assert_eq!(failure.wants_other_tools, wants, "{message} {tools:?}");
            assert_eq!((failure.class, failure.why), (Class::Refused, Why::ToolsRefused), "{message}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_classified(status in 100_u16..1000, body in prop::collection::vec(any::<u8>(), 0..200)) {
            let answer = ErrorResponse { status, body: &body, retry_after: Some("soon"), tools: None };
            prop_assert_eq!(refusal(&answer).status, Some(status));
        }
    }
}
