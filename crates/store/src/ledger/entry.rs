//! One delivery in memory, where notes change it.

use std::sync::Arc;

use super::image::Image;
use super::long_texts::StoredText;
use super::note_text::NoteText;
use super::row_extra::RowExtra;
use super::step_history::StepHistory;
use mcr_core::delivery::journal::{Note, Step};
use mcr_core::delivery::ledger_row::{LedgerRow, record_text, record_with_tool_log};
use mcr_core::delivery::{Record, Stage};
use mcr_core::work::WorkId;
use mcr_model::clock::Millis;

/// A delivery in memory: it is open, or its end is not yet on the disk.
#[derive(Clone, Debug)]
pub(super) struct LedgerEntry {
    pub(super) number: i64,
    pub(super) id: WorkId,
    row: Arc<str>,
    record: Arc<str>,
    extra: RowExtra,
    agent: String,
    task: Option<String>,
    first_seen: Millis,
    not_before: Option<Millis>,
    pub(super) closed: Option<(Millis, String)>,
    history: StepHistory,
    /// Whether it has changed since the writer last took it.
    pub(super) dirty: bool,
    /// Which row it has on the disk.
    pub(super) trace: StoredState,
    /// The texts that its row on the disk refers to.
    texts: Vec<StoredText>,
}

/// Which row a delivery has on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoredState {
    /// No row.
    None,
    /// A row that is understood.
    Row,
    /// A row with the start of its step history: the delivery was closed before and continues.
    Beginning,
    /// A damaged row: only the end of its delivery is recorded.
    Damaged,
    /// A damaged row that is overwritten. The same transaction copies the original to `originals`.
    Replaced,
    /// A row that only a newer version understands: its work and its record stay unchanged.
    Newer,
}

impl LedgerEntry {
    /// The entry of a delivery at its first note.
    pub(super) fn new(number: i64, id: WorkId, at: Millis) -> Self {
        let fresh = record_text(&Record::default());
        Self {
            number,
            id,
            row: "".into(),
            record: fresh.expect("a fresh record is JSON").into(),
            extra: RowExtra::default(),
            agent: String::new(),
            task: None,
            first_seen: at,
            not_before: None,
            closed: None,
            history: StepHistory::default(),
            dirty: false,
            trace: StoredState::None,
            texts: Vec::new(),
        }
    }

    /// The entry of a row that is understood.
    pub(super) fn of(image: Image, row: &LedgerRow) -> Self {
        let extra = RowExtra::of(row);
        // Without the unknown fields, which are added again when the row is written.
        let bare = if extra.is_of_work_alone() { None } else { record_text(&row.record).ok() };
        let record = bare.map_or_else(|| image.record.clone(), Arc::from);
        Self { record, extra, ..Self::stored(image, StoredState::Row) }
    }

    /// The entry of a row that is intact but not understood.
    pub(super) fn unreadable(image: Image, is_newer: bool) -> Self {
        Self::stored(image, if is_newer { StoredState::Newer } else { StoredState::Damaged })
    }

    fn stored(image: Image, trace: StoredState) -> Self {
        Self {
            number: image.number,
            id: WorkId::new(image.id),
            row: image.row,
            record: image.record,
            extra: RowExtra::default(),
            agent: image.agent,
            task: image.task,
            first_seen: image.first_seen,
            not_before: image.not_before,
            closed: image.closed.map(|at| (at, image.end.unwrap_or_default())),
            history: StepHistory::from_text(&image.history),
            dirty: false,
            trace,
            texts: image.texts,
        }
    }

    /// The entry of a row with a wrong checksum: none of its content is used.
    pub(super) fn damaged(number: i64, id: WorkId, closed: Option<Millis>) -> Self {
        Self {
            trace: StoredState::Damaged,
            record: "".into(),
            closed: closed.map(|at| (at, String::new())),
            ..Self::new(number, id, Millis(0))
        }
    }

