//! The service token in its file, which follows when a new one is made while we run.
//!
//! The database alone decides which token opens the account, so a new one first stands beside the old one and takes its
//! place once the database knows it. Whenever this is interrupted, one of the two files holds what opens the account.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::files::{read_secret, rename, write_secret};
use super::{DataError, SERVICE_TOKEN};
use crate::local::auth;
use crate::local::rows::Account;
use crate::local::store::{Doc, Id};
use crate::secret::Secret;

/// The token that is about to take over.
const NEXT_SERVICE_TOKEN: &str = "service-token.next";

/// The files of one account's token.
pub(in crate::local) struct TokenFiles {
    directory: PathBuf,
    account: Id<Account>,
    /// Whether a token may stand beside the old one.
    unsettled: AtomicBool,
}

impl TokenFiles {
    /// For the tokens of this account; those of others are nobody's business here.
    pub(super) fn new(directory: PathBuf, account: Id<Account>) -> Self {
        Self { directory, account, unsettled: AtomicBool::new(false) }
    }

    /// Whose tokens are kept.
    pub(in crate::local) fn account(&self) -> &Id<Account> {
        &self.account
    }

    /// Puts a new token beside the old one, before the database learns of it; `account` is as it was.
    pub(in crate::local) fn offer(&self, account: &Doc<Account>, token: &str) -> Result<(), DataError> {
        // What cannot stand in one line of an env file could not be printed again.
        if account.id != self.account || !token.chars().all(|c| c.is_ascii_graphic()) {
            return Ok(());
        }
        settle(&self.directory, account)?;
        self.unsettled.store(true, Ordering::Relaxed);
        write_secret(&self.directory.join(NEXT_SERVICE_TOKEN), &Secret::new(token))
    }

    /// Whether a token was offered and nobody has looked since whether the database knows it.
    pub(in crate::local) fn is_unsettled(&self) -> bool {
        self.unsettled.load(Ordering::Relaxed)
    }

    /// Lets the offered token take over, if the database knows it.
    pub(in crate::local) fn settle(&self, account: &Doc<Account>) -> Result<(), DataError> {
        settle(&self.directory, account)?;
        self.unsettled.store(false, Ordering::Relaxed);
        Ok(())
    }
}

/// Sees that one file holds the account's token, if either does; that token.
pub(super) fn settle(directory: &Path, account: &Doc<Account>) -> Result<Option<Secret>, DataError> {
    let (path, next) = (directory.join(SERVICE_TOKEN), directory.join(NEXT_SERVICE_TOKEN));
    // One that cannot be read was never finished, so the database cannot know it.
    if let Some(token) = read(&next, account).ok().flatten() {
        rename(&next, &path)?;
        return Ok(Some(token));
    }
    match std::fs::remove_file(&next) {
        Err(why) if why.kind() != ErrorKind::NotFound => {
            return Err(DataError::File { path: next, what: "removed", why });
        }
        Ok(()) | Err(_) => {}
    }
    read(&path, account)
}

/// The token in this file, if it opens the account.
fn read(path: &Path, account: &Doc<Account>) -> Result<Option<Secret>, DataError> {
    let Some(content) = read_secret(path)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&content);
    let secret = text.trim().strip_prefix(&format!("{}{}_", auth::PREFIX, account.id)).map(auth::hash);
    let fits = secret.is_some() && secret == account.row.service_token_hash;
    Ok(fits.then(|| Secret::new(text.trim())))
}
