//! The owner of everything that is known of the rows: a plain struct, fed with events and the time.
//!
//! It never waits and touches nothing outside. What should happen it says as [`Effect`]s; the thread around it carries
//! them out and brings back the events. [`Dispatcher::wake_at`] tells when it wants to be asked again.
//!
//! A list and the end of a delivery can cross: a list that began before a row was settled still has it. So every
//! settled row is remembered until a list comes back that began after it.

mod acts;
mod words;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub use super::pace::Rhythm;
pub use words::{Effect, Event, Left, Plan, Standing, Wish};

use super::ask::Hold;
use super::gate::Gate;
use super::pace::Pace;
use super::queue::{Queue, Taken};
use super::rival::{Look, Rival};
use super::shelf::Shelf;
use super::tally::Tally;
use super::{End, Job, Outcome, Record, Trouble};
use crate::gateway::Class;
use crate::work::{Work, WorkId};
use mcr_model::clock::Millis;
use mcr_model::limits::UNDELIVERED_ROWS;
use mcr_model::{Notification, RecipientType};

/// A list asks for at least as many new rows as keep the workers busy until the next one.
const NEW_ROWS_PER_WORKER: u32 = 4;

/// So long a row that could not be settled at the backend is not begun again.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(1);

/// Rows that are settled here and not at the backend; the oldest make room.
const UNMARKED_MAX: usize = 1000;

/// The owner of the rows.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
pub struct Dispatcher {
    plan: Plan,
    queue: Queue,
    pace: Pace,
    gate: Gate,
    rival: Rival,
    tally: Tally,
    free: usize,
    /// The number of the last list that began, and when it did.
    lists: u64,
    list_began: Millis,
    listing: bool,
    /// Whether the backend may have more rows than the last list showed.
    more: bool,
    /// Settled rows, with the last list that had begun by then.
    settled: HashMap<WorkId, u64>,
    /// Settled rows that the backend goes on to list.
    unmarked: HashMap<WorkId, End>,
    unmarked_order: VecDeque<(Millis, WorkId)>,
    /// Rows of the last list that are none of ours to begin.
    ignored: usize,
    /// What only a newer version understands.
    untouched: HashSet<WorkId>,
    /// What an earlier process has closed, as long as it is not listed.
    closed: HashMap<WorkId, End>,
    forgotten: Vec<Effect>,
    /// What was given up.
    shelf: Shelf,
    /// Whose turns do not begin.
    hold: Hold,
    /// Whether nothing begins.
    suspended: bool,
    stopping: bool,
}

impl Dispatcher {
    /// With all workers free and nothing known.
    pub fn new(plan: Plan) -> Self {
        Self::with(plan, Left::default(), Millis::default())
    }

    /// With all workers free and this known.
    pub fn with(plan: Plan, left: Left, now: Millis) -> Self {
        let mut queue = Queue::default();
        for (work, record, not_before) in left.open {
            queue.recall(work, record, not_before, now);
        }
        Self {
            closed: left.closed,
            untouched: left.untouched,
            shelf: left.dead,
            hold: left.hold,
            free: plan.workers,
            pace: Pace::new(plan.rhythm),
            rival: Rival::new(plan.rhythm.interval),
            plan,
            queue,
            forgotten: Vec::new(),
            gate: Gate::new(),
            tally: Tally::default(),
            lists: 0,
            list_began: now,
            listing: false,
            more: false,
            settled: HashMap::new(),
            unmarked: HashMap::new(),
            unmarked_order: VecDeque::new(),
            ignored: 0,
            suspended: false,
            stopping: false,
        }
    }

    /// After the first sign of another runtime, the second look comes no earlier than this.
    #[must_use]
    pub fn standing_back(mut self, least: Duration) -> Self {
        self.rival.stands_back(least);
        self
    }