    /// The entry of a closed delivery that continues.
    pub(super) fn resuming(number: i64, id: WorkId, first_seen: Millis) -> Self {
        Self { trace: StoredState::Beginning, ..Self::new(number, id, first_seen) }
    }

    /// Applies a note. Returns whether there is anything to write.
    pub(super) fn take(&mut self, note: &Note<'_>, news: NoteText) -> bool {
        match self.trace {
            StoredState::Newer => return false,
            StoredState::Damaged if !is_about_the_end(note) => return false,
            StoredState::Damaged => self.trace = StoredState::Replaced,
            StoredState::None | StoredState::Row | StoredState::Beginning | StoredState::Replaced => {}
        }
        if let Some(tool_log) = note.tool_log {
            // The record here was written or understood by this version.
            let Some(record) = record_with_tool_log(&self.record, tool_log) else { return false };
            self.record = record.into();
        } else {
            self.record = news.record.map_or_else(|| self.record.clone(), Arc::from);
            self.not_before = note.not_before;
        }
        self.row = news.row;
        self.agent = news.agent;
        self.task = news.task;
        self.closed = news.end.map(|end| (note.at, end));
        if let Some((step, words)) = note.step {
            self.history.add(note.at, step, words);
        }
        true
    }

    /// Closes a delivery that is not understood, by a person's decision. Its work and its record stay unchanged.
    /// Returns false if the delivery is understood or already closed.
    pub(super) fn drop_unreadable(&mut self, at: Millis, end: String, words: &str) -> bool {
        if self.closed.is_some() {
            return false;
        }
        match self.trace {
            StoredState::Newer => {}
            StoredState::Damaged => self.trace = StoredState::Replaced,
            StoredState::None | StoredState::Row | StoredState::Beginning | StoredState::Replaced => {
                return false;
            }
        }
        self.closed = Some((at, end));
        self.history.add(at, Step::Ended, words);
        true
    }

    /// Whether long texts of its row are stored apart.
    pub(super) fn has_texts_apart(&self) -> bool {
        self.trace == StoredState::Row && !self.texts.is_empty()
    }

    /// The row to write. If the delivery resumes, its new steps move to the image, to be appended to those on the disk.
    pub(super) fn image(&mut self, account: &str) -> Image {
        let history = self.history.to_text();
        let resumes = self.trace == StoredState::Beginning;
        if resumes {
            self.history = StepHistory::default();
        }
        let (row, record) = self.extra.added_to(&self.row, &self.record);
        Image {
            number: self.number,
            id: self.id.to_string(),
            account: account.to_owned(),
            agent: self.agent.clone(),
            task: self.task.clone(),
            row,
            record,
            first_seen: self.first_seen,
            not_before: self.not_before,
            closed: self.closed.as_ref().map(|(at, _)| *at),
            end: self.closed.as_ref().map(|(_, end)| end.clone()),
            history,
            resumes,
            replaces: self.trace == StoredState::Replaced,
            apart: self.closed.is_none(),
            texts: self.texts.clone(),
            extra: RowExtra::default(),
        }
    }
}

/// Whether a note is only about the end of a delivery: a notice for people, the mark, or the end itself.
fn is_about_the_end(note: &Note<'_>) -> bool {
    let is_end = |record: &Record| matches!(record.stage, Stage::Notice(_) | Stage::Ended(_));
    note.end.is_some() || note.record.is_some_and(is_end)
}

impl LedgerEntry {
    /// Updates the entry after its image was written, or was not. Steps that moved to the image come back, together
    /// with those from the disk if these were read.
    pub(super) fn settle(&mut self, image: &Image, written: bool) {
        if written {
            self.texts.clone_from(&image.texts);
            if matches!(self.trace, StoredState::None | StoredState::Replaced) {
                self.trace = StoredState::Row;
            }
        }
        if self.trace != StoredState::Beginning {
            return;
        }
        let mut history = StepHistory::from_text(&image.history);
        history.follow(std::mem::take(&mut self.history));
        self.history = history;
        if !image.resumes {
            self.trace = StoredState::Row;
            self.extra = image.extra.clone();
        }
    }
}
