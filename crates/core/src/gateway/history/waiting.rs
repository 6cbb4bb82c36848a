//! Why the outcome of a lost turn is not settled yet, and when to look again.

use std::time::Duration;

/// Between two attempts to read the history.
const UNREADABLE: Duration = Duration::from_secs(2);
/// Between two attempts to fetch a whole answer; each opens its own connection.
const FETCHING: Duration = Duration::from_secs(5);
/// Between two readings while the gateway starts. Early readings matter: a new turn must precede the
/// gateway's own recovery.
const STARTING: Duration = Duration::from_secs(1);

/// Why to wait, and how far the session has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// The pause before the next reading.
    pub again_in: Duration,
    /// The reason to wait.
    pub why: Waiting,
    /// The number of the session's last item; `None` if it was not read. A growing number means an active
    /// run.
    pub last: Option<u64>,
    /// How many calls the model has made whose results it has not received; 0 where the gateway waits for them.
    pub promised: u32,
}

/// The reason to read again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Waiting {
    /// The gateway is starting.
    Starting,
    /// The history could not be read.
    Unreadable,
    /// The gateway may not have noticed yet that the client is gone.
    WindingUp,
    /// The run continues without a client.
    GoesOn,
    /// The gateway resumes the turn by itself, or is about to.
    Resuming,
    /// No trace so far; a second reading confirms it.
    SecondLook,
    /// The answer exists, but the whole text could not be read.
    Fetching,
}

impl Waiting {
    /// What happens at the gateway, as the beginning of a sentence.
    pub fn explain(self) -> &'static str {
        match self {
            Self::Starting => "the gateway is starting",
            Self::Unreadable => "the session's history could not be read",
            Self::WindingUp => "the gateway may still be ending the interrupted turn",
            Self::GoesOn => "the agent's turn continues without its connection",
            Self::Resuming => "the gateway resumes the agent's turn after a restart",
            Self::SecondLook => "the session shows no answer yet",
            Self::Fetching => "the agent has answered, and its whole answer cannot be read yet",
        }
    }
}

impl Running {
    /// The gateway is starting.
    pub fn starting() -> Self {
        Self { again_in: STARTING, why: Waiting::Starting, last: None, promised: 0 }
    }

    /// The history could not be read.
    pub fn unreadable() -> Self {
        Self { again_in: UNREADABLE, why: Waiting::Unreadable, last: None, promised: 0 }
    }

    /// The whole of an answer could not be read.
    pub fn fetching() -> Self {
        Self { again_in: FETCHING, why: Waiting::Fetching, last: None, promised: 0 }
    }
}
