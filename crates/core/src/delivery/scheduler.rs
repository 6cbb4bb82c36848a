//! The owner of all scheduling state: connects the sources of work with the dispatcher.
//!
//! # The problem
//!
//! Many agents have work at once, and few workers run it. Each agent must see the messages of a task in their order. Yet
//! one slow or failing session must not delay any other. The gateway and the backend may be away for hours, and then no
//! work may be lost, started twice or given up. Another runtime may be active on the same account by mistake. And a
//! person may pause, retry or drop work at any moment.
//!
//! # The policy
//!
//! * **Sources offer, the dispatcher decides.** A source only knows what exists: notifications come from lists of the
//!   backend (`notification_source`), other kinds are offered one by one. The dispatcher refuses work that is in its
//!   queue, or that has ended here before (`finished`). So a late or repeated list starts nothing twice.
//! * **Order within a track, independence between tracks.** A track is one agent and one task. The queue starts one item
//!   of a track at a time, in order. An item that has failed twice lets later ones pass, so it blocks its track no longer.
//! * **People first, then rank, then age.** Among the items that may start, those that people have caused come first,
//!   and then work that an agent waits for. An item that was overtaken too often precedes all others, so none starves.
//! * **Limits for agents.** Some workers are kept for people, and a ceiling limits the turns that agents cause
//!   (`agent_limits`).
//! * **One breaker for the gateway.** While the gateway is away, no turn starts and no attempt is counted. A shared probe
//!   finds out when it is back. Then one item tries a turn, and the others follow if the gateway accepts that one.
//! * **Work without a turn is never held.** The breaker and an operator's pause hold back turns only. An answer that was
//!   paid for is posted, and a missing mark is set, while the gateway is away.
//! * **Polls follow the traffic.** A nudge or a full list causes the next list at once; without news the pauses grow
//!   (`poll_schedule`). The wake query, where the backend has it, replaces the polls of an idle account.
//! * **Two runtimes do not share an account.** Until the lists rule out a duplicate runtime, nothing starts. If one is
//!   certain, this runtime leaves (`duplicate_runtime`).
//!
//! # The form
//!
//! The scheduler is a plain struct, fed with events and the time. It never blocks, does no IO and has no clock or random
//! source: both are arguments. It returns what should happen as [`Effect`]s. The thread around it carries them out and
//! reports the results as [`Event`]s; [`Scheduler::wake_at`] is the time of the next decision without an event. So every
//! rule is tested without threads, in virtual time, and one owner makes races between decisions impossible.
//!
//! A worker owes one [`Event::Finished`] for each [`Effect::Start`], even after a panic. The number of free workers and
//! the running items are therefore always exact.

use std::time::Duration;

pub use super::poll_schedule::PollIntervals;
pub use super::scheduler_messages::{
    Effect, Event, OperatorEffect, RecoveredState, SchedulerConfig, SchedulerState,
};

use super::call_rate::CallRate;
use super::dispatcher::Dispatcher;
use super::notification_source::{List, ListRequest, NotificationSource};
use super::operator_requests::{OperatorReply, OperatorRequest, Refused, ReplyTo};
use crate::work::{Kind, Work};
use mcr_model::clock::Millis;

/// The owner of all scheduling state.
#[derive(Debug)]
pub struct Scheduler {
    notifications: NotificationSource,
    dispatcher: Dispatcher,
    call_rate: CallRate,
    /// Whether notifications are listed. A worker of a pool has none.
    has_lists: bool,
    stopping: bool,
    /// The time of the last event.
    now: Millis,
}

impl Scheduler {
    /// A scheduler with all workers free and no work.
    pub fn new(plan: SchedulerConfig) -> Self {
        Self::with(plan, RecoveredState::default(), Millis::default())
    }

