//! Waits for a state that no channel announces: a counter, a file, another process. Addresses that stay free meanwhile.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// No state takes this long, even on a loaded machine.
const PATIENCE: Duration = Duration::from_mins(2);

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

/// An address for a server that is bound later. No other test gets its port, because the loopback host is its own.
pub(crate) fn own_address() -> SocketAddr {
    static HOSTS: AtomicU16 = AtomicU16::new(1);
    let [high, low] = HOSTS.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    TcpListener::bind(SocketAddr::from(([127, 1, high, low], 0))).unwrap().local_addr().unwrap()
}

/// Waits until a server can listen at an address again. While a server restarts, a client of another test may get its port.
pub(crate) fn until_free(address: &str) {
    until("the port", || TcpListener::bind(address).is_ok());
}
