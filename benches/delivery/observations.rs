//! The records of the doubles, and the messages between them and the benchmark.
//!
//! All times are microseconds of the doubles' monotonic clock; 0 means "never".

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The reason of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Kind {
    Mention,
    Assignment,
    ThreadUpdate,
}

impl Kind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Mention => "mention",
            Self::Assignment => "assignment",
            Self::ThreadUpdate => "thread_update",
        }
    }
}

/// Rows to create now, distributed over this many tasks.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Load {
    pub(crate) kind: Kind,
    pub(crate) count: usize,
    pub(crate) first_task: usize,
    pub(crate) tasks: usize,
    /// How often the answer to such a row mentions the next agent.
    pub(crate) hops: usize,
}

impl Load {
    /// Mentions over the tasks from 0 on.
    pub(crate) fn mentions(count: usize, tasks: usize) -> Self {
        Self { kind: Kind::Mention, count, first_task: 0, tasks, hops: 0 }
    }
}

/// The duration of a turn.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Pace {
    pub(crate) millis: u64,
    /// A task with another duration.
    pub(crate) slow: Option<(usize, u64)>,
}

/// The goals to wait for: the first one reached ends the wait.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Goal {
    /// Rows settled since the last reset.
    pub(crate) delivered: usize,
    /// Turns in flight.
    pub(crate) in_flight: usize,
    /// The maximum wait.
    pub(crate) millis: u64,
}

/// The progress.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct ProcessState {
    pub(crate) delivered: usize,
    pub(crate) in_flight: usize,
}

/// The timestamps of one row.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) task: usize,
    pub(crate) created: u64,
    /// Its turn: the request has arrived, and the model is done.
    pub(crate) turn: u64,
    pub(crate) done: u64,
    /// Its answer is in the thread.
    pub(crate) stored: u64,
    pub(crate) delivered: u64,
}

/// Everything since the last reset.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Observations {
    pub(crate) rows: Vec<Entry>,
    /// Backend calls by function.
    pub(crate) calls: BTreeMap<String, usize>,
    /// The total bytes of the lists.
    pub(crate) list_bytes: usize,
    pub(crate) turns: usize,
    /// The total bytes of the requests for them.
    pub(crate) turn_bytes: usize,
    pub(crate) in_flight_max: usize,
    /// Must be 1.
    pub(crate) in_flight_of_a_session_max: usize,
    /// Irregularities: a sentence, and how often.
    pub(crate) odd: BTreeMap<String, usize>,
}

/// The runtime's periodic calls, independent of deliveries.
const NO_DELIVERY: [&str; 6] = [
    "updateRuntimeStatus",
    "checkAndClearRestartRequested",
    "getPendingUpgrade",
    "listAgents",
    "listAgentsForRuntime",
    "getOrchestratorAgentId",
];

impl Observations {
    /// Backend calls per settled row.
    pub(crate) fn calls_per_delivery(&self) -> f64 {
        let calls = self.calls.iter().filter(|(name, _)| !NO_DELIVERY.contains(&name.as_str()));
        ratio(calls.map(|(_, count)| count).sum(), self.delivered())
    }

    /// The number of lists.
    pub(crate) fn lists(&self) -> u32 {
        let lists = self.calls.get("listUndeliveredNotifications").copied().unwrap_or_default();
        u32::try_from(lists).unwrap_or(u32::MAX)
    }

    pub(crate) fn delivered(&self) -> usize {
        self.rows.iter().filter(|row| row.delivered > 0).count()
    }

    /// Seconds from the creation of the first row to the settlement of the last one.
    pub(crate) fn elapsed(&self) -> f64 {
        let first = self.rows.iter().map(|row| row.created).min().unwrap_or_default();
        let last = self.rows.iter().map(|row| row.delivered).max().unwrap_or_default();
        seconds(last.saturating_sub(first))
    }

    /// Everything that cannot occur in a correct run.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let mut found: Vec<String> =
            self.odd.iter().map(|(what, count)| format!("{what}: {count}")).collect();
        if self.in_flight_of_a_session_max > 1 {
            found.push(format!("{} turns at once in one session", self.in_flight_of_a_session_max));
        }
        if self.turns > self.rows.len() {
            found.push(format!("{} turns for {} rows", self.turns, self.rows.len()));
        }
        found
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts and times here are far below 2^53")]
pub(crate) fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

#[allow(clippy::cast_precision_loss, reason = "counts and times here are far below 2^53")]
pub(crate) fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}
