//! Notifies a runtime on the same machine of new rows, so that it does not wait for its next list.
//!
//! A nudge is an empty `POST /nudge`. It is optional: if it does not arrive, the runtime finds the rows by
//! polling. The runtime lists at most every 25 ms, so new rows within that time share one nudge.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use log::{info, warn};

use mcr_clients::wire::{self, Phases, Roots, Stop};
use mcr_mission_control::Engine;
use mcr_model::BaseUrl;

/// The shortest time between two nudges.
const NUDGE_INTERVAL_MIN: Duration = Duration::from_millis(25);

/// How often the stop switch is checked while nothing happens.
const STOP_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The time limit of a nudge: the runtime is on this machine, or not running.
const NUDGE_TIMEOUT: Duration = Duration::from_secs(2);

/// Starts the thread, which ends with the switch.
pub(super) fn start(engine: Arc<Engine>, runtime: BaseUrl, stop: Stop) -> io::Result<()> {
    let roots = Roots::load(None).map_err(|why| io::Error::other(why.to_string()))?;
    let phases = Phases {
        connect: NUDGE_TIMEOUT,
        send: NUDGE_TIMEOUT,
        answer: NUDGE_TIMEOUT,
        body: NUDGE_TIMEOUT,
        idle: Duration::from_mins(1),
        idle_connections: 1,
    };
    let agent = wire::agent(&runtime, &roots, &phases);
    thread::Builder::new().name("nudges".to_owned()).spawn(move || {
        let mut seen = engine.wait_for_notification(u64::MAX, Duration::ZERO);
        let mut reached = None;
        while !stop.is_closed() {
            let now = engine.wait_for_notification(seen, STOP_CHECK_INTERVAL);
            if now == seen {
                continue;
            }
            seen = now;
            let answer = agent.post(runtime.join("/nudge")).send_empty();
            let arrived = answer.is_ok_and(|answer| answer.status() == 202);
            if reached != Some(arrived) {
                if arrived {
                    info!(runtime:%; "The runtime is notified of new rows");
                } else {
                    warn!(runtime:%; "The runtime accepts no nudges and finds new rows by polling");
                }
            }
            reached = Some(arrived);
            stop.wait(NUDGE_INTERVAL_MIN);
        }
    })?;
    Ok(())
}
