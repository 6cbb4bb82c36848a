//! The life of a worker, the recovery of expired leases, and the periodic work (worker-pool B.5, C.3).
//!
//! Each function is one transaction, so two reconciles never overlap (F.25). This backend starts and stops no machines:
//! `spawned` is always 0 (F.24), and no error of a provider closes a row (F.26).

use serde::Deserialize;
use serde_json::{Value, json};

use super::leases::count_attempt;
use super::queue::{self, PROCESSING, refresh};
use super::rows::{Conversation, PoolMessage, Worker};
use super::times::KEPT_MS;
use super::{LIMIT, PoolTimes, WORKER, clamped, files, pairing, settings, snapshots};
use crate::answer::{Refusal, ensure};
use crate::call::{Answer, Call};
use crate::function::Function;
use crate::number;
use crate::store::{Doc, POOL_LEASES, POOL_WORKER, POOL_WORKERS, StoreError, Tx};
use crate::validate::{Arg, Is, may};

/// The states of a worker, in the order in which it moves through them.
const LIFE: [&str; 4] = [ACTIVE, DRAINING, STOPPING, STOPPED];
pub(super) const ACTIVE: &str = "active";
pub(super) const DRAINING: &str = "draining";
pub(super) const STOPPING: &str = "stopping";
pub(super) const STOPPED: &str = "stopped";

/// The leases that one reconcile recovers, and the rows that it moves or expires.
const RECOVERED_MAX: usize = 500;
/// The leases that a manual release recovers by default.
const RELEASED: usize = 100;

const NOW: Arg = may("nowMs", Is::Number);
const FLY_TOKEN: Arg = may("flyApiToken", Is::Text);
const WORKSPACE: Arg = may("workspaceId", Is::Text);
const SCALING: Arg = may("scalingPolicy", settings::SCALING);

pub(super) const FUNCTIONS: &[Function] = &[
    Function::worker_query("agentFactory:workerControlState", &[WORKER], control_state),
    Function::pool_query("agentFactory:workerStats", &[], stats),
    Function::pool_mutation("agentFactory:releaseStuckJobs", &[NOW, LIMIT], release),
    Function::worker_action(
        "agentFactory:startWorkers",
        &[FLY_TOKEN, may("convexUrl", Is::Text), WORKSPACE, SCALING],
        start,
    ),
    Function::pool_action("agentFactory:checkIdleShutdowns", &[FLY_TOKEN], check_idle),
    Function::pool_action(
        "agentFactory:recoverQueue",
        &[NOW, may("releaseLimit", Is::Number), WORKSPACE, SCALING],
        recover_queue,
    ),
];

/// The worker with this id.
pub(super) fn worker(tx: &Tx<'_>, id: &str) -> Result<Option<Doc<Worker>>, StoreError> {
    tx.find(POOL_WORKER, &[Some(id)]).first()
}

/// Adds the row of a worker that claims for the first time.
pub(super) fn register(tx: &Tx<'_>, id: &str) -> Result<Doc<Worker>, StoreError> {
    tx.insert(Worker {
        worker_id: id.to_owned(),
        provider: "fly".to_owned(),
        status: ACTIVE.to_owned(),
        heartbeat_at: tx.now(),
        ..Worker::default()
    })
}

/// Since when workers other than the owner may claim a conversation: the owner's last sign of life and the stale time. Zero
/// without an active owner.
pub(super) fn free_at(tx: &Tx<'_>, times: &PoolTimes, row: &Conversation) -> Result<f64, StoreError> {
    let Some(owner) = row.owner.as_deref().map(|id| worker(tx, id)).transpose()?.flatten() else {
        return Ok(0.0);
    };
    let serves = owner.row.status == ACTIVE
        && owner.row.assignment.as_ref().is_some_and(|at| at.conversation_id == row.conversation_id);
    Ok(if serves { owner.row.heartbeat_at + f64::from(times.stale) } else { 0.0 })
}

/// Updates the conversation of a worker after a change of the worker's row.
pub(super) fn refresh_owned(tx: &Tx<'_>, times: &PoolTimes, row: &Worker) -> Result<(), Refusal> {
    let Some(at) = &row.assignment else { return Ok(()) };
    match queue::conversation(tx, &at.conversation_id)? {
        Some(mut conversation) => refresh(tx, times, &mut conversation),
        None => Ok(()),
    }
}

