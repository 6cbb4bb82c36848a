//! By which signs agents are online, for the live page.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use mcr_core::ops::agents::{OnlineSign, SignKind};
use mcr_model::clock::{Clock as _, Millis, SystemClock};
use mcr_model::{AgentId, Roster};
use mcr_service::http::health::HeartbeatHealth;

/// When Mission Control last took a report about each agent, together with the status report.
#[derive(Default)]
pub(super) struct OnlineReports(Mutex<HashMap<AgentId, Millis>>);

impl OnlineReports {
    /// Notes that Mission Control took a report about this agent.
    pub(super) fn note(&self, agent: &AgentId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(agent.clone(), SystemClock.now());
    }

    /// The last sign of each agent, by slug. `answers` are the last answered turns, by slug.
    pub(super) fn signs(
        &self,
        roster: &Roster,
        heartbeat: &HeartbeatHealth,
        answers: &[(String, Instant)],
    ) -> HashMap<String, OnlineSign> {
        let reports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemClock.now();
        let reported = roster.agents().iter().filter_map(|agent| {
            let at = *reports.get(&agent.id)?;
            Some((agent.slug.as_str(), OnlineSign { at, by: SignKind::StatusReport }))
        });
        let heartbeats = heartbeat.agents.iter().filter_map(|agent| {
            let at = agent.reported_at?;
            Some((agent.agent.as_str(), OnlineSign { at, by: SignKind::HeartbeatCall }))
        });
        let answered = answers.iter().map(|(slug, at)| {
            (slug.as_str(), OnlineSign { at: now - at.elapsed(), by: SignKind::AnsweredTurn })
        });
        let mut signs: HashMap<String, OnlineSign> = HashMap::new();
        for (slug, sign) in reported.chain(heartbeats).chain(answered) {
            let last = signs.entry(slug.to_owned()).or_insert(sign);
            *last = (*last).max(sign);
        }
        signs
    }
}
