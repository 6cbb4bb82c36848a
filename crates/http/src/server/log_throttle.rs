//! Limits the log lines of a failure that may occur a thousand times a second.

use std::fmt::Display;
use std::time::{Duration, Instant};

use log::warn;

/// The minimum time between two lines about the same failure.
const INTERVAL: Duration = Duration::from_secs(5);

/// One kind of failure.
pub(super) struct LogThrottle {
    what: &'static str,
    last_line: Option<Instant>,
    suppressed: usize,
}

impl LogThrottle {
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, last_line: None, suppressed: 0 }
    }

    /// Reports an occurrence.
    pub(super) fn report(&mut self, why: &dyn Display) {
        if let Some(suppressed) = self.due(Instant::now()) {
            warn!(reason:% = why, suppressed; "{}", self.what);
        }
    }

    /// Records a success. It logs the number of suppressed lines if the interval is over.
    pub(super) fn recovered(&mut self) {
        if self.suppressed > 0 && self.is_time(Instant::now()) {
            let suppressed = std::mem::take(&mut self.suppressed);
            warn!(resolved = true, suppressed; "{}", self.what);
        }
    }

    /// The number of lines suppressed since the last one, if a line is due.
    fn due(&mut self, now: Instant) -> Option<usize> {
        if !self.is_time(now) {
            self.suppressed += 1;
            return None;
        }
        self.last_line = Some(now);
        Some(std::mem::take(&mut self.suppressed))
    }

    fn is_time(&self, now: Instant) -> bool {
        self.last_line.is_none_or(|last_line| now.saturating_duration_since(last_line) >= INTERVAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_a_thousand_failures_as_one_line_with_a_count() {
        let mut throttle = LogThrottle::new("Connections cannot be accepted");
        let start = Instant::now();
        let at = |millis: u64| start + Duration::from_millis(millis);
        assert_eq!(throttle.due(at(0)), Some(0));
        assert!((1..1000).all(|n| throttle.due(at(n)).is_none()));
        assert_eq!(throttle.due(at(5000)), Some(999));
        assert_eq!(throttle.due(at(9999)), None);
    }
}
