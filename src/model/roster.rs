//! Everybody at one moment.

use super::{Agent, AgentId, BehaviorFlags};

/// All agents of the account, and which of them leads.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    /// All of them.
    pub agents: Vec<Agent>,
    /// The orchestrator; perhaps an agent that no longer exists.
    pub orchestrator: Option<AgentId>,
}

impl Roster {
    /// An agent by its id.
    pub fn agent(&self, id: &AgentId) -> Option<&Agent> {
        self.agents.iter().find(|agent| agent.id == *id)
    }

    /// An agent by its slug, whatever the case; a blank slug is nobody's.
    pub fn by_slug(&self, slug: &str) -> Option<&Agent> {
        self.agents.iter().find(|agent| !slug.is_empty() && agent.slug.eq_ignore_ascii_case(slug))
    }

    /// Whether this agent leads.
    pub fn leads(&self, id: &AgentId) -> bool {
        self.orchestrator.as_ref() == Some(id)
    }

    /// Whether the backend lets this agent close tasks (contract §4.5): quality agents where there are any, otherwise
    /// the orchestrator. Its own flag, which the backend does not look at, is the caller's to ask.
    pub fn may_close(&self, id: &AgentId) -> bool {
        if self.agents.iter().any(Agent::is_quality) {
            return self.agent(id).is_some_and(Agent::is_quality);
        }
        self.leads(id)
    }

    /// What an agent may do by the list; nobody's are the defaults.
    pub fn flags(&self, id: &AgentId) -> BehaviorFlags {
        self.agent(id).and_then(|agent| agent.effective_behavior_flags).unwrap_or_default()
    }
}
