//! What the holder of a lease may do (worker-pool B.4). Without the lease nothing changes.

use serde_json::{Value, json};

use super::PoolPolicy;
use super::functions::CheckedArguments;
use super::rows::{MessageStatus, PoolState, QueuedMessage, WorkerAssignment, WorkerStatus};

/// The first pause, the longest pause, and the share of a pause that is jitter.
const BASE_DELAY_MS: i64 = 1_000;
const DELAY_MS_MAX: i64 = 120_000;
const JITTER_RATIO: f64 = 0.1;

/// The message, if this worker holds its lease.
fn held<'a>(state: &'a mut PoolState, args: &CheckedArguments<'_>) -> Option<&'a mut QueuedMessage> {
    let message = state.messages.get_mut(args.text("messageId"))?;
    let is_held = message.status == MessageStatus::Processing
        && message.lease_id.as_deref() == Some(args.text("leaseId"))
        && message.claimed_by.as_deref() == Some(args.text("workerId"));
    is_held.then_some(message)
}

/// Extends the lease. False means that the lease is lost.
#[expect(clippy::unnecessary_wraps, reason = "the type of every function")]
pub(super) fn heartbeat(
    state: &mut PoolState,
    policy: &PoolPolicy,
    args: &CheckedArguments<'_>,
    now: i64,
) -> Result<Value, String> {
    let Some(message) = held(state, args) else { return Ok(json!(false)) };
    let end = now + policy.lease_ms;
    message.lease_expires_at = Some(end);
    let (id, conversation_id, agent_key) =
        (message.id.clone(), message.conversation_id.clone(), message.agent_key.clone());
    let conversation = state.conversations.get_mut(&conversation_id);
    if let Some(lock) =
        conversation.and_then(|row| row.lock.as_mut()).filter(|lock| lock.claimed_message_id == id)
    {
        (lock.lease_expires_at, lock.heartbeat_at) = (end, now);
    }
    if let Some(worker) = state.workers.get_mut(args.text("workerId"))
        && worker.status != WorkerStatus::Stopped
    {
        worker.heartbeat_at = now;
        let is_right =
            |at: &WorkerAssignment| at.conversation_id == conversation_id && at.agent_key == agent_key;
        if !worker.assignment.as_ref().is_some_and(is_right) {
            let lease_id = args.text("leaseId").to_owned();
            worker.assignment =
                Some(WorkerAssignment { conversation_id, agent_key, lease_id, assigned_at: now });
        }
    }
    Ok(json!(true))
}

/// Ends the message well. False means that the lease is lost.
#[expect(clippy::unnecessary_wraps, reason = "the type of every function")]
pub(super) fn complete(
    state: &mut PoolState,
    policy: &PoolPolicy,
    args: &CheckedArguments<'_>,
    now: i64,
) -> Result<Value, String> {
    let Some(message) = held(state, args) else { return Ok(json!(false)) };
    message.status = MessageStatus::Done;
    let id = message.id.clone();
    let_go(state, policy, &id, args.text("workerId"), now);
    Ok(json!(true))
}

/// Queues the message for another attempt, or makes it a dead letter.
#[expect(clippy::unnecessary_wraps, reason = "the type of every function")]
pub(super) fn fail(
    state: &mut PoolState,
    policy: &PoolPolicy,
    args: &CheckedArguments<'_>,
    now: i64,
) -> Result<Value, String> {
    let Some(message) = held(state, args) else {
        return Ok(json!({"requeued": false, "deadLettered": false, "nextScheduledFor": null}));
    };
    message.attempts += 1;
    message.last_error = Some(args.text("errorMessage").to_owned());
    let next = (message.attempts < message.max_attempts).then(|| now + retry_delay_ms(message.attempts, now));
    match next {
        Some(due) => (message.status, message.scheduled_for) = (MessageStatus::Queued, due),
        None => {
            (message.status, message.dead_lettered_at) = (MessageStatus::DeadLetter, Some(now));
        }
    }
    let id = message.id.clone();
    let_go(state, policy, &id, args.text("workerId"), now);
    Ok(json!({"requeued": next.is_some(), "deadLettered": next.is_none(), "nextScheduledFor": next}))
}

/// Frees the message, the conversation and the worker.
fn let_go(state: &mut PoolState, policy: &PoolPolicy, id: &str, worker_id: &str, now: i64) {
    let Some(message) = state.messages.get_mut(id) else { return };
    (message.claimed_by, message.lease_id, message.lease_expires_at) = (None, None, None);
    if let Some(conversation) = state.conversations.get_mut(&message.conversation_id)
        && conversation.lock.as_ref().is_some_and(|lock| lock.claimed_message_id == id)
    {
        conversation.lock = None;
    }
    if let Some(worker) = state.workers.get_mut(worker_id) {
        worker.let_go(policy.idle_timeout_ms, now);
    }
}

/// The pause before the next attempt, after `attempt` failed ones, with the arithmetic of the component.
pub(super) fn retry_delay_ms(attempt: i64, now: i64) -> i64 {
    let doublings = u32::try_from(attempt - 1).unwrap_or(0).min(30);
    let base = (BASE_DELAY_MS << doublings).clamp(1_000, DELAY_MS_MAX);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "JavaScript's 32-bit XOR")]
    let mixed = (now ^ attempt.wrapping_mul(2_654_435_761)) as u32;
    let share = f64::from(mixed % 10_000) / 10_000.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "at most 12,000")]
    let jitter = (base as f64 * JITTER_RATIO * share).floor() as i64;
    base + jitter
}
