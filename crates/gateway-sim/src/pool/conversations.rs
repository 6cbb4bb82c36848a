//! What a conversation holds: the hydration bundle, the history, the metadata of messages.

use serde_json::{Value, json};

use super::PoolPolicy;
use super::functions::CheckedArguments;
use super::rows::{MessageStatus, PoolState};

/// The messages that the cache of a conversation keeps.
const CACHED: usize = 64;
/// The longest list in a document of Convex.
const LIST_ITEMS: usize = 8_192;

/// Whether the conversation has a queued message, due or not.
#[expect(clippy::unnecessary_wraps, reason = "the type of every function")]
pub(super) fn has_queued(
    state: &mut PoolState,
    _: &PoolPolicy,
    args: &CheckedArguments<'_>,
    _: i64,
) -> Result<Value, String> {
    let id = args.text("conversationId");
    let is_queued = state
        .messages
        .values()
        .any(|message| message.conversation_id == id && message.status == MessageStatus::Queued);
    Ok(json!(is_queued))
}

/// Everything about a message that is being processed. It checks no worker and no lease.
#[expect(clippy::unnecessary_wraps, reason = "the type of every function")]
pub(super) fn hydrate(
    state: &mut PoolState,
    _: &PoolPolicy,
    args: &CheckedArguments<'_>,
    _: i64,
) -> Result<Value, String> {
    let message = state.messages.get(args.text("messageId"));
    let Some(message) = message.filter(|message| message.status == MessageStatus::Processing) else {
        return Ok(Value::Null);
    };
    let conversation = state.conversations.get(&message.conversation_id);
    let agent = state.agents.get(&message.agent_key);
    let (Some(conversation), Some(agent)) = (conversation, agent) else { return Ok(Value::Null) };
    let key = format!("{}:{}", args.text("workspaceId"), message.agent_key);
    let history = match &conversation.cache {
        Some((cached, last)) if *cached == key => last,
        _ => &conversation.history,
    };
    let mut payload = message.payload.clone();
    for attachment in payload.get_mut("attachments").and_then(Value::as_array_mut).into_iter().flatten() {
        let is_ready = attachment["status"] == "ready";
        if let Some(id) =
            attachment["storageId"].as_str().filter(|id| is_ready && state.files.contains_key(*id))
        {
            attachment["downloadUrl"] = json!(format!("{}/api/storage/{id}", state.base_url));
        }
    }
    Ok(json!({
        "messageId": message.id,
        "conversationId": message.conversation_id,
        "agentKey": message.agent_key,
        "payload": payload,
        "conversationState": {
            "contextHistory": history,
            "pendingToolCalls": conversation.pending_tool_calls,
        },
        "telegramBotToken": agent.telegram_token,
        "bridgeRuntimeConfig": agent.bridge,
    }))
}

/// Appends messages to the history.
pub(super) fn append(
    state: &mut PoolState,
    _: &PoolPolicy,
    args: &CheckedArguments<'_>,
    now: i64,
) -> Result<Value, String> {
    let Some(conversation) = state.conversations.get_mut(args.text("conversationId")) else {
        return Ok(json!({"updated": false, "messageCount": 0}));
    };
    let messages = args.list("messages");
    if conversation.history.len() + messages.len() > LIST_ITEMS {
        return Err(format!("Array length is too long (maximum length {LIST_ITEMS})"));
    }
    for message in messages {
        let mut message = message.clone();
        if message.get("at").is_none() {
            message["at"] = json!(now);
        }
        conversation.history.push(message);
    }
    if let Some(workspace) = args.optional("workspaceId") {
        let from = conversation.history.len().saturating_sub(CACHED);
        let key = format!("{workspace}:{}", conversation.agent_key);
        conversation.cache = Some((key, conversation.history[from..].to_vec()));
    }
    Ok(json!({"updated": true, "messageCount": conversation.history.len()}))
}

/// Adds to the metadata of a message.
#[expect(clippy::unnecessary_wraps, reason = "the type of every function")]
pub(super) fn attach_metadata(
    state: &mut PoolState,
    _: &PoolPolicy,
    args: &CheckedArguments<'_>,
    _: i64,
) -> Result<Value, String> {
    let Some(message) = state.messages.get_mut(args.text("messageId")) else { return Ok(json!(false)) };
    for (name, text) in args.object("metadata") {
        message.payload["metadata"][name] = text.clone();
    }
    Ok(json!(true))
}
