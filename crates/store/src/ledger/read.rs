//! Reads the ledger while a service may be writing it: for `why`, `dead list` and tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::database;
use super::error::LedgerError;
use super::image::{Found, Image};
use super::kept_values;
use super::location::{database_in, promised_in};
use super::step_history::StepHistory;
use mcr_core::delivery::journal::RecordedStep;
use mcr_core::delivery::ledger_row::{LedgerRow, UnreadableRow};
use mcr_core::delivery::{End, Record};
use mcr_core::work::{Work, WorkId};
use mcr_files::Folder;
use mcr_model::AccountId;
use mcr_model::clock::Millis;

/// All rows of the ledger, in the order of their first notes.
#[derive(Debug, Default)]
pub struct Read {
    /// The rows that are understood, as deliveries.
    pub deliveries: Vec<DeliveryHistory>,
    /// The rows that are not understood.
    pub unreadable: Vec<UnreadableRow>,
    /// The values of other parts of the runtime, by key.
    pub kept: BTreeMap<String, String>,
}

/// A delivery with its step history, for people.
#[derive(Debug)]
pub struct DeliveryHistory {
    /// The id of its work.
    pub id: WorkId,
    /// The account that it belongs to.
    pub account: AccountId,
    /// The work.
    pub work: Arc<Work>,
    /// What has been done for the work so far.
    pub record: Record,
    /// When it was first noted.
    pub first_seen: Millis,
    /// No attempt starts before this time.
    pub not_before: Option<Millis>,
    /// When it ended, if it has.
    pub closed: Option<Millis>,
    /// How it ended.
    pub end: Option<End>,
    /// Its recorded steps.
    pub steps: Vec<RecordedStep>,
    /// How many steps were left out in the middle.
    pub left_out: u64,
}

/// Checks and reads the ledger in this folder, even while a service writes it. Without a ledger the result is empty.
pub fn read(folder: &Folder) -> Result<Read, LedgerError> {
    let promised = promised_in(folder);
    let found = database_in(folder).map_err(|why| LedgerError::File {
        path: folder.path().to_owned(),
        what: "read",
        why,
    })?;
    let mut read = Read::default();
    let mut kept = BTreeMap::new();
    let visit = |found| match found {
        Found::Whole(image) => match image.read() {
            Ok(row) => read.deliveries.push(history_of(&image, row)),
            Err(unreadable) => read.unreadable.push(*unreadable),
        },
        Found::Damaged { row, .. } => read.unreadable.push(row),
    };
    database::read_only(found.as_deref(), promised, visit, |database| {
        kept = kept_values::read(database)?;
        Ok(())
    })?;
    Ok(Read { kept, ..read })
}

fn history_of(image: &Image, row: LedgerRow) -> DeliveryHistory {
    let (steps, left_out) = StepHistory::from_text(&image.history).recorded();
    DeliveryHistory {
        id: WorkId::new(&*image.id),
        account: AccountId::new(&*image.account),
        work: Arc::new(row.work),
        record: row.record,
        first_seen: image.first_seen,
        not_before: image.not_before,
        closed: image.closed,
        end: row.end,
        steps,
        left_out,
    }
}
