//! Requests of operators to the dispatcher, and its replies.
//!
//! The dispatcher owns all work, so nothing else looks at it or changes it: a question is an event like any other, and the answer
//! goes to whoever came with it.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::Record;
use super::dead_letters::DeadLetter;
use crate::work::{Work, WorkId};
use mcr_model::clock::Millis;

/// Whose turns do not begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hold {
    /// Nobody's.
    pub all: bool,
    /// Those of these agents, by their ids.
    pub agents: HashSet<String>,
}

impl Hold {
    /// Whether nothing is held.
    pub fn is_nothing(&self) -> bool {
        !self.all && self.agents.is_empty()
    }

    /// Whether this agent's turns are held.
    pub fn holds(&self, agent: &str) -> bool {
        self.all || self.agents.contains(agent)
    }
}

/// What somebody asks.
#[derive(Clone, Debug)]
pub enum OperatorRequest {
    /// Which work is not settled, and what was given up.
    Look,
    /// Begin again what was given up.
    Retry(WorkId),
    /// Close for good what was given up.
    Drop(WorkId),
    /// Wait for the agent of this work no longer.
    GiveUp(WorkId),
    /// From now on these turns do not begin.
    Hold(Hold),
    /// Whether nothing begins at all from now on, because the ledger is not in its place.
    Suspend(bool),
}

impl OperatorRequest {
    /// Whether the request changes an item. A service that stops refuses such a request.
    pub(super) fn changes_work(&self) -> bool {
        match self {
            Self::Retry(_) | Self::Drop(_) | Self::GiveUp(_) => true,
            Self::Look | Self::Hold(_) | Self::Suspend(_) => false,
        }
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub enum OperatorReply {
    /// The work in its order, and what was given up, oldest first.
    Rows(Vec<Pending>, Vec<DeadLetter>),
    /// It is done.
    Done,
    /// It is done, and this follows: a clause.
    Decided(&'static str),
    /// It cannot be done, because of this.
    Refused(Refused),
}

/// Why something cannot be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Nothing with this id was given up.
    NotDead,
    /// It is under way already.
    UnderWay,
    /// It has ended, and a worker sets its mark.
    BeingMarked,
    /// Its row in the ledger is not understood.
    Unreadable,
    /// No work with this id is unsettled.
    NotUnderWay,
    /// The service is stopping.
    Stopping,
}

impl Refused {
    /// For people: a sentence.
    pub fn explain(self) -> &'static str {
        match self {
            Self::NotDead => "Nothing with this id was given up; `dead list` shows what was.",
            Self::UnderWay => "It is under way already; `why` shows how far it is.",
            Self::BeingMarked => {
                "Mission Control is being asked to mark it as settled; try again once that has ended. `why` shows how far it is."
            }
            Self::Unreadable => {
                "This version does not understand its row in the ledger, so it cannot begin again here. Start the newer version, \
                 or close it for good with `dead drop`; `why` says more."
            }
            Self::NotUnderWay => "No notification with this id is under way.",
            Self::Stopping => "The service is stopping and begins nothing any more.",
        }
    }
}

/// Work that is not settled.
#[derive(Clone, Debug)]
pub struct Pending {
    /// What is to be done.
    pub work: Arc<Work>,
    /// What has been done for it; of one that is with a worker the ledger knows more.
    pub record: Record,
    /// What was last in its way.
    pub trouble: Option<String>,
    /// Where it is.
    pub place: Place,
}

/// Where work is that is not settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// With a worker.
    Running,
    /// It could begin.
    Ready,
    /// It rests until then.
    Rests(Millis),
    /// Another one of the same agent and task comes first: it runs, or it is earlier and does not let this one pass, or
    /// its turn is not settled.
    Behind(WorkId),
    /// A row of the same agent and task that a newer version wrote comes first.
    BehindUnreadable(WorkId),
}

/// Whoever wants to hear the answer; they are told once.
pub struct ReplyTo(Box<dyn FnOnce(OperatorReply) + Send>);

impl ReplyTo {
    /// Calls this with the answer.
    pub fn new(hear: impl FnOnce(OperatorReply) + Send + 'static) -> Self {
        Self(Box::new(hear))
    }

    /// Tells them.
    pub fn tell(self, told: OperatorReply) {
        (self.0)(told);
    }
}

impl fmt::Debug for ReplyTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplyTo")
    }
}
