//! Limits the rate of nudges from outside: each nudge causes a list, and a list costs a backend call.
//!
//! A single nudge acts at once. A flood is accepted and coalesced: it causes a few lists a second, with the
//! last list after the last nudge.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use mcr_http::panics::Panics;

const THREAD: &str = "nudges";

/// Nudges that act at once after a pause.
const BURST: u32 = 8;
/// The time after which one more nudge may act.
const REFILL: Duration = Duration::from_millis(250);

/// Accepts nudges. Its thread ends when this is dropped.
pub(super) struct NudgeLimiter(Sender<()>);

impl NudgeLimiter {
    /// Starts the thread that forwards nudges.
    pub(super) fn start(panics: Panics, nudge: impl Fn() + Send + 'static) -> io::Result<Self> {
        // One waiting nudge is as good as many.
        let (bell, rings) = bounded(1);
        thread::Builder::new().name(THREAD.to_owned()).spawn(move || pass_on(&rings, &panics, &nudge))?;
        Ok(Self(bell))
    }

    /// Accepts a nudge: there may be new rows.
    pub(super) fn ring(&self) {
        // A full channel already has the message.
        let _ = self.0.try_send(());
    }
}

fn pass_on(rings: &Receiver<()>, panics: &Panics, nudge: &dyn Fn()) {
    let mut bucket = Bucket { tokens: BURST, since: Instant::now() };
    while rings.recv().is_ok() {
        thread::sleep(bucket.take(Instant::now()));
        panics.catch(THREAD, nudge);
    }
}

/// The tokens, and since when the next one has been refilling.
struct Bucket {
    tokens: u32,
    since: Instant,
}

impl Bucket {
    /// Takes a token. Returns how long to wait for it.
    fn take(&mut self, now: Instant) -> Duration {
        while self.tokens < BURST && now.saturating_duration_since(self.since) >= REFILL {
            self.tokens += 1;
            self.since += REFILL;
        }
        if self.tokens == BURST {
            self.since = now;
        }
        if let Some(left) = self.tokens.checked_sub(1) {
            self.tokens = left;
            return Duration::ZERO;
        }
        self.since += REFILL;
        self.since.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_acts_at_once_and_a_flood_four_times_a_second() {
        let mut now = Instant::now();
        let mut bucket = Bucket { tokens: BURST, since: now };
        let begun = now;
        for number in 0..48 {
            now += bucket.take(now);
            let expected = REFILL * u32::saturating_sub(number + 1, BURST);
            assert_eq!(now - begun, expected, "nudge {number}");
        }
        now += Duration::from_hours(1);
        for _ in 0..BURST {
            assert_eq!(bucket.take(now), Duration::ZERO, "full again, and no fuller");
        }
        assert_eq!(bucket.take(now), REFILL);
    }
}
