//! A trouble that may come a thousand times a second and is worth one line every few seconds.

use std::fmt::Display;
use std::time::{Duration, Instant};

use log::warn;

/// Between two lines about the same trouble.
const SILENCE: Duration = Duration::from_secs(5);

/// One kind of trouble.
pub(super) struct LogThrottle {
    what: &'static str,
    said: Option<Instant>,
    left_out: usize,
}

impl LogThrottle {
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, said: None, left_out: 0 }
    }

    /// It has come (again).
    pub(super) fn say(&mut self, why: &dyn Display) {
        if let Some(line) = self.line(why, Instant::now()) {
            warn!("{line}");
        }
    }

    /// It went well this time; what was left out is said if it is time for a line.
    pub(super) fn is_over(&mut self) {
        if self.left_out > 0 && self.is_time(Instant::now()) {
            warn!("{}: {} more times; now it went well", self.what, self.left_out);
            self.left_out = 0;
        }
    }

    fn line(&mut self, why: &dyn Display, now: Instant) -> Option<String> {
        if !self.is_time(now) {
            self.left_out += 1;
            return None;
        }
        self.said = Some(now);
        Some(match std::mem::take(&mut self.left_out) {
            0 => format!("{}: {why}", self.what),
            more => format!("{}: {why} (and {more} more times since the last such line)", self.what),
        })
    }

    fn is_time(&self, now: Instant) -> bool {
        self.said.is_none_or(|said| now.saturating_duration_since(said) >= SILENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_troubles_are_one_line_and_a_count() {
        let mut trouble = LogThrottle::new("cannot accept");
        let start = Instant::now();
        let at = |millis: u64| start + Duration::from_millis(millis);
        assert_eq!(trouble.line(&"no descriptor", at(0)).as_deref(), Some("cannot accept: no descriptor"));
        assert!((1..1000).all(|n| trouble.line(&"no descriptor", at(n)).is_none()));
        assert_eq!(
            trouble.line(&"no descriptor", at(5000)).as_deref(),
            Some("cannot accept: no descriptor (and 999 more times since the last such line)")
        );
        assert!(trouble.line(&"no descriptor", at(9999)).is_none());
    }
}
