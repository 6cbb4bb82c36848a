//! Decides which row starts next: tracks, ranks, and the limit on overtaking.
//!
//! A row gets its number when it is first listed. At most one row of each track runs at a time. These rules decide
//! which rows of a track may start:
//!
//! * The first row may start. Later rows may start if every earlier row lets them pass. A row lets them pass after it
//!   has failed twice (`PASSED_AFTER`). Such a row is still retried whenever its pause has ended.
//! * A row of a person may start before rows of agents. So it waits for no limit of theirs.
//! * A session has one turn at a time. While a turn of one row is unsettled, or waits for the results of its calls, no
//!   other row may start a turn.
//! * Any row that has its result may start: only its answer has to be posted, or its mark set.
//!
//! The breaker, an operator's pause and a limit hold only rows that need a turn. They hold neither rows with a result nor
//! work of a kind without turns.
//!
//! Waiting rows of a track become one turn ([`fold`](super::fold)).
//!
//! # People first
//!
//! Among the rows that may start, work that was begun comes first. It is followed by rows that people have caused, and then
//! by rows that agents have caused. Within each class a better rank comes first, and within a rank the lower number. A row
//! that [`OVERTAKEN_MAX`] later rows have overtaken precedes all others, so no row starves.
//!
//! The words of a row do not always show who caused it ([`agent_names`](crate::guardrails::agent_names)). If there is room for all rows that
//! agents may have caused, such a row simply starts. Otherwise a worker first looks at it: it reads the context, and goes
//! on only if a person caused the row ([`Permit::People`](super::Permit::People)).

mod fold;
mod place;
mod row;
mod start;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

pub(super) use start::{StartRoom, StartedJob};

use row::{PASSED_FOR_OTHERS, QueueEntry, StartClass};

use super::cause::Cause;
use super::gateway_breaker::TurnAllowance;
use super::limited::TurnStops;
use super::{End, Job, Record, Stage, Trouble};
use crate::guardrails::origin::Origin;
use crate::work::{Rank, Track, Work, WorkId};
use mcr_model::TaskId;
use mcr_model::clock::Millis;

/// How many later rows may start before a waiting earlier row.
pub(super) const OVERTAKEN_MAX: u32 = 200;

/// The rows of one track.
#[derive(Debug, Default)]
struct TrackQueue {
    rows: VecDeque<u64>,
    /// The running row.
    busy: Option<u64>,
    /// The rows that may start, now or after their pause.
    next: Vec<u64>,
    /// The first row behind them that a person may have caused.
    unread: Option<u64>,
}

/// All unsettled rows, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Queue {
    next_number: u64,
    rows: BTreeMap<u64, QueueEntry>,
    numbers: HashMap<WorkId, u64>,
    tracks: HashMap<Track, TrackQueue>,
    /// The tracks that wait behind rows of the ledger that a newer version wrote. A turn of such a row may still run in
    /// their session.
    blocked: HashMap<Track, BTreeSet<WorkId>>,
    /// Rows of idle tracks that could start now, by class and rank.
    ready: [[BTreeSet<u64>; Rank::COUNT]; StartClass::COUNT],
    /// The `unread` rows of idle tracks. While no row of an agent may start, a worker reads who has caused them.
    unread: BTreeSet<u64>,
    /// Pausing rows of idle tracks, by the end of their pause.
    resting: BTreeSet<(Millis, u64)>,
    running: usize,
    /// How many rows of a track one turn may answer.
    fold_max: usize,
}

impl Queue {
    /// An empty queue.
    pub(super) fn new(fold_max: usize) -> Self {
        Self { fold_max, ..Self::default() }
    }

    /// The number of known rows.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The number of rows with a worker.
    pub(super) fn running(&self) -> usize {
        self.running
    }

    /// The number of rows that could start now. Rows of agents count only if there is room for them.
    pub(super) fn ready(&self, stops: &TurnStops, agents: usize) -> usize {
        let counted = [StartClass::Begun, StartClass::People, StartClass::Unknown].into_iter();
        let counted = counted.chain((agents > 0).then_some(StartClass::Agents));
        counted.map(|class| self.ready_of(class, stops, TurnAllowance::All)).sum()
    }

