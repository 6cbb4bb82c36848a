//! The queue: adds messages, and keeps in each conversation's row which message comes next (worker-pool C.2).
//!
//! Messages of one conversation and one priority run in their order. A message that waits for another attempt holds back the
//! messages behind it, so that a retry changes no order. A message that is scheduled for later holds nothing back.

use serde::Deserialize;
use serde_json::json;

use super::rows::{AttachmentRow, Conversation, Payload, PoolAttachment, PoolMessage, Texts};
use super::{AGENT, CONVERSATION, METADATA, PoolTimes, agents};
use crate::Refusal;
use crate::answer::ensure;
use crate::call::{Answer, Call, value};
use crate::function::Function;
use crate::number;
use crate::rows::Stored;
use crate::store::{Doc, Id, POOL_CONVERSATION, POOL_DUE, POOL_LINE, StoreError, Tx};
use crate::validate::{Arg, Is, may, need};

/// The states of a message.
pub(super) const QUEUED: &str = "queued";
pub(super) const PROCESSING: &str = "processing";
pub(super) const DONE: &str = "done";
pub(super) const DEAD_LETTER: &str = "dead_letter";
pub(super) const STATUSES: &[&str] = &[QUEUED, PROCESSING, DONE, "failed", DEAD_LETTER];

/// The states of a conversation: nothing is queued, a message waits, a worker holds the lock.
pub(super) const IDLE: &str = "idle";
pub(super) const WAITING: &str = "waiting";
pub(super) const BUSY: &str = "busy";

const DEFAULT_PRIORITY: f64 = 50.0;
const MAX_PRIORITY: f64 = 100.0;
const MAX_ATTEMPTS: f64 = 5.0;
/// The longest text of a message.
const TEXT_BYTES: usize = 256 * 1024;
/// The most bytes of all metadata of a message.
const METADATA_BYTES: usize = 64 * 1024;

const KINDS: &[&str] = &["photo", "video", "audio", "voice", "document"];
const ATTACHMENT: Is = Is::Object(&[
    need("kind", Is::OneOf(KINDS)),
    need("status", Is::OneOf(&["ready", "expired"])),
    need("storageId", Is::Text),
    need("telegramFileId", Is::Text),
    may("fileName", Is::Text),
    may("mimeType", Is::Text),
    may("sizeBytes", Is::Number),
    need("expiresAt", Is::Number),
    may("downloadUrl", Is::Text),
]);
const PROVIDER_CONFIG: Arg = may("providerConfig", super::settings::PROVIDER);

pub(super) const FUNCTIONS: &[Function] = &[
    Function::pool_mutation(
        "agentFactory:enqueue",
        &[
            CONVERSATION,
            AGENT,
            need("provider", Is::Text),
            need("providerUserId", Is::Text),
            need("messageText", Is::Text),
            may("externalMessageId", Is::Text),
            may("rawUpdateJson", Is::Text),
            METADATA,
            may("attachments", Is::List(&ATTACHMENT)),
            may("priority", Is::Number),
            may("scheduledFor", Is::Number),
            may("maxAttempts", Is::Number),
            PROVIDER_CONFIG,
        ],
        enqueue,
    ),
    Function::pool_query("agentFactory:queueStats", &[], stats),
];

/// A message to add.
pub(super) struct NewMessage<'a> {
    pub(super) conversation_id: &'a str,
    pub(super) agent_key: &'a str,
    pub(super) payload: Payload,
    pub(super) priority: Option<f64>,
    pub(super) scheduled_for: Option<f64>,
    pub(super) max_attempts: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EnqueueArgs {
    conversation_id: String,
    agent_key: String,
    provider: String,
    provider_user_id: String,
    message_text: String,
    external_message_id: Option<String>,
    raw_update_json: Option<String>,
    metadata: Option<Texts>,
    attachments: Option<Vec<PoolAttachment>>,
    #[serde(default, deserialize_with = "number::finite")]
    priority: Option<f64>,
    #[serde(default, deserialize_with = "number::finite")]
    scheduled_for: Option<f64>,
    #[serde(default, deserialize_with = "number::finite")]
    max_attempts: Option<f64>,
}

fn enqueue(call: &Call<'_>) -> Answer {
    let args: EnqueueArgs = call.args()?;
    let payload = Payload {
        provider: args.provider,
        provider_user_id: args.provider_user_id,
        message_text: args.message_text,
        external_message_id: args.external_message_id,
        raw_update_json: args.raw_update_json,
        metadata: args.metadata,
        attachments: args.attachments,
    };
    let new = NewMessage {
        conversation_id: &args.conversation_id,
        agent_key: &args.agent_key,
        payload,
        priority: args.priority,
        scheduled_for: args.scheduled_for,
        max_attempts: args.max_attempts,
    };
    Ok(json!(add(call.tx, &call.times, new)?.as_str()))
}

