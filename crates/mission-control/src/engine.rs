//! Runs a call: finds the function, validates the arguments, authenticates the caller, and runs the function.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::account_setup::{Owner, create_account};
use super::answer::Refusal;
use super::auth;
use super::call::{Call, Options};
use super::catalog;
use super::data::TokenFiles;
use super::function::{self, DataAccess, Function, Guard, Kind};
use super::pool::{self, Files, PoolTimes, TelegramApi};
use super::provisioning::ProvisionSettings;
use super::rows::Account;
use super::store::{Doc, Id, Store, StoreError, TableSet, Tx};
use super::validate::validate;
use super::vault::Vault;
use mcr_files::Folder;
use mcr_model::clock::Clock;
use mcr_model::secret::Secret;

/// The caller, as far as the HTTP request identifies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A caller with the admin key: a person.
    Person,
    /// A caller with the token of the pool's workers.
    Worker,
    /// Any other caller. The arguments may contain a service token.
    Stranger,
}

/// The result of a query, and what it depends on.
pub(super) struct Observation {
    pub(super) result: Result<Value, Refusal>,
    /// The tables that the query has read.
    pub(super) tables: TableSet,
    /// The number of the last change that the query is sure to have seen.
    pub(super) change: u64,
}

/// Mission Control itself, without an HTTP interface.
pub struct Engine {
    pub(super) store: Store,
    pub(super) options: Options,
    pub(super) vault: Option<Vault>,
    pub(super) token_files: Option<TokenFiles>,
    pub(super) provisioning: Option<ProvisionSettings>,
    /// The times of the worker pool.
    pub(super) times: PoolTimes,
    /// The contents of stored files.
    pub(super) files: Files,
    /// Files that had no row at the last sweep.
    pub(super) orphans: Mutex<BTreeSet<String>>,
    /// Held by a configuration of a webhook until Telegram has answered, so that there is one at a time.
    pub(super) webhooks: Mutex<()>,
    /// The client of Telegram, if there is one.
    pub(super) telegram: Option<Arc<dyn TelegramApi>>,
}

/// The address in the answers of calls that did not come over HTTP.
const NO_ORIGIN: &str = "http://localhost";

impl Engine {
    /// With data in this file, which is created if it does not exist.
    pub fn open(file: &Path, clock: Box<dyn Clock>, options: Options) -> Result<Self, StoreError> {
        Ok(Self::with_store(Store::open(file, clock)?, options))
    }

    /// With data in memory.
    pub fn in_memory(clock: Box<dyn Clock>, options: Options) -> Result<Self, StoreError> {
        Ok(Self::with_store(Store::in_memory(clock)?, options))
    }

    fn with_store(store: Store, options: Options) -> Self {
        Self {
            store,
            options,
            vault: None,
            token_files: None,
            provisioning: None,
            times: PoolTimes::default(),
            files: Files::default(),
            orphans: Mutex::default(),
            webhooks: Mutex::default(),
            telegram: None,
        }
    }

    /// Keeps stored files in this folder.
    #[must_use]
    pub(super) fn with_files(mut self, folder: Folder) -> Self {
        self.files = Files::Folder(folder);
        self
    }

    /// Sets the times of the worker pool.
    #[must_use]
    pub fn with_pool_times(mut self, times: PoolTimes) -> Self {
        self.times = times;
        self
    }

    /// Sets the client of Telegram. Without one, functions that need Telegram are refused.
    #[must_use]
    pub fn with_telegram(mut self, telegram: Arc<dyn TelegramApi>) -> Self {
        self.telegram = Some(telegram);
        self
    }

    /// Creates an account with an owner. Returns its id and its service token.
    pub fn create_account(
        &self,
        name: &str,
        slug: &str,
        owner: Owner<'_>,
    ) -> Result<(String, Secret), Refusal> {
        let new_account = self.store.write(|tx| create_account(tx, name, slug, owner))?;
        Ok((new_account.account.id.to_string(), Secret::new(new_account.service_token)))
    }

    /// Runs a function. Returns the status and the body of the response in the platform's form.
    pub fn call(
        &self,
        kind: Kind,
        path: &str,
        args: &Value,
        caller: Caller,
        request_id: &str,
    ) -> (u16, Value) {
        self.call_at(NO_ORIGIN, kind, path, args, caller, request_id)
    }

    /// Like [`Engine::call`], for a caller that reaches this server at an address (`http://HOST:PORT`). Answers contain it in
    /// the addresses of files.
    pub fn call_at(
        &self,
        origin: &str,
        kind: Kind,
        path: &str,
        args: &Value,
        caller: Caller,
        request_id: &str,
    ) -> (u16, Value) {
        match self.run_observed(origin, kind, path, args, caller, &Cell::default()) {
            Ok(value) => (200, json!({"status": "success", "value": function::with_floats(value)})),
            Err(refusal) => refusal.into_answer(request_id, self.options.redact),
        }
    }

