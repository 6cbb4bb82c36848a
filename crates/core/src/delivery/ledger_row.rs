//! Rows of the ledger: writes records, and classifies rows when they are read.
//!
//! A row is open or closed. Its content is understood, of a newer version, or damaged. The service, `doctor` and `why`
//! all use [`RowText::read`], so they classify a row in the same way.
//!
//! | content | open | closed |
//! |---|---|---|
//! | understood | the delivery continues | closed |
//! | of a newer version | untouched; its track waits | closed, and untouched |
//! | damaged | not started again; given up once its source offers it | closed |
//!
//! Form 1 is imported, so it is understood. No form is older.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::record::has_fields_of_form_1;
use super::tool_log::ToolLog;
use super::{End, FORM, Record, UnknownFields, from_form_1};
use crate::unreadable::Unreadable;
use crate::work::{Track, Work, WorkId};
use mcr_model::clock::Millis;
use mcr_model::{AccountId, TaskId};

/// The form of a record whose long texts are stored apart. The store puts the texts back before a row is read, so only
/// older versions find this form.
pub const FORM_WITH_TEXTS: u32 = FORM + 1;

/// A record as the ledger stores it, with the number of its form.
#[derive(Serialize)]
struct StoredRecord<'a> {
    form: u32,
    record: &'a Record,
}

/// [`StoredRecord`] before its record is parsed: the form decides how to parse the record.
#[derive(Deserialize)]
struct StoredForm<'a> {
    form: Value,
    #[serde(borrow)]
    record: &'a RawValue,
    #[serde(flatten)]
    extra: UnknownFields,
}

/// The text of a record that the ledger stores.
pub fn record_text(record: &Record) -> Result<String, serde_json::Error> {
    serde_json::to_string(&StoredRecord { form: FORM, record })
}

/// The text of a record with another tool log. `None` if the record cannot be read.
pub fn record_with_tool_log(text: &str, tool_log: &ToolLog) -> Option<String> {
    let (record, _) = stored_form(text).and_then(StoredForm::read).ok()?;
    record_text(&Record { effects: tool_log.clone(), ..record }).ok()
}

/// Parses the form of a record, and checks that this version knows it.
fn stored_form(text: &str) -> Result<StoredForm<'_>, Unreadable> {
    let stored: StoredForm<'_> =
        serde_json::from_str(text).map_err(|why| Unreadable::of("its record", &why))?;
    known_form(&stored.form).map(|()| stored)
}

impl StoredForm<'_> {
    fn read(self) -> Result<(Record, UnknownFields), Unreadable> {
        let record = if self.form == 1 { form_1(self.record) } else { current_form(self.record) }?;
        Ok((record, self.extra))
    }
}

/// The text of a row whose checksum is right.
#[derive(Clone, Copy, Debug)]
pub struct RowText<'a> {
    /// The id of the work.
    pub id: &'a str,
    /// The work, as [`Work::to_json`] writes it.
    pub work: &'a str,
    /// The record, as [`record_text`] writes it.
    pub record: &'a str,
    /// When it was closed.
    pub closed: Option<Millis>,
    /// The end, as JSON.
    pub end: Option<&'a str>,
}

/// A row that this version understands.
#[derive(Clone, Debug)]
pub struct LedgerRow {
    /// The work item.
    pub work: Work,
    /// What has been done for it.
    pub record: Record,
    /// How it ended. `None` for an open row.
    pub end: Option<End>,
    /// The fields next to the record that only a newer version knows.
    pub extra: UnknownFields,
}

impl RowText<'_> {
    /// Reads a row, or returns why it is not understood.
    pub fn read(&self) -> Result<LedgerRow, Unreadable> {
        let stored = stored_form(self.record)?;
        let end = self.end()?;
        let work = Work::from_json(self.work)?;
        if work.id.as_str() != self.id {
            return Err(Unreadable::Damaged(format!("it has the work of {}", work.id)));
        }
        let (record, extra) = stored.read()?;
        Ok(LedgerRow { work, record, end, extra })
    }

    /// How the delivery ended. The end is read even if the rest of the row is not understood.
    fn end(&self) -> Result<Option<End>, Unreadable> {
        match (self.closed, self.end) {
            (None, None) => Ok(None),
            (Some(_), Some(end)) => {
                serde_json::from_str(end).map(Some).map_err(|why| Unreadable::of("its end", &why))
            }
            (Some(_), None) => Err(Unreadable::Damaged("it is closed without an end".to_owned())),
            (None, Some(_)) => Err(Unreadable::Damaged("it is open and has an end".to_owned())),
        }
    }
}

