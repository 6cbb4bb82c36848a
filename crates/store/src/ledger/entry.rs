//! One delivery: as it changes with notes (`LedgerEntry`), and as it lies on the disk (`Image`), with its checksums.

use std::sync::Arc;

use ring::digest::{Context, SHA256};
use rusqlite::Row;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Remembered;
use super::error::LedgerError;
use super::step_history::StepHistory;
use mcr_core::delivery::journal::Note;
use mcr_core::delivery::tool_log::ToolLog;
use mcr_core::delivery::{End, FORM, Record, from_form_1};
use mcr_core::work::{Work, WorkId};
use mcr_model::clock::Millis;

/// A record as it is kept, with its form: newer ones are not understood.
#[derive(Serialize)]
struct StoredRecord<'a> {
    form: u32,
    record: &'a Record,
}

/// The same on its way back: first the form, then what is in it.
#[derive(Deserialize)]
struct StoredForm<'a> {
    form: u32,
    #[serde(borrow)]
    record: &'a RawValue,
}

/// What a note brings, made into text before any lock is taken.
pub(super) struct NoteText {
    row: Arc<str>,
    record: Option<Arc<str>>,
    agent: String,
    task: Option<String>,
    end: Option<String>,
}

impl NoteText {
    pub(super) fn of(note: &Note<'_>) -> Result<Self, serde_json::Error> {
        let kept = |record| serde_json::to_string(&StoredRecord { form: FORM, record }).map(Arc::from);
        Ok(Self {
            row: note.work.to_json()?.into(),
            record: note.record.map(kept).transpose()?,
            agent: note.work.track.agent.clone(),
            task: note.work.track.task().map(ToString::to_string),
            end: note.end.map(serde_json::to_string).transpose()?,
        })
    }
}

/// A delivery in memory: not over, or not yet on the disk.
#[derive(Clone, Debug)]
pub(super) struct LedgerEntry {
    pub(super) number: i64,
    pub(super) id: WorkId,
    row: Arc<str>,
    record: Arc<str>,
    agent: String,
    task: Option<String>,
    first_seen: Millis,
    not_before: Option<Millis>,
    pub(super) closed: Option<(Millis, String)>,
    story: StepHistory,
    /// Whether it has changed since it was last taken to the disk.
    pub(super) dirty: bool,
    /// What there is of it on the disk.
    pub(super) trace: StoredState,
}

/// What there is of a delivery on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoredState {
    /// Nothing.
    None,
    /// A row.
    Row,
    /// A row with the beginning of its story: it was over before.
    Beginning,
    /// A damaged row: only the end of the delivery is of interest.
    Damaged,
    /// A row that only a newer version understands: it stays as it is.
    Newer,
}

impl LedgerEntry {
    /// A delivery that was not noted before.
    pub(super) fn new(number: i64, id: WorkId, at: Millis) -> Self {
        let fresh = serde_json::to_string(&StoredRecord { form: FORM, record: &Record::default() });
        Self {
            number,
            id,
            row: "".into(),
            record: fresh.expect("a fresh record is JSON").into(),
            agent: String::new(),
            task: None,
            first_seen: at,
            not_before: None,
            closed: None,
            story: StepHistory::default(),
            dirty: false,
            trace: StoredState::None,
        }
    }

    /// One that is on the disk.
    pub(super) fn of(image: Image) -> Self {
        Self {
            number: image.number,
            id: WorkId::new(image.id),
            row: image.row,
            record: image.record,
            agent: image.agent,
            task: image.task,
            first_seen: image.first_seen,
            not_before: image.not_before,
            closed: None,
            story: StepHistory::from_text(&image.story),
            dirty: false,
            trace: StoredState::Row,
        }
    }

    /// One that is on the disk and cannot be read.
    pub(super) fn damaged(number: i64, id: WorkId) -> Self {
        Self { trace: StoredState::Damaged, ..Self::new(number, id, Millis(0)) }
    }

    /// One that was over, and goes on.
    pub(super) fn resuming(number: i64, id: WorkId, first_seen: Millis) -> Self {
        Self { trace: StoredState::Beginning, ..Self::new(number, id, first_seen) }
    }

    /// A row that only a newer version understands.
    pub(super) fn newer(number: i64, id: WorkId) -> Self {
        Self { trace: StoredState::Newer, ..Self::new(number, id, Millis(0)) }
    }

