//! Threads: writing into them and reading them (backend-contract §2.12, §2.13, §2.23, §2.35).

use serde::{Deserialize, Serialize};

use super::{Function, Request, catalog, requests};
use mcr_model::{AgentId, MessageId, NotificationId, StorageId, TaskId, ThreadItem, UploadId};

/// Writes into a thread in an agent's name (§2.12).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PostMessage<'a> {
    /// Where.
    pub task_id: &'a TaskId,
    /// Who.
    pub agent_id: &'a AgentId,
    /// Markdown, up to 100,000 characters.
    pub content: &'a str,
    /// Whether agents learn nothing of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suppress_agent_notifications: Option<bool>,
    /// Files, registered before.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub attachments: &'a [Attachment],
    /// The notification that this answers: the backend admits one message for each, whatever it says, and answers
    /// a second with the id of the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_notification_id: Option<&'a NotificationId>,
}

/// A file of a message.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    /// Where it is stored.
    pub storage_id: StorageId,
    /// Its name.
    pub name: String,
    /// Its MIME type.
    #[serde(rename = "type")]
    pub mime: String,
    /// Its size.
    #[serde(rename = "size")]
    pub size_bytes: u64,
}

/// Answers that name a message.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageRef {
    /// Which; created now or before.
    pub message_id: MessageId,
}

impl Request for PostMessage<'_> {
    const FUNCTION: &'static Function = &catalog::POST_MESSAGE;
    type Answer = MessageRef;

    fn may_repeat(&self) -> bool {
        self.source_notification_id.is_some()
    }
}

/// Writes into any thread as the orchestrator (§2.13).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PostMessageAsOrchestrator<'a> {
    /// Who.
    pub agent_id: &'a AgentId,
    /// Where.
    pub task_id: &'a TaskId,
    /// Markdown, up to 100,000 characters.
    pub content: &'a str,
}

/// The newest messages of a thread, oldest first, as the orchestrator (§2.23).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListThread<'a> {
    /// Who asks.
    pub agent_id: &'a AgentId,
    /// Which; an unknown one has an empty thread.
    pub task_id: &'a TaskId,
    /// Up to 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Registers a stored file for a message to come (§2.35).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RegisterUpload<'a> {
    /// For which task.
    pub task_id: &'a TaskId,
    /// By whom.
    pub agent_id: &'a AgentId,
    /// Which file.
    pub storage_id: &'a StorageId,
}

/// The registration.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UploadRef {
    /// Which; the same for the same file.
    pub upload_id: UploadId,
}

requests! {
    PostMessageAsOrchestrator<'_>: POST_MESSAGE_AS_ORCHESTRATOR -> MessageRef;
    ListThread<'_>: LIST_THREAD -> Vec<ThreadItem>;
    RegisterUpload<'_>: REGISTER_UPLOAD -> UploadRef;
}
