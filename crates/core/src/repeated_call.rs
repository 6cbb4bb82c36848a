//! When the service repeats a call that it makes for itself: the roster of agents, the status report, the stored keys.
//!
//! A call begins at once after the start, and then at an interval, counted from the beginning of the last one. While the
//! account is idle, a longer interval can apply. A failed call is repeated after a pause. A call can also be requested,
//! and then begins as soon as the least gap permits.
//!
//! Plain data: the caller passes the time of a clock that no change of the system's clock affects.

use std::time::Duration;

use mcr_model::clock::Millis;

/// The intervals and pauses of a call.
#[derive(Clone, Copy, Debug)]
pub struct CallPace {
    /// Between the beginnings of two calls.
    pub interval: Duration,
    /// Between the beginnings of two calls while the account is idle.
    pub idle_interval: Duration,
    /// The least time between the beginnings of two calls.
    pub gap: Duration,
    /// The pause after a failed call. It doubles with each further failure.
    pub retry: Duration,
    /// The longest pause after failed calls.
    pub retry_max: Duration,
}

/// The pause before a failed fetch of the roster is repeated. It doubles with every failure, up to the interval.
const ROSTER_RETRY: Duration = Duration::from_secs(1);

/// The least time between two fetches of the roster, however many unknown agents are named.
const ROSTER_GAP: Duration = Duration::from_secs(5);

/// The pause before a failed status report is repeated, and the least time between two reports.
const REPORT_RETRY: Duration = Duration::from_secs(5);

/// The pause before a failed fetch of the stored keys is repeated. It doubles with every failure, up to the interval.
const KEYS_RETRY: Duration = Duration::from_secs(5);

/// The time between two readings of requests for a restart or an upgrade while the account is idle.
const REQUESTS_IDLE_INTERVAL: Duration = Duration::from_mins(5);

impl CallPace {
    /// The pace of the stored keys. A requested fetch confirms the last one, so it waits for a whole interval.
    pub fn of_keys(interval: Duration, idle_interval: Duration) -> Self {
        let retry = KEYS_RETRY.min(interval);
        Self { interval, idle_interval, gap: interval, retry, retry_max: interval }
    }

    /// The pace of the roster, and likewise of the agents' profiles.
    pub fn of_roster(interval: Duration, idle_interval: Duration) -> Self {
        Self { interval, idle_interval, gap: ROSTER_GAP, retry: ROSTER_RETRY, retry_max: interval }
    }

    /// The pace of reading requests for a restart or an upgrade. After a start, and on request after each return of the
    /// backend, they are read at once.
    pub fn of_requests(interval: Duration) -> Self {
        let retry = REPORT_RETRY;
        let idle_interval = interval.max(REQUESTS_IDLE_INTERVAL);
        Self { interval, idle_interval, gap: retry, retry, retry_max: interval }
    }

    /// The pace of the status report. The backend takes a runtime without reports for dead, so an idle one reports as
    /// often as others.
    pub fn of_status(interval: Duration) -> Self {
        let retry = REPORT_RETRY;
        Self { interval, idle_interval: interval, gap: retry, retry, retry_max: retry }
    }
}

/// The state of a repeated call.
#[derive(Clone, Debug)]
pub struct RepeatedCall {
    pace: CallPace,
    /// The beginning of the last call.
    began: Option<Millis>,
    /// How many of the last calls failed in a row.
    failures: u32,
    /// The end of the pause after a failed call.
    held_until: Option<Millis>,
    wanted: bool,
}

impl RepeatedCall {
    /// A call that is due at once.
    pub fn new(pace: CallPace) -> Self {
        Self { pace, began: None, failures: 0, held_until: None, wanted: false }
    }

    /// Requests a call as soon as the least gap permits. A request does not end the pause after a failure.
    pub fn request(&mut self) {
        self.wanted = true;
    }

    /// A call begins, or another thread has made it.
    pub fn begins(&mut self, now: Millis) {
        self.began = Some(now);
        self.wanted = false;
        self.held_until = None;
    }

    /// The call succeeded.
    pub fn succeeds(&mut self) {
        self.failures = 0;
        self.held_until = None;
    }

    /// The call failed. `not_before` is how long the backend wants no call.
    pub fn fails(&mut self, not_before: Option<Duration>, now: Millis) {
        let pause = self.pace.retry.saturating_mul(1 << self.failures.min(16)).min(self.pace.retry_max);
        self.failures = self.failures.saturating_add(1);
        self.held_until = Some(now + pause.max(not_before.unwrap_or_default()));
    }

    /// How many of the last calls failed in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// When the next call is due.
    pub fn due(&self, is_idle: bool, now: Millis) -> Millis {
        let Some(began) = self.began else { return now };
        if let Some(until) = self.held_until {
            return until;
        }
        let interval = if is_idle { self.pace.idle_interval } else { self.pace.interval };
        began + if self.wanted { self.pace.gap.min(interval) } else { interval }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: CallPace = CallPace {
        interval: Duration::from_mins(1),
        idle_interval: Duration::from_mins(5),
        gap: Duration::from_secs(5),
        retry: Duration::from_secs(1),
        retry_max: Duration::from_mins(1),
    };

    fn at(seconds: i64) -> Millis {
        Millis(seconds * 1_000)
    }

    fn due(call: &RepeatedCall, is_idle: bool) -> i64 {
        call.due(is_idle, at(100)).0 / 1_000
    }

    #[test]
    fn a_call_is_due_at_once_and_then_at_the_interval_of_the_moment() {
        let mut call = RepeatedCall::new(PACE);
        assert_eq!(due(&call, true), 100);
        call.begins(at(100));
        call.succeeds();
        assert_eq!((due(&call, true), due(&call, false)), (400, 160), "activity brings the call forward");
    }

    #[test]
    fn a_request_brings_the_call_forward_but_not_below_the_gap() {
        let mut call = RepeatedCall::new(PACE);
        call.begins(at(100));
        call.request();
        call.request();
        assert_eq!((due(&call, true), due(&call, false)), (105, 105));
        call.begins(at(105));
        assert_eq!(due(&call, true), 405, "one call answers both requests");
        // A request during the call is for another one.
        call.request();
        call.succeeds();
        assert_eq!(due(&call, true), 110);
    }

    #[test]
    fn pauses_after_failures_grow_and_one_success_ends_them() {
        let mut call = RepeatedCall::new(PACE);
        let mut pauses = Vec::new();
        for _ in 0..9 {
            call.begins(at(100));
            call.fails(None, at(100));
            call.request();
            pauses.push(due(&call, true) - 100);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        call.fails(Some(Duration::from_mins(10)), at(100));
        assert_eq!((due(&call, true), call.failures()), (700, 10), "as long as the backend asks for");
        call.begins(at(700));
        call.succeeds();
        assert_eq!((due(&call, true), call.failures()), (1_000, 0));
    }
}