    /// Takes the news and says what should happen now. Without news it is asked because the time has come.
    pub fn on(&mut self, event: Option<Event>, now: Millis) -> Vec<Effect> {
        match event {
            Some(Event::Listed { list, limit, rows, spoilt, dice }) => {
                let whole = !is_full(&rows, spoilt, limit);
                self.rival.look(Look { list, began: self.list_began, rows: &rows, whole, dice }, now);
                if self.rival.leaves() {
                    self.forgotten.push(Effect::Leave);
                }
                self.listed(list, !whole, rows, spoilt, now);
            }
            Some(Event::ListFailed { why, not_before, dice }) => {
                self.listing = false;
                self.pace.failed(not_before, dice, now);
                self.tally.fail_to_list(why, now);
            }
            Some(Event::Finished(job, outcome)) => self.finished(job, outcome, now),
            Some(Event::Taken(number)) => self.gate.found_open(number),
            Some(Event::Nudged) => self.pace.nudged(now),
            Some(Event::Probed(trouble)) => self.gate.probed(trouble.as_deref(), now),
            Some(Event::Asked(ask, ear)) => self.asked(ask, ear, now),
            Some(Event::Stop) => self.stopping = true,
            None => {}
        }
        self.effects(now)
    }

    fn effects(&mut self, now: Millis) -> Vec<Effect> {
        let mut effects = std::mem::take(&mut self.forgotten);
        if self.stopping || self.rival.leaves() {
            return effects;
        }
        self.queue.wake(now);
        while self.free > 0
            && self.rival.lets_begin()
            && !self.suspended
            && let Some(Taken { job, turn }) = self.queue.take(&self.hold, self.gate.lets_in())
        {
            self.free -= 1;
            if turn {
                self.gate.begins(job.number);
            }
            if let Some(row) = job.work.notification() {
                self.rival.begins(row.id.clone(), self.lists);
            }
            effects.push(Effect::Start(Box::new(job)));
        }
        if self.gate.probe(now) {
            effects.push(Effect::Probe);
        }
        if self.has_appetite() || self.rival.list_at().is_some_and(|at| at <= now) {
            self.pace.want();
        }
        if !self.listing && self.pace.due(now) <= now {
            self.listing = true;
            self.lists += 1;
            self.list_began = now;
            self.pace.begin(now);
            effects.push(Effect::List { list: self.lists, limit: self.list_limit() });
        }
        effects
    }

    /// Whether there are rows that we have not seen, and workers who might soon want them.
    fn has_appetite(&self) -> bool {
        self.more && self.queue.ready(&self.hold) < 2 * self.plan.workers && self.list_limit() > self.seen()
    }

    /// Rows that the next list will show again.
    fn seen(&self) -> u32 {
        u32::try_from(self.queue.len() + self.ignored).unwrap_or(u32::MAX)
    }

    /// Past the rows that we know there must be room for new ones: a list always begins with the oldest.
    fn list_limit(&self) -> u32 {
        let workers = u32::try_from(self.plan.workers).unwrap_or(u32::MAX);
        let new = self.plan.list_limit.max(workers.saturating_mul(NEW_ROWS_PER_WORKER));
        self.seen().saturating_add(new).min(UNDELIVERED_ROWS)
    }

    fn listed(&mut self, list: u64, more: bool, rows: Vec<Notification>, spoilt: usize, now: Millis) {
        self.listing = false;
        self.pace.succeeded();
        self.tally.list(now);
        self.more = more;
        if !more {
            for number in self.queue.missing_from(list, &rows) {
                self.forgotten.extend(self.queue.close(number, now).map(Effect::Forget));
                *self.tally.ended.entry(End::Gone.name()).or_default() += 1;
            }
        }
        self.settled.retain(|_, at| *at >= list);
        self.forget(now);
        self.ignored = spoilt;
        let known = self.queue.len();
        for row in rows {
            // The backend lists agents' rows only; anybody else's would be none of our business.
            let id = WorkId::from(&row.id);
            let over = self.unmarked.contains_key(&id)
                || self.untouched.contains(&id)
                || row.recipient_type == RecipientType::User;
            self.ignored += usize::from(over);
            if over || self.settled.contains_key(&id) || self.queue.knows(&row) {
                continue;
            }
            let work = Arc::new(Work::from(row));
            match self.closed.remove(&id) {
                // It was deleted, as it seemed, and is there after all.
                None | Some(End::Gone) => self.queue.push(work, Record::default(), list, now),
                // What had ended only lacks its mark, and is kept as it was.
                Some(end) => {
                    let record = self.shelf.record_of(&id).unwrap_or_else(|| Record::ended(end));
                    self.queue.push_ended(work, record, list, now);
                }
            }
        }
        if self.queue.len() > known {
            self.pace.stir(now);
        }
    }

