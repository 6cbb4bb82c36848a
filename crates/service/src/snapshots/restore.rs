//! Restores a conversation's snapshot: the newest that is good.

use std::fs;
use std::io::{self, Read, Seek as _, Write as _};

use log::{info, warn};

use super::archives::ArchiveDraft;
use super::staging::{KeptFiles, Staging};
use super::{
    ArchiveNote, Hashing, Lineage, SnapshotError, SnapshotFolders, SnapshotKey, Snapshots, Unpacked, recover,
    unpack,
};
use mcr_clients::pool::{GetLatestSnapshot, LatestSnapshot};
use mcr_model::SnapshotId;
use mcr_model::clock::Millis;

/// When a restore happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreMoment {
    /// At the start, before anything uses the folders. State that was used stays (worker-pool B.9).
    Start,
    /// When a worker learns its conversation from a claim. By then the gateway has filled the workspace with its own
    /// files, so only sessions count as use (F.16).
    Claim,
}

/// What a restore did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restored {
    /// The folders hold the state of the conversation already.
    AlreadyThere,
    /// The conversation has no snapshot, and begins with an empty state.
    Fresh,
    /// A snapshot was restored.
    From {
        /// The snapshot; none for an archive of this disk that was never uploaded.
        snapshot_id: Option<SnapshotId>,
        /// When it was made.
        created_at: Millis,
        /// What it has.
        unpacked: Unpacked,
        /// Why newer ones were not used.
        refused: Vec<String>,
    },
}

/// The snapshots of a conversation.
#[derive(Clone, Debug)]
pub struct SnapshotList {
    /// The newest at the queue, which offers no other.
    pub newest: Option<LatestSnapshot>,
    /// The archives on this disk, newest first.
    pub archives: Vec<ArchiveNote>,
}

/// Where an archive is.
enum RestorableArchive {
    Queue(LatestSnapshot),
    Disk(ArchiveNote),
}

impl RestorableArchive {
    fn created_at(&self) -> Millis {
        match self {
            Self::Queue(latest) => latest.created_at,
            Self::Disk(note) => note.created_at,
        }
    }

    fn snapshot_id(&self) -> Option<SnapshotId> {
        match self {
            Self::Queue(latest) => Some(latest.snapshot_id.clone()),
            Self::Disk(note) => note.snapshot_id.clone(),
        }
    }
}

/// Whether an agent has worked here: sessions, or a workspace with files (worker-pool B.9).
pub(super) fn looks_used(folders: &SnapshotFolders) -> Result<bool, SnapshotError> {
    if has_sessions(folders)? {
        return Ok(true);
    }
    let path = &folders.workspace;
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(why) => return Err(SnapshotError::disk("read", path)(why)),
    };
    for entry in entries {
        if entry.map_err(SnapshotError::disk("read", path))?.file_name() != ".gitkeep" {
            return Ok(true);
        }
    }
    Ok(false)
}

fn has_sessions(folders: &SnapshotFolders) -> Result<bool, SnapshotError> {
    let Some(state) = &folders.state else { return Ok(false) };
    let path = state.join("agents/main/sessions/sessions.json");
    let mut head = String::new();
    let read = fs::File::open(&path).and_then(|file| file.take(16).read_to_string(&mut head));
    match read {
        Ok(_) => Ok(!matches!(head.trim(), "" | "{}")),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(false),
        // Sixteen bytes may cut a letter in two: then there is a content.
        Err(why) if why.kind() == io::ErrorKind::InvalidData => Ok(true),
        Err(why) => Err(SnapshotError::disk("read", &path)(why)),
    }
}

impl Snapshots {
    /// What is known of the folders' state.
    pub fn lineage(&self) -> Result<Option<Lineage>, SnapshotError> {
        let folder = self.archives.open()?;
        let found = Lineage::read(&folder, &self.folders.workspace);
        found.map_err(SnapshotError::disk("read", folder.path()))
    }

