//! The last hour, minute by minute: what the totals have grown by.
//!
//! Nothing is counted here. Whoever passes a minute, or wants to see, brings the totals; what they have grown by since
//! the last time belongs to the minute that was then. Minutes are counted from the start of the process, so that a clock
//! that is set moves nothing. All of it takes 7 KiB.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::{Family, Metrics};
use mcr_core::delivery::End;
use mcr_core::delivery::delivery_stats::DeliveryStats;

/// So many minutes are kept, the one of now with them.
pub const MINUTES: usize = 60;

/// A minute.
pub const MINUTE: Duration = Duration::from_mins(1);

/// What is shown of each minute. `turns` are requests to the gateway: a turn that goes on with results of tools is one more.
pub const COUNTED: [&str; 15] = [
    "answered",
    "kept",
    "silent",
    "unanswered",
    "skipped",
    "gone",
    "stopped",
    "dead",
    "dropped",
    "failed",
    "turns",
    "tokensRead",
    "tokensWritten",
    "toolCalls",
    "toolFailures",
];

/// So much of each, in the order of [`COUNTED`].
pub type Totals = [u64; COUNTED.len()];

/// All that was counted since the start.
pub fn totals(metrics: &Metrics, stats: &DeliveryStats) -> Totals {
    let (_, usage) = metrics.usage();
    let turns = metrics.gateway.counts().filter(|(call, result, _)| *call == "turn" && *result != "closed");
    let tools = |wanted: &dyn Fn(&str) -> bool| -> u64 {
        let of = |family: &Family| -> u64 {
            family.counts().filter(|(_, result, _)| wanted(result)).map(|(.., count)| count).sum()
        };
        of(&metrics.turn_tools) + of(&metrics.http_tools)
    };
    let [answered, kept, silent, unanswered, skipped, gone, stopped, dead, dropped] =
        End::NAMES.map(|end| stats.of(end));
    [
        answered,
        kept,
        silent,
        unanswered,
        skipped,
        gone,
        stopped,
        dead,
        dropped,
        stats.failed,
        turns.map(|(.., count)| count).sum(),
        usage.input_tokens,
        usage.output_tokens,
        tools(&|_| true),
        tools(&|result| result != "ok"),
    ]
}

/// The minutes, oldest first; the last of them is now.
#[derive(Debug)]
pub struct Hour {
    /// The number of the last one.
    minute: u64,
    /// The totals as they were last brought.
    last: Totals,
    minutes: VecDeque<Totals>,
}

impl Default for Hour {
    fn default() -> Self {
        let mut minutes = VecDeque::with_capacity(MINUTES);
        minutes.push_back(Totals::default());
        Self { minute: 0, last: Totals::default(), minutes }
    }
}

impl Hour {
    /// So long after the start these are the totals.
    pub fn note(&mut self, up: Duration, totals: Totals) {
        let now = self.minutes.back_mut().expect("there is always the minute of now");
        for ((now, total), last) in now.iter_mut().zip(totals).zip(self.last) {
            *now += total.saturating_sub(last);
        }
        self.last = totals;
        let minute = up.as_secs() / MINUTE.as_secs();
        let passed = usize::try_from(minute.saturating_sub(self.minute)).unwrap_or(usize::MAX);
        for _ in 0..passed.min(MINUTES) {
            if self.minutes.len() == MINUTES {
                self.minutes.pop_front();
            }
            self.minutes.push_back(Totals::default());
        }
        self.minute = self.minute.max(minute);
    }

    /// What each figure has grown by in each minute that is known, oldest first.
    pub fn figures(&self) -> BTreeMap<&'static str, Vec<u64>> {
        let figures = COUNTED.iter().enumerate();
        figures
            .map(|(place, name)| (*name, self.minutes.iter().map(|minute| minute[place]).collect()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Via;
    use mcr_core::gateway::Usage;

    /// So many answers.
    fn answers(count: u64) -> Totals {
        let mut totals = Totals::default();
        totals[0] = count;
        totals
    }

    fn seen(hour: &Hour) -> Vec<u64> {
        hour.figures()["answered"].clone()
    }

    #[test]
    fn each_minute_has_what_was_counted_in_it() {
        let secs = Duration::from_secs;
        let mut hour = Hour::default();
        assert_eq!(seen(&hour), [0]);
        // Seconds after the start, the total then, and what is shown.
        let rows: [(u64, u64, &[u64]); 8] = [
            (10, 3, &[3]),
            (20, 5, &[5]),
            // What has come up to the end of the minute belongs to it.
            (60, 6, &[6, 0]),
            (61, 6, &[6, 0]),
            (119, 10, &[6, 4]),
            (120, 10, &[6, 4, 0]),
            // Minutes that nobody noted are there, and empty.
            (305, 11, &[6, 4, 1, 0, 0, 0]),
            // Time does not run backwards.
            (100, 12, &[6, 4, 1, 0, 0, 1]),
        ];
        for (up, total, expected) in rows {
            hour.note(secs(up), answers(total));
            assert_eq!(seen(&hour), expected, "after {up} s");
        }
    }

    #[test]
    fn only_the_last_hour_is_kept_whatever_happens() {
        let mut hour = Hour::default();
        for minute in 0..150 {
            hour.note(MINUTE * minute, answers(u64::from(minute)));
        }
        // The minute of now has just begun; the one before ended with it.
        let expected: Vec<u64> = std::iter::repeat_n(1, MINUTES - 1).chain([0]).collect();
        assert_eq!(seen(&hour), expected);
        hour.note(Duration::from_hours(24 * 365), answers(200));
        assert_eq!(seen(&hour), vec![0; MINUTES]);
        hour.note(Duration::MAX, answers(7));
        assert_eq!((seen(&hour), hour.minutes.capacity()), (vec![0; MINUTES], MINUTES));
    }

    #[test]
    fn every_figure_comes_from_where_it_is_counted() {
        let metrics = Metrics::new([]);
        let mut stats = DeliveryStats::default();
        let took = Duration::ZERO;
        metrics.gateway.record("turn", "ok", took);
        metrics.gateway.record("turn", "lost", took);
        metrics.gateway.record("turn", "closed", took);
        metrics.gateway.record("probe", "ok", took);
        metrics.spent(Usage { input_tokens: 70, output_tokens: 7, ..Usage::default() });
        metrics.tool(Via::Turn, "task_status", None, took);
        metrics.http_tools.record("task_status", "invalid", took);
        stats.ended.insert(End::Gone.name(), 4);
        stats.failed = 9;
        let mut hour = Hour::default();
        hour.note(took, totals(&metrics, &stats));
        let figures = hour.figures();
        let shown: Vec<_> =
            COUNTED.iter().map(|name| (*name, figures[name][0])).filter(|(_, count)| *count > 0).collect();
        let expected = [
            ("gone", 4),
            ("failed", 9),
            ("turns", 2),
            ("tokensRead", 70),
            ("tokensWritten", 7),
            ("toolCalls", 2),
            ("toolFailures", 1),
        ];
        assert_eq!(shown, expected);
        assert_eq!(COUNTED[..End::NAMES.len()], End::NAMES);
    }
}
