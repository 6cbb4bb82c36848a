//! A WebSocket to the gateway, on its own port: asked for over HTTP, with the same trust, proxies and limits as everything
//! else, and then texts out and texts in. It lives for a question or two, so nothing keeps it alive; what the other side may
//! make us wait for and hold is bounded.

use std::time::{Duration, Instant};

use ureq::http::header;
use ureq::http::{HeaderMap, StatusCode};

use super::disconnect::{Stage, stopped};
use super::{HttpGateway, text};
use crate::wire::{self, Connection, Fault, Phases, Registration, Sent, Stop};
use mcr_core::gateway::codec::TurnFailure;
use mcr_core::gateway::{Class, Why};
use mcr_http::websocket::{
    Incoming, Kind, Reader, Side, WebSocketLimits, accept_key, close_frame, frame, key_of,
};
use mcr_model::memory::{FREE_BYTES, Share};
use mcr_model::random;

/// Frames between two messages: a long text may come in pieces.
const FRAMES: usize = 4_096;
/// Read at once.
const BUFFER_BYTES: usize = 16 * 1024;
/// For the word that we are going; nobody waits for an answer to it.
const GOODBYE: Duration = Duration::from_millis(250);
/// Went away in peace.
const NORMAL: u16 = 1000;

/// Why there is no answer over the socket.
#[derive(Debug)]
pub(super) enum SocketFailure {
    /// The gateway is away, or we are to stop.
    Away(TurnFailure),
    /// Not at this moment: it was too slow, or the connection ended in the middle.
    Hiccup(String),
    /// It would say the same again: it does not speak with us, or not as it must.
    Declined(String),
}

/// An open one.
pub(super) struct Socket {
    connection: Connection,
    reader: Reader,
    /// The memory of the messages.
    share: Share,
    stop: Stop,
    _registration: Registration,
}

impl Socket {
    /// Asks for one.
    pub(super) fn open(gateway: &HttpGateway, until: Instant) -> Result<Self, SocketFailure> {
        if gateway.stop.is_closed() {
            return Err(SocketFailure::Away(stopped(Stage::Asking(Sent::Nothing))));
        }
        let limits = &gateway.shared.limits;
        let phases = Phases {
            connect: limits.connect.min(limits.socket),
            send: limits.socket,
            answer: limits.socket,
            body: limits.socket,
            idle: Duration::ZERO,
            idle_connections: 0,
        };
        let (agent, handover) = wire::handing_over(&gateway.shared.base, &gateway.shared.roots, &phases);
        let registration = gateway.stop.register(&agent);
        let key = key_of(random::bytes());
        let left = until.saturating_duration_since(Instant::now());
        let request = agent.get(gateway.shared.base.join("/")).config().timeout_global(Some(left)).build();
        let asked = request
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            .header(header::SEC_WEBSOCKET_KEY, &key)
            .call();
        let response = asked.map_err(|error| match Fault::of(&error) {
            Fault::TooSlow if !gateway.stop.is_closed() => too_slow(),
            Fault::HeadTooLarge => SocketFailure::Declined("its headers are over 12 KiB".to_owned()),
            fault => SocketFailure::Away(gateway.broken(&fault, Stage::Asking(Sent::Nothing))),
        })?;
        let (status, headers) = (response.status(), response.headers().clone());
        // Lets go of the connection.
        drop(response);
        agreed(status, &headers, &key)?;
        let connection =
            handover.take().ok_or_else(|| SocketFailure::Hiccup("the connection ended".to_owned()))?;
        let most = WebSocketLimits { message_bytes: limits.answer_bytes, frames: FRAMES };
        let reader = Reader::new(Side::Server, most);
        let share = gateway.shared.pool.share(limits.answer_bytes, limits.socket);
        Ok(Self { connection, reader, share, stop: gateway.stop.clone(), _registration: registration })
    }

    /// Says a text.
    pub(super) fn say(&mut self, text: &str, until: Instant) -> Result<(), SocketFailure> {
        self.send(Kind::Text, text.as_bytes(), until)
    }

