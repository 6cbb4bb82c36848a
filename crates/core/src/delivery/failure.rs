//! Why a step of a delivery failed, with a sentence for each cause.

use std::fmt;
use std::time::Duration;

use super::reply::Silence;
use crate::gateway::history::Waiting;
use crate::gateway::{self, GatewayError};

/// Why a delivery could not continue.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// A call of the backend failed.
    Backend(BackendFailure),
    /// A turn failed.
    Gateway(GatewayError),
    /// A page came in place of an answer, while other turns succeed. It may concern this row alone, or no
    /// row.
    Aside(GatewayError),
    /// The answer of a turn was lost.
    Unsettled(Unsettled),
    /// The agent's reply was silent although an answer is expected.
    Silence(Silence),
    /// The backend listed the row and then did not know it.
    NoContext,
    /// Another runtime has started the row since it was listed.
    StartedElsewhere,
    /// The backend answered with another object than the requested one.
    Foreign,
    /// The ledger cannot be written, for this reason. No step starts that a crash might repeat.
    NotNoted(String),
    /// A write whose answer was lost is not visible, but may still arrive within this time.
    OnItsWay(Duration),
    /// Whether the message is in the thread cannot be determined.
    Undecided,
    /// The row is settled, and a later message has been folded into it since: it is delivered again.
    Moved,
    /// The turn is not sent, or was aborted, because a budget is reached or reserved: a sentence.
    OverBudget(String),
    /// An agent has caused the row, and this attempt may only send turns that people have caused.
    AgentRowsWait,
    /// The roster lacks the agent of an answered heartbeat, and no later roster has confirmed that the agent is gone.
    AgentUnconfirmed,
    /// A person has requested that the runtime stops waiting.
    GivenUp,
    /// A person has stopped the work on the task.
    Stopped,
    /// The agent has made this many calls in one turn, of which the client received none.
    CallLoop(u32),
    /// The runtime has crashed this many times in a row over this delivery alone.
    Crashes(u32),
    /// A bug of ours: the worker panicked.
    Broken,
}

impl Trouble {
    /// For readers of the thread, who may not know the runtime: the end of a sentence.
    pub fn in_public(&self) -> &'static str {
        match self {
            Self::Backend(_) => "Mission Control did not accept a request of the runtime",
            Self::NoContext => "Mission Control listed the notification and did not return it",
            Self::StartedElsewhere => "another runtime is working on it",
            Self::Foreign => "Mission Control returned another notification",
            Self::Gateway(error) | Self::Aside(error) => error.why.explain(),
            Self::Unsettled(unsettled) => unsettled.in_public(),
            Self::Silence(silence) => silence.explain(),
            Self::NotNoted(_) => "the runtime cannot record its progress",
            Self::OnItsWay(_) => "Mission Control did not confirm a change",
            Self::Undecided => "the runtime cannot determine whether the answer was posted",
            Self::Moved => "a later message was added to the notification",
            Self::OverBudget(_) => "a daily budget is reached",
            Self::AgentRowsWait => "notifications that agents caused wait",
            Self::AgentUnconfirmed => "Mission Control did not list the agent",
            Self::GivenUp => "an operator stopped the wait for the agent",
            Self::Stopped => "a person stopped the work on the task",
            Self::CallLoop(_) => {
                "the agent repeated tool calls in one turn without waiting for their results"
            }
            Self::Crashes(_) => "the runtime crashed repeatedly while it worked on this",
            Self::Broken => "the runtime had an internal error",
        }
    }

    /// Whether the delivery ends although its turn may still run, so that the turn must be aborted.
    pub fn abandons_turn(&self) -> bool {
        matches!(self, Self::GivenUp | Self::Stopped | Self::CallLoop(_) | Self::Crashes(_))
    }

    /// Whether the delivery only waits for an expected event, so that nothing has failed.
    pub fn is_patience(&self) -> bool {
        matches!(
            self,
            Self::Unsettled(Unsettled::Waiting { .. })
                | Self::OnItsWay(_)
                | Self::StartedElsewhere
                | Self::Moved
                | Self::OverBudget(_)
                | Self::AgentRowsWait
                | Self::AgentUnconfirmed
                | Self::NotNoted(_)
        )
    }
}

/// The state of a turn whose answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsettled {
    /// The turn may still be answered.
    Waiting {
        /// The reason to wait.
        why: Waiting,
        /// The pause before the next reading.
        pause: Duration,
    },
    /// The turn may still be answered, but has shown no sign of life for too long.
    Stuck(Waiting),
    /// Stuck for the second time: the run was aborted, and the turn is not sent again.
    StuckAgain,
    /// The session has no trace of the turn, so it is sent again.
    Absent,
    /// The session no longer has the question whose results are due, so the question is sent again.
    Forgotten,
    /// The gateway resumed the turn without its tools and answered, so the agent is asked again.
    ToolsMissing,
    /// No trace either, but this process ended before the answer came, so no answer was lost.
    Interrupted,
    /// The turn was answered, and not all of the answer can be read.
    Cut,
    /// The gateway does not show the outcome.
    Unknown,
}

