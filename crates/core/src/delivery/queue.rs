//! Decides which row starts next: tracks, ranks, and the limit on overtaking.
//!
//! A row gets its number when it is first listed. At most one row of each track runs at a time. These rules decide
//! which rows of a track may start:
//!
//! * The first row may start. Later rows may start if every earlier row lets them pass. A row lets them pass after it
//!   has failed twice (`PASSED_AFTER`). Such a row is still retried whenever its pause has ended.
//! * A session has one turn at a time. While a turn of one row is unsettled, or waits for the results of its calls, no
//!   other row may start a turn.
//! * Any row that has its result may start: only its answer has to be posted, or its mark set.
//!
//! The breaker and an operator's pause hold only rows that need a turn. They hold neither rows with a result nor work
//! of a kind without turns.
//!
//! Among the rows that may start, a better rank comes first, and within a rank the lower number. A row that
//! [`OVERTAKEN_MAX`] later rows have overtaken precedes all others, so no row starves.

mod row;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use row::{PASSED_FOR_OTHERS, QueueEntry};

use super::cause::Cause;
use super::gateway_breaker::TurnAllowance;
use super::operator_requests::{Hold, Pending, Place};
use super::{Job, Record, Stage};
use crate::work::{Rank, Track, Work, WorkId};
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
}

/// A job that starts now, and whether it starts with a turn.
#[derive(Debug)]
pub(super) struct StartedJob {
    pub(super) job: Job,
    pub(super) turn: bool,
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
    /// Rows of idle tracks that could start now, by rank.
    ready: [BTreeSet<u64>; Rank::COUNT],
    /// Pausing rows of idle tracks, by the end of their pause.
    resting: BTreeSet<(Millis, u64)>,
    running: usize,
}

impl Queue {
    /// The number of known rows.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The number of rows with a worker.
    pub(super) fn running(&self) -> usize {
        self.running
    }

    /// The number of rows that could start now.
    pub(super) fn ready(&self, hold: &Hold) -> usize {
        let ready = self.ready.iter();
        if hold.is_nothing() {
            return ready.map(BTreeSet::len).sum();
        }
        ready.flatten().filter(|number| self.rows[number].may_begin(hold, TurnAllowance::All)).count()
    }

    /// When the oldest row was created, according to the backend's clock.
    pub(super) fn oldest(&self) -> Option<Millis> {
        self.rows.values().next().map(|row| row.work.created_at())
    }

    /// When the next pause ends.
    pub(super) fn wake_at(&self) -> Option<Millis> {
        self.resting.first().map(|(at, _)| *at)
    }

