//! What follows the end of a delivery, and what a person can do.

use super::why::Case;
use crate::work::Work;

/// After a row that the loop brake has stopped.
pub(super) fn team_limit(case: &Case) -> String {
    format!(
        "Nothing happens until a person acts: a message in the thread, or `dead retry {}`, lets the agents there continue.",
        case.work.id
    )
}

/// After a delivery that was given up.
pub(super) fn dead(case: &Case) -> String {
    let id = &case.work.id;
    let again = if case.record.unposted.is_some() {
        "posts the answer that the agent has given"
    } else {
        "sends a new turn"
    };
    format!(
        "Nothing happens until you decide: `dead retry {id}` {again}, `dead drop {id}` closes it permanently."
    )
}

/// Why work was stopped by a person, and what happens next.
pub(super) fn stopped(work: &Work) -> (&'static str, &'static str) {
    if work.is_heartbeat() {
        (
            "a person stopped the work on a task of this heartbeat",
            "The agent's next heartbeat comes after its interval, without that task. No action needed.",
        )
    } else {
        (
            "a person stopped the work on this task",
            "Nothing happens until you act: mention the agent to ask again.",
        )
    }
}
