//! The counts of the last hour of this process.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use mcr_core::delivery::delivery_stats::DeliveryStats;
use mcr_service::delivery::service::View;
use mcr_service::metrics::Metrics;
use mcr_service::metrics::hour::{Hour, MINUTE, totals};

/// The counts of each minute.
pub(super) struct LastHour {
    began: Instant,
    hour: Mutex<Hour>,
}

impl Default for LastHour {
    fn default() -> Self {
        Self { began: Instant::now(), hour: Mutex::default() }
    }
}

impl LastHour {
    /// Notes the counts until now. Returns each figure, minute by minute.
    pub(super) fn note(&self, metrics: &Metrics, view: Option<&View>) -> BTreeMap<&'static str, Vec<u64>> {
        // Locked first: a later caller must not bring older totals.
        let mut hour = self.hour.lock().unwrap_or_else(PoisonError::into_inner);
        let stats = view.map_or_else(DeliveryStats::default, |view| view.state().stats);
        hour.note(self.began.elapsed(), totals(metrics, &stats));
        hour.figures()
    }

    /// How long the current minute still lasts.
    pub(super) fn rest(&self) -> Duration {
        let into = self.began.elapsed().as_millis() % MINUTE.as_millis();
        MINUTE.saturating_sub(Duration::from_millis(u64::try_from(into).unwrap_or_default()))
    }
}
