//! The client's side of a WebSocket. The HTTP request that opens it uses the same trust, proxies and limits as
//! every other call. The time and memory that the server can cost us are bounded.

use std::time::{Duration, Instant};

use ureq::http::{HeaderMap, HeaderName, StatusCode, header};

use super::{Connection, Fault, Phases, Registration, Roots, Stop, upgradable_agent};
use mcr_http::websocket::{
    Broken, Incoming, Kind, Reader, Side, WebSocketLimits, accept_key, close_frame, frame, key_of,
};
use mcr_model::memory::{Crowded, FREE_BYTES, Share};
use mcr_model::{BaseUrl, random};

/// The most frames of one message: a long text may come in pieces.
const FRAMES_MAX: usize = 4_096;
/// The most bytes of one read.
const BUFFER_BYTES: usize = 16 * 1024;
/// The time limit for sending the close frame. Its answer is not awaited.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(250);
/// The close code for a normal end.
const CLOSE_NORMAL: u16 = 1000;

/// Where and how a WebSocket is opened.
pub struct WebSocketRequest<'a> {
    /// The server.
    pub base: &'a BaseUrl,
    /// The trusted certificates.
    pub roots: &'a Roots,
    /// The path, with a leading slash.
    pub path: &'a str,
    /// Further headers of the request.
    pub headers: &'a [(HeaderName, &'a str)],
    /// The time limit of connecting.
    pub connect: Duration,
    /// The time limit of each other phase of the request.
    pub answer: Duration,
    /// The most bytes of a message.
    pub message_bytes: usize,
    /// The memory of the messages.
    pub share: Share,
}

/// Why a WebSocket cannot be opened, or no longer used.
#[derive(Debug)]
pub enum WebSocketFault {
    /// The connection broke, or a time limit was reached.
    Connection(Fault),
    /// The server refuses the switch with this status. It may say in seconds how long to wait (`Retry-After`).
    Refused(StatusCode, Option<Duration>),
    /// The server's answer to the switch does not follow the protocol.
    NoSwitch,
    /// The server closed the connection, with this code if it gave one.
    Closed(Option<u16>),
    /// The server sends what the protocol does not permit.
    Violation(Broken),
    /// No memory became free for a message in time.
    Crowded(Crowded),
}

/// An open WebSocket.
pub struct WebSocket {
    connection: Connection,
    reader: Reader,
    share: Share,
    /// Lets the stop switch end the connection.
    _registration: Registration,
}

impl WebSocket {
    /// Opens a WebSocket before `until`. `stop` ends the request and the connection.
    pub fn open(request: WebSocketRequest<'_>, stop: &Stop, until: Instant) -> Result<Self, WebSocketFault> {
        let phases = Phases {
            connect: request.connect,
            send: request.answer,
            answer: request.answer,
            body: request.answer,
            idle: Duration::ZERO,
            idle_connections: 0,
        };
        let (agent, upgrade) = upgradable_agent(request.base, request.roots, &phases);
        let registration = stop.register(&agent);
        let key = key_of(random::bytes());
        let left = until.saturating_duration_since(Instant::now());
        let opening = agent.get(request.base.join(request.path)).config().timeout_global(Some(left)).build();
        let opening =
            request.headers.iter().fold(opening, |opening, (name, value)| opening.header(name, *value));
        let asked = opening
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            .header(header::SEC_WEBSOCKET_KEY, &key)
            .call();
        let response = asked.map_err(|error| WebSocketFault::Connection(Fault::of(&error)))?;
        let (status, headers) = (response.status(), response.headers().clone());
        // Releases the connection.
        drop(response);
        if status != StatusCode::SWITCHING_PROTOCOLS {
            return Err(WebSocketFault::Refused(status, retry_after(&headers)));
        }
        if !grants_web_socket(&headers, &key) {
            return Err(WebSocketFault::NoSwitch);
        }
        let connection = upgrade.take().ok_or(WebSocketFault::Closed(None))?;
        let limits = WebSocketLimits { message_bytes: request.message_bytes, frames: FRAMES_MAX };
        let reader = Reader::new(Side::Server, limits);
        Ok(Self { connection, reader, share: request.share, _registration: registration })
    }

    /// Sends a text message.
    pub fn send_text(&mut self, text: &str, until: Instant) -> Result<(), WebSocketFault> {
        self.send_frame(Kind::Text, text.as_bytes(), until)
    }

    /// Reads the next text message, and answers pings meanwhile.
    pub fn receive_text(&mut self, until: Instant) -> Result<String, WebSocketFault> {
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
                Ok(Some(Incoming::Close(code))) => return Err(WebSocketFault::Closed(code)),
                Ok(None) => {
                    let read = self.connection.read(&mut buffer, until);
                    match read.map_err(WebSocketFault::Connection)? {
                        0 => return Err(WebSocketFault::Connection(Fault::Lost)),
                        count => {
                            let held = self.reader.held() + count;
                            self.share.hold(held).map_err(WebSocketFault::Crowded)?;
                            self.reader.push(&buffer[..count]);
                        }
                    }
                }
                Err(broken) => {
                    self.send_close(broken.code());
                    return Err(WebSocketFault::Violation(broken));
                }
            }
        }
    }

    /// Sends a close frame and drops the connection.
    pub fn close(mut self) {
        self.send_close(CLOSE_NORMAL);
    }

    fn send_close(&mut self, code: u16) {
        // If the frame cannot be sent, the server sees the connection closed.
        let _ =
            self.connection.write(&close_frame(code, Some(random::bytes())), Instant::now() + CLOSE_TIMEOUT);
    }

    fn send_frame(&mut self, kind: Kind, payload: &[u8], until: Instant) -> Result<(), WebSocketFault> {
        let frame = frame(kind, true, payload, Some(random::bytes()));
        self.connection.write(&frame, until).map_err(WebSocketFault::Connection)
    }
}

/// The seconds of `Retry-After`. A date is not read.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Whether the server has switched to the protocol of this key (RFC 6455 §4.1).
fn grants_web_socket(headers: &HeaderMap, key: &str) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let has = |name: HeaderName, word: &str| {
        let value = text(name).unwrap_or_default();
        value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word))
    };
    let accepted = text(header::SEC_WEBSOCKET_ACCEPT).map(str::trim);
    // The server must not grant an extension or a protocol that we did not request.
    let unrequested = headers.contains_key(header::SEC_WEBSOCKET_EXTENSIONS)
        || headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL);
    has(header::UPGRADE, "websocket")
        && has(header::CONNECTION, "upgrade")
        && accepted == Some(accept_key(key).as_str())
        && !unrequested
}
