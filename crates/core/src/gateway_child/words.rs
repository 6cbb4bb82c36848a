//! The words for a process and its end.

use std::fmt;

use serde::Serialize;

/// The state of the gateway's process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChildState {
    /// No process runs; one will be started.
    #[default]
    Waiting,
    /// The process runs and is not ready yet.
    Starting,
    /// The process accepts turns.
    Ready,
    /// The process finishes its turns.
    Stopping,
    /// The process has ended, and the runtime stops.
    Stopped,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Unknown: an earlier runtime had started it.
    Unknown,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "has ended with exit code {code}"),
            Self::Signal(signal) => write!(f, "was ended by signal {signal}"),
            Self::Unknown => f.write_str("has ended"),
        }
    }
}
