//! A lane: the thread that claims jobs under one worker id at a time, and offers them to the dispatcher.
//!
//! What the lane does next is decided in [`mcr_core::pool::lane`]. While a job is in work the lane waits for its end, so it
//! has at most one job, and a job has at most one lane.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use log::{error, info, warn};

use super::claimed_jobs::ClaimedJobs;
use super::hooks::SharedHooks;
use super::lane_ids::LaneIds;
use super::lease_watch::ClaimTime;
use mcr_clients::convex::CallError;
use mcr_clients::pool::{Claim, ConversationHasQueued, Fail, GetControlState, HeldLease, PoolClient};
use mcr_core::pool::lane::{LaneEnd, LaneEvent, LaneRules, LaneStep, WorkerLane, WorkerMode};
use mcr_core::pool::resting::OwnedConversation;
use mcr_core::work::{PoolJob, Work};
use mcr_model::clock::{Clock as _, Millis, SystemClock};
use mcr_model::{ClaimedJob, ConversationId, WorkerId};

/// The pause after a hook has refused, or a claimed job could not be taken over.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);

/// The parts of a lane.
pub struct LaneSetup {
    /// Its number, from 1.
    pub number: usize,
    /// Its rules.
    pub rules: LaneRules,
    /// The worker id that the scheduler of the pool has given; none on a droplet.
    pub given: Option<WorkerId>,
    /// The queue.
    pub client: PoolClient,
    /// The claimed jobs of all lanes.
    pub claimed_jobs: ClaimedJobs,
    /// The worker ids of all lanes.
    pub ids: Arc<LaneIds>,
    /// What other parts do at the borders of a conversation.
    pub hooks: SharedHooks,
    /// Offers work to the dispatcher; returns whether the dispatcher still runs.
    pub offer: Box<dyn Fn(Arc<Work>) -> bool + Send>,
    /// What `/health` shows of the lane.
    pub status: Arc<LaneStatus>,
    /// Disconnects when the lane must stop.
    pub stop: Receiver<()>,
}

/// What is known of a lane, for `/health` and metrics.
#[derive(Debug, Default)]
pub struct LaneStatus(Mutex<LaneFacts>);

/// The facts about a lane.
#[derive(Clone, Debug, Default)]
pub struct LaneFacts {
    /// The worker id.
    pub worker: Option<WorkerId>,
    /// The conversation that it serves.
    pub conversation: Option<ConversationId>,
    /// Whether a job is in work.
    pub is_working: bool,
    /// How many jobs were claimed.
    pub claims: u64,
    /// The last claim of a job.
    pub last_claim: Option<Millis>,
    /// The last call of the queue that succeeded.
    pub last_answer: Option<Millis>,
    /// Why the last call failed, if it did.
    pub trouble: Option<String>,
    /// How many calls have failed.
    pub failed_calls: u64,
    /// Why the lane has ended, if it has.
    pub ended: Option<LaneEnd>,
}

impl LaneStatus {
    fn lock(&self) -> MutexGuard<'_, LaneFacts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The facts now.
    pub fn now(&self) -> LaneFacts {
        self.lock().clone()
    }
}

/// A running lane.
pub struct Lane {
    setup: LaneSetup,
    decisions: WorkerLane,
    worker: WorkerId,
}

impl Lane {
    /// A lane at its start.
    pub fn new(setup: LaneSetup) -> Self {
        let worker = setup.given.clone().unwrap_or_else(|| setup.ids.fresh(setup.number));
        let decisions = WorkerLane::new(setup.rules.clone(), SystemClock.now());
        Self { setup, decisions, worker }
    }

