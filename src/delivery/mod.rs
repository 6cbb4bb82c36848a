//! A conversation: from a notification to the posted answer.
//!
//! ```text
//! scout ──Listed──► dispatcher ──Job──► worker ──► deliver: context → policy → turn ⇄ tools → post → mark
//!    ▲                  │ ▲                                                    │
//!    └──List, Probe─────┘ └───────────────────Finished, Nudge─────────────────┘
//! ```
//!
//! The `dispatcher` owns what is known of every row and decides who is next: a plain struct without threads, fed with
//! events and the time. It is made of the `queue` (tracks, ranks, overtaking), the `pace` of the lists, the `gate`
//! that closes while the gateway is away, and the watch for a `rival`, another runtime on the same account. A worker takes a job and walks down the road of `deliver`, step by step; what
//! it decides on the way stands in rooms of its own: `policy` (whether the agent hears of it), `prompt` (what it is
//! told), `calls` (the tools that it calls), `reply` (what its answer means), `post` (how it gets into the thread), `settle` (what became of a turn whose answer was lost), `retry` (what happens
//! after a failure).
//!
//! A **row** is a notification as the backend lists it. A **track** is the strict order of one agent and one task (or
//! none); it is known from the row alone. A **delivery** is everything that is done for one row; what has been done is
//! its [`Record`], so that a delivery that stops anywhere goes on from there. Every delivery ends in exactly one
//! [`End`].

mod calls;
pub mod deliver;
pub mod desk;
pub mod dispatcher;
mod gate;
pub mod journal;
mod pace;
pub mod policy;
mod post;
pub mod prompt;
mod queue;
pub mod reply;
pub mod retry;
mod rival;
pub mod scout;
pub mod service;
mod settle;
mod talk;
pub mod tally;
pub mod worker;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::clock::Millis;
use crate::gateway::{ToolCall, ToolOutput};
use crate::model::{MessageId, Notification, SessionKey, TaskId};

pub use retry::{Trouble, Unsettled};
pub use rival::Foreign;

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
///
/// It is kept across restarts under the names that stand here; a new field needs `#[serde(default)]`. What is not
/// understood is refused as a whole: it may be the very step that must not be repeated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Attempts that failed.
    pub failures: u32,
    /// How often the backend refused without a reason that would settle it.
    pub doubts: u32,
    /// How often the backend was out of reach; nobody's fault, so it only lengthens the pauses.
    pub outages: u32,
    /// How often it found the gate to the gateway closed.
    pub turned_away: u32,
    /// How many turns, of whomever, had been answered when it last did.
    pub answered_then: u64,
    /// Turns in which the model's provider was in the way.
    pub provider: u32,
    /// Turns whose answer was lost and nowhere to be found: so often it was sent again.
    pub lost: u32,
    /// The turn that was sent and is not settled; before anything else is sent, it is.
    pub sent: Option<Sent>,
    /// The last attempt that the agent has seen and that came to nothing: it may have done part of it.
    pub unheard: Option<u32>,
    /// Turns that brought neither words nor calls, where some were due.
    pub silences: u32,
    /// How often the backend knew nothing of it.
    pub unknown: u32,
    /// What the agent has heard: the message of the row and its time, as they were when the agent was told.
    pub heard: Option<(Option<MessageId>, Millis)>,
    /// Whether an answer stands in the thread that carries the row's id: the backend admits one, so no further one can.
    pub answered: bool,
    /// How far it is.
    pub stage: Stage,
}

/// A turn under way. It is noted before the turn is sent, and taken back when the turn is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sent {
    /// In this session.
    pub session: SessionKey,
    /// To this agent: the gateway's id.
    pub agent: String,
    /// The number in its marker.
    pub attempt: u32,
    /// The id of its run, once the gateway has named it.
    pub run: Option<String>,
    /// When.
    pub at: Millis,
    /// When its answer was found to be lost.
    pub lost: Option<Millis>,
    /// The gateway itself said that the run failed, and not why.
    pub failed: bool,
    /// And the model had written something by then.
    pub spoke: bool,
    /// When its session was read for the first time since.
    pub looked: Option<Millis>,
    /// The last item of the session at the last reading, and when it was new.
    pub grown: Option<(u64, Millis)>,
}

/// How far a delivery is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
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
        /// Whether the next of them may be there, too: its posting was not confirmed.
        unsettled: bool,
        /// Whether the task moves on once they are.
        advance: bool,
    },
    /// All is done; the backend does not know it yet.
    Ended(End),
}

/// The middle of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Work {
    /// The calls that are still to be made, in order.
    pub pending: VecDeque<ToolCall>,
    /// Whether the first of them has begun: it may have been carried out.
    pub begun: bool,
    /// The results that go back once all calls are made.
    pub outputs: Vec<ToolOutput>,
    /// How many times results went back, with these.
    pub rounds: u32,
    /// How many calls were made.
    pub calls: u32,
    /// Whether any of them did what it was asked for.
    pub acted: bool,
    /// What it said beside its calls, in case it says nothing afterwards.
    pub said: Option<String>,
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