    /// The next text; pings are answered meanwhile.
    pub(super) fn hear(&mut self, until: Instant) -> Result<String, SocketFailure> {
        let mut buffer = vec![0; BUFFER_BYTES];
        if self.reader.held() <= FREE_BYTES {
            // The last message is dealt with.
            self.share.release();
        }
        loop {
            match self.reader.take() {
                Ok(Some(Incoming::Text(text))) => return Ok(text),
                Ok(Some(Incoming::Ping(payload))) => self.send(Kind::Pong, &payload, until)?,
                Ok(Some(Incoming::Pong)) => {}
                Ok(Some(Incoming::Close(code))) => {
                    let code = code.map_or_else(String::new, |code| format!(" ({code})"));
                    return Err(SocketFailure::Hiccup(format!("it has closed the connection{code}")));
                }
                Ok(None) => match self.connection.read(&mut buffer, until) {
                    Ok(0) => return Err(self.broken(&Fault::Lost)),
                    Ok(count) => {
                        self.share
                            .hold(self.reader.held() + count)
                            .map_err(|crowded| SocketFailure::Hiccup(crowded.to_string()))?;
                        self.reader.push(&buffer[..count]);
                    }
                    Err(fault) => return Err(self.broken(&fault)),
                },
                Err(broken) => {
                    self.goodbye(broken.code());
                    return Err(SocketFailure::Declined(format!("it sends {}", broken.explain())));
                }
            }
        }
    }

    /// Says that we are going.
    pub(super) fn close(mut self) {
        self.goodbye(NORMAL);
    }

    fn goodbye(&mut self, code: u16) {
        // Whoever cannot hear it finds the connection closed.
        let _ = self.connection.write(&close_frame(code, Some(random::bytes())), Instant::now() + GOODBYE);
    }

    fn send(&mut self, kind: Kind, payload: &[u8], until: Instant) -> Result<(), SocketFailure> {
        let frame = frame(kind, true, payload, Some(random::bytes()));
        self.connection.write(&frame, until).map_err(|fault| self.broken(&fault))
    }

    fn broken(&self, fault: &Fault) -> SocketFailure {
        match fault {
            // Our own switch looks like a broken connection.
            _ if self.stop.is_closed() => SocketFailure::Away(stopped(Stage::Asking(Sent::Nothing))),
            Fault::TooSlow => too_slow(),
            _ => SocketFailure::Hiccup("the connection ended before the answer".to_owned()),
        }
    }
}

fn too_slow() -> SocketFailure {
    SocketFailure::Hiccup("it does not answer in time".to_owned())
}

/// Whether the other side has understood that we leave HTTP behind (RFC 6455 §4.1).
fn agreed(status: StatusCode, headers: &HeaderMap, key: &str) -> Result<(), SocketFailure> {
    let away =
        |why| Err(SocketFailure::Away(TurnFailure::new(Class::Closed, why).with_status(status.as_u16())));
    match status.as_u16() {
        101 => {}
        429 => return away(Why::TooManyLogins),
        503 => return away(Why::Draining),
        502 | 504 | 520..=524 => return away(Why::Unreachable),
        500.. => return Err(SocketFailure::Hiccup(format!("it answers {status} to a WebSocket"))),
        _ => return Err(SocketFailure::Declined(format!("it answers {status} to a WebSocket"))),
    }
    let has = |name, word: &str| {
        let value = text(headers, &name).unwrap_or_default();
        value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word))
    };
    let accepted = text(headers, &header::SEC_WEBSOCKET_ACCEPT).map(str::trim);
    // What we did not ask for must not be granted.
    let extended = headers.contains_key(header::SEC_WEBSOCKET_EXTENSIONS)
        || headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL);
    let good = has(header::UPGRADE, "websocket")
        && has(header::CONNECTION, "upgrade")
        && accepted == Some(accept_key(key).as_str())
        && !extended;
    if good { Ok(()) } else { Err(SocketFailure::Declined("it speaks no WebSocket".to_owned())) }
}