    /// Works until the lane must stop or its worker id ends for good. Returns why.
    pub fn run(mut self) -> LaneEnd {
        self.finish_earlier();
        let end = loop {
            let now = SystemClock.now();
            self.show();
            match self.decisions.next(now) {
                LaneStep::AskControl => {
                    let asked = self.setup.client.ask(&GetControlState { worker_id: &self.worker });
                    let event = self.heard(asked).map(|state| LaneEvent::Control(state.should_stop));
                    self.on(event.unwrap_or(LaneEvent::CallFailed));
                }
                LaneStep::Claim(conversation) => self.claim(conversation.as_ref()),
                LaneStep::AskQueued(conversation) => {
                    let ask = ConversationHasQueued { conversation_id: &conversation };
                    let asked = self.setup.client.ask(&ask);
                    let event = self.heard(asked).map(LaneEvent::Queued);
                    self.on(event.unwrap_or(LaneEvent::CallFailed));
                }
                // `claim` works on a job at once. A job that is still here could not be offered.
                LaneStep::Work(job) => {
                    self.report(&job, "worker_failed: the worker could not take the job over");
                }
                LaneStep::Refuse(job, reason) => self.report(&job, reason),
                LaneStep::Wait(until) => self.wait(until),
                LaneStep::Renew(why) => self.renew(why),
                LaneStep::Stop(why) => break why,
            }
        };
        if let Some(owned) = self.owned() {
            self.setup.hooks.id_ends(&owned, end);
        }
        self.setup.status.lock().ended = Some(end);
        info!(lane = self.setup.number, worker = self.worker.as_str(), reason:? = end; "Lane stopped");
        end
    }

    fn on(&mut self, event: LaneEvent) {
        self.decisions.on(event, SystemClock.now());
    }

    /// The value of a call; none if it failed.
    fn heard<T>(&self, asked: Result<T, CallError>) -> Option<T> {
        let mut facts = self.setup.status.lock();
        match asked {
            Ok(value) => {
                facts.last_answer = Some(SystemClock.now());
                facts.trouble = None;
                Some(value)
            }
            Err(error) => {
                facts.failed_calls += 1;
                let words = error.to_string();
                // The same trouble is logged once.
                if facts.trouble.as_ref() != Some(&words) {
                    warn!(lane = self.setup.number, reason = words.as_str(); "The queue does not answer");
                }
                facts.trouble = Some(words);
                None
            }
        }
    }

    fn show(&self) {
        let mut facts = self.setup.status.lock();
        facts.worker = Some(self.worker.clone());
        facts.conversation = self.decisions.conversation().cloned();
    }

    /// A job of this lane's id, left by an earlier process, is ended before the lane claims another.
    fn finish_earlier(&mut self) {
        if let Some(ended) = self.setup.claimed_jobs.job_of(&self.worker) {
            self.wait_for(&ended);
        }
    }

    fn claim(&mut self, conversation: Option<&ConversationId>) {
        let (worker, number) = (self.worker.clone(), self.setup.number);
        if let Some(conversation) = conversation.filter(|_| !self.decisions.has_claimed())
            && let Err(reason) = self.setup.hooks.conversation_begins(&worker, conversation, None)
        {
            warn!(lane = number, reason = reason.as_str(); "The conversation cannot begin, so nothing is claimed");
            self.on(LaneEvent::CallFailed);
            return;
        }
        let (at, claimed_at) = (ClaimTime::now(), SystemClock.now());
        let asked = self.setup.client.ask(&Claim { worker_id: &worker, conversation_id: conversation });
        let Some(claimed) = self.heard(asked) else { return self.on(LaneEvent::CallFailed) };
        let Some(claimed) = claimed else { return self.on(LaneEvent::Claimed(None)) };
        {
            let mut facts = self.setup.status.lock();
            facts.claims += 1;
            facts.last_claim = Some(claimed_at);
        }
        let job = Box::new(claimed.clone());
        self.on(LaneEvent::Claimed(Some(job)));
        if !matches!(self.decisions.next(SystemClock.now()), LaneStep::Work(_)) {
            // The lane refuses the job in its next step.
            return;
        }
        if let Some(owned) = self.owned() {
            self.setup.ids.served(number, &owned);
        }
        let id = claimed.message_id.clone();
        info!(lane = number, worker = worker.as_str(), job = id.as_str(); "Job claimed");
        let job = PoolJob { worker, claimed_at, claimed };
        while let Some(ended) = self.setup.claimed_jobs.under_earlier_lease(&PoolJob::work_id(&id)) {
            // The queue has given the message again, so the earlier lease is lost. The dispatcher has a message once.
            let _ = ended.recv();
        }
        let ended = match self.setup.claimed_jobs.claimed(job.clone(), at) {
            Ok(ended) => ended,
            Err(why) => {
                error!(lane = number, job = id.as_str(), reason:% = why; "The lease of a job cannot be renewed: a thread cannot be started");
                // The next step reports the job as failed.
                return;
            }
        };
        if (self.setup.offer)(Arc::new(job.into())) {
            self.setup.status.lock().is_working = true;
            self.wait_for(&ended);
            self.setup.status.lock().is_working = false;
        }
        self.on(LaneEvent::JobEnded);
        if let Some(owned) = self.owned() {
            self.setup.ids.served(number, &owned);
            self.setup.hooks.between_jobs(&owned);
        }
    }

