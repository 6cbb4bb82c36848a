//! Decides when the next list is due.
//!
//! A list is due at once if new rows are expected: a nudge arrived, or the last list was full. But a list repeats all
//! known rows, and takes the backend some time. So between two lists are at least [`BETWEEN`], [`PER_KNOWN_ROW`] for each
//! known row, and twice the duration of the last list.
//!
//! Otherwise the pause is [`SOON`] for [`WRITING`] after something was written. Then it grows up to the interval. After
//! [`IDLE_AFTER`] without an event or running work it is the idle interval. A failed list starts a growing backoff. While
//! the backend calls exceed their monthly rate (`call_rate`), no pause is shorter than the interval.
//!
//! While the wake query works, each change of its value requests a list. Then both intervals are [`WITH_WAKE_QUERY`], and
//! nothing else keeps the pauses from growing.

use std::time::Duration;

use crate::wake_query::WakeSignal;
use mcr_model::clock::Millis;

/// The least time between the beginnings of two lists.
pub(super) const BETWEEN: Duration = Duration::from_millis(25);

/// The least time between two lists for each row that a list repeats.
const PER_KNOWN_ROW: Duration = Duration::from_micros(500);

/// The pause while something is written.
const SOON: Duration = Duration::from_millis(250);

/// How long after a write the next one is expected.
const WRITING: Duration = Duration::from_secs(10);

/// The account counts as idle this long after the last event.
pub(super) const IDLE_AFTER: Duration = Duration::from_mins(2);

/// The interval of lists while the wake query works. Its value may miss a row that is committed late with an earlier
/// time, and a row whose mark is lost.
pub(super) const WITH_WAKE_QUERY: Duration = Duration::from_mins(5);

/// The configured intervals.
#[derive(Clone, Copy, Debug)]
pub struct PollIntervals {
    /// While there is traffic.
    pub interval: Duration,
    /// While there is none.
    pub idle_interval: Duration,
    /// The first pause after a failed list.
    pub backoff_base: Duration,
    /// The longest pause after failed lists.
    pub backoff_max: Duration,
}

#[derive(Debug)]
pub(super) struct PollSchedule {
    intervals: PollIntervals,
    /// The last signal of the wake query.
    signal: Option<WakeSignal>,
    /// The beginning of the last list.
    started: Option<Millis>,
    /// The least time between two lists.
    least: Duration,
    /// How long to wait after a list without an event.
    quiet: Duration,
    /// The last time at which rows were written, or may have been.
    last_write: Option<Millis>,
    /// Whether the backend calls exceed their monthly rate.
    is_limited: bool,
    /// The last event. The first list counts as one.
    last_event: Option<Millis>,
    /// Whether work runs whose end is an event.
    is_busy: bool,
    wanted: bool,
    failures: u32,
    /// The backend accepts no list before this instant.
    asked_until: Option<Millis>,
    /// The end of the backoff after a failure.
    held_until: Option<Millis>,
}

impl PollSchedule {
    pub(super) fn new(intervals: PollIntervals) -> Self {
        let quiet = SOON.min(intervals.interval);
        Self {
            intervals,
            signal: None,
            started: None,
            least: BETWEEN,
            quiet,
            last_write: None,
            is_limited: false,
            last_event: None,
            is_busy: false,
            wanted: true,
            failures: 0,
            asked_until: None,
            held_until: None,
        }
    }

    /// Takes a nudge: new rows exist. While lists fail, a nudge shortens the backoff as far as the backend
    /// permits, because its sender has reached the backend.
    pub(super) fn nudged(&mut self, now: Millis) {
        self.want();
        self.record_write(now);
        if let (Some(until), Some(started)) = (self.held_until, self.started) {
            let soonest = (started + self.intervals.backoff_base).max(self.asked_until.unwrap_or(now));
            self.held_until = Some(until.min(soonest));
        }
    }

    /// Requests a list at once, because new rows may exist.
    pub(super) fn want(&mut self) {
        self.wanted = true;
    }

    /// Records that rows were written, or may have been. More are likely.
    pub(super) fn record_write(&mut self, now: Millis) {
        self.last_write = Some(now);
        self.record_activity(now);
    }

    /// Records whether the backend calls exceed their monthly rate.
    pub(super) fn set_limited(&mut self, is_limited: bool) {
        self.is_limited = is_limited;
    }

    /// Whether pauses are longer because the backend calls exceed their monthly rate.
    pub(super) fn is_limited(&self) -> bool {
        self.is_limited
    }

    /// Takes a signal of the wake query. A list is due at once: of the rows that have caused it, or of those that nothing
    /// reported while the connection was breaking.
    pub(super) fn signaled(&mut self, signal: WakeSignal) {
        self.signal = Some(signal);
        self.quiet = self.quiet.min(self.longest_pause());
        self.want();
    }

    /// Whether the wake query works.
    fn has_wake_query(&self) -> bool {
        self.signal == Some(WakeSignal::Changed)
    }

    /// The pause up to which the pauses grow.
    fn longest_pause(&self) -> Duration {
        self.interval_or_fallback(self.intervals.interval)
    }

