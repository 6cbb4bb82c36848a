//! Stored files: archives and media (worker-pool B.2, 10 and 11; B.9).
//!
//! The content of a file is outside the database: in the folder `files` of the data directory, or in memory. A file is posted
//! to an address with a secret, which is valid once and for an hour. It is fetched by its id, which cannot be guessed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ring::digest;
use serde::Deserialize;
use serde_json::json;

use super::rows::{AttachmentRow, PoolMessage, ReceivedUpdate, UploadAddress};
use super::times::KEPT_MS;
use crate::answer::Refusal;
use crate::auth;
use crate::call::{Answer, Call};
use crate::engine::Engine;
use crate::function::Function;
use crate::rows::Stored;
use crate::store::{ATTACHMENTS_BY_STATUS, Doc, Id, Row, StoreError, Tx, UPLOAD_ADDRESS};
use crate::validate::{Is, need};
use crate::vault::{self, hex};
use mcr_files::Folder;

/// The path to which files are posted.
pub(crate) const UPLOAD_PATH: &str = "/api/storage/upload";
/// The prefix of the paths of files.
pub(crate) const STORAGE_PATH: &str = "/api/storage/";
/// How long an address for an upload is valid.
const ADDRESS_MS: f64 = 3_600_000.0;
/// The name prefix of files that are not complete yet.
const DRAFT: &str = "draft-";
/// The rows of each kind that one transaction expires.
const EXPIRED_MAX: usize = 100;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::worker_mutation("agentFactory:workerGenerateMediaUploadUrl", &[], media_upload_url),
    Function::worker_query("agentFactory:workerGetStorageFileUrl", &[need("storageId", Is::Text)], file_url),
];

/// The contents of all stored files.
pub(crate) enum Files {
    /// In memory, as long as the process runs.
    Memory(Mutex<BTreeMap<String, Arc<[u8]>>>),
    /// In this folder.
    Folder(Folder),
}

impl Default for Files {
    fn default() -> Self {
        Self::Memory(Mutex::default())
    }
}