/// Adds a message to the queue (C.2). The system prompt is not glued to its text; see `conversations` (F.39).
pub(super) fn add(tx: &Tx<'_>, times: &PoolTimes, new: NewMessage<'_>) -> Result<Id<PoolMessage>, Refusal> {
    let agent = agents::enabled(tx, new.agent_key)?;
    let provider_user_id = new.payload.provider_user_id.trim().to_owned();
    let mut payload = Payload { provider_user_id, ..new.payload };
    ensure!(!payload.provider_user_id.is_empty(), "providerUserId is blank: name the user of the provider");
    ensure!(!new.conversation_id.trim().is_empty(), "conversationId is blank: name the conversation");
    let bytes = payload.message_text.len();
    ensure!(bytes <= TEXT_BYTES, "The message has {bytes} bytes, more than {TEXT_BYTES}: shorten it");
    let user = payload.provider_user_id.clone();
    payload.metadata.get_or_insert_default().insert("providerUserId".to_owned(), user);
    check_metadata(payload.metadata.as_ref())?;
    let files = payload.attachments.clone().unwrap_or_default();
    for file in &files {
        let id = Id::<Stored>::parse(&file.storage_id);
        let is_stored = id.map(|id| tx.get(&id)).transpose()?.flatten().is_some();
        ensure!(
            is_stored || file.status == "expired",
            "The attachment {} is not stored here: upload it first",
            file.storage_id
        );
    }
    let mut conversation = find_or_create(tx, new.conversation_id, &agent.row.agent_key)?;
    let now = tx.now();
    let priority = new.priority.unwrap_or(DEFAULT_PRIORITY).clamp(0.0, MAX_PRIORITY);
    let due = new.scheduled_for.unwrap_or(now);
    let message = tx.insert(PoolMessage {
        conversation_id: new.conversation_id.to_owned(),
        agent_key: agent.row.agent_key,
        payload,
        status: QUEUED.to_owned(),
        priority,
        rank: rank(priority),
        position: due.max(now),
        scheduled_for: due,
        max_attempts: new.max_attempts.unwrap_or(MAX_ATTEMPTS).floor().max(1.0),
        ..PoolMessage::default()
    })?;
    for PoolAttachment { storage_id, status, expires_at, .. } in files {
        tx.insert(AttachmentRow {
            message_id: message.id.clone(),
            storage_id: Id::new(storage_id),
            status,
            expires_at,
        })?;
    }
    refresh(tx, times, &mut conversation)?;
    Ok(message.id)
}

/// Refuses metadata that are too large for a row.
pub(super) fn check_metadata(metadata: Option<&Texts>) -> Result<(), Refusal> {
    let bytes: usize =
        metadata.into_iter().flatten().map(|(name, text)| name.len().saturating_add(text.len())).sum();
    ensure!(
        bytes <= METADATA_BYTES,
        "The metadata have {bytes} bytes, more than {METADATA_BYTES}: shorten them"
    );
    Ok(())
}

fn find_or_create(tx: &Tx<'_>, id: &str, agent_key: &str) -> Result<Doc<Conversation>, Refusal> {
    if let Some(found) = conversation(tx, id)? {
        let owner = &found.row.agent_key;
        ensure!(owner == agent_key, "The conversation {id} belongs to the agent {owner}, not to {agent_key}");
        return Ok(found);
    }
    Ok(tx.insert(Conversation {
        conversation_id: id.to_owned(),
        agent_key: agent_key.to_owned(),
        state: IDLE.to_owned(),
        ..Conversation::default()
    })?)
}

/// The conversation with this id.
pub(super) fn conversation(tx: &Tx<'_>, id: &str) -> Result<Option<Doc<Conversation>>, StoreError> {
    tx.find(POOL_CONVERSATION, &[Some(id)]).first()
}

/// The message with this id, if the text is one.
pub(super) fn message(tx: &Tx<'_>, id: &str) -> Result<Option<Doc<PoolMessage>>, StoreError> {
    Ok(Id::parse(id).map(|id| tx.get(&id)).transpose()?.flatten())
}

/// A priority as a text that sorts like the number.
pub(super) fn rank(priority: f64) -> String {
    format!("{:03}", priority.floor())
}

/// The message of a conversation that comes next: of the highest priority with a due message. If none is due, the message
/// that is due first.
pub(super) fn head(tx: &Tx<'_>, conversation_id: &str) -> Result<Option<Doc<PoolMessage>>, StoreError> {
    let mut best: Option<Doc<PoolMessage>> = None;
    let mut rank = tx.greatest(POOL_LINE, &[conversation_id, QUEUED], None)?;
    while let Some(current) = rank {
        let line = [Some(conversation_id), Some(QUEUED), Some(current.as_str())];
        if let Some(first) = tx.find::<PoolMessage>(POOL_LINE, &line).first()? {
            if first.row.scheduled_for <= tx.now() {
                return Ok(Some(first));
            }
            let is_earlier =
                best.as_ref().is_none_or(|best| first.row.scheduled_for < best.row.scheduled_for);
            if is_earlier {
                best = Some(first);
            }
        }
        rank = tx.greatest(POOL_LINE, &[conversation_id, QUEUED], Some(&current))?;
    }
    Ok(best)
}

/// Updates what a conversation's row says about its next message, and writes the row.
pub(super) fn refresh(
    tx: &Tx<'_>,
    times: &PoolTimes,
    conversation: &mut Doc<Conversation>,
) -> Result<(), Refusal> {
    let free_at = super::lifecycle::free_at(tx, times, &conversation.row)?;
    let head = head(tx, &conversation.row.conversation_id)?;
    let row = &mut conversation.row;
    let state = match (&row.lock, &head) {
        (Some(_), _) => BUSY,
        (None, Some(_)) => WAITING,
        (None, None) => IDLE,
    };
    state.clone_into(&mut row.state);
    row.rank = head.as_ref().map(|head| head.row.rank.clone()).unwrap_or_default();
    row.claimable_at = head.map_or(0.0, |head| head.row.scheduled_for.max(free_at));
    Ok(tx.put(conversation)?)
}

fn stats(call: &Call<'_>) -> Answer {
    let due = call.tx.find::<PoolMessage>(POOL_DUE, &[Some(QUEUED)]).up_to(call.now()).count()?;
    let count = |status| call.tx.find::<PoolMessage>(POOL_DUE, &[Some(status)]).count();
    value(&json!({"queuedReady": due, "processing": count(PROCESSING)?, "deadLetter": count(DEAD_LETTER)?}))
}
