//! Conversations: the hydration bundle, the history, the metadata of messages (worker-pool B.2, 3, 4, 8 and 9).

use serde::Deserialize;
use serde_json::{Value, json};

use super::queue::{self, PROCESSING, QUEUED};
use super::rows::{Conversation, HistoryRow, PoolMessage, Texts};
use super::{CONVERSATION, MESSAGE, agents, files, secrets, settings};
use crate::answer::ensure;
use crate::call::{Answer, Call};
use crate::function::Function;
use crate::number;
use crate::store::{Doc, POOL_HISTORY, POOL_MESSAGES_BY_STATUS, StoreError, Tx};
use crate::validate::{Is, may, need};

const ROLES: &[&str] = &["system", "user", "assistant", "tool"];
const NEW_MESSAGE: Is =
    Is::Object(&[need("role", Is::OneOf(ROLES)), need("content", Is::Text), may("at", Is::Number)]);

/// The last messages that a worker of the same workspace gets.
const RECENT: usize = 64;
/// The last messages that another worker gets: as many as a document of the original could hold.
const HISTORY_MAX: usize = 8_192;
/// The most bytes of a message in the history. A longer one is cut, because a refused one would fail a finished answer.
const CONTENT_BYTES: usize = 128 * 1024;
/// The bytes of a history that a worker gets at once, about. Older messages are left out: a bundle of thousands of long ones
/// would cost the server and the worker a gigabyte.
const HISTORY_BYTES: usize = 1024 * 1024;
/// The most messages of one call.
const APPENDED_MAX: usize = 1_000;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::worker_query("agentFactory:workerConversationHasQueued", &[CONVERSATION], has_queued),
    Function::worker_query(
        "agentFactory:workerHydrationBundle",
        &[MESSAGE, need("workspaceId", Is::Text)],
        hydrate,
    ),
    Function::worker_mutation(
        "agentFactory:workerAppendConversationMessages",
        &[CONVERSATION, may("workspaceId", Is::Text), need("messages", Is::List(&NEW_MESSAGE))],
        append,
    ),
    Function::worker_mutation(
        "agentFactory:workerAttachMessageMetadata",
        &[MESSAGE, need("metadata", Is::Texts)],
        attach_metadata,
    ),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConversationArgs {
    conversation_id: String,
}

fn has_queued(call: &Call<'_>) -> Answer {
    let args: ConversationArgs = call.args()?;
    Ok(json!(any_queued(call.tx, &args.conversation_id)?))
}

/// Whether a message of the conversation is queued, due or not.
pub(super) fn any_queued(tx: &Tx<'_>, id: &str) -> Result<bool, StoreError> {
    tx.find::<PoolMessage>(POOL_MESSAGES_BY_STATUS, &[Some(id), Some(QUEUED)]).any(|_| true)
}