    /// A scheduler with all workers free and the work that an earlier process has left.
    pub fn with(plan: SchedulerConfig, left: RecoveredState, now: Millis) -> Self {
        let open = left.open.iter().map(|(work, ..)| &**work);
        let notifications = NotificationSource::new(plan, left.predecessor, open, now);
        let call_rate = CallRate::new(plan.calls_monthly, now);
        let dispatcher = Dispatcher::new(plan, left, now);
        Self { notifications, dispatcher, call_rate, has_lists: true, stopping: false, now }
    }

    /// Sets the least time between the first sign of a duplicate runtime and the second look.
    #[must_use]
    pub fn standing_back(mut self, least: Duration) -> Self {
        self.notifications.stands_back(least);
        self
    }

    /// Makes no lists of notifications: other sources offer all work.
    #[must_use]
    pub fn without_lists(mut self) -> Self {
        self.has_lists = false;
        self
    }

    /// Takes an event and returns what should happen now. Without an event, the time of a decision has come.
    pub fn on(&mut self, event: Option<Event>, now: Millis) -> Vec<Effect> {
        self.now = now;
        match event {
            Some(Event::Listed { list: number, limit, rows, malformed, dice }) => {
                let request = ListRequest { number, limit };
                let list = List { request, rows, unreadable: malformed, dice };
                self.dispatcher.stats.list(now);
                self.notifications.listed(list, &mut self.dispatcher, now);
                if self.notifications.leaves() {
                    self.dispatcher.effects.push(Effect::Leave);
                }
            }
            Some(Event::ListFailed { why, not_before, dice }) => {
                self.notifications.list_failed(not_before, dice, now);
                self.dispatcher.stats.fail_to_list(why, now);
            }
            Some(Event::Offered(work)) => {
                if is_woken(&work) {
                    self.notifications.expect_traffic(now);
                }
                // Known or refused work needs no answer: its source offers what it has, not what is missing here.
                self.dispatcher.offer(work, now);
            }
            Some(Event::Finished(job, outcome)) => {
                let look = self.notifications.finished(&job, &outcome, now);
                self.dispatcher.finished(job, outcome, look, now);
            }
            Some(Event::Fenced(id)) => self.dispatcher.fenced(&id, now),
            Some(Event::TurnAccepted(number)) => self.dispatcher.turn_accepted(number),
            Some(Event::ThreadResumed(task, start)) => {
                self.notifications.expect_traffic(now);
                self.dispatcher.resume(&task, start, now);
            }
            Some(Event::Nudged) => self.notifications.nudged(now),
            Some(Event::Written) => self.notifications.written(now),
            Some(Event::BackendCalls(calls)) => {
                self.notifications.set_limited(self.call_rate.is_exceeded(calls, now));
            }
            Some(Event::WakeQuery(signal)) => self.notifications.poll_schedule.signaled(signal),
            Some(Event::Probed(trouble)) => self.dispatcher.probed(trouble.as_deref(), now),
            Some(Event::AgentNames(names)) => self.dispatcher.agent_names.add(names),
            Some(Event::Limited(limited)) => {
                self.notifications.expect_traffic(now);
                self.dispatcher.limit(limited);
            }
            Some(Event::Asked(ask, reply_to)) => self.asked(ask, reply_to, now),
            Some(Event::Stop) => self.stopping = true,
            None => {}
        }
        self.effects(now)
    }

    fn asked(&mut self, ask: OperatorRequest, reply_to: ReplyTo, now: Millis) {
        let is_retry = matches!(ask, OperatorRequest::Retry(_));
        if matches!(ask, OperatorRequest::Hold(_)) {
            self.notifications.expect_traffic(now);
        }
        let answer = if self.is_ending() && ask.changes_work() {
            OperatorReply::Refused(Refused::Stopping)
        } else {
            self.dispatcher.asked(ask, now)
        };
        if is_retry && matches!(answer, OperatorReply::Decided(_)) {
            self.notifications.expect_traffic(now);
        }
        // The answer comes last, so that its effects are in the journal when the person reads it.
        self.dispatcher.effects.push(Effect::Operator(OperatorEffect::Tell(reply_to, answer)));
    }

