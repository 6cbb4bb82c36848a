//! Reading the ledger beside the service that writes it: for `why`, `dead list`, and tests.

use std::sync::Arc;

use super::database;
use super::entry::{Found, Image};
use super::error::LedgerError;
use super::location::{database_in, promised_in};
use super::step_history::StepHistory;
use mcr_core::delivery::journal::RecordedStep;
use mcr_core::delivery::ledger_row::{LedgerRow, UnreadableRow};
use mcr_core::delivery::{End, Record};
use mcr_core::work::{Work, WorkId};
use mcr_files::Folder;
use mcr_model::AccountId;
use mcr_model::clock::Millis;

/// Everything that the ledger knows, in the order in which it was first noted.
#[derive(Debug, Default)]
pub struct Read {
    /// The deliveries.
    pub tales: Vec<DeliveryHistory>,
    /// The rows that are not understood.
    pub unreadable: Vec<UnreadableRow>,
}

/// A delivery, as it is told.
#[derive(Debug)]
pub struct DeliveryHistory {
    /// Which.
    pub id: WorkId,
    /// Whose.
    pub account: AccountId,
    /// What is to be done.
    pub work: Arc<Work>,
    /// What has been done for it.
    pub record: Record,
    /// When it was first noted.
    pub first_seen: Millis,
    /// Until when it rests.
    pub not_before: Option<Millis>,
    /// When it ended.
    pub closed: Option<Millis>,
    /// How.
    pub end: Option<End>,
    /// Its steps.
    pub told: Vec<RecordedStep>,
    /// How many of them were left out in the middle.
    pub left_out: u64,
}

/// Checks and reads the ledger in this folder, whether or not a service is writing it; nothing where there is none.
pub fn read(folder: &Folder) -> Result<Read, LedgerError> {
    let promised = promised_in(folder);
    let found = database_in(folder).map_err(|why| LedgerError::File {
        path: folder.path().to_owned(),
        what: "read",
        why,
    })?;
    let mut read = Read::default();
    database::read_only(found.as_deref(), promised, |found| match found {
        Found::Whole(image) => match image.read() {
            Ok(row) => read.tales.push(tale(&image, row)),
            Err(unreadable) => read.unreadable.push(*unreadable),
        },
        Found::Damaged { row, .. } => read.unreadable.push(row),
    })?;
    Ok(read)
}

fn tale(image: &Image, row: LedgerRow) -> DeliveryHistory {
    let (told, left_out) = StepHistory::from_text(&image.story).tell();
    DeliveryHistory {
        id: WorkId::new(&*image.id),
        account: AccountId::new(&*image.account),
        work: Arc::new(row.work),
        record: row.record,
        first_seen: image.first_seen,
        not_before: image.not_before,
        closed: image.closed,
        end: row.end,
        told,
        left_out,
    }
}
