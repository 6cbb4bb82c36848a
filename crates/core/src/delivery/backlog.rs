//! The backlog: the rows that wait while Mission Control has more of them than a list shows.
//!
//! How many rows follow is not known. So the backlog is the number of known rows, and the estimate is the time that these
//! take at the present pace.

use std::collections::VecDeque;
use std::time::Duration;

use mcr_model::clock::Millis;

/// The length of one count.
const STEP: Duration = Duration::from_secs(10);

/// How many counts the pace is taken from: five minutes.
const STEPS: usize = 30;

/// The rows that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// The known rows; more follow behind them.
    pub rows: usize,
    /// How long they take at the pace of the last minutes. `None` if no row was settled in that time.
    pub estimate: Option<Duration>,
}

/// How many rows were settled lately.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The beginning of each step, and the rows settled in it.
    steps: VecDeque<(Millis, u32)>,
}

impl Pace {
    /// A row is settled.
    pub(super) fn settles(&mut self, now: Millis) {
        match self.steps.back_mut() {
            Some((began, count)) if now.since(*began) < STEP => *count += 1,
            Some(_) | None => self.steps.push_back((now, 1)),
        }
        if self.steps.len() > STEPS {
            self.steps.pop_front();
        }
    }

    /// The backlog of this many rows.
    pub(super) fn backlog(&self, rows: usize, now: Millis) -> Backlog {
        let lately = STEP * u32::try_from(STEPS).unwrap_or(u32::MAX);
        let counted = || self.steps.iter().filter(|(began, _)| now.since(*began) < lately);
        let settled: u32 = counted().map(|(_, count)| count).sum();
        let since = counted().next().map_or(now, |(began, _)| *began);
        let rows_left = u32::try_from(rows).unwrap_or(u32::MAX);
        let span = now.since(since).max(STEP);
        let estimate = (settled > 0).then(|| span.mul_f64(f64::from(rows_left) / f64::from(settled)));
        Backlog { rows, estimate }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_follows_the_pace_of_the_last_minutes() {
        let mut pace = Pace::default();
        let seconds = |n: i64| Millis(n * 1000);
        assert_eq!(pace.backlog(500, seconds(0)), Backlog { rows: 500, estimate: None });
        for second in 0..60 {
            for _ in 0..5 {
                pace.settles(seconds(second));
            }
        }
        let backlog = pace.backlog(500, seconds(60));
        assert_eq!(backlog.estimate, Some(Duration::from_secs(100)));
        assert_eq!(pace.backlog(500, seconds(1_000)).estimate, None, "nothing was settled lately");
    }

    #[test]
    fn a_pace_over_hours_keeps_a_bounded_number_of_counts() {
        let mut pace = Pace::default();
        for second in 0..20_000 {
            pace.settles(Millis(second * 1000));
        }
        assert_eq!(pace.steps.len(), STEPS);
    }
}
