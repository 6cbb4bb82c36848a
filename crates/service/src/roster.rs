//! The roster: fetched at intervals and shared with all threads.
//!
//! One thread fetches at intervals, and others fetch when they meet an agent that the roster does not have. A reader takes
//! the current roster and keeps that version until its work ends.
//!
//! An agent that is missing in one answer stays in the roster with its former values. It is gone if a later answer lacks
//! it as well ([`Absences`]).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::SteadyClock;
use crate::wakeup::Wakeup;
use mcr_clients::convex::CallError;
use mcr_clients::mission::{GetOrchestrator, ListAgents, Mission};
use mcr_core::absence::{Absences, CONFIRM_AFTER};
use mcr_model::clock::Clock as _;
use mcr_model::{AgentId, Roster};

/// The holder of the newest roster. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Team(Arc<TeamState>);

#[derive(Debug)]
struct TeamState {
    roster: Mutex<Arc<Roster>>,
    /// How many fetches have begun.
    begun: AtomicU64,
    /// The last fetch and its result. Held during a fetch, so that an older answer never replaces a newer one.
    last: Mutex<Option<Fetch>>,
    /// Wakes the thread that follows the roster.
    wakeup: Wakeup,
    wanted: Mutex<bool>,
    clock: SteadyClock,
    /// The agents that are missing in the newest answer.
    absences: Mutex<Absences<AgentId>>,
}

/// A fetch that has ended.
#[derive(Debug)]
struct Fetch {
    number: u64,
    result: Result<Arc<Roster>, CallError>,
}

impl Default for Team {
    fn default() -> Self {
        Self::new(CONFIRM_AFTER)
    }
}

impl Team {
    /// No roster yet. Two answers that are this far apart prove that an agent is gone.
    pub fn new(confirm_after: Duration) -> Self {
        Self(Arc::new(TeamState {
            roster: Mutex::new(Arc::new(Roster::default().unconfirmed())),
            begun: AtomicU64::default(),
            last: Mutex::default(),
            wakeup: Wakeup::default(),
            wanted: Mutex::default(),
            clock: SteadyClock::new(),
            absences: Mutex::new(Absences::new(confirm_after)),
        }))
    }

    /// The current roster; empty until the first fetch succeeds.
    pub fn now(&self) -> Arc<Roster> {
        lock(&self.0.roster).clone()
    }

    /// Fetches the roster and publishes it. A fetch that another thread began after this call has its result.
    pub fn fetch(&self, mission: &Mission) -> Result<Arc<Roster>, CallError> {
        let before = self.0.begun.load(Ordering::SeqCst);
        let mut last = lock(&self.0.last);
        if let Some(fetch) = last.as_ref().filter(|fetch| fetch.number > before) {
            return fetch.result.clone();
        }
        let number = self.0.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let result = self.read(mission).map(Arc::new);
        if let Ok(roster) = &result {
            lock(&self.0.roster).clone_from(roster);
            self.0.wakeup.notify();
        }
        *last = Some(Fetch { number, result: result.clone() });
        result
    }

    fn read(&self, mission: &Mission) -> Result<Roster, CallError> {
        let rows = mission.ask(&ListAgents {})?;
        let orchestrator = mission.ask(&GetOrchestrator {})?.orchestrator_agent_id;
        let before = self.now();
        let answer = Roster::new(rows.agents, orchestrator).with_unreadable(rows.unreadable, &before);
        let missing: Vec<_> =
            before.agents().iter().filter(|agent| answer.agent(&agent.id).is_none()).cloned().collect();
        let mut absences = lock(&self.0.absences);
        let ids = missing.iter().map(|agent| agent.id.clone());
        let gone = absences.record(ids, self.0.clock.now());
        let kept = missing.into_iter().filter(|agent| !gone.contains(&agent.id)).collect();
        let roster = answer.with_missing(kept);
        Ok(if absences.is_settled() { roster } else { roster.unconfirmed() })
    }

    /// Requests a fetch at once if the roster does not have this agent.
    pub fn expect(&self, agent: &AgentId) {
        if self.now().agent(agent).is_none() {
            self.request();
        }
    }

    /// Requests a fetch at once: something named an agent that the roster does not have.
    pub fn request(&self) {
        *lock(&self.0.wanted) = true;
        self.0.wakeup.notify();
    }

    /// Whether a fetch was requested since the last call.
    pub fn take_request(&self) -> bool {
        std::mem::take(&mut *lock(&self.0.wanted))
    }

    /// Wakes the thread that follows the roster and fetches it at intervals.
    pub fn wakeup(&self) -> &Wakeup {
        &self.0.wakeup
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
