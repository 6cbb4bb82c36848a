//! Messages and threads (backend-contract §3.4).

use serde::{Deserialize, Serialize};

use super::word::words;
use super::{MessageId, NotificationId, TaskId, Word};
use crate::clock::Millis;

words! {
    /// Who wrote.
    AuthorType {
        /// A person.
        User = "user",
        /// An agent.
        Agent = "agent",
    }
}

/// A message as it is stored.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: MessageId,
    /// In whose thread.
    pub task_id: TaskId,
    /// A person or an agent.
    pub author_type: Word<AuthorType>,
    /// A person's id or an agent's.
    pub author_id: String,
    /// Markdown.
    pub content: String,
    /// Whom it names.
    #[serde(default)]
    pub mentions: Vec<Mention>,
    /// Files that came with it.
    #[serde(default)]
    pub attachments: Vec<MessageFile>,
    /// When.
    pub created_at: Millis,
    /// When it was last changed.
    #[serde(default)]
    pub edited_at: Option<Millis>,
    /// The notification that this answers: the key under which the backend accepts it once.
    #[serde(default)]
    pub source_notification_id: Option<NotificationId>,
}

/// A file of a message, as the backend describes it.
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
    /// Where it can be read; the backend does not always say.
    pub url: Option<String>,
}

/// Somebody named in a message.
#[derive(Clone, Debug, Deserialize)]
pub struct Mention {
    /// A person or an agent.
    #[serde(rename = "type")]
    pub kind: Word<AuthorType>,
    /// Their id.
    pub id: String,
    /// Their name.
    pub name: String,
    /// The agent's slug.
    #[serde(default)]
    pub slug: Option<String>,
}

/// A message as a thread shows it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ThreadItem {
    /// Which message.
    pub message_id: MessageId,
    /// A person or an agent.
    pub author_type: Word<AuthorType>,
    /// A person's id or an agent's.
    pub author_id: String,
    /// Their name today; none if they are gone.
    pub author_name: Option<String>,
    /// Markdown; in a delivery context cut to 2,000 characters.
    pub content: String,
    /// When.
    pub created_at: Millis,
}
