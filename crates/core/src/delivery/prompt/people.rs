//! The people and agents of a briefing: on the task, to ask, to contact.

use super::Scene;
use super::fence::PromptFence;
use mcr_model::Teammate;

const NAME_CHARS: usize = 80;
/// The most agents shown. The agents to ask are selected from these.
const AGENTS_MAX: usize = 25;

impl Scene<'_> {
    /// The other agents on the task, if the agent itself is on it.
    pub(super) fn others_on_the_task(&self) -> Vec<&Teammate> {
        if !super::super::policy::is_multi_assignee(self.context) {
            return Vec::new();
        }
        self.context.assigned_agents.iter().filter(|teammate| !self.is_self(teammate)).collect()
    }

    /// The agents that this one may ask for an answer, never itself. Empty if it may ask none.
    pub(super) fn can_be_asked(&self) -> Vec<&Teammate> {
        if self.way_to_ask().is_none() {
            return Vec::new();
        }
        self.context.mentionable_agents.iter().filter(|teammate| !self.is_self(teammate)).collect()
    }

    /// The orchestrator, if this agent may ask it.
    pub(super) fn orchestrator_to_ask(&self) -> Option<&Teammate> {
        let id = self.context.orchestrator_agent_id.as_ref()?;
        self.can_be_asked().into_iter().find(|teammate| teammate.id == *id)
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
pub(super) fn lines(fence: PromptFence<'_>, mates: &[&Teammate]) -> Vec<String> {
    let line = |teammate: &&Teammate| {
        let name = fence.one_line(&teammate.name, NAME_CHARS);
        let role = fence.one_line(&teammate.role, NAME_CHARS);
        let role = if role.is_empty() { String::new() } else { format!(" ({role})") };
        format!("{} - {name}{role}", handle(fence, teammate))
    };
    let mut lines: Vec<String> = mates.iter().take(AGENTS_MAX).map(line).collect();
    if mates.len() > AGENTS_MAX {
        lines.push(format!("… and {} more", mates.len() - AGENTS_MAX));
    }
    lines
}
