//! `snapshot create`, `snapshot restore` and `snapshot list`.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::with_state;
use crate::app::command_env::CommandEnv;
use crate::app::exit::Exit;
use crate::app::print;
use mcr_clients::pool::{LatestSnapshot, SnapshotReason};
use mcr_model::ConversationId;
use mcr_service::snapshots::{
    ArchiveNote, CreatedSnapshot, RestoreMoment, Restored, SnapshotError, SnapshotList,
};

/// What to do with the snapshots of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotCommand {
    /// The subcommand.
    pub wanted: SnapshotWanted,
    /// `--env-file`.
    pub env_file: Option<PathBuf>,
    /// `--conversation`; by default `OPENCLAW_CONVERSATION_ID`.
    pub conversation: Option<String>,
    /// `--json`.
    pub json: bool,
}

/// The subcommand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotWanted {
    /// Make one.
    Create,
    /// Restore the newest good one.
    Restore,
    /// Show what could be restored.
    List,
}

const NO_CONVERSATION: &str =
    "No conversation is named. Add --conversation ID, or set WORKER_ID and OPENCLAW_CONVERSATION_ID.";

/// Runs the command.
pub fn snapshot(wanted: &SnapshotCommand) -> Exit {
    let env = CommandEnv::load_worker(wanted.env_file.as_deref());
    let is_named =
        wanted.conversation.is_some() || !env.configuration.report.is_missing("OPENCLAW_CONVERSATION_ID");
    let missing = if is_named { Vec::new() } else { vec![NO_CONVERSATION.to_owned()] };
    with_state(&env, wanted.json, missing, |state| {
        let given = wanted.conversation.clone().map(ConversationId::new);
        // Without WORKER_ID the variable is not read.
        let conversation = given.or_else(|| state.own.conversation.clone()).ok_or(NO_CONVERSATION)?;
        let (snapshots, key) = (state.snapshots(), state.key(&conversation, None));
        let failed = |error: SnapshotError| match error {
            // The queue knows a conversation by its agent, too, and the default is seldom that agent.
            SnapshotError::Call(_) => format!(
                "{error} The agent was “{}” (OPENCLAW_AGENT_KEY), the conversation “{conversation}”.",
                key.agent_key
            ),
            error => error.to_string(),
        };
        let (shown, text) = match wanted.wanted {
            SnapshotWanted::Create => {
                let made = snapshots.create(&state.worker_id(), &key, SnapshotReason::Manual);
                created(&made.map_err(failed)?)
            }
            SnapshotWanted::Restore => {
                let listed = snapshots.list(&key).map_err(failed)?;
                if listed.newest.is_none() && listed.archives.is_empty() {
                    return Err("Nothing was changed: this conversation has no snapshot, neither at the queue nor on this disk; check its id"
                        .to_owned());
                }
                restored(&snapshots.restore(&key, RestoreMoment::Start).map_err(failed)?)
            }
            SnapshotWanted::List => list(&snapshots.list(&key).map_err(failed)?),
        };
        Ok(print(&if wanted.json { format!("{shown:#}\n") } else { text }))
    })
}

fn created(made: &CreatedSnapshot) -> (Value, String) {
    let CreatedSnapshot { snapshot_id, note, packed } = made;
    let shown = json!({
        "success": true, "snapshotId": snapshot_id, "sha256": note.sha256, "sizeBytes": note.size_bytes,
        "files": packed.files, "excluded": packed.excluded, "changed": packed.changed,
        "leftOut": packed.left_out, "unreadable": packed.unreadable,
    });
    let mut text = format!(
        "Snapshot {snapshot_id} is stored: {} files, {} bytes, SHA-256 {}.\n",
        packed.files, note.size_bytes, note.sha256
    );
    if let Some(first) = &packed.first_unreadable {
        // Writing to a string cannot fail.
        let _ =
            writeln!(text, "{} files are missing, because they cannot be read: {first}", packed.unreadable);
    }
    (shown, text)
}

fn restored(restored: &Restored) -> (Value, String) {
    match restored {
        Restored::AlreadyThere => (
            json!({"success": true, "restored": false, "reason": "in_use"}),
            "Nothing was restored: the folders are in use. Move them away to restore over them.\n".to_owned(),
        ),
        Restored::Fresh => (
            json!({"success": true, "restored": false, "reason": "no_snapshot"}),
            "Nothing was restored: the conversation has no snapshot, and begins with an empty state.\n"
                .to_owned(),
        ),
        Restored::From { snapshot_id, created_at, unpacked, refused } => {
            let shown = json!({
                "success": true, "restored": true, "snapshotId": snapshot_id, "createdAt": created_at,
                "files": unpacked.files, "bytes": unpacked.content_bytes, "excluded": unpacked.excluded,
                "refused": refused,
            });
            let mut text = format!("The snapshot of {created_at} is restored: {} files.\n", unpacked.files);
            for reason in refused {
                let _ = writeln!(text, "Not used: {reason}");
            }
            (shown, text)
        }
    }
}

fn list(list: &SnapshotList) -> (Value, String) {
    let newest = list.newest.as_ref();
    let row = |note: &ArchiveNote| {
        json!({"createdAt": note.created_at, "snapshotId": note.snapshot_id, "sha256": note.sha256,
            "sizeBytes": note.size_bytes})
    };
    let of_queue = |latest: &LatestSnapshot| {
        json!({"createdAt": latest.created_at, "snapshotId": latest.snapshot_id, "sha256": latest.sha256,
            "sizeBytes": latest.size_bytes})
    };
    let shown = json!({
        "success": true,
        "newestAtQueue": newest.map(of_queue),
        "onThisDisk": list.archives.iter().map(row).collect::<Vec<_>>(),
    });
    let mut text = match newest {
        Some(latest) => {
            format!("At the queue, newest only: {} of {}\n", latest.snapshot_id, latest.created_at)
        }
        None => {
            "The queue offers no snapshot: there is none, or the newest one was not finished.\n".to_owned()
        }
    };
    if list.archives.is_empty() {
        text.push_str("On this disk: none\n");
    }
    for note in &list.archives {
        let id = note.snapshot_id.as_ref().map_or_else(|| "not uploaded".to_owned(), ToString::to_string);
        let _ = writeln!(text, "On this disk: {id} of {}, {} bytes", note.created_at, note.size_bytes);
    }
    (shown, text)
}
