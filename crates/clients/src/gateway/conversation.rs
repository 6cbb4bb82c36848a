//! A conversation over the gateway's WebSocket: being let in, and then one question after the other.

use std::time::Instant;

use serde_json::Value;
use serde_json::value::RawValue;

use super::HttpGateway;
use super::socket::{Socket, SocketFailure};
use mcr_core::gateway::codec::{Heard, connect, hear, spoken_request};
use mcr_model::json;

/// Messages on the way to one answer; all others tell of what goes on in the gateway, and of whole runs, word by word.
const MESSAGES: usize = 20_000;

/// An answer is copied, so it is bounded: twice the longest text of a reply, for its escapes.
const ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// With a gateway that has let us in.
pub(super) struct Conversation<'a> {
    gateway: &'a HttpGateway,
    socket: Socket,
    asked: u32,
}

impl<'a> Conversation<'a> {
    /// Opens a socket and says who we are, once the gateway has spoken.
    pub(super) fn begin(gateway: &'a HttpGateway) -> Result<Self, SocketFailure> {
        let until = Instant::now() + gateway.shared.limits.socket;
        let socket = Socket::open(gateway, until)?;
        let mut conversation = Self { gateway, socket, asked: 1 };
        conversation.wait(until, |heard| matches!(heard, Heard::Challenge).then_some(Ok(())))?;
        let token = gateway.shared.token.as_ref().map(mcr_model::secret::Secret::expose);
        let hello = connect(conversation.asked, token);
        conversation.say(&hello, until)?;
        conversation.answer(until)?;
        Ok(conversation)
    }

    /// Asks, and waits for the answer.
    pub(super) fn ask(&mut self, method: &str, params: &Value) -> Result<Box<RawValue>, SocketFailure> {
        let until = Instant::now() + self.gateway.shared.limits.socket;
        self.asked += 1;
        self.say(&spoken_request(self.asked, method, params), until)?;
        self.answer(until)
    }

    /// Ends it in peace.
    pub(super) fn end(self) {
        self.socket.close();
    }

    fn say(&mut self, text: &str, until: Instant) -> Result<(), SocketFailure> {
        self.socket.say(text, until)
    }

    /// The answer to what was asked last.
    fn answer(&mut self, until: Instant) -> Result<Box<RawValue>, SocketFailure> {
        let number = self.asked.to_string();
        self.wait(until, |heard| match heard {
            Heard::Answer { id, result: Ok(result) } if id == number && result.get().len() > ANSWER_BYTES => {
                Some(Err(SocketFailure::Declined("its answer is over 8 MiB".to_owned())))
            }
            Heard::Answer { id, result } if id == number => {
                Some(result.map(ToOwned::to_owned).map_err(|words| {
                    let words = if words.is_empty() { "it refuses".to_owned() } else { words };
                    SocketFailure::Declined(words)
                }))
            }
            _ => None,
        })
    }

    /// Hears until something is found; whatever else is said is let go.
    fn wait<T>(
        &mut self,
        until: Instant,
        find: impl Fn(Heard<'_>) -> Option<Result<T, SocketFailure>>,
    ) -> Result<T, SocketFailure> {
        for _ in 0..MESSAGES {
            let text = self.socket.hear(until)?;
            let text = json::text(&text);
            let Some(heard) = hear(&text) else {
                return Err(SocketFailure::Declined(
                    "what it says over its WebSocket is not understood".to_owned(),
                ));
            };
            if let Some(found) = find(heard) {
                return found;
            }
        }
        Err(SocketFailure::Hiccup("it says too much besides the answer".to_owned()))
    }
}
