//! The operations that the old runtime counts (http-and-tools §3.3), by name.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use mcr_model::clock::Millis;

/// The names. All other operations are counted in a [`Family`](super::Family).
pub const OPERATIONS: [&str; 7] = [
    "agent.document",
    "agent.task_create",
    "agent.task_status",
    "agent.task_update",
    "agent_sync.run",
    "delivery.poll",
    "heartbeat.execute",
];

/// The counts of one operation; durations are in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// How often it ran.
    pub count: u64,
    /// How often it succeeded.
    pub success_count: u64,
    /// How often it failed.
    pub failure_count: u64,
    /// The sum of all durations.
    pub total_duration_ms: f64,
    /// The shortest duration; 0 before the first.
    pub min_duration_ms: f64,
    /// The longest duration.
    pub max_duration_ms: f64,
    /// The last error, redacted.
    pub last_error: Option<String>,
    /// The time of the last error.
    pub last_error_at: Option<Millis>,
}

impl Operation {
    /// The share of successes; 0 before the first operation.
    pub fn success_rate(&self) -> f64 {
        ratio(self.success_count, self.count)
    }

    /// The average duration; 0 before the first operation.
    pub fn average_ms(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.total_duration_ms / precise(self.count) }
    }

    fn add(&mut self, took: Duration, failed: Option<(String, Millis)>) {
        let millis = took.as_secs_f64() * 1e3;
        self.min_duration_ms = if self.count == 0 { millis } else { self.min_duration_ms.min(millis) };
        self.max_duration_ms = self.max_duration_ms.max(millis);
        self.total_duration_ms += millis;
        self.count += 1;
        match failed {
            None => self.success_count += 1,
            Some((why, at)) => {
                self.failure_count += 1;
                (self.last_error, self.last_error_at) = (Some(why), Some(at));
            }
        }
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { precise(part) / precise(whole) }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn precise(count: u64) -> f64 {
    count as f64
}

/// All operations, in the order of [`OPERATIONS`].
#[derive(Debug, Default)]
pub(super) struct Operations([Mutex<Operation>; OPERATIONS.len()]);

impl Operations {
    /// Counts one operation and its error, if any. Unknown names are ignored.
    pub(super) fn record(&self, name: &str, took: Duration, failed: Option<(String, Millis)>) {
        if let Some(place) = OPERATIONS.iter().position(|known| *known == name) {
            self.0[place].lock().unwrap_or_else(PoisonError::into_inner).add(took, failed);
        }
    }

    pub(super) fn read(&self) -> Vec<(&'static str, Operation)> {
        let all = OPERATIONS.iter().zip(&self.0);
        all.map(|(name, one)| (*name, one.lock().unwrap_or_else(PoisonError::into_inner).clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_and_extremes_start_with_the_first_duration() {
        let all = Operations::default();
        let of =
            |all: &Operations| all.read().into_iter().find(|(name, _)| *name == "delivery.poll").unwrap().1;
        assert_eq!((of(&all).average_ms(), of(&all).success_rate()), (0.0, 0.0));
        all.record("delivery.poll", Duration::from_millis(30), None);
        all.record("delivery.poll", Duration::from_millis(10), Some(("why".to_owned(), Millis(7))));
        all.record("unheard.of", Duration::from_millis(10), None);
        let poll = of(&all);
        assert_eq!((poll.count, poll.success_count, poll.failure_count), (2, 1, 1));
        assert_eq!((poll.min_duration_ms, poll.max_duration_ms, poll.average_ms()), (10.0, 30.0, 20.0));
        assert_eq!((poll.last_error.as_deref(), poll.last_error_at), (Some("why"), Some(Millis(7))));
        assert!((poll.success_rate() - 0.5).abs() < 1e-9);
        assert_eq!(all.read().iter().map(|(_, one)| one.count).sum::<u64>(), 2);
    }
}
