//! Waits for a state that no channel announces: a counter, a file, another process.

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

/// No state takes this long, even on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The time between two checks.
const CHECK_INTERVAL: Duration = Duration::from_millis(5);

/// Waits until the condition holds. `what` names it in the failure.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "{what} does not come");
        thread::sleep(CHECK_INTERVAL);
    }
}

/// Waits until a server can listen at an address again. While a server restarts, a client of another test may get its port.
pub(crate) fn until_free(address: &str) {
    until("the port", || TcpListener::bind(address).is_ok());
}
