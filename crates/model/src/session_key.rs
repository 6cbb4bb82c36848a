//! Session keys in the backend's form (backend-contract §6). They are credentials: `Debug` of a [`SessionKey`] hides the
//! text.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{AccountId, TaskId};

/// The name of a conversation between an agent and the runtime. Its holder can act as the agent.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionKey(String);

/// The purpose of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKind {
    /// An agent's work on one task.
    Task,
    /// An agent's work without a task: heartbeats and task-less notifications.
    System,
    /// A form that the contract does not define. It is used unchanged.
    Other,
}

impl SessionKey {
    /// Wraps the backend's text unchanged.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// `task:{task}:agent:{slug}:{account}:v{generation}`.
    pub fn for_task(task: &TaskId, slug: &str, account: &AccountId, generation: u32) -> Self {
        Self(format!("task:{task}:agent:{slug}:{account}:v{generation}"))
    }

    /// `system:agent:{slug}:{account}:v{generation}`.
    pub fn for_system(slug: &str, account: &AccountId, generation: u32) -> Self {
        Self(format!("system:agent:{slug}:{account}:v{generation}"))
    }

    /// The text itself, for the gateway and for comparisons.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Its purpose.
    pub fn kind(&self) -> SessionKind {
        let parts: Vec<&str> = self.0.split(':').collect();
        let generation = |part: &str| {
            part.strip_prefix('v').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        };
        if parts.iter().any(|part| part.is_empty()) {
            return SessionKind::Other;
        }
        match parts.as_slice() {
            ["task", _, "agent", _, _, v] if generation(v) => SessionKind::Task,
            ["system", "agent", _, _, v] if generation(v) => SessionKind::System,
            _ => SessionKind::Other,
        }
    }

    /// The agent's slug: the part between `:agent:` and the next colon.
    pub fn agent_slug(&self) -> Option<&str> {
        let (_, rest) = self.0.split_once(":agent:")?;
        let (slug, _) = rest.split_once(':')?;
        (!slug.is_empty()).then_some(slug)
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(session-key)")
    }
}
