//! The roster: fetched now and then, published for everybody.
//!
//! One thread fetches, many read: whoever needs it takes the roster of this moment and keeps it as long as it works.

use std::sync::{Arc, Mutex, PoisonError};

use mcr_clients::convex::CallError;
use mcr_clients::mission::{GetOrchestrator, ListAgents, Mission};
use mcr_model::Roster;

/// Where the newest roster hangs. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Team(Arc<Mutex<Arc<Roster>>>);

impl Team {
    /// The roster of this moment; empty before the first was fetched.
    pub fn now(&self) -> Arc<Roster> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Fetches it anew and publishes it.
    pub fn fetch(&self, mission: &Mission) -> Result<Arc<Roster>, CallError> {
        let agents = mission.ask(&ListAgents {})?;
        let orchestrator = mission.ask(&GetOrchestrator {})?.orchestrator_agent_id;
        let roster = Arc::new(Roster { agents, orchestrator });
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = roster.clone();
        Ok(roster)
    }
}
