//! The failures of a turn.

use super::run::Outcome;

/// The failure of a turn (openclaw-gateway §7).
pub(super) struct Failure {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) message: String,
    /// Whether the model has produced any text.
    pub(super) spoke: bool,
}

pub(super) const INTERNAL: &str = "internal error";

/// The failure without an explanation.
pub(super) fn internal() -> Outcome {
    failed(500, "api_error", INTERNAL)
}

pub(super) fn failed(status: u16, code: &'static str, message: impl Into<String>) -> Outcome {
    Outcome::Failed(Failure { status, code, message: message.into(), spoke: false })
}