/// The last messages of a conversation, oldest first: at most `limit` of them, and no more than fit into
/// [`HISTORY_BYTES`]. The newest one is always among them.
pub(super) fn history(tx: &Tx<'_>, id: &str, limit: usize) -> Result<Vec<Value>, StoreError> {
    // Rows are read one by one, so that those which do not fit are not in memory.
    let mut bytes = 0;
    let found = tx.find::<HistoryRow>(POOL_HISTORY, &[Some(id)]).newest_first().limit(limit);
    let mut lines = found.map_while(|Doc { row: HistoryRow { role, content, at, .. }, .. }| {
        let is_first = bytes == 0;
        bytes += content.len();
        (is_first || bytes <= HISTORY_BYTES).then(|| json!({"role": role, "content": content, "at": at}))
    })?;
    lines.reverse();
    Ok(lines)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HydrateArgs {
    message_id: String,
    workspace_id: String,
}

/// Everything about a message in work. The system prompt is the last entry of the history, with the role `system`. In the
/// original it is a part of the user's text, so every history repeats it (F.39).
fn hydrate(call: &Call<'_>) -> Answer {
    let args: HydrateArgs = call.args()?;
    let tx = call.tx;
    let message = queue::message(tx, &args.message_id)?;
    let Some(Doc { id, row, .. }) = message.filter(|message| message.row.status == PROCESSING) else {
        return Ok(Value::Null);
    };
    let conversation = queue::conversation(tx, &row.conversation_id)?;
    let (Some(conversation), Some(agent)) = (conversation, agents::find(tx, &row.agent_key)?) else {
        return Ok(Value::Null);
    };
    let is_cached = conversation.row.cache_key == Some(cache_key(&args.workspace_id, &row.agent_key));
    let limit = if is_cached { RECENT } else { HISTORY_MAX };
    let mut context = history(tx, &row.conversation_id, limit)?;
    if let Some(prompt) = settings::read(tx)?.system_prompt {
        context.push(json!({"role": "system", "content": prompt, "at": call.now()}));
    }
    let mut payload = row.payload;
    for file in payload.attachments.iter_mut().flatten().filter(|file| file.status == "ready") {
        file.download_url = files::url(call, &file.storage_id)?;
    }
    Ok(json!({
        "messageId": id.as_str(),
        "conversationId": row.conversation_id,
        "agentKey": row.agent_key,
        "payload": payload,
        "conversationState": {
            "contextHistory": context,
            "pendingToolCalls": conversation.row.pending_tool_calls,
        },
        "telegramBotToken": secrets::bot_token(call, &agent.row)?.map(|(_, token)| token.expose().to_owned()),
        "bridgeRuntimeConfig": secrets::bridge(call, &agent.row)?,
    }))
}

fn cache_key(workspace: &str, agent_key: &str) -> String {
    format!("{workspace}:{agent_key}")
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AppendArgs {
    conversation_id: String,
    workspace_id: Option<String>,
    messages: Vec<AppendedMessage>,
}

#[derive(Deserialize)]
struct AppendedMessage {
    role: String,
    content: String,
    #[serde(default, deserialize_with = "number::finite")]
    at: Option<f64>,
}

/// Appends to the history: one row for each message, so a long conversation goes on (F.38).
fn append(call: &Call<'_>) -> Answer {
    let args: AppendArgs = call.args()?;
    let Some(mut conversation) = queue::conversation(call.tx, &args.conversation_id)? else {
        return Ok(json!({"updated": false, "messageCount": 0}));
    };
    let count = args.messages.len();
    ensure!(
        count <= APPENDED_MAX,
        "There are {count} messages, more than {APPENDED_MAX}: append them in parts"
    );
    for AppendedMessage { role, content, at } in args.messages {
        let row = &mut conversation.row;
        let at = at.unwrap_or_else(|| call.now());
        match role.as_str() {
            "user" => row.last_user_at = Some(at),
            "assistant" => row.last_assistant_at = Some(at),
            _ => {}
        }
        row.message_count += 1.0;
        call.tx.insert(HistoryRow {
            conversation_id: args.conversation_id.clone(),
            role,
            content: shortened(content),
            at,
        })?;
    }
    let row = &mut conversation.row;
    if let Some(workspace) = &args.workspace_id {
        row.cache_key = Some(cache_key(workspace, &row.agent_key));
    }
    call.tx.put(&conversation)?;
    let Conversation { message_count, .. } = conversation.row;
    Ok(json!({"updated": true, "messageCount": message_count}))
}

/// A text that fits into a row. A cut text says what is missing.
fn shortened(content: String) -> String {
    if content.len() <= CONTENT_BYTES {
        return content;
    }
    let kept = content.floor_char_boundary(CONTENT_BYTES);
    format!("{}\n[cut: {} more bytes]", &content[..kept], content.len() - kept)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AttachArgs {
    message_id: String,
    metadata: Texts,
}

fn attach_metadata(call: &Call<'_>) -> Answer {
    let args: AttachArgs = call.args()?;
    let Some(mut message) = queue::message(call.tx, &args.message_id)? else { return Ok(json!(false)) };
    message.row.payload.metadata.get_or_insert_default().extend(args.metadata);
    queue::check_metadata(message.row.payload.metadata.as_ref())?;
    call.tx.put(&message)?;
    Ok(json!(true))
}
