//! Snapshots of an agent's state: made, stored, and restored on another machine (worker-pool B.9).
//!
//! A snapshot is complete on this disk before the queue hears of it, because an unfinished newest one hides all older ones
//! there. A restore is verified in a folder next to the present state and then takes its place at once; a crash between is
//! completed at the next start ([`recover`]). The last good archives stay on this disk, so that a bad newest one is no loss.
//!
//! [`Lineage`] notes whose state the folders hold. State that was not restored for its conversation is never stored as the
//! conversation's newest snapshot, so a blank worker cannot replace a memory.
//!
//! `pack` writes archives, `unpack` verifies and reads them, `staging` swaps folders, `archives` keeps files, and
//! [`Snapshots`] does all of it with the queue.

mod archives;
mod create;
mod error;
mod lineage;
mod pack;
mod restore;
mod staging;
#[cfg(test)]
mod tests;
mod unpack;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

pub use archives::{ArchiveFolder, ArchiveNote};
pub use create::CreatedSnapshot;
pub use error::SnapshotError;
pub use lineage::Lineage;
pub use pack::{Packed, pack};
pub use restore::{RestoreMoment, Restored, SnapshotList};
pub use staging::recover;
pub use unpack::{Unpacked, unpack};

use mcr_clients::pool::{FileStorage, PoolClient};
use mcr_core::snapshot::{STATE_ROOT, SnapshotExcludes, WORKSPACE_ROOT};
use mcr_model::ConversationId;
use mcr_model::clock::Clock;

/// Whose state a snapshot has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotKey {
    /// The workspace.
    pub workspace_id: String,
    /// The agent.
    pub agent_key: String,
    /// The conversation.
    pub conversation_id: ConversationId,
}

/// The folders with the state.
#[derive(Clone, Debug)]
pub struct SnapshotFolders {
    /// The state of the gateway. None if several conversations share it: then it is no part of the snapshot.
    pub state: Option<PathBuf>,
    /// The workspace.
    pub workspace: PathBuf,
}

impl SnapshotFolders {
    /// The folders with their names in an archive.
    fn roots(&self) -> Vec<(&'static str, &Path)> {
        let state = self.state.as_deref().map(|path| (STATE_ROOT, path));
        state.into_iter().chain([(WORKSPACE_ROOT, self.workspace.as_path())]).collect()
    }
}

/// The largest snapshot.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotLimits {
    /// The bytes of all files together, and of the archive.
    pub bytes: u64,
    /// The number of files and folders.
    pub members: u64,
}

/// Makes and restores the snapshots of one set of folders.
pub struct Snapshots {
    /// The queue.
    pub pool: PoolClient,
    /// Its files.
    pub storage: FileStorage,
    /// The archives on this disk.
    pub archives: ArchiveFolder,
    /// The state.
    pub folders: SnapshotFolders,
    /// What stays out.
    pub excludes: SnapshotExcludes,
    /// The largest snapshot.
    pub limits: SnapshotLimits,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

/// Passes bytes on, and computes their SHA-256 and their number.
struct Hashing<W> {
    below: W,
    sum: Context,
    bytes: u64,
}

impl<W: Write> Hashing<W> {
    fn new(below: W) -> Self {
        Self { below, sum: Context::new(&SHA256), bytes: 0 }
    }

    /// The SHA-256 in hexadecimal digits, and the number of bytes.
    fn finish(self) -> (W, String, u64) {
        use std::fmt::Write as _;
        let digest = self.sum.finish();
        let hex = digest.as_ref().iter().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        (self.below, hex, self.bytes)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.below.write(bytes)?;
        self.sum.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.below.flush()
    }
}
