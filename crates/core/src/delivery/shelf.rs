//! What was given up, as long as nobody has decided what becomes of it: the dead letters.

use std::collections::VecDeque;
use std::sync::Arc;

use super::journal::{Note, Step};
use super::{End, Record};
use crate::work::{Work, WorkId};
use mcr_model::clock::Millis;

/// So many are kept, here and in the ledger.
pub const MOST: usize = 500;

/// A delivery that was given up.
#[derive(Clone, Debug)]
pub struct Shelved {
    /// When.
    pub at: Millis,
    /// What was to be done.
    pub work: Arc<Work>,
    /// What had been done for it.
    pub record: Record,
    /// Why it was given up.
    pub why: String,
}

/// That this work begins again, because a person wants it; `record` is how.
pub fn retried<'a>(work: &'a Work, record: &'a Record, at: Millis) -> Note<'a> {
    Note::of(work, at).record(record).step(Step::Retried, "by a person")
}

/// That this work is closed for good, because a person wants it.
pub fn dropped<'a>(work: &'a Work, record: &'a Record, end: &'a End, at: Millis) -> Note<'a> {
    Note::of(work, at).record(record).step(Step::Ended, "dropped by a person").ends(end)
}

/// All of them, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Shelf(VecDeque<Shelved>);

impl Shelf {
    /// One more; of the same work only the last is kept.
    pub fn put(&mut self, dead: Shelved) {
        self.0.retain(|other| other.work.id != dead.work.id);
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(dead);
    }

    /// Takes one away.
    pub fn take(&mut self, id: &WorkId) -> Option<Shelved> {
        let at = self.0.iter().position(|dead| dead.work.id == *id)?;
        self.0.remove(at)
    }

    /// What had been done for one.
    pub fn record_of(&self, id: &WorkId) -> Option<Record> {
        self.0.iter().find(|dead| dead.work.id == *id).map(|dead| dead.record.clone())
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