    /// Takes the note; whether anything is to be written.
    pub(super) fn take(&mut self, note: &Note<'_>, news: NoteText) -> bool {
        if self.trace == StoredState::Newer {
            return false;
        }
        if self.trace == StoredState::Damaged {
            if news.end.is_none() {
                return false;
            }
            self.trace = StoredState::Row;
        }
        if let Some(tool_log) = note.tool_log {
            // What is here was written by this version, or understood by it.
            let Ok(record) = read_record(&self.record).and_then(|record| with_tool_log(record, tool_log))
            else {
                return false;
            };
            self.record = record;
        } else {
            self.record = news.record.unwrap_or_else(|| self.record.clone());
            self.not_before = note.not_before;
        }
        self.row = news.row;
        self.agent = news.agent;
        self.task = news.task;
        self.closed = news.end.map(|end| (note.at, end));
        if let Some((step, words)) = note.step {
            self.story.add(note.at, step, words);
        }
        true
    }

    /// As it is to lie on the disk. One that resumes gives its new steps away, to be put behind those on the disk.
    pub(super) fn image(&mut self, account: &str) -> Image {
        let story = self.story.to_text();
        let resumes = self.trace == StoredState::Beginning;
        if resumes {
            self.story = StepHistory::default();
        }
        Image {
            number: self.number,
            id: self.id.to_string(),
            account: account.to_owned(),
            agent: self.agent.clone(),
            task: self.task.clone(),
            row: self.row.clone(),
            record: self.record.clone(),
            first_seen: self.first_seen,
            not_before: self.not_before,
            closed: self.closed.as_ref().map(|(at, _)| *at),
            end: self.closed.as_ref().map(|(_, end)| end.clone()),
            story,
            resumes,
        }
    }
}

impl LedgerEntry {
    /// The image is on the disk, or is not after all. Steps that were given away come back, now with those from the
    /// disk if they were read.
    pub(super) fn settle(&mut self, image: &Image, written: bool) {
        if self.trace == StoredState::None && written {
            self.trace = StoredState::Row;
        }
        if self.trace != StoredState::Beginning {
            return;
        }
        let mut story = StepHistory::from_text(&image.story);
        story.follow(std::mem::take(&mut self.story));
        self.story = story;
        if !image.resumes {
            self.trace = StoredState::Row;
        }
    }
}

/// A row of the book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) number: i64,
    pub(super) id: String,
    pub(super) account: String,
    pub(super) agent: String,
    pub(super) task: Option<String>,
    pub(super) row: Arc<str>,
    pub(super) record: Arc<str>,
    pub(super) first_seen: Millis,
    pub(super) not_before: Option<Millis>,
    pub(super) closed: Option<Millis>,
    pub(super) end: Option<String>,
    pub(super) story: String,
    pub(super) resumes: bool,
}

/// What a row of the book turned out to be.
pub(super) enum Found {
    /// As it was written.
    Whole(Image),
    /// Not as it was written, but the id is.
    Damaged { number: i64, id: String, what: String },
}

impl Found {
    pub(super) fn number(&self) -> i64 {
        match self {
            Self::Whole(image) => image.number,
            Self::Damaged { number, .. } => *number,
        }
    }

    /// Reads a row of [`Image::COLUMNS`], and in which commit it was written.
    pub(super) fn read(row: &Row<'_>) -> Result<(Self, i64), LedgerError> {
        let number: i64 = row.get(0)?;
        let unknown = || LedgerError::damaged(format!("the id of its row {number} cannot be read"));
        let (Ok(id), Ok(sum)) = (row.get::<_, String>(1), row.get::<_, i64>(2)) else {
            return Err(unknown());
        };
        if sum != sum_of_id(&id) {
            return Err(unknown());
        }
        let what = "its checksum is wrong".to_owned();
        match Image::read(number, &id, row) {
            Ok((image, written, sum)) if image.sum(written) == sum => Ok((Self::Whole(image), written)),
            Ok(_) | Err(_) => Ok((Self::Damaged { number, id, what }, row.get(13).unwrap_or(0))),
        }
    }
}

impl Image {
    /// In the order in which they are written and read.
    pub(super) const COLUMNS: &'static str = "number, id, id_sum, account, agent, task, row, record, first_seen, not_before, closed, ended, \
         story, written, sum";

    fn read(number: i64, id: &str, row: &Row<'_>) -> rusqlite::Result<(Self, i64, i64)> {
        let image = Self {
            number,
            id: id.to_owned(),
            account: row.get(3)?,
            agent: row.get(4)?,
            task: row.get(5)?,
            row: text(row, 6)?,
            record: text(row, 7)?,
            first_seen: Millis(row.get(8)?),
            not_before: row.get::<_, Option<i64>>(9)?.map(Millis),
            closed: row.get::<_, Option<i64>>(10)?.map(Millis),
            end: row.get(11)?,
            story: row.get(12)?,
            resumes: false,
        };
        Ok((image, row.get(13)?, row.get(14)?))
    }