impl Unsettled {
    fn in_public(self) -> &'static str {
        match self {
            Self::Waiting { .. } | Self::Absent => "the answer was lost",
            Self::Forgotten => "the agent's session was reset during its work",
            Self::ToolsMissing => "the gateway was restarted during the agent's turn",
            Self::Interrupted => "the runtime was restarted during the agent's turn",
            Self::Stuck(_) | Self::StuckAgain => "the agent's turn showed no sign of life",
            Self::Cut => "the answer was lost, and only its beginning can be found",
            Self::Unknown => "the answer was lost, and the gateway does not show the outcome",
        }
    }
}

impl fmt::Display for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting { why, .. } => write!(f, "the answer was lost: {}", why.explain()),
            Self::Stuck(why) => write!(f, "the answer was lost, and the turn is stuck: {}", why.explain()),
            Self::StuckAgain => {
                f.write_str("the turn was stuck for the second time: it was aborted and is not sent again; look at the agent's model at the gateway")
            }
            Self::Absent => f.write_str("the answer was lost and is not in the session"),
            Self::Forgotten => f.write_str(
                "the session no longer has the question whose results are due: it was reset, or the gateway's state was restored",
            ),
            Self::ToolsMissing => f.write_str(
                "the gateway was restarted and resumed the turn without its tools: the agent is asked again",
            ),
            Self::Interrupted => {
                f.write_str("the runtime was restarted during the turn, and the session shows no answer")
            }
            Self::Cut => f.write_str("the answer is incomplete: the gateway shows only its beginning; read the rest in the agent's session"),
            Self::Unknown => f.write_str(
                "unknown outcome: the answer was lost, and the gateway does not show its sessions; look in the agent's \
                 session",
            ),
        }
    }
}

impl Trouble {
    /// Whether the failure affects every row, because the gateway accepts no turns.
    pub fn is_everybodys(&self) -> bool {
        matches!(self, Self::Gateway(error) if error.class == gateway::Class::Closed)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backend(backend_failure) => f.write_str(&backend_failure.sentence),
            Self::Gateway(error) | Self::Aside(error) => error.fmt(f),
            Self::Unsettled(unsettled) => unsettled.fmt(f),
            Self::Silence(silence) => write!(f, "the agent did not answer: {}.", silence.explain()),
            Self::NoContext => f.write_str(
                "Mission Control listed the notification but returned no context for it; it may have been deleted since.",
            ),
            Self::StartedElsewhere => f.write_str(
                "another runtime has started this notification; an account may have only one runtime.",
            ),
            Self::Foreign => {
                f.write_str(
                    "Mission Control returned the context of another notification; check that its version matches the runtime's.",
                )
            }
            Self::NotNoted(why) => {
                write!(f, "progress cannot be recorded, so no step starts that a crash could repeat: {why}")
            }
            Self::OnItsWay(_) => {
                f.write_str("Mission Control did not confirm a write, and the write may still arrive: the runtime checks again.")
            }
            Self::Undecided => f.write_str(
                "unknown outcome: the thread is too long to determine whether it contains the message; look for it there.",
            ),
            Self::Moved => f.write_str("a later message was added to the notification, so it is delivered again."),
            Self::CallLoop(calls) => write!(
                f,
                "the agent made {calls} tool calls in one turn without waiting for their results, which exceeds TOOL_MAX_CALLS. \
                 The turn was ended, and none of these calls ran. Releases up to 2026.5.7 permit such turns: upgrade the gateway."
            ),
            Self::Crashes(count) => write!(
                f,
                "the runtime crashed {count} times in a row while it worked on this delivery alone; please report this \
                 as a bug, with the log."
            ),
            Self::OverBudget(sentence) => f.write_str(sentence),
            Self::AgentRowsWait => f.write_str("an agent caused it, and notifications that agents caused wait."),
            Self::AgentUnconfirmed => {
                f.write_str("Mission Control did not list the agent; the runtime waits for a second list to confirm that.")
            }
            Self::GivenUp => f.write_str("an operator stopped the wait for the agent."),
            Self::Stopped => f.write_str("a person stopped the work on this task."),
            Self::Broken => f.write_str("a worker thread panicked; please report this as a bug, with the log."),
        }
    }
}

/// A failed call of the backend, as far as it concerns a row.
#[derive(Clone, Debug)]
pub struct BackendFailure {
    /// What the failure means for the row.
    pub weight: Weight,
    /// How long the backend wants no further call.
    pub not_before: Option<Duration>,
    /// What happened, redacted.
    pub sentence: String,
}

/// What a failed call means for a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// The backend is unavailable or failing; the row is not the cause.
    Passing,
    /// The row may be the cause, and the failure may pass.
    Doubtful,
    /// The backend would refuse every repetition.
    Final,
}
