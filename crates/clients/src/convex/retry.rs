//! Decides when to retry a failed attempt and when to give up. Pure: the time left and the dice are
//! arguments.
//!
//! `Finding::may_be_repeated` decides what may be retried at all. Attempts are not counted; the caller's
//! deadline is the limit.

use std::time::Duration;

use super::error::{CallReason, Pace};

/// How attempts are spaced.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The longest pause after the first attempt. It doubles with each attempt.
    pub first: Duration,
    /// The longest pause after any attempt.
    pub most: Duration,
    /// The shortest pause after an overload.
    pub overload: Duration,
    /// The shortest time an attempt needs: with less left, none starts, because it would hardly succeed.
    pub shortest_attempt: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            most: Duration::from_secs(15),
            overload: Duration::from_secs(3),
            shortest_attempt: Duration::from_millis(250),
        }
    }
}

impl Backoff {
    /// Makes one attempt only.
    pub fn never() -> Self {
        Self {
            first: Duration::MAX,
            most: Duration::MAX,
            overload: Duration::MAX,
            shortest_attempt: Duration::MAX,
        }
    }
}

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Retry after this pause.
    Wait(Duration),
    /// Return the error to the caller.
    GiveUp,
}

impl Backoff {
    /// What to do after the `attempt`-th attempt (from 1) failed, with `left` of the deadline. `dice` is from
    /// 0 to 1. It spreads the pause over the whole span, so that callers that failed together do not return
    /// together.
    pub(super) fn next(&self, attempt: u32, why: CallReason, left: Duration, dice: f64) -> Next {
        if why == CallReason::Stopped {
            return Next::GiveUp;
        }
        let least = match why.pace() {
            Pace::Soon => Duration::ZERO,
            Pace::Slowly => self.overload,
            Pace::Minutes => return Next::GiveUp,
        };
        // 2^32 half seconds exceed any limit. More doublings would only overflow.
        let doublings = attempt.saturating_sub(1).min(31);
        let span = self.first.saturating_mul(1 << doublings).min(self.most);
        let share =
            Duration::try_from_secs_f64(span.as_secs_f64() * dice.clamp(0.0, 1.0)).unwrap_or(Duration::MAX);
        let pause = least.saturating_add(share);
        if pause.saturating_add(self.shortest_attempt) > left { Next::GiveUp } else { Next::Wait(pause) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_hours(1);

    fn ms(millis: u64) -> Next {
        Next::Wait(Duration::from_millis(millis))
    }

    #[test]
    fn pauses_double_up_to_their_limit_and_are_spread_over_all_of_it() {
        let rows = [
            (1, 1.0, 500),
            (2, 1.0, 1_000),
            (3, 1.0, 2_000),
            (5, 1.0, 8_000),
            (6, 1.0, 15_000),
            (1_000_000, 1.0, 15_000),
            (u32::MAX, 1.0, 15_000),
            (0, 1.0, 500),
            (4, 0.5, 2_000),
            (4, 0.0, 0),
            // Dice out of range do no harm.
            (4, 7.0, 4_000),
            (4, -1.0, 0),
        ];
        for (attempt, dice, pause) in rows {
            let next = Backoff::default().next(attempt, CallReason::LostAnswer, LONG, dice);
            assert_eq!(next, ms(pause), "attempt {attempt}, dice {dice}");
        }
    }

    #[test]
    fn an_overload_pauses_calls_for_at_least_three_seconds() {
        for why in [CallReason::Overloaded, CallReason::Throttled, CallReason::DatabaseTimedOut] {
            assert_eq!(Backoff::default().next(1, why, LONG, 0.0), ms(3_000));
            assert_eq!(Backoff::default().next(1, why, LONG, 1.0), ms(3_500));
        }
    }

    #[test]
    fn no_retry_without_time_left_or_before_a_person_has_acted() {
        let next = |why, left| Backoff::default().next(1, why, left, 1.0);
        for why in [CallReason::Paused, CallReason::CertificateRefused, CallReason::Stopped] {
            assert_eq!(next(why, LONG), Next::GiveUp, "{why:?}");
        }
        assert_eq!(next(CallReason::LostAnswer, Duration::from_millis(750)), ms(500));
        assert_eq!(next(CallReason::LostAnswer, Duration::from_millis(749)), Next::GiveUp);
        assert_eq!(next(CallReason::LostAnswer, Duration::ZERO), Next::GiveUp);
    }
}
