//! An authenticated exchange over the gateway's WebSocket: connect once, then one request after the other.

use std::time::{Duration, Instant};

use serde_json::Value;
use serde_json::value::RawValue;

use super::HttpGateway;
use super::socket::{Socket, SocketFailure};
use mcr_core::gateway::codec::{
    Heard, SessionSign, connect, connect_following, parse_message, read_sign, read_uptime, spoken_request,
};
use mcr_model::json;

/// The most messages to read for one answer. The others are events of the gateway and of whole runs, word by
/// word.
const MESSAGES_MAX: usize = 20_000;

/// An answer is copied, so its size is bounded: twice the longest text of a reply, because of JSON escapes.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// An exchange with a gateway that has accepted our connection.
pub(super) struct Conversation<'a> {
    gateway: &'a HttpGateway,
    socket: Socket,
    requests: u32,
    up: Option<Duration>,
}

impl<'a> Conversation<'a> {
    /// Opens a socket and authenticates once the gateway has sent its challenge.
    pub(super) fn begin(gateway: &'a HttpGateway) -> Result<Self, SocketFailure> {
        Self::begin_with(gateway, connect)
    }

    /// Like [`Conversation::begin`], for the events of sessions.
    pub(super) fn begin_following(gateway: &'a HttpGateway) -> Result<Self, SocketFailure> {
        Self::begin_with(gateway, connect_following)
    }

    fn begin_with(
        gateway: &'a HttpGateway,
        connect: fn(u32, Option<&str>) -> String,
    ) -> Result<Self, SocketFailure> {
        let until = Instant::now() + gateway.shared.limits.socket;
        let socket = Socket::open(gateway, until)?;
        let mut conversation = Self { gateway, socket, requests: 1, up: None };
        conversation.wait(until, |heard| matches!(heard, Heard::Challenge).then_some(Ok(())))?;
        let token = gateway.shared.token.as_ref().map(mcr_model::secret::Secret::expose);
        let hello = connect(conversation.requests, token);
        conversation.send(&hello, until)?;
        conversation.up = read_uptime(&conversation.answer(until)?);
        Ok(conversation)
    }

    /// The uptime of the gateway's process when it accepted the connection, if it showed it.
    pub(super) fn uptime(&self) -> Option<Duration> {
        self.up
    }

    /// Sends a request and waits for its answer.
    pub(super) fn request(&mut self, method: &str, params: &Value) -> Result<Box<RawValue>, SocketFailure> {
        let until = Instant::now() + self.gateway.shared.limits.socket;
        self.requests += 1;
        self.send(&spoken_request(self.requests, method, params), until)?;
        self.answer(until)
    }

    /// Waits for an event that shows progress in a session; none if there is none until then.
    pub(super) fn next_sign(&mut self, until: Instant) -> Result<Option<SessionSign>, SocketFailure> {
        while Instant::now() < until {
            let Some(text) = self.socket.receive_text_before(until)? else { return Ok(None) };
            match parse_message(&json::text(&text)).ok_or_else(not_understood)? {
                Heard::Event { name, payload } => {
                    if let Some(sign) = read_sign(&name, payload) {
                        return Ok(Some(sign));
                    }
                }
                Heard::Challenge | Heard::Answer { .. } => {}
            }
        }
        Ok(None)
    }

    /// Closes the connection with a normal close frame.
    pub(super) fn end(self) {
        self.socket.close();
    }

    fn send(&mut self, text: &str, until: Instant) -> Result<(), SocketFailure> {
        self.socket.send_text(text, until)
    }

    /// Waits for the answer to the last request.
    fn answer(&mut self, until: Instant) -> Result<Box<RawValue>, SocketFailure> {
        let number = self.requests.to_string();
        self.wait(until, |heard| match heard {
            Heard::Answer { id, result: Ok(result) }
                if id == number && result.get().len() > ANSWER_BYTES_MAX =>
            {
                Some(Err(SocketFailure::Declined("its answer is over 8 MiB".to_owned())))
            }
            Heard::Answer { id, result } if id == number => {
                Some(result.map(ToOwned::to_owned).map_err(|words| {
                    let words = if words.is_empty() {
                        "the gateway refused it without a reason: look in its log".to_owned()
                    } else {
                        words
                    };
                    SocketFailure::Declined(words)
                }))
            }
            _ => None,
        })
    }

    /// Reads messages until `find` returns a result. Other messages are skipped.
    fn wait<T>(
        &mut self,
        until: Instant,
        find: impl Fn(Heard<'_>) -> Option<Result<T, SocketFailure>>,
    ) -> Result<T, SocketFailure> {
        for _ in 0..MESSAGES_MAX {
            let text = self.socket.receive_text(until)?;
            let text = json::text(&text);
            let heard = parse_message(&text).ok_or_else(not_understood)?;
            if let Some(found) = find(heard) {
                return found;
            }
        }
        Err(SocketFailure::Temporary("too many other messages came before the answer".to_owned()))
    }
}

fn not_understood() -> SocketFailure {
    SocketFailure::Declined(
        "a message on its WebSocket is not understood: check the gateway's version".to_owned(),
    )
}
