//! When the next list is due.
//!
//! At once (but not more often than every [`BETWEEN`]) where there is a reason to expect rows: somebody nudged, or the
//! last list was full. Otherwise soon after something happened, then less and less often up to the interval; and once
//! nothing has happened for [`IDLE_AFTER`], at the idle interval. After a failure, with a growing pause of its own.

use std::time::Duration;

use mcr_model::clock::Millis;

/// The least time between the beginnings of two lists.
pub(super) const BETWEEN: Duration = Duration::from_millis(25);

/// After something happened, the first list that nobody asked for.
const SOON: Duration = Duration::from_secs(1);

/// So long after the last event the account counts as idle.
pub(super) const IDLE_AFTER: Duration = Duration::from_mins(2);

/// The intervals, as they are set.
#[derive(Clone, Copy, Debug)]
pub struct PollIntervals {
    /// While there is traffic.
    pub interval: Duration,
    /// While there is none.
    pub idle_interval: Duration,
    /// The first pause after a failed list.
    pub backoff_base: Duration,
    /// The longest.
    pub backoff_max: Duration,
}

#[derive(Debug)]
pub(super) struct PollSchedule {
    rhythm: PollIntervals,
    /// The beginning of the last list.
    begun: Option<Millis>,
    /// The last list that came back, and how long to wait after it.
    quiet: Duration,
    last_event: Option<Millis>,
    wanted: bool,
    failures: u32,
    /// Until then the backend wants to be left alone.
    asked_until: Option<Millis>,
    /// After a failure.
    held_until: Option<Millis>,
}

impl PollSchedule {
    pub(super) fn new(rhythm: PollIntervals) -> Self {
        let quiet = SOON.min(rhythm.interval);
        Self {
            rhythm,
            begun: None,
            quiet,
            last_event: None,
            wanted: true,
            failures: 0,
            asked_until: None,
            held_until: None,
        }
    }

    /// Somebody says that there are new rows. While lists fail that shortens the pause, as far as the backend lets us:
    /// whoever knows of new rows has seen it alive.
    pub(super) fn nudged(&mut self, now: Millis) {
        self.want();
        if let (Some(until), Some(begun)) = (self.held_until, self.begun) {
            let soonest = (begun + self.rhythm.backoff_base).max(self.asked_until.unwrap_or(now));
            self.held_until = Some(until.min(soonest));
        }
    }

    /// There may be new rows: list at once.
    pub(super) fn want(&mut self) {
        self.wanted = true;
    }

    /// Something happened: people or agents are at work.
    pub(super) fn stir(&mut self, now: Millis) {
        self.last_event = Some(now);
        self.quiet = SOON.min(self.rhythm.interval);
    }

    /// A list begins.
    pub(super) fn begin(&mut self, now: Millis) {
        self.begun = Some(now);
        self.wanted = false;
        self.held_until = None;
        // Doubled with every list that nobody asked for, up to the interval.
        self.quiet = (self.quiet * 2).min(self.rhythm.interval);
    }

    /// A list came back.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// A list failed: a growing pause, at least as long as the backend asks for. `dice` is from 0 to 1.
    pub(super) fn failed(&mut self, not_before: Option<Duration>, dice: f64, now: Millis) {
        let full =
            self.rhythm.backoff_base.saturating_mul(1 << self.failures.min(16)).min(self.rhythm.backoff_max);
        // Between half and all of it, so that many runtimes do not come back at the same moment, and none at once.
        let pause = full.mul_f64(0.5 + dice / 2.0);
        self.failures = self.failures.saturating_add(1);
        self.asked_until = not_before.map(|span| now + span);
        self.held_until = Some(now + pause.max(not_before.unwrap_or_default()));
    }

    /// How many lists in a row have failed.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// When the next list is due, if none is under way.
    pub(super) fn due(&self, now: Millis) -> Millis {
        if let Some(until) = self.held_until {
            return until;
        }
        let Some(begun) = self.begun else { return now };
        if self.wanted {
            return begun + BETWEEN;
        }
        let idle = self.last_event.is_none_or(|at| now.since(at) >= IDLE_AFTER);
        begun + if idle { self.rhythm.idle_interval } else { self.quiet }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1000;

    fn schedule() -> PollSchedule {
        PollSchedule::new(PollIntervals {
            interval: Duration::from_secs(5),
            idle_interval: Duration::from_mins(1),
            backoff_base: Duration::from_secs(5),
            backoff_max: Duration::from_mins(5),
        })
    }

    #[test]
    fn after_an_event_soon_then_seldom_then_idle() {
        let mut schedule = schedule();
        assert_eq!(schedule.due(Millis(0)), Millis(0), "the first list is due at once");
        schedule.begin(Millis(0));
        schedule.stir(Millis(0));
        let mut at = Millis(0);
        let mut gaps = Vec::new();
        for _ in 0..30 {
            let due = schedule.due(at);
            gaps.push(due.since(at).as_secs());
            // The dispatcher asks again when the time has come: only then does it know that the account is idle.
            at = schedule.due(due).max(due);
            schedule.begin(at);
        }
        assert_eq!(gaps[..5], [1, 2, 4, 5, 5]);
        assert_eq!(gaps[29], 60, "{gaps:?}");
        schedule.stir(at);
        assert_eq!(schedule.due(at).since(at).as_secs(), 1);
    }

    #[test]
    fn a_nudge_is_heeded_at_once_but_not_more_often_than_every_25_ms() {
        let mut schedule = schedule();
        schedule.begin(Millis(10 * SECOND));
        schedule.want();
        assert_eq!(schedule.due(Millis(10 * SECOND + 1)), Millis(10 * SECOND + 25));
        assert!(schedule.due(Millis(20 * SECOND)) <= Millis(20 * SECOND));
    }

    /// W-8: the pause after failures grows, never below half of the base, and stands at the ceiling.
    #[test]
    fn failures_slow_the_lists_down_and_one_success_ends_it() {
        let mut schedule = schedule();
        let mut before = Duration::ZERO;
        for n in 0..20 {
            schedule.begin(Millis(0));
            schedule.want();
            schedule.failed(None, 0.0, Millis(0));
            let pause = schedule.due(Millis(0)).since(Millis(0));
            assert!(pause >= before && pause >= Duration::from_millis(2500), "{n}: {pause:?}");
            before = pause;
        }
        assert_eq!(before, Duration::from_secs(150));
        schedule.failed(Some(Duration::from_hours(1)), 1.0, Millis(0));
        assert_eq!(schedule.due(Millis(0)), Millis(3600 * SECOND), "as long as the backend asks for");
        schedule.begin(Millis(0));
        schedule.succeeded();
        assert_eq!(schedule.failures(), 0);
    }
}