    /// Whether the row is known. If so, updates its creation time, for `oldest`, and its marks, which show a worker
    /// that another runtime was faster. A later message may have been folded into the row; the worker reads the
    /// message itself.
    pub(super) fn knows(&mut self, work: &Work) -> bool {
        let Some(number) = self.numbers.get(&work.id) else { return false };
        if let Some(known) = self.rows.get_mut(number) {
            known.work.offered_again(work);
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
        self.add(QueueEntry { not_before, ..QueueEntry::new(work, record) }, now);
    }

    /// Adds a new row, at the end of its track.
    pub(super) fn push(&mut self, work: Arc<Work>, record: Record, now: Millis) {
        self.add(QueueEntry::new(work, record), now);
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
        let next = self.next_of(track, queued);
        for number in &next {
            self.make_ready_or_rest(*number, now);
        }
        if let Some(queued) = self.tracks.get_mut(track) {
            queued.next = next;
        }
    }

    /// Removes the rows of a track from the rows that may start. Call this before each change of its rows.
    fn withdraw(&mut self, track: &Track) {
        let Some(queued) = self.tracks.get_mut(track) else { return };
        for number in std::mem::take(&mut queued.next) {
            let Some(row) = self.rows.get(&number) else { continue };
            self.ready[row.work.rank as usize].remove(&number);
            if let Some(at) = row.not_before {
                self.resting.remove(&(at, number));
            }
        }
    }

    /// The rows of an idle track that may start, now or after their pause.
    fn next_of(&self, track: &Track, queued: &TrackQueue) -> Vec<u64> {
        let holder = self.holder(queued);
        let (mut open, mut others) = (!self.blocked.contains_key(track), PASSED_FOR_OTHERS);
        let may_begin = |number: &&u64| {
            let row = &self.rows[*number];
            let in_order = match holder.filter(|_| row.needs_turn()) {
                Some(holder) => holder == **number,
                None => open,
            };
            open = open && row.lets_pass(&mut others);
            in_order || row.ignores_order()
        };
        queued.rows.iter().filter(may_begin).copied().collect()
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
                self.ready[row.work.rank as usize].insert(number);
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

    /// All rows, each with its place in the queue.
    pub(super) fn pending(&self, now: Millis) -> Vec<Pending> {
        let rows = self.rows.iter();
        rows.map(|(number, row)| Pending {
            work: row.work.clone(),
            record: row.record.clone(),
            trouble: row.trouble.clone(),
            place: self.place(*number, row, now),
        })
        .collect()
    }

    fn place(&self, number: u64, row: &QueueEntry, now: Millis) -> Place {
        if row.running {
            return Place::Running;
        }
        let queued = self.tracks.get(&row.work.track);
        let behind =
            queued.and_then(|queued| self.waits_for(number, queued)).and_then(|other| self.rows.get(&other));
        match (row.not_before.filter(|at| *at > now), behind) {
            // The row waits for a running row, but its own pause has not ended either.
            (Some(at), Some(other)) if other.running => Place::Rests(at),
            (_, Some(other)) => Place::Behind(other.work.id.clone()),
            (rests, None) => match (self.blocked_by(number, row), rests) {
                (Some(id), _) => Place::BehindUnreadable(id.clone()),
                (None, Some(at)) => Place::Rests(at),
                (None, None) => Place::Ready,
            },
        }
    }

    /// The row outside the queue that this row waits for.
    fn blocked_by(&self, number: u64, row: &QueueEntry) -> Option<&WorkId> {
        let may_begin = self.tracks.get(&row.work.track).is_some_and(|queued| queued.next.contains(&number));
        self.blocked.get(&row.work.track).filter(|_| !may_begin)?.first()
    }

    /// The row of the same track that has to end, or to progress, before this row may start.
    fn waits_for(&self, number: u64, queued: &TrackQueue) -> Option<u64> {
        if queued.busy.is_some() || queued.next.contains(&number) {
            return queued.busy;
        }
        let mut others = PASSED_FOR_OTHERS;
        let blocks = |earlier: &u64| !self.rows[earlier].lets_pass(&mut others);
        let holder = self.holder(queued).filter(|_| self.rows[&number].needs_turn());
        let mut earlier = queued.rows.iter().copied().take_while(|other| *other != number);
        holder.or_else(|| earlier.find(blocks))
    }

    /// Lets a row start as soon as possible, because a person wants that. Returns whether the row is known.
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

    /// Takes the next job; its track is busy from now on. With `TurnAllowance::One`, jobs without a turn come first.
    /// Then one job tries the gateway: the first of those that were turned away least often. That job shows best
    /// whether the gateway accepts any turn.
    pub(super) fn take(&mut self, hold: &Hold, turns: TurnAllowance) -> Option<StartedJob> {
        let number = match turns {
            TurnAllowance::All | TurnAllowance::None => self.next(hold, turns),
            TurnAllowance::One => self.next(hold, TurnAllowance::None).or_else(|| {
                let ready = self.ready.iter().flatten().copied();
                ready
                    .filter(|number| self.rows[number].may_begin(hold, turns))
                    .min_by_key(|number| (self.rows[number].record.failures.of(Cause::TurnedAway), *number))
            }),
        };
        self.hand_out(number?)
    }

    fn hand_out(&mut self, number: u64) -> Option<StartedJob> {
        for (_, earlier) in self.rows.range_mut(..number).filter(|(_, row)| !row.running) {
            earlier.overtaken += 1;
        }
        let track = self.rows.get(&number)?.work.track.clone();
        self.withdraw(&track);
        self.tracks.get_mut(&track)?.busy = Some(number);
        let row = self.rows.get_mut(&number)?;
        let turn = row.needs_turn();
        row.running = true;
        self.running += 1;
        let job = Job::new(number, row.work.clone(), std::mem::take(&mut row.record));
        Some(StartedJob { job, turn })
    }

    fn next(&self, hold: &Hold, turns: TurnAllowance) -> Option<u64> {
        let may_begin = |number: &u64| self.rows[number].may_begin(hold, turns);
        let ready = self.ready.iter().flatten().copied();
        let overdue =
            ready.filter(|number| self.rows[number].overtaken >= OVERTAKEN_MAX && may_begin(number)).min();
        overdue.or_else(|| self.ready.iter().find_map(|rank| rank.iter().copied().find(may_begin)))
    }

    /// Takes back a job that its worker has left because of this trouble. The row waits again, at its old place in its
    /// track.
    pub(super) fn put_back(&mut self, job: Job, trouble: String, not_before: Option<Millis>, now: Millis) {
        let Some(row) = self.rows.get_mut(&job.number) else { return };
        row.only_marked = job.record.is_closed;
        row.record = job.record;
        row.trouble = Some(trouble);
        row.not_before = not_before;
        row.running = false;
        self.running -= 1;
        let track = row.work.track.clone();
        if let Some(queued) = self.tracks.get_mut(&track) {
            queued.busy = None;
        }
        self.arrange(&track, now);
    }

    /// Removes a settled row, so that the next row of its track may start.
    pub(super) fn close(&mut self, number: u64, now: Millis) -> Option<Arc<Work>> {
        let track = self.rows.get(&number)?.work.track.clone();
        self.withdraw(&track);
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
            !row.running && matches!(record.stage, Stage::Fresh) && !again
        };
        let found = self.rows.iter().filter(|(_, row)| is_untouched(row) && candidates(&row.work.id));
        found.map(|(number, _)| *number).collect()
    }
}
