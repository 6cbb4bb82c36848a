//! Who is next: tracks, ranks, and the limit on overtaking.
//!
//! A row gets its number at first sight. Of each track only the first row may run, and only one at a time. Among the
//! tracks that could begin, those whose first row is of a better rank come first; within a rank the lower number. But a
//! row that has been overtaken by [`OVERTAKEN_MAX`] later ones comes before everything, so nobody starves.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::ask::{Hold, Pending, Place};
use super::{Job, Record, Stage, Track};
use crate::clock::Millis;
use crate::model::{Notification, NotificationId, NotificationType};

/// How many later rows may begin before an earlier one that waits.
pub(super) const OVERTAKEN_MAX: u32 = 200;

/// How urgent a row is, by its type alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// Somebody asked.
    Asked,
    /// Somebody gave work.
    Given,
    /// Something changed.
    Told,
}

const RANKS: usize = 3;

impl Rank {
    fn of(row: &Notification) -> Self {
        match row.kind.known() {
            Some(NotificationType::Mention | NotificationType::ResponseRequest) => Self::Asked,
            Some(NotificationType::Assignment) => Self::Given,
            Some(
                NotificationType::ThreadUpdate
                | NotificationType::StatusChange
                | NotificationType::MemberAdded
                | NotificationType::MemberRemoved
                | NotificationType::RoleChanged,
            )
            | None => Self::Told,
        }
    }
}

/// A row that is not settled.
#[derive(Debug)]
struct Row {
    notification: Notification,
    track: Track,
    rank: Rank,
    /// What has been done for it; while it runs, the worker has the newer one.
    record: Record,
    not_before: Option<Millis>,
    running: bool,
    overtaken: u32,
    /// A person wants it to begin, whatever is held.
    hurried: bool,
    /// What was last in its way.
    trouble: Option<String>,
    /// The list in which it was first seen.
    seen_in: u64,
}

impl Row {
    /// Whether nothing of what is held would begin with it. What needs no turn any more goes on.
    fn may_begin(&self, hold: &Hold) -> bool {
        let turn = matches!(self.record.stage, Stage::Fresh | Stage::Working(_));
        self.hurried || !turn || !hold.holds(&self.track.agent)
    }
}

/// One track.
#[derive(Debug, Default)]
struct Line {
    rows: VecDeque<u64>,
    busy: bool,
}

/// All rows that are not settled, in their order.
#[derive(Debug, Default)]
pub(super) struct Queue {
    next_number: u64,
    rows: BTreeMap<u64, Row>,
    numbers: HashMap<NotificationId, u64>,
    lines: HashMap<Track, Line>,
    /// First rows of idle tracks that could begin now, by rank.
    ready: [BTreeSet<u64>; RANKS],
    /// First rows of idle tracks that rest, by the end of their rest.
    resting: BTreeSet<(Millis, u64)>,
    running: usize,
}

impl Queue {
    /// How many rows are known.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// How many are with a worker.
    pub(super) fn running(&self) -> usize {
        self.running
    }

    /// How many could begin now.
    pub(super) fn ready(&self, hold: &Hold) -> usize {
        let ready = self.ready.iter();
        if hold.is_nothing() {
            return ready.map(BTreeSet::len).sum();
        }
        ready.flatten().filter(|number| self.rows[number].may_begin(hold)).count()
    }

    /// When the oldest of them was created, by the backend's clock.
    pub(super) fn oldest(&self) -> Option<Millis> {
        self.rows.values().next().map(|row| row.notification.created_at)
    }

    /// When the next row has rested enough.
    pub(super) fn wake_at(&self) -> Option<Millis> {
        self.resting.first().map(|(at, _)| *at)
    }

    /// Whether the row is known. A later message may have been folded into it; a worker reads that for itself, so only
    /// what `oldest` tells is kept up to date, and the marks, by which a worker sees that somebody else was faster.
    pub(super) fn knows(&mut self, row: &Notification) -> bool {
        let Some(number) = self.numbers.get(&row.id) else { return false };
        if let Some(known) = self.rows.get_mut(number) {
            let known = &mut known.notification;
            known.created_at = row.created_at;
            (known.read_at, known.delivery_ended_at) = (row.read_at, row.delivery_ended_at);
        }
        true
    }

    /// A row that an earlier process has left, at the end of its track.
    pub(super) fn recall(
        &mut self,
        row: Notification,
        record: Record,
        not_before: Option<Millis>,
        now: Millis,
    ) {
        self.add(row, record, not_before, 0, now);
    }

    /// A row seen for the first time, at the end of its track.
    pub(super) fn push(&mut self, row: Notification, record: Record, seen_in: u64, now: Millis) {
        self.add(row, record, None, seen_in, now);
    }

    fn add(
        &mut self,
        row: Notification,
        record: Record,
        not_before: Option<Millis>,
        seen_in: u64,
        now: Millis,
    ) {
        let number = self.next_number;
        self.next_number += 1;
        let (track, rank) = (Track::of(&row), Rank::of(&row));
        self.numbers.insert(row.id.clone(), number);
        let line = self.lines.entry(track.clone()).or_default();
        line.rows.push_back(number);
        let first = line.rows.len() == 1;
        let row = Row {
            notification: row,
            track,
            rank,
            record,
            not_before,
            running: false,
            overtaken: 0,
            hurried: false,
            trouble: None,
            seen_in,
        };
        self.rows.insert(number, row);
        if first {
            self.line_up(number, now);
        }
    }

    /// Makes a first row ready, or lets it rest.
    fn line_up(&mut self, number: u64, now: Millis) {
        let row = &self.rows[&number];
        match row.not_before {
            Some(at) if at > now => {
                self.resting.insert((at, number));
            }
            Some(_) | None => {
                self.ready[row.rank as usize].insert(number);
            }
        }
    }

