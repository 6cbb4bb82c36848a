//! The threads of background tasks.

use std::io;
use std::thread;
use std::time::Duration;

use mcr_clients::wire::Stop;
use mcr_http::panics::Panics;

/// The pause before a task that panicked is restarted.
const PANIC_RESTART_PAUSE: Duration = Duration::from_secs(1);

/// Starts the thread of a task, which ends when the switch is closed. After a panic the task is restarted.
pub(super) fn spawn(
    name: &'static str,
    panics: Panics,
    stop: Stop,
    mut chore: impl FnMut() + Send + 'static,
) -> io::Result<()> {
    let keep_on = move || {
        while panics.catch(name, &mut chore).is_none() && !stop.is_closed() {
            stop.wait(PANIC_RESTART_PAUSE);
        }
    };
    thread::Builder::new().name(name.to_owned()).spawn(keep_on).map(drop)
}
