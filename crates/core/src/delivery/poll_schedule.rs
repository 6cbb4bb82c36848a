//! Decides when the next list is due.
//!
//! A list is due at once if new rows are expected: a nudge arrived, or the last list was full. But a list repeats all
//! known rows, and takes the backend some time. So between two lists are at least [`BETWEEN`], and without a nudge also
//! [`PER_KNOWN_ROW`] for each row that is known now, and twice the duration of the last list. A wake query whose signals
//! bring no new row causes fewer and fewer lists.
//!
//! Otherwise the pause is [`SOON`] for [`WRITING`] after something was written. Then it grows up to the interval. While
//! the known rows keep the workers busy and the backend has more, the pause is the interval: a list shows the oldest rows,
//! so it could not show what was just written. After
//! [`IDLE_AFTER`] without an event or running work it is the idle interval. A failed list starts a growing backoff. While
//! the backend calls exceed their monthly rate (`call_rate`), no pause is shorter than the interval.
//!
//! While the wake query works, each change of its value requests a list. Then both intervals are [`WITH_WAKE_QUERY`], and
//! nothing else keeps the pauses from growing. If a list that nothing has caused shows a new row, the value has not changed
//! as it should. Then lists are at intervals again until the next change.

use std::time::Duration;

use crate::wake_query::WakeSignal;
use mcr_model::clock::Millis;

/// The least time between the beginnings of two lists.
pub(super) const BETWEEN: Duration = Duration::from_millis(25);

/// The least time between two lists for each row that the second one repeats.
const PER_KNOWN_ROW: Duration = Duration::from_micros(1_500);

/// The least time for each row between lists that nothing has caused.
const PER_KNOWN_ROW_UNCAUSED: Duration = Duration::from_millis(2);

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

/// Why new rows are expected; the surest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Expectation {
    /// The value of the wake query has changed.
    Signal,
    /// The last list was full, or this runtime has written something.
    Likely,
    /// A nudge reports them.
    Nudge,
}

#[derive(Debug)]
pub(super) struct PollSchedule {
    intervals: PollIntervals,
    /// The last signal of the wake query.
    signal: Option<WakeSignal>,
    /// The beginning of the last list.
    started: Option<Millis>,
    /// How long the last list took.
    took: Duration,
    /// The rows that the next list repeats.
    known_rows: u32,
    /// Whether a list without a cause could not show what was just written.
    is_behind: bool,
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
    /// Why a list is due at once, if it is.
    wanted: Option<Expectation>,
    /// Why the last list was due at once, if it was.
    served: Option<Expectation>,
    /// The least time before a list for a signal. It grows while such lists show no new row.
    after_signal: Duration,
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
            took: Duration::ZERO,
            known_rows: 0,
            is_behind: false,
            quiet,
            last_write: None,
            is_limited: false,
            last_event: None,
            is_busy: false,
            wanted: Some(Expectation::Likely),
            served: None,
            after_signal: Duration::ZERO,
            failures: 0,
            asked_until: None,
            held_until: None,
        }
    }

    /// Takes a nudge: new rows exist. While lists fail, a nudge shortens the backoff as far as the backend
    /// permits, because its sender has reached the backend.
    pub(super) fn nudged(&mut self, now: Millis) {
        self.expect(Expectation::Nudge);
        self.record_write(now);
        if let (Some(until), Some(started)) = (self.held_until, self.started) {
            let soonest = (started + self.intervals.backoff_base).max(self.asked_until.unwrap_or(now));
            self.held_until = Some(until.min(soonest));
        }
    }

    /// Requests a list at once, because new rows may exist.
    pub(super) fn want(&mut self) {
        self.expect(Expectation::Likely);
    }

    fn expect(&mut self, expectation: Expectation) {
        self.wanted = self.wanted.max(Some(expectation));
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
        self.expect(Expectation::Signal);
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
        self.served = self.wanted.take();
        self.held_until = None;
        // Doubled with every list after the writes have ended, up to the interval.
        if self.has_wake_query() || self.last_write.is_none_or(|at| now.since(at) >= WRITING) {
            self.quiet = (self.quiet * 2).min(self.longest_pause());
        }
    }

    /// Records how many rows the next list repeats, and whether the backend has more rows than were listed while the
    /// known ones keep the workers busy.
    pub(super) fn set_known(&mut self, known_rows: u32, is_behind: bool) {
        (self.known_rows, self.is_behind) = (known_rows, is_behind);
    }

    /// A list succeeded. `is_new` says whether it showed a new row.
    pub(super) fn succeeded(&mut self, is_new: bool, now: Millis) {
        self.failures = 0;
        if is_new {
            self.after_signal = Duration::ZERO;
            if self.served.is_none() && self.wanted.is_none() && self.has_wake_query() {
                self.signal = Some(WakeSignal::Lost);
            }
        } else if self.served == Some(Expectation::Signal) {
            self.after_signal = (2 * self.after_signal).clamp(BETWEEN, self.intervals.interval.max(BETWEEN));
        }
        self.took = self.started.map_or(Duration::ZERO, |at| now.since(at));
    }

    /// The least time between two lists, if each known row takes this part of it.
    fn least(&self, per_known_row: Duration) -> Duration {
        let least = BETWEEN.max(per_known_row.saturating_mul(self.known_rows)).max(2 * self.took);
        least.min(self.intervals.interval)
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
        let pause = match self.wanted {
            None if self.is_idle(now) => self.interval_or_fallback(self.intervals.idle_interval),
            None if self.is_behind => self.quiet.max(self.intervals.interval),
            None => self.quiet.max(self.least(PER_KNOWN_ROW_UNCAUSED)),
            Some(Expectation::Nudge) => BETWEEN,
            Some(Expectation::Likely) => self.least(PER_KNOWN_ROW),
            Some(Expectation::Signal) => self.least(PER_KNOWN_ROW).max(self.after_signal),
        };
        started + if self.is_limited { pause.max(self.intervals.interval) } else { pause }
    }
}

#[cfg(test)]
mod tests;
