//! How long the runtime waits before it connects again.

use std::time::Duration;

/// The first pause after a connection broke. It doubles with each further one.
const RETRY: Duration = Duration::from_millis(100);

/// The longest pause after connections that broke.
const RETRY_MAX: Duration = Duration::from_secs(15);

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
    /// The next one would end in the same way, until something is changed.
    Refused,
    /// The backend does not have the query, as far as it says.
    Missing,
}

/// The pauses between connections.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReconnectPace {
    /// The connections in a row that broke soon.
    broken: u32,
}

impl ReconnectPace {
    /// The pause after a connection that brought values for this long. `dice` is from 0 to 1.
    pub fn pause(&mut self, class: EndClass, lasted: Duration, dice: f64) -> Duration {
        let full = match class {
            EndClass::Broken => {
                if lasted >= GOOD_AFTER {
                    self.broken = 0;
                }
                let full = RETRY.saturating_mul(1 << self.broken.min(16)).min(RETRY_MAX);
                self.broken = self.broken.saturating_add(1);
                full
            }
            EndClass::Refused => AFTER_REFUSAL,
            EndClass::Missing => AFTER_MISSING,
        };
        // Between half and all of it, so that runtimes do not return in the same moment.
        full.mul_f64(0.5 + dice.clamp(0.0, 1.0) / 2.0)
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

    /// No loop against a server that calls this client wrong, and no haste to find what is not there.
    #[test]
    fn refusals_and_a_missing_query_wait_long() {
        let mut pace = ReconnectPace::default();
        for dice in [0.0, 1.0] {
            assert!(pace.pause(EndClass::Refused, Duration::ZERO, dice) >= AFTER_REFUSAL / 2);
            assert!(pace.pause(EndClass::Missing, Duration::ZERO, dice) >= AFTER_MISSING / 2);
        }
    }
}