    /// Those that have rested enough can begin.
    pub(super) fn wake(&mut self, now: Millis) {
        while let Some(&(at, number)) = self.resting.first()
            && at <= now
        {
            self.resting.pop_first();
            self.line_up(number, now);
        }
    }

    /// Whether this row is known.
    pub(super) fn has(&self, id: &NotificationId) -> bool {
        self.numbers.contains_key(id)
    }

    /// All rows, and where each of them is.
    pub(super) fn pending(&self) -> Vec<Pending> {
        let rows = self.rows.iter();
        rows.map(|(number, row)| Pending {
            row: row.notification.clone(),
            record: row.record.clone(),
            trouble: row.trouble.clone(),
            place: self.place(*number, row),
        })
        .collect()
    }

    fn place(&self, number: u64, row: &Row) -> Place {
        let first = self.lines.get(&row.track).and_then(|line| line.rows.front());
        match first.filter(|first| **first != number).and_then(|first| self.rows.get(first)) {
            _ if row.running => Place::Running,
            Some(first) => Place::Behind(first.notification.id.clone()),
            None => match row.not_before {
                Some(at) if self.resting.contains(&(at, number)) => Place::Rests(at),
                Some(_) | None => Place::Ready,
            },
        }
    }

    /// A person wants it to begin as soon as it can; whether it is known.
    pub(super) fn hurry(&mut self, id: &NotificationId, now: Millis) -> bool {
        let Some(number) = self.numbers.get(id).copied() else { return false };
        let Some(row) = self.rows.get_mut(&number) else { return false };
        row.hurried = true;
        if let Some(at) = row.not_before.take()
            && self.resting.remove(&(at, number))
        {
            self.line_up(number, now);
        }
        true
    }

    /// The next job; its track is busy from now on.
    pub(super) fn take(&mut self, hold: &Hold) -> Option<Job> {
        let number = self.next(hold)?;
        self.hand_out(number)
    }

    /// The job that tells best whether the gateway lets anybody in: of those that were turned away least often the first.
    pub(super) fn take_for_trial(&mut self, hold: &Hold) -> Option<Job> {
        let ready = self.ready.iter().flatten().copied().filter(|number| self.rows[number].may_begin(hold));
        let number = ready.min_by_key(|number| (self.rows[number].record.turned_away, *number))?;
        self.hand_out(number)
    }

    fn hand_out(&mut self, number: u64) -> Option<Job> {
        for (_, earlier) in self.rows.range_mut(..number).filter(|(_, row)| !row.running) {
            earlier.overtaken += 1;
        }
        let row = self.rows.get_mut(&number)?;
        row.running = true;
        self.running += 1;
        self.ready[row.rank as usize].remove(&number);
        if let Some(line) = self.lines.get_mut(&row.track) {
            line.busy = true;
        }
        Some(Job { number, row: row.notification.clone(), record: std::mem::take(&mut row.record) })
    }

    fn next(&self, hold: &Hold) -> Option<u64> {
        let may_begin = |number: &u64| self.rows[number].may_begin(hold);
        let ready = self.ready.iter().flatten().copied();
        let overdue =
            ready.filter(|number| self.rows[number].overtaken >= OVERTAKEN_MAX && may_begin(number)).min();
        overdue.or_else(|| self.ready.iter().find_map(|rank| rank.iter().copied().find(may_begin)))
    }

    /// The worker is done with it for now, because of this trouble: it waits again, at the head of its track.
    pub(super) fn put_back(&mut self, job: Job, trouble: String, not_before: Option<Millis>, now: Millis) {
        let Some(row) = self.rows.get_mut(&job.number) else { return };
        row.record = job.record;
        row.trouble = Some(trouble);
        row.not_before = not_before;
        row.running = false;
        self.running -= 1;
        if let Some(line) = self.lines.get_mut(&row.track) {
            line.busy = false;
        }
        self.line_up(job.number, now);
    }

    /// It is settled: the next of its track may begin.
    pub(super) fn close(&mut self, number: u64, now: Millis) -> Option<Notification> {
        let row = self.rows.remove(&number)?;
        self.numbers.remove(&row.notification.id);
        self.running -= usize::from(row.running);
        self.ready[row.rank as usize].remove(&number);
        if let Some(at) = row.not_before {
            self.resting.remove(&(at, number));
        }
        let line = self.lines.get_mut(&row.track)?;
        if row.running {
            line.busy = false;
        }
        let was_first = line.rows.front() == Some(&number);
        line.rows.retain(|other| *other != number);
        match line.rows.front().copied() {
            None => {
                self.lines.remove(&row.track);
            }
            Some(next) if was_first && !line.busy => self.line_up(next, now),
            Some(_) => {}
        }
        Some(row.notification)
    }

    /// Rows that wait untouched although a list that began after they were seen, and that was complete, lacks them.
    pub(super) fn missing_from(&self, list: u64, listed: &[Notification]) -> Vec<u64> {
        let listed: std::collections::HashSet<&NotificationId> = listed.iter().map(|row| &row.id).collect();
        let untouched = |row: &Row| {
            let record = &row.record;
            // One that begins again is settled there, so no list shows it.
            let again = record.reopened || record.lost > 0 || record.sent.is_some();
            matches!(record.stage, Stage::Fresh) && !again
        };
        let gone = self.rows.iter().filter(|(_, row)| {
            !row.running && row.seen_in < list && untouched(row) && !listed.contains(&row.notification.id)
        });
        gone.map(|(number, _)| *number).collect()
    }
}
