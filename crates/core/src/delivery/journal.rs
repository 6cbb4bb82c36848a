//! The waist to the ledger: what a delivery says of itself, before and after each of its steps.
//!
//! A note carries the whole record as it is now, so any one of them may be missing: the next one says everything again.
//! Whoever must not do a thing twice waits for the disk *before* doing it ([`Wait::ForDisk`]: a turn is about to be sent,
//! an unsafe call to be made, an answer is there); everything else is only noted in passing ([`Wait::Not`]) and may be
//! forgotten in a crash. Waiting covers all that was noted before, for every delivery.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{End, Record};
use crate::work::{Work, WorkId};
use mcr_model::clock::Millis;

/// Whoever keeps the records of deliveries across crashes.
pub trait Journal: Send + Sync {
    /// Takes the note. An error means that it may be forgotten in a crash, not that it is: the note is kept and tried
    /// again. Only [`Wait::ForDisk`] brings errors.
    fn note(&self, note: &Note<'_>, wait: Wait) -> Result<(), JournalError>;

    /// A person closes a row that is not understood. Only the end and the step are added to it. An error means that there
    /// is no such open row, or that the end may be forgotten in a crash.
    fn drop_unreadable(&self, id: &WorkId, _at: Millis, _wait: Wait) -> Result<(), JournalError> {
        Err(JournalError(format!("there is no open row of {id} that is not understood")))
    }

    /// A worker has this delivery in hand from now on, until the hand is gone: what the next process must know if this
    /// one crashes.
    fn in_hand(&self, _work: &WorkId, _now: Millis) -> Hand {
        Hand::default()
    }
}

/// As long as it lives, a worker has a delivery in hand.
#[derive(Default)]
pub struct Hand(Option<Box<dyn FnOnce()>>);

impl Hand {
    /// This is called when it goes.
    pub fn new(gone: impl FnOnce() + 'static) -> Self {
        Self(Some(Box::new(gone)))
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        if let Some(gone) = self.0.take() {
            gone();
        }
    }
}

/// How long a note is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until it outlives a crash.
    ForDisk,
    /// Not at all.
    Not,
}

/// What is noted of a delivery.
#[derive(Clone, Debug)]
pub struct Note<'a> {
    /// Now.
    pub at: Millis,
    /// What is to be done.
    pub work: &'a Work,
    /// What has been done for it; without it only the story grows.
    pub record: Option<&'a Record>,
    /// Until when it rests, by the wall clock.
    pub not_before: Option<Millis>,
    /// For the story that people read.
    pub step: Option<(Step, &'a str)>,
    /// That it is over.
    pub end: Option<&'a End>,
}

impl<'a> Note<'a> {
    /// An empty one.
    pub fn of(work: &'a Work, at: Millis) -> Self {
        Self { at, work, record: None, not_before: None, step: None, end: None }
    }

    /// With what has been done.
    #[must_use]
    pub fn record(self, record: &'a Record) -> Self {
        Self { record: Some(record), ..self }
    }

    /// With what happened, in a few words; more than a line is cut. They must be redacted.
    #[must_use]
    pub fn step(self, step: Step, words: &'a str) -> Self {
        Self { step: Some((step, words)), ..self }
    }

    /// That it rests until then.
    #[must_use]
    pub fn rests(self, until: Option<Millis>) -> Self {
        Self { not_before: until, ..self }
    }

    /// That it is over.
    #[must_use]
    pub fn ends(self, end: &'a End) -> Self {
        Self { end: Some(end), ..self }
    }
}

/// The steps of a delivery, as its story tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// A turn is about to be sent.
    TurnSent,
    /// The gateway has taken it and named the run.
    TurnTaken,
    /// What became of a turn whose answer was lost.
    TurnSettled,
    /// A call that changes the board is about to be made.
    ToolIntent,
    /// A call of a tool brought this.
    ToolResult,
    /// The agent has answered.
    TextReady,
    /// A message is about to be posted that must not be posted twice.
    Posting,
    /// A message is in the thread.
    Posted,
    /// The task has moved on.
    Advanced,
    /// A line for people is in the thread.
    Told,
    /// Something was in the way; it rests.
    Rests,
    /// A process has found it as an earlier one left it.
    Restarted,
    /// It was given up, and begins again.
    Retried,
    /// It is over.
    Ended,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::TurnSent,
        Self::TurnTaken,
        Self::TurnSettled,
        Self::ToolIntent,
        Self::ToolResult,
        Self::TextReady,
        Self::Posting,
        Self::Posted,
        Self::Advanced,
        Self::Told,
        Self::Rests,
        Self::Restarted,
        Self::Retried,
        Self::Ended,
    ];

    /// Its name on the disk and in `why`; it does not change.
    pub fn name(self) -> &'static str {
        match self {
            Self::TurnSent => "turn-sent",
            Self::TurnTaken => "turn-taken",
            Self::TurnSettled => "turn-settled",
            Self::ToolIntent => "tool-intent",
            Self::ToolResult => "tool-result",
            Self::TextReady => "text-ready",
            Self::Posting => "posting",
            Self::Posted => "posted",
            Self::Advanced => "advanced",
            Self::Told => "told",
            Self::Rests => "rests",
            Self::Restarted => "restarted",
            Self::Retried => "retried",
            Self::Ended => "ended",
        }
    }
}

/// A step, as it is told afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedStep {
    /// When.
    pub at: Millis,
    /// The name of the step; newer versions may know more than [`Step`].
    pub step: String,
    /// In a few words.
    pub words: String,
}

/// Why a note does not outlive a crash: a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalError(pub String);

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for JournalError {}
