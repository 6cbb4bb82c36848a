//! What only a newer version knows of a row, so that an older one writes it again.

use std::sync::Arc;

use mcr_core::delivery::UnknownFields;
use mcr_core::delivery::ledger_row::LedgerRow;
use mcr_core::work::Work;

/// What only a newer version knows of a row: fields of its work, and fields beside its record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RowExtra {
    work: UnknownFields,
    record: UnknownFields,
}

impl RowExtra {
    /// Of a row as it was read.
    pub(super) fn of(row: &LedgerRow) -> Self {
        Self { work: row.work.extra.clone(), record: row.extra.clone() }
    }

    /// Work and record with these fields. The work may have them already, the record has not.
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
        // What was written as the JSON of work is read as such.
        (with_fields.map_or_else(|| row.clone(), Arc::from), record)
    }

    /// Whether nothing stands beside the record.
    pub(super) fn is_of_work_alone(&self) -> bool {
        self.record.is_empty()
    }
}
