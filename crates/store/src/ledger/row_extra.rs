//! The fields of a row that only a newer version knows, kept so that an older version writes them again.

use std::sync::Arc;

use mcr_core::delivery::UnknownFields;
use mcr_core::delivery::ledger_row::LedgerRow;
use mcr_core::work::Work;

/// The fields of a row that only a newer version knows: in its work, and next to its record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RowExtra {
    work: UnknownFields,
    record: UnknownFields,
}

impl RowExtra {
    /// The unknown fields of a row that was read.
    pub(super) fn of(row: &LedgerRow) -> Self {
        Self { work: row.work.extra.clone(), record: row.extra.clone() }
    }

    /// Adds these fields to the work and the record. The work may already have them; the record does not.
    pub(super) fn added_to(&self, row: &Arc<str>, record: &Arc<str>) -> (Arc<str>, Arc<str>) {
        let record = if self.record.is_empty() {
            record.clone()
        } else {
            self.record.append_to(record.to_string()).into()
        };
        if self.work.is_empty() {
            return (row.clone(), record);
        }
        let with_fields = Work::from_json(row).ok().and_then(|mut work| {
            work.extra.add(self.work.clone());
            work.to_json().ok()
        });
        // Never falls back: the row was written as the JSON of work, so it parses.
        (with_fields.map_or_else(|| row.clone(), Arc::from), record)
    }

    /// Whether there are no unknown fields next to the record.
    pub(super) fn is_of_work_alone(&self) -> bool {
        self.record.is_empty()
    }
}