impl Files {
    fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        match self {
            Self::Memory(files) => drop(locked(files).insert(name.to_owned(), content.into())),
            Self::Folder(folder) => folder.write(name, content)?,
        }
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        match self {
            Self::Memory(files) => {
                let mut files = locked(files);
                if let Some(content) = files.remove(from) {
                    files.insert(to.to_owned(), content);
                }
                Ok(())
            }
            Self::Folder(folder) => folder.rename(from, to),
        }
    }

    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::Memory(files) => Ok(locked(files).get(name).map(|content| content.to_vec())),
            Self::Folder(folder) => folder.read(name),
        }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match self {
            Self::Memory(files) => drop(locked(files).remove(name)),
            Self::Folder(folder) => folder.remove(name)?,
        }
        Ok(())
    }

    fn names(&self) -> io::Result<Vec<String>> {
        match self {
            Self::Memory(files) => Ok(locked(files).keys().cloned().collect()),
            Self::Folder(folder) => folder.names(),
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a file was not stored.
#[derive(Debug)]
pub(crate) enum UploadError {
    /// The address is unknown, was used or has expired.
    NoAddress,
    /// The file or its row could not be written.
    Failed(String),
}

impl From<StoreError> for UploadError {
    fn from(why: StoreError) -> Self {
        Self::Failed(why.to_string())
    }
}

impl Engine {
    /// Whether a file may be posted to the address with this secret.
    pub(crate) fn expects_upload(&self, secret: &str) -> Result<bool, StoreError> {
        let hash = auth::hash(secret);
        self.store.read(|tx| Ok(address(tx, &hash)?.is_some()))
    }

    /// Stores a file that was posted to an address with this secret. Returns its id.
    pub(crate) fn take_upload(
        &self,
        secret: &str,
        content_type: &str,
        content: &[u8],
    ) -> Result<String, UploadError> {
        if !self.expects_upload(secret)? {
            return Err(UploadError::NoAddress);
        }
        let hash = auth::hash(secret);
        let used = |tx: &Tx<'_>| match address(tx, &hash)? {
            Some(found) => Ok(tx.delete(&found.id)?),
            None => Err(UploadError::NoAddress),
        };
        self.keep_file(content_type, content, KEPT_MS, used)
    }

    /// Stores a file for a while. `also` runs in the transaction that adds its row. A crash leaves a file without a row, which
    /// the next sweep removes.
    pub(super) fn keep_file(
        &self,
        content_type: &str,
        content: &[u8],
        kept_ms: f64,
        also: impl FnOnce(&Tx<'_>) -> Result<(), UploadError>,
    ) -> Result<String, UploadError> {
        let failed = |why: io::Error| UploadError::Failed(format!("the file could not be written: {why}"));
        let random: [u8; 16] = vault::random().map_err(|why| UploadError::Failed(why.to_string()))?;
        let draft = format!("{DRAFT}{}", hex(&random));
        self.files.write(&draft, content).map_err(failed)?;
        let kept = self.store.write(|tx| {
            also(tx)?;
            #[expect(clippy::cast_precision_loss, reason = "files are far below 2^53 bytes")]
            let size = content.len() as f64;
            let sha256 = Some(hex(digest::digest(&digest::SHA256, content).as_ref()));
            let stored = tx.insert(Stored { content_type: content_type.to_owned(), size, sha256 })?;
            tx.insert(AttachmentRow {
                message_id: Id::default(),
                storage_id: stored.id.clone(),
                status: "ready".to_owned(),
                expires_at: tx.now() + kept_ms,
            })?;
            self.files.rename(&draft, stored.id.as_str()).map_err(failed)?;
            Ok(stored.id.to_string())
        });
        if kept.is_err() {
            // A draft that stays is removed by the next sweep.
            let _ = self.files.remove(&draft);
        }
        kept
    }

    /// The content type and the content of a stored file.
    pub(crate) fn stored_file(&self, id: &str) -> Result<Option<(String, Vec<u8>)>, StoreError> {
        let Some(id) = Id::<Stored>::parse(id) else { return Ok(None) };
        let Some(stored) = self.store.read_for_runtime(|tx| tx.get(&id))? else { return Ok(None) };
        let content = self.files.read(id.as_str()).map_err(|why| StoreError::Disk(why.to_string()))?;
        Ok(content.map(|content| (stored.row.content_type, content)))
    }

    /// Removes files whose rows are gone. Files that are just being written are kept: their names are noted first, and only
    /// names that are still without a row in a later sweep are removed.
    pub(crate) fn sweep_files(&self) -> Result<(), StoreError> {
        let names = self.files.names().map_err(|why| StoreError::Disk(why.to_string()))?;
        let orphans: BTreeSet<String> = self.store.read(|tx| {
            let is_orphan = |name: &String| match Id::<Stored>::parse(name) {
                Some(id) => tx.get(&id).map(|row| row.is_none()),
                None => Ok(name.starts_with(DRAFT)),
            };
            let mut found = BTreeSet::new();
            for name in names {
                if is_orphan(&name)? {
                    found.insert(name);
                }
            }
            Ok::<_, StoreError>(found)
        })?;
        let mut seen = locked(&self.orphans);
        for name in orphans.intersection(&seen) {
            self.files.remove(name).map_err(|why| StoreError::Disk(why.to_string()))?;
        }
        *seen = orphans;
        Ok(())
    }
}

fn address(tx: &Tx<'_>, hash: &str) -> Result<Option<Doc<UploadAddress>>, StoreError> {
    let found = tx.find::<UploadAddress>(UPLOAD_ADDRESS, &[Some(hash)]).first()?;
    Ok(found.filter(|found| found.row.expires_at > tx.now()))
}

/// Makes an address to which one file can be posted.
pub(super) fn upload_url(call: &Call<'_>) -> Result<String, Refusal> {
    let random: [u8; 32] = vault::random()?;
    let secret = hex(&random);
    let expires_at = call.now() + ADDRESS_MS;
    call.tx.insert(UploadAddress { secret_hash: auth::hash(&secret), expires_at })?;
    Ok(format!("{}{UPLOAD_PATH}?secret={secret}", call.origin))
}

fn media_upload_url(call: &Call<'_>) -> Answer {
    Ok(json!({"uploadUrl": upload_url(call)?}))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileArgs {
    storage_id: String,
}

fn file_url(call: &Call<'_>) -> Answer {
    let args: FileArgs = call.args()?;
    Ok(json!(url(call, &args.storage_id)?))
}

/// The address of a stored file, if it exists.
pub(super) fn url(call: &Call<'_>, storage_id: &str) -> Result<Option<String>, StoreError> {
    let Some(id) = Id::<Stored>::parse(storage_id) else { return Ok(None) };
    let is_stored = call.tx.get(&id)?.is_some();
    Ok(is_stored.then(|| format!("{}{STORAGE_PATH}{id}", call.origin)))
}

/// Expires attachments (row, copy in the payload, stored file), unused addresses and old updates. Returns whether more may be
/// due: one call takes a bounded number of each.
pub(super) fn expire(tx: &Tx<'_>) -> Result<bool, Refusal> {
    let due = tx.find::<AttachmentRow>(ATTACHMENTS_BY_STATUS, &[Some("ready")]).up_to(tx.now());
    let due = due.limit(EXPIRED_MAX).rows()?;
    let mut is_more = due.len() == EXPIRED_MAX;
    for attachment in due {
        let AttachmentRow { message_id, storage_id, .. } = &attachment.row;
        tx.delete(storage_id)?;
        if let Some(mut message) = tx.get::<PoolMessage>(message_id)? {
            let copies = message.row.payload.attachments.iter_mut().flatten();
            for copy in copies.filter(|copy| copy.storage_id == storage_id.as_str()) {
                "expired".clone_into(&mut copy.status);
            }
            tx.put(&message)?;
        }
        // Only the copy in the payload says that there was a file: rows of files that are gone are not read.
        tx.delete(&attachment.id)?;
    }
    is_more |= remove_old::<UploadAddress>(tx, ADDRESS_MS)?;
    is_more |= remove_old::<ReceivedUpdate>(tx, KEPT_MS)?;
    Ok(is_more)
}

/// Removes the oldest rows of a table that are older than this. Returns whether there may be more.
fn remove_old<R: Row>(tx: &Tx<'_>, age: f64) -> Result<bool, Refusal> {
    let oldest = tx.oldest::<R>(EXPIRED_MAX)?;
    let mut removed = 0;
    for row in oldest.iter().filter(|row| row.created < tx.now() - age) {
        tx.delete(&row.id)?;
        removed += 1;
    }
    Ok(removed == EXPIRED_MAX)
}
