//! The results of functions, in the platform's wording (convex-http-api A.3, backend-contract §1.4).

use std::fmt;

use serde_json::{Value, json};

use super::store::StoreError;
use super::vault::VaultError;
use mcr_model::redact::without_credentials;

/// Why a function returned no value.
#[derive(Debug)]
pub enum Refusal {
    /// An error of the function itself: `throw new Error(literal)`.
    Thrown(String),
    /// A `TypeError` of the platform about an argument of one of its own functions.
    BadType(String),
    /// The arguments do not match the function's list. Nothing ran.
    Arguments(String),
    /// No public function has this name.
    NoFunction(String),
    /// The function is of a different kind than the endpoint.
    WrongKind {
        /// The requested path.
        path: String,
        /// The kind that the endpoint runs.
        requested: &'static str,
        /// The kind of the function.
        defined: &'static str,
    },
    /// The data could not be read or written. Nothing was changed.
    Store(StoreError),
}

impl Refusal {
    /// An error that a function throws.
    pub fn thrown(literal: impl Into<String>) -> Self {
        Self::Thrown(literal.into())
    }

    /// The text after `Server Error` on a deployment that does not redact. `None` for a fault of the platform.
    fn text(&self) -> Option<String> {
        match self {
            Self::Thrown(literal) => Some(format!(
                "Uncaught Error: {literal}\n    at handler (../convex/service/actions.ts:1:1)\n"
            )),
            Self::BadType(literal) => Some(format!(
                "Uncaught TypeError: {literal}\n    at handler (../convex/service/actions.ts:1:1)\n"
            )),
            Self::Arguments(detail) => Some(format!("ArgumentValidationError: {detail}\n")),
            Self::NoFunction(path) => Some(format!(
                "Could not find public function for '{path}'. Did you forget to run `npx convex dev` or `npx convex deploy`?\n"
            )),
            Self::WrongKind { path, requested, defined } => {
                let file = path.replacen(':', ".js:", 1);
                Some(format!("Trying to execute {file} as {requested}, but it is defined as {defined}.\n"))
            }
            Self::Store(_) => None,
        }
    }

    /// The status and the body of the response. `redact` omits the reason, as a production deployment does. A reason
    /// can repeat what was sent, but never a token or a key that was sent in a wrong field.
    pub fn into_answer(self, request_id: &str, redact: bool) -> (u16, Value) {
        let message = match (self.text(), self) {
            (Some(_), _) if redact => String::new(),
            (Some(text), _) => format!("\n{text}"),
            (None, fault) => {
                let answer = json!({"code": "InternalServerError", "message": without_credentials(&fault.to_string())});
                return (500, answer);
            }
        };
        let message = format!("[Request ID: {request_id}] Server Error{message}");
        (200, json!({"status": "error", "errorMessage": without_credentials(&message)}))
    }
}

/// Only the reason, for callers that use the engine without HTTP.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Thrown(text) | Self::BadType(text) | Self::Arguments(text) => f.write_str(text),
            Self::NoFunction(path) => write!(f, "there is no function named {path}"),
            Self::WrongKind { path, requested, defined } => {
                write!(f, "{path} is of kind {defined}, not {requested}")
            }
            Self::Store(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for Refusal {}

impl From<VaultError> for Refusal {
    fn from(why: VaultError) -> Self {
        Self::thrown(why.to_string())
    }
}

impl From<StoreError> for Refusal {
    fn from(why: StoreError) -> Self {
        Self::Store(why)
    }
}

/// `return Err(Refusal::Thrown(…))` unless the condition holds.
macro_rules! ensure {
    ($holds:expr, $($literal:tt)+) => {
        if !$holds {
            return Err($crate::Refusal::Thrown(format!($($literal)+)));
        }
    };
}
pub(super) use ensure;
