//! The dispatcher: decides which work starts next, and what follows from the end of an attempt.
//!
//! It owns the queue, the breaker for the gateway, the pauses of operators, the running items and the finished items.
//! Sources offer work. The dispatcher refuses work that has ended here before.

mod operator_actions;
mod stopped_threads;
mod unreadable_rows;

use std::sync::Arc;

use unreadable_rows::{UnreadableAdmission, UnreadableRows};

use super::agent_limits::{AgentLimits, AgentLimitsState};
use super::backlog::{Backlog, Pace};
use super::delivery_stats::DeliveryStats;
use super::finished::{Admission, FinishedItems};
use super::gateway_breaker::GatewayBreaker;
use super::limited::{Limited, TurnStops};
use super::policy::Skip;
use super::queue::{Queue, StartRoom, StartedJob};
use super::scheduler_messages::{Effect, RecoveredState, SchedulerConfig, SchedulerState};
use super::stopped_rows::{StoppedRows, StoppedThread};
use super::{End, Job, Outcome, Record, Trouble};
use crate::gateway::Class;
use crate::guardrails::agent_names::AgentNames;
use crate::work::{Work, WorkId};
use mcr_model::clock::Millis;

/// The answer to a source that has offered an item.
#[derive(Debug)]
pub(super) enum Offered {
    /// The item is in the queue from now on.
    Accepted(WorkId),
    /// The item is already in the queue, or its look is outdated.
    Known,
    /// The item is not ours to start.
    Refused,
}

/// What could start now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready {
    /// How many items could start if a worker were free. Items of agents count only if there is room for them.
    pub(super) items: usize,
    /// Whether items of agents wait for room.
    pub(super) agents_wait: bool,
}

/// The owner of the queue and of all running and finished items.
#[derive(Debug)]
pub(super) struct Dispatcher {
    queue: Queue,
    breaker: GatewayBreaker,
    free_workers: usize,
    /// How many running items are heartbeats.
    running_heartbeats: usize,
    finished: FinishedItems,
    unreadable: UnreadableRows,
    /// The rows that the loop brake has stopped.
    stopped: StoppedRows,
    /// The stopped threads for `/health`.
    stopped_threads: Arc<[StoppedThread]>,
    /// The agents whose turns do not start.
    stops: TurnStops,
    agent_limits: AgentLimits,
    /// The names of the agents, by which the rows of people are recognized.
    pub(super) agent_names: AgentNames,
    /// How often a worker looked who has caused a row, and the row then waited.
    looks: u64,
    pace: Pace,
    /// Whether all starts are suspended.
    suspended: bool,
    pub(super) stats: DeliveryStats,
    /// The effects of the current event.
    pub(super) effects: Vec<Effect>,
}

impl Dispatcher {
    /// Creates a dispatcher with the work that an earlier process has left. All workers are free.
    pub(super) fn new(plan: SchedulerConfig, left: RecoveredState, now: Millis) -> Self {
        let workers = plan.workers;
        let mut queue = Queue::new(plan.fold_max);
        for (work, record, not_before) in left.open {
            queue.recall(work, record, not_before, now);
        }
        queue.recall_folds(&left.closed, now);
        let unreadable = UnreadableRows::new(left.unreadable);
        for (track, id) in unreadable.blocked_tracks() {
            queue.block(&track, id, now);
        }
        Self {
            queue,
            breaker: GatewayBreaker::new(),
            free_workers: workers,
            running_heartbeats: 0,
            finished: FinishedItems::new(left.closed, left.dead),
            unreadable,
            stopped_threads: left.stopped.threads().into(),
            stopped: left.stopped,
            stops: TurnStops { hold: left.hold, limited: Limited::default() },
            agent_limits: AgentLimits::new(workers, plan.agent_limits, &left.agent_turns, now),
            agent_names: AgentNames::default(),
            looks: 0,
            pace: Pace::default(),
            suspended: false,
            stats: DeliveryStats::default(),
            effects: Vec::new(),
        }
    }

