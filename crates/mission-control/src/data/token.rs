//! The service token in its file, which follows when a new one is made while we run.
//!
//! The database alone decides which token opens the account, so a new one first stands beside the old one and takes its
//! place once the database knows it. Whenever this is interrupted, one of the two files holds what opens the account.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::files::{read_secret, remove, rename, write_secret};
use super::{DataError, SERVICE_TOKEN};
use crate::auth;
use crate::rows::Account;
use crate::store::{Doc, Id};
use mcr_files::Folder;
use mcr_model::secret::Secret;

/// The token that is about to take over.
const NEXT_SERVICE_TOKEN: &str = "service-token.next";

/// The files of one account's token.
pub(crate) struct TokenFiles {
    folder: Arc<Folder>,
    account: Id<Account>,
    /// Whether a token may stand beside the old one.
    unsettled: AtomicBool,
}

impl TokenFiles {
    /// For the tokens of this account; those of others are nobody's business here.
    pub(super) fn new(folder: Arc<Folder>, account: Id<Account>) -> Self {
        Self { folder, account, unsettled: AtomicBool::new(false) }
    }

    /// Whose tokens are kept.
    pub(crate) fn account(&self) -> &Id<Account> {
        &self.account
    }

    /// Puts a new token beside the old one, before the database learns of it; `account` is as it was.
    pub(crate) fn offer(&self, account: &Doc<Account>, token: &str) -> Result<(), DataError> {
        // What cannot stand in one line of an env file could not be printed again.
        if account.id != self.account || !token.chars().all(|c| c.is_ascii_graphic()) {
            return Ok(());
        }
        settle(&self.folder, account)?;
        self.unsettled.store(true, Ordering::Relaxed);
        write_secret(&self.folder, NEXT_SERVICE_TOKEN, &Secret::new(token))
    }

    /// Whether a token was offered and nobody has looked since whether the database knows it.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.unsettled.load(Ordering::Relaxed)
    }

    /// Lets the offered token take over, if the database knows it.
    pub(crate) fn settle(&self, account: &Doc<Account>) -> Result<(), DataError> {
        settle(&self.folder, account)?;
        self.unsettled.store(false, Ordering::Relaxed);
        Ok(())
    }
}

/// Sees that one file holds the account's token, if either does; that token.
pub(super) fn settle(folder: &Folder, account: &Doc<Account>) -> Result<Option<Secret>, DataError> {
    // One that cannot be read was never finished, so the database cannot know it.
    if let Some(token) = read(folder, NEXT_SERVICE_TOKEN, account).ok().flatten() {
        rename(folder, NEXT_SERVICE_TOKEN, SERVICE_TOKEN)?;
        return Ok(Some(token));
    }
    remove(folder, NEXT_SERVICE_TOKEN)?;
    read(folder, SERVICE_TOKEN, account)
}

/// The token in this file, if it opens the account.
fn read(folder: &Folder, name: &str, account: &Doc<Account>) -> Result<Option<Secret>, DataError> {
    let Some(content) = read_secret(folder, name)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&content);
    let secret = text.trim().strip_prefix(&format!("{}{}_", auth::PREFIX, account.id)).map(auth::hash);
    let fits = secret.is_some() && secret == account.row.service_token_hash;
    Ok(fits.then(|| Secret::new(text.trim())))
}
