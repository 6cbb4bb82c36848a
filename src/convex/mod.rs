//! The waist to Convex: one call in, one value out.
//!
//! All backend traffic passes [`Convex::call`]. Above it stand the typed service calls (`mission`); below it
//! HTTP, or a double in tests.

use std::fmt;
use std::time::Duration;

use serde_json::value::RawValue;

/// Whoever can carry a call to the backend.
pub trait Convex: Send + Sync {
    /// Makes the call, repeating it inside `call.deadline` where that is safe.
    fn call(&self, call: &Call<'_>) -> Result<Box<RawValue>, CallError>;
}

/// The three kinds of public functions; each has its own endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `POST /api/query`: reads.
    Query,
    /// `POST /api/mutation`: one transaction.
    Mutation,
    /// `POST /api/action`: several transactions, each for itself.
    Action,
}

/// One function of the backend, asked once.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// What kind of function it is.
    pub kind: Kind,
    /// Such as `service/actions:listAgents`.
    pub path: &'a str,
    /// The named arguments, an object.
    pub args: &'a RawValue,
    /// For all attempts together.
    pub deadline: Duration,
    /// Whether a second run adds nothing to the first, so that a lost answer may be asked for again.
    pub may_repeat: bool,
}

/// What a failed call means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Nothing happened, or asking again is harmless: ask again later.
    Transient,
    /// The backend said no, and would say it again.
    Refused,
    /// What the call was about no longer exists.
    Gone,
    /// It may have happened: read before repeating.
    Ambiguous,
}

/// A call that brought no value.
#[derive(Clone, Debug)]
pub struct CallError {
    /// What it means for the caller.
    pub class: Class,
    /// The request id, as the deployment's log shows it.
    pub request_id: String,
    /// What happened and what to do, for people. Redacted.
    pub sentence: String,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (request {})", self.sentence, self.request_id)
    }
}

impl std::error::Error for CallError {}

impl CallError {
    /// A request of ours that is no JSON.
    pub(crate) fn before_sending(path: &str, why: &str) -> Self {
        Self { class: Class::Refused, request_id: String::new(), sentence: format!("{path}: {why}") }
    }

    /// An answer that does not fit the type.
    pub(crate) fn not_understood(call: &Call<'_>, why: &str) -> Self {
        let class = if call.may_repeat { Class::Refused } else { Class::Ambiguous };
        Self { class, request_id: String::new(), sentence: format!("{}: {why}", call.path) }
    }
}
