//! Snapshots of workers' data (worker-pool B.9).
//!
//! A snapshot is made in three steps: prepare, upload, finalize. A failed or unfinished one never hides an older one that can
//! be restored (F.18), and a new one never replaces an older one (F.17). The files of expired ones are removed (F.21).

use serde::Deserialize;
use serde_json::{Value, json};

use super::lifecycle::{self, DRAINING, STOPPING};
use super::rows::Snapshot;
use super::times::KEPT_MS;
use super::{AGENT, CONVERSATION, LIMIT, USER, WORKER, clamped, files, queue, reads};
use crate::answer::{Refusal, ensure};
use crate::call::{Answer, Call};
use crate::function::Function;
use crate::number;
use crate::rows::Stored;
use crate::store::{Doc, Id, POOL_SNAPSHOTS, SNAPSHOTS_BY_STATUS, SNAPSHOTS_OF_CONVERSATION, StoreError, Tx};
use crate::validate::{Arg, Is, need};

const UPLOADING: &str = "uploading";
const READY: &str = "ready";
const FAILED: &str = "failed";
const EXPIRED: &str = "expired";
const FORMAT_VERSION: f64 = 1.0;
/// The snapshots that one reconcile expires.
const EXPIRED_MAX: usize = 100;
/// The workspace of the functions that name none.
const WORKSPACE: &str = "default";

const SNAPSHOT: Arg = need("snapshotId", Is::Text);
const WORKSPACE_ID: Arg = need("workspaceId", Is::Text);

