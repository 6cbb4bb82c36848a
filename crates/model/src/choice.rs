//! Values of settings that several layers use.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Who is told in the thread that an agent did not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoResponseNote {
    /// Whoever waits for it, if it is a person.
    #[default]
    People,
    /// Whoever waits for it.
    All,
    /// Nobody.
    Off,
}

/// When a step of a delivery counts as recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LedgerSync {
    /// Once it is on the disk: it outlives a power cut.
    #[default]
    Full,
    /// Once the system has it: it outlives the process only.
    Normal,
}

/// Whether each agent has sessions of its own (`OPENCLAW_SESSION_SCOPE`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionScope {
    /// It has.
    #[default]
    PerSender,
    /// All share one.
    Global,
}

impl SessionScope {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::PerSender => "per-sender",
            Self::Global => "global",
        }
    }

    /// Reads `per-sender` or `global`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        [Self::PerSender, Self::Global].into_iter().find(|scope| scope.name().eq_ignore_ascii_case(text))
    }
}

impl FromStr for SessionScope {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::parse(text).ok_or(())
    }
}
