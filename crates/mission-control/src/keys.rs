//! Values in the database that the vault seals: providers' keys, and the tokens of machines and of their providers.

use std::collections::BTreeSet;
use std::fmt;

use ring::digest;

use super::pool;
use super::rows::{Account, MachineToken, ProviderKey, Provision, SealedText};
use super::store::{Doc, Id, PROVIDER_KEY, PROVIDER_KEYS, Row, StoreError, Tx};
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

/// A row with a value that the vault seals.
pub(super) trait SealedRow: Row + Clone {
    /// The context in which the value is sealed.
    fn place(&self) -> SealContext<'_>;

    /// The sealed value, if the row has one.
    fn sealed(&self) -> Option<Sealed>;

    /// Replaces the sealed value. Every other field stays.
    fn put_in(&mut self, sealed: Sealed);

    /// The value in plain text.
    fn open(&self, vault: &Vault) -> Result<Secret, VaultError> {
        vault.open(self.place(), &self.sealed().ok_or(VaultError::Damaged)?)
    }

    /// Seals a value and stores it in this row.
    fn seal(&mut self, vault: &Vault, value: &Secret) -> Result<(), VaultError> {
        let sealed = vault.seal(self.place(), value)?;
        self.put_in(sealed);
        Ok(())
    }
}

impl SealedRow for ProviderKey {
    fn place(&self) -> SealContext<'_> {
        SealContext { account: self.account_id.as_str(), provider: &self.provider }
    }

    fn sealed(&self) -> Option<Sealed> {
        let Self { key_id, nonce, ciphertext, .. } = self.clone();
        Some(Sealed { key_id, nonce, ciphertext })
    }

    fn put_in(&mut self, Sealed { key_id, nonce, ciphertext }: Sealed) {
        (self.key_id, self.nonce, self.ciphertext) = (key_id, nonce, ciphertext);
    }
}

impl SealedRow for MachineToken {
    /// No account has this text as its id.
    fn place(&self) -> SealContext<'_> {
        SealContext { account: "machines", provider: &self.provider }
    }

    fn sealed(&self) -> Option<Sealed> {
        let Self { key_id, nonce, ciphertext, .. } = self.clone();
        Some(Sealed { key_id, nonce, ciphertext })
    }

    fn put_in(&mut self, Sealed { key_id, nonce, ciphertext }: Sealed) {
        (self.key_id, self.nonce, self.ciphertext) = (key_id, nonce, ciphertext);
    }
}

impl SealedRow for Provision {
    /// No provider of keys has this name.
    fn place(&self) -> SealContext<'_> {
        SealContext { account: self.account_id.as_str(), provider: "bootstrap token" }
    }

    fn sealed(&self) -> Option<Sealed> {
        let SealedText { key_id, nonce, ciphertext } = self.token.clone()?;
        Some(Sealed { key_id, nonce, ciphertext })
    }

    fn put_in(&mut self, Sealed { key_id, nonce, ciphertext }: Sealed) {
        self.token = Some(SealedText { key_id, nonce, ciphertext });
    }
}

/// Calls `visit` with each stored value, as long as it succeeds.
fn each<R: SealedRow, E: From<StoreError>>(
    tx: &Tx<'_>,
    visit: &mut impl FnMut(Doc<R>, Sealed) -> Result<(), E>,
) -> Result<(), E> {
    for doc in tx.all::<R>()? {
        if let Some(sealed) = doc.row.sealed() {
            visit(doc, sealed)?;
        }
    }
    Ok(())
}

/// The ids of the master keys that sealed the stored values.
pub(super) fn sealed_with(tx: &Tx<'_>) -> Result<BTreeSet<String>, StoreError> {
    fn add<R: SealedRow>(tx: &Tx<'_>, ids: &mut BTreeSet<String>) -> Result<(), StoreError> {
        each::<R, StoreError>(tx, &mut |_, sealed| {
            ids.insert(sealed.key_id);
            Ok(())
        })
    }
    let mut ids = BTreeSet::new();
    add::<ProviderKey>(tx, &mut ids)?;
    add::<MachineToken>(tx, &mut ids)?;
    add::<Provision>(tx, &mut ids)?;
    Ok(ids)
}

/// Seals all stored values again for the next master key. Returns their number.
pub(super) fn reseal(tx: &Tx<'_>, vault: &Vault, next: &Vault) -> Result<usize, KeyError> {
    fn renew<R: SealedRow>(tx: &Tx<'_>, vault: &Vault, next: &Vault) -> Result<usize, KeyError> {
        let mut count = 0;
        each::<R, KeyError>(tx, &mut |mut doc, sealed| {
            let sealed = vault.rotate(next, doc.row.place(), &sealed)?;
            doc.row.put_in(sealed);
            tx.put(&doc)?;
            count += 1;
            Ok(())
        })?;
        Ok(count)
    }
    let (keys, tokens) = (renew::<ProviderKey>(tx, vault, next)?, renew::<MachineToken>(tx, vault, next)?);
    Ok(keys + tokens + renew::<Provision>(tx, vault, next)?)
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

/// Fails if another master key sealed one of the stored values.
pub(super) fn check(tx: &Tx<'_>, vault: &Vault) -> Result<(), KeyError> {
    sealed_with(tx)?.iter().try_for_each(|id| vault.check(id))?;
    pool::check_secrets(tx, vault)
}
