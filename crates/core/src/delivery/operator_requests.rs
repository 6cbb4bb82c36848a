//! Requests of operators to the dispatcher, and its replies.
//!
//! The dispatcher owns all work, so no other thread reads or changes it. A request is an event like any
//! other, and carries the channel for its reply.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::Record;
use super::dead_letters::DeadLetter;
use crate::work::{Work, WorkId};
use mcr_model::clock::Millis;

/// The agents whose turns do not start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hold {
    /// All agents.
    pub all: bool,
    /// These agents, by id.
    pub agents: HashSet<String>,
    /// The agents that may not spend more. The outcome of a turn that was sent is still read, and its answer posted.
    pub spent: Spent,
    /// The agents that the gateway does not have, by id. The outcome of a turn that was sent is still read.
    pub missing: HashSet<String>,
}

/// The agents whose budget is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// All agents.
    pub all: bool,
    /// These agents, by id.
    pub agents: HashSet<String>,
}

impl Hold {
    /// Whether no agent is held.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Whether this agent's turns are held. `sent` says that a turn was sent whose outcome is to be read.
    pub fn holds(&self, agent: &str, sent: bool) -> bool {
        let is_spent = self.spent.all || self.spent.agents.contains(agent);
        let is_refused = is_spent || self.missing.contains(agent);
        self.all || self.agents.contains(agent) || (is_refused && !sent)
    }
}

/// A request of an operator, or of a thread that watches the service.
#[derive(Clone, Debug)]
pub enum OperatorRequest {
    /// List the open work and the dead letters.
    Look,
    /// Restart a dead letter.
    Retry(WorkId),
    /// Close a dead letter permanently.
    Drop(WorkId),
    /// Stop waiting for the agent of this work.
    GiveUp(WorkId),
    /// From now on these turns do not start.
    Hold(Hold),
    /// Whether any work may start from now on. None may start while the ledger is not in its place.
    Suspend(bool),
    /// Answer, as a proof of life.
    Ping,
}

impl OperatorRequest {
    /// Whether the request changes an item. A stopping service refuses such a request.
    pub(super) fn changes_work(&self) -> bool {
        match self {
            Self::Retry(_) | Self::Drop(_) | Self::GiveUp(_) => true,
            Self::Look | Self::Hold(_) | Self::Suspend(_) | Self::Ping => false,
        }
    }
}

/// The reply to a request.
#[derive(Clone, Debug)]
pub enum OperatorReply {
    /// The work in its order, and the dead letters, oldest first.
    Rows(Vec<Pending>, Vec<DeadLetter>),
    /// The request was carried out.
    Done,
    /// The request was carried out, and this follows: a clause.
    Decided(&'static str),
    /// The request was refused.
    Refused(Refused),
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No dead letter has this id.
    NotDead,
    /// The work is already open.
    UnderWay,
    /// The work has ended, and a worker sets its mark.
    BeingMarked,
    /// The row of the work in the ledger is not understood.
    Unreadable,
    /// No open work has this id.
    NotUnderWay,
    /// The service is stopping.
    Stopping,
}

impl Refused {
    /// The reason as a sentence for people.
    pub fn explain(self) -> &'static str {
        match self {
            Self::NotDead => "No dead letter has this id. Run `dead list` to see all of them.",
            Self::UnderWay => "This delivery is already open. Run `why` with the id to see its state.",
            Self::BeingMarked => {
                "The runtime is just marking this delivery at Mission Control. Try again in a moment; `why` shows the state."
            }
            Self::Unreadable => {
                "This version does not understand the delivery's row in the ledger, so it cannot retry it. Start the newer \
                 version, or close the delivery with `dead drop`; `why` shows the details."
            }
            Self::NotUnderWay => {
                "No open delivery has this id. Run `why` with the id to see what happened to it."
            }
            Self::Stopping => {
                "The service is stopping and starts no more work. Repeat the request when it runs again."
            }
        }
    }
}

/// Open work.
#[derive(Clone, Debug)]
pub struct Pending {
    /// The work item.
    pub work: Arc<Work>,
    /// The record of what was done. While a worker has it, the ledger is more recent.
    pub record: Record,
    /// The last trouble.
    pub trouble: Option<String>,
    /// The position of the work.
    pub place: Place,
}

/// The position of open work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// With a worker.
    Running,
    /// Ready to start.
    Ready,
    /// Pauses until this instant.
    Rests(Millis),
    /// Behind another item of the same agent and task. That item runs, or is earlier and must not be
    /// overtaken, or has an unsettled turn.
    Behind(WorkId),
    /// A row of the same agent and task that a newer version wrote comes first.
    BehindUnreadable(WorkId),
    /// Ready, but a limit keeps its turn from starting: a sentence.
    Limited(String),
}

/// The receiver of a reply. It is called at most once.
pub struct ReplyTo(Box<dyn FnOnce(OperatorReply) + Send>);

impl ReplyTo {
    /// Calls `receiver` with the reply.
    pub fn new(receiver: impl FnOnce(OperatorReply) + Send + 'static) -> Self {
        Self(Box::new(receiver))
    }

    /// Sends the reply.
    pub fn tell(self, reply: OperatorReply) {
        (self.0)(reply);
    }
}

impl fmt::Debug for ReplyTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplyTo")
    }
}
