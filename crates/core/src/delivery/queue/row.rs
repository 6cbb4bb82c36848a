//! A row of the queue: whether it may begin, and whether it lets later ones pass.

use std::sync::Arc;

use crate::delivery::Record;
use crate::delivery::gateway_breaker::TurnAllowance;
use crate::delivery::operator_requests::Hold;
use crate::work::Work;
use mcr_model::clock::Millis;

/// A row lets later ones of its track pass after this many failures.
const PASSED_AFTER: u32 = 2;

/// How many rows of a track may be passed although the agent may be the cause of their failures. With more
/// such rows the agent is the cause. Every row would fail, and the order is kept.
pub(super) const PASSED_FOR_OTHERS: usize = 1;

/// A row that is not settled.
#[derive(Debug)]
pub(super) struct QueueEntry {
    pub(super) work: Arc<Work>,
    /// What has been done for it; while it runs, the worker has the newer one.
    pub(super) record: Record,
    pub(super) not_before: Option<Millis>,
    pub(super) running: bool,
    pub(super) overtaken: u32,
    /// A person wants it to begin, whatever is held.
    pub(super) hurried: bool,
    /// What was last in its way.
    pub(super) trouble: Option<String>,
    /// It had ended when it was offered, and only its mark is retried. While it runs, the worker has its record.
    pub(super) only_marked: bool,
}

impl QueueEntry {
    /// One that is seen for the first time, at the end of its track.
    pub(super) fn new(work: Arc<Work>, record: Record) -> Self {
        Self {
            only_marked: record.is_closed,
            work,
            record,
            not_before: None,
            running: false,
            overtaken: 0,
            hurried: false,
            trouble: None,
        }
    }

    /// Whether it begins with a turn. One whose agent is not waited for any longer does not.
    pub(super) fn needs_turn(&self) -> bool {
        self.record.needs_turn(&self.work) && !self.hurried
    }

    /// Whether it may begin before earlier ones of its track: its result is there, or a person wants it to begin.
    pub(super) fn ignores_order(&self) -> bool {
        self.hurried || !self.record.stage.lacks_result()
    }

    /// Whether it could begin with this.
    pub(super) fn may_begin(&self, hold: &Hold, turns: TurnAllowance) -> bool {
        !self.needs_turn() || turns != TurnAllowance::None && !hold.holds(&self.work.track.agent)
    }

    /// Whether later rows of its track may begin before it ends; `others` is how many more may be passed whose
    /// failures may be the agent's.
    pub(super) fn lets_pass(&self, others: &mut usize) -> bool {
        if self.record.own_failures() >= PASSED_AFTER {
            return true;
        }
        let passes = self.record.failures.of_provider() >= PASSED_AFTER && *others > 0;
        *others -= usize::from(passes);
        passes
    }
}
