//! What an application reads about a user's conversation, and the messages it sends (worker-pool C.9).

use serde::Deserialize;
use serde_json::{Value, json};

use super::queue::{self, DEAD_LETTER, NewMessage, PROCESSING, QUEUED, STATUSES};
use super::rows::{Binding, Payload, PoolMessage, PushDispatch, PushJob, Texts};
use super::{AGENT, CONVERSATION, LIMIT, METADATA, USER, bindings, clamped, conversations};
use crate::answer::{Refusal, ensure};
use crate::call::{Answer, Call};
use crate::function::Function;
use crate::number;
use crate::store::{
    Doc, POOL_MESSAGES, POOL_MESSAGES_BY_STATUS, PUSH_DISPATCHES_OF, PUSH_JOBS_OF_USER, StoreError, Tx,
};
use crate::validate::{Is, may, need};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::pool_query("agentFactory:listQueueItemsForConversation", &[CONVERSATION, LIMIT], items),
    Function::pool_query(
        "agentFactory:listQueueItemsForUserAgent",
        &[USER, AGENT, may("statuses", Is::List(&Is::OneOf(STATUSES))), LIMIT],
        items_of_user,
    ),
    Function::pool_query("agentFactory:getConversationViewForUserAgent", &[USER, AGENT, LIMIT], conversation),
    Function::pool_mutation(
        "agentFactory:sendMessageToUserAgent",
        &[USER, AGENT, need("content", Is::Text), METADATA],
        send,
    ),
    Function::pool_query("agentFactory:getUserAgentPushStats", &[USER, AGENT], push_stats),
    Function::pool_query("agentFactory:getUserAgentConversationStats", &[USER, AGENT], conversation_stats),
    Function::pool_query("agentFactory:getUserAgentUsageStats", &[USER, AGENT], usage_stats),
];

/// The conversation of a user with an agent. Pairing does not change it.
pub(super) fn conversation_id(agent_key: &str, user: &str) -> String {
    format!("user-agent:{agent_key}:{user}")
}

/// A user and an agent.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserAgentArgs {
    pub(super) consumer_user_id: String,
    pub(super) agent_key: String,
}

