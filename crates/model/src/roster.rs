//! All agents of the account at one moment.

use std::collections::HashMap;
use std::collections::hash_map::{DefaultHasher, Entry};
use std::hash::{Hash as _, Hasher as _};

use super::{Agent, AgentId};

/// All agents of the account, and which one is the orchestrator. A lookup by id or slug takes no search.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    agents: Vec<Agent>,
    orchestrator: Option<AgentId>,
    /// The place of each id.
    by_id: HashMap<AgentId, usize>,
    /// The place of the first agent with each slug, in lower case.
    by_slug: HashMap<String, usize>,
    has_quality: bool,
    names_digest: u64,
    unreadable: Vec<UnreadableAgent>,
    /// The agents that the newest list lacks.
    missing: Vec<AgentId>,
    /// Whether agents may be missing that earlier processes knew.
    is_unconfirmed: bool,
}

/// A row of an agent that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableAgent {
    /// The number of the row, from 1.
    pub row: usize,
    /// The agent, if its id can be read.
    pub id: Option<AgentId>,
    /// Why the row cannot be read.
    pub why: String,
}

impl Roster {
    /// The roster of these agents, in the backend's order. Of two agents with one id, only the first is kept.
    pub fn new(agents: Vec<Agent>, orchestrator: Option<AgentId>) -> Self {
        let mut roster = Self { orchestrator, ..Self::default() };
        roster.agents.reserve_exact(agents.len());
        let mut names = DefaultHasher::new();
        for agent in agents {
            let place = roster.agents().len();
            let Entry::Vacant(free) = roster.by_id.entry(agent.id.clone()) else { continue };
            free.insert(place);
            if !agent.slug.is_empty() {
                roster.by_slug.entry(agent.slug.to_ascii_lowercase()).or_insert(place);
            }
            roster.has_quality |= agent.is_quality();
            (&agent.name, &agent.slug).hash(&mut names);
            roster.agents.push(agent);
        }
        roster.names_digest = names.finish();
        roster
    }

    /// Adds the rows that could not be read. An agent whose id is known from the roster before is not gone: it keeps its
    /// former values.
    #[must_use]
    pub fn with_unreadable(self, unreadable: Vec<UnreadableAgent>, before: &Self) -> Self {
        let former = unreadable.iter().filter_map(|row| before.agent(row.id.as_ref()?).cloned()).collect();
        Self { unreadable, ..self.with_former(former) }
    }

    /// Adds agents that the newest list lacks, until another list confirms that they are gone.
    #[must_use]
    pub fn with_missing(self, missing: Vec<Agent>) -> Self {
        let ids = missing.iter().map(|agent| agent.id.clone()).collect();
        Self { missing: ids, ..self.with_former(missing) }
    }

    /// The agents that the newest list lacks.
    pub fn missing(&self) -> &[AgentId] {
        &self.missing
    }

    /// Adds agents of an earlier roster, unless this roster has them.
    fn with_former(mut self, former: Vec<Agent>) -> Self {
        if former.is_empty() {
            return self;
        }
        let mut agents = std::mem::take(&mut self.agents);
        agents.extend(former);
        Self {
            unreadable: self.unreadable,
            missing: self.missing,
            is_unconfirmed: self.is_unconfirmed,
            ..Self::new(agents, self.orchestrator)
        }
    }

    /// Marks that agents may be missing that earlier processes knew.
    #[must_use]
    pub fn unconfirmed(self) -> Self {
        Self { is_unconfirmed: true, ..self }
    }

    /// Whether agents may be missing that earlier processes knew.
    pub fn is_unconfirmed(&self) -> bool {
        self.is_unconfirmed
    }

    /// Whether this agent certainly does not exist any more.
    pub fn is_gone(&self, id: &AgentId) -> bool {
        !self.is_unconfirmed && self.agent(id).is_none()
    }