fn control_state(call: &Call<'_>) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct ControlArgs {
        worker_id: String,
    }
    let args: ControlArgs = call.args()?;
    let now = call.now();
    let should_stop = worker(call.tx, &args.worker_id)?.is_none_or(|Doc { row, .. }| {
        row.status != ACTIVE
            || row.heartbeat_at <= now - f64::from(call.times.stale)
            || row.scheduled_shutdown_at.is_some_and(|due| due <= now)
    });
    Ok(json!({"shouldStop": should_stop}))
}

fn stats(call: &Call<'_>) -> Answer {
    let mut workers = Vec::new();
    for status in [ACTIVE, DRAINING, STOPPING] {
        workers.extend(call.tx.find::<Worker>(POOL_WORKERS, &[Some(status)]).rows()?);
    }
    let is_active = |worker: &&Doc<Worker>| worker.row.status == ACTIVE;
    let idle = workers.iter().filter(is_active).filter(|worker| worker.row.load == 0.0).count();
    let rows = workers.iter().map(|Doc { row, .. }| {
        json!({
            "workerId": row.worker_id,
            "machineId": null,
            "status": row.status,
            "load": row.load,
            "heartbeatAt": row.heartbeat_at,
            "scheduledShutdownAt": row.scheduled_shutdown_at,
            "conversationId": row.assignment.as_ref().map(|at| &at.conversation_id),
        })
    });
    Ok(json!({
        "activeCount": workers.iter().filter(is_active).count(),
        "idleCount": idle,
        "workers": rows.collect::<Value>(),
    }))
}

/// Queues the messages whose leases have expired, and returns how many there were. Each expired lease counts as a failed
/// attempt (F.10). The silent worker loses its conversation at once, and its last sign of life stays as it was (F.11).
pub(super) fn recover(tx: &Tx<'_>, times: &PoolTimes, limit: usize) -> Result<usize, Refusal> {
    recover_as_of(tx, times, tx.now(), limit)
}

