//! A row of the queue: decides whether the row may start, and whether it lets later rows pass.

use std::sync::Arc;

use super::StartRoom;
use crate::delivery::gateway_breaker::TurnAllowance;
use crate::delivery::limited::TurnStops;
use crate::delivery::{Permit, Record};
use crate::guardrails::origin::Origin;
use crate::work::Work;
use mcr_model::NotificationType;
use mcr_model::clock::Millis;

/// A row lets later rows of its track pass after this many failures.
const PASSED_AFTER: u32 = 2;

/// How many rows of a track may be passed although the agent may be the cause of their failures. If more such rows
/// fail, the agent is the cause. Then every row would fail, so the order is kept.
pub(super) const PASSED_FOR_OTHERS: usize = 1;

/// The order of rows that may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartClass {
    /// The next step is no new turn: a post, a mark, the results of tool calls, or the settlement of a turn.
    Begun,
    /// A person has caused the row, as far as known.
    People,
    /// The words of the row do not show who has caused it.
    Unknown,
    /// An agent has caused the row.
    Agents,
}

impl StartClass {
    /// How many classes there are.
    pub(super) const COUNT: usize = 4;

    /// Whether an agent has or may have caused the row, so that the limits for agents apply.
    pub(super) fn is_of_agents(self) -> bool {
        matches!(self, Self::Unknown | Self::Agents)
    }
}

/// An unsettled row.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub(super) struct QueueEntry {
    pub(super) work: Arc<Work>,
    /// The origin that the row's words show.
    pub(super) origin: Option<Origin>,
    /// What has been done for the row. While the row runs, its worker has the current record.
    pub(super) record: Record,
    pub(super) not_before: Option<Millis>,
    pub(super) running: bool,
    /// The row whose turn answers this one. Until that row has ended, this one does not start.
    pub(super) covered_by: Option<u64>,
    /// The rows that the turn of this one answers.
    pub(super) covers: Vec<u64>,
    /// Whether its worker first looks who has caused it.
    pub(super) looks: bool,
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
    pub(super) fn new(work: Arc<Work>, record: Record, origin: Option<Origin>) -> Self {
        Self {
            only_marked: record.is_closed,
            work,
            origin,
            record,
            not_before: None,
            running: false,
            covered_by: None,
            covers: Vec::new(),
            looks: false,
            overtaken: 0,
            hurried: false,
            trouble: None,
        }
    }

    /// Whether the row starts with a turn. A hurried row does not, because it no longer waits for its agent.
    pub(super) fn needs_turn(&self) -> bool {
        self.record.needs_turn(&self.work) && !self.hurried
    }

    /// Whether the row mentions, asks or assigns its agent. The turn of another row may end without an answer.
    pub(super) fn addresses_agent(&self) -> bool {
        use NotificationType::{Assignment, Mention, ResponseRequest};
        let kind = self.work.notification().and_then(|row| row.kind.known());
        matches!(kind, Some(Mention | ResponseRequest | Assignment))
    }

    /// Whether the row may start before earlier rows of its track: it has its result, or a person wants it to start.
    pub(super) fn ignores_order(&self) -> bool {
        (self.hurried && self.work.asks_agent()) || !self.record.stage.lacks_result()
    }

    /// Whether the row could start under these stops and with these turns allowed.
    pub(super) fn may_begin(&self, stops: &TurnStops, turns: TurnAllowance) -> bool {
        let sent = self.record.sent.is_some();
        !self.needs_turn() || turns != TurnAllowance::None && !stops.holds(&self.work.track.agent, sent)
    }

    /// The class of the row. Work of a kind that has no author uses the workers of agents.
    pub(super) fn class(&self) -> StartClass {
        if !self.needs_turn() || self.record.holds_session(&self.work) {
            return StartClass::Begun;
        }
        if self.work.notification().is_none() {
            return StartClass::Agents;
        }
        match self.record.origin_of(&self.work).or(self.origin) {
            Some(Origin::Person) => StartClass::People,
            None => StartClass::Unknown,
            Some(Origin::Agent) => StartClass::Agents,
        }
    }

    /// Whether a person's row of the same track may start before this row. A turn of this row is not open.
    pub(super) fn yields_to_people(&self) -> bool {
        self.work.notification().is_some() && !self.running && self.class().is_of_agents()
    }

    /// Whether the turn of another row of its track may answer the row: nothing was done for it yet.
    pub(super) fn is_foldable(&self) -> bool {
        let is_waiting =
            !self.running && !self.hurried && self.not_before.is_none() && self.covered_by.is_none();
        let is_about_a_task = self.work.notification().is_some() && self.work.track.task().is_some();
        is_waiting && is_about_a_task && self.record.is_untouched()
    }

    /// Which turns the row may send if it starts now. `None` if there is no room for it.
    pub(super) fn permit(&self, room: StartRoom) -> Option<Permit> {
        match self.class() {
            StartClass::Begun => Some(Permit::Any),
            StartClass::People => room.people.then_some(Permit::People),
            StartClass::Unknown | StartClass::Agents => (room.agents > 0).then_some(Permit::Any),
        }
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
