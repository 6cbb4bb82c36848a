//! One delivery: in memory, where notes change it (`LedgerEntry`), and as a row on the disk with checksums (`Image`).

use std::sync::Arc;

use ring::digest::{Context, SHA256};
use rusqlite::Row;

use super::error::LedgerError;
use super::note_text::NoteText;
use super::row_extra::RowExtra;
use super::step_history::StepHistory;
use mcr_core::delivery::journal::{Note, Step};
use mcr_core::delivery::ledger_row::{LedgerRow, RowText, UnreadableRow, record_text, record_with_tool_log};
use mcr_core::delivery::{Record, Stage};
use mcr_core::unreadable::Unreadable;
use mcr_core::work::WorkId;
use mcr_model::clock::Millis;
use mcr_model::{AccountId, TaskId};

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
        if written && matches!(self.trace, StoredState::None | StoredState::Replaced) {
            self.trace = StoredState::Row;
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

/// A row of the database.
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
    pub(super) history: String,
    /// The delivery was closed before: its steps are appended to those on the disk.
    pub(super) resumes: bool,
    /// The row on the disk is damaged: the original is kept unchanged in `originals`.
    pub(super) replaces: bool,
    /// The unknown fields of the stored row, read when the delivery resumed.
    extra: RowExtra,
}

/// A row of the database, after its checksums were verified.
pub(super) enum Found {
    /// The row is as it was written.
    Whole(Image),
    /// The row has changed, but its id is intact.
    Damaged { number: i64, row: UnreadableRow },
}

impl Found {
    pub(super) fn number(&self) -> i64 {
        match self {
            Self::Whole(image) => image.number,
            Self::Damaged { number, .. } => *number,
        }
    }

    /// The id, whose checksum is right.
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Whole(image) => &image.id,
            Self::Damaged { row, .. } => row.id.as_str(),
        }
    }

    /// Reads a row of [`Image::COLUMNS`]. Returns it with the number of the commit that wrote it.
    pub(super) fn read(row: &Row<'_>) -> Result<(Self, i64), LedgerError> {
        let number: i64 = row.get(0)?;
        let unknown = || LedgerError::damaged(format!("the id of its row {number} cannot be read"));
        let (Ok(id), Ok(sum)) = (row.get::<_, String>(1), row.get::<_, i64>(2)) else {
            return Err(unknown());
        };
        if sum != sum_of_id(&id) {
            return Err(unknown());
        }
        match Image::from_row(number, &id, row) {
            Ok((image, written, sum)) if image.sum(written) == sum => Ok((Self::Whole(image), written)),
            Ok(_) | Err(_) => {
                // One wrong byte must not close a delivery: both columns of an end are needed.
                let end = row.get::<_, Option<String>>(11).ok().flatten();
                let end = end.and_then(|text| serde_json::from_str(&text).ok());
                let closed = row.get::<_, Option<i64>>(10).ok().flatten().filter(|_| end.is_some());
                let found = UnreadableRow {
                    id: WorkId::new(id),
                    account: None,
                    subject: None,
                    first_seen: None,
                    closed: closed.map(Millis),
                    end,
                    why: Unreadable::Damaged("its checksum is wrong".to_owned()),
                };
                Ok((Self::Damaged { number, row: found }, row.get(13).unwrap_or(0)))
            }
        }
    }
}

impl Image {
    /// The columns, in the order of writing and reading.
    pub(super) const COLUMNS: &'static str = "number, id, id_sum, account, agent, task, row, record, first_seen, not_before, closed, ended, \
         story, written, sum";

    fn from_row(number: i64, id: &str, row: &Row<'_>) -> rusqlite::Result<(Self, i64, i64)> {
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
            history: row.get(12)?,
            resumes: false,
            replaces: false,
            extra: RowExtra::default(),
        };
        Ok((image, row.get(13)?, row.get(14)?))
    }

    /// The checksum over all parts. Each part has its length, so that no byte can move from one part to the next
    /// unnoticed.
    pub(super) fn sum(&self, written: i64) -> i64 {
        let mut context = Context::new(&SHA256);
        let mut add = |part: Option<&[u8]>| {
            let length = part.map_or(u64::MAX, |bytes| bytes.len() as u64);
            context.update(&length.to_le_bytes());
            context.update(part.unwrap_or_default());
        };
        for text in [&*self.id, &*self.account, &*self.agent, &*self.row, &*self.record, &*self.history] {
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

    /// The approximate size of the row in bytes.
    pub(super) fn bytes(&self) -> usize {
        100 + self.row.len() + self.record.len() + self.history.len()
    }

    /// Whether the delivery ended as a dead letter. The first characters decide, because the rest may be long.
    pub(super) fn is_dead(&self) -> bool {
        self.end.as_deref().is_some_and(|end| end.starts_with("{\"dead\":"))
    }

    fn text(&self) -> RowText<'_> {
        let (id, work, record) = (&*self.id, &*self.row, &*self.record);
        RowText { id, work, record, closed: self.closed, end: self.end.as_deref() }
    }

    /// The content of the row, or why it is not understood.
    pub(super) fn read(&self) -> Result<LedgerRow, Box<UnreadableRow>> {
        self.text().read().map_err(|why| {
            Box::new(UnreadableRow {
                account: Some(AccountId::new(&*self.account)),
                subject: Some((self.agent.clone(), self.task.as_deref().map(TaskId::new))),
                first_seen: Some(self.first_seen),
                ..UnreadableRow::new(&self.text(), why)
            })
        })
    }

    /// Continues the earlier row of this delivery: the steps of that row come first, and its unknown fields stay.
    pub(super) fn follow(&mut self, earlier: &Self) {
        let mut history = StepHistory::from_text(&earlier.history);
        history.follow(StepHistory::from_text(&self.history));
        self.history = history.to_text();
        if let Ok(earlier) = earlier.text().read() {
            self.extra = RowExtra::of(&earlier);
            (self.row, self.record) = self.extra.added_to(&self.row, &self.record);
        }
    }
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
