//! A row of the database: an `Image` with checksums, and what is `Found` when it is read.

use std::sync::Arc;

use ring::digest::{Context, SHA256};
use rusqlite::{Connection, Row};

use super::error::LedgerError;
use super::long_texts::{self, StoredText, TextError};
use super::row_extra::RowExtra;
use super::step_history::StepHistory;
use mcr_core::delivery::ledger_row::{LedgerRow, RowText, UnreadableRow};
use mcr_core::unreadable::Unreadable;
use mcr_core::work::WorkId;
use mcr_model::clock::Millis;
use mcr_model::{AccountId, TaskId};

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
    /// Whether its long texts are stored apart.
    pub(super) apart: bool,
    /// The texts that the row on the disk refers to.
    pub(super) texts: Vec<StoredText>,
    /// The unknown fields of the stored row, read when the delivery resumed.
    pub(super) extra: RowExtra,
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

    /// Whether this version has written the row, with the commit of this number.
    pub(super) fn is_counted(&self, commit: i64) -> bool {
        match self {
            Self::Whole(image) => StepHistory::is_counted(&image.history, commit),
            Self::Damaged { .. } => false,
        }
    }

    /// Reads a row of [`Image::COLUMNS`], with its long texts. Returns it with the number of the commit that wrote it.
    pub(super) fn read(database: &Connection, row: &Row<'_>) -> Result<(Self, i64), LedgerError> {
        let number: i64 = row.get(0)?;
        let unknown = || LedgerError::damaged(format!("the id of its row {number} cannot be read"));
        let (Ok(id), Ok(sum)) = (row.get::<_, String>(1), row.get::<_, i64>(2)) else {
            return Err(unknown());
        };
        if sum != sum_of_id(&id) {
            return Err(unknown());
        }
        let why = match Image::from_row(number, &id, row) {
            Ok((mut image, written, sum)) if image.sum(written, &image.record) == sum => {
                match image.fill(database) {
                    Ok(()) => return Ok((Self::Whole(image), written)),
                    Err(TextError::Damaged(why)) => why,
                    Err(TextError::Database(why)) => return Err(why),
                }
            }
            Ok(_) | Err(_) => "its checksum is wrong".to_owned(),
        };
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
            why: Unreadable::Damaged(why),
        };
        Ok((Self::Damaged { number, row: found }, row.get(13).unwrap_or(0)))
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
            apart: false,
            texts: Vec::new(),
            extra: RowExtra::default(),
        };
        Ok((image, row.get(13)?, row.get(14)?))
    }

    /// Puts the texts that are stored apart into the record.
    fn fill(&mut self, database: &Connection) -> Result<(), TextError> {
        if let Some((record, texts)) = long_texts::fill(database, &self.record)? {
            (self.record, self.texts) = (record.into(), texts);
        }
        Ok(())
    }

    /// The checksum over all parts, with the record as it is stored. Each part has its length, so that no byte can move
    /// from one part to the next unnoticed.
    pub(super) fn sum(&self, written: i64, record: &str) -> i64 {
        let mut context = Context::new(&SHA256);
        let mut add = |part: Option<&[u8]>| {
            let length = part.map_or(u64::MAX, |bytes| bytes.len() as u64);
            context.update(&length.to_le_bytes());
            context.update(part.unwrap_or_default());
        };
        for text in [&*self.id, &*self.account, &*self.agent, &*self.row, record, &*self.history] {
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
