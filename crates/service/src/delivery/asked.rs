//! The current question of an agent, as last recorded, and whether a person has stopped the work since.

use mcr_core::delivery::{Record, Stamp, policy};
use mcr_model::clock::Millis;
use mcr_model::{DeliveryContext, Task, TaskId, ThreadItem};

/// The agent's current question, as last recorded.
#[derive(Debug, Default)]
pub(super) struct Asked {
    heard: Option<Stamp>,
    began_paused: bool,
    /// Effects of the question are not older, by the backend's clock.
    pub(super) since: Millis,
    /// The tasks that the question of a heartbeat names.
    pub(super) tasks: Vec<TaskId>,
}

impl Asked {
    pub(super) fn of(record: &Record) -> Self {
        let tasks = record.beat.as_ref().map(|of_beat| of_beat.tasks.clone()).unwrap_or_default();
        Self { heard: record.heard.clone(), began_paused: record.began_paused, since: record.since, tasks }
    }

    /// Whether this context shows that a person stopped the work. None until the question is recorded.
    pub(super) fn is_stopped_in(&self, context: &DeliveryContext) -> Option<bool> {
        let heard = self.heard.as_ref()?;
        Some(policy::is_stopped(context, heard, self.began_paused))
    }

    /// Whether a person stopped this task after the question of the heartbeat was asked. The question names no task that
    /// was stopped before.
    pub(super) fn is_stopped_at(&self, task: &Task, thread: &[ThreadItem]) -> bool {
        policy::is_paused(task) || policy::has_stop_after(thread, self.since)
    }
}
