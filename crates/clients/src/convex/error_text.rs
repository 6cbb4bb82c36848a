//! Finds the reason in the error text of a failed function, and reduces that text to one line.
//!
//! The text is searched, never compared, because it comes wrapped (`Uncaught Error: Uncaught Error: …`) and
//! with stack traces. Where the arguments do not fit, it also holds the whole argument object, including the
//! token. A deployment that hides its errors sends only the first line, from which nothing can be learnt.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::error::CallReason;

/// The family of a failure, and the line to show.
pub(super) struct ErrorText {
    pub(super) why: CallReason,
    /// The function's own message.
    pub(super) literal: Option<String>,
    /// The code of a structured error.
    pub(super) code: Option<String>,
}

/// Messages of the platform itself: words (in lower case) that must all appear, and what they mean.
const PLATFORM: [(&[&str], CallReason); 10] = [
    // One of our values does not fit: an invented id, for example. Only a wrong shape indicates another
    // version.
    (&["argumentvalidationerror", "value does not match validator"], CallReason::Invalid),
    (&["argumentvalidationerror", "found id"], CallReason::Invalid),
    (&["argumentvalidationerror"], CallReason::BadArguments),
    (&["could not find public function for"], CallReason::NoSuchFunction),
    (&["could not find function for"], CallReason::NoSuchFunction),
    (&["trying to execute", "but it is defined as"], CallReason::WrongKind),
    (&["function execution timed out"], CallReason::FunctionTimedOut),
    (&["timed out performing too many system operations"], CallReason::DatabaseTimedOut),
    (&["return value is too large"], CallReason::ResultTooLarge),
    (&["arguments for", "are too large"], CallReason::TooLarge),
];

/// The families of the Mission Control backend. The marker that comes first in the line decides, so that
/// `Forbidden: … not found …` is forbidden.
const FAMILIES: [(&str, CallReason); 13] = [
    // A missing account must not look like a missing row: the work would be dropped.
    ("not found: account does not exist", CallReason::TokenRefused),
    ("invalid service token", CallReason::TokenRefused),
    ("forbidden: account has no service token", CallReason::TokenRefused),
    ("forbidden: service token does not match", CallReason::TokenRefused),
    ("unauthorized", CallReason::Unauthorised),
    ("unauthenticated", CallReason::Unauthorised),
    ("forbidden", CallReason::Forbidden),
    ("not found", CallReason::NotFound),
    ("invalid ", CallReason::Invalid),
    ("too long", CallReason::Invalid),
    ("too many recipients", CallReason::Invalid),
    ("unknown recipient slugs", CallReason::Invalid),
    ("no valid recipients", CallReason::Invalid),
];

/// Validation messages without a family name begin with one of these.
const VALIDATION_STARTS: [&str; 3] = ["blockedreason ", "message ", "title "];

/// Reads the text and, if the function threw one, the structured data of an application error.
pub(super) fn read(text: &str, data: Option<&RawValue>) -> ErrorText {
    if let Some(said) = data.and_then(structured) {
        return said;
    }
    let Some(literal) = extract(text) else {
        return ErrorText { why: CallReason::Unknown, literal: None, code: None };
    };
    let lower = text.to_lowercase();
    let why = PLATFORM
        .iter()
        .find(|(words, _)| words.iter().all(|word| lower.contains(word)))
        .map_or_else(|| family(&literal), |(_, why)| *why);
    ErrorText { why, literal: Some(literal), code: None }
}

/// Reads the data of a `ConvexError`, which deployments that hide their errors still send.
fn structured(data: &RawValue) -> Option<ErrorText> {
    #[derive(Deserialize)]
    struct Data {
        message: Option<String>,
        /// Usually a word, sometimes a number.
        code: Option<Value>,
    }
    let (literal, code) = if let Ok(text) = serde_json::from_str::<String>(data.get()) {
        (text, None)
    } else {
        let data: Data = serde_json::from_str(data.get()).ok()?;
        let code = data.code.map(|code| code.as_str().map_or_else(|| code.to_string(), ToOwned::to_owned));
        (data.message.or_else(|| code.clone())?, code)
    };
    let literal = first_line(&literal);
    Some(ErrorText { why: family(&literal), literal: Some(literal), code })
}

