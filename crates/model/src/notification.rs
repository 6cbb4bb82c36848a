//! Notifications (backend-contract §3.5, §5.1).

use serde::{Deserialize, Serialize};

use super::word::words;
use super::{AccountId, MessageId, NotificationId, TaskId, Word};
use crate::clock::Millis;

words! {
    /// The reason of a notification.
    NotificationType {
        /// The recipient was mentioned in a message.
        Mention = "mention",
        /// A task was assigned to the recipient.
        Assignment = "assignment",
        /// A subscribed thread has a new message.
        ThreadUpdate = "thread_update",
        /// A task changed its status.
        StatusChange = "status_change",
        /// Another agent requests a response.
        ResponseRequest = "response_request",
        /// For people only.
        MemberAdded = "member_added",
        /// For people only.
        MemberRemoved = "member_removed",
        /// For people only.
        RoleChanged = "role_changed",
    }
}

words! {
    /// The kind of recipient. The runtime delivers only agents' notifications.
    RecipientType {
        /// A person.
        User = "user",
        /// An agent.
        Agent = "agent",
    }
}

/// One row of the undelivered list.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// Its id. It stays the same when a later message is merged into it (§5.4).
    #[serde(rename = "_id")]
    pub id: NotificationId,
    /// The account. It must be the runtime's own.
    #[serde(default)]
    pub account_id: Option<AccountId>,
    /// The reason.
    #[serde(rename = "type")]
    pub kind: Word<NotificationType>,
    /// Whether the recipient is a person or an agent.
    pub recipient_type: Word<RecipientType>,
    /// The id of the person or agent.
    pub recipient_id: String,
    /// The task it concerns.
    #[serde(default)]
    pub task_id: Option<TaskId>,
    /// The message it concerns. Only for mentions and thread updates.
    #[serde(default)]
    pub message_id: Option<MessageId>,
    /// One line.
    pub title: String,
    /// The full text.
    pub body: String,
    /// When the first attempt started.
    #[serde(default)]
    pub read_at: Option<Millis>,
    /// When it was settled.
    #[serde(default)]
    pub delivered_at: Option<Millis>,
    /// When the last attempt failed.
    #[serde(default)]
    pub delivery_ended_at: Option<Millis>,
    /// When it was created. Moves forward when a later message is merged into it.
    pub created_at: Millis,
}

/// The state of an agent's notification, derived from the backend's three timestamps (§5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// No attempt has started.
    New,
    /// An attempt is in progress. The board shows "typing".
    InProgress,
    /// The last attempt failed. The notification is listed again.
    AttemptFailed,
    /// Settled.
    Delivered,
}

impl Notification {
    /// Its delivery state. An attempt's end without a start remains when the account went offline in between. It counts
    /// as new.
    pub fn state(&self) -> DeliveryState {
        match (self.delivered_at, self.read_at, self.delivery_ended_at) {
            (Some(_), _, _) => DeliveryState::Delivered,
            (None, None, _) => DeliveryState::New,
            (None, Some(_), None) => DeliveryState::InProgress,
            (None, Some(_), Some(_)) => DeliveryState::AttemptFailed,
        }
    }

    /// Whether the board shows the agent as typing.
    pub fn is_typing(&self) -> bool {
        self.state() == DeliveryState::InProgress
    }
}