    /// The number of rows that could start now and that agents have or may have caused.
    pub(super) fn ready_of_agents(&self, stops: &TurnStops) -> usize {
        let classes = [StartClass::Unknown, StartClass::Agents];
        classes.map(|class| self.ready_of(class, stops, TurnAllowance::All)).iter().sum()
    }

    fn ready_of(&self, class: StartClass, stops: &TurnStops, turns: TurnAllowance) -> usize {
        let ready = self.ready[class as usize].iter();
        if stops.is_nothing() && turns != TurnAllowance::None {
            return ready.map(BTreeSet::len).sum();
        }
        ready.flatten().filter(|number| self.rows[number].may_begin(stops, turns)).count()
    }

    /// When the oldest row was created, according to the backend's clock.
    pub(super) fn oldest(&self) -> Option<Millis> {
        self.rows.values().next().map(|row| row.work.created_at())
    }

    /// When the next pause ends.
    pub(super) fn wake_at(&self) -> Option<Millis> {
        self.resting.first().map(|(at, _)| *at)
    }

    /// Whether the row is known. If so, takes over its present state: its creation time, its words, and its marks, which
    /// show a worker that another runtime was faster. A later message may have been folded into the row; the worker reads
    /// the message itself. `origin` is what the present words show.
    pub(super) fn knows(&mut self, work: &Work, origin: Option<Origin>, now: Millis) -> bool {
        let Some(number) = self.numbers.get(&work.id).copied() else { return false };
        let Some(known) = self.rows.get(&number) else { return true };
        let mut latest = known.work.clone();
        if latest.offered_again(work) {
            let track = latest.track.clone();
            self.withdraw(&track);
            if let Some(row) = self.rows.get_mut(&number) {
                (row.work, row.origin) = (latest, origin);
            }
            self.arrange(&track, now);
        }
        true
    }

    /// Adds a row that an earlier process has left, at the end of its track.
    pub(super) fn recall(
        &mut self,
        work: Arc<Work>,
        record: Record,
        not_before: Option<Millis>,
        now: Millis,
    ) {
        self.add(QueueEntry { not_before, ..QueueEntry::new(work, record, None) }, now);
    }

    /// Adds a new row, at the end of its track. `origin` is what its words show.
    pub(super) fn push(&mut self, work: Arc<Work>, record: Record, origin: Option<Origin>, now: Millis) {
        self.add(QueueEntry::new(work, record, origin), now);
    }

    fn add(&mut self, row: QueueEntry, now: Millis) {
        let number = self.next_number;
        self.next_number += 1;
        self.numbers.insert(row.work.id.clone(), number);
        let track = row.work.track.clone();
        self.tracks.entry(track.clone()).or_default().rows.push_back(number);
        self.rows.insert(number, row);
        self.arrange(&track, now);
    }

    /// Determines again which rows of a track may start.
    fn arrange(&mut self, track: &Track, now: Millis) {
        self.withdraw(track);
        let Some(queued) = self.tracks.get(track).filter(|queued| queued.busy.is_none()) else { return };
        let next = self.with_cover(self.next_of(track, queued), queued);
        let unread = self.unread_behind(track, queued, &next);
        for number in &next {
            self.make_ready_or_rest(*number, now);
        }
        self.unread.extend(unread);
        if let Some(queued) = self.tracks.get_mut(track) {
            (queued.next, queued.unread) = (next, unread);
        }
    }

    /// Removes the rows of a track from the rows that may start. Call this before each change of its rows.
    fn withdraw(&mut self, track: &Track) {
        let Some(queued) = self.tracks.get_mut(track) else { return };
        if let Some(number) = queued.unread.take() {
            self.unread.remove(&number);
        }
        for number in std::mem::take(&mut queued.next) {
            let Some(row) = self.rows.get(&number) else { continue };
            self.ready[row.class() as usize][row.work.rank as usize].remove(&number);
            if let Some(at) = row.not_before {
                self.resting.remove(&(at, number));
            }
        }
    }

