//! The interface to the ledger: the notes that a delivery records before and after each of its steps.
//!
//! A note carries the whole current record. Any single note may therefore be lost: the next one contains
//! everything again. A note of a call over HTTP carries the tool log alone, because only the worker has the rest of the
//! record. Before a step that must not happen twice, the delivery waits until the note is on disk
//! ([`Wait::ForDisk`]). Such steps are sending a turn, making an unsafe call, and receiving an answer. All
//! other notes return at once ([`Wait::Not`]) and may be lost in a crash. Waiting covers every earlier note,
//! of all deliveries.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::acts::Act;
use super::tool_log::ToolLog;
use super::{End, Record};
use crate::work::{Work, WorkId};
use mcr_model::clock::Millis;

/// Keeps the records of deliveries across crashes.
pub trait Journal: Send + Sync {
    /// Takes the note. An error means that a crash may lose the note; it is kept in memory and written again.
    /// Only [`Wait::ForDisk`] returns errors.
    fn note(&self, note: &Note<'_>, wait: Wait) -> Result<(), JournalError>;

    /// Keeps small values by key; `None` removes one. They are written before every later note, and with or after every
    /// earlier one.
    fn keep(&self, _changes: Vec<(String, Option<String>)>, _wait: Wait) -> Result<(), JournalError> {
        Ok(())
    }

    /// Closes a row that is not understood, on a person's request. Only the end and the step are added to the row. An
    /// error means that there is no such open row, or that a crash may lose the end.
    fn drop_unreadable(&self, id: &WorkId, _at: Millis, _wait: Wait) -> Result<(), JournalError> {
        Err(JournalError(format!("there is no open row of {id} that is not understood")))
    }

    /// Records acts of an agent that belong to no delivery. The error says why a crash may lose them.
    fn acted(&self, _agent: &str, _acts: &[Act]) -> Result<(), JournalError> {
        Ok(())
    }

    /// Marks that a worker processes this delivery until the guard is dropped. The next process needs this
    /// if the present one crashes.
    fn mark_active(&self, _work: &WorkId, _now: Millis) -> ActiveGuard {
        ActiveGuard::default()
    }
}

/// A guard: while it lives, a worker processes the delivery.
#[derive(Default)]
pub struct ActiveGuard(Option<Box<dyn FnOnce()>>);

impl ActiveGuard {
    /// Calls `gone` when the guard is dropped.
    pub fn new(gone: impl FnOnce() + 'static) -> Self {
        Self(Some(Box::new(gone)))
    }
}

impl Drop for ActiveGuard {
    fn drop(&mut self) {
        if let Some(gone) = self.0.take() {
            gone();
        }
    }
}

/// How long to wait for a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until it survives a crash.
    ForDisk,
    /// Not at all.
    Not,
}

/// A note about a delivery.
#[derive(Clone, Debug)]
pub struct Note<'a> {
    /// The present time.
    pub at: Millis,
    /// The work item.
    pub work: &'a Work,
    /// What was done for the work item. A note without a record and a tool log extends only the timeline.
    pub record: Option<&'a Record>,
    /// What the agent did with tools. The rest of the record and the pause keep their last recorded values.
    pub tool_log: Option<&'a ToolLog>,
    /// The instant until which the delivery pauses, by the wall clock.
    pub not_before: Option<Millis>,
    /// An entry of the timeline that people read.
    pub step: Option<(Step, &'a str)>,
    /// The outcome, if the delivery has ended.
    pub end: Option<&'a End>,
}

impl<'a> Note<'a> {
    /// An empty note.
    pub fn of(work: &'a Work, at: Millis) -> Self {
        Self { at, work, record: None, tool_log: None, not_before: None, step: None, end: None }
    }

    /// Adds the record.
    #[must_use]
    pub fn record(self, record: &'a Record) -> Self {
        Self { record: Some(record), ..self }
    }

    /// Adds the tool log, and nothing else of the record.
    #[must_use]
    pub fn tool_log(self, tool_log: &'a ToolLog) -> Self {
        Self { tool_log: Some(tool_log), ..self }
    }

    /// Adds a step with a few redacted words; text beyond a line is cut.
    #[must_use]
    pub fn step(self, step: Step, words: &'a str) -> Self {
        Self { step: Some((step, words)), ..self }
    }

    /// Adds the instant until which the delivery pauses.
    #[must_use]
    pub fn rests(self, until: Option<Millis>) -> Self {
        Self { not_before: until, ..self }
    }

    /// Adds the outcome.
    #[must_use]
    pub fn ends(self, end: &'a End) -> Self {
        Self { end: Some(end), ..self }
    }
}

/// The steps of a delivery in its timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// A turn is about to be sent.
    TurnSent,
    /// The gateway has accepted the turn and named the run.
    TurnTaken,
    /// The outcome of a turn whose answer was lost.
    TurnSettled,
    /// A call that changes the board is about to be made.
    ToolIntent,
    /// A tool call has returned this.
    ToolResult,
    /// The agent has answered.
    TextReady,
    /// A message is about to be posted that must not be posted twice.
    Posting,
    /// A message is in the thread.
    Posted,
    /// The task's status has advanced.
    Advanced,
    /// A notice for people is in the thread.
    NoticePosted,
    /// The attempt failed; the delivery pauses.
    Rests,
    /// A process has found the delivery as an earlier one left it.
    Restarted,
    /// The turn of another notification is about to answer this one.
    Folded,
    /// The delivery was given up, and is restarted.
    Retried,
    /// The delivery has ended.
    Ended,
}

impl Step {
    /// All steps.
    pub const ALL: [Self; 15] = [
        Self::TurnSent,
        Self::TurnTaken,
        Self::TurnSettled,
        Self::ToolIntent,
        Self::ToolResult,
        Self::TextReady,
        Self::Posting,
        Self::Posted,
        Self::Advanced,
        Self::NoticePosted,
        Self::Rests,
        Self::Restarted,
        Self::Folded,
        Self::Retried,
        Self::Ended,
    ];

    /// The name on disk and in `why`; it never changes.
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
            Self::NoticePosted => "told",
            Self::Rests => "rests",
            Self::Restarted => "restarted",
            Self::Folded => "folded",
            Self::Retried => "retried",
            Self::Ended => "ended",
        }
    }
}

/// A step, as read from the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedStep {
    /// When it happened.
    pub at: Millis,
    /// The name of the step; newer versions may have more than [`Step`].
    pub step: String,
    /// A few words about it.
    pub words: String,
}

/// Why a note may not survive a crash: a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalError(pub String);

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for JournalError {}
