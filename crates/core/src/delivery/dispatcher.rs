//! The dispatcher: decides which work starts next, and what follows from the end of an attempt.
//!
//! It owns the queue, the breaker for the gateway, the pauses of operators, the running items and the finished items.
//! Sources offer work. The dispatcher refuses work that has ended here before.

mod operator_actions;
mod stopped_threads;
mod unreadable_rows;

use std::sync::Arc;

use unreadable_rows::{UnreadableAdmission, UnreadableRows};

use super::delivery_stats::DeliveryStats;
use super::finished::{Admission, FinishedItems};
use super::gateway_breaker::GatewayBreaker;
use super::operator_requests::Hold;
use super::policy::Skip;
use super::queue::{Queue, StartedJob};
use super::scheduler_messages::{Effect, RecoveredState, SchedulerState};
use super::stopped_rows::{StoppedRows, StoppedThread};
use super::{End, Job, Outcome, Record, Trouble};
use crate::gateway::Class;
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

/// The owner of the queue and of all running and finished items.
#[derive(Debug)]
pub(super) struct Dispatcher {
    queue: Queue,
    breaker: GatewayBreaker,
    free_workers: usize,
    finished: FinishedItems,
    unreadable: UnreadableRows,
    /// The rows that the loop brake has stopped.
    stopped: StoppedRows,
    /// The stopped threads for `/health`.
    stopped_threads: Arc<[StoppedThread]>,
    /// The agents whose turns do not start.
    hold: Hold,
    /// Whether all starts are suspended.
    suspended: bool,
    pub(super) stats: DeliveryStats,
    /// The effects of the current event.
    pub(super) effects: Vec<Effect>,
}

impl Dispatcher {
    /// Creates a dispatcher with the work that an earlier process has left. All workers are free.
    pub(super) fn new(workers: usize, left: RecoveredState, now: Millis) -> Self {
        let mut queue = Queue::default();
        for (work, record, not_before) in left.open {
            queue.recall(work, record, not_before, now);
        }
        let unreadable = UnreadableRows::new(left.unreadable);
        for (track, id) in unreadable.blocked_tracks() {
            queue.block(&track, id, now);
        }
        Self {
            queue,
            breaker: GatewayBreaker::new(),
            free_workers: workers,
            finished: FinishedItems::new(left.closed, left.dead),
            unreadable,
            stopped_threads: left.stopped.threads().into(),
            stopped: left.stopped,
            hold: left.hold,
            suspended: false,
            stats: DeliveryStats::default(),
            effects: Vec::new(),
        }
    }

    /// Handles an item that a source offers.
    pub(super) fn offer(&mut self, work: Arc<Work>, now: Millis) -> Offered {
        if self.queue.knows(&work) {
            return Offered::Known;
        }
        let id = work.id.clone();
        match self.unreadable.admit(&work) {
            Some(UnreadableAdmission::Refused) => return Offered::Refused,
            Some(UnreadableAdmission::Ends(record)) => {
                self.queue.push(work, *record, now);
                return Offered::Accepted(id);
            }
            None => {}
        }
        match self.finished.admit(&work) {
            Admission::Refused => return Offered::Refused,
            Admission::Outdated => return Offered::Known,
            Admission::Start => self.queue.push(work, Record::default(), now),
            Admission::OnlyMark(record) => self.queue.push(work, *record, now),
        }
        Offered::Accepted(id)
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
            && let Some(StartedJob { job, turn }) = self.queue.take(&self.hold, self.breaker.lets_in())
        {
            self.free_workers -= 1;
            if turn {
                self.breaker.begins(job.number);
            }
            jobs.push(job);
        }
        jobs
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
        match outcome {
            Outcome::Closed(end) => self.close(*job, &end, look, now),
            Outcome::Again { trouble, pause } => {
                match &trouble {
                    Trouble::Gateway(error) if error.class == Class::Closed => {
                        self.breaker.found_unreachable(&error.sentence, error.not_before, now);
                    }
                    _ => {
                        self.report_to_breaker(&job);
                        if !trouble.is_patience() {
                            self.stats.fail(trouble.to_string(), now);
                        }
                    }
                }
                self.queue.put_back(*job, trouble.to_string(), pause.map(|pause| now + pause), now);
            }
        }
    }

    fn close(&mut self, job: Job, end: &End, look: Option<u64>, now: Millis) {
        self.report_to_breaker(&job);
        // An item ends only once, even if its mark is refused many times afterwards.
        let had_ended = job.record.is_closed;
        if !had_ended {
            self.stats.close(end, now);
        }
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
    pub(super) fn wake_at(&self, may_start: bool) -> Option<Millis> {
        // The end of a pause matters only if a worker could take the item. That holds behind an open breaker as well:
        // the item may need no turn.
        let can_start = self.free_workers > 0 && may_start && !self.suspended;
        let rested = self.queue.wake_at().filter(|_| can_start);
        [rested, self.breaker.probe_at()].into_iter().flatten().min()
    }

    /// The number of items in the queue, running ones included.
    #[cfg(test)]
    pub(super) fn known(&self) -> usize {
        self.queue.len()
    }

    /// The number of items that could start now.
    pub(super) fn ready(&self) -> usize {
        self.queue.ready(&self.hold)
    }

    /// The number of items with a worker.
    pub(super) fn running(&self) -> usize {
        self.queue.running()
    }

    /// Whether a single item is on trial, to test the gateway before others start.
    pub(super) fn is_on_trial(&self) -> bool {
        self.breaker.is_on_trial()
    }

    /// The state of the dispatcher. The fields about the sources stay empty.
    pub(super) fn state(&self) -> SchedulerState {
        SchedulerState {
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
