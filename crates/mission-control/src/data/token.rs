//! The file with the service token, which is updated when a new token is issued at run time.
//!
//! Only the database decides which token is valid. So a new token is first written to a second file, and replaces the old one
//! after the database has it. After an interruption at any point, one of the two files contains the valid token.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::files::{read_secret, remove, rename, write_secret};
use super::{DataError, SERVICE_TOKEN};
use crate::auth;
use crate::rows::Account;
use crate::store::{Doc, Id};
use mcr_files::Folder;
use mcr_model::secret::Secret;

/// The file of the next token.
const NEXT_SERVICE_TOKEN: &str = "service-token.next";

/// The files of one account's token.
pub(crate) struct TokenFiles {
    folder: Arc<Folder>,
    account: Id<Account>,
    /// Whether the file of the next token may exist.
    unsettled: AtomicBool,
}

impl TokenFiles {
    /// For the tokens of this account. Tokens of other accounts are not kept.
    pub(super) fn new(folder: Arc<Folder>, account: Id<Account>) -> Self {
        Self { folder, account, unsettled: AtomicBool::new(false) }
    }

    /// The account whose tokens are kept.
    pub(crate) fn account(&self) -> &Id<Account> {
        &self.account
    }

    /// Writes a new token to the second file before the database has it. `account` is the unchanged account.
    pub(crate) fn offer(&self, account: &Doc<Account>, token: &str) -> Result<(), DataError> {
        // A token that does not fit in one line of an env file could not be printed.
        if account.id != self.account || !token.chars().all(|c| c.is_ascii_graphic()) {
            return Ok(());
        }
        settle(&self.folder, account)?;
        self.unsettled.store(true, Ordering::Relaxed);
        write_secret(&self.folder, NEXT_SERVICE_TOKEN, &Secret::new(token))
    }

    /// The valid token, if its file contains it.
    pub(crate) fn current(&self, account: &Doc<Account>) -> Result<Option<Secret>, DataError> {
        read(&self.folder, SERVICE_TOKEN, account)
    }

    /// Whether a new token was written, and it is not yet checked whether the database has it.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.unsettled.load(Ordering::Relaxed)
    }

    /// Replaces the old token by the new one, if the database has it.
    pub(crate) fn settle(&self, account: &Doc<Account>) -> Result<(), DataError> {
        settle(&self.folder, account)?;
        self.unsettled.store(false, Ordering::Relaxed);
        Ok(())
    }
}

/// Moves the valid token to the first file, if one of the two files contains it, and returns it.
pub(super) fn settle(folder: &Folder, account: &Doc<Account>) -> Result<Option<Secret>, DataError> {
    // A token that cannot be read was never completely written, so the database does not have it.
    if let Some(token) = read(folder, NEXT_SERVICE_TOKEN, account).ok().flatten() {
        rename(folder, NEXT_SERVICE_TOKEN, SERVICE_TOKEN)?;
        return Ok(Some(token));
    }
    remove(folder, NEXT_SERVICE_TOKEN)?;
    read(folder, SERVICE_TOKEN, account)
}

/// The token in this file, if it is valid.
fn read(folder: &Folder, name: &str, account: &Doc<Account>) -> Result<Option<Secret>, DataError> {
    let Some(content) = read_secret(folder, name)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&content);
    let secret = text.trim().strip_prefix(&format!("{}{}_", auth::PREFIX, account.id)).map(auth::hash);
    let fits = secret.is_some() && secret == account.row.service_token_hash;
    Ok(fits.then(|| Secret::new(text.trim())))
}
