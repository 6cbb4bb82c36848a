//! A call from its name to its answer: find, hold the arguments against the list, find out who calls, run.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::account_setup::{Owner, found};
use super::answer::Refusal;
use super::auth;
use super::call::{Call, Options};
use super::catalog;
use super::data::TokenFiles;
use super::function::{self, Access, Function, Guard, Kind};
use super::rows::Account;
use super::store::{Doc, Id, Store, StoreError, Tx};
use super::validate::validate;
use super::vault::Vault;
use mcr_model::clock::Clock;
use mcr_model::secret::Secret;

/// Who asks, as far as the way in could tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Somebody who has shown the admin key: a person.
    Person,
    /// Anybody else; a service token may be among the arguments.
    Stranger,
}

/// Mission Control itself, without a way in.
pub struct Engine {
    pub(super) store: Store,
    pub(super) options: Options,
    pub(super) vault: Option<Vault>,
    pub(super) token_files: Option<TokenFiles>,
}

impl Engine {
    /// With data in this file; made where there is none.
    pub fn open(file: &Path, clock: Box<dyn Clock>, options: Options) -> Result<Self, StoreError> {
        Ok(Self { store: Store::open(file, clock)?, options, vault: None, token_files: None })
    }

    /// With data that lives as long as the process.
    pub fn in_memory(clock: Box<dyn Clock>, options: Options) -> Result<Self, StoreError> {
        Ok(Self { store: Store::in_memory(clock)?, options, vault: None, token_files: None })
    }

    /// Founds an account with an owner; its id and its service token.
    pub fn found(&self, name: &str, slug: &str, owner: Owner<'_>) -> Result<(String, Secret), Refusal> {
        let founded = self.store.write(|tx| found(tx, name, slug, owner))?;
        Ok((founded.account.id.to_string(), Secret::new(founded.service_token)))
    }

    /// Runs a function; status and body of the answer, in the platform's form.
    pub fn call(
        &self,
        kind: Kind,
        path: &str,
        args: &Value,
        caller: Caller,
        request_id: &str,
    ) -> (u16, Value) {
        match self.run(kind, path, args, caller) {
            Ok(value) => (200, json!({"status": "success", "value": function::with_floats(value)})),
            Err(refusal) => refusal.into_answer(request_id, self.options.redact),
        }
    }

    /// Brings everything into the one database file, before the process ends.
    pub fn settle(&self) -> Result<(), StoreError> {
        self.store.settle()
    }

    /// The number of the last change.
    pub fn changes(&self) -> u64 {
        self.store.changes()
    }

    /// Waits until something has changed behind `seen`, or the time is over; the number of the last change.
    pub fn wait_for_change(&self, seen: u64, patience: Duration) -> u64 {
        self.store.wait_for_change(seen, patience)
    }

    /// Waits until there are more than `seen` notifications, counted from the start, or the time is over; the count.
    pub fn wait_for_told(&self, seen: u64, patience: Duration) -> u64 {
        self.store.wait_for_told(seen, patience)
    }

    fn run(&self, kind: Kind, path: &str, args: &Value, caller: Caller) -> Result<Value, Refusal> {
        let function = catalog::find(path).ok_or_else(|| Refusal::NoFunction(path.to_owned()))?;
        if function.kind != kind {
            let (asked, defined) = (kind.word(), function.kind.word());
            return Err(Refusal::WrongKind { path: function.path.to_owned(), asked, defined });
        }
        validate(args, function.args).map_err(Refusal::Arguments)?;
        let none = Map::new();
        let args = args.as_object().unwrap_or(&none);
        let work = |tx: &Tx<'_>| {
            let account = admit(tx, function, args, caller)?;
            let call = Call { tx, args, account, options: self.options, vault: self.vault.as_ref() };
            let answer = (function.run)(&call)?;
            if function.is_office() {
                self.keep_token(&call, &answer)?;
            }
            Ok(answer)
        };
        match function.access {
            Access::Reads if function.guard == Guard::ServiceToken => self.store.read_for_runtime(work),
            Access::Reads => self.store.read(work),
            Access::Writes => {
                let answer = self.store.write(work);
                self.settle_token();
                answer
            }
        }
    }
}

/// The account that the call is for, if the caller may call.
fn admit(
    tx: &Tx<'_>,
    function: &Function,
    args: &Map<String, Value>,
    caller: Caller,
) -> Result<Doc<Account>, Refusal> {
    match (function.guard, caller) {
        (Guard::ServiceToken, _) => auth::by_service_token(tx, args),
        (Guard::Admin | Guard::AdminOfAll, Caller::Stranger) => {
            Err(Refusal::thrown(function.kind.stranger()))
        }
        (Guard::AdminOfAll, Caller::Person) => {
            Ok(Doc { id: Id::default(), created: 0.0, row: Account::default() })
        }
        (Guard::Admin, Caller::Person) => {
            let id = args.get("accountId").and_then(Value::as_str).unwrap_or_default();
            tx.get(&Id::new(id))?.ok_or_else(|| Refusal::thrown("Not found: Account does not exist"))
        }
    }
}
