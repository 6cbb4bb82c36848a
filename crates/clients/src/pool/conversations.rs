//! Conversations and their files (worker-pool B.2, 3 and 8 to 11).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::requests;
use mcr_model::clock::Millis;
use mcr_model::{ChatRole, ConversationId, JobId, StorageId, number};

/// Asks whether a message of the conversation is queued, due or not.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConversationHasQueued<'a> {
    /// The conversation.
    pub conversation_id: &'a ConversationId,
}

/// Appends to the history of a conversation.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AppendMessages<'a> {
    /// The conversation.
    pub conversation_id: &'a ConversationId,
    /// The workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace_id: Option<&'a str>,
    /// The messages, oldest first.
    pub messages: &'a [NewMessage<'a>],
}

/// A message to append.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct NewMessage<'a> {
    /// Its author.
    pub role: ChatRole,
    /// Its text.
    pub content: &'a str,
    /// When it was written. A worker that chooses the time recognises its own message later.
    pub at: Millis,
}

/// The answer to [`AppendMessages`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Appended {
    /// False if the conversation does not exist.
    pub updated: bool,
    /// The length of the history.
    #[serde(deserialize_with = "number::whole")]
    pub message_count: u64,
}

/// Adds to the metadata of a message. The answer `false` means that the message does not exist.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AttachMetadata<'a> {
    /// The message.
    pub message_id: &'a JobId,
    /// The names and texts to add.
    pub metadata: &'a BTreeMap<String, String>,
}

/// Makes an address to which one file can be posted.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct MakeUploadUrl {}

/// The address for an upload.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UploadUrl {
    /// The address.
    pub upload_url: String,
}

/// Asks for the address of a stored file. None if the file does not exist.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GetFileUrl<'a> {
    /// The file.
    pub storage_id: &'a StorageId,
}

requests! {
    ConversationHasQueued<'_>: HAS_QUEUED -> bool;
    AppendMessages<'_>: APPEND -> Appended;
    AttachMetadata<'_>: ATTACH_METADATA -> bool;
    MakeUploadUrl: MEDIA_UPLOAD_URL -> UploadUrl;
    GetFileUrl<'_>: FILE_URL -> Option<String>;
}