    /// Handles an item that a source offers.
    pub(super) fn offer(&mut self, work: Arc<Work>, now: Millis) -> Offered {
        let origin = work.notification().and_then(|row| self.agent_names.origin_of(row));
        if self.queue.knows(&work, origin, now) {
            return Offered::Known;
        }
        let id = work.id.clone();
        match self.unreadable.admit(&work) {
            Some(UnreadableAdmission::Refused) => return Offered::Refused,
            Some(UnreadableAdmission::Ends(record)) => {
                self.queue.push(work, *record, origin, now);
                return Offered::Accepted(id);
            }
            None => {}
        }
        match self.finished.admit(&work) {
            Admission::Refused => return Offered::Refused,
            Admission::Outdated => return Offered::Known,
            Admission::Start => self.queue.push(work, Record::default(), origin, now),
            Admission::OnlyMark(record) => self.queue.push(work, *record, origin, now),
        }
        Offered::Accepted(id)
    }

    /// Starts a job whose lease is lost without a turn, so that it ends and its lane is free.
    pub(super) fn fenced(&mut self, id: &WorkId, now: Millis) {
        // A job that has ended since is not known.
        self.queue.hurry(id, now);
    }

    /// Closes waiting items that no longer exist at their source. An item for which something has been done stays.
    /// Returns the closed items.
    pub(super) fn withdraw(&mut self, is_missing: impl Fn(&WorkId) -> bool, now: Millis) -> Vec<WorkId> {
        let mut withdrawn = Vec::new();
        for number in self.queue.untouched(is_missing) {
            if let Some(work) = self.queue.close(number, now) {
                withdrawn.push(work.id.clone());
                self.effects.push(Effect::Forget(work));
                *self.stats.ended.entry(End::Gone.name()).or_default() += 1;
            }
        }
        withdrawn
    }

    /// Handles a look of a source that has come back. Its items are offered next.
    pub(super) fn look_ended(&mut self, look: u64, now: Millis) {
        self.finished.expire(look, now);
    }

    /// Takes the items that start now. A worker is free for each of them.
    pub(super) fn start(&mut self, may_start: bool, now: Millis) -> Vec<Job> {
        self.queue.wake(now);
        let mut jobs = Vec::new();
        while self.free_workers > 0
            && may_start
            && !self.suspended
            && let room = self.room(now)
            && let Some(StartedJob { job, turn, for_agents }) = self.queue.take(&self.stops, room)
        {
            self.free_workers -= 1;
            self.running_heartbeats += usize::from(job.work.is_heartbeat());
            self.agent_limits.begins(&job, for_agents, now);
            if turn {
                self.breaker.begins(job.number, now);
            }
            jobs.push(job);
        }
        jobs
    }

    /// How much may start now.
    fn room(&mut self, now: Millis) -> StartRoom {
        let agents = self.agent_limits.room_for_agents(self.free_workers, now);
        let agents_wait = agents > 0 && self.queue.ready_of_agents(&self.stops) > 0;
        let people = self.agent_limits.has_room_for_people(self.free_workers, agents_wait);
        StartRoom { turns: self.breaker.lets_in(now), agents, people }
    }

    /// From now on these agents' turns wait because a limit was reached.
    pub(super) fn limit(&mut self, limited: Limited) {
        self.stops.limited = limited;
    }

    /// Starts a probe of the gateway if one is due. Returns whether it started one.
    pub(super) fn probe(&mut self, now: Millis) -> bool {
        self.breaker.probe(now)
    }

    /// Handles the end of a probe. `trouble` is the reason if the gateway is still unavailable.
    pub(super) fn probed(&mut self, trouble: Option<&str>, now: Millis) {
        self.breaker.probed(trouble, now);
    }

    /// Notes that the gateway has accepted the turn of this item.
    pub(super) fn turn_accepted(&mut self, number: u64) {
        self.breaker.found_reachable(number);
    }

    /// Handles the end of an attempt: the item is closed, or returns to the queue. `look` is the last look of its
    /// source that may still show the item.
    pub(super) fn finished(&mut self, job: Box<Job>, outcome: Outcome, look: Option<u64>, now: Millis) {
        self.free_workers += 1;
        self.running_heartbeats -= usize::from(job.work.is_heartbeat());
        self.agent_limits.ends(&job, now);
        match outcome {
            Outcome::Closed(end) => self.close(*job, &end, look, now),
            Outcome::Again { trouble, pause } => {
                match &trouble {
                    Trouble::Gateway(error) if error.class == Class::Closed => {
                        self.breaker.found_unreachable(&error.sentence, error.not_before, now);
                    }
                    _ => {
                        self.report_to_breaker(&job);
                        // Heartbeats have counts of their own.
                        if !trouble.is_patience() && !job.work.is_heartbeat() {
                            self.stats.fail(trouble.to_string(), now);
                        }
                    }
                }
                self.looks += u64::from(matches!(trouble, Trouble::AgentRowsWait));
                self.queue.put_back(*job, &trouble, pause.map(|pause| now + pause), now);
            }
        }
    }

