//! Keeps systemd informed while the service runs, and feeds its watchdog as long as the dispatcher answers.
//!
//! The proof of life goes through the dispatcher's inbox and back. So a dispatcher that hangs starves the watchdog, and
//! systemd restarts the process; the ledger has everything for the next one. A slow gateway or backend does not starve
//! the watchdog: they keep only workers, the poller and the stall monitor waiting, and those have time limits of their own.

use std::ffi::OsString;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use log::{error, info, warn};

use super::Notifier;

/// The variables of the watchdog: its time limit in microseconds, and the process that it watches.
const LIMIT: &str = "WATCHDOG_USEC";
const PROCESS: &str = "WATCHDOG_PID";

/// The longest time between two looks at the status.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);

/// The pause after a look that found the service not ready, or the dispatcher silent.
const RETRY_INTERVAL: Duration = Duration::from_millis(250);

/// The watchdog of systemd, as it is set for this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watchdog {
    /// Half of the time limit, as `sd_watchdog_enabled(3)` recommends.
    interval: Duration,
}

impl Watchdog {
    /// The watchdog in this environment. A limit that is no number is logged; a watchdog of another process is none.
    pub fn of(env: impl Fn(&str) -> Option<OsString>, process: u32) -> Option<Self> {
        let number = |name: &str| {
            let text = env(name)?;
            let number = text.to_str().and_then(|text| text.parse::<u64>().ok()).filter(|number| *number > 0);
            if number.is_none() {
                warn!(variable = name, value:% = text.display(); "The watchdog of systemd is not fed: its limit is not a positive number");
            }
            Some(number)
        };
        let limit = number(LIMIT)??;
        match number(PROCESS) {
            Some(watched) if watched != Some(process.into()) => None,
            Some(_) | None => Some(Self { interval: Duration::from_micros(limit) / 2 }),
        }
    }
}

/// The facts that systemd is informed of.
pub struct Reports<'a> {
    /// Whether the service answers on its own address.
    pub is_ready: &'a dyn Fn() -> bool,
    /// Whether the dispatcher answers.
    pub is_alive: &'a dyn Fn() -> bool,
    /// The line for `systemctl status`.
    pub status: &'a dyn Fn() -> String,
}

impl Reports<'_> {
    /// Announces the service as soon as it is ready, then its life and its status, until the deliveries have `ended`.
    pub fn send(&self, to: &Notifier, watchdog: Option<Watchdog>, ended: &Receiver<()>) {
        let ends_within = |time| ended.recv_timeout(time) != Err(RecvTimeoutError::Timeout);
        while !(self.is_ready)() {
            if ends_within(RETRY_INTERVAL) {
                return;
            }
        }
        let mut last = (self.status)();
        to.ready(&last);
        let interval = watchdog.map_or(STATUS_INTERVAL, |watchdog| watchdog.interval.min(STATUS_INTERVAL));
        let mut is_silent = false;
        loop {
            let lives = watchdog.is_none() || (self.is_alive)();
            if lives && watchdog.is_some() {
                to.alive();
            }
            let status = if lives { (self.status)() } else { "the dispatcher does not answer".to_owned() };
            if status != last {
                to.status(&status);
                last = status;
            }
            if ends_within(if lives { interval } else { RETRY_INTERVAL }) {
                return;
            }
            match (lives, is_silent) {
                (false, false) => error!(
                    "The dispatcher does not answer. If that lasts, systemd restarts the service; please report it as a bug"
                ),
                (true, true) => info!("The dispatcher answers again"),
                (true, false) | (false, true) => {}
            }
            is_silent = !lives;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `sd_watchdog_enabled(3)`.
    #[test]
    fn the_watchdog_is_fed_at_half_of_its_limit_by_the_process_that_it_watches() {
        let rows: [(Option<&str>, Option<&str>, Option<u64>); 10] = [
            (None, None, None),
            (None, Some("7"), None),
            (Some("60000000"), None, Some(30_000)),
            (Some("60000000"), Some("7"), Some(30_000)),
            (Some("60000000"), Some("8"), None),
            (Some("60000000"), Some("self"), None),
            (Some("0"), Some("7"), None),
            (Some("-1"), None, None),
            (Some("soon"), None, None),
            (Some(""), None, None),
        ];
        for (limit, process, expected) in rows {
            let env = |name: &str| if name == LIMIT { limit } else { process }.map(OsString::from);
            let expected = expected.map(|ms| Watchdog { interval: Duration::from_millis(ms) });
            assert_eq!(Watchdog::of(env, 7), expected, "{limit:?} {process:?}");
        }
    }
}
