//! A conversation: from a notification to the posted answer.
//!
//! ```text
//! scout ──Listed──► dispatcher ──Job──► worker ──► deliver: context → policy → turn ⇄ tools → post → mark
//!    ▲                  │ ▲                                                    │
//!    └──List, Probe─────┘ └───────────────────Finished, Nudge─────────────────┘
//! ```
//!
//! The `dispatcher` owns what is known of every row and decides who is next: a plain struct without threads, fed with
//! events and the time. It is made of the `queue` (tracks, ranks, overtaking), the `pace` of the lists, and the `gate`
//! that closes while the gateway is away. A worker takes a job and walks down the road of `deliver`, step by step; what
//! it decides on the way stands in rooms of its own: `policy` (whether the agent hears of it), `prompt` (what it is
//! told), `reply` (what its answer means), `retry` (what happens after a failure).
//!
//! A **row** is a notification as the backend lists it. A **track** is the strict order of one agent and one task (or
//! none); it is known from the row alone. A **delivery** is everything that is done for one row; what has been done is
//! its [`Record`], so that a delivery that stops anywhere goes on from there. Every delivery ends in exactly one
//! [`End`].

pub mod deliver;
pub mod dispatcher;
mod gate;
mod pace;
pub mod policy;
pub mod prompt;
mod queue;
pub mod reply;
pub mod retry;
pub mod scout;
pub mod service;
mod talk;
pub mod tally;
pub mod worker;

use crate::gateway::ToolOutput;
use crate::model::{Notification, TaskId};

pub use retry::Trouble;

use policy::Skip;
use reply::Silence;

/// The strict order of one agent and one task; what an agent does without a task is one track, too.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Track {
    /// The recipient.
    pub agent: String,
    /// About what.
    pub task: Option<TaskId>,
}

impl Track {
    /// The track of a row.
    pub fn of(row: &Notification) -> Self {
        Self { agent: row.recipient_id.clone(), task: row.task_id.clone() }
    }
}

/// A delivery on its way.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its number: the order of first sight.
    pub number: u64,
    /// What is to be delivered, as it was last listed.
    pub row: Notification,
    /// What has been done for it.
    pub record: Record,
}

/// What has been done for a row. Each step is noted here before the next one begins, and is not done again.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Attempts that failed.
    pub failures: u32,
    /// How often the backend was out of reach; nobody's fault, so it only lengthens the pauses.
    pub outages: u32,
    /// How often it found the gate to the gateway closed.
    pub turned_away: u32,
    /// Turns that were sent and whose fate is not known: the agent may have seen them.
    pub lost: u32,
    /// Turns that brought neither words nor calls, where some were due.
    pub silences: u32,
    /// How often the backend knew nothing of it.
    pub unknown: u32,
    /// How far it is.
    pub stage: Stage,
}

/// How far a delivery is.
#[derive(Clone, Debug, Default)]
pub enum Stage {
    /// Nothing has been said to the agent that it has answered.
    #[default]
    Fresh,
    /// The agent has called tools; these are the results that it has not got yet.
    Working(Work),
    /// The agent has answered; this much is posted.
    Answered {
        /// The answer, in messages.
        parts: Vec<String>,
        /// How many of them are in the thread.
        posted: usize,
        /// Whether the task moves on once they are.
        advance: bool,
    },
    /// All is done; the backend does not know it yet.
    Ended(End),
}

/// The middle of a conversation.
#[derive(Clone, Debug, Default)]
pub struct Work {
    /// The results that go back.
    pub outputs: Vec<ToolOutput>,
    /// How many times results went back, with these.
    pub rounds: u32,
    /// How many calls were made.
    pub calls: u32,
    /// What it said beside its calls, in case it says nothing afterwards.
    pub said: Option<String>,
}

/// How a delivery ends; exactly one for each.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// It was given up, for this reason.
    Dead(String),
}

impl End {
    /// Its name, the same in `/health`, logs and figures.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Answered(_) => "answered",
            Self::Kept(_) => "kept",
            Self::Silent(_) => "silent",
            Self::Unanswered(_) => "unanswered",
            Self::Skipped(_) => "skipped",
            Self::Gone => "gone",
            Self::Dead(_) => "dead",
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
