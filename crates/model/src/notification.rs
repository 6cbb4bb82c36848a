//! Notifications (backend-contract §3.5, §5.1).

use serde::{Deserialize, Serialize};

use super::word::words;
use super::{AccountId, MessageId, NotificationId, TaskId, Word};
use crate::clock::Millis;

words! {
    /// Why somebody is told.
    NotificationType {
        /// Named in a message.
        Mention = "mention",
        /// Given a task.
        Assignment = "assignment",
        /// A subscribed thread went on.
        ThreadUpdate = "thread_update",
        /// A task changed its status.
        StatusChange = "status_change",
        /// Another agent wants an answer.
        ResponseRequest = "response_request",
        /// People only.
        MemberAdded = "member_added",
        /// People only.
        MemberRemoved = "member_removed",
        /// People only.
        RoleChanged = "role_changed",
    }
}

words! {
    /// Who is told; only agents' notifications are delivered by us.
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
    /// Its id, kept when a later message is folded into it (§5.4).
    #[serde(rename = "_id")]
    pub id: NotificationId,
    /// Whose; ours, or something is badly wrong.
    #[serde(default)]
    pub account_id: Option<AccountId>,
    /// Why.
    #[serde(rename = "type")]
    pub kind: Word<NotificationType>,
    /// To whom.
    pub recipient_type: Word<RecipientType>,
    /// A person's id or an agent's.
    pub recipient_id: String,
    /// About which task.
    #[serde(default)]
    pub task_id: Option<TaskId>,
    /// About which message; mentions and thread updates only.
    #[serde(default)]
    pub message_id: Option<MessageId>,
    /// One line.
    pub title: String,
    /// What it says.
    pub body: String,
    /// When the first attempt began.
    #[serde(default)]
    pub read_at: Option<Millis>,
    /// When it was settled.
    #[serde(default)]
    pub delivered_at: Option<Millis>,
    /// When the last attempt failed.
    #[serde(default)]
    pub delivery_ended_at: Option<Millis>,
    /// When it came to be; moves forward when a later message is folded in.
    pub created_at: Millis,
}

/// Where an agent's notification stands, as the backend's three stamps tell it (§5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// Nobody has begun.
    New,
    /// An attempt is under way; the board shows "typing".
    InProgress,
    /// The last attempt failed; it is listed again.
    AttemptFailed,
    /// Settled.
    Delivered,
}

impl Notification {
    /// Where it stands. An end of an attempt without a beginning is what is left when the account went offline in
    /// between, and counts as new.
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
