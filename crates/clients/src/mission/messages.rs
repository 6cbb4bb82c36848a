//! Task threads: posting to them and reading them (backend-contract §2.12, §2.13, §2.23, §2.35).

use serde::{Deserialize, Serialize};

use super::{Function, Request, catalog, requests};
use mcr_model::{AgentId, MessageId, NotificationId, StorageId, TaskId, ThreadItem};

/// Posts a message to a thread as an agent (§2.12).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PostMessage<'a> {
    /// The task whose thread it is.
    pub task_id: &'a TaskId,
    /// The author.
    pub agent_id: &'a AgentId,
    /// Markdown, up to 100,000 characters.
    pub content: &'a str,
    /// Whether to create no notifications for agents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suppress_agent_notifications: Option<bool>,
    /// The attached files, registered before.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub attachments: &'a [Attachment],
    /// The notification that this message answers. The backend stores one message per notification, whatever
    /// its content, and returns the id of the first for a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_notification_id: Option<&'a NotificationId>,
}

/// A file attached to a message.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    /// The stored file.
    pub storage_id: StorageId,
    /// Its file name.
    pub name: String,
    /// Its MIME type.
    #[serde(rename = "type")]
    pub mime: String,
    /// Its size in bytes.
    #[serde(rename = "size")]
    pub size_bytes: u64,
}

/// An answer that names a message.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageRef {
    /// The message, created now or before.
    pub message_id: MessageId,
}

impl Request for PostMessage<'_> {
    const FUNCTION: &'static Function = &catalog::POST_MESSAGE;
    type Answer = MessageRef;

    fn may_repeat(&self) -> bool {
        self.source_notification_id.is_some()
    }
}

/// Posts a message to any thread as the orchestrator (§2.13).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PostMessageAsOrchestrator<'a> {
    /// The acting agent.
    pub agent_id: &'a AgentId,
    /// The task whose thread it is.
    pub task_id: &'a TaskId,
    /// Markdown, up to 100,000 characters.
    pub content: &'a str,
}

/// Lists the newest messages of a thread, oldest first, as the orchestrator (§2.23).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListThread<'a> {
    /// The acting agent.
    pub agent_id: &'a AgentId,
    /// The task whose thread it is. An unknown task has an empty thread.
    pub task_id: &'a TaskId,
    /// Up to 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

requests! {
    PostMessageAsOrchestrator<'_>: POST_MESSAGE_AS_ORCHESTRATOR -> MessageRef;
    ListThread<'_>: LIST_THREAD -> Vec<ThreadItem>;
}
