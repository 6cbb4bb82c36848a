//! The agents of the account (backend-contract §2.4–2.6, §2.27, §2.32).

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::requests;
use mcr_model::clock::Millis;
use mcr_model::{Agent, AgentId, AgentProfile, AgentSkills, AgentStatus, TaskId};

/// Lists all agents with their system sessions and flags (§2.4).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ListAgents {}

/// Lists all agents with the contents of their workspaces (§2.5).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ListAgentsForRuntime {}

/// The rows of [`ListAgentsForRuntime`]. Each is decoded alone, so that one unusable row does not hide the others.
#[derive(Clone, Debug)]
pub struct Profiles(pub Vec<Result<AgentProfile, String>>);

impl<'de> Deserialize<'de> for Profiles {
    fn deserialize<D: Deserializer<'de>>(rows: D) -> Result<Self, D::Error> {
        let rows = Vec::<Box<RawValue>>::deserialize(rows)?;
        let row = |row: &RawValue| serde_json::from_str(row.get()).map_err(|why| why.to_string());
        Ok(Self(rows.iter().map(|raw| row(raw)).collect()))
    }
}

/// Returns the agent that is the orchestrator (§2.6).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GetOrchestrator {}

/// The orchestrator, if the account has one.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Orchestrator {
    /// May name an agent that no longer exists.
    pub orchestrator_agent_id: Option<AgentId>,
}

/// Returns the skills of one agent or of all (§2.27).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GetAgentSkills<'a> {
    /// The acting agent.
    pub agent_id: &'a AgentId,
    /// The agent whose skills are returned. `None` returns those of all agents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_agent_id: Option<&'a AgentId>,
}

/// Reports that an agent is alive (§2.32).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateAgentHeartbeat<'a> {
    /// The agent that is alive.
    pub agent_id: &'a AgentId,
    /// The status that the board shows.
    pub status: AgentStatus,
    /// The task that the agent works on. `None` clears the stored one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_task_id: Option<&'a TaskId>,
}

/// The answer to a heartbeat.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Noted {
    /// When it was stored, by the backend's clock.
    pub timestamp: Millis,
}

requests! {
    ListAgents: LIST_AGENTS -> Vec<Agent>;
    ListAgentsForRuntime: LIST_AGENTS_FOR_RUNTIME -> Profiles;
    GetOrchestrator: GET_ORCHESTRATOR -> Orchestrator;
    GetAgentSkills<'_>: GET_AGENT_SKILLS -> Vec<AgentSkills>;
    UpdateAgentHeartbeat<'_>: UPDATE_AGENT_HEARTBEAT -> Noted;
}
