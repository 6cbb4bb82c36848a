//! Makes a snapshot: first complete on this disk, then at the queue.

use std::io::{self, Seek as _, Write as _};

use log::{info, warn};

use super::archives::ArchiveDraft;
use super::restore::looks_used;
use super::{ArchiveNote, Hashing, Lineage, Packed, SnapshotError, SnapshotKey, Snapshots, pack};
use mcr_clients::pool::{FailSnapshot, FinalizeSnapshot, PrepareSnapshot, SnapshotReason};
use mcr_model::{SnapshotId, WorkerId};

/// The longest reason that is reported to the queue.
const REASON_CHARS_MAX: usize = 1_000;

/// The type of an archive.
const GZIP: &str = "application/gzip";

/// A snapshot that is stored at the queue.
#[derive(Clone, Debug)]
pub struct CreatedSnapshot {
    /// The snapshot.
    pub snapshot_id: SnapshotId,
    /// Its archive.
    pub note: ArchiveNote,
    /// What it has.
    pub packed: Packed,
}

impl Snapshots {
    /// Makes a snapshot and stores it. A gateway that runs should be stopped before; files that change are tolerated.
    ///
    /// The archive is complete on this disk before the queue hears of it. A full disk, or files that cannot be read, thus
    /// leave no unfinished snapshot there, which would hide the older ones.
    pub fn create(
        &self,
        worker_id: &WorkerId,
        key: &SnapshotKey,
        reason: SnapshotReason,
    ) -> Result<CreatedSnapshot, SnapshotError> {
        self.check_lineage(key)?;
        let mut draft = self.archives.draft(key)?;
        let (mut note, packed) = self.write_archive(key, &mut draft)?;
        self.archives.keep(&draft, &note)?;
        let snapshot_id = self.upload(worker_id, &note, reason)?;
        note.snapshot_id = Some(snapshot_id.clone());
        if let Err(error) = self.archives.note(&note) {
            // It only means that a restore here fetches the archive although it has it.
            warn!(error:%; "The note of a stored snapshot cannot be written");
        }
        info!(snapshot:% = snapshot_id, bytes = note.size_bytes, files = packed.files; "Snapshot stored");
        Ok(CreatedSnapshot { snapshot_id, note, packed })
    }

    /// Only state that is known to be this conversation's may become its newest snapshot (worker-pool F.16, F.17).
    fn check_lineage(&self, key: &SnapshotKey) -> Result<(), SnapshotError> {
        let conversation = &key.conversation_id;
        let refuse = |why: String| Err(SnapshotError::NotOurs(why));
        match self.lineage()? {
            Some(Lineage { failure: Some(why), .. }) => refuse(format!(
                "No snapshot is made: the last restore failed ({why}), so the folders lack the agent's memory and a \
                 snapshot of them would replace it. Restore first"
            )),
            Some(lineage) if lineage.key != *key => refuse(format!(
                "No snapshot of {conversation} of the agent {} is made: the folders hold the state of {} of the agent {}. \
                 Name that conversation, and that agent in OPENCLAW_AGENT_KEY; or restore first",
                key.agent_key, lineage.key.conversation_id, lineage.key.agent_key
            )),
            Some(_) => Ok(()),
            None if looks_used(&self.folders)? => self.note_lineage(&Lineage::of(key)),
            None => refuse(format!(
                "No snapshot of {conversation} is made: the folders are blank, and nothing was restored into them. \
                 Restore first"
            )),
        }
    }

    fn write_archive(
        &self,
        key: &SnapshotKey,
        draft: &mut ArchiveDraft,
    ) -> Result<(ArchiveNote, Packed), SnapshotError> {
        let not_written = |why| SnapshotError::Disk { what: "The archive cannot be written".to_owned(), why };
        let file = draft.file.take().ok_or_else(|| not_written(io::ErrorKind::NotFound.into()))?;
        let out = Hashing::new(io::BufWriter::new(file));
        let (out, packed) = pack(&self.folders, &self.excludes, self.limits, out)?;
        let (mut out, sha256, size_bytes) = out.finish();
        out.flush().map_err(not_written)?;
        let file = out.into_inner().map_err(|error| not_written(error.into_error()))?;
        draft.file = Some(file);
        if let Some(first) = &packed.first_unreadable {
            let count = packed.unreadable;
            warn!(count, first; "Files are missing in a snapshot, because they cannot be read");
        }
        let note = ArchiveNote {
            key: key.clone(),
            created_at: self.clock.now(),
            sha256,
            size_bytes,
            snapshot_id: None,
        };
        Ok((note, packed))
    }

    /// Stores an archive of this disk at the queue.
    fn upload(
        &self,
        worker_id: &WorkerId,
        note: &ArchiveNote,
        reason: SnapshotReason,
    ) -> Result<SnapshotId, SnapshotError> {
        let mut file = self.archives.read(note)?;
        let prepared = self.pool.ask(&PrepareSnapshot {
            worker_id,
            workspace_id: &note.key.workspace_id,
            agent_key: &note.key.agent_key,
            conversation_id: &note.key.conversation_id,
            reason,
        })?;
        let snapshot_id = prepared.snapshot_id;
        let stored = (|| {
            let failed = |why| SnapshotError::Disk { what: "The archive cannot be read".to_owned(), why };
            file.rewind().map_err(failed)?;
            let storage_id = self.storage.upload(&prepared.upload_url, &file, GZIP)?;
            let is_final = self.pool.ask(&FinalizeSnapshot {
                worker_id,
                snapshot_id: &snapshot_id,
                storage_id: &storage_id,
                sha256: &note.sha256,
                size_bytes: note.size_bytes,
            })?;
            if is_final { Ok(()) } else { Err(SnapshotError::Forgotten) }
        })();
        let Err(error) = stored else { return Ok(snapshot_id) };
        let text: String = error.to_string().chars().take(REASON_CHARS_MAX).collect();
        let told = self.pool.ask(&FailSnapshot { worker_id, snapshot_id: &snapshot_id, error: &text });
        if let Err(error) = told {
            warn!(error:%; "A failed snapshot could not be reported");
        }
        Err(error)
    }
}
