//! What an answer that is not a success means: by its HTTP status, then by the body's `status`, then by the code word.

use super::messages::ErrorBody;
use crate::{ErrorClass, ProviderError, Unanswered};

/// The error of an answer with this status and body.
pub(super) fn of_answer(what: &str, status: u16, body: &[u8]) -> ProviderError {
    let text = String::from_utf8_lossy(body);
    let parsed: ErrorBody = serde_json::from_slice(body).unwrap_or_default();
    let words = [parsed.error.as_str(), parsed.message.as_str(), text.as_ref().trim()];
    let words = words.into_iter().find(|words| !words.is_empty()).unwrap_or_default();
    let lacks_capacity = parsed.status.contains("capacity")
        || words.contains("no capacity")
        || (words.starts_with("aborted:") && words.contains("insufficient"));
    let (class, meaning) = match status {
        401 => (ErrorClass::Refused, "Fly does not accept the token; FLY_API_TOKEN needs a valid one"),
        403 if words.contains("quota") => (ErrorClass::Refused, "the quota of the organisation is used up"),
        403 => (ErrorClass::Refused, "the token has no access to this app"),
        404 => (ErrorClass::Gone, "it does not exist"),
        409 | 412 | 422 if lacks_capacity => (ErrorClass::Transient, "Fly has no capacity for it now"),
        // A lease of somebody else, or a state that does not allow it now.
        409 | 412 => (ErrorClass::Transient, "its state does not allow that now"),
        429 => (ErrorClass::Transient, "too many requests"),
        408 | 500..=599 => (ErrorClass::Ambiguous, "Fly has a problem"),
        _ => (ErrorClass::Refused, "Fly refuses the request"),
    };
    ProviderError::of_answer(class, format!("{what}: {meaning}"), status, words)
}

/// The error of a request without a complete answer. Its outcome is unknown if it was sent.
pub(super) fn of_unanswered(what: &str, unanswered: &Unanswered) -> ProviderError {
    let class = if unanswered.was_sent { ErrorClass::Ambiguous } else { ErrorClass::Transient };
    ProviderError::new(class, format!("{what}: no answer from Fly ({})", unanswered.words))
}

/// The error of an answer that is a success but cannot be read.
pub(super) fn not_understood(what: &str, why: &str) -> ProviderError {
    ProviderError {
        class: ErrorClass::Ambiguous,
        status: None,
        sentence: format!(
            "{what}: the answer is not one of Fly's Machines API ({why}); check FLY_API_BASE_URL"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shapes that were seen: a code word, a status, a text, nothing.
    #[test]
    fn the_class_of_an_answer() {
        use ErrorClass::{Ambiguous, Gone, Refused, Transient};
        let rows: [(u16, &str, ErrorClass, &str); 16] = [
            (400, r#"{"error":"invalid_argument: bad region"}"#, Refused, "bad region"),
            (401, "", Refused, "FLY_API_TOKEN"),
            (403, r#"{"error":"unauthorized"}"#, Refused, "no access"),
            (403, r#"{"error":"over the allowed quota"}"#, Refused, "used up"),
            (404, r#"{"error":"machine not found"}"#, Gone, "does not exist"),
            (408, r#"{"error":"deadline_exceeded: machine is still starting"}"#, Ambiguous, "problem"),
            (409, r#"{"error":"aborted: insufficient resources"}"#, Transient, "no capacity"),
            (409, r#"{"status":"error","message":"lease held"}"#, Transient, "lease held"),
            (412, r#"{"error":"failed_precondition: machine not stopped"}"#, Transient, "not stopped"),
            (412, r#"{"error":"x","status":"volume_placement_capacity"}"#, Transient, "no capacity"),
            (422, r#"{"error":"x","status":"insufficient_capacity"}"#, Transient, "no capacity"),
            (422, r#"{"error":"name is invalid"}"#, Refused, "name is invalid"),
            (429, "slow down", Transient, "slow down"),
            (500, "<html>\u{1b}[31m", Ambiguous, "problem"),
            (503, "", Ambiguous, "HTTP 503"),
            (302, "", Refused, "refuses"),
        ];
        for (status, body, class, part) in rows {
            let error = of_answer("Machine m1 is not stopped", status, body.as_bytes());
            assert_eq!((error.class, error.status), (class, Some(status)), "{body}");
            assert!(error.sentence.contains(part), "{}", error.sentence);
            assert!(!error.sentence.contains('\u{1b}'), "{}", error.sentence);
        }
    }

    #[test]
    fn only_a_request_that_was_sent_has_an_unknown_outcome() {
        let unanswered = |was_sent| Unanswered { words: "refused".to_owned(), was_sent };
        let error = of_unanswered("x", &unanswered(false));
        assert_eq!(
            (error.class, error.sentence.as_str()),
            (ErrorClass::Transient, "x: no answer from Fly (refused)")
        );
        assert_eq!(of_unanswered("x", &unanswered(true)).class, ErrorClass::Ambiguous);
    }
}