    /// The rows that could not be read.
    pub fn unreadable(&self) -> &[UnreadableAgent] {
        &self.unreadable
    }

    /// All agents, in the backend's order.
    pub fn agents(&self) -> &[Agent] {
        &self.agents
    }

    /// Whether there is no agent.
    pub fn is_empty(&self) -> bool {
        self.agents.is_empty()
    }

    /// A digest of all names and slugs in their order, for comparisons within this process.
    pub fn names_digest(&self) -> u64 {
        self.names_digest
    }

    /// The orchestrator. The agent may have been deleted.
    pub fn orchestrator(&self) -> Option<&AgentId> {
        self.orchestrator.as_ref()
    }

    /// An agent by its id.
    pub fn agent(&self, id: &AgentId) -> Option<&Agent> {
        self.by_id.get(id).map(|place| &self.agents[*place])
    }

    /// An agent by its slug, in any case; the first of several. A blank slug matches no agent.
    pub fn by_slug(&self, slug: &str) -> Option<&Agent> {
        self.by_slug.get(&slug.to_ascii_lowercase()).map(|place| &self.agents[*place])
    }

    /// Whether this agent is the orchestrator.
    pub fn leads(&self, id: &AgentId) -> bool {
        self.orchestrator.as_ref() == Some(id)
    }

    /// Whether the account has a quality agent. Then only quality agents may close tasks (contract §4.5).
    pub fn has_quality(&self) -> bool {
        self.has_quality
    }

    /// Whether the backend lets this agent close tasks. See [`may_close`].
    pub fn may_close(&self, id: &AgentId) -> bool {
        self.agent(id).is_some_and(Agent::is_quality) || (!self.has_quality && self.leads(id))
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn agent(id: &str, slug: &str, role: &str) -> Agent {
        let row = json!({"_id": id, "name": slug, "slug": slug, "role": role, "status": "idle"});
        serde_json::from_value(row).unwrap()
    }

    #[test]
    fn an_agent_is_found_by_id_and_by_slug_in_any_case() {
        let agents = vec![agent("a1", "Ben", ""), agent("a2", "", ""), agent("a3", "ben", "")];
        let roster = Roster::new(agents, Some(AgentId::new("a9")));
        let found = |slug: &str| roster.by_slug(slug).map(|agent| agent.id.as_str());
        assert_eq!(
            (found("ben"), found("BEN"), found(""), found("ada")),
            (Some("a1"), Some("a1"), None, None)
        );
        assert_eq!(roster.agent(&AgentId::new("a3")).map(|agent| agent.slug.as_str()), Some("ben"));
        assert!(roster.leads(&AgentId::new("a9")) && roster.agent(&AgentId::new("a9")).is_none());
    }

    #[test]
    fn of_two_agents_with_one_id_the_first_is_kept() {
        let roster = Roster::new(vec![agent("a1", "ben", ""), agent("a1", "ada", "")], None);
        assert_eq!((roster.agents().len(), roster.by_slug("ada").is_none()), (1, true));
    }

    /// The indexed answer is that of the rule for an unindexed team.
    #[test]
    fn the_roster_lets_the_same_agents_close_tasks_as_the_rule() {
        let teams: [&[(&str, &str)]; 4] = [
            &[],
            &[("lead", ""), ("ben", "Engineer")],
            &[("lead", ""), ("qa", "")],
            &[("ben", "Quality assurance"), ("lead", "QA")],
        ];
        for team in teams {
            let agents = team.iter().map(|(slug, role)| agent(slug, slug, role)).collect();
            let roster = Roster::new(agents, Some(AgentId::new("lead")));
            for slug in ["lead", "ben", "qa", "gone"] {
                let id = AgentId::new(slug);
                let rows = roster.agents().iter().map(|agent| (&agent.id, agent.is_quality()));
                assert_eq!(roster.may_close(&id), may_close(rows, &id, slug == "lead"), "{slug} of {team:?}");
            }
        }
    }
}