    fn effects(&mut self, now: Millis) -> Vec<Effect> {
        let mut effects = std::mem::take(&mut self.dispatcher.effects);
        if self.is_ending() {
            return effects;
        }
        for job in self.dispatcher.start(self.may_start(), now) {
            self.notifications.started(&job.work);
            effects.push(Effect::Start(Box::new(job)));
        }
        self.notifications.set_busy(self.dispatcher.is_busy());
        if self.dispatcher.probe(now) {
            effects.push(Effect::Probe);
        }
        let ready = self.dispatcher.ready(now);
        if self.has_lists
            && let Some(ListRequest { number, limit }) = self.notifications.next_list(ready, now)
        {
            effects.push(Effect::List { list: number, limit });
        }
        effects
    }

    /// Whether work may start. Without lists there is no account that a duplicate runtime could share.
    fn may_start(&self) -> bool {
        !self.has_lists || self.notifications.allows_starts()
    }

    /// Whether nothing starts any more.
    fn is_ending(&self) -> bool {
        self.stopping || self.notifications.leaves()
    }

    /// When a decision is due, if no event comes before.
    pub fn wake_at(&self, now: Millis) -> Option<Millis> {
        if self.is_ending() {
            return None;
        }
        let start = self.dispatcher.wake_at(self.may_start(), now);
        let list = self.notifications.wake_at(now).filter(|_| self.has_lists);
        [list, start].into_iter().flatten().min()
    }

    /// Whether a single item tries the gateway first, and all others wait for the result.
    pub fn is_on_trial(&self) -> bool {
        self.dispatcher.is_on_trial()
    }

    /// Whether the order to stop has come and nothing runs any more.
    pub fn is_done(&self) -> bool {
        self.stopping && self.dispatcher.running() == 0
    }

    /// How things stand.
    pub fn state(&self) -> SchedulerState {
        SchedulerState {
            is_idle: self.notifications.is_idle(self.now),
            foreign: self.notifications.duplicate(),
            lists: self.notifications.lists(),
            lists_limited: self.notifications.is_limited(),
            list_failures: self.notifications.list_failures(),
            backlog: self.notifications.is_behind().then(|| self.dispatcher.backlog(self.now)),
            ..self.dispatcher.state(self.now)
        }
    }
}

/// Whether a person or an agent has caused this heartbeat.
fn is_woken(work: &Work) -> bool {
    matches!(&work.kind, Kind::Heartbeat(beat) if beat.woken)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::delivery::agent_limits::AgentLimitsConfig;
    use crate::work::Beat;

    fn plan() -> SchedulerConfig {
        let second = Duration::from_secs(1);
        SchedulerConfig {
            workers: 1,
            list_limit: 1,
            calls_monthly: 900_000,
            intervals: PollIntervals {
                interval: second,
                idle_interval: second,
                backoff_base: second,
                backoff_max: second,
            },
            fold_max: 1,
            agent_limits: AgentLimitsConfig::default(),
        }
    }

    #[test]
    fn without_lists_offered_work_starts_at_once_and_nothing_is_listed() {
        let beat = Beat {
            id: crate::work::WorkId::new("b1"),
            agent: mcr_model::AgentId::new("a1"),
            created_at: Millis(1),
            woken: false,
        };
        let names = |effects: &[Effect]| -> (bool, bool) {
            let lists = effects.iter().any(|effect| matches!(effect, Effect::List { .. }));
            (lists, effects.iter().any(|effect| matches!(effect, Effect::Start(_))))
        };
        let offer = || Some(Event::Offered(Arc::new(Work::from(beat.clone()))));
        let mut scheduler = Scheduler::new(plan()).without_lists();
        assert_eq!(names(&scheduler.on(None, Millis(1))), (false, false));
        assert_eq!(names(&scheduler.on(offer(), Millis(2))), (false, true));
        assert_eq!(scheduler.wake_at(Millis(3)), None);
        // With lists, a duplicate runtime must be ruled out first.
        let mut listing = Scheduler::new(plan());
        assert_eq!(names(&listing.on(offer(), Millis(2))), (true, false));
    }
}