/// Finds the message: the text after the last `Error: ` of the first line that has one. Without such a line,
/// the first line that is more than the request id.
fn extract(text: &str) -> Option<String> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let named = text.lines().find(|line| line.contains("Error: "));
    let line = named.or_else(|| lines.find(|line| !is_bare(line)))?;
    let mut literal = match line.rfind("Error: ") {
        Some(at) => &line[at + "Error: ".len()..],
        None => line,
    };
    if line.contains("ArgumentValidationError") {
        // The rest prints the arguments, sometimes on the same line.
        let echo = ["Object:", "Value:", "{"].iter().filter_map(|word| literal.find(word)).min();
        literal = &literal[..echo.unwrap_or(literal.len())];
        let place = text.lines().find(|line| line.trim_start().starts_with("Path: "));
        let mut reduced = literal.trim().to_owned();
        if let Some(place) = place {
            reduced.push(' ');
            reduced.push_str(place.trim());
        }
        return Some(reduced);
    }
    let literal = literal.trim();
    (!literal.is_empty()).then(|| literal.to_owned())
}

/// Whether the line is `[Request ID: …] Server Error` and nothing more.
fn is_bare(line: &str) -> bool {
    line.strip_prefix("[Request ID:")
        .and_then(|rest| rest.split_once(']'))
        .is_some_and(|(_, rest)| matches!(rest.trim(), "" | "Server Error"))
        || line == "Server Error"
}

fn first_line(text: &str) -> String {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned()
}

