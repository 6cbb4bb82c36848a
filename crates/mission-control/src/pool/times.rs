//! The times of the queue (worker-pool C.1). The defaults are those of the original.

use mcr_model::clock::Millis;

/// How long leases, workers, snapshots and attachments last, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolTimes {
    /// How long a lease lasts without a heartbeat.
    pub lease: u32,
    /// The silence after which a worker is stale.
    pub stale: u32,
    /// The time without a message after which a worker must stop.
    pub idle: u32,
    /// How long a worker may drain before its row is closed without a snapshot (F.23).
    pub drain: u32,
}

impl Default for PoolTimes {
    fn default() -> Self {
        Self { lease: 360_000, stale: 420_000, idle: 1_800_000, drain: 900_000 }
    }
}

/// How long snapshots are kept, and attachments by default.
pub(super) const KEPT_MS: f64 = 7.0 * 24.0 * 3_600_000.0;

/// A time of the database as a whole number.
pub(super) fn millis(at: f64) -> Millis {
    #[expect(clippy::cast_possible_truncation, reason = "times are far below 2^53")]
    Millis(at as i64)
}

/// A whole number as a time of the database.
pub(super) fn time(at: Millis) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "times are far below 2^53")]
    let time = at.0 as f64;
    time
}
