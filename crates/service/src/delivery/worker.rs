//! A worker: takes jobs, one at a time, and owes exactly one answer for each. It owes it even if it panics: the
//! dispatcher has counted on a worker and on the row.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};

use super::deliver::deliver;
use super::deps::{AnswerCounter, DeliveryDeps, RecentIds, Rules};
use super::inflight::InFlight;
use super::provider_cooldown::ProviderCooldown;
use crate::metrics::Metrics;
use crate::roster::Team;
use mcr_clients::mission::Mission;
use mcr_core::delivery::journal::Journal;
use mcr_core::delivery::retry::{self, Budget, Next};
use mcr_core::delivery::scheduler::Event;
use mcr_core::delivery::{Job, Outcome, Trouble};
use mcr_core::gateway::Gateway;
use mcr_http::panics::Panics;
use mcr_model::clock::SystemClock;
use mcr_model::random;
use mcr_store::sessions::Sessions;

/// What a worker works with: its own ways to the backend and to the gateway, so that no two threads meet at one.
pub struct Worker {
    /// The backend.
    pub mission: Mission,
    /// The gateway.
    pub gateway: Box<dyn Gateway>,
    /// Where every step is noted.
    pub journal: Arc<dyn Journal>,
    /// Who there is.
    pub team: Team,
    /// What was made lately, by whomever.
    pub made: Arc<RecentIds>,
    /// The sessions in which agents may call over HTTP.
    pub sessions: Arc<Sessions>,
    /// How agents may act.
    pub rules: Arc<Rules>,
    /// Where attempts and calls of tools are counted.
    pub metrics: Arc<Metrics>,
}

/// A worker's ends of the channels.
#[derive(Clone)]
pub(super) struct WorkerChannels {
    pub(super) jobs: Receiver<Box<Job>>,
    pub(super) inbox: Sender<Event>,
    pub(super) nudges: Sender<()>,
    /// Which turns are under way.
    pub(super) inflight: InFlight,
    /// Agents whose key is refused.
    pub(super) cooldown: Arc<ProviderCooldown>,
    /// The turns of all workers that were answered.
    pub(super) answers: Arc<AnswerCounter>,
    /// Whether the dispatcher wants to hear that a turn was taken.
    pub(super) on_trial: Arc<AtomicBool>,
    /// Where panics are noted.
    pub(super) panics: Panics,
}

/// A job, and the answer that is owed for it: dropped, on whichever way, it tells the dispatcher.
struct FinishGuard<'a> {
    job: Option<Box<Job>>,
    /// None where something panicked.
    outcome: Option<Outcome>,
    budget: &'a Budget,
    inbox: &'a Sender<Event>,
    inflight: &'a InFlight,
}

impl Drop for FinishGuard<'_> {
    fn drop(&mut self) {
        let Some(mut job) = self.job.take() else { return };
        let outcome = self.outcome.take().unwrap_or_else(|| {
            let trouble = Trouble::Broken;
            match retry::after(&mut job.record, &trouble, self.budget, random::unit()) {
                Next::Again(pause) => Outcome::Again { trouble, pause },
                Next::End(end) => {
                    if let Some(tool_log) = self.inflight.let_go(&job.work) {
                        job.record.effects = tool_log;
                    }
                    Outcome::Closed(end)
                }
            }
        });
        // The dispatcher outlives its workers; if it is gone all the same, nothing waits for the answer.
        let _ = self.inbox.send(Event::Finished(job, outcome));
    }
}

impl Worker {
    /// Works until there are no more jobs to come.
    pub(super) fn run(self, ends: &WorkerChannels) {
        let stir = || {
            // A full channel has the news already.
            let _ = ends.nudges.try_send(());
        };
        let taken = |number: u64| {
            if ends.on_trial.load(Ordering::Relaxed) {
                // The dispatcher outlives its workers; if it is gone all the same, nothing waits for this.
                let _ = ends.inbox.send(Event::TurnAccepted(number));
            }
        };
        let deps = DeliveryDeps {
            mission: &self.mission,
            gateway: &*self.gateway,
            team: &self.team,
            stir: &stir,
            taken: &taken,
            answers: &ends.answers,
            cooldown: &ends.cooldown,
            made: &self.made,
            inflight: &ends.inflight,
            sessions: &self.sessions,
            journal: &*self.journal,
            clock: &SystemClock,
            rules: &self.rules,
            metrics: &self.metrics,
        };
        for job in &ends.jobs {
            let (budget, inbox, inflight) = (&self.rules.budget, &ends.inbox, &ends.inflight);
            let mut owed = FinishGuard { job: Some(job), outcome: None, budget, inbox, inflight };
            ends.panics.catch("worker", || {
                let Some(job) = &mut owed.job else { return };
                let began = Instant::now();
                let outcome = deliver(job, &deps);
                let name = match &outcome {
                    Outcome::Closed(end) => end.name(),
                    Outcome::Again { .. } => "again",
                };
                if matches!(outcome, Outcome::Again { trouble: Trouble::Broken, .. }) {
                    // It was caught inside.
                    ends.panics.note("worker");
                }
                owed.outcome = Some(outcome);
                self.metrics.attempts.record(name, "done", began.elapsed());
            });
        }
    }
}
