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
use super::rows::ProviderKey;
use super::rules::offline;
use super::store::StoreError;
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

    /// Sets the files that are updated when a service token is issued.
    pub(super) fn with_token_files(mut self, files: TokenFiles) -> Self {
        self.token_files = Some(files);
        self
    }

    /// Writes the token that a call issued or received to its file, before the database has it. If that fails, the
    /// call is refused.
    pub(super) fn keep_token(&self, call: &Call<'_>, answer: &Value) -> Result<(), Refusal> {
        let token = answer.get("token").or_else(|| call.args.get("serviceToken")).and_then(Value::as_str);
        let (Some(files), Some(token)) = (&self.token_files, token) else { return Ok(()) };
        let offered = files.offer(&call.account, token.trim());
        offered.map_err(|why| StoreError::Unwritable(why.to_string()).into())
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
            let keys = tx.all::<ProviderKey>()?;
            let keys = keys.into_iter().map(|key| key.row.key_id);
            Ok(keys.chain(pool::sealed_with(tx)?).collect())
        })
    }

    /// Seals all providers' keys with another master key, completely or not at all, and uses that from now on.
    /// Returns the number of keys.
    pub fn rotate(&mut self, next: Vault) -> Result<usize, KeyError> {
        let vault = self.vault.as_ref().ok_or(VaultError::Missing)?;
        let count = self.store.write(|tx| {
            let keys = tx.all::<ProviderKey>()?;
            for key in &keys {
                let mut key = key.clone();
                let sealed = vault.rotate(&next, key.row.place(), &key.row.sealed())?;
                key.row.put_in(sealed);
                tx.put(&key)?;
            }
            Ok::<_, KeyError>(keys.len() + pool::rotate_secrets(tx, vault, &next)?)
        })?;
        self.vault = Some(next);
        Ok(count)
    }
}
