//! A WebSocket to the gateway, on the gateway's own port. The HTTP request that opens it uses the same trust,
//! proxies and limits as every other call. The socket serves a request or two, so there is no keep-alive. The
//! time and memory that the gateway can cost us are bounded.

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

/// The most frames of one message: a long text may come in pieces.
const FRAMES_MAX: usize = 4_096;
/// The most bytes of one read.
const BUFFER_BYTES: usize = 16 * 1024;
/// The time limit for sending the close frame. Its answer is not awaited.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(250);
/// The close code for a normal end.
const CLOSE_NORMAL: u16 = 1000;

/// Why there is no answer over the socket.
#[derive(Debug)]
pub(super) enum SocketFailure {
    /// The gateway is away, or this program stops.
    Away(TurnFailure),
    /// A temporary failure: a timeout, or the connection broke.
    Temporary(String),
    /// A lasting failure: the gateway refuses us, or does not follow the protocol.
    Declined(String),
}

/// An open WebSocket.
pub(super) struct Socket {
    connection: Connection,
    reader: Reader,
    /// The memory of the messages.
    share: Share,
    stop: Stop,
    _registration: Registration,
}

impl Socket {
    /// Opens a WebSocket.
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
        let (agent, upgrade) = wire::upgradable_agent(&gateway.shared.base, &gateway.shared.roots, &phases);
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
        // Releases the connection.
        drop(response);
        check_upgrade(status, &headers, &key)?;
        let connection =
            upgrade.take().ok_or_else(|| SocketFailure::Temporary("the connection ended".to_owned()))?;
        let most = WebSocketLimits { message_bytes: limits.answer_bytes, frames: FRAMES_MAX };
        let reader = Reader::new(Side::Server, most);
        let share = gateway.shared.pool.share(limits.answer_bytes, limits.socket);
        Ok(Self { connection, reader, share, stop: gateway.stop.clone(), _registration: registration })
    }

    /// Sends a text message.
    pub(super) fn send_text(&mut self, text: &str, until: Instant) -> Result<(), SocketFailure> {
        self.send_frame(Kind::Text, text.as_bytes(), until)
    }

    /// Reads the next text message, and answers pings meanwhile.
    pub(super) fn receive_text(&mut self, until: Instant) -> Result<String, SocketFailure> {
        let mut buffer = vec![0; BUFFER_BYTES];
        if self.reader.held() <= FREE_BYTES {
            // The caller has processed the last message.
            self.share.release();
        }
        loop {
            match self.reader.take() {
                Ok(Some(Incoming::Text(text))) => return Ok(text),
                Ok(Some(Incoming::Ping(payload))) => self.send_frame(Kind::Pong, &payload, until)?,
                Ok(Some(Incoming::Pong)) => {}
                Ok(Some(Incoming::Close(code))) => {
                    let code = code.map_or_else(String::new, |code| format!(" ({code})"));
                    return Err(SocketFailure::Temporary(format!("it closed the connection{code}")));
                }
                Ok(None) => match self.connection.read(&mut buffer, until) {
                    Ok(0) => return Err(self.broken(&Fault::Lost)),
                    Ok(count) => {
                        self.share
                            .hold(self.reader.held() + count)
                            .map_err(|crowded| SocketFailure::Temporary(crowded.to_string()))?;
                        self.reader.push(&buffer[..count]);
                    }
                    Err(fault) => return Err(self.broken(&fault)),
                },
                Err(broken) => {
                    self.send_close(broken.code());
                    return Err(SocketFailure::Declined(format!("the gateway sent {}", broken.explain())));
                }
            }
        }
    }

    /// Sends a close frame and drops the connection.
    pub(super) fn close(mut self) {
        self.send_close(CLOSE_NORMAL);
    }

    fn send_close(&mut self, code: u16) {
        // If the frame cannot be sent, the gateway sees the connection closed.
        let _ =
            self.connection.write(&close_frame(code, Some(random::bytes())), Instant::now() + CLOSE_TIMEOUT);
    }

    fn send_frame(&mut self, kind: Kind, payload: &[u8], until: Instant) -> Result<(), SocketFailure> {
        let frame = frame(kind, true, payload, Some(random::bytes()));
        self.connection.write(&frame, until).map_err(|fault| self.broken(&fault))
    }

    fn broken(&self, fault: &Fault) -> SocketFailure {
        match fault {
            // Our own stop switch also breaks connections.
            _ if self.stop.is_closed() => SocketFailure::Away(stopped(Stage::Asking(Sent::Nothing))),
            Fault::TooSlow => too_slow(),
            _ => SocketFailure::Temporary("the connection ended before the answer".to_owned()),
        }
    }
}

fn too_slow() -> SocketFailure {
    SocketFailure::Temporary("it does not answer in time".to_owned())
}

/// Whether the server accepts the switch to WebSocket (RFC 6455 §4.1).
fn check_upgrade(status: StatusCode, headers: &HeaderMap, key: &str) -> Result<(), SocketFailure> {
    let away =
        |why| Err(SocketFailure::Away(TurnFailure::new(Class::Closed, why).with_status(status.as_u16())));
    match status.as_u16() {
        101 => {}
        429 => return away(Why::TooManyLogins),
        503 => return away(Why::Draining),
        502 | 504 | 520..=524 => return away(Why::Unreachable),
        500.. => {
            return Err(SocketFailure::Temporary(format!(
                "it refuses a WebSocket with {status}: look in its log"
            )));
        }
        _ => {
            return Err(SocketFailure::Declined(format!(
                "it refuses a WebSocket with {status}: check OPENCLAW_GATEWAY_URL and the proxies in front of it"
            )));
        }
    }
    let has = |name, word: &str| {
        let value = text(headers, &name).unwrap_or_default();
        value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word))
    };
    let accepted = text(headers, &header::SEC_WEBSOCKET_ACCEPT).map(str::trim);
    // The server must not grant an extension or a protocol that we did not request.
    let unrequested = headers.contains_key(header::SEC_WEBSOCKET_EXTENSIONS)
        || headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL);
    let good = has(header::UPGRADE, "websocket")
        && has(header::CONNECTION, "upgrade")
        && accepted == Some(accept_key(key).as_str())
        && !unrequested;
    if good {
        Ok(())
    } else {
        Err(SocketFailure::Declined(
            "it does not follow the WebSocket protocol: check the proxies in front of it".to_owned(),
        ))
    }
}
