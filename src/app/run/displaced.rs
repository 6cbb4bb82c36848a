//! Watches whether `STATE_DIR` still leads to the ledger of this process.
//!
//! A folder that was moved, deleted, replaced or mounted over is open to a second runtime. This process would
//! then write where no one reads. So no new work starts until the folder is back. Running deliveries are
//! finished.

use std::time::Duration;

use log::{error, info};

use super::state::State;
use mcr_clients::wire::Stop;
use mcr_core::delivery::operator_requests::OperatorRequest;
use mcr_core::ops::reasons::STATE_DIR_MOVED;
use mcr_service::delivery::service::View;

/// How often the folder is checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Checks the folder until the switch is closed.
pub(super) fn watch(state: &State, view: &View, stop: &Stop) {
    // The state last sent to the dispatcher. After a panic it starts empty, so the dispatcher is informed again.
    let mut last_sent = None;
    while !stop.is_closed() {
        let now = state.check_folder();
        // If the dispatcher does not answer, the next check tries again.
        if last_sent.as_ref() != Some(&now) && view.ask(OperatorRequest::Suspend(now.is_some())).is_some() {
            match (&now, last_sent) {
                (Some(why), _) => {
                    error!(reason = why.as_str(), remedy = STATE_DIR_MOVED; "No new work starts");
                }
                (None, Some(Some(_))) => info!("Work continues: STATE_DIR is back in its place"),
                (None, _) => {}
            }
            last_sent = Some(now);
        }
        stop.wait(CHECK_INTERVAL);
    }
}
