//! The archives on this disk: the last good ones of each conversation.
//!
//! The queue offers only the newest snapshot of a conversation, and none if that one was not finished (worker-pool F.18).

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use log::warn;
use serde::{Deserialize, Serialize};

use super::{SnapshotError, SnapshotKey};
use mcr_core::digest::half_digest;
use mcr_files::{Access, Folder};
use mcr_model::SnapshotId;
use mcr_model::clock::Millis;

/// The archive that is being written.
const DRAFT: &str = "draft.tar.gz";

/// The end of the name of an archive, and of the note about it.
const ARCHIVE: &str = ".tar.gz";
const NOTE: &str = ".json";

/// What is known of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArchiveNote {
    /// Whose state it has.
    pub key: SnapshotKey,
    /// When it was made.
    pub created_at: Millis,
    /// Its SHA-256.
    pub sha256: String,
    /// Its size.
    pub size_bytes: u64,
    /// Its snapshot at the queue; none if it was not uploaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<SnapshotId>,
}

/// The archives on this disk.
#[derive(Clone, Debug)]
pub struct ArchiveFolder {
    path: PathBuf,
    keep: usize,
}

/// The archive that is being written. Dropped, it is removed.
pub(super) struct ArchiveDraft {
    folder: Folder,
    pub(super) file: Option<File>,
}

impl ArchiveDraft {
    /// Opens the draft to read it.
    pub(super) fn reopen(&self) -> Result<File, SnapshotError> {
        let path = self.folder.path().join(DRAFT);
        let opened = self.folder.open_for_reading(DRAFT).map_err(SnapshotError::disk("read", &path))?;
        opened.ok_or_else(|| SnapshotError::disk("read", &path)(io::ErrorKind::NotFound.into()))
    }
}

impl Drop for ArchiveDraft {
    fn drop(&mut self) {
        if let Err(why) = self.folder.remove(DRAFT) {
            warn!(path:% = self.folder.path().display(), why:%; "A draft of a snapshot cannot be removed");
        }
    }
}

impl ArchiveFolder {
    /// The archives in this folder, of which the newest `keep` of each conversation stay.
    pub fn new(path: PathBuf, keep: usize) -> Self {
        Self { path, keep: keep.max(1) }
    }

    /// The folder itself, which is private.
    pub(super) fn open(&self) -> Result<Folder, SnapshotError> {
        opened(&self.path)
    }

    fn path_of(&self, key: &SnapshotKey) -> PathBuf {
        let parts = [&key.workspace_id, &key.agent_key, key.conversation_id.as_str()];
        // The lengths keep different keys apart.
        let text: Vec<String> = parts.iter().map(|part| format!("{}:{part}", part.len())).collect();
        self.path.join(half_digest(&text.concat()))
    }

    /// Begins a new archive of this conversation.
    pub(super) fn draft(&self, key: &SnapshotKey) -> Result<ArchiveDraft, SnapshotError> {
        let path = self.path_of(key);
        let folder = opened(&path)?;
        let failed = || SnapshotError::disk("written", &path);
        folder.remove(DRAFT).map_err(failed())?;
        let file = folder.open_for_writing(DRAFT).map_err(failed())?;
        Ok(ArchiveDraft { folder, file: Some(file) })
    }

    /// Keeps the draft as a good archive, and removes the oldest ones.
    pub(super) fn keep(&self, draft: &ArchiveDraft, note: &ArchiveNote) -> Result<(), SnapshotError> {
        let (folder, stem) = (&draft.folder, note.created_at.0.to_string());
        let failed = || SnapshotError::disk("written", folder.path());
        if let Some(file) = &draft.file {
            file.sync_all().map_err(failed())?;
        }
        // An archive without a note does not count, so the note comes last.
        folder.rename(DRAFT, &format!("{stem}{ARCHIVE}")).map_err(failed())?;
        write_note(folder, note)?;
        for old in self.list(&note.key)?.into_iter().skip(self.keep) {
            let stem = old.created_at.0.to_string();
            folder.remove(&format!("{stem}{NOTE}")).map_err(failed())?;
            folder.remove(&format!("{stem}{ARCHIVE}")).map_err(failed())?;
        }
        Ok(())
    }

    /// Changes what is known of an archive.
    pub(super) fn note(&self, note: &ArchiveNote) -> Result<(), SnapshotError> {
        write_note(&opened(&self.path_of(&note.key))?, note)
    }

    /// Opens an archive to read it.
    pub(super) fn read(&self, note: &ArchiveNote) -> Result<File, SnapshotError> {
        let (folder, name) = (opened(&self.path_of(&note.key))?, format!("{}{ARCHIVE}", note.created_at.0));
        let path = folder.path().join(&name);
        let file = folder.open_for_reading(&name).map_err(SnapshotError::disk("read", &path))?;
        file.ok_or_else(|| SnapshotError::disk("read", &path)(io::ErrorKind::NotFound.into()))
    }

    /// The archives of a conversation, newest first.
    pub fn list(&self, key: &SnapshotKey) -> Result<Vec<ArchiveNote>, SnapshotError> {
        let path = self.path_of(key);
        if !path.exists() {
            return Ok(Vec::new());
        }
        let folder = opened(&path)?;
        let failed = || SnapshotError::disk("read", &path);
        let mut found = Vec::new();
        for name in folder.names().map_err(failed())? {
            if !name.ends_with(NOTE) {
                continue;
            }
            let bytes = folder.read(&name).map_err(failed())?.unwrap_or_default();
            match serde_json::from_slice::<ArchiveNote>(&bytes) {
                Ok(note) if note.key == *key => found.push(note),
                Ok(_) => {}
                Err(why) => {
                    warn!(path:% = path.join(&name).display(), why:%; "The note of a snapshot cannot be read");
                }
            }
        }
        found.sort_by_key(|note| std::cmp::Reverse(note.created_at));
        Ok(found)
    }
}

fn write_note(folder: &Folder, note: &ArchiveNote) -> Result<(), SnapshotError> {
    let failed = SnapshotError::disk("written", folder.path());
    let bytes = serde_json::to_vec(note).map_err(io::Error::from);
    bytes.and_then(|bytes| folder.write(&format!("{}{NOTE}", note.created_at.0), &bytes)).map_err(failed)
}

/// The private folder at this path, which is created if it is missing.
fn opened(path: &Path) -> Result<Folder, SnapshotError> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(SnapshotError::disk("made", parent))?;
    }
    Folder::make(path, Access::OwnerOrRoot)
        .map_err(|why| SnapshotError::disk("opened", path)(io::Error::other(why.to_string())))
}