    /// The rows of an idle track that may start, now or after their pause.
    fn next_of(&self, track: &Track, queued: &TrackQueue) -> Vec<u64> {
        let holder = self.holder(queued);
        let (mut open, mut others) = (!self.blocked.contains_key(track), PASSED_FOR_OTHERS);
        let (mut open_for_people, mut others_for_people) = (open, others);
        let may_begin = |number: &&u64| {
            let row = &self.rows[*number];
            let in_order = match holder.filter(|_| row.needs_turn()) {
                Some(holder) => holder == **number,
                None if row.class() == StartClass::People => open_for_people,
                None => open,
            };
            open = open && row.lets_pass(&mut others);
            open_for_people =
                open_for_people && (row.yields_to_people() || row.lets_pass(&mut others_for_people));
            in_order || row.ignores_order()
        };
        let waiting = queued.rows.iter().filter(|number| self.rows[*number].covered_by.is_none());
        waiting.filter(may_begin).copied().collect()
    }

    /// The row that holds the session, because its turn is unsettled or waits for results; `None` if there is none.
    fn holder(&self, queued: &TrackQueue) -> Option<u64> {
        let holds = |number: &u64| {
            let row = &self.rows[number];
            row.record.holds_session(&row.work)
        };
        queued.rows.iter().copied().find(holds)
    }

    /// Makes a row ready, or lets it rest until its pause ends.
    fn make_ready_or_rest(&mut self, number: u64, now: Millis) {
        let row = &self.rows[&number];
        match row.not_before {
            Some(at) if at > now => {
                self.resting.insert((at, number));
            }
            Some(_) | None => {
                self.ready[row.class() as usize][row.work.rank as usize].insert(number);
            }
        }
    }

    /// Makes the rows ready whose pause has ended.
    pub(super) fn wake(&mut self, now: Millis) {
        while let Some(&(at, number)) = self.resting.first()
            && at <= now
        {
            self.resting.pop_first();
            self.make_ready_or_rest(number, now);
        }
    }

    /// Makes this track wait for a row that is not in the queue. An unsettled turn is still settled, because the
    /// session has no other turn. Rows with a result also still run to their end.
    pub(super) fn block(&mut self, track: &Track, by: WorkId, now: Millis) {
        self.blocked.entry(track.clone()).or_default().insert(by);
        self.arrange(track, now);
    }

    /// Ends the wait of all tracks for this row. A track that waits for another row as well goes on waiting.
    pub(super) fn unblock(&mut self, by: &WorkId, now: Millis) {
        let is_free = |_: &Track, rows: &mut BTreeSet<WorkId>| rows.remove(by) && rows.is_empty();
        let freed: Vec<Track> = self.blocked.extract_if(is_free).map(|(track, _)| track).collect();
        for track in &freed {
            self.arrange(track, now);
        }
    }

    /// Whether this row has ended and only its mark is retried.
    pub(super) fn is_only_marked(&self, id: &WorkId) -> bool {
        self.numbers.get(id).is_some_and(|number| self.rows[number].only_marked)
    }

    /// Whether this row is known.
    pub(super) fn has(&self, id: &WorkId) -> bool {
        self.numbers.contains_key(id)
    }

    /// Lets a row start as soon as possible, because a person wants that or its lease is lost. Returns whether the row is known.
    pub(super) fn hurry(&mut self, id: &WorkId, now: Millis) -> bool {
        let Some(number) = self.numbers.get(id).copied() else { return false };
        let Some(track) = self.rows.get(&number).map(|row| row.work.track.clone()) else { return false };
        self.withdraw(&track);
        if let Some(row) = self.rows.get_mut(&number) {
            (row.hurried, row.not_before) = (true, None);
        }
        self.arrange(&track, now);
        true
    }

