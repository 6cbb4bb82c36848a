//! Why a step of a delivery failed, with a sentence for each cause.

use std::fmt;
use std::time::Duration;

use super::reply::Silence;
use crate::gateway::history::Waiting;
use crate::gateway::{self, GatewayError};

/// What was in the way of a delivery.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// A call of the backend failed.
    Backend(Setback),
    /// A turn failed.
    Gateway(GatewayError),
    /// A page came in place of an answer, while others get through: it may be this row's own trouble, or nobody's.
    Aside(GatewayError),
    /// The answer of a turn was lost.
    Unsettled(Unsettled),
    /// The agent said nothing where it should.
    Silence(Silence),
    /// The backend listed the row and then knew nothing of it.
    NoContext,
    /// Somebody else has begun it since it was listed.
    StartedElsewhere,
    /// The backend answered with something else than was asked for.
    Foreign,
    /// The ledger cannot be written, so nothing is begun that a crash would let happen twice: why not.
    NotNoted(String),
    /// What was written and lost its answer is not there, but may still come for so long.
    OnItsWay(Duration),
    /// Whether a message stands in the thread cannot be told.
    Undecided,
    /// It is settled, and a later message has come into it since: it is delivered once more.
    Moved,
    /// A person does not want to wait any longer.
    GivenUp,
    /// A person has stopped the work on the task.
    Stopped,
    /// The runtime has crashed so many times in a row over this delivery alone.
    Crashes(u32),
    /// Our own mistake: the worker broke down.
    Broken,
}

impl Trouble {
    /// For people who have never heard of a runtime: the end of a sentence.
    pub fn in_public(&self) -> &'static str {
        match self {
            Self::Backend(_) | Self::NoContext | Self::StartedElsewhere | Self::Foreign => {
                "Mission Control refuses it"
            }
            Self::Gateway(error) | Self::Aside(error) => error.why.explain(),
            Self::Unsettled(unsettled) => unsettled.in_public(),
            Self::Silence(silence) => silence.explain(),
            Self::NotNoted(_) => "the runtime cannot write down what it does",
            Self::OnItsWay(_) => "an answer of Mission Control was lost",
            Self::Undecided => "it cannot be told whether the answer was posted",
            Self::Moved => "a later message has come into it",
            Self::GivenUp => "a person has given it up",
            Self::Stopped => "a person has stopped the work on the task",
            Self::Crashes(_) => "the runtime crashes whenever it works on it",
            Self::Broken => "the runtime has a bug",
        }
    }

    /// Whether it is only waited for something that will come: no failure of anybody.
    pub fn is_patience(&self) -> bool {
        matches!(
            self,
            Self::Unsettled(Unsettled::Waiting { .. })
                | Self::OnItsWay(_)
                | Self::StartedElsewhere
                | Self::Moved
                | Self::NotNoted(_)
        )
    }
}

/// What is known of a turn whose answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsettled {
    /// It may still be answered.
    Waiting {
        /// What is waited for.
        why: Waiting,
        /// When to look again.
        pause: Duration,
    },
    /// It may still be answered, but has shown no sign of life for too long.
    Stuck(Waiting),
    /// The same for the second time: it was ended, and is not sent again.
    StuckAgain,
    /// It is nowhere to be found, so it is sent again.
    Absent,
    /// The same, and its answer was not lost on the way: this process ended before it came.
    Interrupted,
    /// It was answered, and not all of the answer can be read.
    Cut,
    /// The gateway does not show what became of it.
    Unknown,
}

impl Unsettled {
    fn in_public(self) -> &'static str {
        match self {
            Self::Waiting { .. } | Self::Absent => "the answer was lost on the way",
            Self::Interrupted => "the runtime was restarted during the agent's turn",
            Self::Stuck(_) | Self::StuckAgain => "the agent's turn showed no sign of life",
            Self::Cut => "the answer was lost on the way, and only its beginning can be found",
            Self::Unknown => {
                "the answer was lost on the way, and the gateway does not show what became of it"
            }
        }
    }
}

impl fmt::Display for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting { why, .. } => write!(f, "the answer was lost: {}", why.explain()),
            Self::Stuck(why) => write!(f, "the answer was lost, and the turn is stuck: {}", why.explain()),
            Self::StuckAgain => {
                f.write_str("the turn was stuck for the second time: it was ended, and is not sent again")
            }
            Self::Absent => f.write_str("the answer was lost and is not in the session"),
            Self::Interrupted => {
                f.write_str("the runtime was restarted during the turn, and the session shows no answer")
            }
            Self::Cut => f.write_str("answer found, but cut: the gateway shows only the beginning of it"),
            Self::Unknown => f.write_str(
                "unknown outcome: the answer was lost, and the gateway does not show its sessions",
            ),
        }
    }
}

impl Trouble {
    /// Whether every row would meet it, because nothing is let through to the gateway.
    pub fn is_everybodys(&self) -> bool {
        matches!(self, Self::Gateway(error) if error.class == gateway::Class::Closed)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backend(setback) => f.write_str(&setback.sentence),
            Self::Gateway(error) | Self::Aside(error) => error.fmt(f),
            Self::Unsettled(unsettled) => unsettled.fmt(f),
            Self::Silence(silence) => write!(f, "the agent did not answer: {}.", silence.explain()),
            Self::NoContext => f.write_str("Mission Control listed it and then knew nothing of it."),
            Self::StartedElsewhere => f.write_str("somebody else has begun it."),
            Self::Foreign => {
                f.write_str("Mission Control answered with the context of another notification.")
            }
            Self::NotNoted(why) => {
                write!(f, "nothing is begun that could not be written down before: {why}")
            }
            Self::OnItsWay(_) => f.write_str(
                "an answer of Mission Control was lost, and what was asked may still be on its way there.",
            ),
            Self::Undecided => f.write_str(
                "unknown outcome: the thread is too long to tell whether the message stands in it already.",
            ),
            Self::Moved => f.write_str("a later message has come into it: it is delivered once more."),
            Self::Crashes(count) => write!(
                f,
                "the runtime crashed {count} times in a row while it worked on this delivery alone; please report this \
                 as a bug."
            ),
            Self::GivenUp => f.write_str("a person did not want to wait for the agent any longer."),
            Self::Stopped => f.write_str("a person stopped the work on this task."),
            Self::Broken => f.write_str("the worker broke down; please report this as a bug."),
        }
    }
}

/// A failed call of the backend, as far as it matters for a row.
#[derive(Clone, Debug)]
pub struct Setback {
    /// What it means.
    pub weight: Weight,
    /// How long the backend wants to be left alone.
    pub not_before: Option<Duration>,
    /// What happened, redacted.
    pub sentence: String,
}

/// What a failed call means for a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// The backend is away or in trouble: nobody's fault.
    Passing,
    /// It may have to do with the row, and may pass.
    Doubtful,
    /// The backend will say the same every time.
    Final,
}
