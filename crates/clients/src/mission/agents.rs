//! The agents of the account (backend-contract §2.4–2.6, §2.27, §2.32).

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::requests;
use mcr_model::clock::Millis;
use mcr_model::{Agent, AgentId, AgentProfile, AgentSkills, AgentStatus, TaskId, UnreadableAgent};

/// Lists all agents with their system sessions and flags (§2.4).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ListAgents {}

/// The rows of [`ListAgents`].
#[derive(Clone, Debug, Default)]
pub struct AgentRows {
    /// The agents whose rows can be read.
    pub agents: Vec<Agent>,
    /// The other rows.
    pub unreadable: Vec<UnreadableAgent>,
}

impl<'de> Deserialize<'de> for AgentRows {
    fn deserialize<D: Deserializer<'de>>(rows: D) -> Result<Self, D::Error> {
        /// What is read of a row that cannot be read as a whole.
        #[derive(Deserialize)]
        struct RowId {
            #[serde(rename = "_id")]
            id: AgentId,
        }
        let mut found = Self::default();
        each_row(rows, |number, row| match serde_json::from_str(row) {
            Ok(agent) => found.agents.push(agent),
            Err(why) => {
                let id = serde_json::from_str(row).ok().map(|row: RowId| row.id);
                found.unreadable.push(UnreadableAgent { row: number, id, why: why.to_string() });
            }
        })?;
        Ok(found)
    }
}

/// Lists all agents with the contents of their workspaces (§2.5).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ListAgentsForRuntime {}

/// The rows of [`ListAgentsForRuntime`].
#[derive(Clone, Debug)]
pub struct Profiles(pub Vec<Result<AgentProfile, String>>);

impl<'de> Deserialize<'de> for Profiles {
    fn deserialize<D: Deserializer<'de>>(rows: D) -> Result<Self, D::Error> {
        let mut profiles = Vec::new();
        each_row(rows, |_, row| profiles.push(serde_json::from_str(row).map_err(|why| why.to_string())))?;
        Ok(Self(profiles))
    }
}

/// Reads a list row by row, numbered from 1, so that one unusable row does not hide the others.
fn each_row<'de, D: Deserializer<'de>>(rows: D, read: impl FnMut(usize, &str)) -> Result<(), D::Error> {
    struct RowReader<F>(F);

    impl<'de, F: FnMut(usize, &str)> Visitor<'de> for RowReader<F> {
        type Value = ();

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a list of agents")
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut rows: A) -> Result<(), A::Error> {
            let mut number = 0;
            while let Some(row) = rows.next_element::<Box<RawValue>>()? {
                number += 1;
                (self.0)(number, row.get());
            }
            Ok(())
        }
    }

    rows.deserialize_seq(RowReader(read))
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
    ListAgents: LIST_AGENTS -> AgentRows;
    ListAgentsForRuntime: LIST_AGENTS_FOR_RUNTIME -> Profiles;
    GetOrchestrator: GET_ORCHESTRATOR -> Orchestrator;
    GetAgentSkills<'_>: GET_AGENT_SKILLS -> Vec<AgentSkills>;
    UpdateAgentHeartbeat<'_>: UPDATE_AGENT_HEARTBEAT -> Noted;
}
