//! Why a tool call failed: a kind for programs, a sentence for the agent.

use std::fmt;
use std::time::Duration;

use mcr_model::redact::Redactor;

/// The longest sentence for an agent.
const SENTENCE_CHARS_MAX: usize = 500;

/// What a failed call means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ToolErrorKind {
    /// The tool does not exist.
    UnknownTool,
    /// The arguments are not an object, or a field is missing or of the wrong type.
    Malformed,
    /// A value is not acceptable.
    Invalid,
    /// The caller may not do this.
    Forbidden,
    /// The object of the call does not exist.
    NotFound,
    /// The call contradicts the current state.
    Conflict,
    /// Too many calls: retry later.
    Throttled,
    /// Mission Control cannot be reached. Nothing happened, or a repetition is harmless.
    Unavailable,
    /// The answer was lost: the effect may have happened.
    Unsettled,
    /// Mission Control refused without a reason.
    Refused,
}

/// A failed call. Its sentence is redacted and short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolError {
    /// What the failure means.
    pub kind: ToolErrorKind,
    /// The field with the error, if it is one field.
    pub field: Option<&'static str>,
    /// For the agent: what is wrong, and what would be right.
    pub message: String,
    /// How long to send Mission Control no further calls.
    pub not_before: Option<Duration>,
    /// Whether the answer timed out.
    pub late: bool,
}

impl ToolError {
    /// An error of this kind.
    pub fn new(kind: ToolErrorKind, message: &str) -> Self {
        let message = Redactor::default().excerpt(message, SENTENCE_CHARS_MAX);
        Self { kind, field: None, message, not_before: None, late: false }
    }

    /// A field is missing or of the wrong type.
    pub fn malformed(field: &'static str, message: &str) -> Self {
        Self { field: Some(field), ..Self::new(ToolErrorKind::Malformed, message) }
    }

    /// A field has an unacceptable value.
    pub fn invalid(field: &'static str, message: &str) -> Self {
        Self { field: Some(field), ..Self::new(ToolErrorKind::Invalid, message) }
    }

    /// The caller may not do this.
    pub(super) fn forbidden(message: &str) -> Self {
        Self::new(ToolErrorKind::Forbidden, message)
    }
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ToolError {}
