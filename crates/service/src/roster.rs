//! The roster: fetched at intervals and shared with all threads.
//!
//! One thread fetches, many read. A reader takes the current roster and keeps that version until its work ends.

use std::sync::{Arc, Mutex, PoisonError};

use mcr_clients::convex::CallError;
use mcr_clients::mission::{GetOrchestrator, ListAgents, Mission};
use mcr_model::Roster;

/// The holder of the newest roster. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Team(Arc<Mutex<Arc<Roster>>>);

impl Team {
    /// The current roster; empty until the first fetch succeeds.
    pub fn now(&self) -> Arc<Roster> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Fetches the roster and publishes it.
    pub fn fetch(&self, mission: &Mission) -> Result<Arc<Roster>, CallError> {
        let agents = mission.ask(&ListAgents {})?;
        let orchestrator = mission.ask(&GetOrchestrator {})?.orchestrator_agent_id;
        let roster = Arc::new(Roster { agents, orchestrator });
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = roster.clone();
        Ok(roster)
    }
}
