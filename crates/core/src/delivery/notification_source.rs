//! The source of notifications: decides when to list them, and what a list means.
//!
//! A list shows the oldest undelivered notifications up to a limit. New rows are offered to the dispatcher. A row that
//! waits untouched and is absent from a complete list is gone: it was settled elsewhere, or deleted. This rule applies
//! only to rows that were listed. Work of other sources cannot be missing from a list.
//!
//! The lists also show whether a duplicate runtime works on the same account. Until that is ruled out, nothing starts.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::dispatcher::{Dispatcher, Offered, Ready};
use super::duplicate_runtime::{DuplicateCheck, ForeignRuntime, ListObservation, Predecessor};
use super::poll_schedule::PollSchedule;
use super::scheduler_messages::SchedulerConfig;
use super::{End, Job, Outcome, Trouble};
use crate::work::{Work, WorkId};
use mcr_model::clock::Millis;
use mcr_model::limits::UNDELIVERED_ROWS;
use mcr_model::{Notification, RecipientType};

/// The minimum number of new rows per worker that a list requests. It keeps the workers busy until the next list.
const NEW_ROWS_PER_WORKER: u32 = 4;

/// A list to request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ListRequest {
    pub(super) number: u64,
    pub(super) limit: u32,
}

/// A list that came back.
#[derive(Debug)]
pub(super) struct List {
    pub(super) request: ListRequest,
    /// The oldest undelivered rows, oldest first.
    pub(super) rows: Vec<Notification>,
    /// The number of further rows, which could not be read.
    pub(super) unreadable: usize,
    /// A random number from 0 to 1.
    pub(super) dice: f64,
}

impl List {
    /// Whether the list shows all rows that the backend has.
    fn is_complete(&self) -> bool {
        let limit = usize::try_from(self.request.limit).unwrap_or(usize::MAX);
        self.rows.len() + self.unreadable < limit
    }
}

/// What the last list shows of the backend's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LastList {
    /// All.
    Complete,
    /// As many as were requested, so the backend may have more.
    CutOff,
    /// As many as a list can show, so rows may be hidden behind them.
    Full,
}

/// The source of notifications.
#[derive(Debug)]
pub(super) struct NotificationSource {
    plan: SchedulerConfig,
    pub(super) poll_schedule: PollSchedule,
    duplicate_check: DuplicateCheck,
    /// The number of the last list that began, and when it began.
    lists: u64,
    list_began: Millis,
    list_pending: bool,
    last_list: LastList,
    /// Whether this runtime has written something since the last list began that may have made new rows.
    expects_rows: bool,
    /// The number of rows in the last list that are not ours to start.
    ignored: usize,
    /// Rows that the dispatcher has, each with the list that first showed it. A row of an earlier process has 0.
    first_listed: HashMap<WorkId, u64>,
}

