//! Session keys, as the backend spells them (backend-contract §6). They are credentials: [`SessionKey`] shows
//! itself in no log.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{AccountId, TaskId};

/// The name of a conversation between an agent and the runtime; whoever holds it may speak for the agent.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionKey(String);

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKind {
    /// One agent's work on one task.
    Task,
    /// What an agent does without a task: heartbeats, task-less notifications.
    System,
    /// A spelling that the contract does not have; it is used as it is.
    Other,
}

impl SessionKey {
    /// Takes the backend's text as it is.
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

    /// The text itself, for the gateway and for comparing.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What it is for.
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

    /// The slug of the agent: what stands between `:agent:` and the next colon.
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
