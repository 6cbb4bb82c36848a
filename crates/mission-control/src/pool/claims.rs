//! Which worker gets which message (worker-pool B.3).
//!
//! A worker without a conversation probes the conversations by rank: at most one probe for each priority, and each probe
//! reads one row. So neither a long queue nor locked conversations hide a message (F.12), and no claim reads all workers
//! (F.13).

use serde::Deserialize;
use serde_json::{Value, json};

use super::lifecycle::{ACTIVE, recover};
use super::queue::{self, BUSY, PROCESSING, WAITING, refresh};
use super::rows::{Assignment, Conversation, Lock, PoolMessage, Worker};
use super::{PoolTimes, WORKER, lifecycle};
use crate::answer::Refusal;
use crate::call::{Answer, Call};
use crate::function::Function;
use crate::store::{Doc, POOL_CLAIMABLE, Tx};
use crate::validate::{Is, may};
use crate::vault;

/// A claim recovers at most this many expired leases, so that its work is bounded.
const RECOVERED_MAX: usize = 25;
/// An idle worker's claim renews its sign of life if that is older than this share of the stale time.
const RENEWAL_SHARE: f64 = 0.25;

pub(super) const FUNCTIONS: &[Function] = &[Function::worker_mutation(
    "agentFactory:workerClaim",
    &[WORKER, may("conversationId", Is::Text)],
    claim,
)];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClaimArgs {
    worker_id: String,
    conversation_id: Option<String>,
}

fn claim(call: &Call<'_>) -> Answer {
    let args: ClaimArgs = call.args()?;
    let (tx, times) = (call.tx, &call.times);
    recover(tx, times, RECOVERED_MAX)?;
    let mut worker = lifecycle::worker(tx, &args.worker_id)?;
    if worker.as_ref().is_some_and(|worker| worker.row.status != ACTIVE) {
        return Ok(Value::Null);
    }
    let assigned = worker.as_ref().and_then(|worker| worker.row.assignment.clone());
    let assigned_to = assigned.as_ref().map(|at| at.conversation_id.as_str());
    let wanted = args.conversation_id.as_deref();
    if let (Some(assigned), Some(wanted)) = (assigned_to, wanted)
        && assigned != wanted
    {
        return Ok(Value::Null);
    }
    let found = match wanted.or(assigned_to) {
        Some(id) => only(tx, times, id, &args.worker_id, assigned.as_ref())?,
        None => next(tx)?,
    };
    let claimed = match found {
        Some(conversation) => due_head(tx, &conversation)?.map(|message| (conversation, message)),
        None => None,
    };
    if let Some((conversation, message)) = claimed {
        return take(call, &args.worker_id, worker, conversation, message);
    }
    if let Some(worker) = &mut worker {
        renew(call, worker)?;
    }
    Ok(Value::Null)
}

/// The conversation that has waited longest, of the highest rank that can be claimed.
fn next(tx: &Tx<'_>) -> Result<Option<Doc<Conversation>>, Refusal> {
    let mut rank = tx.greatest(POOL_CLAIMABLE, &[WAITING], None)?;
    while let Some(current) = rank {
        let line = tx.find::<Conversation>(POOL_CLAIMABLE, &[Some(WAITING), Some(&current)]);
        if let Some(found) = line.up_to(tx.now()).first()? {
            return Ok(Some(found));
        }
        rank = tx.greatest(POOL_CLAIMABLE, &[WAITING], Some(&current))?;
    }
    Ok(None)
}

/// This conversation, if the worker may claim it.
fn only(
    tx: &Tx<'_>,
    times: &PoolTimes,
    id: &str,
    worker_id: &str,
    assigned: Option<&Assignment>,
) -> Result<Option<Doc<Conversation>>, Refusal> {
    let Some(found) = queue::conversation(tx, id)? else { return Ok(None) };
    let row = &found.row;
    let fits = assigned.is_none_or(|at| at.agent_key == row.agent_key);
    let is_own = row.owner.as_deref() == Some(worker_id);
    let is_free = is_own || lifecycle::free_at(tx, times, row)? <= tx.now();
    Ok(Some(found).filter(|found| fits && is_free && found.row.state == WAITING))
}

fn due_head(tx: &Tx<'_>, conversation: &Doc<Conversation>) -> Result<Option<Doc<PoolMessage>>, Refusal> {
    let head = queue::head(tx, &conversation.row.conversation_id)?;
    Ok(head.filter(|head| {
        head.row.scheduled_for <= tx.now() && head.row.agent_key == conversation.row.agent_key
    }))
}

fn take(
    call: &Call<'_>,
    worker_id: &str,
    worker: Option<Doc<Worker>>,
    mut conversation: Doc<Conversation>,
    mut message: Doc<PoolMessage>,
) -> Answer {
    let (tx, times, now) = (call.tx, &call.times, call.now());
    let random: [u8; 4] = vault::random()?;
    let lease_id = format!("{now}-{}", vault::hex(&random));
    let lease_expires_at = now + f64::from(times.lease);
    let row = &mut message.row;
    PROCESSING.clone_into(&mut row.status);
    row.claimed_by = Some(worker_id.to_owned());
    row.lease_id = Some(lease_id.clone());
    row.lease_expires_at = Some(lease_expires_at);
    row.next_retry_at = None;
    tx.put(&message)?;

    let mut worker = match worker {
        Some(worker) => worker,
        None => lifecycle::register(tx, worker_id)?,
    };
    let assigned_at = worker.row.assignment.as_ref().map_or(now, |at| at.assigned_at);
    let row = &mut worker.row;
    row.load += 1.0;
    (row.heartbeat_at, row.last_claim_at, row.scheduled_shutdown_at) = (now, Some(now), None);
    row.assignment = Some(Assignment {
        conversation_id: message.row.conversation_id.clone(),
        agent_key: message.row.agent_key.clone(),
        lease_id: lease_id.clone(),
        assigned_at,
    });
    tx.put(&worker)?;

    conversation.row.owner = Some(worker_id.to_owned());
    conversation.row.lock = Some(Lock {
        lease_id: lease_id.clone(),
        worker_id: worker_id.to_owned(),
        lease_expires_at,
        heartbeat_at: now,
        claimed_message_id: message.id.to_string(),
    });
    refresh(tx, times, &mut conversation)?;
    debug_assert_eq!(conversation.row.state, BUSY);
    Ok(json!({
        "messageId": message.id.as_str(),
        "conversationId": message.row.conversation_id,
        "agentKey": message.row.agent_key,
        "leaseId": lease_id,
        "leaseExpiresAt": lease_expires_at,
        "payload": message.row.payload,
    }))
}

/// An idle worker that asks for messages is alive (F.14). Its sign of life is not written with each claim.
fn renew(call: &Call<'_>, worker: &mut Doc<Worker>) -> Result<(), Refusal> {
    let stale = f64::from(call.times.stale);
    let silence = call.now() - worker.row.heartbeat_at;
    if silence >= stale * RENEWAL_SHARE && silence < stale {
        worker.row.heartbeat_at = call.now();
        call.tx.put(worker)?;
        lifecycle::refresh_owned(call.tx, &call.times, &worker.row)?;
    }
    Ok(())
}
