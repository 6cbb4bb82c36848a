//! What the engine does besides answering calls: look for silent runtimes, keep providers' keys sealed.

use std::collections::BTreeSet;

use super::engine::Engine;
use super::keys::{self, KeyError};
use super::rows::ProviderKey;
use super::rules::offline;
use super::store::StoreError;
use super::vault::{Vault, VaultError};

impl Engine {
    /// Looks for runtimes that fell silent; to be called every 30 s.
    pub fn sweep(&self) -> Result<(), StoreError> {
        self.store.write(|tx| offline::sweep(tx, self.options))
    }

    /// Gives the engine its vault; refused if keys are there that another master key sealed.
    pub fn with_vault(mut self, vault: Vault) -> Result<Self, KeyError> {
        self.store.read(|tx| keys::check(tx, &vault))?;
        self.vault = Some(vault);
        Ok(self)
    }

    /// Which master keys sealed what is stored.
    pub fn sealed_with(&self) -> Result<BTreeSet<String>, StoreError> {
        self.store.read(|tx| {
            let keys = tx.all::<ProviderKey>()?;
            Ok(keys.into_iter().map(|key| key.row.key_id).collect())
        })
    }

    /// Seals all providers' keys with another master key, all or none, and goes on with that; how many there were.
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
            Ok::<_, KeyError>(keys.len())
        })?;
        self.vault = Some(next);
        Ok(count)
    }
}
