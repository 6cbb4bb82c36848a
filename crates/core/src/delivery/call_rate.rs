//! Compares the calls of the backend with the number that an operator intends for a month.
//!
//! The process may make its calls unevenly: at any time it has a day's share to spend at once, and earns more at the
//! monthly rate. A process that has spent its share makes only the calls that cannot wait.

use std::time::Duration;

use mcr_model::clock::Millis;

/// The length of a month.
const MONTH: Duration = Duration::from_hours(30 * 24);

/// The part of a month's calls that may be made at once.
const SHARES: u64 = 30;

/// The part of the share that ends a limit.
const REGAINED: f64 = 0.1;

/// The calls of this process, compared with the monthly rate.
#[derive(Debug)]
pub(super) struct CallRate {
    monthly: u64,
    /// The calls at the time of the last comparison.
    calls: u64,
    /// The calls that may still be made at once.
    left: f64,
    since: Millis,
    is_exceeded: bool,
}

impl CallRate {
    /// A rate of which nothing is spent.
    pub(super) fn new(monthly: u64, now: Millis) -> Self {
        Self { monthly, calls: 0, left: share(monthly), since: now, is_exceeded: false }
    }

    /// Whether a process with this many calls has spent its share. This ends when it has earned a part of it again.
    pub(super) fn is_exceeded(&mut self, calls: u64, now: Millis) -> bool {
        let share = share(self.monthly);
        let earned = now.since(self.since).as_secs_f64() / MONTH.as_secs_f64() * as_f64(self.monthly);
        let spent = as_f64(calls.saturating_sub(self.calls));
        // There is no debt: the calls that cannot wait have limits of their own.
        self.left = (self.left + earned - spent).clamp(0.0, share);
        (self.calls, self.since) = (calls, now);
        self.is_exceeded = self.left <= 0.0 || self.is_exceeded && self.left < share * REGAINED;
        self.is_exceeded
    }
}

fn share(monthly: u64) -> f64 {
    as_f64(monthly.div_ceil(SHARES))
}

#[expect(clippy::cast_precision_loss, reason = "a rate needs no exact count")]
fn as_f64(calls: u64) -> f64 {
    calls as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 900,000 calls a month are 30,000 a day, and one each 2.88 s.
    #[test]
    fn a_day_s_share_may_be_spent_at_once_and_then_the_monthly_rate_holds() {
        let mut rate = CallRate::new(900_000, Millis(0));
        assert!(!rate.is_exceeded(29_999, Millis(0)));
        assert!(rate.is_exceeded(30_000, Millis(0)));
        assert!(rate.is_exceeded(30_001, Millis(2_880)), "earned and spent");
        assert!(rate.is_exceeded(30_001, Millis(2_880 * 2_999)), "a tenth of the share is missing one call");
        assert!(!rate.is_exceeded(30_001, Millis(2_880 * 3_002)));
        assert!(
            !rate.is_exceeded(32_900, Millis(2_880 * 3_002)),
            "the limit has ended until all is spent again"
        );
        assert!(rate.is_exceeded(33_100, Millis(2_880 * 3_002)));
    }

    /// Over a month of the fastest lists, the number that an operator intends is exceeded by a day's share at most.
    #[test]
    fn a_month_of_fast_lists_stays_near_the_intended_number() {
        let (mut rate, mut calls, mut at) = (CallRate::new(900_000, Millis(0)), 0, Millis(0));
        while at.0 < 30 * 86_400_000 {
            let is_exceeded = rate.is_exceeded(calls, at);
            calls += 1;
            at = at + Duration::from_millis(if is_exceeded { 5_000 } else { 250 });
        }
        assert!((850_000..=930_001).contains(&calls), "{calls}");
    }

    #[test]
    fn a_clock_that_goes_back_and_absurd_counts_are_harmless() {
        let mut rate = CallRate::new(1, Millis(1_000));
        assert!(!rate.is_exceeded(0, Millis(0)));
        assert!(rate.is_exceeded(u64::MAX, Millis(1_000)));
        assert!(!rate.is_exceeded(0, Millis(i64::MAX)));
    }
}