impl NotificationSource {
    /// A source whose first list is due at once. `left` is the work that an earlier process did not finish.
    pub(super) fn new<'a>(
        plan: SchedulerConfig,
        predecessor: Predecessor,
        left: impl Iterator<Item = &'a Work>,
        now: Millis,
    ) -> Self {
        Self {
            plan,
            poll_schedule: PollSchedule::new(plan.intervals),
            duplicate_check: DuplicateCheck::new(plan.intervals.interval, predecessor),
            lists: 0,
            list_began: now,
            list_pending: false,
            last_list: LastList::Complete,
            expects_rows: false,
            ignored: 0,
            first_listed: left.filter_map(Work::notification).map(|row| (WorkId::from(&row.id), 0)).collect(),
        }
    }

    /// Sets the least time between the first sign of a duplicate runtime and the second look.
    pub(super) fn stands_back(&mut self, least: Duration) {
        self.duplicate_check.stands_back(least);
    }

    /// Whether work may start: a duplicate runtime is ruled out.
    pub(super) fn allows_starts(&self) -> bool {
        self.duplicate_check.lets_begin()
    }

    /// Whether a duplicate runtime stays on the account and this one leaves.
    pub(super) fn leaves(&self) -> bool {
        self.duplicate_check.leaves()
    }

    /// The evidence of a duplicate runtime, as long as it matters.
    pub(super) fn duplicate(&self) -> Option<ForeignRuntime> {
        self.duplicate_check.found()
    }

    /// Records whether work runs, so that the account is not idle.
    pub(super) fn set_busy(&mut self, is_busy: bool) {
        self.poll_schedule.set_busy(is_busy);
    }

    /// Whether people and agents are inactive.
    pub(super) fn is_idle(&self, now: Millis) -> bool {
        self.poll_schedule.is_idle(now)
    }

    /// The number of lists that have begun.
    pub(super) fn lists(&self) -> u64 {
        self.lists
    }

    /// Whether Mission Control may have more rows than a list can show.
    pub(super) fn is_behind(&self) -> bool {
        self.last_list == LastList::Full
    }

    /// The number of consecutive failed lists.
    pub(super) fn list_failures(&self) -> u32 {
        self.poll_schedule.failures()
    }

    /// Handles a report of new rows.
    pub(super) fn nudged(&mut self, now: Millis) {
        self.poll_schedule.nudged(now);
    }

    /// This runtime has written something that may have made new rows. They matter as soon as a worker has nothing to do.
    pub(super) fn written(&mut self, now: Millis) {
        self.expects_rows = true;
        self.poll_schedule.record_write(now);
    }

    /// Records whether the backend calls exceed their monthly rate.
    pub(super) fn set_limited(&mut self, is_limited: bool) {
        self.poll_schedule.set_limited(is_limited);
    }

    /// Whether lists are rarer because the backend calls exceed their monthly rate.
    pub(super) fn is_limited(&self) -> bool {
        self.poll_schedule.is_limited()
    }

    /// People or agents are at work, so new rows are likely.
    pub(super) fn expect_traffic(&mut self, now: Millis) {
        self.poll_schedule.record_activity(now);
    }

    /// Work starts.
    pub(super) fn started(&mut self, work: &Work) {
        if let Some(row) = work.notification() {
            self.duplicate_check.begins(row.id.clone(), self.lists);
        }
    }

    /// Handles the end of an attempt. Returns the last list that may still show the work; only notifications are
    /// listed.
    pub(super) fn finished(&mut self, job: &Job, outcome: &Outcome, now: Millis) -> Option<u64> {
        if shows_activity(&job.work, outcome) {
            self.expect_traffic(now);
        }
        match outcome {
            Outcome::Closed(_) => {
                self.first_listed.remove(&job.work.id);
            }
            Outcome::Again { trouble: Trouble::StartedElsewhere, .. } => {
                if let Some(row) = job.work.notification() {
                    self.duplicate_check.was_taken(&row.id);
                }
            }
            Outcome::Again { .. } => {}
        }
        job.work.notification().map(|_| self.lists)
    }

    /// A list failed.
    pub(super) fn list_failed(&mut self, not_before: Option<Duration>, dice: f64, now: Millis) {
        self.list_pending = false;
        self.poll_schedule.failed(not_before, dice, now);
    }

    /// A list came back: withdraws missing rows from the dispatcher and offers the new ones.
    pub(super) fn listed(&mut self, list: List, dispatcher: &mut Dispatcher, now: Millis) {
        let (number, complete) = (list.request.number, list.is_complete());
        let observation = ListObservation {
            list: number,
            began: self.list_began,
            rows: &list.rows,
            whole: complete,
            dice: list.dice,
        };
        self.duplicate_check.observe(observation, now);
        self.list_pending = false;
        self.last_list = match list.request.limit {
            _ if complete => LastList::Complete,
            UNDELIVERED_ROWS.. => LastList::Full,
            _ => LastList::CutOff,
        };
        if complete {
            self.withdraw_missing(number, &list.rows, dispatcher, now);
        }
        dispatcher.look_ended(number, now);
        self.ignored = list.unreadable;
        let mut is_new = false;
        for row in list.rows {
            // The backend lists only rows of agents. A row of a user is not ours to start.
            if row.recipient_type == RecipientType::User {
                self.ignored += 1;
                continue;
            }
            match dispatcher.offer(Arc::new(row.into()), now) {
                Offered::Accepted(id) => {
                    self.first_listed.insert(id, number);
                    is_new = true;
                }
                Offered::Known => {}
                Offered::Refused => self.ignored += 1,
            }
        }
        if is_new {
            self.poll_schedule.record_write(now);
        }
        self.poll_schedule.succeeded(is_new, now);
    }

    /// Withdraws rows that a complete list lacks, if it began after they were first listed.
    fn withdraw_missing(
        &mut self,
        number: u64,
        rows: &[Notification],
        dispatcher: &mut Dispatcher,
        now: Millis,
    ) {
        let listed: HashSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        let is_missing = |id: &WorkId| {
            self.first_listed.get(id).is_some_and(|first| *first < number) && !listed.contains(id.as_str())
        };
        for id in dispatcher.withdraw(is_missing, now) {
            self.first_listed.remove(&id);
        }
    }

    /// Begins the next list if it is due.
    pub(super) fn next_list(&mut self, ready: Ready, now: Millis) -> Option<ListRequest> {
        // While rows of agents wait, rows of people may follow behind them. Then a list shows as much as it can.
        let has_more = self.last_list != LastList::Complete;
        let limit = if ready.agents_wait && has_more { UNDELIVERED_ROWS } else { self.list_limit() };
        let new = limit.saturating_sub(self.shown_again());
        let workers_may_idle = ready.items < 2 * self.plan.workers;
        let wanted = if ready.agents_wait { UNDELIVERED_ROWS / 2 } else { 1 };
        let more = has_more && workers_may_idle && new >= wanted;
        // Until work may start, lists are compared, and more of them show more.
        let is_behind = has_more && !workers_may_idle && self.allows_starts();
        self.poll_schedule.set_known(self.shown_again(), is_behind);
        let ours = self.expects_rows && ready.items < self.plan.workers;
        if more || ours || self.duplicate_check.list_at().is_some_and(|at| at <= now) {
            self.poll_schedule.want();
        }
        if self.list_pending || self.poll_schedule.due(now) > now {
            return None;
        }
        self.list_pending = true;
        self.expects_rows = false;
        self.lists += 1;
        self.list_began = now;
        self.poll_schedule.begin(now);
        Some(ListRequest { number: self.lists, limit })
    }

    /// Rows that the next list shows again. Work of other sources is on no list.
    fn shown_again(&self) -> u32 {
        u32::try_from(self.first_listed.len() + self.ignored).unwrap_or(u32::MAX)
    }

    /// A list begins with the oldest rows. So the limit leaves space for new rows behind those that are known.
    fn list_limit(&self) -> u32 {
        let workers = u32::try_from(self.plan.workers).unwrap_or(u32::MAX);
        let new = self.plan.list_limit.max(workers.saturating_mul(NEW_ROWS_PER_WORKER));
        self.shown_again().saturating_add(new).min(UNDELIVERED_ROWS)
    }

    /// When the next list is due.
    pub(super) fn wake_at(&self, now: Millis) -> Option<Millis> {
        let list = (!self.list_pending).then(|| self.poll_schedule.due(now));
        // Once it is due the list is wanted, and the poll schedule has its time.
        let compared = self.duplicate_check.list_at().filter(|at| *at > now);
        [list, compared].into_iter().flatten().min()
    }
}

