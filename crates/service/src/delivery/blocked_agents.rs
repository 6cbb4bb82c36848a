//! The agents that the gateway cannot run until it is restarted, as all workers find them.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use log::warn;

use mcr_core::delivery::cause::Cause;
use mcr_core::delivery::internal_failures::{BLOCKED_AFTER, InternalFailures};
use mcr_core::delivery::{Job, Trouble};
use mcr_core::gateway::{Class, GatewayError, Why};
use mcr_model::clock::Millis;

/// For tests: the time after which an agent counts as blocked, and the pause of its work, in milliseconds.
pub const AGENT_BLOCKED: &str = "MCR_TEST_AGENT_BLOCKED_MS";

/// The internal failures of all agents.
#[derive(Debug)]
pub struct BlockedAgents {
    failures: Mutex<InternalFailures>,
    /// For tests: the pause of the work of a blocked agent.
    pause: Option<Duration>,
}

impl Default for BlockedAgents {
    fn default() -> Self {
        let given = std::env::var(AGENT_BLOCKED).ok().and_then(|text| text.parse().ok());
        let pause = given.map(Duration::from_millis);
        Self { failures: Mutex::new(InternalFailures::new(pause.unwrap_or(BLOCKED_AFTER))), pause }
    }
}

impl BlockedAgents {
    fn failures(&self) -> MutexGuard<'_, InternalFailures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A turn of the agent was answered.
    pub(super) fn answered(&self, agent: &str) {
        self.failures().answered(agent);
    }

    /// Counts an internal failure, and explains it if the agent is blocked.
    pub(super) fn explained(&self, job: &Job, trouble: Trouble, now: Millis) -> Trouble {
        let agent = &job.work.track.agent;
        let Trouble::Gateway(error) = trouble else { return trouble };
        match error.why {
            Why::Internal if error.class == Class::Transient => {}
            Why::ProviderRefused | Why::ProviderRejected | Why::ProviderTrouble | Why::ContextTooLong => {
                self.failures().ran(agent);
                return Trouble::Gateway(error);
            }
            _ => return Trouble::Gateway(error),
        }
        let mut failures = self.failures();
        let was_blocked = failures.is_blocked(agent, now);
        failures.failed(agent, now);
        let waits = job.record.failures.of(Cause::AgentBlocked);
        if waits > 0 {
            failures.recall(agent, now);
        }
        if !failures.holds_back(agent, waits, now) {
            return Trouble::Gateway(error);
        }
        drop(failures);
        if !was_blocked {
            let remedy = Why::AgentBlocked.remedy();
            warn!(agent = agent.as_str(), remedy; "The gateway cannot run an agent any more");
        }
        let blocked = GatewayError::new(Class::Transient, Why::AgentBlocked, None);
        Trouble::Gateway(GatewayError { not_before: self.pause, ..blocked })
    }

    /// The ids of the agents that the gateway cannot run.
    pub fn now(&self, now: Millis) -> Vec<String> {
        self.failures().blocked(now).map(str::to_owned).collect()
    }
}
