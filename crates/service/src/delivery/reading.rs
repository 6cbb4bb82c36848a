//! The state of thread and task at the last reading of a delivery's context.

use mcr_core::delivery::Stamp;
use mcr_model::clock::Millis;
use mcr_model::{DeliveryContext, MessageId};

/// The last reading of a delivery's context.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    /// How many lists had arrived before it.
    pub(super) lists: u64,
    /// The last message of the thread and its time.
    latest: Option<(MessageId, Millis)>,
    /// When the task last changed.
    changed: Option<Millis>,
}

impl Reading {
    /// A reading without content.
    pub(super) fn blind(lists: u64) -> Self {
        Self { lists, ..Self::default() }
    }

    pub(super) fn of(context: &DeliveryContext, lists: u64) -> Self {
        let latest = context.thread.last().map(|item| (item.message_id.clone(), item.created_at));
        Self { lists, latest, changed: context.task.as_ref().map(|task| task.updated_at) }
    }

    /// Whether the reading shows the event of a notification, or a later one. A notification that did not fit into a list
    /// arrives long after its message was written or its task changed.
    pub(super) fn shows(&self, stamp: &Stamp) -> bool {
        let has_event = |(id, at): &(MessageId, Millis)| stamp.message.as_ref() == Some(id) || stamp.at < *at;
        self.latest.as_ref().is_some_and(has_event) || self.changed.is_some_and(|at| stamp.at <= at)
    }
}
