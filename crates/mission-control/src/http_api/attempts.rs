//! Limits wrong admin keys and wrong one-time tokens by the address of the client.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The wrong attempts of one client in [`WINDOW`].
const ATTEMPTS: u32 = 20;

/// The time in which attempts are counted, and after which a client may try again.
const WINDOW: Duration = Duration::from_mins(1);

/// [`WINDOW`] in seconds, for the header `Retry-After`.
pub(super) const RETRY_AFTER: &str = "60";

/// The most clients that are remembered. A further one replaces the one whose window is the oldest.
const CLIENTS: usize = 4_096;

/// The wrong attempts of the last minute.
#[derive(Default)]
pub(super) struct Attempts(Mutex<HashMap<IpAddr, Count>>);

struct Count {
    since: Instant,
    wrong: u32,
}

impl Attempts {
    /// Whether this client must wait.
    pub(super) fn is_blocked(&self, client: IpAddr) -> bool {
        self.is_blocked_at(client, Instant::now())
    }

    /// Counts a wrong attempt.
    pub(super) fn failed(&self, client: IpAddr) {
        self.failed_at(client, Instant::now());
    }

    fn is_blocked_at(&self, client: IpAddr, now: Instant) -> bool {
        let counts = self.lock();
        counts.get(&network(client)).is_some_and(|count| count.is_fresh(now) && count.wrong >= ATTEMPTS)
    }

    fn failed_at(&self, client: IpAddr, now: Instant) {
        let client = network(client);
        let mut counts = self.lock();
        if counts.len() >= CLIENTS && !counts.contains_key(&client) {
            let oldest = counts.iter().min_by_key(|(_, count)| count.since).map(|(client, _)| *client);
            oldest.and_then(|oldest| counts.remove(&oldest));
        }
        let count = counts.entry(client).or_insert(Count { since: now, wrong: 0 });
        if !count.is_fresh(now) {
            *count = Count { since: now, wrong: 0 };
        }
        count.wrong += 1;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Count>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Count {
    fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) < WINDOW
    }
}

/// A client with an IPv6 address has a whole /64 of them.
fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(ip) => Ipv6Addr::from(u128::from(ip) >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_client_with_too_many_wrong_attempts_waits_and_others_do_not() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for (client, neighbour, stranger) in [
            ("203.0.113.9", "203.0.113.9", "203.0.113.10"),
            ("2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1"),
        ] {
            for _ in 0..ATTEMPTS {
                assert!(!attempts.is_blocked_at(ip(client), now));
                attempts.failed_at(ip(client), now);
            }
            assert!(attempts.is_blocked_at(ip(client), now) && attempts.is_blocked_at(ip(neighbour), now));
            assert!(!attempts.is_blocked_at(ip(stranger), now));
            assert!(!attempts.is_blocked_at(ip(client), now + WINDOW));
        }
    }

    #[test]
    fn the_memory_for_clients_is_limited() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for number in 0..10_000_u32 {
            attempts
                .failed_at(IpAddr::from(number.to_be_bytes()), now + Duration::from_millis(number.into()));
        }
        assert_eq!(attempts.lock().len(), CLIENTS);
    }
}
