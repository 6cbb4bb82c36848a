//! What was given up, as long as nobody has decided what becomes of it: the dead letters.

use std::sync::Arc;

use super::journal::{Note, Step};
use super::{End, Record};
use crate::work::Work;
use mcr_model::clock::Millis;

/// So many are kept, here and in the ledger.
pub const MOST: usize = 500;

/// A delivery that was given up.
#[derive(Clone, Debug)]
pub struct DeadLetter {
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
