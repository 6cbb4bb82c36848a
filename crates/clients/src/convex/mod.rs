//! The client of the Convex backend: one call in, one value out.
//!
//! All backend traffic passes [`Convex::call`]. The typed service calls (`mission`) are above it. HTTP
//! ([`HttpConvex`]) is below it, or a double in tests.
//!
//! A call without a value returns a [`CallError`], whose [`CallClass`] says what the caller should do. The class
//! is derived in steps. Each step is pure and has its own file:
//!
//! - `answer` reads a complete answer, with `error_text` for the words of a failed function; `failure` reads
//!   a broken connection. Both produce a *finding*: the reason ([`CallReason`]), whether the function may have run
//!   ([`Ran`]), and whether a retry may succeed.
//! - `finding` derives the class from the finding and the nature of the call (its kind, and whether it may be
//!   repeated).
//! - `retry` paces the attempts of a transient failure within the call's deadline.
//! - `http` carries all this out.
//!
//! `wake` subscribes to the wake query over a WebSocket, apart from all calls.
//!
//! **No decision depends on the words of an application error**, because production deployments hide them.
//! The reason is then [`CallReason::Unknown`], and the class is refused, never gone. Words only ever refine a
//! decision.

mod answer;
mod endpoint;
mod error;
mod error_text;
mod failure;
mod finding;
mod http;
mod known_team;
mod retry;
mod wake;

use std::fmt;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use mcr_model::Team;

pub use endpoint::{ConvexEndpoint, ConvexLimits};
pub use error::{CallClass, CallError, CallReason, Ran};
pub use http::HttpConvex;
pub use retry::Backoff;
pub use wake::{SubscriptionEnd, WakeLimits, WakeSubscriber};

/// Carries calls to the backend.
pub trait Convex: Send + Sync {
    /// Makes the call and repeats it within `call.deadline` where that is safe.
    fn call(&self, call: &Call<'_>) -> Result<Box<RawValue>, CallError>;

    /// Makes the call of a function whose answer lists all agents. A long list may be left out of the value; it is then
    /// the second part of the result.
    fn call_with_team(&self, call: &Call<'_>) -> Result<(Box<RawValue>, Option<Team>), CallError> {
        Ok((self.call(call)?, None))
    }
}

/// The three kinds of public functions. Each has its own endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionKind {
    /// `POST /api/query`: reads.
    Query,
    /// `POST /api/mutation`: one transaction.
    Mutation,
    /// `POST /api/action`: several separate transactions.
    Action,
}

impl FunctionKind {
    /// The endpoint for functions of this kind.
    pub fn endpoint(self) -> &'static str {
        match self {
            Self::Query => "/api/query",
            Self::Mutation => "/api/mutation",
            Self::Action => "/api/action",
        }
    }
}

/// One call of a backend function. `Debug` omits the arguments because they hold the service token.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The kind of the function.
    pub kind: FunctionKind,
    /// The function's path, such as `service/actions:listAgents`.
    pub path: &'a str,
    /// The named arguments, an object.
    pub args: &'a RawValue,
    /// The time limit for all attempts together.
    pub deadline: Duration,
    /// Whether a second run adds nothing to the first, so that a lost answer may be requested again.
    pub may_repeat: bool,
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.args.get().len();
        write!(
            f,
            "Call({:?} {}, {bytes} bytes of arguments, within {:?})",
            self.kind, self.path, self.deadline
        )
    }
}

impl Call<'_> {
    /// Whether running it twice does no harm. A query never does; the other kinds only if `may_repeat` says
    /// so.
    pub fn is_harmless(&self) -> bool {
        match self.kind {
            FunctionKind::Query => true,
            FunctionKind::Mutation | FunctionKind::Action => self.may_repeat,
        }
    }

    /// Decodes the call's value into its type. If the value does not fit, the function ran nevertheless. For a call that
    /// must not be repeated, only the backend then knows the outcome.
    pub(crate) fn decode<T: DeserializeOwned>(&self, value: &RawValue) -> Result<T, CallError> {
        serde_json::from_str(value.get()).map_err(|why| CallError::not_understood(self, &why.to_string()))
    }
}
