//! A worker: runs jobs one at a time and sends exactly one result for each.
//!
//! It sends the result even after a panic. Otherwise the dispatcher would count the worker and the item as busy for
//! ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crossbeam_channel::Sender;

use super::blocked_agents::BlockedAgents;
use super::budget::BudgetKeeper;
use super::deliver::deliver;
use super::deps::{AnswerCounter, DeliveryDeps, RecentIds, Rules};
use super::inflight::InFlight;
use super::job_handout::WorkerSeat;
use super::provider_cooldown::ProviderCooldown;
use crate::heartbeat::beats::Beats;
use crate::metrics::Metrics;
use crate::pool::{ClaimedJobs, PoolPort};
use crate::roster::Team;
use mcr_clients::mission::Mission;
use mcr_core::delivery::journal::Journal;
use mcr_core::delivery::retry::{self, Budget, Next};
use mcr_core::delivery::scheduler::Event;
use mcr_core::delivery::{Job, Outcome, Trouble};
use mcr_core::gateway::Gateway;
use mcr_core::guardrails::CountStart;
use mcr_core::work::Kind;
use mcr_http::panics::Panics;
use mcr_model::clock::SystemClock;
use mcr_model::{TaskId, random};
use mcr_store::sessions::Sessions;

/// What a worker needs. Each worker has its own clients for the backend and the gateway, so workers never wait for each
/// other's connection.
pub struct Worker {
    /// The backend.
    pub mission: Mission,
    /// The gateway.
    pub gateway: Box<dyn Gateway>,
    /// The ledger, which records every step.
    pub journal: Arc<dyn Journal>,
    /// The current roster.
    pub team: Team,
    /// The ids of rows that any delivery created recently.
    pub made: Arc<RecentIds>,
    /// The sessions in which agents may call over HTTP.
    pub sessions: Arc<Sessions>,
    /// The configured limits and options.
    pub rules: Arc<Rules>,
    /// The heartbeats of all agents.
    pub beats: Arc<Beats>,
    /// The daily budgets.
    pub budget: Arc<BudgetKeeper>,
    /// The counters of attempts and tool calls.
    pub metrics: Arc<Metrics>,
    /// The queue of a worker pool; none where notifications are delivered.
    pub pool: Option<PoolPort>,
}

/// A worker's ends of the channels that all workers share.
#[derive(Clone)]
pub(super) struct WorkerChannels {
    pub(super) inbox: Sender<Event>,
    /// Takes a message after a write that may have made notifications.
    pub(super) writes: Sender<()>,
    /// The running turns and deliveries.
    pub(super) inflight: InFlight,
    /// Agents whose provider key is refused.
    pub(super) cooldown: Arc<ProviderCooldown>,
    /// Agents that the gateway cannot run.
    pub(super) blocked: Arc<BlockedAgents>,
    /// The answered turns of all workers.
    pub(super) answers: Arc<AnswerCounter>,
    /// Whether the dispatcher needs an event when the gateway accepts a turn.
    pub(super) on_trial: Arc<AtomicBool>,
    /// The record of panics.
    pub(super) panics: Panics,
}

/// A job and its pending result; its drop sends the result to the dispatcher, however the job ends.
struct FinishGuard<'a> {
    job: Option<Box<Job>>,
    /// None if the worker panicked.
    outcome: Option<Outcome>,
    budget: &'a Budget,
    inbox: &'a Sender<Event>,
    inflight: &'a InFlight,
    beats: &'a Beats,
    seat: &'a WorkerSeat,
    claimed_jobs: Option<&'a ClaimedJobs>,
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
                    Outcome::Closed(job.given_up(end))
                }
            }
        });
        if let (Kind::Heartbeat(beat), Outcome::Closed(end)) = (&job.work.kind, &outcome) {
            self.beats.ended(beat, &job.record, end);
        }
        let is_ended_job = matches!((&job.work.kind, &outcome), (Kind::Job(_), Outcome::Closed(_)));
        let ended = self
            .claimed_jobs
            .filter(|_| is_ended_job)
            .map(|claimed_jobs| (claimed_jobs, job.work.id.clone(), job.record.clone()));
        // The dispatcher counts the worker as free once it has the result.
        self.seat.is_idle();
        // The dispatcher outlives its workers. If it has ended anyway, nothing waits for the result.
        let _ = self.inbox.send(Event::Finished(job, outcome));
        // The lane may offer another claim of the message at once, so the dispatcher hears of this end first.
        if let Some((claimed_jobs, work, record)) = ended {
            claimed_jobs.ended(&work, record);
        }
    }
}

impl Worker {
    /// Runs jobs until their channel closes.
    pub(super) fn run(self, seat: &WorkerSeat, ends: &WorkerChannels) {
        let written = || {
            // A full channel already has the message.
            let _ = ends.writes.try_send(());
        };
        let taken = |number: u64| {
            if ends.on_trial.load(Ordering::Relaxed) {
                // The dispatcher outlives its workers. If it has ended anyway, nothing waits for this event.
                let _ = ends.inbox.send(Event::TurnAccepted(number));
            }
        };
        let resumed = |task: &TaskId, start: CountStart| {
            // As above.
            let _ = ends.inbox.send(Event::ThreadResumed(task.clone(), start));
        };
        let deps = DeliveryDeps {
            mission: &self.mission,
            gateway: &*self.gateway,
            team: &self.team,
            written: &written,
            taken: &taken,
            resumed: &resumed,
            answers: &ends.answers,
            cooldown: &ends.cooldown,
            blocked: &ends.blocked,
            made: &self.made,
            budget: &self.budget,
            inflight: &ends.inflight,
            beats: &self.beats,
            sessions: &self.sessions,
            journal: &*self.journal,
            clock: &SystemClock,
            rules: &self.rules,
            metrics: &self.metrics,
            pool: self.pool.as_ref(),
        };
        for job in &seat.jobs {
            let (budget, inbox, inflight) = (&self.rules.budget, &ends.inbox, &ends.inflight);
            let beats = &self.beats;
            let claimed_jobs = self.pool.as_ref().map(|pool| &pool.claimed_jobs);
            let mut finish = FinishGuard {
                job: Some(job),
                outcome: None,
                budget,
                inbox,
                inflight,
                beats,
                seat,
                claimed_jobs,
            };
            ends.panics.catch("worker", || {
                let Some(job) = &mut finish.job else { return };
                let began = Instant::now();
                let outcome = deliver(job, &deps);
                let name = match &outcome {
                    Outcome::Closed(end) => end.name(),
                    Outcome::Again { .. } => "again",
                };
                if matches!(outcome, Outcome::Again { trouble: Trouble::Broken, .. }) {
                    // `deliver` caught the panic itself.
                    ends.panics.note("worker");
                }
                finish.outcome = Some(outcome);
                self.metrics.attempts.record(name, "done", began.elapsed());
            });
        }
    }
}
