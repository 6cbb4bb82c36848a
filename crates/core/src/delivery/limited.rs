//! Which agents' turns must not start, and why: an operator's pause, or a limit that was reached.

use std::collections::HashMap;

use super::operator_requests::Hold;

/// The agents whose turns wait because a limit was reached. Their rows stay in the queue, and so do those of people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limited {
    /// Why all agents wait: a sentence with the remedy. `None` if they do not.
    pub all: Option<String>,
    /// Why single agents wait, by the agent's id: sentences with the remedy.
    pub agents: HashMap<String, String>,
}

impl Limited {
    /// Why the turns of this agent wait, if they do.
    pub fn reason(&self, agent: &str) -> Option<&str> {
        self.all.as_deref().or_else(|| self.agents.get(agent).map(String::as_str))
    }
}

/// The agents whose turns must not start.
#[derive(Clone, Debug, Default)]
pub(super) struct TurnStops {
    /// The agents that an operator has paused.
    pub(super) hold: Hold,
    /// The agents that have reached a limit.
    pub(super) limited: Limited,
}

impl TurnStops {
    /// Whether no agent must wait.
    pub(super) fn is_nothing(&self) -> bool {
        self.hold.is_nothing() && self.limited == Limited::default()
    }

    /// Whether the turns of this agent must wait. `sent` says that a turn was sent whose outcome is to be read.
    pub(super) fn holds(&self, agent: &str, sent: bool) -> bool {
        self.hold.holds(agent, sent) || self.limited.reason(agent).is_some()
    }
}
