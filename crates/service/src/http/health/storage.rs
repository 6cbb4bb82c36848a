//! What `/health` says of the ledger and its disk.

use serde::Serialize;

/// What survives a crash.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LedgerHealth {
    /// Why nothing does, if so.
    pub off: Option<String>,
    /// Whether nothing new begins because of that.
    pub holds: bool,
    /// Why `STATE_DIR` no longer leads to it, if so: then nothing new begins, either.
    pub displaced: Option<String>,
    /// Deliveries that are not over.
    pub open: usize,
    /// Notes taken since the start.
    pub notes: u64,
    /// Transactions.
    pub commits: u64,
    /// Those that somebody waited for.
    pub synced: u64,
}

/// The disk that the ledger lies on.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiskHealth {
    /// What is free for us, in bytes; none if the system does not say.
    pub free_bytes: Option<u64>,
}
