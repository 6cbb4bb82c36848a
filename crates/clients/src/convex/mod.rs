//! The waist to Convex: one call in, one value out.
//!
//! All backend traffic passes [`Convex::call`]. Above it stand the typed service calls (`mission`); below it
//! HTTP ([`HttpConvex`]), or a double in tests.
//!
//! A call that brings no value brings a [`CallError`], and the first thing in it is its [`Class`]: what the caller
//! should do. The class is worked out in steps, each pure and in a file of its own. What came back (`answer`, with
//! `error_text` for the words of a failed function) or what broke (`failure`) is read into a *finding*: the reason
//! ([`Why`]), whether the function may have run ([`Ran`]), and whether asking again may do better. The finding and
//! the nature of the call (a query? an action? may it be repeated?) give the class (`finding`). What is transient is
//! asked again within the call's deadline (`retry`); `http` carries all this out.
//!
//! **No decision depends on the words of an application error**, because production deployments hide them: then
//! the reason is [`Why::Unknown`], and the class is refused, never gone. Words only ever make a decision better.

mod answer;
mod error;
mod error_text;
mod failure;
mod finding;
mod http;
mod retry;

use std::fmt;
use std::time::Duration;

use serde_json::value::RawValue;

pub use error::{CallError, Class, Ran, Why};
pub use http::{ConvexEndpoint, ConvexLimits, HttpConvex};
pub use retry::Backoff;

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

impl Kind {
    /// Where functions of this kind are called.
    pub fn endpoint(self) -> &'static str {
        match self {
            Self::Query => "/api/query",
            Self::Mutation => "/api/mutation",
            Self::Action => "/api/action",
        }
    }
}

/// One function of the backend, asked once. Its arguments hold the service token, so it does not show them.
#[derive(Clone, Copy)]
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
    /// Whether running it twice does no harm: a query never does, the others only by their own nature.
    pub fn is_harmless(&self) -> bool {
        match self.kind {
            Kind::Query => true,
            Kind::Mutation | Kind::Action => self.may_repeat,
        }
    }
}
