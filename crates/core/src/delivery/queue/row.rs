//! A row of the queue: how urgent it is, whether it may begin, and whether it lets later ones pass.

use crate::delivery::ask::Hold;
use crate::delivery::gate::Turns;
use crate::delivery::{Record, Track};
use mcr_model::clock::Millis;
use mcr_model::{Notification, NotificationType};

/// After so many failures a row lets later ones of its track pass.
const PASSED_AFTER: u32 = 2;

/// So many rows of a track may be passed whose failures may be the agent's as well: with more of them the trouble is the
/// agent's, every row would meet it, and the order is kept.
pub(super) const PASSED_FOR_OTHERS: usize = 1;

/// How urgent a row is, by its type alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// Somebody asked.
    Asked,
    /// Somebody gave work.
    Given,
    /// Something changed.
    Told,
}

pub(super) const RANKS: usize = 3;

impl Rank {
    fn of(row: &Notification) -> Self {
        match row.kind.known() {
            Some(NotificationType::Mention | NotificationType::ResponseRequest) => Self::Asked,
            Some(NotificationType::Assignment) => Self::Given,
            Some(
                NotificationType::ThreadUpdate
                | NotificationType::StatusChange
                | NotificationType::MemberAdded
                | NotificationType::MemberRemoved
                | NotificationType::RoleChanged,
            )
            | None => Self::Told,
        }
    }
}

/// A row that is not settled.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) notification: Notification,
    pub(super) track: Track,
    pub(super) rank: Rank,
    /// What has been done for it; while it runs, the worker has the newer one.
    pub(super) record: Record,
    pub(super) not_before: Option<Millis>,
    pub(super) running: bool,
    pub(super) overtaken: u32,
    /// A person wants it to begin, whatever is held.
    pub(super) hurried: bool,
    /// What was last in its way.
    pub(super) trouble: Option<String>,
    /// It had ended when it was offered, and only its mark is missing.
    pub(super) ended: bool,
}

impl Row {
    /// One that is seen for the first time, at the end of its track.
    pub(super) fn new(notification: Notification, record: Record) -> Self {
        Self {
            track: Track::of(&notification),
            rank: Rank::of(&notification),
            notification,
            record,
            not_before: None,
            running: false,
            overtaken: 0,
            hurried: false,
            trouble: None,
            ended: false,
        }
    }

    /// Whether it begins with a turn. One whose agent is not waited for any longer does not.
    pub(super) fn needs_turn(&self) -> bool {
        self.record.needs_turn() && !self.hurried
    }

    /// Whether it could begin with this.
    pub(super) fn may_begin(&self, hold: &Hold, turns: Turns) -> bool {
        !self.needs_turn() || turns != Turns::None && !hold.holds(&self.track.agent)
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
