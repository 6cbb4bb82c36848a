//! Everybody at one moment.

use super::{Agent, AgentId};

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

    /// Whether the backend lets this agent close tasks.
    pub fn may_close(&self, id: &AgentId) -> bool {
        let team = self.agents.iter().map(|agent| (&agent.id, agent.is_quality()));
        may_close(team, id, self.leads(id))
    }
}

/// Whether the backend lets an agent close tasks (contract §4.5): those who look after quality where there are any,
/// otherwise whoever leads. Its own flag, which the backend does not look at, is the caller's to ask.
pub fn may_close<'a>(
    team: impl IntoIterator<Item = (&'a AgentId, bool)>,
    who: &AgentId,
    leads: bool,
) -> bool {
    let mut anybody = false;
    for (id, is_quality) in team {
        if is_quality && id == who {
            return true;
        }
        anybody |= is_quality;
    }
    !anybody && leads
}