/// The family of a message.
fn family(literal: &str) -> CallReason {
    let lower = literal.to_lowercase();
    let found = FAMILIES
        .iter()
        .filter_map(|(marker, why)| lower.find(marker).map(|at| (at, *why)))
        // Of two rows found at the same position, the earlier and more specific one counts: `min_by_key`
        // keeps the first.
        .min_by_key(|(at, _)| *at);
    match found {
        // Only a line that begins with it says that the object is gone. Elsewhere the words may be part of
        // user text.
        Some((at, CallReason::NotFound)) if at > 0 => CallReason::FunctionFailed,
        Some((_, why)) => why,
        None if VALIDATION_STARTS.iter().any(|start| lower.starts_with(start)) => CallReason::Invalid,
        None => CallReason::FunctionFailed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, why: CallReason, literal: Option<&str>) {
        let said = read(text, None);
        assert_eq!((said.why, said.literal.as_deref()), (why, literal), "{text:?}");
    }

    /// backend-contract §1.3 and §1.4, convex-http-api A.3.
    #[test]
    fn the_reason_is_found_in_every_form_of_text() {
        let id = "[Request ID: 4f1b000000000000] Server Error";
        let thrown =
            |words: &str| format!("{id}\nUncaught Error: {words}\n    at handler (../convex/x.ts:1:2)\n");
        let rows: &[(&str, CallReason)] = &[
            ("Forbidden: Task belongs to different account", CallReason::Forbidden),
            ("Forbidden: Task not found in this account", CallReason::Forbidden),
            ("Not found: Task does not exist", CallReason::NotFound),
            ("Not found: Task does not exist or belongs to different account", CallReason::NotFound),
            ("Not found: Account does not exist", CallReason::TokenRefused),
            ("Invalid service token", CallReason::TokenRefused),
            ("Invalid service token format", CallReason::TokenRefused),
            ("Invalid service token structure", CallReason::TokenRefused),
            ("Forbidden: Account has no service token configured", CallReason::TokenRefused),
            ("Forbidden: Service token does not match account", CallReason::TokenRefused),
            ("Unauthorized: Must be authenticated", CallReason::Unauthorised),
            ("Invalid transition: Cannot move from 'done' to 'inbox'", CallReason::Invalid),
            ("Invalid status: nope", CallReason::Invalid),
            ("Invalid agent: the name not found: x", CallReason::Invalid),
            ("Title too long (max 2000 characters)", CallReason::Invalid),
            ("blockedReason is required when moving to blocked", CallReason::Invalid),
            ("Message is required", CallReason::Invalid),
            ("Message too long: max 1000 characters allowed", CallReason::Invalid),
            ("Too many recipients: max 10 allowed per request", CallReason::Invalid),
            ("Unknown recipient slugs: a, b", CallReason::Invalid),
            ("No valid recipients after filtering", CallReason::Invalid),
            ("fetch failed", CallReason::FunctionFailed),
            ("the page was not found", CallReason::FunctionFailed),
        ];
        for (words, why) in rows {
            check(&thrown(words), *why, Some(words));
            check(&thrown(&format!("Uncaught Error: {words}")), *why, Some(words));
        }
        check(
            &format!("{id}\nUncaught TypeError: x is undefined\n  at y"),
            CallReason::FunctionFailed,
            Some("x is undefined"),
        );
        check(
            &format!("{id}\nCould not find public function for 'x:y'.\n"),
            CallReason::NoSuchFunction,
            Some("Could not find public function for 'x:y'."),
        );
        check(
            &format!("{id}\nTrying to execute x.js:y as Query, but it is defined as Action."),
            CallReason::WrongKind,
            Some("Trying to execute x.js:y as Query, but it is defined as Action."),
        );
    }

    #[test]
    fn a_hidden_reason_is_unknown() {
        for text in [
            "[Request ID: 4f1b] Server Error",
            "[Request ID: 4f1b] Server Error\n\n",
            "Server Error",
            "",
            "  \n",
        ] {
            check(text, CallReason::Unknown, None);
        }
    }

    #[test]
    fn echoed_arguments_are_cut_off() {
        let id = "[Request ID: 4f1b] Server Error";
        let words = "Object is missing the required field `taskId`.";
        let object = "{accountId: \"a\", serviceToken: \"mc_service_a_b\"}";
        check(
            &format!("{id}\nArgumentValidationError: {words}\n\nObject: {object}\n"),
            CallReason::BadArguments,
            Some(words),
        );
        check(
            &format!("{id}\nArgumentValidationError: {words} Object: {object}"),
            CallReason::BadArguments,
            Some(words),
        );
        check(
            &format!("{id}\nUncaught ArgumentValidationError: {words} {object}"),
            CallReason::BadArguments,
            Some(words),
        );
        check(
            &format!(
                "{id}\nArgumentValidationError: Value does not match validator.\nPath: .taskId\nValue: \"abc\""
            ),
            CallReason::Invalid,
            Some("Value does not match validator. Path: .taskId"),
        );
    }

    #[test]
    fn structured_errors_are_read_even_when_the_text_is_hidden() {
        let raw = |json: &str| RawValue::from_string(json.to_owned()).unwrap();
        let hidden = "[Request ID: 4f1b] Server Error";
        let said = read(hidden, Some(&raw(r#""Not found: Task does not exist""#)));
        assert_eq!(said.why, CallReason::NotFound);
        let said = read(hidden, Some(&raw(r#"{"code":"FORBIDDEN","message":"Forbidden: no","more":[1]}"#)));
        assert_eq!((said.why, said.code.as_deref()), (CallReason::Forbidden, Some("FORBIDDEN")));
        let said = read(hidden, Some(&raw(r#"{"code":404,"message":"Forbidden: no"}"#)));
        assert_eq!((said.why, said.code.as_deref()), (CallReason::Forbidden, Some("404")));
        let said = read(hidden, Some(&raw("[1,2]")));
        assert_eq!((said.why, said.literal), (CallReason::Unknown, None));
    }
}
