//! Waits for a state that no channel announces: a counter, a file, another process.

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
