//! What follows from changes of the scheduler's state: log lines, and the wake-up of background tasks.

use log::{error, info, warn};

use crate::wakeup::Wakeup;
use mcr_core::delivery::scheduler::SchedulerState;

/// Wakes the reporter of the status after a change that the report shows. Wakes the thread of the roster when the account
/// is active again, because the roster may be due at the shorter interval.
pub(super) fn wake_background_tasks(
    before: &SchedulerState,
    now: &SchedulerState,
    reporter: &Wakeup,
    roster: &Wakeup,
) {
    let shown = |state: &SchedulerState| (state.breaker_open.is_some(), state.foreign.is_some());
    if shown(before) != shown(now) {
        reporter.notify();
    }
    if before.is_idle && !now.is_idle {
        roster.notify();
    }
}

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

/// Logs when lists become rarer to save calls of the backend, and when that ends.
pub(super) fn log_lists_limited(before: &SchedulerState, now: &SchedulerState) {
    match (before.lists_limited, now.lists_limited) {
        (false, true) => {
            warn!(
                "The calls of the backend exceed BACKEND_CALLS_MONTHLY; lists come at DELIVERY_INTERVAL only"
            );
        }
        (true, false) => info!("The calls of the backend are within BACKEND_CALLS_MONTHLY again"),
        (false, false) | (true, true) => {}
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
