//! Checks that the text of a reply is the agent's before anyone sees it ([`mcr_core::gateway::authorship`]).

use log::info;

use super::reply_history::find;
use super::{HttpGateway, Outbound};
use mcr_core::gateway::Reply;
use mcr_core::gateway::authorship::{Trust, trust, verdict};
use mcr_core::gateway::codec::TurnFailure;
use mcr_core::gateway::history::{TextSource, source_of};

/// The reply, if its text is the agent's.
pub(super) fn check(
    gateway: &HttpGateway,
    outbound: &Outbound<'_>,
    reply: Reply,
) -> Result<Reply, TurnFailure> {
    let trust = trust(&reply, outbound.dialect);
    let source = match &trust {
        Trust::Full => return Ok(reply),
        Trust::Checked | Trust::Doubted(_) => source(gateway, outbound, &reply),
    };
    let run = reply.id.clone();
    let checked = verdict(reply, trust, source);
    if let Err(failure) = &checked {
        let (agent, run) = (outbound.agent.as_str(), run.as_deref().unwrap_or_default());
        info!(agent, run, reason = failure.why.explain(); "The gateway's own text was not taken for an answer");
    }
    checked
}

fn source(gateway: &HttpGateway, outbound: &Outbound<'_>, reply: &Reply) -> TextSource {
    let text = reply.text.as_deref().unwrap_or_default();
    let mut last = TextSource::Unknown;
    find(gateway, outbound, reply.id.as_deref(), |mark, items| {
        last = source_of(mark, text, items);
        // The item may follow.
        (!matches!(last, TextSource::NoAnswer | TextSource::Unknown)).then_some(last)
    })
    .unwrap_or(last)
}