    fn close(&mut self, mut job: Job, end: &End, look: Option<u64>, now: Millis) {
        self.report_to_breaker(&job);
        // An item ends only once, even if its mark is refused many times afterwards.
        let had_ended = job.record.is_closed;
        if !had_ended && !job.work.is_heartbeat() {
            self.stats.close(end, now);
            self.pace.settles(now);
        }
        self.queue.ends(&mut job, end);
        self.queue.close(job.number, now);
        let stopped = matches!(end, End::Skipped(Skip::TeamLimit)) && !had_ended;
        let stopped = stopped.then(|| (job.work.clone(), job.record.clone()));
        self.finished.insert(job, end, had_ended, look, now);
        if let Some((work, record)) = stopped {
            self.stop(work, record, now);
        }
    }

    /// Reports to the breaker what an attempt shows about the gateway. An attempt without an answer of the gateway
    /// shows nothing. If that attempt was the trial, the next item becomes the trial.
    fn report_to_breaker(&mut self, job: &Job) {
        if job.gateway_answered {
            self.breaker.found_reachable(job.number);
        } else {
            self.breaker.found_nothing(job.number);
        }
    }

    /// When the next decision is due, if no event comes earlier.
    pub(super) fn wake_at(&self, may_start: bool, now: Millis) -> Option<Millis> {
        // The end of a pause matters only if a worker could take the item. That holds behind an open breaker as well:
        // the item may need no turn.
        let can_start = self.free_workers > 0 && may_start && !self.suspended;
        let rested = self.queue.wake_at().filter(|_| can_start);
        let ceiling = self.ceiling_until(now).filter(|_| can_start);
        // A trial whose time has passed lets the next item start at once. If none is ready, the end of a pause wakes it.
        let trial = self.breaker.next_trial_at().filter(|at| can_start && *at > now);
        [rested, ceiling, trial, self.breaker.probe_at()].into_iter().flatten().min()
    }

    /// When the ceiling lets the next turn of an agent start, if it holds back items that could start otherwise.
    fn ceiling_until(&self, now: Millis) -> Option<Millis> {
        let until = self.agent_limits.ceiling_until(now).filter(|_| self.free_workers > 0)?;
        (self.queue.ready_of_agents(&self.stops) > 0).then_some(until)
    }

    /// The number of items in the queue, running ones included.
    #[cfg(test)]
    pub(super) fn known(&self) -> usize {
        self.queue.len()
    }

    /// What could start now.
    pub(super) fn ready(&mut self, now: Millis) -> Ready {
        let room = self.agent_limits.room_for_agents(self.free_workers, now);
        let agents_wait = room == 0 && self.queue.ready_of_agents(&self.stops) > 0;
        Ready { items: self.queue.ready(&self.stops, room), agents_wait }
    }

    /// The number of items with a worker.
    pub(super) fn running(&self) -> usize {
        self.queue.running()
    }

    /// Whether an item runs that people or agents have caused, not the schedule of heartbeats.
    pub(super) fn is_busy(&self) -> bool {
        self.queue.running() > self.running_heartbeats
    }

    /// Whether a single item is on trial, to test the gateway before others start.
    pub(super) fn is_on_trial(&self) -> bool {
        self.breaker.is_on_trial()
    }

    /// The known items as a backlog.
    pub(super) fn backlog(&self, now: Millis) -> Backlog {
        self.pace.backlog(self.queue.len(), now)
    }

    /// The state of the dispatcher. The fields about the sources stay empty.
    pub(super) fn state(&self, now: Millis) -> SchedulerState {
        let ceiling_until = self.ceiling_until(now);
        let waiting = if ceiling_until.is_some() { self.queue.ready_of_agents(&self.stops) } else { 0 };
        let agent_limits =
            AgentLimitsState { ceiling_until, waiting, looks: self.looks, ..self.agent_limits.state() };
        SchedulerState {
            agent_limits,
            known: self.queue.len(),
            running: self.queue.running(),
            oldest: self.queue.oldest(),
            dead: self.finished.dead_letter_count(),
            stopped: self.stopped_threads.clone(),
            unreadable: self.unreadable.sentences(),
            breaker_open: self.breaker.why().map(str::to_owned),
            stats: self.stats.clone(),
            ..SchedulerState::default()
        }
    }
}