    /// Writes all data to the database file before the process ends.
    pub fn settle(&self) -> Result<(), StoreError> {
        self.store.settle()
    }

    /// The number of the last change.
    pub fn changes(&self) -> u64 {
        self.store.changes()
    }

    /// Waits for a change after `seen`, or for the timeout. Returns the number of the last change.
    pub fn wait_for_change(&self, seen: u64, timeout: Duration) -> u64 {
        self.store.wait_for_change(seen, timeout)
    }

    /// Waits for more than `seen` notifications since the start, or for the timeout. Returns the count.
    pub fn wait_for_notification(&self, seen: u64, timeout: Duration) -> u64 {
        self.store.wait_for_notification(seen, timeout)
    }

    /// Runs a query for a subscriber.
    pub(super) fn observe(&self, path: &str, args: &Value, caller: Caller) -> Observation {
        let seen = Cell::default();
        let result = self.run_observed(NO_ORIGIN, Kind::Query, path, args, caller, &seen);
        let (tables, change) = seen.get();
        Observation { result, tables, change }
    }

    /// Whether one of these tables has changed since.
    pub(super) fn has_changed(&self, tables: TableSet, seen: u64) -> bool {
        self.store.has_changed(tables, seen)
    }

    /// Waits until one of these tables changes after `seen`, or for the timeout.
    pub(super) fn wait_for_change_of(&self, tables: TableSet, seen: u64, timeout: Duration) {
        self.store.wait_for_change_of(tables, seen, timeout);
    }

    /// Runs a function, and notes in `seen` what it has read.
    fn run_observed(
        &self,
        origin: &str,
        kind: Kind,
        path: &str,
        args: &Value,
        caller: Caller,
        seen: &Cell<(TableSet, u64)>,
    ) -> Result<Value, Refusal> {
        if let Some(action) = pool::find_action(path) {
            return action.run(self, kind, args, caller);
        }
        let function = catalog::find(path).ok_or_else(|| Refusal::NoFunction(path.to_owned()))?;
        if function.kind != kind {
            let (requested, defined) = (kind.word(), function.kind.word());
            return Err(Refusal::WrongKind { path: function.path.to_owned(), requested, defined });
        }
        validate(args, function.args).map_err(Refusal::Arguments)?;
        let none = Map::new();
        let args = args.as_object().unwrap_or(&none);
        let call = |tx: &Tx<'_>| {
            let account = admit(tx, function, args, caller)?;
            let call = Call {
                tx,
                args,
                account,
                options: self.options,
                vault: self.vault.as_ref(),
                provisioning: self.provisioning.as_ref(),
                times: self.times,
                origin,
            };
            let answer = (function.run)(&call)?;
            if function.is_token_grant() {
                self.keep_token(&call, &answer)?;
            }
            Ok(answer)
        };
        let work = |tx: &Tx<'_>| {
            let answer = call(tx);
            seen.set(tx.reads());
            answer
        };
        match function.access {
            DataAccess::Reads if matches!(function.guard, Guard::ServiceToken | Guard::Worker) => {
                self.store.read_for_runtime(work)
            }
            DataAccess::Reads => self.store.read(work),
            DataAccess::Writes => {
                let answer = self.store.write(work);
                self.settle_token();
                answer
            }
        }
    }
}

/// The account of calls that are not about one account. It is empty and not stored.
pub(super) fn nobody() -> Doc<Account> {
    Doc { id: Id::default(), created: 0.0, row: Account::default() }
}

/// The account of the call, if the caller is authorized.
fn admit(
    tx: &Tx<'_>,
    function: &Function,
    args: &Map<String, Value>,
    caller: Caller,
) -> Result<Doc<Account>, Refusal> {
    match (function.guard, caller) {
        (Guard::ServiceToken, _) => auth::by_service_token(tx, args),
        (Guard::Admin | Guard::AdminOfAll, Caller::Stranger | Caller::Worker) => {
            Err(Refusal::thrown(function.kind.stranger()))
        }
        (Guard::Worker, Caller::Stranger) => Err(Refusal::thrown(
            "Unauthorized: workers send the content of the file worker-token as a bearer token (WORKER_AUTH_TOKEN of a worker)",
        )),
        (Guard::AdminOfAll | Guard::Worker, Caller::Person) | (Guard::Worker, Caller::Worker) => Ok(nobody()),
        (Guard::Admin, Caller::Person) => {
            let id = args.get("accountId").and_then(Value::as_str).unwrap_or_default();
            tx.get(&Id::new(id))?.ok_or_else(|| Refusal::thrown("Not found: Account does not exist"))
        }
    }
}
