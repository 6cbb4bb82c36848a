//! Tells a runtime on the same machine that there are new rows, so that it need not wait for its next list.
//!
//! A nudge is an empty `POST /nudge`. It is a courtesy: where it does not arrive, the runtime's own lists find the
//! rows. New rows are told together: the runtime lists at most every 25 ms, so more nudges would be noise.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use log::{info, warn};

use mcr_clients::wire::{self, Phases, Roots, Stop};
use mcr_mission_control::Engine;
use mcr_model::BaseUrl;

/// The least time between two nudges.
const BETWEEN: Duration = Duration::from_millis(25);

/// How often the switch is looked at while nothing happens.
const LOOK_UP: Duration = Duration::from_secs(1);

/// It is on this machine, or not there.
const PATIENCE: Duration = Duration::from_secs(2);

/// Starts the thread; it ends with the switch.
pub(super) fn start(engine: Arc<Engine>, runtime: BaseUrl, stop: Stop) -> io::Result<()> {
    let roots = Roots::load(None).map_err(|why| io::Error::other(why.to_string()))?;
    let phases = Phases {
        connect: PATIENCE,
        send: PATIENCE,
        answer: PATIENCE,
        body: PATIENCE,
        idle: Duration::from_mins(1),
        idle_connections: 1,
    };
    let agent = wire::agent(&runtime, &roots, &phases);
    thread::Builder::new().name("nudges".to_owned()).spawn(move || {
        let mut told = engine.wait_for_told(u64::MAX, Duration::ZERO);
        let mut reached = None;
        while !stop.is_closed() {
            let now = engine.wait_for_told(told, LOOK_UP);
            if now == told {
                continue;
            }
            told = now;
            let answer = agent.post(runtime.join("/nudge")).send_empty();
            let arrived = answer.is_ok_and(|answer| answer.status() == 202);
            if reached != Some(arrived) {
                if arrived {
                    info!("the runtime at {runtime} is told of new rows");
                } else {
                    warn!("no runtime at {runtime} takes nudges; it finds new rows by itself");
                }
            }
            reached = Some(arrived);
            stop.wait(BETWEEN);
        }
    })?;
    Ok(())
}
