//! Identifies the content of a notification row, so that a later change of the row can be detected.

use serde::{Deserialize, Serialize};

use mcr_model::clock::Millis;
use mcr_model::{MessageId, Notification};

/// The message id and time of a notification row. Both change when a later message is folded into the row, so a
/// delivery that compares stamps notices it.
///
/// Ledger records store it as the JSON array `[message, at]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(Option<MessageId>, Millis)", into = "(Option<MessageId>, Millis)")]
pub struct Stamp {
    /// The message; `None` if the notification is not about a message.
    pub message: Option<MessageId>,
    /// When the notification was created, or last took in a message.
    pub at: Millis,
}

impl Stamp {
    /// The stamp of this row.
    pub fn of(row: &Notification) -> Self {
        Self { message: row.message_id.clone(), at: row.created_at }
    }
}

impl From<(Option<MessageId>, Millis)> for Stamp {
    fn from((message, at): (Option<MessageId>, Millis)) -> Self {
        Self { message, at }
    }
}

impl From<Stamp> for (Option<MessageId>, Millis) {
    fn from(stamp: Stamp) -> Self {
        (stamp.message, stamp.at)
    }
}
