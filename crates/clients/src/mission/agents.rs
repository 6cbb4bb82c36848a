//! Who is on the team (backend-contract §2.4–2.6, §2.27, §2.32).

use serde::{Deserialize, Serialize};

use super::requests;
use mcr_model::clock::Millis;
use mcr_model::{Agent, AgentId, AgentProfile, AgentSkills, AgentStatus, TaskId};

/// All agents with their system sessions and flags (§2.4).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ListAgents {}

/// All agents with what belongs into their workspaces (§2.5).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ListAgentsForRuntime {}

/// Which agent is the orchestrator (§2.6).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GetOrchestrator {}

/// The orchestrator, if the account has one.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Orchestrator {
    /// Perhaps of an agent that no longer exists.
    pub orchestrator_agent_id: Option<AgentId>,
}

/// The skills of one agent or of all (§2.27).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GetAgentSkills<'a> {
    /// Who asks.
    pub agent_id: &'a AgentId,
    /// About whom; absent means all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_agent_id: Option<&'a AgentId>,
}

/// Says that an agent is alive (§2.32).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateAgentHeartbeat<'a> {
    /// Who.
    pub agent_id: &'a AgentId,
    /// What the board shows.
    pub status: AgentStatus,
    /// What it works on; absent clears what is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_task_id: Option<&'a TaskId>,
}

/// When the heartbeat was noted.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Noted {
    /// By the backend's clock.
    pub timestamp: Millis,
}

requests! {
    ListAgents: LIST_AGENTS -> Vec<Agent>;
    ListAgentsForRuntime: LIST_AGENTS_FOR_RUNTIME -> Vec<AgentProfile>;
    GetOrchestrator: GET_ORCHESTRATOR -> Orchestrator;
    GetAgentSkills<'_>: GET_AGENT_SKILLS -> Vec<AgentSkills>;
    UpdateAgentHeartbeat<'_>: UPDATE_AGENT_HEARTBEAT -> Noted;
}
