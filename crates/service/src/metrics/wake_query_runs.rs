//! The runs of the wake query, which the platform counts as calls of the backend.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The calls of this runtime after which the query runs again while it is subscribed: they change the account, whose token
/// it checks, or the newest row. A value that changes is counted when it arrives.
const CAUSES: [&str; 3] = ["updateRuntimeStatus", "markNotificationRead", "markNotificationDeliveryEnded"];

/// An estimate: the runs that this runtime has caused or seen.
#[derive(Debug, Default)]
pub struct WakeQueryRuns {
    is_subscribed: AtomicBool,
    runs: AtomicU64,
}

impl WakeQueryRuns {
    /// The query has a new value, so it is subscribed and has run.
    pub fn record_value(&self) {
        self.is_subscribed.store(true, Ordering::Relaxed);
        self.runs.fetch_add(1, Ordering::Relaxed);
    }

    /// The subscription has ended.
    pub fn record_end(&self) {
        self.is_subscribed.store(false, Ordering::Relaxed);
    }

    /// This runtime has called a function.
    pub fn record_call(&self, function: &str) {
        if CAUSES.contains(&function) && self.is_subscribed.load(Ordering::Relaxed) {
            self.runs.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The number of runs.
    pub fn total(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_own_writes_count_while_the_query_is_subscribed() {
        let runs = WakeQueryRuns::default();
        runs.record_call("updateRuntimeStatus");
        assert_eq!(runs.total(), 0, "not subscribed");
        runs.record_value();
        for function in CAUSES {
            runs.record_call(function);
        }
        runs.record_call("listUndeliveredNotifications");
        assert_eq!(runs.total(), 4);
        runs.record_end();
        runs.record_call("updateRuntimeStatus");
        assert_eq!(runs.total(), 4);
    }
}