    /// Ends the pauses of the rows of a thread that retry the notice of a stop: the stop has ended.
    pub(super) fn wake_stop_notices(&mut self, task: &TaskId, now: Millis) {
        let rests = |row: &QueueEntry| row.not_before.is_some() && row.record.stop_of_notice().is_some();
        let of_task = self.tracks.iter().filter(|(track, _)| track.task() == Some(task));
        let resting: Vec<(Track, u64)> = of_task
            .flat_map(|(track, queued)| queued.rows.iter().map(|number| (track.clone(), *number)))
            .filter(|(_, number)| rests(&self.rows[number]))
            .collect();
        for (track, number) in resting {
            self.withdraw(&track);
            if let Some(row) = self.rows.get_mut(&number) {
                row.not_before = None;
            }
            self.arrange(&track, now);
        }
    }

    /// Takes back a job that its worker has left because of this trouble. The row waits again, at its old place in its
    /// track.
    pub(super) fn put_back(
        &mut self,
        mut job: Job,
        trouble: &Trouble,
        not_before: Option<Millis>,
        now: Millis,
    ) {
        self.has_looked(&job);
        let folds = std::mem::take(&mut job.folds);
        let end = match trouble {
            // The delivery has ended before the later message came.
            Trouble::Moved => Some(End::Answered(1)),
            // Nothing was done, so the next attempt folds anew.
            _ if job.record.is_untouched() => Some(End::Gone),
            _ => None,
        };
        self.unfold(job.number, folds, end.as_ref());
        let Some(row) = self.rows.get_mut(&job.number) else { return };
        row.only_marked = job.record.is_closed;
        row.record = job.record;
        // A row that only gave way has no trouble of its own, and may be folded as before.
        let gave_way = matches!(trouble, Trouble::AgentRowsWait);
        if !gave_way {
            row.trouble = Some(trouble.to_string());
        }
        row.not_before = not_before.filter(|_| !gave_way);
        row.running = false;
        self.running -= 1;
        let track = row.work.track.clone();
        if let Some(queued) = self.tracks.get_mut(&track) {
            queued.busy = None;
        }
        self.arrange(&track, now);
    }

    /// A look that has shown a person became a start, so it overtook others.
    pub(super) fn has_looked(&mut self, job: &Job) {
        let Some(row) = self.rows.get_mut(&job.number) else { return };
        if std::mem::take(&mut row.looks) && job.record.origin_of(&job.work) == Some(Origin::Person) {
            self.overtakes(job.number);
        }
    }

    /// Takes a job whose delivery has ended like this. The rows that its turn answered have ended too.
    pub(super) fn ends(&mut self, job: &mut Job, end: &End) {
        self.has_looked(job);
        let (track, folds) = (job.work.track.clone(), std::mem::take(&mut job.folds));
        self.withdraw(&track);
        self.unfold(job.number, folds, Some(end));
    }

    /// Removes a settled row, so that the next row of its track may start.
    pub(super) fn close(&mut self, number: u64, now: Millis) -> Option<Arc<Work>> {
        let track = self.rows.get(&number)?.work.track.clone();
        self.withdraw(&track);
        self.release(number);
        let row = self.rows.remove(&number)?;
        self.numbers.remove(&row.work.id);
        self.running -= usize::from(row.running);
        let queued = self.tracks.get_mut(&track)?;
        queued.busy = queued.busy.filter(|busy| *busy != number);
        queued.rows.retain(|other| *other != number);
        if queued.rows.is_empty() {
            self.tracks.remove(&track);
        } else {
            self.arrange(&track, now);
        }
        Some(row.work)
    }

    /// The numbers of the waiting rows among `candidates` for which nothing has been done.
    pub(super) fn untouched(&self, candidates: impl Fn(&WorkId) -> bool) -> Vec<u64> {
        let is_untouched = |row: &QueueEntry| {
            let record = &row.record;
            // The backend has settled a row that starts again, so no list shows that row.
            let again = record.reopened || record.failures.of(Cause::LostAnswer) > 0 || record.sent.is_some();
            !row.running && row.covered_by.is_none() && matches!(record.stage, Stage::Fresh) && !again
        };
        let found = self.rows.iter().filter(|(_, row)| is_untouched(row) && candidates(&row.work.id));
        found.map(|(number, _)| *number).collect()
    }
}