    fn finished(&mut self, job: Box<Job>, outcome: Outcome, now: Millis) {
        self.free += 1;
        self.pace.stir(now);
        match outcome {
            Outcome::Closed(end) => {
                if end.shows_gateway() {
                    self.gate.found_open(job.number);
                } else {
                    self.gate.found_nothing(job.number);
                }
                // A row ends once, however often its mark is refused afterwards.
                let again = self.queue.had_ended(job.number);
                if !again {
                    self.tally.close(&end, now);
                }
                self.queue.close(job.number, now);
                self.settled.insert(job.work.id.clone(), self.lists);
                // What is not marked at the backend is listed again, and must not begin again.
                if matches!(end, End::Gone | End::Dead(_)) || job.record.unmarked {
                    self.abandon(job.work.id.clone(), end.clone(), now);
                }
                if !(again && matches!(end, End::Dead(_))) {
                    self.shelve(*job, &end, now);
                }
            }
            Outcome::Again { trouble, pause } => {
                if matches!(trouble, Trouble::Taken)
                    && let Some(row) = job.work.notification()
                {
                    self.rival.was_taken(&row.id);
                }
                match &trouble {
                    Trouble::Gateway(error) if error.class == Class::Closed => {
                        self.gate.found_closed(&error.sentence, error.not_before, now);
                    }
                    _ => {
                        if trouble.shows_gateway() {
                            self.gate.found_open(job.number);
                        } else {
                            self.gate.found_nothing(job.number);
                        }
                        if !trouble.is_patience() {
                            self.tally.fail(trouble.to_string(), now);
                        }
                    }
                }
                self.queue.put_back(*job, trouble.to_string(), pause.map(|pause| now + pause), now);
            }
        }
    }

    fn abandon(&mut self, id: WorkId, end: End, now: Millis) {
        if self.unmarked_order.len() == UNMARKED_MAX
            && let Some((_, oldest)) = self.unmarked_order.pop_front()
        {
            self.release(oldest);
        }
        self.unmarked_order.push_back((now, id.clone()));
        self.unmarked.insert(id, end);
    }

    /// A row that was gone and is still listed after so long is there after all; of any other the mark is tried again.
    fn forget(&mut self, now: Millis) {
        while let Some((at, id)) = self.unmarked_order.front()
            && now.since(*at) >= FORGOTTEN_AFTER
        {
            let id = id.clone();
            self.unmarked_order.pop_front();
            self.release(id);
        }
    }

    fn release(&mut self, id: WorkId) {
        if let Some(end) = self.unmarked.remove(&id).filter(End::is_marked) {
            self.closed.insert(id, end);
        }
    }

    /// When it wants to be asked again, if nothing happens before.
    pub fn wake_at(&self, now: Millis) -> Option<Millis> {
        if self.stopping || self.rival.leaves() {
            return None;
        }
        let list = (!self.listing).then(|| self.pace.due(now));
        // What rests is of interest only if a worker could take it. Behind a closed gate that may be one without a turn.
        let lets_begin = self.rival.lets_begin() && !self.suspended;
        let rested = self.queue.wake_at().filter(|_| self.free > 0 && lets_begin);
        // Once it is due the list is wanted, and the pace knows when.
        let compared = self.rival.list_at().filter(|at| *at > now);
        [list, rested, compared, self.gate.probe_at()].into_iter().flatten().min()
    }

    /// Whether a single row goes first, and all others wait for the gateway to take it.
    pub fn is_on_trial(&self) -> bool {
        self.gate.is_on_trial()
    }

    /// Whether it was told to stop and nothing runs any more.
    pub fn is_done(&self) -> bool {
        self.stopping && self.queue.running() == 0
    }

    /// How things stand.
    pub fn standing(&self) -> Standing {
        Standing {
            known: self.queue.len(),
            running: self.queue.running(),
            oldest: self.queue.oldest(),
            dead: self.shelf.len(),
            gate_closed: self.gate.why().map(str::to_owned),
            foreign: self.rival.found(),
            lists: self.lists,
            list_failures: self.pace.failures(),
            tally: self.tally.clone(),
        }
    }
}

/// Whether there may be rows that the limit has cut off.
fn is_full(rows: &[Notification], spoilt: usize, limit: u32) -> bool {
    rows.len() + spoilt >= usize::try_from(limit).unwrap_or(usize::MAX)
}
