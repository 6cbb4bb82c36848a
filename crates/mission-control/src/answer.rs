//! What a function answers, in the platform's words (convex-http-api A.3, backend-contract §1.4).

use std::fmt;

use serde_json::{Value, json};

use super::store::StoreError;
use super::vault::VaultError;
use mcr_model::redact::without_credentials;

/// Why a function did not bring a value.
#[derive(Debug)]
pub enum Refusal {
    /// The function's own word: `throw new Error(literal)`.
    Thrown(String),
    /// The platform's word on an argument of one of its own functions: a `TypeError`.
    BadType(String),
    /// The arguments do not fit; nothing ran.
    Arguments(String),
    /// There is no such public function.
    NoFunction(String),
    /// It is of another kind than the endpoint.
    WrongKind {
        /// As it was asked for.
        path: String,
        /// What the endpoint runs.
        asked: &'static str,
        /// What it is.
        defined: &'static str,
    },
    /// The data could not be read or written; nothing was changed.
    Store(StoreError),
}

impl Refusal {
    /// The function throws.
    pub fn thrown(literal: impl Into<String>) -> Self {
        Self::Thrown(literal.into())
    }

    /// What stands behind `Server Error` on a deployment that does not redact; nothing for a fault of the platform.
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
            Self::WrongKind { path, asked, defined } => {
                let file = path.replacen(':', ".js:", 1);
                Some(format!("Trying to execute {file} as {asked}, but it is defined as {defined}.\n"))
            }
            Self::Store(_) => None,
        }
    }

    /// Status and body. `redact` answers as a production deployment does: without the reason. A reason may repeat what was
    /// sent, but never a token or a key that stood in the wrong place there.
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

/// The reason alone, for people who use the engine without a way in.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Thrown(text) | Self::BadType(text) | Self::Arguments(text) => f.write_str(text),
            Self::NoFunction(path) => write!(f, "there is no function {path}"),
            Self::WrongKind { path, asked, defined } => write!(f, "{path} is no {asked}, it is a {defined}"),
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
