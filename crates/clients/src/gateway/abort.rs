//! Ending a run: `sessions.abort` over the WebSocket, and a little patience until it is over (spec §11.4).

use std::time::{Duration, Instant};

use log::info;

use super::HttpGateway;
use super::conversation::Conversation;
use super::socket::SocketFailure;
use mcr_core::gateway::codec::{
    self, TurnFailure, abort_params, in_flight_params, read_aborted, read_in_flight,
};
use mcr_core::gateway::{Class, Why};
use mcr_model::SessionKey;

/// Until an aborted run is over; it takes a tenth of a second.
const WINDING_UP: Duration = Duration::from_secs(5);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(100);

pub(super) fn abort(
    gateway: &HttpGateway,
    session: &SessionKey,
    agent: &str,
    run: Option<&str>,
) -> Result<bool, TurnFailure> {
    let agent = codec::agent_id(agent)?;
    let key = gateway.name(session, &agent)?;
    let ended = ended(gateway, &key, run).map_err(|mute| match mute {
        SocketFailure::Away(failure) => failure,
        SocketFailure::Hiccup(words) => TurnFailure::new(Class::Closed, Why::Unreachable).with_detail(words),
        SocketFailure::Declined(words) => {
            TurnFailure::new(Class::Refused, Why::NotOverSocket).with_detail(words)
        }
    })?;
    let run = run.unwrap_or("without an id");
    let what = if ended { "was ended" } else { "had ended by itself" };
    info!("the run of {agent} {what} ({run})");
    Ok(ended)
}

fn ended(gateway: &HttpGateway, key: &str, run: Option<&str>) -> Result<bool, SocketFailure> {
    let mut conversation = Conversation::begin(gateway)?;
    let mut ended = match run {
        Some(run) => end(&mut conversation, key, Some(run))?,
        None => false,
    };
    if !ended {
        // A turn that the gateway has resumed by itself runs under another id.
        let running = in_flight(&mut conversation, key)?;
        ended = end(&mut conversation, key, running.as_deref())?;
    }
    let until = Instant::now() + WINDING_UP;
    while ended && in_flight(&mut conversation, key)?.is_some() && Instant::now() < until {
        if gateway.stop.wait(LOOK) {
            break;
        }
    }
    conversation.end();
    Ok(ended)
}

fn end(conversation: &mut Conversation<'_>, key: &str, run: Option<&str>) -> Result<bool, SocketFailure> {
    let answer = conversation.ask("sessions.abort", &abort_params(key, run))?;
    let not_understood =
        || SocketFailure::Declined("its answer to sessions.abort is not understood".to_owned());
    read_aborted(&answer).ok_or_else(not_understood)
}

fn in_flight(conversation: &mut Conversation<'_>, key: &str) -> Result<Option<String>, SocketFailure> {
    Ok(read_in_flight(&conversation.ask("chat.history", &in_flight_params(key))?))
}
