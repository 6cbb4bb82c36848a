//! Snapshots and skills (worker-pool B.2, 12 to 16).

use serde::{Deserialize, Serialize};

use super::requests;
use mcr_core::skills::SkillManifest;
use mcr_model::clock::Millis;
use mcr_model::{ConversationId, SnapshotId, StorageId, WorkerId, number, words};

words! {
    /// Why a snapshot is made.
    SnapshotReason {
        /// The worker drains.
        Drain = "drain",
        /// The worker was asked to stop.
        Signal = "signal",
        /// The worker stops, or saves, by itself.
        Manual = "manual",
    }
}

words! {
    /// The channel of the skills.
    ReleaseChannel {
        /// For everyone.
        Stable = "stable",
        /// For tests.
        Canary = "canary",
    }
}

/// Makes the row of a new snapshot.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PrepareSnapshot<'a> {
    /// The worker.
    pub worker_id: &'a WorkerId,
    /// The workspace.
    pub workspace_id: &'a str,
    /// The agent.
    pub agent_key: &'a str,
    /// The conversation.
    pub conversation_id: &'a ConversationId,
    /// Why it is made.
    pub reason: SnapshotReason,
}

/// A row that waits for its archive.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PreparedSnapshot {
    /// The snapshot.
    pub snapshot_id: SnapshotId,
    /// The address to which the archive is posted.
    pub upload_url: String,
    /// When the snapshot expires.
    pub expires_at: Millis,
}

/// Makes the snapshot ready. The answer `false` means that this worker has no such snapshot.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FinalizeSnapshot<'a> {
    /// The worker.
    pub worker_id: &'a WorkerId,
    /// The snapshot.
    pub snapshot_id: &'a SnapshotId,
    /// The stored archive.
    pub storage_id: &'a StorageId,
    /// The SHA-256 of the archive, in hexadecimal digits.
    pub sha256: &'a str,
    /// The size of the archive.
    pub size_bytes: u64,
}

/// Marks the snapshot as failed. The answer `false` means that this worker has no such snapshot.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailSnapshot<'a> {
    /// The worker.
    pub worker_id: &'a WorkerId,
    /// The snapshot.
    pub snapshot_id: &'a SnapshotId,
    /// Why it failed.
    pub error: &'a str,
}

/// Asks for the newest snapshot. None if that one is not ready.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GetLatestSnapshot<'a> {
    /// The workspace.
    pub workspace_id: &'a str,
    /// The agent.
    pub agent_key: &'a str,
    /// The conversation.
    pub conversation_id: &'a ConversationId,
}

/// A snapshot that can be restored.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LatestSnapshot {
    /// The snapshot.
    pub snapshot_id: SnapshotId,
    /// Where the archive is.
    pub download_url: String,
    /// The SHA-256 of the archive.
    pub sha256: Option<String>,
    /// The size of the archive.
    #[serde(default, deserialize_with = "number::optional")]
    pub size_bytes: Option<u64>,
    /// When the snapshot was prepared.
    pub created_at: Millis,
}

/// Asks for the skills of a channel.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GetSkillsManifest<'a> {
    /// The workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace_id: Option<&'a str>,
    /// The worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_id: Option<&'a WorkerId>,
    /// The channel, by default `stable`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release_channel: Option<ReleaseChannel>,
}

requests! {
    PrepareSnapshot<'_>: PREPARE_SNAPSHOT -> PreparedSnapshot;
    FinalizeSnapshot<'_>: FINALIZE_SNAPSHOT -> bool;
    FailSnapshot<'_>: FAIL_SNAPSHOT -> bool;
    GetLatestSnapshot<'_>: LATEST_SNAPSHOT -> Option<LatestSnapshot>;
    GetSkillsManifest<'_>: SKILLS_MANIFEST -> SkillManifest;
}
