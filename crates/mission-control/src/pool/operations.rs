//! What the page of the pool shows and does: the whole pool at one moment, and another try for a dead letter.
//!
//! The original has neither: its reads are about one user or one conversation. Each list is bounded, so the answer stays
//! small however long the queue is.

use serde::Deserialize;
use serde_json::{Value, json};

use super::lifecycle::{ACTIVE, DRAINING, STOPPING};
use super::push_jobs::{NO, YES};
use super::queue::{self, DEAD_LETTER, QUEUED, STATUSES, refresh};
use super::reads::conversation_id;
use super::rows::{Binding, PairingCode, PoolAgent, PoolMessage, PushJob, Worker};
use super::{MESSAGE, bindings, pairing};
use crate::answer::{Refusal, ensure};
use crate::call::{Answer, Call};
use crate::function::Function;
use crate::store::{
    BINDINGS_OF_AGENT, Doc, PAIRINGS_BY_STATUS, POOL_DUE, POOL_WORKERS, PUSH_JOBS_DUE, StoreError, Tx,
};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::pool_query("agentFactory:getPoolOverview", &[], overview),
    Function::pool_mutation("agentFactory:retryDeadLetter", &[MESSAGE], retry),
];

/// The most rows of each list.
const SHOWN: usize = 50;
/// Messages are counted up to this number.
const COUNTED: usize = 10_000;
/// The characters that are shown of a message or an error.
const EXCERPT_CHARS: usize = 300;

