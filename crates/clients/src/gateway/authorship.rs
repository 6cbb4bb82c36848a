//! Checks that the text of a reply is the agent's before anyone sees it ([`mcr_core::gateway::authorship`]).

use std::time::Duration;

use log::info;

use super::session_history::{self, HistoryUnavailable};
use super::{HttpGateway, Outbound};
use mcr_core::gateway::authorship::{Trust, trust, verdict};
use mcr_core::gateway::codec::TurnFailure;
use mcr_core::gateway::history::{TextSource, TurnMark, source_of};
use mcr_core::gateway::{Input, Reply};

/// The history may have an answer a moment after the reply: how often to read it, after which pause.
const READINGS_MAX: u32 = 3;
const READING_PAUSE: Duration = Duration::from_millis(300);

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
    let (marker, outputs) = match outbound.turn.input {
        // The marker is the input's beginning, up to its bracket.
        Input::Message(text) => (text.split_inclusive(']').next().unwrap_or(text), &[][..]),
        Input::Outputs(outputs) => ("", outputs),
    };
    let mark = TurnMark { marker, outputs, run: reply.id.as_deref(), ..TurnMark::default() };
    let mut found = TextSource::Unknown;
    for reading in 1..=READINGS_MAX {
        found = match session_history::read(gateway, &outbound.session, &mark) {
            Ok(shown) => source_of(&mark, text, &shown.items),
            Err(HistoryUnavailable::Refused) => return TextSource::Unknown,
            Err(HistoryUnavailable::Away(_) | HistoryUnavailable::Temporary) => TextSource::Unknown,
        };
        let may_follow = matches!(found, TextSource::NoItem | TextSource::Unknown);
        if !may_follow || reading == READINGS_MAX || gateway.stop.wait(READING_PAUSE) {
            break;
        }
    }
    found
}
