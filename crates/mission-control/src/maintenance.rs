//! Periodic and administrative work of the engine: silent runtimes, the vault and the token's files.

use std::collections::BTreeSet;

use log::warn;
use serde_json::Value;

use super::answer::Refusal;
use super::call::Call;
use super::data::{DataError, TokenFiles};
use super::engine::Engine;
use super::keys::{self, KeyError};
use super::pool;
use super::provisioning::ProvisionSettings;
use super::rows::Account;
use super::rules::offline;
use super::store::{Doc, StoreError};
use super::vault::{Vault, VaultError};
use mcr_model::secret::Secret;

impl Engine {
    /// Marks silent runtimes as offline. Must be called every 30 s.
    pub fn sweep(&self) -> Result<(), StoreError> {
        self.store.write(|tx| offline::sweep(tx, self.options))?;
        self.sweep_pool()
    }

    /// Sets the vault. Fails if another master key sealed the stored keys.
    pub fn with_vault(mut self, vault: Vault) -> Result<Self, KeyError> {
        self.store.read(|tx| keys::check(tx, &vault))?;
        self.vault = Some(vault);
        Ok(self)
    }

    /// Lets people request machines for accounts.
    #[must_use]
    pub fn with_provisioning(mut self, settings: ProvisionSettings) -> Self {
        self.provisioning = Some(settings);
        self
    }

    /// Sets the files that are updated when a service token is issued.
    pub(super) fn with_token_files(mut self, files: TokenFiles) -> Self {
        self.token_files = Some(files);
        self
    }

    /// Writes the token that a call issued or received to its file, before the database has it. If that fails, the
    /// call is refused.
    pub(super) fn keep_token(&self, call: &Call<'_>, answer: &Value) -> Result<(), Refusal> {
        let token = answer.get("token").or_else(|| call.args.get("serviceToken")).and_then(Value::as_str);
        token.map_or(Ok(()), |token| self.keep_token_of(&call.account, token.trim()))
    }

    /// Writes a new token of this account to its file. `account` is the account before the change.
    pub(super) fn keep_token_of(&self, account: &Doc<Account>, token: &str) -> Result<(), Refusal> {
        let Some(files) = &self.token_files else { return Ok(()) };
        files.offer(account, token).map_err(|why| StoreError::Unwritable(why.to_string()).into())
    }

    /// Brings the token's file up to date with the database. After a failure, the next start repeats this.
    pub(super) fn settle_token(&self) {
        let Some(files) = self.token_files.as_ref().filter(|files| files.is_unsettled()) else { return };
        let settled = self.store.read(|tx| match tx.get(files.account())? {
            Some(account) => files.settle(&account),
            None => Ok(()),
        });
        if let Err(why) = settled {
            warn!(reason:% = why; "The new service token stays in its second file until the next start");
        }
    }

    /// The valid service token of the account that was created first. `None` if its file does not contain it, or if the
    /// data are in memory.
    pub fn service_token(&self) -> Result<Option<Secret>, DataError> {
        let Some(files) = &self.token_files else { return Ok(None) };
        self.store.read(|tx| match tx.get(files.account())? {
            Some(account) => files.current(&account),
            None => Ok(None),
        })
    }

    /// The ids of the master keys that sealed the stored keys.
    pub fn sealed_with(&self) -> Result<BTreeSet<String>, StoreError> {
        self.store.read(|tx| {
            let mut ids = keys::sealed_with(tx)?;
            ids.extend(pool::sealed_with(tx)?);
            Ok(ids)
        })
    }

    /// Seals all providers' keys with another master key, completely or not at all, and uses that from now on.
    /// Returns the number of keys.
    pub fn rotate(&mut self, next: Vault) -> Result<usize, KeyError> {
        let vault = self.vault.as_ref().ok_or(VaultError::Missing)?;
        let count = self.store.write(|tx| {
            Ok::<_, KeyError>(keys::reseal(tx, vault, &next)? + pool::rotate_secrets(tx, vault, &next)?)
        })?;
        self.vault = Some(next);
        Ok(count)
    }
}