    /// Waits for the end of the job. A stop does not end the wait: a job that was begun is ended first.
    fn wait_for(&mut self, ended: &Receiver<()>) {
        // Nothing is sent: `ClaimedJobs` drops the sender.
        let _ = ended.recv();
        if self.is_stopped() {
            self.on(LaneEvent::Signal);
        }
    }

    fn is_stopped(&self) -> bool {
        self.setup.stop.try_recv() == Err(crossbeam_channel::TryRecvError::Disconnected)
    }

    /// Reports a job as failed that this lane does not work on.
    fn report(&mut self, job: &ClaimedJob, reason: &str) {
        let lease =
            HeldLease { worker_id: &self.worker, message_id: &job.message_id, lease_id: &job.lease_id };
        let asked = self.setup.client.ask(&Fail { lease, error_message: reason });
        // If the report is lost, the lease of the job ends by itself.
        self.heard(asked);
        warn!(job = job.message_id.as_str(), reason; "Job refused");
        self.on(LaneEvent::JobEnded);
        self.pause(REFUSED_PAUSE);
    }

    fn wait(&mut self, until: Millis) {
        let now = SystemClock.now();
        for over in self.setup.ids.take_expired(now) {
            self.setup.hooks.id_ends(&over, LaneEnd::Idle);
        }
        // A lane without a conversation looks for the conversations of resting ids.
        let looks = self.setup.rules.mode == WorkerMode::Droplet && !self.decisions.has_claimed();
        if looks && let Some(owned) = self.setup.ids.due(self.setup.number, now) {
            self.worker = owned.worker.clone();
            self.decisions.resumed(owned.conversation, owned.agent, owned.active, now);
            self.finish_earlier();
            return;
        }
        self.pause(until.since(now));
    }

    fn pause(&mut self, pause: Duration) {
        if self.setup.stop.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
            self.on(LaneEvent::Signal);
        }
    }

    /// Begins again with another id. The one that is free rests, and the one that must stop ends.
    fn renew(&mut self, why: LaneEnd) {
        let (number, now) = (self.setup.number, SystemClock.now());
        match (why, self.owned()) {
            (LaneEnd::Free, Some(owned)) => self.setup.ids.rest(number, owned, now),
            (_, owned) => {
                if let Some(owned) = owned {
                    self.setup.hooks.id_ends(&owned, why);
                }
                self.setup.ids.gone(number);
            }
        }
        self.decisions.renewed(now);
        match self.setup.ids.due(number, now) {
            Some(owned) => {
                self.worker = owned.worker.clone();
                self.decisions.resumed(owned.conversation, owned.agent, owned.active, now);
                self.finish_earlier();
            }
            None => self.worker = self.setup.ids.fresh(number),
        }
        if self.is_stopped() {
            self.on(LaneEvent::Signal);
        }
    }

    /// The conversation of the present id, once it has claimed a job.
    fn owned(&self) -> Option<OwnedConversation> {
        let (conversation, agent, active) = self.decisions.assignment()?;
        let (worker, conversation) = (self.worker.clone(), conversation.clone());
        Some(OwnedConversation { worker, conversation, agent: agent.to_owned(), active })
    }
}