pub(super) const FUNCTIONS: &[Function] = &[
    Function::worker_mutation(
        "agentFactory:workerPrepareSnapshotUpload",
        &[
            WORKER,
            WORKSPACE_ID,
            AGENT,
            CONVERSATION,
            need("reason", Is::OneOf(&["drain", "signal", "manual"])),
        ],
        prepare,
    ),
    Function::worker_mutation(
        "agentFactory:workerFinalizeSnapshotUpload",
        &[
            WORKER,
            SNAPSHOT,
            need("storageId", Is::Text),
            need("sha256", Is::Text),
            need("sizeBytes", Is::Number),
        ],
        finalize,
    ),
    Function::worker_mutation(
        "agentFactory:workerFailSnapshotUpload",
        &[WORKER, SNAPSHOT, need("error", Is::Text)],
        fail,
    ),
    Function::worker_query(
        "agentFactory:workerLatestSnapshotForRestore",
        &[WORKSPACE_ID, AGENT, CONVERSATION],
        latest,
    ),
    Function::pool_query("agentFactory:listSnapshotsForConversation", &[CONVERSATION, LIMIT], list),
    Function::pool_query("agentFactory:listSnapshotsForUserAgent", &[USER, AGENT, LIMIT], list_for_user),
    Function::pool_query("agentFactory:getLatestSnapshotForUserAgent", &[USER, AGENT], latest_for_user),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PrepareArgs {
    worker_id: String,
    workspace_id: String,
    agent_key: String,
    conversation_id: String,
    reason: String,
}

fn prepare(call: &Call<'_>) -> Answer {
    let args: PrepareArgs = call.args()?;
    let known = queue::conversation(call.tx, &args.conversation_id)?;
    let fits = known.is_some_and(|known| known.row.agent_key == args.agent_key);
    ensure!(
        fits,
        "The agent {} has no conversation {}: name the conversation that was claimed",
        args.agent_key,
        args.conversation_id
    );
    let previous = ready(call.tx, &args.workspace_id, &args.agent_key, &args.conversation_id)?;
    let expires_at = call.now() + KEPT_MS;
    let snapshot = call.tx.insert(Snapshot {
        workspace_id: args.workspace_id,
        agent_key: args.agent_key,
        conversation_id: args.conversation_id,
        worker_id: args.worker_id,
        reason: args.reason,
        format_version: FORMAT_VERSION,
        status: UPLOADING.to_owned(),
        created_at: call.now(),
        expires_at,
        previous_snapshot_id: previous.map(|previous| previous.id.to_string()),
        ..Snapshot::default()
    })?;
    let upload_url = files::upload_url(call)?;
    Ok(json!({"snapshotId": snapshot.id.as_str(), "uploadUrl": upload_url, "expiresAt": expires_at}))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EndArgs {
    worker_id: String,
    snapshot_id: String,
    #[serde(default)]
    storage_id: String,
    #[serde(default)]
    sha256: String,
    #[serde(default, deserialize_with = "number::finite")]
    size_bytes: Option<f64>,
    #[serde(default)]
    error: String,
}

/// The snapshot that this worker makes.
fn own(tx: &Tx<'_>, args: &EndArgs) -> Result<Option<Doc<Snapshot>>, StoreError> {
    let found = Id::parse(&args.snapshot_id).map(|id| tx.get::<Snapshot>(&id)).transpose()?.flatten();
    Ok(found.filter(|found| found.row.worker_id == args.worker_id))
}

fn finalize(call: &Call<'_>) -> Answer {
    let args: EndArgs = call.args()?;
    let Some(mut snapshot) = own(call.tx, &args)? else { return Ok(json!(false)) };
    let row = &mut snapshot.row;
    if row.status == READY && row.sha256.as_ref() == Some(&args.sha256) {
        // The answer of the first call was lost.
        return Ok(json!(true));
    }
    if row.status != UPLOADING {
        return Ok(json!(false));
    }
    let stored = Id::<Stored>::parse(&args.storage_id).map(|id| call.tx.get(&id)).transpose()?.flatten();
    let Some(stored) = stored else {
        return Err(Refusal::thrown(format!(
            "The archive {} is not stored here: upload it first",
            args.storage_id
        )));
    };
    let is_whole = stored.row.sha256.as_deref() == Some(args.sha256.to_ascii_lowercase().as_str())
        && args.size_bytes == Some(stored.row.size);
    ensure!(
        is_whole,
        "The stored archive has {} bytes and the checksum {}, which is not what was announced: upload it again",
        stored.row.size,
        stored.row.sha256.unwrap_or_default()
    );
    READY.clone_into(&mut row.status);
    (row.archive_file_id, row.sha256) = (Some(stored.id), Some(args.sha256));
    (row.size_bytes, row.completed_at) = (args.size_bytes, Some(call.now()));
    call.tx.put(&snapshot)?;
    if let Some(mut worker) = lifecycle::worker(call.tx, &args.worker_id)? {
        worker.row.last_snapshot_id = Some(snapshot.id.to_string());
        if worker.row.status == DRAINING {
            lifecycle::advance(&mut worker.row, STOPPING)?;
        }
        call.tx.put(&worker)?;
    }
    Ok(json!(true))
}

fn fail(call: &Call<'_>) -> Answer {
    let args: EndArgs = call.args()?;
    let Some(mut snapshot) = own(call.tx, &args)? else { return Ok(json!(false)) };
    // A finished archive stays usable.
    if snapshot.row.status != UPLOADING {
        return Ok(json!(snapshot.row.status == FAILED));
    }
    FAILED.clone_into(&mut snapshot.row.status);
    snapshot.row.error = Some(args.error.chars().take(super::leases::ERROR_CHARS).collect());
    snapshot.row.completed_at = Some(call.now());
    call.tx.put(&snapshot)?;
    Ok(json!(true))
}

/// The newest snapshot that can be restored.
fn ready(
    tx: &Tx<'_>,
    workspace: &str,
    agent_key: &str,
    conversation: &str,
) -> Result<Option<Doc<Snapshot>>, StoreError> {
    let key = [Some(workspace), Some(agent_key), Some(conversation), Some(READY)];
    let newest = tx.find::<Snapshot>(POOL_SNAPSHOTS, &key).newest_first().first()?;
    Ok(newest.filter(|newest| newest.row.expires_at > tx.now() && newest.row.archive_file_id.is_some()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LatestArgs {
    workspace_id: String,
    agent_key: String,
    conversation_id: String,
}

fn latest(call: &Call<'_>) -> Answer {
    let args: LatestArgs = call.args()?;
    let Some(found) = ready(call.tx, &args.workspace_id, &args.agent_key, &args.conversation_id)? else {
        return Ok(Value::Null);
    };
    let Snapshot { sha256, size_bytes, created_at, .. } = &found.row;
    Ok(json!({
        "snapshotId": found.id.as_str(),
        "downloadUrl": download_url(call, &found.row)?,
        "sha256": sha256,
        "sizeBytes": size_bytes,
        "createdAt": created_at,
    }))
}

fn download_url(call: &Call<'_>, row: &Snapshot) -> Result<Option<String>, StoreError> {
    match &row.archive_file_id {
        Some(file) => files::url(call, file.as_str()),
        None => Ok(None),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SnapshotListArgs {
    #[serde(default)]
    conversation_id: String,
    #[serde(default, deserialize_with = "number::optional")]
    limit: Option<f64>,
}

fn list(call: &Call<'_>) -> Answer {
    let args: SnapshotListArgs = call.args()?;
    newest(call, &args.conversation_id, None, clamped(args.limit, 50, 200))
}

fn list_for_user(call: &Call<'_>) -> Answer {
    let args: SnapshotListArgs = call.args()?;
    let user: reads::UserAgentArgs = call.args()?;
    newest(call, &user.conversation_id(), Some(WORKSPACE), clamped(args.limit, 50, 200))
}

fn newest(call: &Call<'_>, conversation: &str, workspace: Option<&str>, limit: usize) -> Answer {
    let found = call.tx.find::<Snapshot>(SNAPSHOTS_OF_CONVERSATION, &[Some(conversation)]).newest_first();
    let rows = found.limit(limit).rows()?.into_iter();
    let wanted = rows.filter(|found| workspace.is_none_or(|workspace| workspace == found.row.workspace_id));
    wanted.map(|found| view(call, &found)).collect()
}

fn view(call: &Call<'_>, found: &Doc<Snapshot>) -> Answer {
    let Snapshot { conversation_id, created_at, sha256, size_bytes, status, .. } = &found.row;
    Ok(json!({
        "conversationId": conversation_id,
        "createdAt": created_at,
        "downloadUrl": download_url(call, &found.row)?,
        "sha256": sha256,
        "sizeBytes": size_bytes,
        "snapshotId": found.id.as_str(),
        "status": status,
    }))
}

fn latest_for_user(call: &Call<'_>) -> Answer {
    let user: reads::UserAgentArgs = call.args()?;
    let found = ready(call.tx, WORKSPACE, &user.agent_key, &user.conversation_id())?;
    found.map_or(Ok(Value::Null), |found| view(call, &found))
}

/// Expires old snapshots, and removes their archives.
pub(super) fn expire(tx: &Tx<'_>) -> Result<bool, Refusal> {
    let mut is_more = false;
    for status in [READY, UPLOADING] {
        let due = tx.find::<Snapshot>(SNAPSHOTS_BY_STATUS, &[Some(status)]).up_to(tx.now());
        let due = due.limit(EXPIRED_MAX).rows()?;
        is_more |= due.len() == EXPIRED_MAX;
        for mut snapshot in due {
            EXPIRED.clone_into(&mut snapshot.row.status);
            if let Some(file) = snapshot.row.archive_file_id.take() {
                tx.delete(&file)?;
            }
            tx.put(&snapshot)?;
        }
    }
    Ok(is_more)
}
