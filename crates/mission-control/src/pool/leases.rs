//! What the holder of a lease may do (worker-pool B.4). Without the lease nothing changes.

use serde::Deserialize;
use serde_json::json;

use super::lifecycle::{self, STOPPED};
use super::queue::{self, DEAD_LETTER, DONE, PROCESSING, QUEUED, refresh};
use super::rows::{Assignment, PoolMessage};
use super::{MESSAGE, PoolTimes, WORKER};
use crate::answer::Refusal;
use crate::call::{Answer, Call};
use crate::function::Function;
use crate::store::{Doc, Tx};
use crate::validate::{Arg, Is, need};

const LEASE: Arg = need("leaseId", Is::Text);

pub(super) const FUNCTIONS: &[Function] = &[
    Function::worker_mutation("agentFactory:workerHeartbeat", &[WORKER, MESSAGE, LEASE], heartbeat),
    Function::worker_mutation("agentFactory:workerComplete", &[WORKER, MESSAGE, LEASE], complete),
    Function::worker_mutation(
        "agentFactory:workerFail",
        &[WORKER, MESSAGE, LEASE, need("errorMessage", Is::Text)],
        fail,
    ),
];

/// The first pause, and the longest one, in milliseconds.
const BASE_DELAY: f64 = 1_000.0;
const MAX_DELAY: f64 = 120_000.0;
const JITTER_RATIO: f64 = 0.1;
/// The longest stored error.
pub(super) const ERROR_CHARS: usize = 2_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LeaseArgs {
    worker_id: String,
    message_id: String,
    lease_id: String,
    #[serde(default)]
    error_message: String,
}

/// The message, if this worker holds its lease.
fn held(tx: &Tx<'_>, args: &LeaseArgs) -> Result<Option<Doc<PoolMessage>>, Refusal> {
    let message = queue::message(tx, &args.message_id)?;
    Ok(message.filter(|message| {
        message.row.status == PROCESSING
            && message.row.lease_id.as_ref() == Some(&args.lease_id)
            && message.row.claimed_by.as_ref() == Some(&args.worker_id)
    }))
}

fn heartbeat(call: &Call<'_>) -> Answer {
    let args: LeaseArgs = call.args()?;
    let (tx, now) = (call.tx, call.now());
    let Some(mut message) = held(tx, &args)? else { return Ok(json!(false)) };
    let end = now + f64::from(call.times.lease);
    message.row.lease_expires_at = Some(end);
    tx.put(&message)?;
    let PoolMessage { conversation_id, agent_key, .. } = &message.row;
    if let Some(mut conversation) = queue::conversation(tx, conversation_id)?
        && let Some(lock) = &mut conversation.row.lock
        && lock.claimed_message_id == message.id.as_str()
    {
        (lock.lease_expires_at, lock.heartbeat_at) = (end, now);
        conversation.row.owner = Some(args.worker_id.clone());
        tx.put(&conversation)?;
    }
    if let Some(mut worker) = lifecycle::worker(tx, &args.worker_id)?
        && worker.row.status != STOPPED
    {
        worker.row.heartbeat_at = now;
        let is_right = |at: &Assignment| at.conversation_id == *conversation_id && at.agent_key == *agent_key;
        if !worker.row.assignment.as_ref().is_some_and(is_right) {
            worker.row.assignment = Some(Assignment {
                conversation_id: conversation_id.clone(),
                agent_key: agent_key.clone(),
                lease_id: args.lease_id,
                assigned_at: now,
            });
        }
        tx.put(&worker)?;
    }
    Ok(json!(true))
}

fn complete(call: &Call<'_>) -> Answer {
    let args: LeaseArgs = call.args()?;
    let Some(mut message) = held(call.tx, &args)? else { return Ok(json!(false)) };
    DONE.clone_into(&mut message.row.status);
    message.row.done_at = Some(call.now());
    let_go(call.tx, &call.times, message, &args.worker_id)?;
    Ok(json!(true))
}

