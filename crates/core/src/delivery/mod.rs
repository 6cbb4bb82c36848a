//! A conversation: from a notification to the posted answer.
//!
//! ```text
//! poller ─Listed──► dispatcher ──Job──► worker ──► deliver: context → policy → turn ⇄ tools → post → mark
//!    ▲                  │ ▲                                                    │
//!    └──List, Probe─────┘ └───────────────────Finished, Nudge─────────────────┘
//! ```
//!
//! The [`scheduler`] owns all scheduling state: a plain struct without threads, fed with events and the time. It connects
//! a source of work with the `dispatcher`. The `notification_source` asks for lists of undelivered notifications. It
//! consists of the poll schedule (`poll_schedule`) and the check for a duplicate runtime (`duplicate_runtime`). The `dispatcher` decides what
//! starts next. It consists of the `queue` (tracks, ranks, overtaking), the breaker for the gateway (`gateway_breaker`) and the
//! `finished` items. A worker takes a job and delivers it step by step. The decisions on the way are modules of their own:
//! `policy` (whether the agent hears of a notification), `prompt` (what the agent is told), `reply` (what its answer
//! means), `retry` (what happens after a failure).
//!
//! What is scheduled is [`work`], of whatever kind. A **row** is a notification as the backend lists it, and
//! the first kind of work. A **delivery** is everything that is done for one unit of work. What has been done is its
//! [`Record`], so that a delivery that stops anywhere goes on from there. Every delivery ends in exactly one [`End`].

pub mod cause;
pub mod crash;
pub mod dead_letters;
pub mod delivery_stats;
mod dispatcher;
pub mod duplicate_runtime;
pub mod failure;
mod finished;
mod gateway_breaker;
pub mod journal;
pub mod ledger_row;
mod notification_source;
pub mod operator_requests;
pub mod policy;
mod poll_schedule;
pub mod prompt;
mod queue;
mod record;
pub mod reply;
pub mod retry;
pub mod scheduler;
mod stamp;
pub mod thread_notices;
pub mod tool_log;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::work;

pub use duplicate_runtime::ForeignRuntime;
pub use failure::{Trouble, Unsettled};
pub use record::{
    FORM, Notice, PendingAnswer, Record, Sent, Stage, ToolRounds, UnknownFields, Waits, WithUnknown,
    from_form_1,
};
pub use stamp::Stamp;

use policy::Skip;
use reply::Silence;

/// A delivery on its way.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its number: the order of first sight.
    pub number: u64,
    /// What is to be done, as its source last showed it.
    pub work: Arc<work::Work>,
    /// What has been done for it.
    pub record: Record,
    /// Whether the gateway has answered a turn of this attempt, or a question about one. The breaker takes nothing else
    /// as a sign that the gateway is there.
    pub gateway_answered: bool,
}

impl Job {
    /// An attempt that has done nothing yet.
    pub fn new(number: u64, work: Arc<work::Work>, record: Record) -> Self {
        Self { number, work, record, gateway_answered: false }
    }

    /// Whether its next step is a turn of the agent, or the search for one.
    pub fn needs_turn(&self) -> bool {
        self.record.needs_turn(&self.work)
    }
}

/// How a delivery ends; exactly one for each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// The agent's answer stands in the thread, in this many messages.
    Answered(usize),
    /// The agent answered, but there is no thread: the answer is kept here.
    Kept(String),
    /// The agent had nothing to say, and need not.
    Silent(Silence),
    /// The agent should have answered and did not, however often it was asked.
    Unanswered(Silence),
    /// The agent did not hear of it, for this reason.
    Skipped(Skip),
    /// It is no longer there to be delivered: settled by somebody else, or deleted.
    Gone,
    /// A person has stopped the work on the task while the agent was at work.
    Stopped,
    /// It was given up, for this reason.
    Dead(String),
    /// It had been given up for this reason, and a person has closed it for good.
    Dropped(String),
}

impl End {
    /// The names of all ends.
    pub const NAMES: [&str; 9] =
        ["answered", "kept", "silent", "unanswered", "skipped", "gone", "stopped", "dead", "dropped"];

    /// Its name, the same in `/health`, logs and figures.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Answered(_) => "answered",
            Self::Kept(_) => "kept",
            Self::Silent(_) => "silent",
            Self::Unanswered(_) => "unanswered",
            Self::Skipped(_) => "skipped",
            Self::Gone => "gone",
            Self::Stopped => "stopped",
            Self::Dead(_) => "dead",
            Self::Dropped(_) => "dropped",
        }
    }

    /// Whether the backend is to be told that it is settled: not of rows that it no longer knows, or that are not ours.
    pub fn is_marked(&self) -> bool {
        !matches!(self, Self::Gone)
    }
}

/// What a worker has to say about its job.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It is over.
    Closed(End),
    /// Not yet.
    Again {
        /// What was in the way.
        trouble: Trouble,
        /// How long to let it rest; none where it depends on the gateway alone.
        pause: Option<std::time::Duration>,
    },
}
