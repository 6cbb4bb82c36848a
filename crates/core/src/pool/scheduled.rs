//! The calls that keep a pool going, and when each is due (worker-pool C.3). A deployment may have crons for them instead.

use std::time::Duration;

use mcr_model::clock::Millis;

/// The pause before a call is repeated that did not reach the deployment.
const RETRY_PAUSE: Duration = Duration::from_mins(1);

/// A call on schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScheduledCall {
    /// Makes and ends workers, and releases expired leases.
    Reconcile,
    /// Queues the push messages that are due.
    Push,
    /// Deletes all machines and volumes of the app at Fly.
    Cleanup,
}

impl ScheduledCall {
    /// All calls.
    pub const ALL: [Self; 3] = [Self::Reconcile, Self::Push, Self::Cleanup];

    /// The name for people and in `/health`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reconcile => "reconcile",
            Self::Push => "push",
            Self::Cleanup => "cleanup",
        }
    }

    /// The interval, and the first time of a day, in UTC.
    fn slots(self) -> (i64, i64) {
        const MINUTE: i64 = 60_000;
        match self {
            Self::Reconcile => (5 * MINUTE, 0),
            Self::Push => (60 * MINUTE, 0),
            Self::Cleanup => (24 * 60 * MINUTE, 3 * 60 * MINUTE),
        }
    }

    /// The first slot after this time.
    pub fn next_slot(self, now: Millis) -> Millis {
        let (interval, first) = self.slots();
        Millis(first + interval * ((now.0 - first).div_euclid(interval) + 1))
    }

    /// When the call is first due in a new process. The first two only do what is due, so a process begins with them; the
    /// clean-up deletes what is in use, so it waits for its hour.
    pub fn first(self, now: Millis) -> Millis {
        match self {
            Self::Reconcile | Self::Push => now,
            Self::Cleanup => self.next_slot(now),
        }
    }

    /// When the call is due again. `is_lost`: it did not reach the deployment.
    pub fn next(self, now: Millis, is_lost: bool) -> Millis {
        let slot = self.next_slot(now);
        if is_lost { slot.min(now + RETRY_PAUSE) } else { slot }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Millis {
        Millis::from_rfc3339(text).unwrap()
    }

    #[test]
    fn the_slots_are_those_of_the_crons() {
        use ScheduledCall::{Cleanup, Push, Reconcile};
        let rows = [
            (Reconcile, "2026-03-01T10:02:30Z", "2026-03-01T10:05:00Z"),
            (Reconcile, "2026-03-01T10:05:00Z", "2026-03-01T10:10:00Z"),
            (Push, "2026-03-01T10:02:30Z", "2026-03-01T11:00:00Z"),
            (Push, "2026-03-01T23:59:59Z", "2026-03-02T00:00:00Z"),
            (Cleanup, "2026-03-01T02:59:59Z", "2026-03-01T03:00:00Z"),
            (Cleanup, "2026-03-01T03:00:00Z", "2026-03-02T03:00:00Z"),
            (Cleanup, "2026-03-01T10:00:00Z", "2026-03-02T03:00:00Z"),
        ];
        for (call, now, expected) in rows {
            assert_eq!(call.next_slot(at(now)), at(expected), "{call:?} {now}");
            assert_eq!(call.next(at(now), false), at(expected));
        }
    }

    #[test]
    fn a_lost_call_is_repeated_soon_and_a_new_process_deletes_nothing_at_once() {
        let now = at("2026-03-01T10:02:30Z");
        for call in ScheduledCall::ALL {
            assert_eq!(call.next(now, true), now + Duration::from_mins(1), "{call:?}");
            let waits = call.first(now) > now;
            assert_eq!(waits, call == ScheduledCall::Cleanup, "{call:?}");
        }
        let late = at("2026-03-01T10:04:30Z");
        assert_eq!(ScheduledCall::Reconcile.next(late, true), at("2026-03-01T10:05:00Z"));
    }
}
