//! The definition of a public function: kind, guard, arguments and code.

use serde_json::Value;

use super::call::{Answer, Call};
use super::validate::{Arg, Is, need};
use crate::store::Table;

/// The three kinds of public functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Reads data.
    Query,
    /// Changes data, for people.
    Mutation,
    /// The service functions.
    Action,
}

impl Kind {
    /// The name of the kind in the platform's error texts.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Query => "Query",
            Self::Mutation => "Mutation",
            Self::Action => "Action",
        }
    }

    /// The error for a caller without the admin key (backend-contract §8; §2.33 for actions).
    pub(super) fn stranger(self) -> &'static str {
        match self {
            Self::Query | Self::Mutation => "Unauthenticated: No valid identity found",
            Self::Action => "Unauthorized: Must be authenticated",
        }
    }
}

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guard {
    /// A caller with the account's service token among the arguments.
    ServiceToken,
    /// A caller with the admin key of this backend: a person.
    Admin,
    /// A worker of the pool, or a person. The account of the call is empty.
    Worker,
    /// Like [`Admin`](Self::Admin), for functions that are not about one account. The account of the call is empty and not
    /// stored.
    AdminOfAll,
}

/// Whether a function may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DataAccess {
    /// It cannot write: its connection is read-only.
    Reads,
    /// It may write.
    Writes,
}

/// A public function.
pub(super) struct Function {
    /// `module:name`.
    pub(super) path: &'static str,
    pub(super) kind: Kind,
    pub(super) guard: Guard,
    pub(super) access: DataAccess,
    pub(super) args: &'static [Arg],
    pub(super) run: Run,
}

/// The code of a function.
pub(super) type Run = fn(&Call<'_>) -> Answer;

impl Function {
    /// A service function that only reads.
    pub(super) const fn service_read(path: &'static str, args: &'static [Arg], run: Run) -> Self {
        Self { path, kind: Kind::Action, guard: Guard::ServiceToken, access: DataAccess::Reads, args, run }
    }

    /// A service function that changes data.
    pub(super) const fn service_write(path: &'static str, args: &'static [Arg], run: Run) -> Self {
        Self { path, kind: Kind::Action, guard: Guard::ServiceToken, access: DataAccess::Writes, args, run }
    }

    /// A query for people.
    pub(super) const fn query(path: &'static str, args: &'static [Arg], run: Run) -> Self {
        Self { path, kind: Kind::Query, guard: Guard::Admin, access: DataAccess::Reads, args, run }
    }

    /// A query for people about all accounts.
    pub(super) const fn query_of_all(path: &'static str, run: Run) -> Self {
        Self { path, kind: Kind::Query, guard: Guard::AdminOfAll, access: DataAccess::Reads, args: &[], run }
    }

    /// A mutation for people that is not about one account.
    pub(super) const fn mutation_of_all(path: &'static str, args: &'static [Arg], run: Run) -> Self {
        Self { path, kind: Kind::Mutation, guard: Guard::AdminOfAll, access: DataAccess::Writes, args, run }
    }

    /// A service function that a person calls, without a token.
    pub(super) const fn token_grant(path: &'static str, args: &'static [Arg], run: Run) -> Self {
        Self { path, kind: Kind::Action, guard: Guard::Admin, access: DataAccess::Writes, args, run }
    }

    /// A query of the pool's workers.
    pub(super) const fn worker_query(path: &'static str, args: &'static [Arg], run: Run) -> Self {
        Self { path, kind: Kind::Query, guard: Guard::Worker, access: DataAccess::Reads, args, run }
    }

    /// A mutation of the pool's workers.
    pub(super) const fn worker_mutation(path: &'static str, args: &'static [Arg], run: Run) -> Self {
        Self { path, kind: Kind::Mutation, guard: Guard::Worker, access: DataAccess::Writes, args, run }
    }

    /// A query about the pool for people and their programs.
    pub(super) const fn pool_query(path: &'static str, args: &'static [Arg], run: Run) -> Self {
        Self { path, kind: Kind::Query, guard: Guard::AdminOfAll, access: DataAccess::Reads, args, run }
    }

    /// A mutation of the pool for people and their programs.
    pub(super) const fn pool_mutation(path: &'static str, args: &'static [Arg], run: Run) -> Self {
        Self { path, kind: Kind::Mutation, guard: Guard::AdminOfAll, access: DataAccess::Writes, args, run }
    }

    /// An action of the pool that is one transaction.
    pub(super) const fn pool_action(path: &'static str, args: &'static [Arg], run: Run) -> Self {
        Self { path, kind: Kind::Action, guard: Guard::AdminOfAll, access: DataAccess::Writes, args, run }
    }

    /// An action that a worker calls on a schedule, as one transaction.
    pub(super) const fn worker_action(path: &'static str, args: &'static [Arg], run: Run) -> Self {
        Self { path, kind: Kind::Action, guard: Guard::Worker, access: DataAccess::Writes, args, run }
    }

    /// Whether the function gives the account a token. People's actions do nothing else.
    pub(super) fn is_token_grant(&self) -> bool {
        self.kind == Kind::Action && self.guard == Guard::Admin
    }

    /// A mutation for people.
    pub(super) const fn mutation(path: &'static str, args: &'static [Arg], run: Run) -> Self {
        Self { path, kind: Kind::Mutation, guard: Guard::Admin, access: DataAccess::Writes, args, run }
    }
}

/// The arguments that every service function has.
pub(super) const ACCOUNT: Arg = need("accountId", Is::Id(Table::Accounts));
/// The service token of the account.
pub(super) const TOKEN: Arg = need("serviceToken", Is::Text);

/// `{"success": true}`.
#[expect(clippy::unnecessary_wraps, reason = "it is what functions end with")]
pub(super) fn done() -> Answer {
    Ok(serde_json::json!({"success": true}))
}

/// Turns every number into a float, as the platform does, so that whole numbers are written `3.0`.
pub(super) fn with_floats(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map_or(Value::Null, Value::from),
        Value::Array(values) => values.into_iter().map(with_floats).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, with_floats(value))).collect(),
        other @ (Value::Null | Value::Bool(_) | Value::String(_)) => other,
    }
}
