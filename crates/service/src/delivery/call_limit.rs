//! The limit of calls within one turn.
//!
//! Up to 2026.5.7 a gateway calls the model again while the client has yet to run the calls. The client sees none of that: the
//! turn goes on, and a model that repeats its call never ends it (openclaw-gateway §12.3). So the calls are counted in the
//! session's history while the turn runs.

use std::time::{Duration, Instant};

/// The limit.
pub struct CallLimit {
    /// How many calls a turn may make without their results.
    pub most: u32,
    /// Whether the gateway may call the model again without the results.
    pub may_loop: Box<dyn Fn() -> bool + Send>,
}

/// The calls of a running turn, as last counted.
#[derive(Debug)]
pub(super) struct CallCount {
    began: Instant,
    counted: Instant,
    calls: u32,
}

impl CallCount {
    /// A turn that begins now.
    pub(super) fn new(now: Instant) -> Self {
        Self { began: now, counted: now, calls: 0 }
    }

    /// Whether the calls are due to be counted. The limit may be reached at twice the rate so far; `round` is the time between
    /// two checks.
    pub(super) fn is_due(&self, now: Instant, most: u32, round: Duration) -> bool {
        let left = most.saturating_sub(self.calls);
        let so_far = self.counted.saturating_duration_since(self.began);
        let next = match self.calls {
            0 => round * 2,
            calls => (so_far * left / calls / 2).clamp(round / 2, round * 2),
        };
        now.saturating_duration_since(self.counted) >= next
    }

    /// Takes a count.
    pub(super) fn is(&mut self, calls: u32, now: Instant) {
        (self.calls, self.counted) = (calls, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A turn without calls is read seldom, and one close to the limit often.
    #[test]
    fn calls_are_counted_before_they_can_exceed_the_limit_by_much() {
        let round = Duration::from_secs(5);
        let began = Instant::now();
        let at = |secs: u64| began + Duration::from_secs(secs);
        let mut count = CallCount::new(began);
        assert!(!count.is_due(at(9), 32, round) && count.is_due(at(10), 32, round));
        count.is(2, at(10));
        assert!(!count.is_due(at(19), 32, round) && count.is_due(at(20), 32, round));
        count.is(20, at(20));
        // 12 calls are left, which take 12 s at this rate.
        assert!(!count.is_due(at(25), 32, round) && count.is_due(at(26), 32, round));
        count.is(31, at(30));
        assert!(!count.is_due(at(32), 32, round) && count.is_due(at(33), 32, round));
    }
}
