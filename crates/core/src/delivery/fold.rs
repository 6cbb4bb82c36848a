//! Folding: waiting rows of one agent on one task become one turn.
//!
//! One row is answered, and the texts of the others stand in its briefing. The answered row is the **cover**: the newest
//! row of a person, else the newest row that addresses its agent, else the newest row. The ledger has the cover in the record of each folded row
//! ([`Record::folded_into`]), before the turn is sent.
//!
//! | event | consequence |
//! |---|---|
//! | the cover is answered, or its agent stays silent | each folded row ends as [`End::Folded`]: its own worker marks it |
//! | the cover is given up, skipped, stopped, gone or dropped | the folded rows wait again, and start by themselves |
//! | the cover is tried again | it covers the same rows |
//! | a folded text does not fit into the briefing, or the policy skips its row | that row waits again |
//! | the process ends before the turn is recorded | all of them are listed again |
//! | it ends while the cover is open | the next process attaches the folded rows to the cover again |
//! | it ends after the cover has ended | the end of the cover decides, as above |
//! | a later message moves a folded thread update | its worker notices that after the mark, and delivers the row again |

use std::sync::Arc;

use super::policy::{self, OnSilence};
use super::{End, Record};
use crate::guardrails::origin::Origin;
use crate::work::Work;
use mcr_model::{AuthorType, NotificationType, Word};

/// A row that a turn answers although the turn is about another row.
#[derive(Clone, Debug)]
pub struct Fold {
    /// Its number in the queue.
    pub number: u64,
    /// The work.
    pub work: Arc<Work>,
    /// The record of what was done.
    pub record: Record,
    /// Whether the turn still answers it.
    pub kept: bool,
}

impl Fold {
    /// Whether the row must have an answer in words.
    pub fn is_answer_due(&self) -> bool {
        let Some(row) = self.work.notification() else { return false };
        let author = self.record.origin.map(|known| match known.by {
            Origin::Person => Word::Known(AuthorType::User),
            Origin::Agent => Word::Known(AuthorType::Agent),
        });
        policy::on_silence(&row.kind, author.as_ref()) == OnSilence::AskAgain
    }

    /// Whether the row assigns the task to the agent.
    pub fn is_assignment(&self) -> bool {
        self.work.notification().is_some_and(|row| row.kind == NotificationType::Assignment)
    }
}

impl Record {
    /// The record of a row after its cover has ended like this: the row has ended too, or it waits again.
    #[must_use]
    pub(super) fn uncovered(mut self, by: &End) -> Self {
        match self.folded_into.take() {
            Some(cover) if by.covers() => self.stage = super::Stage::Ended(End::Folded(cover)),
            Some(_) | None => self.heard = None,
        }
        self
    }
}