    fn interval_or_fallback(&self, interval: Duration) -> Duration {
        if self.has_wake_query() { interval.max(WITH_WAKE_QUERY) } else { interval }
    }

    /// Records an event: people or agents are active.
    pub(super) fn record_activity(&mut self, now: Millis) {
        self.last_event = Some(now);
        self.quiet = SOON.min(self.intervals.interval);
    }

    /// Records whether work runs. Its end is an event.
    pub(super) fn set_busy(&mut self, is_busy: bool) {
        self.is_busy = is_busy;
    }

    /// Whether people and agents are inactive.
    pub(super) fn is_idle(&self, now: Millis) -> bool {
        !self.is_busy && self.last_event.is_some_and(|at| now.since(at) >= IDLE_AFTER)
    }

    /// A list begins.
    pub(super) fn begin(&mut self, now: Millis) {
        self.started = Some(now);
        self.last_event.get_or_insert(now);
        self.wanted = false;
        self.held_until = None;
        // Doubled with every list after the writes have ended, up to the interval.
        if self.has_wake_query() || self.last_write.is_none_or(|at| now.since(at) >= WRITING) {
            self.quiet = (self.quiet * 2).min(self.longest_pause());
        }
    }

    /// A list succeeded. The next one repeats this many rows.
    pub(super) fn succeeded(&mut self, known_rows: u32, now: Millis) {
        self.failures = 0;
        let took = self.started.map_or(Duration::ZERO, |at| now.since(at));
        let least = BETWEEN.max(PER_KNOWN_ROW * known_rows).max(2 * took);
        self.least = least.min(self.intervals.interval);
    }

    /// A list failed: a growing backoff, at least as long as the backend requests. `dice` is from 0 to 1.
    pub(super) fn failed(&mut self, not_before: Option<Duration>, dice: f64, now: Millis) {
        let full = self
            .intervals
            .backoff_base
            .saturating_mul(1 << self.failures.min(16))
            .min(self.intervals.backoff_max);
        // Between half and all of it, so that runtimes do not return in the same moment, and none returns at
        // once.
        let pause = full.mul_f64(0.5 + dice / 2.0);
        self.failures = self.failures.saturating_add(1);
        self.asked_until = not_before.map(|span| now + span);
        self.held_until = Some(now + pause.max(not_before.unwrap_or_default()));
    }