fn excerpt(text: &str) -> String {
    let mut shown: String = text.chars().take(EXCERPT_CHARS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

fn overview(call: &Call<'_>) -> Answer {
    let tx = call.tx;
    let agents: Vec<Doc<PoolAgent>> = tx.oldest(SHOWN)?;
    Ok(json!({
        "now": call.now(),
        "shownAtMost": SHOWN,
        "countedAtMost": COUNTED,
        "queue": counts(tx)?,
        "deadLetters": dead_letters(tx)?,
        "conversations": conversations(tx)?,
        "workers": workers(tx)?,
        "agents": agents.iter().map(agent).collect::<Value>(),
        "bindings": bound(tx, &agents)?,
        "pairings": pairings(call)?,
        "pushJobs": push_jobs(tx)?,
    }))
}

/// The messages by status, the one that is due first, and the next attempt at a failed one.
fn counts(tx: &Tx<'_>) -> Answer {
    let mut counts = serde_json::Map::new();
    for status in STATUSES {
        let count = tx.find::<PoolMessage>(POOL_DUE, &[Some(status)]).limit(COUNTED).count()?;
        counts.insert((*status).to_owned(), json!(count));
    }
    let first = tx.find::<PoolMessage>(POOL_DUE, &[Some(QUEUED)]).first()?;
    let later = tx.find::<PoolMessage>(POOL_DUE, &[Some(QUEUED)]).beyond(tx.now()).limit(SHOWN);
    let retries = later.map_while(|message| Some(message.row.next_retry_at))?;
    counts.insert("firstDueAt".to_owned(), json!(first.map(|first| first.row.scheduled_for)));
    counts.insert("nextRetryAt".to_owned(), json!(retries.into_iter().flatten().next()));
    Ok(Value::Object(counts))
}

fn dead_letters(tx: &Tx<'_>) -> Result<Vec<Value>, StoreError> {
    let dead = tx.find::<PoolMessage>(POOL_DUE, &[Some(DEAD_LETTER)]).newest_first().limit(SHOWN);
    dead.map_while(|Doc { id, row, .. }| {
        Some(json!({
            "messageId": id.as_str(),
            "conversationId": row.conversation_id,
            "agentKey": row.agent_key,
            "text": excerpt(&row.payload.message_text),
            "attempts": row.attempts,
            "lastError": row.last_error.as_deref().map(excerpt),
            "deadLetteredAt": row.dead_lettered_at,
        }))
    })
}

/// The conversations of the messages that came last.
fn conversations(tx: &Tx<'_>) -> Result<Vec<Value>, StoreError> {
    let mut latest = Vec::new();
    for status in STATUSES {
        let found = tx.find::<PoolMessage>(POOL_DUE, &[Some(status)]).newest_first().limit(SHOWN);
        latest.extend(found.map_while(|message| Some((message.created, message.row.conversation_id)))?);
    }
    latest.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let mut seen = std::collections::BTreeSet::new();
    latest.retain(|(_, id)| seen.insert(id.clone()));
    latest.truncate(SHOWN);
    let mut shown = Vec::new();
    for (_, id) in latest {
        let Some(Doc { row, .. }) = queue::conversation(tx, &id)? else { continue };
        // Only the conversation of a user with an agent has such an id.
        let user = row.conversation_id.strip_prefix(&conversation_id(&row.agent_key, ""));
        shown.push(json!({
            "conversationId": row.conversation_id,
            "agentKey": row.agent_key,
            "consumerUserId": user,
            "state": row.state,
            "historyMessages": row.message_count,
            "workerId": row.lock.as_ref().map(|lock| &lock.worker_id).or(row.owner.as_ref()),
            "leaseExpiresAt": row.lock.as_ref().map(|lock| lock.lease_expires_at),
            "lastUserMessageAt": row.last_user_at,
            "lastAssistantMessageAt": row.last_assistant_at,
        }));
    }
    Ok(shown)
}

fn workers(tx: &Tx<'_>) -> Result<Vec<Value>, StoreError> {
    let mut shown = Vec::new();
    for status in [ACTIVE, DRAINING, STOPPING] {
        let found = tx.find::<Worker>(POOL_WORKERS, &[Some(status)]).newest_first().limit(SHOWN).rows()?;
        shown.extend(found.into_iter().map(|Doc { row, .. }| {
            json!({
                "workerId": row.worker_id,
                "status": row.status,
                "load": row.load,
                "heartbeatAt": row.heartbeat_at,
                "lastClaimAt": row.last_claim_at,
                "scheduledShutdownAt": row.scheduled_shutdown_at,
                "conversationId": row.assignment.map(|at| at.conversation_id),
            })
        }));
    }
    shown.truncate(SHOWN);
    Ok(shown)
}

fn agent(Doc { row, .. }: &Doc<PoolAgent>) -> Value {
    json!({
        "agentKey": row.agent_key,
        "displayName": row.display_name,
        "enabled": row.enabled,
        "hasBot": row.bot_identity.is_some(),
    })
}

/// The users that are bound to these agents, the newest first.
fn bound(tx: &Tx<'_>, agents: &[Doc<PoolAgent>]) -> Result<Vec<Value>, StoreError> {
    let mut found = Vec::new();
    for agent in agents {
        let of_agent = [Some(agent.row.agent_key.as_str()), Some(bindings::ACTIVE)];
        found.extend(tx.find::<Binding>(BINDINGS_OF_AGENT, &of_agent).newest_first().limit(SHOWN).rows()?);
    }
    found.sort_by(|one, other| other.row.bound_at.total_cmp(&one.row.bound_at));
    found.truncate(SHOWN);
    let shown = found.into_iter().map(|Doc { row, .. }| {
        json!({
            "consumerUserId": row.consumer_user_id,
            "agentKey": row.agent_key,
            "conversationId": row.conversation_id,
            "source": row.source,
            "telegramChatId": row.telegram_chat_id,
            "boundAt": row.bound_at,
        })
    });
    Ok(shown.collect())
}

/// The codes that wait for their users, with the link that shows them to the bot.
fn pairings(call: &Call<'_>) -> Result<Vec<Value>, Refusal> {
    let waiting = call.tx.find::<PairingCode>(PAIRINGS_BY_STATUS, &[Some(pairing::PENDING)]);
    let waiting = waiting.beyond(call.now()).newest_first().limit(SHOWN).rows()?;
    let shown = waiting.into_iter().map(|code| {
        Ok(json!({
            "code": code.row.code,
            "consumerUserId": code.row.consumer_user_id,
            "agentKey": code.row.agent_key,
            "expiresAt": code.row.expires_at,
            "deepLink": pairing::link(call, &code.row)?,
        }))
    });
    shown.collect()
}

/// The scheduled messages: the one that runs next, first. Those without a next run follow.
fn push_jobs(tx: &Tx<'_>) -> Result<Vec<Value>, StoreError> {
    let mut found: Vec<Doc<PushJob>> = tx.find(PUSH_JOBS_DUE, &[Some(YES)]).limit(SHOWN).rows()?;
    found.extend(tx.find(PUSH_JOBS_DUE, &[Some(NO)]).limit(SHOWN).rows()?);
    found.truncate(SHOWN);
    let shown = found.into_iter().map(|Doc { id, row, .. }| {
        json!({
            "jobId": id.as_str(),
            "title": row.title,
            "text": excerpt(&row.text),
            "consumerUserId": row.consumer_user_id,
            "agentKey": row.agent_key,
            "periodicity": row.periodicity,
            "timezone": row.timezone,
            "enabled": row.enabled,
            "nextRunAt": row.next_run_at,
            "lastRunAt": row.last_run_at,
        })
    });
    Ok(shown.collect())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RetryArgs {
    message_id: String,
}

/// Queues a dead letter again, with all its attempts. A second call is refused, because the message is queued then.
fn retry(call: &Call<'_>) -> Answer {
    let args: RetryArgs = call.args()?;
    let Some(mut message) = queue::message(call.tx, &args.message_id)? else {
        return Err(Refusal::thrown(format!("There is no message {}: reload the page", args.message_id)));
    };
    let row = &mut message.row;
    ensure!(
        row.status == DEAD_LETTER,
        "The message {} is {}, not a dead letter: there is nothing to try again",
        args.message_id,
        row.status
    );
    QUEUED.clone_into(&mut row.status);
    (row.attempts, row.scheduled_for) = (0.0, call.now());
    (row.next_retry_at, row.dead_lettered_at) = (None, None);
    call.tx.put(&message)?;
    let row = &message.row;
    if let Some(mut conversation) = queue::conversation(call.tx, &row.conversation_id)? {
        refresh(call.tx, &call.times, &mut conversation)?;
    }
    Ok(json!(true))
}
