//! Messages and threads (backend-contract §3.4).

use serde::{Deserialize, Serialize};

use super::word::words;
use super::{MessageId, NotificationId, TaskId, Word};
use crate::clock::Millis;

words! {
    /// The kind of author.
    AuthorType {
        /// A person.
        User = "user",
        /// An agent.
        Agent = "agent",
    }
}

/// A message as stored.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: MessageId,
    /// The task whose thread contains it.
    pub task_id: TaskId,
    /// Whether a person or an agent wrote it.
    pub author_type: Word<AuthorType>,
    /// The id of the person or agent.
    pub author_id: String,
    /// Markdown.
    pub content: String,
    /// The mentioned people and agents.
    #[serde(default)]
    pub mentions: Vec<Mention>,
    /// Attached files.
    #[serde(default)]
    pub attachments: Vec<MessageFile>,
    /// When it was written.
    pub created_at: Millis,
    /// When it was last edited.
    #[serde(default)]
    pub edited_at: Option<Millis>,
    /// The notification it answers. The backend accepts one message per notification, so this is the idempotency key.
    #[serde(default)]
    pub source_notification_id: Option<NotificationId>,
}

/// A file attached to a message, as the backend describes it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct MessageFile {
    /// Its name.
    pub name: String,
    /// Its MIME type.
    #[serde(rename = "type")]
    pub mime: String,
    /// Its size in bytes.
    #[serde(rename = "size")]
    pub bytes: Option<f64>,
    /// Its address. The backend does not always provide one.
    pub url: Option<String>,
}

/// The message of a person that ends the turns on its task.
const STOP: &str = "/stop";

/// Whether this message of this author ends the turns on its task.
pub fn is_stop(author: &Word<AuthorType>, content: &str) -> bool {
    *author == AuthorType::User && content.trim() == STOP
}

/// A mention in a message.
#[derive(Clone, Debug, Deserialize)]
pub struct Mention {
    /// Whether it is a person or an agent.
    #[serde(rename = "type")]
    pub kind: Word<AuthorType>,
    /// The id of the person or agent.
    pub id: String,
    /// The name of the person or agent.
    pub name: String,
    /// The agent's slug.
    #[serde(default)]
    pub slug: Option<String>,
}

/// A message as a thread returns it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ThreadItem {
    /// The message's id.
    pub message_id: MessageId,
    /// Whether a person or an agent wrote it.
    pub author_type: Word<AuthorType>,
    /// The id of the person or agent.
    pub author_id: String,
    /// The author's present name. `None` if the author was deleted.
    pub author_name: Option<String>,
    /// Markdown; in a delivery context cut to 2,000 characters.
    pub content: String,
    /// When it was written.
    pub created_at: Millis,
}
