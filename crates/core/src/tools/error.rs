//! Why a tool did not do what it was asked for: a kind for programs, a sentence for the agent.

use std::fmt;
use std::time::Duration;

use mcr_model::redact::Redactor;

/// The longest sentence that an agent gets.
const SENTENCE_CHARS_MAX: usize = 500;

/// What a failed call means for whoever made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ToolErrorKind {
    /// There is no such tool.
    UnknownTool,
    /// The arguments are not an object, or a field is missing or of the wrong type.
    Malformed,
    /// A value is not acceptable.
    Invalid,
    /// The caller may not do this.
    Forbidden,
    /// What it is about does not exist.
    NotFound,
    /// It does not fit to how things stand now.
    Conflict,
    /// Too much at once: later.
    Throttled,
    /// Mission Control cannot be asked now. Nothing happened, or asking again does no harm.
    Unavailable,
    /// The answer was lost: it may have happened.
    Unsettled,
    /// Mission Control refused and does not say why.
    Refused,
}

/// A call that did not do what it was asked for. Its sentence is redacted and short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolError {
    /// What it means.
    pub kind: ToolErrorKind,
    /// The field that is to blame, where it is one.
    pub field: Option<&'static str>,
    /// For the agent: what is wrong, and what would be right.
    pub message: String,
    /// How long to leave Mission Control alone.
    pub not_before: Option<Duration>,
    /// Whether it is for want of an answer in time.
    pub late: bool,
}

impl ToolError {
    /// Of this kind.
    pub fn new(kind: ToolErrorKind, message: &str) -> Self {
        let message = Redactor::default().excerpt(message, SENTENCE_CHARS_MAX);
        Self { kind, field: None, message, not_before: None, late: false }
    }

    /// A field is missing or of the wrong type.
    pub fn malformed(field: &'static str, message: &str) -> Self {
        Self { field: Some(field), ..Self::new(ToolErrorKind::Malformed, message) }
    }

    /// A field has a value that is not acceptable.
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
