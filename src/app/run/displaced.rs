//! Watches whether `STATE_DIR` still leads to the ledger of this process.
//!
//! A folder that was moved, deleted, replaced or covered by another file system is open to a second runtime, while this one
//! writes where nobody looks. So nothing new begins until the folder is back. Deliveries that run are finished.

use std::time::Duration;

use log::{error, info};

use super::state::State;
use mcr_clients::wire::Stop;
use mcr_core::delivery::operator_requests::OperatorRequest;
use mcr_core::ops::reasons::STATE_DIR_MOVED;
use mcr_service::delivery::service::View;

/// How often the folder is checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Checks until the switch is closed.
pub(super) fn watch(state: &State, view: &View, stop: &Stop) {
    // What the dispatcher was last told. Begun anew after a panic, this tells it again.
    let mut told = None;
    while !stop.is_closed() {
        let now = state.check_the_folder();
        // Without an answer of the dispatcher the next check tries again.
        if told.as_ref() != Some(&now) && view.ask(OperatorRequest::Suspend(now.is_some())).is_some() {
            match (&now, told) {
                (Some(why), _) => error!("nothing new begins: {STATE_DIR_MOVED} ({why})"),
                (None, Some(Some(_))) => info!("STATE_DIR is back in its place: going on"),
                (None, _) => {}
            }
            told = Some(now);
        }
        stop.wait(CHECK_INTERVAL);
    }
}
