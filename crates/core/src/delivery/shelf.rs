//! What was given up, as long as nobody has decided what becomes of it: the dead letters.

use super::journal::{Note, Step};
use super::{End, Record};
use mcr_model::Notification;
use mcr_model::clock::Millis;

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
