//! All agents of the account at one moment.

use super::{Agent, AgentId};

/// All agents of the account, and which one is the orchestrator.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    /// All of them.
    pub agents: Vec<Agent>,
    /// The orchestrator. The agent may have been deleted.
    pub orchestrator: Option<AgentId>,
}

impl Roster {
    /// An agent by its id.
    pub fn agent(&self, id: &AgentId) -> Option<&Agent> {
        self.agents.iter().find(|agent| agent.id == *id)
    }

    /// An agent by its slug, in any case. A blank slug matches no agent.
    pub fn by_slug(&self, slug: &str) -> Option<&Agent> {
        self.agents.iter().find(|agent| !slug.is_empty() && agent.slug.eq_ignore_ascii_case(slug))
    }

    /// Whether this agent is the orchestrator.
    pub fn leads(&self, id: &AgentId) -> bool {
        self.orchestrator.as_ref() == Some(id)
    }

    /// Whether the account has a quality agent. Then only quality agents may close tasks (contract §4.5).
    pub fn has_quality(&self) -> bool {
        self.agents.iter().any(Agent::is_quality)
    }

    /// Whether the backend lets this agent close tasks.
    pub fn may_close(&self, id: &AgentId) -> bool {
        let team = self.agents.iter().map(|agent| (&agent.id, agent.is_quality()));
        may_close(team, id, self.leads(id))
    }
}

/// Whether the backend lets an agent close tasks (contract §4.5): the quality reviewers if there are any, otherwise the
/// orchestrator. The backend does not check the agent's own flag here; the caller must.
pub fn may_close<'a>(
    team: impl IntoIterator<Item = (&'a AgentId, bool)>,
    agent: &AgentId,
    leads: bool,
) -> bool {
    let mut has_reviewer = false;
    for (id, is_quality) in team {
        if is_quality && id == agent {
            return true;
        }
        has_reviewer |= is_quality;
    }
    !has_reviewer && leads
}
