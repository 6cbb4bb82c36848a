//! Deliveries: from a notification to the posted answer.
//!
//! ```text
//! poller ─Listed──► dispatcher ──Job──► worker ──► deliver: context → policy → turn ⇄ tools → post → mark
//!    ▲                  │ ▲                                                    │
//!    └──List, Probe─────┘ └───────────────────Finished, Nudge─────────────────┘
//! ```
//!
//! The [`scheduler`] owns all scheduling state: a plain struct without threads that takes events and the
//! time. It connects a source of work with the `dispatcher`. The `notification_source` requests lists of
//! undelivered notifications. It consists of the poll schedule (`poll_schedule`) and the check for a
//! duplicate runtime (`duplicate_runtime`). The `dispatcher` decides what starts next. It consists of the
//! `queue` (tracks, ranks, overtaking), the breaker for the gateway (`gateway_breaker`) and the `finished`
//! items. A worker takes a job and delivers it step by step. The decisions on the way have their own modules:
//! `policy` (whether the agent receives a notification), `prompt` (the briefing), `reply` (the meaning of its
//! answer), `retry` (the reaction to a failure).
//!
//! The unit of scheduling is [`work`], of any kind. A **row** is a notification as the backend lists it, and
//! the first kind of work. A **delivery** is everything that is done for one unit of work. Its [`Record`]
//! holds what was done, so that a delivery continues wherever it stopped. Every delivery ends in exactly one
//! [`End`].

pub mod acts;
pub mod agent_limits;
pub mod backlog;
mod call_rate;
pub mod cause;
pub mod crash;
pub mod dead_letters;
pub mod delivery_stats;
mod dispatcher;
pub mod duplicate_runtime;
pub mod failure;
mod finished;
pub mod fold;
mod gateway_breaker;
pub mod journal;
pub mod ledger_row;
pub mod limited;
mod notification_source;
pub mod operator_requests;
pub mod policy;
mod poll_schedule;
pub mod prompt;
mod queue;
pub mod quiet_mode;
mod record;
pub mod reply;
pub mod retry;
pub mod scheduler;
mod scheduler_messages;
mod stamp;
pub mod stopped_rows;
pub mod thread_notices;
pub mod tool_log;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::guardrails::origin::Origin;
use crate::work;

pub use duplicate_runtime::ForeignRuntime;
pub use failure::{Trouble, Unsettled};
pub use finished::ClosedWork;
pub use fold::Fold;
pub use record::{
    AwaitedBy, BeatRecord, FORM, JobRecord, Notice, PendingAnswer, Record, Sent, Stage, ToolRounds,
    UnknownFields, WithUnknown, from_form_1,
};
pub use stamp::Stamp;

use policy::Skip;
use reply::Silence;

/// A delivery with a worker.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its number, in the order of first listing.
    pub number: u64,
    /// The work, as its source last showed it.
    pub work: Arc<work::Work>,
    /// The record of what was done.
    pub record: Record,
    /// Whether the gateway has answered a turn of this attempt, or a question about one. The breaker accepts
    /// no other evidence that the gateway is reachable.
    pub gateway_answered: bool,
    /// Which new turns this attempt may send.
    pub permit: Permit,
    /// The waiting rows of the same agent and task that the turn answers as well.
    pub folds: Vec<Fold>,
}

/// Which new turns an attempt may send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Permit {
    /// Any turn.
    #[default]
    Any,
    /// Only a turn that a person has caused. The attempt reads the context, and leaves a row of an agent to a later one.
    People,
}

impl Job {
    /// A delivery at the beginning of an attempt.
    pub fn new(number: u64, work: Arc<work::Work>, record: Record) -> Self {
        Self { number, work, record, gateway_answered: false, permit: Permit::Any, folds: Vec::new() }
    }

    /// Whether the delivery has ended in the ledger already, and only its mark is retried. Lists show a row until it
    /// has its mark, so the retry records nothing. An end that a person sets meanwhile therefore stays.
    pub fn is_only_marked(&self) -> bool {
        self.record.is_closed && self.work.source() == work::Source::Listed
    }

    /// The end of work that is given up with this end. The next heartbeat takes the place of one that is given up, and the
    /// queue of a pool decides about a job: so neither is a dead letter.
    pub fn given_up(&self, end: End) -> End {
        match end {
            End::Dead(why) if self.work.is_heartbeat() || self.work.is_job() => End::Missed(why),
            end => end,
        }
    }

    /// Whether the ledger has, or gets, a row for it. A heartbeat has one once its turn is sent, or it asks another agent:
    /// before that there is nothing to continue, and saved heartbeats would displace the rows of other deliveries.
    pub fn is_recorded(&self) -> bool {
        !self.work.is_heartbeat() || self.record.beat.is_some()
    }

    /// Whether the attempt may send a new turn that `origin` has caused.
    pub fn permits(&self, origin: Origin) -> bool {
        self.permit == Permit::Any || origin == Origin::Person
    }

    /// Whether its next step is a turn of the agent, or the search for one.
    pub fn needs_turn(&self) -> bool {
        self.record.needs_turn(&self.work)
    }
}

/// The outcome of a delivery; each has exactly one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// The agent's answer is in the thread, in this many messages.
    Answered(usize),
    /// The agent answered, but there is no thread: the answer is kept here.
    Kept(String),
    /// The agent had nothing to say, and no answer was required.
    Silent(Silence),
    /// The agent was asked repeatedly for an expected answer and stayed silent.
    Unanswered(Silence),
    /// The notification was not sent to the agent, for this reason.
    Skipped(Skip),
    /// The notification no longer exists: it was deleted, or settled elsewhere.
    Gone,
    /// A person has stopped the work on the task during the turn.
    Stopped,
    /// The delivery was given up, for this reason.
    Dead(String),
    /// The delivery had been given up for this reason, and a person has closed it permanently.
    Dropped(String),
    /// The turn of this other notification, of the same agent and task, had its text and answered it.
    Folded(work::WorkId),
    /// A heartbeat or a job of a pool was given up, for this reason. The next heartbeat takes its place, or the queue
    /// decides, so no person has to.
    Missed(String),
}

impl End {
    /// The names of all outcomes.
    pub const NAMES: [&str; 11] = [
        "answered",
        "kept",
        "silent",
        "unanswered",
        "skipped",
        "gone",
        "stopped",
        "dead",
        "dropped",
        "folded",
        "missed",
    ];

    /// The name, the same in `/health`, logs and metrics.
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
            Self::Folded(_) => "folded",
            Self::Missed(_) => "missed",
        }
    }

    /// Whether the agent got the question and ended its turn, so that rows folded into it are settled too.
    pub fn covers(&self) -> bool {
        matches!(self, Self::Answered(_) | Self::Kept(_) | Self::Silent(_) | Self::Unanswered(_))
    }

    /// Whether the backend must be informed that the row is settled. It is not if the backend no longer knows
    /// the row, or if the row is not ours.
    pub fn is_marked(&self) -> bool {
        !matches!(self, Self::Gone)
    }
}

/// The result of a worker's attempt.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The delivery has ended.
    Closed(End),
    /// Another attempt is needed.
    Again {
        /// Why the attempt did not end the delivery.
        trouble: Trouble,
        /// The pause before the next attempt; `None` if it depends on the gateway alone.
        pause: Option<std::time::Duration>,
    },
}
