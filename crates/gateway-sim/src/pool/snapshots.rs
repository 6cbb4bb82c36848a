//! Stored files and snapshots (worker-pool B.9). Bytes are uploaded over HTTP; see `http`.

use serde_json::{Value, json};

use super::PoolPolicy;
use super::functions::CheckedArguments;
use super::rows::{PoolState, SnapshotRow, SnapshotStatus, WorkerStatus};

/// The life of a snapshot: seven days.
const LIFE_MS: i64 = 7 * 24 * 3_600_000;

/// The path to which files are posted.
pub(super) const UPLOAD_PATH: &str = "/api/storage/upload";

/// A URL to which one file can be posted.
#[expect(clippy::unnecessary_wraps, reason = "the type of every function")]
pub(super) fn media_upload_url(
    state: &mut PoolState,
    _: &PoolPolicy,
    _: &CheckedArguments<'_>,
    _: i64,
) -> Result<Value, String> {
    Ok(json!({"uploadUrl": format!("{}{UPLOAD_PATH}", state.base_url)}))
}

/// The URL of a stored file, or null.
#[expect(clippy::unnecessary_wraps, reason = "the type of every function")]
pub(super) fn file_url(
    state: &mut PoolState,
    _: &PoolPolicy,
    args: &CheckedArguments<'_>,
    _: i64,
) -> Result<Value, String> {
    let id = args.text("storageId");
    let url = state.files.contains_key(id).then(|| format!("{}/api/storage/{id}", state.base_url));
    Ok(json!(url))
}

/// Makes the row of a snapshot.
#[expect(clippy::unnecessary_wraps, reason = "the type of every function")]
pub(super) fn prepare(
    state: &mut PoolState,
    _: &PoolPolicy,
    args: &CheckedArguments<'_>,
    now: i64,
) -> Result<Value, String> {
    let (id, _) = state.new_id('s');
    let text = |name| args.text(name).to_owned();
    state.snapshots.push(SnapshotRow {
        id: id.clone(),
        key: (text("workspaceId"), text("agentKey"), text("conversationId")),
        worker_id: text("workerId"),
        reason: text("reason"),
        status: SnapshotStatus::Uploading,
        file: None,
        sha256: None,
        size_bytes: None,
        error: None,
        created_at: now,
        expires_at: now + LIFE_MS,
    });
    let upload_url = format!("{}{UPLOAD_PATH}", state.base_url);
    Ok(json!({"snapshotId": id, "uploadUrl": upload_url, "expiresAt": now + LIFE_MS}))
}

/// The snapshot that this worker uploads.
fn own<'a>(state: &'a mut PoolState, args: &CheckedArguments<'_>) -> Option<&'a mut SnapshotRow> {
    let (id, worker_id) = (args.text("snapshotId"), args.text("workerId"));
    let is_own = |row: &&mut SnapshotRow| row.id == id && row.worker_id == worker_id;
    state.snapshots.iter_mut().find(is_own)
}

/// Makes the snapshot ready, and lets a draining worker stop.
#[expect(clippy::unnecessary_wraps, reason = "the type of every function")]
pub(super) fn finalize(
    state: &mut PoolState,
    _: &PoolPolicy,
    args: &CheckedArguments<'_>,
    _: i64,
) -> Result<Value, String> {
    let file = args.text("storageId").to_owned();
    let is_stored = state.files.contains_key(&file);
    let Some(row) = own(state, args).filter(|_| is_stored) else { return Ok(json!(false)) };
    (row.status, row.file) = (SnapshotStatus::Ready, Some(file));
    (row.sha256, row.size_bytes) = (Some(args.text("sha256").to_owned()), Some(args.number("sizeBytes")));
    let id = row.id.clone();
    if let Some(worker) = state.workers.get_mut(args.text("workerId")) {
        worker.last_snapshot_id = Some(id);
        if worker.status == WorkerStatus::Draining {
            worker.status = WorkerStatus::Stopping;
        }
    }
    Ok(json!(true))
}

/// Marks the upload as failed.
#[expect(clippy::unnecessary_wraps, reason = "the type of every function")]
pub(super) fn fail(
    state: &mut PoolState,
    _: &PoolPolicy,
    args: &CheckedArguments<'_>,
    _: i64,
) -> Result<Value, String> {
    let Some(row) = own(state, args) else { return Ok(json!(false)) };
    (row.status, row.error) = (SnapshotStatus::Failed, Some(args.text("error").to_owned()));
    Ok(json!(true))
}

/// The newest snapshot, if it is ready. Older ones are not looked at.
#[expect(clippy::unnecessary_wraps, reason = "the type of every function")]
pub(super) fn latest(
    state: &mut PoolState,
    _: &PoolPolicy,
    args: &CheckedArguments<'_>,
    now: i64,
) -> Result<Value, String> {
    let text = |name| args.text(name).to_owned();
    let key = (text("workspaceId"), text("agentKey"), text("conversationId"));
    let newest = state.snapshots.iter().rev().find(|row| row.key == key);
    let good = newest.filter(|row| row.status == SnapshotStatus::Ready && row.expires_at > now);
    Ok(good.and_then(|row| row.file.as_ref().map(|file| (row, file))).map_or(Value::Null, |(row, file)| {
        json!({
            "snapshotId": row.id,
            "downloadUrl": format!("{}/api/storage/{file}", state.base_url),
            "sha256": row.sha256,
            "sizeBytes": row.size_bytes,
            "createdAt": row.created_at,
        })
    }))
}