impl UserAgentArgs {
    /// The conversation of the user with the agent.
    pub(super) fn conversation_id(&self) -> String {
        conversation_id(&self.agent_key, &self.consumer_user_id)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ItemArgs {
    #[serde(default)]
    conversation_id: String,
    #[serde(default)]
    statuses: Vec<String>,
    #[serde(default, deserialize_with = "number::optional")]
    limit: Option<f64>,
}

fn item(Doc { id, created, row }: &Doc<PoolMessage>) -> Value {
    json!({
        "_id": id.as_str(),
        "_creationTime": created,
        "agentKey": row.agent_key,
        "attempts": row.attempts,
        "conversationId": row.conversation_id,
        "lastError": row.last_error,
        "maxAttempts": row.max_attempts,
        "payload": row.payload,
        "priority": row.priority,
        "scheduledFor": row.scheduled_for,
        "status": row.status,
    })
}

/// The messages of a conversation, newest first.
fn newest(
    tx: &Tx<'_>,
    id: &str,
    statuses: &[String],
    limit: usize,
) -> Result<Vec<Doc<PoolMessage>>, StoreError> {
    if statuses.is_empty() {
        return tx.find(POOL_MESSAGES, &[Some(id)]).newest_first().limit(limit).rows();
    }
    let mut found = Vec::new();
    for status in statuses {
        let line = [Some(id), Some(status.as_str())];
        found.extend(tx.find(POOL_MESSAGES_BY_STATUS, &line).newest_first().limit(limit).rows()?);
    }
    found.sort_by(|one: &Doc<PoolMessage>, other| other.created.total_cmp(&one.created));
    found.dedup_by(|one, other| one.id == other.id);
    found.truncate(limit);
    Ok(found)
}

fn items(call: &Call<'_>) -> Answer {
    let args: ItemArgs = call.args()?;
    let found = newest(call.tx, &args.conversation_id, &[], clamped(args.limit, 100, 500))?;
    Ok(found.iter().map(item).collect())
}

fn items_of_user(call: &Call<'_>) -> Answer {
    let (args, user): (ItemArgs, UserAgentArgs) = (call.args()?, call.args()?);
    let found = newest(call.tx, &user.conversation_id(), &args.statuses, clamped(args.limit, 100, 500))?;
    Ok(found.iter().map(item).collect())
}

fn conversation(call: &Call<'_>) -> Answer {
    let (args, user): (ItemArgs, UserAgentArgs) = (call.args()?, call.args()?);
    let (tx, id, limit) = (call.tx, user.conversation_id(), clamped(args.limit, 100, 500));
    let row = queue::conversation(tx, &id)?.map(|found| found.row).unwrap_or_default();
    let found = newest(tx, &id, &[], limit)?;
    Ok(json!({
        "conversationId": id,
        "contextHistory": conversations::history(tx, &id, limit)?,
        "pendingToolCalls": row.pending_tool_calls,
        "hasQueuedJobs": conversations::any_queued(tx, &id)?,
        "lastUserMessageAt": row.last_user_at,
        "lastAssistantMessageAt": row.last_assistant_at,
        "latestMessageId": found.first().map(|newest| newest.id.as_str()),
        "queueItems": found.iter().map(item).collect::<Value>(),
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageArgs {
    content: String,
    metadata: Option<Texts>,
}

fn send(call: &Call<'_>) -> Answer {
    let (args, user): (MessageArgs, UserAgentArgs) = (call.args()?, call.args()?);
    let metadata = with_source(args.metadata, "user_agent_api");
    Ok(json!(send_to(call, &user, &args.content, metadata)?))
}

/// Metadata with a source.
pub(super) fn with_source(metadata: Option<Texts>, source: &str) -> Texts {
    let mut metadata = metadata.unwrap_or_default();
    metadata.insert("source".to_owned(), source.to_owned());
    metadata
}

/// Sends a message to the active agent of a user. Returns the message's id.
pub(super) fn send_to(
    call: &Call<'_>,
    user: &UserAgentArgs,
    content: &str,
    metadata: Texts,
) -> Result<String, Refusal> {
    ensure!(!content.trim().is_empty(), "The message is blank: write a text");
    let binding = bindings::active_to(call.tx, &user.consumer_user_id, &user.agent_key)?;
    let new = NewMessage {
        conversation_id: &binding.row.conversation_id,
        agent_key: &binding.row.agent_key,
        payload: payload_for(&binding.row, content, metadata),
        priority: None,
        scheduled_for: None,
        max_attempts: None,
    };
    Ok(queue::add(call.tx, &call.times, new)?.to_string())
}

/// The payload of a message to a bound user: through the chat, if one is bound.
pub(super) fn payload_for(binding: &Binding, text: &str, mut metadata: Texts) -> Payload {
    let texts = [
        ("telegramChatId", &binding.telegram_chat_id),
        ("telegramUserId", &binding.telegram_user_id),
        ("telegramBotIdentity", &binding.bot_identity),
    ];
    metadata.extend(texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text.clone()?))));
    let provider = if binding.telegram_chat_id.is_some() { "telegram" } else { "system_push" };
    let user = binding.telegram_user_id.as_ref().or(binding.telegram_chat_id.as_ref());
    Payload {
        provider: provider.to_owned(),
        provider_user_id: user.unwrap_or(&binding.consumer_user_id).clone(),
        message_text: text.to_owned(),
        metadata: Some(metadata),
        ..Payload::default()
    }
}

fn push_stats(call: &Call<'_>) -> Answer {
    let user: UserAgentArgs = call.args()?;
    let jobs: Vec<Doc<PushJob>> = call.tx.find(PUSH_JOBS_OF_USER, &[Some(&user.consumer_user_id)]).rows()?;
    let is_of_agent =
        |job: &&Doc<PushJob>| job.row.agent_key.as_ref().is_none_or(|key| *key == user.agent_key);
    let jobs: Vec<_> = jobs.iter().filter(is_of_agent).collect();
    let key = [Some(user.consumer_user_id.as_str()), Some(user.agent_key.as_str())];
    let latest = call.tx.find::<PushDispatch>(PUSH_DISPATCHES_OF, &key).newest_first().first()?;
    Ok(json!({
        "totalPushJobs": jobs.len(),
        "activePushJobs": jobs.iter().filter(|job| job.row.enabled).count(),
        "totalDispatches": call.tx.find::<PushDispatch>(PUSH_DISPATCHES_OF, &key).count()?,
        "latestDispatchAt": latest.map(|latest| latest.row.created_at),
    }))
}

fn conversation_stats(call: &Call<'_>) -> Answer {
    let user: UserAgentArgs = call.args()?;
    let id = user.conversation_id();
    let count =
        |status| call.tx.find::<PoolMessage>(POOL_MESSAGES_BY_STATUS, &[Some(&id), Some(status)]).count();
    let context = queue::conversation(call.tx, &id)?.map_or(0.0, |found| found.row.message_count);
    Ok(json!({
        "contextMessages": context,
        "queuedMessages": count(QUEUED)? + count(PROCESSING)?,
        "failedMessages": count("failed")? + count(DEAD_LETTER)?,
    }))
}

fn usage_stats(call: &Call<'_>) -> Answer {
    let mut stats = push_stats(call)?;
    if let (Some(stats), Value::Object(further)) = (stats.as_object_mut(), conversation_stats(call)?) {
        stats.extend(further);
    }
    Ok(stats)
}
