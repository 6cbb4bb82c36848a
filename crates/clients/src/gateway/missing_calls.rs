//! Adds to a reply the calls that the gateway has left out (spec §12.3). The history has them.

use log::info;

use super::reply_history::find;
use super::{HttpGateway, Outbound};
use mcr_core::gateway::Reply;
use mcr_core::gateway::history::with_missing_calls;

/// The reply with all calls of its turn, as far as the history shows them.
pub(super) fn add(gateway: &HttpGateway, outbound: &Outbound<'_>, mut reply: Reply) -> Reply {
    if reply.calls.is_empty() || !outbound.dialect.may_lose_calls() {
        return reply;
    }
    let agent = outbound.agent.as_str();
    let run = reply.id.clone();
    let all =
        find(gateway, outbound, run.as_deref(), |mark, items| with_missing_calls(mark, &reply.calls, items));
    let Some(all) = all else {
        info!(agent; "The calls of a reply cannot be compared with the session's history: others may be missing");
        return reply;
    };
    if all.len() > reply.calls.len() {
        let missing = all.len() - reply.calls.len();
        info!(agent, run = run.as_deref().unwrap_or_default(), calls = missing;
            "Calls that a reply lacked were found in the session's history");
    }
    reply.calls = all;
    reply
}