/// Whether the end of an attempt shows that people or agents are active. A heartbeat runs on schedule, so it does so only
/// with an answer.
fn shows_activity(work: &Work, outcome: &Outcome) -> bool {
    !work.is_heartbeat() || matches!(outcome, Outcome::Closed(End::Answered(_) | End::Kept(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::agent_limits::AgentLimitsConfig;
    use crate::delivery::scheduler::{PollIntervals, RecoveredState};

    const NOW: Millis = Millis(1_000_000);

    fn row(id: &str) -> Notification {
        let row = serde_json::json!({"_id": id, "type": "mention", "recipientType": "agent",
            "recipientId": "agent", "taskId": "task", "title": "", "body": "", "createdAt": 1});
        serde_json::from_value(row).unwrap()
    }

    fn source_and_dispatcher() -> (NotificationSource, Dispatcher) {
        let second = Duration::from_secs(1);
        let intervals = PollIntervals {
            interval: second,
            idle_interval: second,
            backoff_base: second,
            backoff_max: second,
        };
        let agent_limits = AgentLimitsConfig::default();
        let plan = SchedulerConfig {
            workers: 2,
            list_limit: 50,
            calls_monthly: 900_000,
            intervals,
            fold_max: 1,
            agent_limits,
        };
        let source = NotificationSource::new(plan, Predecessor::Unknown, std::iter::empty(), NOW);
        (source, Dispatcher::new(plan, RecoveredState::default(), NOW))
    }

    /// Requests the next list and answers it, ten seconds after the one before.
    fn list(source: &mut NotificationSource, dispatcher: &mut Dispatcher, rows: Vec<Notification>) {
        let now = NOW + Duration::from_secs(10 * source.lists());
        let request = source.next_list(dispatcher.ready(now), now).unwrap();
        source.listed(List { request, rows, unreadable: 0, dice: 0.5 }, dispatcher, now);
    }

    fn work(id: &str) -> Arc<Work> {
        Arc::new(row(id).into())
    }

    #[test]
    fn only_a_listed_row_can_be_missing_from_a_list() {
        let (mut source, mut dispatcher) = source_and_dispatcher();
        assert!(matches!(dispatcher.offer(work("from another source"), NOW), Offered::Accepted(_)));
        list(&mut source, &mut dispatcher, vec![row("listed")]);
        assert_eq!(dispatcher.known(), 2);
        list(&mut source, &mut dispatcher, vec![]);
        assert_eq!((dispatcher.known(), dispatcher.stats.of("gone")), (1, 1));
        assert!(matches!(dispatcher.offer(work("from another source"), NOW), Offered::Known));
        list(&mut source, &mut dispatcher, vec![]);
        assert_eq!((dispatcher.known(), dispatcher.stats.of("gone")), (1, 1));
    }

    /// The limit of a list leaves space for new rows behind those that lists show, and for nothing else.
    #[test]
    fn work_of_other_sources_does_not_raise_the_limit_of_lists() {
        let (mut source, mut dispatcher) = source_and_dispatcher();
        list(&mut source, &mut dispatcher, vec![row("listed")]);
        for number in 0..10 {
            dispatcher.offer(work(&format!("from another source {number}")), NOW);
        }
        let request = source.next_list(dispatcher.ready(NOW), NOW + Duration::from_mins(1)).unwrap();
        assert_eq!(request.limit, 1 + 50);
    }

    /// A list that fills its limit may have cut off the row.
    #[test]
    fn a_row_is_not_missing_from_an_incomplete_list() {
        let (mut source, mut dispatcher) = source_and_dispatcher();
        list(&mut source, &mut dispatcher, vec![row("waits")]);
        let others = (0..60).map(|number| row(&number.to_string())).collect();
        list(&mut source, &mut dispatcher, others);
        assert_eq!((dispatcher.known(), dispatcher.stats.of("gone")), (61, 0));
    }

    #[test]
    fn a_row_of_an_earlier_process_that_no_list_shows_is_gone() {
        let (source, _) = source_and_dispatcher();
        let open = vec![(work("left"), crate::delivery::Record::default(), None)];
        let mut source = NotificationSource::new(
            source.plan,
            Predecessor::Unknown,
            open.iter().map(|(work, ..)| &**work),
            NOW,
        );
        let mut dispatcher =
            Dispatcher::new(source.plan, RecoveredState { open, ..RecoveredState::default() }, NOW);
        list(&mut source, &mut dispatcher, vec![]);
        assert_eq!((dispatcher.known(), dispatcher.stats.of("gone")), (0, 1));
    }
}
