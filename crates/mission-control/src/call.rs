//! A call: what a function gets when it runs.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::answer::Refusal;
use super::pool::PoolTimes;
use super::provisioning::ProvisionSettings;
use super::rows::Account;
use super::store::{Doc, Id, StoreError, Tx};
use super::vault::{Vault, VaultError};

/// Options of the embedded backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Keep the defects of the original that a stand-in may mend (backend-contract §10).
    pub original: bool,
    /// Answer like a production deployment: without reasons.
    pub redact: bool,
}

/// A call with valid arguments and an authorized caller.
pub(super) struct Call<'a> {
    /// The transaction in which it runs.
    pub(super) tx: &'a Tx<'a>,
    /// The arguments as they were sent.
    pub(super) args: &'a Map<String, Value>,
    /// The account.
    pub(super) account: Doc<Account>,
    /// The options of the backend.
    pub(super) options: Options,
    /// The vault for providers' keys, if there is a master key.
    pub(super) vault: Option<&'a Vault>,
    /// How machines are provided, if this backend can.
    pub(super) provisioning: Option<&'a ProvisionSettings>,
    /// The times of the worker pool.
    pub(super) times: PoolTimes,
    /// The address at which the caller reaches this server.
    pub(super) origin: &'a str,
}

/// The result of a function.
pub(super) type Answer = Result<Value, Refusal>;

impl Call<'_> {
    /// The arguments as a type of the function. They are already validated.
    pub(super) fn args<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        let read = serde_json::from_value(Value::Object(self.args.clone()));
        read.map_err(|why| {
            StoreError::Fault(format!(
                "arguments that passed validation cannot be read by the function: {why}"
            ))
            .into()
        })
    }

    /// The account of the call.
    pub(super) fn account_id(&self) -> &Id<Account> {
        &self.account.id
    }

    /// The vault for providers' keys, or an error if there is no master key.
    pub(super) fn vault(&self) -> Result<&Vault, Refusal> {
        self.vault.ok_or_else(|| VaultError::Missing.into())
    }

    /// The time of the whole call.
    pub(super) fn now(&self) -> f64 {
        self.tx.now()
    }
}

/// An argument for an optional field of a row: absent, `null` to remove the field, or a new value.
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

    /// Changes the field, unless the argument is absent.
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

/// A row or another record as the value of a response.
pub(super) fn value(record: &impl serde::Serialize) -> Answer {
    serde_json::to_value(record).map_err(|why| StoreError::Fault(why.to_string()).into())
}
