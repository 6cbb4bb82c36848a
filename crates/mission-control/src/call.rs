//! One call as a function sees it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::answer::Refusal;
use super::rows::Account;
use super::store::{Doc, Id, StoreError, Tx};
use super::vault::{Vault, VaultError};

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
    /// What seals providers' keys, if there is a master key.
    pub(super) vault: Option<&'a Vault>,
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

    /// What seals providers' keys; without a master key a sentence.
    pub(super) fn vault(&self) -> Result<&Vault, Refusal> {
        self.vault.ok_or_else(|| VaultError::Missing.into())
    }

    /// The time of the whole call.
    pub(super) fn now(&self) -> f64 {
        self.tx.now()
    }
}

/// A row's optional field as an argument: absent, `null` to take it away, or its new value.
#[derive(Default)]
pub(super) enum Given<T> {
    #[default]
    Absent,
    Null,
    New(T),
}

impl<T> Given<T> {
    /// The new value, if there is one.
    pub(super) fn value(&self) -> Option<&T> {
        match self {
            Self::New(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// Changes the field, unless nothing is said of it.
    pub(super) fn change(self, field: &mut Option<T>) {
        match self {
            Self::Absent => {}
            Self::Null => *field = None,
            Self::New(value) => *field = Some(value),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Option::deserialize(from).map(|value| value.map_or(Self::Null, Self::New))
    }
}

/// A row or any other record as the value of an answer.
pub(super) fn value(record: &impl serde::Serialize) -> Answer {
    serde_json::to_value(record).map_err(|why| StoreError::Fault(why.to_string()).into())
}
