//! The agents of an account as others may mention them.

use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};

use super::AgentId;
use super::agent::is_quality;

/// An agent as others may mention it.
#[derive(Clone, Debug, Deserialize)]
pub struct Teammate {
    /// Its id.
    pub id: AgentId,
    /// Its name in mentions.
    pub slug: String,
    /// Its display name.
    pub name: String,
    /// Its role.
    pub role: String,
}

/// All agents of an account, in the backend's order. Clones share the list, which may have many thousands.
#[derive(Clone, Debug, Default)]
pub struct Team(Arc<Members>);

#[derive(Debug, Default)]
struct Members {
    agents: Vec<Teammate>,
    /// Positions of the agents, ordered by their ids.
    by_id: Vec<usize>,
    /// The ids of the quality reviewers.
    reviewers: Vec<AgentId>,
}

impl Team {
    /// The agent with this id.
    pub fn agent(&self, id: &str) -> Option<&Teammate> {
        let Members { agents, by_id, .. } = &*self.0;
        let at = by_id.partition_point(|at| agents[*at].id.as_str() < id);
        by_id.get(at).map(|at| &agents[*at]).filter(|agent| agent.id.as_str() == id)
    }

    /// The ids of the quality reviewers.
    pub fn reviewers(&self) -> &[AgentId] {
        &self.0.reviewers
    }
}

impl From<Vec<Teammate>> for Team {
    fn from(agents: Vec<Teammate>) -> Self {
        let mut by_id: Vec<usize> = (0..agents.len()).collect();
        // Stable: of two agents with the same id, the first counts.
        by_id.sort_by(|a, b| agents[*a].id.cmp(&agents[*b].id));
        let reviewers = agents.iter().filter(|agent| is_quality(&agent.slug, &agent.role));
        let reviewers = reviewers.map(|agent| agent.id.clone()).collect();
        Self(Arc::new(Members { agents, by_id, reviewers }))
    }
}

impl Deref for Team {
    type Target = [Teammate];

    fn deref(&self) -> &[Teammate] {
        &self.0.agents
    }
}

impl<'de> Deserialize<'de> for Team {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Vec::deserialize(from).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mate(id: &str, slug: &str, role: &str) -> Teammate {
        let (slug, name, role) = (slug.to_owned(), slug.to_uppercase(), role.to_owned());
        Teammate { id: AgentId::new(id), slug, name, role }
    }

    #[test]
    fn agents_are_found_by_id_and_keep_their_order() {
        let team = Team::from(vec![
            mate("c", "one", ""),
            mate("a", "two", ""),
            mate("b", "qa", ""),
            mate("a", "three", ""),
        ]);
        let slug = |id| team.agent(id).map(|agent| agent.slug.as_str());
        assert_eq!(["a", "b", "c", "", "d"].map(slug), [Some("two"), Some("qa"), Some("one"), None, None]);
        assert_eq!(
            team.iter().map(|agent| agent.slug.as_str()).collect::<Vec<_>>(),
            ["one", "two", "qa", "three"]
        );
        assert!(Team::default().agent("a").is_none());
    }

    #[test]
    fn reviewers_are_found_by_slug_and_role() {
        let team =
            Team::from(vec![mate("1", "QA", ""), mate("2", "x", "Head of Quality"), mate("3", "y", "qadi")]);
        assert_eq!(team.reviewers(), [AgentId::new("1"), AgentId::new("2")]);
    }
}