/// Like [`recover`], for the leases that have expired at an earlier or later time. That time only finds them: the messages are
/// due now, and not at a time that a caller has made up.
fn recover_as_of(tx: &Tx<'_>, times: &PoolTimes, then: f64, limit: usize) -> Result<usize, Refusal> {
    let now = tx.now();
    let lost = tx.find::<PoolMessage>(POOL_LEASES, &[Some(PROCESSING)]).up_to(then).limit(limit).rows()?;
    let count = lost.len();
    for mut message in lost {
        let row = &mut message.row;
        let claimer = row.claimed_by.take().unwrap_or_default();
        (row.lease_id, row.lease_expires_at) = (None, None);
        count_attempt(row, &format!("The lease of the worker {claimer} expired"), now, now);
        tx.put(&message)?;
        if let Some(mut worker) = worker(tx, &claimer)? {
            let row = &mut worker.row;
            row.load = (row.load - 1.0).max(0.0);
            if row.load == 0.0 {
                row.assignment = None;
                row.scheduled_shutdown_at.get_or_insert_with(|| now + f64::from(times.idle));
            }
            tx.put(&worker)?;
        }
        if let Some(mut conversation) = queue::conversation(tx, &message.row.conversation_id)? {
            conversation.row.lock = None;
            refresh(tx, times, &mut conversation)?;
        }
    }
    Ok(count)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReleaseArgs {
    #[serde(default, deserialize_with = "number::finite")]
    now_ms: Option<f64>,
    #[serde(default, alias = "releaseLimit", deserialize_with = "number::finite")]
    limit: Option<f64>,
}

/// Recovers leases as of an earlier or later time, if one is given.
fn released(call: &Call<'_>) -> Answer {
    let args: ReleaseArgs = call.args()?;
    let limit = clamped(args.limit, RELEASED, RECOVERED_MAX);
    let then = args.now_ms.unwrap_or_else(|| call.now());
    let count = recover_as_of(call.tx, &call.times, then, limit)?;
    Ok(json!({"requeued": count, "unlocked": count}))
}

fn release(call: &Call<'_>) -> Answer {
    released(call)
}

fn start(call: &Call<'_>) -> Answer {
    let done = reconcile(call.tx, &call.times)?;
    Ok(done.answer())
}

fn recover_queue(call: &Call<'_>) -> Answer {
    let released = released(call)?;
    let reconcile = reconcile(call.tx, &call.times)?.answer();
    Ok(json!({"released": released, "reconcile": reconcile}))
}

fn check_idle(call: &Call<'_>) -> Answer {
    let moved = move_workers(call.tx, &call.times)?;
    Ok(json!({
        "checked": moved.checked,
        "stopped": moved.stopped,
        "pending": moved.pending,
        "nextCheckScheduled": false,
    }))
}

/// What a reconcile did.
#[derive(Debug, Default)]
pub(super) struct Reconciled {
    checked: usize,
    active: usize,
    terminated: usize,
    stopped: usize,
    pending: usize,
}

impl Reconciled {
    fn answer(&self) -> Value {
        json!({"activeWorkers": self.active, "spawned": 0, "terminated": self.terminated})
    }
}

/// The periodic work (C.3): leases, workers, and what has expired.
pub(super) fn reconcile(tx: &Tx<'_>, times: &PoolTimes) -> Result<Reconciled, Refusal> {
    recover(tx, times, RECOVERED_MAX)?;
    let done = move_workers(tx, times)?;
    expire(tx)?;
    Ok(done)
}

/// Expires a bounded number of rows of each kind. Returns whether more may be due.
pub(super) fn expire(tx: &Tx<'_>) -> Result<bool, Refusal> {
    let of_each = [snapshots::expire(tx)?, files::expire(tx)?, pairing::expire(tx)?];
    Ok(of_each.contains(&true))
}

/// Moves workers on that are silent, idle or done.
fn move_workers(tx: &Tx<'_>, times: &PoolTimes) -> Result<Reconciled, Refusal> {
    let now = tx.now();
    let mut done = Reconciled::default();
    for mut worker in tx.find::<Worker>(POOL_WORKERS, &[Some(ACTIVE)]).rows()? {
        done.checked += 1;
        let row = &mut worker.row;
        let is_stale = row.heartbeat_at <= now - f64::from(times.stale);
        let mut is_changed = false;
        if row.load == 0.0 && row.scheduled_shutdown_at.is_none() {
            let last = row.last_claim_at.unwrap_or(row.heartbeat_at);
            row.scheduled_shutdown_at = Some(last + f64::from(times.idle));
            is_changed = true;
        }
        let is_idle = row.load == 0.0 && row.scheduled_shutdown_at.is_some_and(|due| due <= now);
        if is_stale || is_idle {
            if is_idle && row.last_claim_at.is_some() {
                // A fresh snapshot is awaited.
                row.last_snapshot_id = None;
            }
            advance(row, DRAINING)?;
            row.draining_since = Some(now);
            done.terminated += 1;
            is_changed = true;
        } else {
            done.active += 1;
        }
        if is_changed {
            tx.put(&worker)?;
            refresh_owned(tx, times, &worker.row)?;
        }
    }
    for mut worker in tx.find::<Worker>(POOL_WORKERS, &[Some(DRAINING)]).rows()? {
        let row = &mut worker.row;
        let is_ready = row.last_snapshot_id.is_some() || row.last_claim_at.is_none();
        let since = row.draining_since.unwrap_or(row.heartbeat_at);
        // No worker drains for ever (F.23). A running message is not cut off; its lease ends it.
        let is_overdue = row.load == 0.0 && since + f64::from(times.drain) <= now;
        if is_ready || is_overdue {
            advance(row, STOPPING)?;
            tx.put(&worker)?;
        } else {
            done.pending += 1;
        }
    }
    for mut worker in tx.find::<Worker>(POOL_WORKERS, &[Some(STOPPING)]).rows()? {
        let owned = worker.row.clone();
        advance(&mut worker.row, STOPPED)?;
        (worker.row.assignment, worker.row.stopped_at) = (None, Some(now));
        tx.put(&worker)?;
        refresh_owned(tx, times, &owned)?;
        done.stopped += 1;
    }
    // Rows of stopped workers do not accumulate (F.13).
    let old = tx.find::<Worker>(POOL_WORKERS, &[Some(STOPPED)]).up_to(now - KEPT_MS);
    for worker in old.limit(RECOVERED_MAX).rows()? {
        tx.delete(&worker.id)?;
    }
    Ok(done)
}

/// Moves a worker to the next status. A step cannot be skipped, and nothing leaves `stopped` (B.5).
pub(super) fn advance(row: &mut Worker, to: &'static str) -> Result<(), Refusal> {
    let place = |status: &str| LIFE.iter().position(|known| *known == status);
    let (from, next) = (place(&row.status), place(to));
    let is_allowed = from.zip(next).is_some_and(|(from, next)| next == from || next == from + 1);
    ensure!(is_allowed, "A worker cannot go from {} to {to}", row.status);
    to.clone_into(&mut row.status);
    Ok(())
}