    pub(super) fn note_lineage(&self, lineage: &Lineage) -> Result<(), SnapshotError> {
        let folder = self.archives.open()?;
        lineage.write(&folder, &self.folders.workspace).map_err(SnapshotError::disk("written", folder.path()))
    }

    /// What could be restored.
    pub fn list(&self, key: &SnapshotKey) -> Result<SnapshotList, SnapshotError> {
        let newest = self.pool.ask(&GetLatestSnapshot {
            workspace_id: &key.workspace_id,
            agent_key: &key.agent_key,
            conversation_id: &key.conversation_id,
        })?;
        Ok(SnapshotList { newest, archives: self.archives.list(key)? })
    }

    /// Makes the folders hold the state of this conversation.
    ///
    /// After an error the folders are as they were, and no snapshot is made of them until a restore succeeds. A worker
    /// must then not work on the conversation.
    pub fn restore(&self, key: &SnapshotKey, moment: RestoreMoment) -> Result<Restored, SnapshotError> {
        let mut still_there = None;
        let result = self.lineage().and_then(|lineage| {
            still_there = lineage.as_ref().and_then(Lineage::holder).cloned();
            self.restore_if_needed(key, moment, lineage.as_ref())
        });
        let (failure, snapshot_id) = match &result {
            Ok(Restored::AlreadyThere) => return result,
            Ok(Restored::Fresh) => (None, None),
            Ok(Restored::From { snapshot_id, .. }) => (None, snapshot_id.clone()),
            Err(error) => (Some(error.to_string()), None),
        };
        let still_there = still_there.filter(|_| failure.is_some());
        let noted = self.note_lineage(&Lineage { failure, snapshot_id, still_there, ..Lineage::of(key) });
        match (result, noted) {
            (Err(error), Err(not_noted)) => {
                warn!(error:% = not_noted; "The failure of a restore could not be noted");
                Err(error)
            }
            (result, Ok(())) => result,
            (Ok(_), Err(not_noted)) => Err(not_noted),
        }
    }

    fn restore_if_needed(
        &self,
        key: &SnapshotKey,
        moment: RestoreMoment,
        lineage: Option<&Lineage>,
    ) -> Result<Restored, SnapshotError> {
        recover(&self.folders)?;
        let is_used = match lineage {
            Some(lineage) if lineage.key == *key => lineage.failure.is_none(),
            // The state of another conversation must not be seen in this one.
            Some(_) => false,
            None if moment == RestoreMoment::Start => looks_used(&self.folders)?,
            None => has_sessions(&self.folders)?,
        };
        if is_used {
            if lineage.is_none() {
                self.note_lineage(&Lineage::of(key))?;
            }
            return Ok(Restored::AlreadyThere);
        }
        let kept = KeptFiles::of(lineage.and_then(Lineage::holder), key);
        let mut refused = Vec::new();
        for candidate in self.candidates(key)? {
            match self.restore_from(key, &candidate, kept) {
                Ok(unpacked) => {
                    let (snapshot_id, created_at) = (candidate.snapshot_id(), candidate.created_at());
                    info!(files = unpacked.files, bytes = unpacked.content_bytes; "Snapshot restored");
                    return Ok(Restored::From { snapshot_id, created_at, unpacked, refused });
                }
                // Another archive needs as much room.
                Err(error) if error.is_full_disk() => return Err(error),
                Err(error) => {
                    warn!(error:%; "A snapshot cannot be restored, and an older one is tried");
                    let at = candidate.created_at();
                    refused.push(format!("the snapshot of {at}: {error}"));
                }
            }
        }
        if refused.is_empty() {
            // What is there may be another conversation's.
            let staging = Staging::begin(&self.folders)?;
            staging.keep_own(&self.excludes, kept)?;
            staging.commit()?;
            return Ok(Restored::Fresh);
        }
        Err(SnapshotError::NoneUsable(refused))
    }