    /// Over everything, each part with its length, so that nothing can move from one to the next.
    pub(super) fn sum(&self, written: i64) -> i64 {
        let mut context = Context::new(&SHA256);
        let mut add = |part: Option<&[u8]>| {
            let length = part.map_or(u64::MAX, |bytes| bytes.len() as u64);
            context.update(&length.to_le_bytes());
            context.update(part.unwrap_or_default());
        };
        for text in [&*self.id, &*self.account, &*self.agent, &*self.row, &*self.record, &*self.story] {
            add(Some(text.as_bytes()));
        }
        add(self.task.as_deref().map(str::as_bytes));
        add(self.end.as_deref().map(str::as_bytes));
        for number in [Some(self.number), Some(written), Some(self.first_seen.0)]
            .into_iter()
            .chain([self.not_before, self.closed].map(|at| at.map(|at| at.0)))
        {
            add(number.map(i64::to_le_bytes).as_ref().map(<[u8; 8]>::as_slice));
        }
        first_eight(context.finish().as_ref())
    }

    /// How many bytes it takes, about.
    pub(super) fn bytes(&self) -> usize {
        100 + self.row.len() + self.record.len() + self.story.len()
    }

    /// Whether it was given up; told from its first letters, because the rest may be long.
    pub(super) fn is_dead(&self) -> bool {
        self.end.as_deref().is_some_and(|end| end.starts_with("{\"dead\":"))
    }

    /// Whether its source had not confirmed its end; the record is read only if the text says so, because there may be
    /// thousands.
    pub(super) fn is_unmarked(&self) -> bool {
        self.record.contains("\"unmarked\":true") && self.record().is_ok_and(|record| record.unmarked)
    }

    /// How it ended, if that is understood.
    pub(super) fn end(&self) -> Option<End> {
        self.end.as_deref().and_then(|end| serde_json::from_str(end).ok())
    }

    /// Whether its record is of a form that this version knows.
    pub(super) fn form(&self) -> Result<(), String> {
        // As this version writes it: there may be thousands.
        let known = self.record.strip_prefix("{\"form\":").and_then(|rest| rest.split_once(','));
        let is_known = known.is_some_and(|(form, _)| matches!(form.parse(), Ok(1..=FORM)));
        if is_known { Ok(()) } else { stored_form(&self.record).map(drop) }
    }

    /// What was done for it, or what of that only a newer version understands: the checksum was right.
    pub(super) fn record(&self) -> Result<Record, String> {
        read_record(&self.record)
    }

    /// What is to be done, or what of that only a newer version understands.
    pub(super) fn work(&self) -> Result<Work, String> {
        Work::from_json(&self.row)
    }

    /// As it goes on, or why it cannot.
    pub(super) fn remembered(&self) -> Result<Remembered, String> {
        Ok(Remembered {
            work: Arc::new(self.work()?),
            record: self.record()?,
            first_seen: self.first_seen,
            not_before: self.not_before,
        })
    }
}

fn stored_form(text: &str) -> Result<StoredForm<'_>, String> {
    let kept: StoredForm<'_> =
        serde_json::from_str(text).map_err(|why| format!("its record is of an unknown shape: {why}"))?;
    match kept.form {
        1..=FORM => Ok(kept),
        0 => Err("its record is of an unknown form (0)".to_owned()),
        form => Err(format!("its record is of a newer form ({form}, this program knows {FORM})")),
    }
}

fn read_record(text: &str) -> Result<Record, String> {
    let kept = stored_form(text)?;
    let read = if kept.form == 1 {
        serde_json::from_str(kept.record.get()).and_then(from_form_1)
    } else {
        serde_json::from_str(kept.record.get())
    };
    read.map_err(|why| format!("its record is of an unknown shape: {why}"))
}

fn with_tool_log(record: Record, tool_log: &ToolLog) -> Result<Arc<str>, String> {
    let record = Record { effects: tool_log.clone(), ..record };
    let text = serde_json::to_string(&StoredRecord { form: FORM, record: &record });
    text.map(Arc::from).map_err(|why| why.to_string())
}

fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<Arc<str>> {
    let value = row.get_ref(column)?;
    let text = value.as_str().map(Arc::from);
    text.map_err(|_| rusqlite::Error::InvalidColumnType(column, String::new(), value.data_type()))
}

pub(super) fn sum_of_id(id: &str) -> i64 {
    let mut context = Context::new(&SHA256);
    context.update(b"id ");
    context.update(id.as_bytes());
    first_eight(context.finish().as_ref())
}

pub(super) fn first_eight(digest: &[u8]) -> i64 {
    digest.iter().take(8).fold(0, |sum, byte| sum << 8 | i64::from(*byte))
}
