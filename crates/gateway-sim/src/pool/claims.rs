//! Which worker gets which message, and which worker must stop (worker-pool B.3, B.5).

use serde_json::{Value, json};

use super::PoolPolicy;
use super::functions::CheckedArguments;
use super::rows::{
    MessageStatus, PoolLock, PoolState, QueuedMessage, WorkerAssignment, WorkerRow, WorkerStatus,
};

/// Whether the worker must stop.
#[expect(clippy::unnecessary_wraps, reason = "the type of every function")]
pub(super) fn control_state(
    state: &mut PoolState,
    policy: &PoolPolicy,
    args: &CheckedArguments<'_>,
    now: i64,
) -> Result<Value, String> {
    let should_stop = state.workers.get(args.text("workerId")).is_none_or(|worker| {
        worker.status != WorkerStatus::Active
            || worker.heartbeat_at <= now - policy.stale_after_ms
            || worker.scheduled_shutdown_at.is_some_and(|due| due <= now)
    });
    Ok(json!({ "shouldStop": should_stop }))
}

/// Gives the worker a message, or null.
pub(super) fn claim(
    state: &mut PoolState,
    policy: &PoolPolicy,
    args: &CheckedArguments<'_>,
    now: i64,
) -> Result<Value, String> {
    let (worker_id, wanted) = (args.text("workerId"), args.optional("conversationId"));
    let row = state.workers.get(worker_id);
    if row.is_some_and(|row| row.status != WorkerStatus::Active) {
        return Ok(Value::Null);
    }
    let assigned = row.and_then(|row| row.assignment.clone());
    let differs =
        |assigned: &WorkerAssignment| wanted.is_some_and(|wanted| wanted != assigned.conversation_id);
    if assigned.as_ref().is_some_and(differs) {
        return Ok(Value::Null);
    }
    let mut due: Vec<&QueuedMessage> = state
        .messages
        .values()
        .filter(|message| message.status == MessageStatus::Queued && message.scheduled_for <= now)
        .collect();
    due.sort_by_key(|message| (message.scheduled_for, message.number));
    due.truncate(policy.claim_batch);
    due.sort_by_key(|message| (-message.priority, message.scheduled_for, message.number));
    let chosen = due.into_iter().find(|message| {
        let id = &message.conversation_id;
        wanted.is_none_or(|wanted| wanted == id)
            && assigned
                .as_ref()
                .is_none_or(|at| at.conversation_id == *id && at.agent_key == message.agent_key)
            && is_free(state, policy, worker_id, message, now)
    });
    let Some(id) = chosen.map(|message| message.id.clone()) else { return Ok(Value::Null) };
    take(state, policy, worker_id, &id, now)
}

/// Whether no other worker owns the conversation.
fn is_free(
    state: &PoolState,
    policy: &PoolPolicy,
    worker_id: &str,
    message: &QueuedMessage,
    now: i64,
) -> bool {
    let Some(conversation) = state.conversations.get(&message.conversation_id) else { return false };
    let owns = |row: &WorkerRow| {
        row.assignment.as_ref().is_some_and(|at| {
            at.conversation_id == message.conversation_id && at.agent_key == message.agent_key
        })
    };
    let is_taken = state.workers.iter().any(|(id, row)| {
        id != worker_id
            && row.status == WorkerStatus::Active
            && now - row.heartbeat_at < policy.stale_after_ms
            && owns(row)
    });
    let is_locked = conversation.lock.as_ref().is_some_and(|lock| lock.lease_expires_at > now);
    conversation.agent_key == message.agent_key && !is_taken && !is_locked
}

fn take(
    state: &mut PoolState,
    policy: &PoolPolicy,
    worker_id: &str,
    id: &str,
    now: i64,
) -> Result<Value, String> {
    let (_, number) = state.new_id('l');
    let lease_id = format!("{now}-{number:08}");
    let lease_expires_at = now + policy.lease_ms;
    let message = state.messages.get_mut(id).ok_or("the message is gone")?;
    message.status = MessageStatus::Processing;
    message.claimed_by = Some(worker_id.to_owned());
    message.lease_id = Some(lease_id.clone());
    message.lease_expires_at = Some(lease_expires_at);
    message.claims += 1;
    let conversation = state.conversations.get_mut(&message.conversation_id).ok_or("no conversation")?;
    conversation.lock = Some(PoolLock {
        lease_id: lease_id.clone(),
        worker_id: worker_id.to_owned(),
        lease_expires_at,
        heartbeat_at: now,
        claimed_message_id: id.to_owned(),
    });
    let worker = state.workers.entry(worker_id.to_owned()).or_insert_with(|| WorkerRow::new(now));
    worker.load += 1;
    (worker.heartbeat_at, worker.last_claim_at, worker.scheduled_shutdown_at) = (now, Some(now), None);
    let assigned_at = worker.assignment.as_ref().map_or(now, |at| at.assigned_at);
    worker.assignment = Some(WorkerAssignment {
        conversation_id: message.conversation_id.clone(),
        agent_key: message.agent_key.clone(),
        lease_id: lease_id.clone(),
        assigned_at,
    });
    state.watchdogs.insert(lease_expires_at + 1_000);
    Ok(json!({
        "messageId": id,
        "conversationId": message.conversation_id,
        "agentKey": message.agent_key,
        "leaseId": lease_id,
        "leaseExpiresAt": lease_expires_at,
        "payload": message.payload,
    }))
}
