//! Agents, their profiles and what they may do (backend-contract §3.2, §3.3).

use serde::{Deserialize, Serialize};

use super::word::words;
use super::{AgentId, SessionKey, SkillId, TaskId, Word, number};
use crate::clock::Millis;

words! {
    /// What the board shows beside an agent.
    AgentStatus {
        /// Heard of lately.
        Online = "online",
        /// At work.
        Busy = "busy",
        /// Waiting.
        Idle = "idle",
        /// Gone.
        Offline = "offline",
        /// In trouble.
        Error = "error",
    }
}

/// What an agent may do; the fields' defaults are the backend's shared ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "these are the backend's six flags, by their names")]
pub struct BehaviorFlags {
    /// `task_create`.
    pub can_create_tasks: bool,
    /// `task_status`, `task_update`.
    pub can_modify_task_status: bool,
    /// `document_upsert`.
    pub can_create_documents: bool,
    /// Naming other agents, `response_request`.
    pub can_mention_agents: bool,
    /// Being told of reviews.
    pub can_review_tasks: bool,
    /// Moving a task from review to done.
    pub can_mark_done: bool,
}

impl Default for BehaviorFlags {
    fn default() -> Self {
        Self {
            can_create_tasks: false,
            can_modify_task_status: true,
            can_create_documents: true,
            can_mention_agents: true,
            can_review_tasks: false,
            can_mark_done: false,
        }
    }
}

/// An agent, as `listAgents` and a delivery context show it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Agent {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: AgentId,
    /// Its name for people.
    pub name: String,
    /// Its name in mentions, sessions and paths; never changes.
    pub slug: String,
    /// What it does, in free words.
    pub role: String,
    /// What the board shows.
    pub status: Word<AgentStatus>,
    /// What it last said it works on.
    #[serde(default)]
    pub current_task_id: Option<TaskId>,
    /// When it was last heard of.
    #[serde(default)]
    pub last_heartbeat: Option<Millis>,
    /// Minutes between heartbeats; unchecked by the backend (zero, negative and fractions occur).
    #[serde(default)]
    pub heartbeat_interval: Option<f64>,
    /// Model, skills and limits.
    #[serde(default)]
    pub openclaw_config: Option<OpenclawConfig>,
    /// The session for work without a task; only in the list.
    #[serde(default)]
    pub system_session_key: Option<SessionKey>,
    /// What it may do in the end; only in the list.
    #[serde(default)]
    pub effective_behavior_flags: Option<BehaviorFlags>,
}

impl Agent {
    /// Whether it approves others' work, in the backend's eyes.
    pub fn is_quality(&self) -> bool {
        is_quality(&self.slug, &self.role)
    }
}

/// Whether an agent approves others' work: by its slug, or by a word in its role (§4.5).
pub fn is_quality(slug: &str, role: &str) -> bool {
    let role = role.to_lowercase();
    let words: Vec<&str> = role.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).collect();
    // `\bqa\b|quality assurance|quality\b`
    slug.eq_ignore_ascii_case("qa")
        || words.contains(&"qa")
        || words.iter().any(|word| word.ends_with("quality"))
        || role.contains("quality assurance")
}

/// What the gateway needs to know of an agent.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenclawConfig {
    /// Such as `minimax-m2.5`.
    pub model: String,
    /// 0 to 2.
    #[serde(default)]
    pub temperature: Option<f64>,
    /// The longest answer.
    #[serde(default)]
    pub max_tokens: Option<f64>,
    /// What it can do, by skill.
    #[serde(default)]
    pub skill_ids: Vec<SkillId>,
}

/// An agent's workspace, as `listAgentsForRuntime` describes it (§2.5).
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentProfile {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: AgentId,
    /// Its name for people.
    pub name: String,
    /// Its name in paths; not checked by the backend.
    pub slug: String,
    /// What it does.
    pub role: String,
    /// Model, skills and limits.
    #[serde(default)]
    pub openclaw_config: Option<OpenclawConfig>,
    /// SOUL.md; never blank.
    pub effective_soul_content: String,
    /// USER.md; never blank.
    pub effective_user_md: String,
    /// IDENTITY.md; never blank.
    pub effective_identity_content: String,
    /// Enabled skills in the agent's order; may name one twice.
    #[serde(default)]
    pub resolved_skills: Vec<Skill>,
}

/// A skill as an agent gets it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Skill {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: SkillId,
    /// For people.
    pub name: String,
    /// For paths; not checked by the backend.
    pub slug: String,
    /// One line.
    #[serde(default)]
    pub description: Option<String>,
    /// SKILL.md, up to 512 KiB.
    #[serde(default)]
    pub content_markdown: Option<String>,
}

/// A row of `getAgentSkillsForTool` (§2.27).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentSkills {
    /// The **slug**, in spite of the name (contract D18).
    pub agent_id: String,
    /// Skills, disabled ones too.
    pub skill_ids: Vec<SkillId>,
    /// How many.
    #[serde(serialize_with = "number::plain")]
    pub skill_count: f64,
    /// An ISO date.
    pub last_updated: String,
}
