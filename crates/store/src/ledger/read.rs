//! Reading the ledger beside the service that writes it: for `why`, `dead list`, and tests.

use std::sync::Arc;

use super::Unreadable;
use super::database;
use super::entry::{Found, Image};
use super::error::LedgerError;
use super::location::{database_in, promised_in};
use super::step_history::tell;
use mcr_core::delivery::journal::RecordedStep;
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
    /// Those that are damaged.
    pub damaged: Vec<Unreadable>,
    /// Those that only a newer version understands.
    pub newer: Vec<Unreadable>,
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
    /// How, if that is understood.
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
        Found::Whole(image) => match tale(&image) {
            Ok(tale) => read.tales.push(tale),
            Err(what) => read.newer.push(Unreadable { id: WorkId::new(image.id), what }),
        },
        Found::Damaged { id, what, .. } => {
            read.damaged.push(Unreadable { id: WorkId::new(id), what });
        }
    })?;
    Ok(read)
}

fn tale(image: &Image) -> Result<DeliveryHistory, String> {
    let (told, left_out) = tell(&image.story);
    Ok(DeliveryHistory {
        id: WorkId::new(&*image.id),
        account: AccountId::new(&*image.account),
        work: Arc::new(image.work()?),
        record: image.record()?,
        first_seen: image.first_seen,
        not_before: image.not_before,
        closed: image.closed,
        end: image.end(),
        told,
        left_out,
    })
}
