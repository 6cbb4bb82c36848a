//! Logs changes of the scheduler's state, each once.

use log::{error, info, warn};

use mcr_core::delivery::scheduler::SchedulerState;

/// Logs a change of the breaker once, not for every item that meets it.
pub(super) fn log_breaker(before: &SchedulerState, now: &SchedulerState) {
    match (&before.breaker_open, &now.breaker_open) {
        (None, Some(why)) => {
            warn!(waiting = now.known, reason = why.as_str(); "No turns start until the gateway is back");
        }
        (Some(_), None) => info!(waiting = now.known; "The gateway is back"),
        (None, None) | (Some(_), Some(_)) => {}
    }
}

/// Logs a change of the sign of another runtime once.
pub(super) fn log_duplicate_runtime(before: &SchedulerState, now: &SchedulerState) {
    match (&before.foreign, &now.foreign) {
        (before, now) if before == now => {}
        (_, Some(foreign)) if foreign.certain => {
            error!(reason:% = foreign; "Another runtime works on this account");
        }
        (_, Some(foreign)) => warn!(reason:% = foreign; "Another runtime may work on this account"),
        (_, None) => info!("No other runtime is active on this account any more; delivery continues"),
    }
}
