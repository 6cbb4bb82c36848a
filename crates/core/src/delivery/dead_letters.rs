//! Dead letters: deliveries that were given up and wait for a person's decision.

use std::sync::Arc;

use super::journal::{Note, Step};
use super::{End, Record, Stage};
use crate::work::Work;
use mcr_model::clock::Millis;

/// The most dead letters that the dispatcher and the ledger keep.
pub const MOST: usize = 500;

/// A delivery that was given up.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// When it was given up.
    pub at: Millis,
    /// The work item.
    pub work: Arc<Work>,
    /// The record of what was done.
    pub record: Record,
    /// Why it was given up.
    pub why: String,
}

/// The words of the step that a person restarts a delivery.
pub const RETRIED_STEP: &str = "by a person";

/// The words of the step that a stopped delivery restarts because of a person's message.
pub const RESUMED_STEP: &str = "a person has written in the thread";

/// The note that this work restarts from `record`, with the words of its step.
pub fn started_again<'a>(work: &'a Work, record: &'a Record, words: &'a str, at: Millis) -> Note<'a> {
    Note::of(work, at).record(record).step(Step::Retried, words)
}

/// The consequence of dropping a dead letter, or a row that is not understood: a clause.
pub const DROPPED: &str = "the agent is not asked again, and nothing is posted";

/// The consequence of restarting a dead letter with this record: a clause.
pub fn next_step(record: &Record) -> &'static str {
    match &record.stage {
        Stage::Fresh | Stage::Working(_) => "the agent is asked once more",
        Stage::Answered(_) | Stage::Notice(_) => {
            "the recorded answer is posted, and the agent is not asked again"
        }
        Stage::Ended(_) => "only the mark at Mission Control is set",
    }
}

/// The words of the step that closes a delivery permanently on a person's request.
pub const DROPPED_STEP: &str = "dropped by a person";

/// The note that a person has closed this work permanently.
pub fn dropped<'a>(work: &'a Work, record: &'a Record, end: &'a End, at: Millis) -> Note<'a> {
    Note::of(work, at).record(record).step(Step::Ended, DROPPED_STEP).ends(end)
}
