//! One call as a function sees it.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::answer::Refusal;
use super::rows::Account;
use super::store::{Doc, Id, StoreError, Tx};

/// How the embedded backend behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Keep the defects of the original that a stand-in may mend (backend-contract §10).
    pub original: bool,
    /// Answer as a production deployment does: without reasons.
    pub redact: bool,
}

/// A call whose arguments fit and whose caller is known.
pub(super) struct Call<'a> {
    /// The transaction that it is.
    pub(super) tx: &'a Tx<'a>,
    /// As they were sent.
    pub(super) args: &'a Map<String, Value>,
    /// For whom.
    pub(super) account: Doc<Account>,
    /// How we behave.
    pub(super) options: Options,
}

/// What functions give back.
pub(super) type Answer = Result<Value, Refusal>;

impl Call<'_> {
    /// The arguments as a type of the function's own; they were validated before.
    pub(super) fn args<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        let read = serde_json::from_value(Value::Object(self.args.clone()));
        read.map_err(|why| StoreError::Fault(format!("validated arguments do not fit: {why}")).into())
    }

    /// For whom the call is.
    pub(super) fn account_id(&self) -> &Id<Account> {
        &self.account.id
    }

    /// The time of the whole call.
    pub(super) fn now(&self) -> f64 {
        self.tx.now()
    }
}

/// A row or any other record as the value of an answer.
pub(super) fn value(record: &impl serde::Serialize) -> Answer {
    serde_json::to_value(record).map_err(|why| StoreError::Fault(why.to_string()).into())
}
