//! Providers' keys in the database, sealed by the vault.

use std::fmt;

use ring::digest;

use super::pool;
use super::rows::{Account, ProviderKey};
use super::store::{Doc, Id, PROVIDER_KEY, PROVIDER_KEYS, StoreError, Tx};
use super::vault::{SealContext, Sealed, Vault, VaultError, hex};
use mcr_model::secret::Secret;

/// Why an operation on providers' keys failed.
#[derive(Debug)]
pub enum KeyError {
    /// The data could not be read or written.
    Store(StoreError),
    /// The vault could not seal or open a key.
    Vault(VaultError),
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(why) => why.fmt(f),
            Self::Vault(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for KeyError {}

impl From<StoreError> for KeyError {
    fn from(why: StoreError) -> Self {
        Self::Store(why)
    }
}

impl From<VaultError> for KeyError {
    fn from(why: VaultError) -> Self {
        Self::Vault(why)
    }
}

impl ProviderKey {
    pub(super) fn place(&self) -> SealContext<'_> {
        SealContext { account: self.account_id.as_str(), provider: &self.provider }
    }

    pub(super) fn sealed(&self) -> Sealed {
        let Self { key_id, nonce, ciphertext, .. } = self;
        Sealed { key_id: key_id.clone(), nonce: nonce.clone(), ciphertext: ciphertext.clone() }
    }

    /// Replaces the sealed value. The last four characters and the date stay.
    pub(super) fn put_in(&mut self, sealed: Sealed) {
        let Sealed { key_id, nonce, ciphertext } = sealed;
        (self.key_id, self.nonce, self.ciphertext) = (key_id, nonce, ciphertext);
    }

    /// The key in plain text.
    pub(super) fn open(&self, vault: &Vault) -> Result<Secret, VaultError> {
        vault.open(self.place(), &self.sealed())
    }

    /// Seals a key and stores it in this row.
    pub(super) fn seal(&mut self, vault: &Vault, key: &Secret) -> Result<(), VaultError> {
        let sealed = vault.seal(self.place(), key)?;
        self.put_in(sealed);
        Ok(())
    }
}

/// An account's keys, in the order in which the providers were added.
pub(super) fn all(tx: &Tx<'_>, account: &Id<Account>) -> Result<Vec<Doc<ProviderKey>>, StoreError> {
    tx.find(PROVIDER_KEYS, &[Some(account.as_str())]).rows()
}

/// An account's key for a provider.
pub(super) fn find(
    tx: &Tx<'_>,
    account: &Id<Account>,
    provider: &str,
) -> Result<Option<Doc<ProviderKey>>, StoreError> {
    tx.find(PROVIDER_KEY, &[Some(account.as_str()), Some(provider)]).first()
}

/// A text that differs after every added, replaced or removed key. It is derived from the nonces, which are unique.
pub(super) fn version(keys: &[Doc<ProviderKey>]) -> String {
    let nonces: Vec<&str> = keys.iter().map(|key| key.row.nonce.as_str()).collect();
    hex(&digest::digest(&digest::SHA256, nonces.join("\n").as_bytes()).as_ref()[..8])
}

/// Fails if another master key sealed one of the stored keys.
pub(super) fn check(tx: &Tx<'_>, vault: &Vault) -> Result<(), KeyError> {
    for key in tx.all::<ProviderKey>()? {
        vault.check(&key.row.key_id)?;
    }
    pool::check_secrets(tx, vault)
}
