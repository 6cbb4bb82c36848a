//! Values of settings that several layers use.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which waiting participants the thread notifies when an agent did not reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoResponseNote {
    /// Only people.
    #[default]
    People,
    /// People and agents.
    All,
    /// None.
    Off,
}

/// Whether agents may call tools over HTTP (`AGENT_API`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ToolEndpoints {
    /// Only where function tools are off, or the gateway is too old for them.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

impl ToolEndpoints {
    /// Its value in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::On => "on",
            Self::Off => "off",
        }
    }
}

/// When a step of a delivery counts as recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LedgerSync {
    /// After it is on the disk: it survives a power failure.
    #[default]
    Full,
    /// After the operating system has it: it survives only a crash of the process.
    Normal,
}

/// Whether each agent has separate sessions (`OPENCLAW_SESSION_SCOPE`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionScope {
    /// Each agent has separate sessions.
    #[default]
    PerSender,
    /// All agents share one session.
    Global,
}

impl SessionScope {
    /// Its value in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::PerSender => "per-sender",
            Self::Global => "global",
        }
    }

    /// Parses `per-sender` or `global`.
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