    /// How many lists in a row have failed.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// When the next list is due, if none is active.
    pub(super) fn due(&self, now: Millis) -> Millis {
        if let Some(until) = self.held_until {
            return until;
        }
        let Some(started) = self.started else { return now };
        let pause = match () {
            () if self.wanted => self.least,
            () if self.is_idle(now) => self.interval_or_fallback(self.intervals.idle_interval),
            () => self.quiet.max(self.least),
        };
        started + if self.is_limited { pause.max(self.intervals.interval) } else { pause }
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
    fn lists_follow_an_event_soon_then_rarely_then_at_the_idle_interval() {
        let mut schedule = schedule();
        assert_eq!(schedule.due(Millis(0)), Millis(0), "the first list is due at once");
        schedule.begin(Millis(0));
        schedule.record_activity(Millis(0));
        let mut at = Millis(0);
        let mut gaps = Vec::new();
        for _ in 0..30 {
            let due = schedule.due(at);
            gaps.push(due.since(at).as_millis());
            // The dispatcher calls again at the due time; only then is the account known to be idle.
            at = schedule.due(due).max(due);
            schedule.begin(at);
        }
        assert_eq!(gaps[..8], [250, 500, 1000, 2000, 4000, 5000, 5000, 5000]);
        assert_eq!(gaps[29], 60_000, "{gaps:?}");
        schedule.record_activity(at);
        assert_eq!(schedule.due(at).since(at), SOON);
    }

    /// Each event ends the idle state at once, and running work keeps the account from becoming idle.
    #[test]
    fn the_account_is_idle_two_minutes_after_the_start_or_the_last_event() {
        let mut schedule = schedule();
        assert!(!schedule.is_idle(Millis(0)));
        schedule.begin(Millis(0));
        let idle_at = |schedule: &PollSchedule, second: i64| schedule.is_idle(Millis(second * SECOND));
        assert!(!idle_at(&schedule, 119) && idle_at(&schedule, 120));
        schedule.set_busy(true);
        assert!(!idle_at(&schedule, 120));
        assert!(schedule.due(Millis(120 * SECOND)) <= Millis(5 * SECOND), "the normal interval");
        schedule.set_busy(false);
        assert_eq!(schedule.due(Millis(120 * SECOND)), Millis(60 * SECOND));
        schedule.nudged(Millis(200 * SECOND));
        assert!(!idle_at(&schedule, 319) && idle_at(&schedule, 320));
        schedule.record_activity(Millis(400 * SECOND));
        assert!(!idle_at(&schedule, 519) && idle_at(&schedule, 520));
    }

    /// New rows arrive in groups: people and agents answer each other.
    #[test]
    fn for_ten_seconds_after_a_write_lists_are_frequent() {
        let mut schedule = schedule();
        schedule.record_write(Millis(0));
        let mut at = Millis(0);
        while at < Millis(10 * SECOND) {
            schedule.begin(at);
            schedule.succeeded(10, at);
            assert_eq!(schedule.due(at).since(at), SOON, "{at:?}");
            at = schedule.due(at);
        }
        schedule.begin(at);
        assert_eq!(schedule.due(at).since(at), 2 * SOON);
        schedule.set_limited(true);
        schedule.record_write(at);
        assert_eq!(schedule.due(at).since(at).as_secs(), 5, "the monthly rate is exceeded");
        schedule.want();
        assert_eq!(schedule.due(at).since(at).as_secs(), 5);
    }

    /// Each list repeats the known rows, and a slow backend has its own limits.
    #[test]
    fn the_least_time_between_lists_grows_with_their_rows_and_duration() {
        let mut schedule = schedule();
        let mut least = |rows, took| {
            schedule.begin(Millis(0));
            schedule.want();
            schedule.succeeded(rows, Millis(took));
            schedule.due(Millis(0)).0
        };
        let cases = [(0, 0, 25), (50, 12, 25), (400, 12, 200), (400, 150, 300), (500, 9_000, 5_000)];
        for (rows, took, expected) in cases {
            assert_eq!(least(rows, took), expected, "{rows} rows in {took} ms");
        }
    }

    #[test]
    fn a_nudge_is_followed_at_once_but_at_most_every_25_ms() {
        let mut schedule = schedule();
        schedule.begin(Millis(10 * SECOND));
        schedule.want();
        assert_eq!(schedule.due(Millis(10 * SECOND + 1)), Millis(10 * SECOND + 25));
        assert!(schedule.due(Millis(20 * SECOND)) <= Millis(20 * SECOND));
    }

    fn gaps(schedule: &mut PollSchedule, mut at: Millis, count: usize) -> Vec<u128> {
        let mut gaps = Vec::new();
        for _ in 0..count {
            let due = schedule.due(at);
            let next = schedule.due(due).max(due);
            gaps.push(next.since(at).as_millis());
            at = next;
            schedule.begin(at);
        }
        gaps
    }

    #[test]
    fn with_a_wake_query_lists_follow_its_value_and_otherwise_every_five_minutes() {
        let mut schedule = schedule();
        schedule.begin(Millis(0));
        schedule.signaled(WakeSignal::Changed);
        assert_eq!(schedule.due(Millis(1)), Millis(25), "at once");
        schedule.begin(Millis(25));
        assert!(
            !schedule.is_idle(Millis(119_000)),
            "a signal is no activity by itself: own marks cause some"
        );
        // An event is followed up with growing pauses: what a list shows may need a second look.
        schedule.record_activity(Millis(10 * SECOND));
        schedule.begin(Millis(10 * SECOND));
        let found = gaps(&mut schedule, Millis(10 * SECOND), 12);
        assert_eq!(found[..7], [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000]);
        assert_eq!(found[7..], [300_000; 5], "{found:?}");
    }

    #[test]
    fn when_the_wake_query_is_lost_a_list_is_due_at_once_and_the_intervals_return() {
        let mut schedule = schedule();
        schedule.begin(Millis(0));
        schedule.signaled(WakeSignal::Changed);
        schedule.begin(Millis(100 * SECOND));
        let found = gaps(&mut schedule, Millis(100 * SECOND), 12);
        assert_eq!(found[11], 300_000, "{found:?}");
        let now = Millis(2_000 * SECOND);
        schedule.begin(now);
        schedule.signaled(WakeSignal::Lost);
        assert_eq!(schedule.due(now), now + BETWEEN);
        schedule.begin(now + BETWEEN);
        assert_eq!(gaps(&mut schedule, now + BETWEEN, 3), [60_000; 3], "the idle interval");
        schedule.begin(now);
        schedule.record_activity(now);
        assert_eq!(schedule.due(now), now + SOON);
    }

    /// A configured interval above five minutes is kept.
    #[test]
    fn the_wake_query_makes_no_interval_shorter() {
        let hour = Duration::from_hours(1);
        let mut schedule = PollSchedule::new(PollIntervals {
            interval: hour,
            idle_interval: hour,
            backoff_base: Duration::from_secs(5),
            backoff_max: Duration::from_mins(5),
        });
        schedule.signaled(WakeSignal::Changed);
        schedule.begin(Millis(0));
        assert_eq!(schedule.due(Millis(1_000 * SECOND)), Millis(3_600 * SECOND));
    }

    /// A signal does not shorten the backoff while lists fail: it comes over another connection.
    #[test]
    fn a_signal_respects_the_backoff() {
        let mut schedule = schedule();
        schedule.begin(Millis(0));
        schedule.failed(None, 1.0, Millis(0));
        let due = schedule.due(Millis(0));
        schedule.signaled(WakeSignal::Changed);
        assert_eq!(schedule.due(Millis(0)), due);
    }

    /// W-8: the backoff grows, is never below half of the base, and stops at the ceiling.
    #[test]
    fn failures_slow_the_lists_down_and_one_success_resets_them() {
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
        schedule.succeeded(0, Millis(0));
        assert_eq!(schedule.failures(), 0);
    }
}
