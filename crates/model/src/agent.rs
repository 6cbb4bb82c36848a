//! Agents, their profiles and what they may do (backend-contract §3.2, §3.3).

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};

use super::word::words;
use super::{AgentId, SessionKey, SkillId, TaskId, Word, number};
use crate::clock::Millis;

words! {
    /// The status that the board shows for an agent.
    AgentStatus {
        /// Reported recently.
        Online = "online",
        /// Working.
        Busy = "busy",
        /// Waiting.
        Idle = "idle",
        /// No longer reporting.
        Offline = "offline",
        /// Failed.
        Error = "error",
    }
}

/// What an agent may do. Missing fields have the backend's defaults.
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
    /// Mentions of other agents, `response_request`.
    pub can_mention_agents: bool,
    /// Notifications about tasks in review.
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

/// An agent as `listAgents` and a delivery context return it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Agent {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: AgentId,
    /// Its display name.
    pub name: String,
    /// Its name in mentions, sessions and paths. It never changes.
    pub slug: String,
    /// Its role as free text.
    pub role: String,
    /// What the board shows.
    pub status: Word<AgentStatus>,
    /// The task it last reported as current.
    #[serde(default)]
    pub current_task_id: Option<TaskId>,
    /// The time of its last report.
    #[serde(default)]
    pub last_heartbeat: Option<Millis>,
    /// Minutes between heartbeats. The backend does not check them: zero, negative and fractional values occur.
    #[serde(default)]
    pub heartbeat_interval: Option<f64>,
    /// Model, skills and limits.
    #[serde(default)]
    pub openclaw_config: Option<OpenclawConfig>,
    /// The session for work without a task. Only `listAgents` returns it.
    #[serde(default)]
    pub system_session_key: Option<SessionKey>,
    /// Its effective permissions. Only `listAgents` returns them.
    #[serde(default)]
    pub effective_behavior_flags: Option<BehaviorFlags>,
    /// A digest of its SOUL, to notice changes. The text itself may be long, and the runtime has no other use for it.
    #[serde(default, rename = "soulContent", deserialize_with = "digest_of_text")]
    pub profile_digest: Option<u64>,
}

/// The FNV-1a digest of a text. It only has to differ between two versions of a text.
fn digest_of_text<'de, D: Deserializer<'de>>(text: D) -> Result<Option<u64>, D::Error> {
    let text = Option::<Cow<'de, str>>::deserialize(text)?;
    let add = |digest: u64, byte: u8| (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    Ok(text.map(|text| text.bytes().fold(0xcbf2_9ce4_8422_2325, add)))
}

impl Agent {
    /// Whether the backend considers the agent a quality reviewer.
    pub fn is_quality(&self) -> bool {
        is_quality(&self.slug, &self.role)
    }
}

/// Whether an agent is a quality reviewer: by its slug, or by a word in its role (§4.5).
pub fn is_quality(slug: &str, role: &str) -> bool {
    let ends_with = |word: &str, end: &str| {
        word.len()
            .checked_sub(end.len())
            .is_some_and(|at| word.as_bytes()[at..].eq_ignore_ascii_case(end.as_bytes()))
    };
    let mut words = role.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    // `\bqa\b|quality assurance|quality\b`: the last one covers the second.
    slug.eq_ignore_ascii_case("qa")
        || words.any(|word| word.eq_ignore_ascii_case("qa") || ends_with(word, "quality"))
}

/// The agent's configuration for the gateway.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenclawConfig {
    /// The model, such as `minimax-m2.5`.
    pub model: String,
    /// 0 to 2.
    #[serde(default)]
    pub temperature: Option<f64>,
    /// Maximum tokens of a reply.
    #[serde(default)]
    pub max_tokens: Option<f64>,
    /// Its skills.
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
    /// Its display name.
    pub name: String,
    /// Its name in paths. The backend does not check it.
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
    /// Enabled skills in the agent's order. One may occur twice.
    #[serde(default)]
    pub resolved_skills: Vec<Skill>,
}

/// A skill as an agent receives it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Skill {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: SkillId,
    /// Its display name.
    pub name: String,
    /// Its name in paths. The backend does not check it.
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
    /// The **slug**, despite the name (contract D18).
    pub agent_id: String,
    /// Its skills, including disabled ones.
    pub skill_ids: Vec<SkillId>,
    /// The number of skills.
    #[serde(serialize_with = "number::plain")]
    pub skill_count: f64,
    /// An ISO date.
    pub last_updated: String,
}