    /// What may be restored, newest first. An archive of this disk is used instead of the same one at the queue.
    fn candidates(&self, key: &SnapshotKey) -> Result<Vec<RestorableArchive>, SnapshotError> {
        let SnapshotList { newest, archives } = self.list(key)?;
        let is_here = |latest: &LatestSnapshot| {
            archives.iter().any(|note| {
                note.snapshot_id.as_ref() == Some(&latest.snapshot_id)
                    && latest.sha256.as_ref().is_none_or(|sum| *sum == note.sha256)
            })
        };
        let newest = newest.filter(|latest| !is_here(latest)).map(RestorableArchive::Queue);
        let mut found: Vec<RestorableArchive> =
            newest.into_iter().chain(archives.into_iter().map(RestorableArchive::Disk)).collect();
        found.sort_by_key(|candidate| std::cmp::Reverse(candidate.created_at()));
        Ok(found)
    }

    fn restore_from(
        &self,
        key: &SnapshotKey,
        candidate: &RestorableArchive,
        kept: KeptFiles,
    ) -> Result<Unpacked, SnapshotError> {
        match candidate {
            RestorableArchive::Disk(note) => {
                let mut file = self.archives.read(note)?;
                check_sum(&mut file, &note.sha256)?;
                self.put_in_place(&file, kept)
            }
            RestorableArchive::Queue(latest) => {
                let mut draft = self.archives.draft(key)?;
                let note = self.fetch(key, latest, &mut draft)?;
                let unpacked = self.put_in_place(&draft.reopen()?, kept)?;
                if let Err(error) = self.archives.keep(&draft, &note) {
                    // The state is restored; only the copy of its archive is missing.
                    warn!(error:%; "A restored snapshot could not be kept on this disk");
                }
                Ok(unpacked)
            }
        }
    }

    /// Fetches an archive and compares its size and its checksum.
    fn fetch(
        &self,
        key: &SnapshotKey,
        latest: &LatestSnapshot,
        draft: &mut ArchiveDraft,
    ) -> Result<ArchiveNote, SnapshotError> {
        let not_written = |why| SnapshotError::Disk { what: "The archive cannot be written".to_owned(), why };
        let file = draft.file.take().ok_or_else(|| not_written(io::ErrorKind::NotFound.into()))?;
        let mut into = Hashing::new(file);
        self.storage.download(&latest.download_url, self.limits.bytes, &mut into)?;
        let (mut file, sha256, size_bytes) = into.finish();
        file.flush().map_err(not_written)?;
        draft.file = Some(file);
        if latest.size_bytes.is_some_and(|announced| announced != size_bytes) {
            return Err(SnapshotError::BadArchive(format!(
                "it has {size_bytes} bytes, and {} were announced",
                latest.size_bytes.unwrap_or_default()
            )));
        }
        if latest.sha256.as_ref().is_some_and(|announced| !announced.eq_ignore_ascii_case(&sha256)) {
            return Err(wrong_sum(&sha256));
        }
        let snapshot_id = Some(latest.snapshot_id.clone());
        Ok(ArchiveNote { key: key.clone(), created_at: latest.created_at, sha256, size_bytes, snapshot_id })
    }

    /// Reads a whole archive into new folders, which then take the place of the present ones.
    fn put_in_place(&self, archive: &fs::File, kept: KeptFiles) -> Result<Unpacked, SnapshotError> {
        let staging = Staging::begin(&self.folders)?;
        let reader = io::BufReader::new(archive);
        let unpacked = unpack(reader, &|root| staging.place(root), &self.excludes, self.limits)?;
        staging.keep_own(&self.excludes, kept)?;
        staging.commit()?;
        Ok(unpacked)
    }
}

fn check_sum(file: &mut fs::File, announced: &str) -> Result<(), SnapshotError> {
    let failed = |why| SnapshotError::Disk { what: "The archive cannot be read".to_owned(), why };
    let mut sum = Hashing::new(io::sink());
    io::copy(file, &mut sum).map_err(failed)?;
    let (_, found, _) = sum.finish();
    file.rewind().map_err(failed)?;
    if found == announced { Ok(()) } else { Err(wrong_sum(&found)) }
}

fn wrong_sum(found: &str) -> SnapshotError {
    SnapshotError::BadArchive(format!("its checksum is {found}, not the announced one"))
}
