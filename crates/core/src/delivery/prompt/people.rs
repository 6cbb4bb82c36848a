//! The people and agents of a briefing: on the task, to ask, to contact.

use super::Scene;
use super::fence::PromptFence;
use mcr_model::Teammate;

const NAME_CHARS: usize = 80;
/// The most agents shown. The agents to ask are selected from these.
const AGENTS_MAX: usize = 25;

impl Scene<'_> {
    /// The other agents on the task, if the agent itself is on it.
    pub(super) fn others_on_the_task(&self) -> impl Iterator<Item = &Teammate> {
        let shared = super::super::policy::is_multi_assignee(self.context);
        let assigned = if shared { &self.context.assigned_agents[..] } else { &[] };
        assigned.iter().filter(|teammate| !self.is_self(teammate))
    }

    /// The agents that this one may ask for an answer, never itself. Empty if it may ask none.
    pub(super) fn can_be_asked(&self) -> impl Iterator<Item = &Teammate> {
        let team = &self.context.mentionable_agents;
        let own = self.context.agent.as_ref().and_then(|agent| team.agent(agent.id.as_str()));
        let asked = if self.way_to_ask().is_some() { &team[..] } else { &[] };
        // Compared by place: a team may have many thousands.
        asked.iter().filter(move |teammate| !own.is_some_and(|own| std::ptr::eq(own, *teammate)))
    }

    /// The orchestrator, if this agent may ask it.
    pub(super) fn orchestrator_to_ask(&self) -> Option<&Teammate> {
        let id = self.context.orchestrator_agent_id.as_ref()?;
        let lead = self.context.mentionable_agents.agent(id.as_str())?;
        (self.way_to_ask().is_some() && !self.is_self(lead)).then_some(lead)
    }

    /// The person to contact, as a mention that the backend understands.
    pub(super) fn person(&self, fence: PromptFence<'_>) -> Option<String> {
        let person = self.context.primary_user_mention.as_ref()?;
        let name = fence.one_line(&person.name.replace('"', ""), NAME_CHARS);
        (!name.is_empty()).then(|| format!("@\"{name}\""))
    }

    fn is_self(&self, teammate: &Teammate) -> bool {
        self.context.agent.as_ref().is_some_and(|agent| agent.id == teammate.id)
    }
}

/// The mention of an agent: `@slug`, or `@"name"` without a slug.
pub(super) fn handle(fence: PromptFence<'_>, teammate: &Teammate) -> String {
    match fence.one_line(&teammate.slug, NAME_CHARS).as_str() {
        "" => format!("@\"{}\"", fence.one_line(&teammate.name.replace('"', ""), NAME_CHARS)),
        slug => format!("@{slug}"),
    }
}

/// `@qa - QA (QA reviewer)` for each, the first 25.
pub(super) fn lines<'a>(
    fence: PromptFence<'_>,
    mut mates: impl Iterator<Item = &'a Teammate>,
) -> Vec<String> {
    let line = |teammate: &Teammate| {
        let name = fence.one_line(&teammate.name, NAME_CHARS);
        let role = fence.one_line(&teammate.role, NAME_CHARS);
        let role = if role.is_empty() { String::new() } else { format!(" ({role})") };
        format!("{} - {name}{role}", handle(fence, teammate))
    };
    let mut lines: Vec<String> = mates.by_ref().take(AGENTS_MAX).map(line).collect();
    match mates.count() {
        0 => {}
        more => lines.push(format!("… and {more} more")),
    }
    lines
}
