//! When the next snapshot is due.

use std::time::Duration;

use mcr_model::clock::Millis;

/// The pause after a first failure. It doubles with each further one, up to the interval.
const FAILURE_PAUSE: Duration = Duration::from_mins(1);

/// The schedule of one conversation's snapshots.
///
/// A crash loses what was done since the last snapshot, so one is made while the agent works, and not only at the end.
/// Nothing is due while nothing has changed.
#[derive(Clone, Debug)]
pub struct SnapshotSchedule {
    interval: Duration,
    changed: bool,
    failures: u32,
    earliest: Millis,
}

impl SnapshotSchedule {
    /// A schedule with this interval. `Duration::ZERO` makes none but the last one.
    pub fn new(interval: Duration, now: Millis) -> Self {
        Self { interval, changed: false, failures: 0, earliest: now + interval }
    }

    /// A job has changed the state.
    pub fn on_change(&mut self) {
        self.changed = true;
    }

    /// A snapshot begins. A change from now on may be missing in it.
    pub fn on_begin(&mut self) {
        self.changed = false;
    }

    /// The snapshot is stored.
    pub fn on_done(&mut self, now: Millis) {
        self.failures = 0;
        self.earliest = now + self.interval;
    }

    /// The snapshot has failed, so its changes are not stored.
    pub fn on_failed(&mut self, now: Millis) {
        (self.changed, self.failures) = (true, self.failures.saturating_add(1));
        let pause = FAILURE_PAUSE * 2_u32.pow(self.failures.min(10) - 1);
        self.earliest = now + pause.min(self.interval.max(FAILURE_PAUSE));
    }

    /// When the next snapshot is due. `None` while nothing has changed, or if none is made on schedule.
    pub fn due(&self) -> Option<Millis> {
        (self.changed && !self.interval.is_zero()).then_some(self.earliest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);
    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn a_snapshot_is_due_after_the_interval_if_something_changed() {
        let now = Millis(1_000);
        let mut schedule = SnapshotSchedule::new(HOUR, now);
        assert_eq!(schedule.due(), None);
        schedule.on_change();
        assert_eq!(schedule.due(), Some(now + HOUR));
        schedule.on_begin();
        schedule.on_done(now + HOUR);
        assert_eq!(schedule.due(), None);
        schedule.on_begin();
        schedule.on_change();
        schedule.on_done(now + HOUR);
        assert_eq!(schedule.due(), Some(now + HOUR + HOUR), "a change during a snapshot is in the next one");
    }

    #[test]
    fn failures_are_repeated_with_longer_pauses_up_to_the_interval() {
        let now = Millis(0);
        let mut schedule = SnapshotSchedule::new(5 * MINUTE, now);
        schedule.on_begin();
        for minutes in [1, 2, 4, 5, 5] {
            schedule.on_failed(now);
            assert_eq!(schedule.due(), Some(now + minutes * MINUTE));
        }
        schedule.on_done(now);
        schedule.on_change();
        schedule.on_failed(now);
        assert_eq!(schedule.due(), Some(now + MINUTE), "a success begins anew");
    }

    #[test]
    fn without_an_interval_only_the_last_one_is_made() {
        let mut schedule = SnapshotSchedule::new(Duration::ZERO, Millis(0));
        schedule.on_change();
        assert_eq!(schedule.due(), None);
    }
}
