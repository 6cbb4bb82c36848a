//! Whose state the folders hold. A file in `STATE_DIR` says so across restarts.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::SnapshotKey;
use mcr_core::digest::half_digest;
use mcr_files::Folder;
use mcr_model::SnapshotId;

/// Whose state the folders hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lineage {
    /// The conversation.
    pub key: SnapshotKey,
    /// Why its snapshot could not be restored. While this is set, the folders do not have its state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The snapshot that was restored; none if the conversation had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<SnapshotId>,
    /// After a failure: the conversation whose state is still there. None if it is nobody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub still_there: Option<SnapshotKey>,
}

/// The name of the file about the folders with this workspace.
fn name_of(workspace: &Path) -> String {
    format!("lineage-{}.json", half_digest(&workspace.to_string_lossy()))
}

impl Lineage {
    /// The folders hold the state of this conversation, of which no snapshot was restored.
    pub(super) fn of(key: &SnapshotKey) -> Self {
        Self { key: key.clone(), failure: None, snapshot_id: None, still_there: None }
    }

    /// The conversation whose files are in the folders. A failed restore has not replaced them.
    pub(super) fn holder(&self) -> Option<&SnapshotKey> {
        if self.failure.is_some() { self.still_there.as_ref() } else { Some(&self.key) }
    }

    /// What is noted about the folders with this workspace. A note that cannot be read counts as none.
    pub(super) fn read(folder: &Folder, workspace: &Path) -> io::Result<Option<Self>> {
        let bytes = folder.read(&name_of(workspace))?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// Notes it.
    pub(super) fn write(&self, folder: &Folder, workspace: &Path) -> io::Result<()> {
        folder.write(&name_of(workspace), &serde_json::to_vec(self)?)
    }
}
