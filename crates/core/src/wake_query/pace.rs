//! How long the runtime waits before it connects again.

use std::time::Duration;

/// The first pause after a connection broke. It doubles with each further one.
const RETRY: Duration = Duration::from_millis(100);

/// The longest pause after connections that broke.
const RETRY_MAX: Duration = Duration::from_secs(15);

/// The first pause after a server asked for patience. It doubles as well.
const OVERLOAD: Duration = Duration::from_secs(3);

/// The longest pause that a server can ask for.
const REQUESTED_MAX: Duration = Duration::from_mins(10);

/// A connection that lasted this long was good: the pauses start short again.
pub const GOOD_AFTER: Duration = Duration::from_secs(15);

/// The pause after an error that another connection would meet as well.
pub const AFTER_REFUSAL: Duration = Duration::from_mins(10);

/// The pause after which a missing query is looked for again.
pub const AFTER_MISSING: Duration = Duration::from_hours(4);

/// What the end of a connection says about the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndClass {
    /// The connection broke or fell silent; the next one may work.
    Broken,
    /// The server has no capacity now. It may say how long.
    Overloaded(Option<Duration>),
    /// The next one would end in the same way, until something is changed.
    Refused,
    /// The backend does not have the query, as far as it says.
    Missing,
}

/// The pauses between connections.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReconnectPace {
    /// The connections in a row that ended soon.
    failed: u32,
}

impl ReconnectPace {
    /// The pause after a connection that brought values for this long. `dice` is from 0 to 1.
    pub fn pause(&mut self, class: EndClass, lasted: Duration, dice: f64) -> Duration {
        if lasted >= GOOD_AFTER {
            self.failed = 0;
        }
        // Runtimes must not return in the same moment.
        let spread = |full: Duration| full.mul_f64(0.5 + dice.clamp(0.0, 1.0) / 2.0);
        match class {
            EndClass::Broken => spread(self.grown(RETRY)),
            EndClass::Overloaded(requested) => {
                let least = OVERLOAD.max(requested.unwrap_or_default().min(REQUESTED_MAX));
                // The spread comes on top: the server does not want anyone earlier.
                least.max(self.grown(OVERLOAD)) + spread(OVERLOAD)
            }
            EndClass::Refused => spread(AFTER_REFUSAL),
            EndClass::Missing => spread(AFTER_MISSING),
        }
    }

    /// This pause, doubled with each connection that ended soon.
    fn grown(&mut self, first: Duration) -> Duration {
        let grown = first.saturating_mul(1 << self.failed.min(16)).min(RETRY_MAX);
        self.failed = self.failed.saturating_add(1);
        grown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_from_100_ms_to_15_s_and_a_good_connection_resets_them() {
        let mut pace = ReconnectPace::default();
        let pauses: Vec<_> =
            (0..10).map(|_| pace.pause(EndClass::Broken, Duration::ZERO, 1.0).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 15_000, 15_000]);
        assert_eq!(pace.pause(EndClass::Broken, GOOD_AFTER, 1.0).as_millis(), 100);
        assert_eq!(
            pace.pause(EndClass::Broken, Duration::from_secs(14), 0.0).as_millis(),
            100,
            "half of 200"
        );
    }

    /// At least three seconds, and as long as the server asks for, within reason.
    #[test]
    fn an_overloaded_server_gets_its_pause() {
        let second = Duration::from_secs;
        for (requested, bounds) in [
            (None, [3, 6]),
            (Some(second(1)), [3, 6]),
            (Some(second(60)), [60, 63]),
            (Some(second(1_000_000)), [600, 603]),
        ] {
            for dice in [0.0, 0.5, 1.0] {
                let mut pace = ReconnectPace::default();
                let pause = pace.pause(EndClass::Overloaded(requested), Duration::ZERO, dice);
                let [least, most] = bounds.map(second);
                assert!((least..=most).contains(&pause), "{requested:?} {dice}: {pause:?}");
            }
        }
        let mut pace = ReconnectPace::default();
        let mut pause = || pace.pause(EndClass::Overloaded(None), Duration::ZERO, 0.0).as_millis();
        assert_eq!([pause(), pause(), pause(), pause()], [4_500, 7_500, 13_500, 16_500]);
    }

    /// No loop against a server that reports an error of this client, and no haste to find a missing query.
    #[test]
    fn refusals_and_a_missing_query_wait_long() {
        let mut pace = ReconnectPace::default();
        for dice in [0.0, 1.0] {
            assert!(pace.pause(EndClass::Refused, Duration::ZERO, dice) >= AFTER_REFUSAL / 2);
            assert!(pace.pause(EndClass::Missing, Duration::ZERO, dice) >= AFTER_MISSING / 2);
        }
    }
}
