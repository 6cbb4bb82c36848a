//! A row of the queue: decides whether the row may start, and whether it lets later rows pass.

use std::sync::Arc;

use crate::delivery::Record;
use crate::delivery::gateway_breaker::TurnAllowance;
use crate::delivery::operator_requests::Hold;
use crate::work::Work;
use mcr_model::clock::Millis;

/// A row lets later rows of its track pass after this many failures.
const PASSED_AFTER: u32 = 2;

/// How many rows of a track may be passed although the agent may be the cause of their failures. If more such rows
/// fail, the agent is the cause. Then every row would fail, so the order is kept.
pub(super) const PASSED_FOR_OTHERS: usize = 1;

/// An unsettled row.
#[derive(Debug)]
pub(super) struct QueueEntry {
    pub(super) work: Arc<Work>,
    /// What has been done for the row. While the row runs, its worker has the current record.
    pub(super) record: Record,
    pub(super) not_before: Option<Millis>,
    pub(super) running: bool,
    pub(super) overtaken: u32,
    /// Whether a person wants the row to start even if turns are held.
    pub(super) hurried: bool,
    /// The last trouble that stopped the row.
    pub(super) trouble: Option<String>,
    /// Whether the row had already ended when it was offered, so that only its mark is retried. Kept here because the
    /// worker has the record while the row runs.
    pub(super) only_marked: bool,
}

impl QueueEntry {
    /// A row that is new to the queue.
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

    /// Whether the row starts with a turn. A hurried row does not, because it no longer waits for its agent.
    pub(super) fn needs_turn(&self) -> bool {
        self.record.needs_turn(&self.work) && !self.hurried
    }

    /// Whether the row may start before earlier rows of its track: it has its result, or a person wants it to start.
    pub(super) fn ignores_order(&self) -> bool {
        (self.hurried && self.work.asks_agent()) || !self.record.stage.lacks_result()
    }

    /// Whether the row could start under this hold and with these turns allowed.
    pub(super) fn may_begin(&self, hold: &Hold, turns: TurnAllowance) -> bool {
        let sent = self.record.sent.is_some();
        !self.needs_turn() || turns != TurnAllowance::None && !hold.holds(&self.work.track.agent, sent)
    }

    /// Whether later rows of the track may start before this row ends. `others` counts how many more rows may be passed
    /// whose failures may be the agent's.
    pub(super) fn lets_pass(&self, others: &mut usize) -> bool {
        if self.record.own_failures() >= PASSED_AFTER {
            return true;
        }
        let passes = self.record.failures.of_provider() >= PASSED_AFTER && *others > 0;
        *others -= usize::from(passes);
        passes
    }
}
