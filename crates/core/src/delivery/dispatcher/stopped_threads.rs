//! Keeps the rows that the loop brake has stopped, and starts them again after a person's word.

use std::sync::Arc;

use super::Dispatcher;
use crate::delivery::Record;
use crate::delivery::dead_letters::RESUMED_STEP;
use crate::delivery::stopped_rows::StoppedRow;
use crate::guardrails::CountStart;
use crate::work::{Work, WorkId};
use mcr_model::TaskId;
use mcr_model::clock::Millis;

impl Dispatcher {
    /// Keeps a stopped row. It starts again at once if a person's word has ended the stop meanwhile.
    pub(super) fn stop(&mut self, work: Arc<Work>, record: Record, now: Millis) {
        let is_first = record.team.as_ref().and_then(|team| team.stop).is_some_and(|stop| stop.is_first);
        self.stats.team_stops += u64::from(is_first);
        let due = self.stopped.insert(work, record);
        self.resume_rows(due, now);
    }

    /// Starts the stopped rows of a thread again: a person's word is the start of its count now.
    pub(in crate::delivery) fn resume(&mut self, task: &TaskId, start: CountStart, now: Millis) {
        let due = self.stopped.resume(task, start);
        self.resume_rows(due, now);
        self.queue.wake_stop_notices(task, now);
    }

    /// Takes out a stopped row that a person retries.
    pub(super) fn take_stopped(&mut self, id: &WorkId) -> Option<StoppedRow> {
        let row = self.stopped.retry(id)?;
        self.finished.forget(id);
        self.stopped_threads = self.stopped.threads().into();
        Some(row)
    }

    fn resume_rows(&mut self, due: impl IntoIterator<Item = StoppedRow>, now: Millis) {
        for (work, record) in due {
            self.finished.forget(&work.id);
            self.start_again(work, record.resumed(), RESUMED_STEP, now);
        }
        self.stopped_threads = self.stopped.threads().into();
    }
}
