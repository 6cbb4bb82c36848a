//! The parts of `/health` about the ledger and its disk.

use serde::Serialize;

/// The state of the ledger.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LedgerHealth {
    /// Why the ledger is off, if so: then no delivery survives a crash.
    pub off: Option<String>,
    /// Whether no new work starts because the ledger is off.
    pub holds: bool,
    /// Why `STATE_DIR` no longer leads to the ledger, if so: then no new work starts either.
    pub displaced: Option<String>,
    /// Deliveries that have not ended.
    pub open: usize,
    /// Notes written since the start.
    pub notes: u64,
    /// Transactions since the start.
    pub commits: u64,
    /// Transactions that a caller waited for.
    pub synced: u64,
}

/// The disk of the ledger.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiskHealth {
    /// The free space for this process, in bytes; none if unknown.
    pub free_bytes: Option<u64>,
}
