//! The events of sessions over the gateway's WebSocket: each shows progress of a running turn (spec §12.4).
//!
//! One connection follows any number of sessions. What it misses is lost, so events are signs of life and never
//! evidence of an outcome.

use std::time::Instant;

use super::HttpGateway;
use super::conversation::Conversation;
use super::socket::SocketFailure;
use mcr_core::gateway::codec::{self, SessionSign, TurnFailure, read_subscribed, subscription_params};
use mcr_model::SessionKey;

/// Why a session cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventsFailure {
    /// Not now: the gateway is away, or the connection broke.
    Broken(String),
    /// The gateway refuses it, or does not have it.
    Refused(String),
}

/// A connection that follows sessions.
pub struct SessionEvents<'a> {
    gateway: &'a HttpGateway,
    conversation: Conversation<'a>,
}

impl<'a> SessionEvents<'a> {
    pub(super) fn open(gateway: &'a HttpGateway) -> Result<Self, EventsFailure> {
        if !gateway.dialect().behaviour().session_events {
            return Err(EventsFailure::Refused("this release needs a paired device for it".to_owned()));
        }
        let conversation =
            Conversation::begin_following(gateway).map_err(|failure| events_failure(gateway, failure))?;
        Ok(Self { gateway, conversation })
    }

    /// Follows a session, and returns the gateway's name for it. The session need not exist yet.
    pub fn follow(&mut self, session: &SessionKey, agent: &str) -> Result<String, EventsFailure> {
        let name = self
            .name(session, agent)
            .map_err(|failure| EventsFailure::Refused(self.gateway.shared.error(failure).sentence.into()))?;
        let answer = self.request("sessions.messages.subscribe", &name)?;
        Ok(read_subscribed(&answer).unwrap_or(name))
    }

    /// Stops following a session of this name.
    pub fn leave(&mut self, name: &str) -> Result<(), EventsFailure> {
        self.request("sessions.messages.unsubscribe", name).map(|_| ())
    }

    /// Waits for the next sign of progress in any session; none if there is none until then.
    pub fn next(&mut self, until: Instant) -> Result<Option<SessionSign>, EventsFailure> {
        self.conversation.next_sign(until).map_err(|failure| events_failure(self.gateway, failure))
    }

    /// Closes the connection.
    pub fn end(self) {
        self.conversation.end();
    }

    fn name(&self, session: &SessionKey, agent: &str) -> Result<String, TurnFailure> {
        let agent = codec::agent_id(agent)?;
        self.gateway.name(session, &agent)
    }

    fn request(
        &mut self,
        method: &str,
        name: &str,
    ) -> Result<Box<serde_json::value::RawValue>, EventsFailure> {
        let answer = self.conversation.request(method, &subscription_params(name));
        answer.map_err(|failure| events_failure(self.gateway, failure))
    }
}

fn events_failure(gateway: &HttpGateway, failure: SocketFailure) -> EventsFailure {
    match failure {
        SocketFailure::Away(failure) => EventsFailure::Broken(gateway.shared.error(failure).sentence.into()),
        SocketFailure::Temporary(words) => EventsFailure::Broken(gateway.shared.words(&words)),
        SocketFailure::Declined(words) => EventsFailure::Refused(gateway.shared.words(&words)),
    }
}
