//! What was given up, as long as nobody has decided what becomes of it: the dead letters.

use std::collections::VecDeque;

use super::journal::{Note, Step};
use super::{End, Record};
use mcr_model::clock::Millis;
use mcr_model::{Notification, NotificationId};

/// So many are kept, here and in the ledger.
pub const MOST: usize = 500;

/// A delivery that was given up.
#[derive(Clone, Debug)]
pub struct Shelved {
    /// When.
    pub at: Millis,
    /// What was to be delivered.
    pub row: Notification,
    /// What had been done for it.
    pub record: Record,
    /// Why it was given up.
    pub why: String,
}

/// That this row begins again, because a person wants it; `record` is how.
pub fn retried<'a>(row: &'a Notification, record: &'a Record, at: Millis) -> Note<'a> {
    Note::of(row, at).record(record).step(Step::Retried, "by a person")
}

/// That this row is closed for good, because a person wants it.
pub fn dropped<'a>(row: &'a Notification, record: &'a Record, end: &'a End, at: Millis) -> Note<'a> {
    Note::of(row, at).record(record).step(Step::Ended, "dropped by a person").ends(end)
}

/// All of them, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Shelf(VecDeque<Shelved>);

impl Shelf {
    /// One more; of the same row only the last is kept.
    pub fn put(&mut self, dead: Shelved) {
        self.0.retain(|other| other.row.id != dead.row.id);
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(dead);
    }

    /// Takes one away.
    pub fn take(&mut self, id: &NotificationId) -> Option<Shelved> {
        let at = self.0.iter().position(|dead| dead.row.id == *id)?;
        self.0.remove(at)
    }

    /// What had been done for one.
    pub fn record_of(&self, id: &NotificationId) -> Option<Record> {
        self.0.iter().find(|dead| dead.row.id == *id).map(|dead| dead.record.clone())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn all(&self) -> Vec<Shelved> {
        self.0.iter().cloned().collect()
    }
}
