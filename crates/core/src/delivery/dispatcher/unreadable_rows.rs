//! Rows of the ledger that this version does not understand: decides whether the dispatcher accepts their work, and
//! which tracks wait behind them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::delivery::ledger_row::UnreadableRow;
use crate::delivery::{End, Notice, Record, Stage, thread_notices};
use crate::unreadable::Unreadable;
use crate::work::{Source, Track, Work, WorkId};

/// The answer to a source that offers the work of such a row.
#[derive(Debug)]
pub(super) enum UnreadableAdmission {
    /// The row is left untouched.
    Refused,
    /// The row is damaged, or has ended without its mark: the work is queued with this record, so that it ends or is
    /// marked.
    Ends(Box<Record>),
}

/// The rows of the ledger that are not understood.
#[derive(Debug, Default)]
pub(super) struct UnreadableRows {
    rows: HashMap<WorkId, UnreadableRow>,
    /// The sentences about the open rows for `/health`.
    sentences: Arc<[String]>,
}

impl UnreadableRows {
    /// Takes over the unreadable rows of the ledger.
    pub(super) fn new(rows: Vec<UnreadableRow>) -> Self {
        let rows = rows.into_iter().map(|row| (row.id.clone(), row)).collect();
        let mut unreadable = Self { rows, ..Self::default() };
        unreadable.put_into_words();
        unreadable
    }

    fn put_into_words(&mut self) {
        let mut open: Vec<&UnreadableRow> = self.rows.values().filter(|row| row.is_open()).collect();
        open.sort_by_key(|row| &row.id);
        self.sentences = open.iter().map(|row| format!("{} {}", row.explain(), row.advice())).collect();
    }

    /// The tracks that wait, each with the row that it waits for.
    pub(super) fn blocked_tracks(&self) -> Vec<(Track, WorkId)> {
        let tracks = |row: &UnreadableRow| {
            let id = row.id.clone();
            row.blocked_tracks().into_iter().map(move |track| (track, id.clone()))
        };
        self.rows.values().flat_map(tracks).collect()
    }

    /// Explains the open rows and what to do about them, in sentences.
    pub(super) fn sentences(&self) -> Arc<[String]> {
        self.sentences.clone()
    }

    /// Decides about work that a source offers. `None` if its row is understood.
    pub(super) fn admit(&mut self, work: &Work) -> Option<UnreadableAdmission> {
        let row = self.rows.get(&work.id)?;
        let Unreadable::Damaged(what) = &row.why else {
            // A list still shows the row, so its mark is missing. The mark's retry records nothing, and the row stays
            // known, so that no later list starts its work.
            let is_shown = !row.is_open() && work.source() == Source::Listed;
            let end = row.end.clone().filter(|end| is_shown && end.is_marked());
            return Some(end.map_or(UnreadableAdmission::Refused, |end| {
                UnreadableAdmission::Ends(Box::new(Record::closed(end)))
            }));
        };
        let dead =
            End::Dead(format!("its row in the ledger is damaged ({what}): what was done is not known"));
        let record = match (row.is_open(), &row.end) {
            (true, _) => {
                let line = work.notification().and_then(thread_notices::of_damage);
                let stage = match line {
                    Some(line) => Stage::Notice(Notice::new(line, dead)),
                    None => Stage::Ended(dead),
                };
                Record { stage, ..Record::default() }
            }
            (false, end) => Record::closed(end.clone().unwrap_or(dead)),
        };
        self.remove(&work.id.clone());
        Some(UnreadableAdmission::Ends(Box::new(record)))
    }

    /// Whether an open row has this id.
    pub(super) fn has_open(&self, id: &WorkId) -> bool {
        self.rows.get(id).is_some_and(UnreadableRow::is_open)
    }

    /// Removes a row, because a person has closed it or its work is queued to end.
    pub(super) fn remove(&mut self, id: &WorkId) {
        self.rows.remove(id);
        self.put_into_words();
    }
}
