//! The last hour, minute by minute: by how much each total grew.
//!
//! This module does not count. A caller passes the totals at each new minute and before each read. Their growth since
//! the call before belongs to the minute of that call. Minutes start with the process, so a change of the system's
//! clock does not shift them. The data takes 7 KiB.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::{Family, Metrics};
use mcr_core::delivery::End;
use mcr_core::delivery::delivery_stats::DeliveryStats;

/// How many minutes are kept, with the current one.
pub const MINUTES: usize = 60;

/// The length of one entry.
pub const MINUTE: Duration = Duration::from_mins(1);

/// How many ends of deliveries are counted. The last name is that of heartbeats, which are counted apart.
const ENDS: usize = End::NAMES.len() - 1;

/// The figures besides the ends. `turns` counts requests to the gateway: each round of tool results is one more.
const OTHERS: [&str; 6] = ["failed", "turns", "tokensRead", "tokensWritten", "toolCalls", "toolFailures"];

/// The figures of each minute: the ends of deliveries, then the others.
pub const COUNTED: [&str; ENDS + OTHERS.len()] = {
    let mut names = [""; ENDS + OTHERS.len()];
    let mut place = 0;
    while place < names.len() {
        names[place] = if place < ENDS { End::NAMES[place] } else { OTHERS[place - ENDS] };
        place += 1;
    }
    names
};

/// One value for each figure, in the order of [`COUNTED`].
pub type Totals = [u64; COUNTED.len()];

/// The totals since the start of the process.
pub fn totals(metrics: &Metrics, stats: &DeliveryStats) -> Totals {
    let (_, usage) = metrics.usage();
    let turns = metrics.gateway.counts().filter(|(call, result, _)| *call == "turn" && *result != "closed");
    let tools = |wanted: &dyn Fn(&str) -> bool| -> u64 {
        let of = |family: &Family| -> u64 {
            family.counts().filter(|(_, result, _)| wanted(result)).map(|(.., count)| count).sum()
        };
        of(&metrics.turn_tools) + of(&metrics.http_tools)
    };
    let others = [
        stats.failed,
        turns.map(|(.., count)| count).sum(),
        usage.input_tokens,
        usage.output_tokens,
        tools(&|_| true),
        tools(&|result| result != "ok"),
    ];
    let mut totals = Totals::default();
    let (ends, rest) = totals.split_at_mut(ENDS);
    ends.copy_from_slice(&End::NAMES.map(|end| stats.of(end))[..ENDS]);
    rest.copy_from_slice(&others);
    totals
}

/// The minutes, oldest first; the last is the current one.
#[derive(Debug)]
pub struct Hour {
    /// The number of the current minute.
    minute: u64,
    /// The totals of the last call of [`Hour::note`].
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
    /// Records the totals at this time after the start.
    pub fn note(&mut self, up: Duration, totals: Totals) {
        let now = self.minutes.back_mut().expect("the current minute always has an entry");
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

    /// By how much each figure grew in each known minute, oldest first.
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

    /// Totals with this number of answers.
    fn answers(count: u64) -> Totals {
        let mut totals = Totals::default();
        totals[0] = count;
        totals
    }

    fn seen(hour: &Hour) -> Vec<u64> {
        hour.figures()["answered"].clone()
    }

    #[test]
    fn growth_belongs_to_the_minute_in_which_it_was_counted() {
        let secs = Duration::from_secs;
        let mut hour = Hour::default();
        assert_eq!(seen(&hour), [0]);
        // Seconds after the start, the total at that time, and the expected figures.
        let rows: [(u64, u64, &[u64]); 8] = [
            (10, 3, &[3]),
            (20, 5, &[5]),
            // Growth up to the end of a minute belongs to that minute.
            (60, 6, &[6, 0]),
            (61, 6, &[6, 0]),
            (119, 10, &[6, 4]),
            (120, 10, &[6, 4, 0]),
            // Minutes without a call have an empty entry.
            (305, 11, &[6, 4, 1, 0, 0, 0]),
            // An earlier time adds to the current minute.
            (100, 12, &[6, 4, 1, 0, 0, 1]),
        ];
        for (up, total, expected) in rows {
            hour.note(secs(up), answers(total));
            assert_eq!(seen(&hour), expected, "after {up} s");
        }
    }

    #[test]
    fn keeps_only_the_last_hour() {
        let mut hour = Hour::default();
        for minute in 0..150 {
            hour.note(MINUTE * minute, answers(u64::from(minute)));
        }
        // The current minute has just started, so it is empty.
        let expected: Vec<u64> = std::iter::repeat_n(1, MINUTES - 1).chain([0]).collect();
        assert_eq!(seen(&hour), expected);
        hour.note(Duration::from_hours(24 * 365), answers(200));
        assert_eq!(seen(&hour), vec![0; MINUTES]);
        hour.note(Duration::MAX, answers(7));
        assert_eq!((seen(&hour), hour.minutes.capacity()), (vec![0; MINUTES], MINUTES));
    }

    #[test]
    fn each_figure_reads_its_own_counter() {
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
        assert_eq!(End::NAMES[ENDS], "missed", "the last end is that of heartbeats");
    }
}
