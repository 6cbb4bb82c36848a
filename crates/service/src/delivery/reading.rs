//! What the last reading of a delivery's context showed of its thread and its task.

use mcr_core::delivery::Stamp;
use mcr_model::clock::Millis;
use mcr_model::{DeliveryContext, MessageId};

/// The last reading of a delivery's context.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    /// How many lists had come before it.
    pub(super) lists: u64,
    /// The last message of the thread, and when it was written.
    latest: Option<(MessageId, Millis)>,
    /// When the task last changed.
    changed: Option<Millis>,
}

impl Reading {
    /// One that shows nothing.
    pub(super) fn blind(lists: u64) -> Self {
        Self { lists, ..Self::default() }
    }

    pub(super) fn of(context: &DeliveryContext, lists: u64) -> Self {
        let latest = context.thread.last().map(|item| (item.message_id.clone(), item.created_at));
        Self { lists, latest, changed: context.task.as_ref().map(|task| task.updated_at) }
    }

    /// Whether it shows what a row tells of, or something later: a row that waited behind the end of a list is listed
    /// long after its message was written or its task was changed.
    pub(super) fn shows(&self, stamp: &Stamp) -> bool {
        let told = |(id, at): &(MessageId, Millis)| stamp.message.as_ref() == Some(id) || stamp.at < *at;
        self.latest.as_ref().is_some_and(told) || self.changed.is_some_and(|at| stamp.at <= at)
    }
}
