//! What an answer that is not a success means.

use serde::Deserialize;

use crate::{ErrorClass, ProviderError, Unanswered};

/// The body of an error. It may also be a text, or empty.
#[derive(Default, Deserialize)]
struct ApiErrorBody {
    #[serde(default)]
    message: String,
    /// In place of `message`, in some answers on tags.
    #[serde(default)]
    error: String,
}

/// The error of an answer with this status and body.
pub(super) fn of_answer(what: &str, status: u16, body: &[u8]) -> ProviderError {
    use ErrorClass::{Ambiguous, Gone, Refused, Transient};
    let text = String::from_utf8_lossy(body);
    let parsed: ApiErrorBody = serde_json::from_slice(body).unwrap_or_default();
    let words = [parsed.message.as_str(), parsed.error.as_str(), text.as_ref().trim()];
    let words = words.into_iter().find(|words| !words.is_empty()).unwrap_or_default();
    let lower = words.to_ascii_lowercase();
    let (class, meaning) = match status {
        401 => (
            Refused,
            "DigitalOcean does not accept the token; a valid one is needed (DIGITALOCEAN_TOKEN, for a fleet `fleet token`)",
        ),
        403 => (
            Refused,
            "the token lacks a scope: make one with the scopes in docs/provisioning-digitalocean.md",
        ),
        404 => (Gone, "it does not exist"),
        409 => (Transient, "something else has its name"),
        422 if lower.contains("pending event") => (Transient, "another action runs on it"),
        422 if lower.contains("droplet limit") => (
            Refused,
            "the account's droplet limit is reached: destroy a machine, or ask DigitalOcean for a higher limit",
        ),
        422 if lower.contains("not available") => {
            (Refused, "the region does not offer it now: set another PROVISION_REGION or PROVISION_SIZE")
        }
        429 => (Transient, "too many requests"),
        408 | 500..=599 => (Ambiguous, "DigitalOcean has a problem"),
        _ => (Refused, "DigitalOcean refuses the request"),
    };
    ProviderError::of_answer(class, format!("{what}: {meaning}"), status, words)
}

/// The error of a request without a complete answer. Its outcome is unknown if it was sent.
pub(super) fn of_unanswered(what: &str, unanswered: &Unanswered) -> ProviderError {
    let class = if unanswered.was_sent { ErrorClass::Ambiguous } else { ErrorClass::Transient };
    ProviderError::new(class, format!("{what}: no answer from DigitalOcean ({})", unanswered.words))
}

/// The error of an answer that is a success but cannot be read.
pub(super) fn not_understood(what: &str, why: &str) -> ProviderError {
    let sentence = format!(
        "{what}: the answer is not one of DigitalOcean's API ({why}); check DIGITALOCEAN_API_BASE_URL"
    );
    ProviderError::new(ErrorClass::Ambiguous, sentence)
}

/// The error of a request that must change before it can be sent.
pub(super) fn refused(sentence: String) -> ProviderError {
    ProviderError::new(ErrorClass::Refused, sentence)
}

/// The error of something that did not happen in time, or that was stopped.
pub(super) fn unknown(sentence: String) -> ProviderError {
    ProviderError::new(ErrorClass::Ambiguous, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_of_an_answer() {
        use ErrorClass::{Ambiguous, Gone, Refused, Transient};
        let rows: [(u16, &str, ErrorClass, &str); 14] = [
            (400, r#"{"error":"bad tag","messages":[],"root_causes":[]}"#, Refused, "bad tag"),
            (
                401,
                r#"{"id":"unauthorized","message":"Unable to authenticate you"}"#,
                Refused,
                "DIGITALOCEAN_TOKEN",
            ),
            (403, r#"{"id":"forbidden","message":"You are not authorized"}"#, Refused, "scope"),
            (
                404,
                r#"{"id":"not_found","message":"The resource you were accessing could not be found."}"#,
                Gone,
                "exist",
            ),
            (408, "", Ambiguous, "problem"),
            (409, r#"{"id":"conflict","message":"duplicate name"}"#, Transient, "duplicate name"),
            (
                422,
                r#"{"message":"creating this/these droplet(s) will exceed your droplet limit"}"#,
                Refused,
                "limit is reached",
            ),
            (422, r#"{"message":"Size is not available in this region."}"#, Refused, "PROVISION_SIZE"),
            (422, r#"{"message":"Droplet already has a pending event."}"#, Transient, "another action"),
            (
                422,
                r#"{"message":"You specified an invalid image for Droplet creation."}"#,
                Refused,
                "invalid image",
            ),
            (429, "slow down", Transient, "slow down"),
            (500, "<html>\u{1b}[31m", Ambiguous, "problem"),
            (503, "", Ambiguous, "HTTP 503"),
            (302, "", Refused, "refuses"),
        ];
        for (status, body, class, part) in rows {
            let error = of_answer("Machine m is not created", status, body.as_bytes());
            assert_eq!((error.class, error.status), (class, Some(status)), "{body}");
            assert!(error.sentence.contains(part), "{}", error.sentence);
            assert!(!error.sentence.contains('\u{1b}'), "{}", error.sentence);
        }
    }
}
