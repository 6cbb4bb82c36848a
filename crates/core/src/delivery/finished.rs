//! Items that have ended here, and what guards each of them against a second start.
//!
//! A list and the end of a delivery can cross: a list that began before an item ended still shows it. So a source counts
//! its looks at the backend. An item that ends is not started again for any look that had begun by then.
//!
//! Some items are shown by later looks as well, because the backend has no mark for them. Such an item is refused for an
//! hour. After that only its mark is retried; an item that was gone starts anew, because it exists after all.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::shelf::{Shelf, Shelved};
use super::{End, Record};
use crate::work::WorkId;
use mcr_model::clock::Millis;

/// How long an item without a mark at the backend is refused.
const REFUSED_FOR: Duration = Duration::from_hours(1);

/// The most items that are refused at a time; the oldest make room.
const REFUSED_MAX: usize = 1000;

/// Whether an item that a source offers may start.
#[derive(Debug)]
pub(super) enum Admission {
    /// The item starts from the beginning.
    Start,
    /// The item has ended; only its mark at the backend is missing.
    OnlyMark(Box<Record>),
    /// The look that shows the item began before the item ended.
    Outdated,
    /// The item has ended, and the backend goes on to show it.
    Refused,
}

/// All finished items that are remembered.
#[derive(Debug, Default)]
pub(super) struct FinishedItems {
    /// Items that have ended, each with the last look that had begun by then.
    settled: HashMap<WorkId, u64>,
    /// Items without a mark at the backend, with the time of their end.
    unmarked: HashMap<WorkId, End>,
    unmarked_order: VecDeque<(Millis, WorkId)>,
    /// Items of which only the mark is retried, if a source offers them.
    closed: HashMap<WorkId, End>,
    dead_letters: Shelf,
}

impl FinishedItems {
    /// The items of an earlier process.
    pub(super) fn new(closed: HashMap<WorkId, End>, dead_letters: Shelf) -> Self {
        Self { closed, dead_letters, ..Self::default() }
    }

    /// An item has ended. `look` is the last look of its source that had begun by then. An item that is not `marked` is
    /// shown again by later looks.
    pub(super) fn insert(&mut self, id: &WorkId, end: &End, marked: bool, look: u64, now: Millis) {
        self.settled.insert(id.clone(), look);
        if marked {
            return;
        }
        if self.unmarked_order.len() == REFUSED_MAX
            && let Some((_, oldest)) = self.unmarked_order.pop_front()
        {
            self.refuse_no_longer(oldest);
        }
        self.unmarked_order.push_back((now, id.clone()));
        self.unmarked.insert(id.clone(), end.clone());
    }

    /// A look has come back: items that had ended before it began need no guard against it, nor against earlier looks.
    pub(super) fn expire(&mut self, look: u64, now: Millis) {
        self.settled.retain(|_, at| *at >= look);
        while let Some((at, id)) = self.unmarked_order.front()
            && now.since(*at) >= REFUSED_FOR
        {
            let id = id.clone();
            self.unmarked_order.pop_front();
            self.refuse_no_longer(id);
        }
    }

    fn refuse_no_longer(&mut self, id: WorkId) {
        if let Some(end) = self.unmarked.remove(&id).filter(End::is_marked) {
            self.closed.insert(id, end);
        }
    }

    /// Decides about an item that a source offers and that is not in the queue.
    pub(super) fn admit(&mut self, id: &WorkId) -> Admission {
        if self.unmarked.contains_key(id) {
            return Admission::Refused;
        }
        if self.settled.contains_key(id) {
            return Admission::Outdated;
        }
        match self.closed.remove(id) {
            // The item seemed to be deleted and exists after all.
            None | Some(End::Gone) => Admission::Start,
            Some(end) => {
                let record = self.dead_letters.record_of(id).unwrap_or_else(|| Record::ended(end));
                Admission::OnlyMark(Box::new(record))
            }
        }
    }

    /// Adds a dead letter, which stays until a person decides.
    pub(super) fn put_dead_letter(&mut self, letter: Shelved) {
        self.dead_letters.put(letter);
    }

    /// The item has ended in another way since.
    pub(super) fn remove_dead_letter(&mut self, id: &WorkId) {
        self.dead_letters.take(id);
    }

    /// A person retries a dead letter: nothing guards the item any more.
    pub(super) fn retry(&mut self, id: &WorkId) -> Option<Shelved> {
        let letter = self.dead_letters.take(id)?;
        self.unguard(id);
        Some(letter)
    }

    /// A person drops a dead letter. If a source offers the item again, only its mark is retried.
    pub(super) fn drop_dead_letter(&mut self, id: &WorkId) -> Option<Shelved> {
        let letter = self.dead_letters.take(id)?;
        self.unguard(id);
        self.closed.insert(id.clone(), End::Dropped(letter.why.clone()));
        Some(letter)
    }

    fn unguard(&mut self, id: &WorkId) {
        self.closed.remove(id);
        self.settled.remove(id);
        self.unmarked.remove(id);
        self.unmarked_order.retain(|(_, other)| other != id);
    }

    /// The dead letters, oldest first.
    pub(super) fn dead_letters(&self) -> Vec<Shelved> {
        self.dead_letters.all()
    }

    /// The number of dead letters.
    pub(super) fn dead_letter_count(&self) -> usize {
        self.dead_letters.len()
    }
}
