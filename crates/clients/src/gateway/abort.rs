//! Ends a run with `sessions.abort` over the WebSocket, then waits briefly until the run has stopped (spec
//! §11.4).

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

/// The longest wait for an aborted run to stop. It usually takes a tenth of a second.
const ABORT_WAIT_MAX: Duration = Duration::from_secs(5);
/// The pause between two checks whether the run has stopped.
const ABORT_POLL_PAUSE: Duration = Duration::from_millis(100);

pub(super) fn abort(
    gateway: &HttpGateway,
    session: &SessionKey,
    agent: &str,
    run: Option<&str>,
) -> Result<bool, TurnFailure> {
    let agent = codec::agent_id(agent)?;
    let key = gateway.name(session, &agent)?;
    let ended = ended(gateway, &key, run).map_err(|failure| match failure {
        SocketFailure::Away(failure) => failure,
        SocketFailure::Temporary(words) => {
            TurnFailure::new(Class::Closed, Why::Unreachable).with_detail(words)
        }
        SocketFailure::Declined(words) => {
            TurnFailure::new(Class::Refused, Why::NotOverSocket).with_detail(words)
        }
    })?;
    info!(agent:%, run = run.unwrap_or_default(), run_ended = ended; "Abort requested at the gateway");
    Ok(ended)
}

fn ended(gateway: &HttpGateway, key: &str, run: Option<&str>) -> Result<bool, SocketFailure> {
    let mut conversation = Conversation::begin(gateway)?;
    let mut ended = match run {
        Some(run) => end(&mut conversation, key, Some(run))?,
        None => false,
    };
    if !ended {
        // The gateway resumes a turn under another run id.
        let running = in_flight(&mut conversation, key)?;
        ended = end(&mut conversation, key, running.as_deref())?;
    }
    let until = Instant::now() + ABORT_WAIT_MAX;
    while ended && in_flight(&mut conversation, key)?.is_some() && Instant::now() < until {
        if gateway.stop.wait(ABORT_POLL_PAUSE) {
            break;
        }
    }
    conversation.end();
    Ok(ended)
}

fn end(conversation: &mut Conversation<'_>, key: &str, run: Option<&str>) -> Result<bool, SocketFailure> {
    let answer = conversation.request("sessions.abort", &abort_params(key, run))?;
    let not_understood =
        || SocketFailure::Declined("its answer to sessions.abort is not understood".to_owned());
    read_aborted(&answer).ok_or_else(not_understood)
}

fn in_flight(conversation: &mut Conversation<'_>, key: &str) -> Result<Option<String>, SocketFailure> {
    Ok(read_in_flight(&conversation.request("chat.history", &in_flight_params(key))?))
}