fn known_form(form: &Value) -> Result<(), Unreadable> {
    match form.as_u64() {
        Some(known) if (1..=u64::from(FORM)).contains(&known) => Ok(()),
        Some(newer) if newer > u64::from(FORM) => Err(Unreadable::Newer(format!(
            "its record is of a newer form ({newer}, this program knows {FORM})"
        ))),
        Some(_) | None => Err(Unreadable::Damaged(format!("its record is of an unknown form ({form})"))),
    }
}

/// Reads a record of form 1. No newer version writes form 1, so content that is not understood is damage.
fn form_1(record: &RawValue) -> Result<Record, Unreadable> {
    let read = serde_json::from_str(record.get()).and_then(from_form_1);
    read.map_err(|why| Unreadable::Damaged(format!("its record is of an unknown shape: {why}")))
}

fn current_form(record: &RawValue) -> Result<Record, Unreadable> {
    let read = serde_json::from_str(record.get()).map_err(|why| Unreadable::of("its record", &why))?;
    if has_fields_of_form_1(&read) {
        return Err(Unreadable::Damaged("its record has fields that only form 1 has".to_owned()));
    }
    Ok(read)
}

/// A row that is not understood, with the facts from its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableRow {
    /// The id of the work.
    pub id: WorkId,
    /// The account of the row, if it is known.
    pub account: Option<AccountId>,
    /// The agent and the task, if they are known.
    pub subject: Option<(String, Option<TaskId>)>,
    /// When the work was first recorded, if that is known.
    pub first_seen: Option<Millis>,
    /// When it was closed.
    pub closed: Option<Millis>,
    /// How the delivery ended, if that is understood.
    pub end: Option<End>,
    /// Why the row is not understood.
    pub why: Unreadable,
}

impl UnreadableRow {
    /// Builds the entry of a row whose checksum is right, so its columns can be trusted.
    pub fn new(row: &RowText<'_>, why: Unreadable) -> Self {
        let id = WorkId::new(row.id);
        let end = row.end().ok().flatten();
        Self { id, account: None, subject: None, first_seen: None, closed: row.closed, end, why }
    }

    /// Whether its delivery has not ended.
    pub fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    /// Whether a newer version wrote the row, and can continue its delivery.
    pub fn is_newer(&self) -> bool {
        matches!(self.why, Unreadable::Newer(_))
    }

    /// Whether this row belongs to the account, as far as is known.
    pub fn is_of(&self, account: &AccountId) -> bool {
        self.account.as_ref().is_none_or(|known| known == account)
    }

    /// The tracks that wait behind the row. Only an open row of a newer version blocks tracks, because its turn may
    /// run. A row without a task may be a heartbeat, so it also blocks the heartbeat's track.
    pub fn blocked_tracks(&self) -> Vec<Track> {
        match &self.subject {
            Some((agent, task)) if self.is_open() && self.is_newer() => match task {
                Some(task) => vec![Track::new(agent, Some(task.clone()))],
                None => vec![Track::new(agent, None), Track::heartbeat(agent)],
            },
            Some(_) | None => Vec::new(),
        }
    }

    /// Explains the problem in a sentence.
    pub fn explain(&self) -> String {
        let Self { id, why, .. } = self;
        match (self.is_open(), self.is_newer()) {
            (true, true) => {
                let waits = match &self.subject {
                    Some((agent, Some(task))) => {
                        format!("; work of agent {agent} on task {task} waits behind it")
                    }
                    Some((agent, None)) => format!("; work of agent {agent} without a task waits behind it"),
                    None => String::new(),
                };
                format!("A newer version wrote the row of {id} ({why}): it is left untouched{waits}.")
            }
            (true, false) => {
                format!(
                    "The row of {id} is damaged ({why}): what was done is unknown, so it is not started again."
                )
            }
            (false, true) => format!("{id} is closed; a newer version wrote its row ({why})."),
            (false, false) => format!("{id} is closed; its row is damaged ({why})."),
        }
    }

    /// What happens next and what a person can do, in sentences.
    pub fn advice(&self) -> String {
        let id = &self.id;
        match (self.is_open(), self.is_newer()) {
            (true, true) => {
                format!(
                    "Start the newer version again to deliver it, or close it permanently: `dead drop {id}`."
                )
            }
            (true, false) => format!(
                "If Mission Control still lists it, a line in its thread says so and it is given up. Otherwise close it \
                 permanently: `dead drop {id}`."
            ),
            (false, _) => "Done. No action needed.".to_owned(),
        }
    }
}