fn fail(call: &Call<'_>) -> Answer {
    let args: LeaseArgs = call.args()?;
    let Some(mut message) = held(call.tx, &args)? else {
        return Ok(json!({"requeued": false, "deadLettered": false, "nextScheduledFor": null}));
    };
    let next = call.now() + retry_delay(message.row.attempts + 1.0, call.now());
    let is_over = count_attempt(&mut message.row, &args.error_message, next, call.now());
    let_go(call.tx, &call.times, message, &args.worker_id)?;
    Ok(json!({
        "requeued": !is_over,
        "deadLettered": is_over,
        "nextScheduledFor": if is_over { json!(null) } else { json!(next) },
    }))
}

/// Counts a failed attempt. The message is queued again for `next`, or becomes a dead letter, which is what this returns.
pub(super) fn count_attempt(row: &mut PoolMessage, error: &str, next: f64, now: f64) -> bool {
    row.attempts += 1.0;
    row.last_error = Some(error.chars().take(ERROR_CHARS).collect());
    let is_over = row.attempts >= row.max_attempts;
    if is_over {
        DEAD_LETTER.clone_into(&mut row.status);
        row.dead_lettered_at = Some(now);
    } else {
        QUEUED.clone_into(&mut row.status);
        (row.scheduled_for, row.next_retry_at) = (next, Some(next));
    }
    is_over
}

/// Frees the message, the conversation and the worker.
fn let_go(
    tx: &Tx<'_>,
    times: &PoolTimes,
    mut message: Doc<PoolMessage>,
    worker_id: &str,
) -> Result<(), Refusal> {
    let row = &mut message.row;
    (row.claimed_by, row.lease_id, row.lease_expires_at) = (None, None, None);
    tx.put(&message)?;
    if let Some(mut worker) = lifecycle::worker(tx, worker_id)? {
        let row = &mut worker.row;
        row.load = (row.load - 1.0).max(0.0);
        row.heartbeat_at = tx.now();
        if row.load == 0.0 {
            let due = row.last_claim_at.unwrap_or_else(|| tx.now()) + f64::from(times.idle);
            row.scheduled_shutdown_at.get_or_insert(due);
        }
        tx.put(&worker)?;
    }
    if let Some(mut conversation) = queue::conversation(tx, &message.row.conversation_id)? {
        let is_locked_by = |id: &str| id == message.id.as_str();
        if conversation.row.lock.as_ref().is_some_and(|lock| is_locked_by(&lock.claimed_message_id)) {
            conversation.row.lock = None;
        }
        refresh(tx, times, &mut conversation)?;
    }
    Ok(())
}

/// The pause before the next attempt, after `attempt` failed ones, with the arithmetic of the original.
pub(super) fn retry_delay(attempt: f64, now: f64) -> f64 {
    let base = (BASE_DELAY * 2_f64.powf(attempt - 1.0)).clamp(BASE_DELAY, MAX_DELAY);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "JavaScript's 32-bit XOR")]
    let mixed = (now as i64 ^ (attempt as i64).wrapping_mul(2_654_435_761)) as u32;
    base + (base * JITTER_RATIO * (f64::from(mixed % 10_000) / 10_000.0)).floor()
}

#[cfg(test)]
mod tests {
    use super::retry_delay;

    /// worker-pool B.4, the vectors.
    #[test]
    #[expect(clippy::float_cmp, reason = "whole numbers")]
    fn the_pauses_are_those_of_the_original() {
        let rows =
            [(1.0, 1015.0), (2.0, 2055.0), (3.0, 4149.0), (4.0, 8567.0), (5.0, 17513.0), (8.0, 120_182.0)];
        for (attempt, pause) in rows {
            assert_eq!(retry_delay(attempt, 1_700_000_000_000.0), pause, "{attempt}");
        }
    }
}
