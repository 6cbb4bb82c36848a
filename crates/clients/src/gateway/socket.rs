//! A WebSocket to the gateway, on the gateway's own port. The socket serves a request or two, so there is no
//! keep-alive.

use std::time::Instant;

use ureq::http::StatusCode;

use super::HttpGateway;
use super::disconnect::{Stage, stopped};
use crate::wire::{Fault, Sent, Stop, WebSocket, WebSocketFault, WebSocketRequest};
use mcr_core::gateway::codec::TurnFailure;
use mcr_core::gateway::{Class, Why};

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
    socket: WebSocket,
    stop: Stop,
}

impl Socket {
    /// Opens a WebSocket.
    pub(super) fn open(gateway: &HttpGateway, until: Instant) -> Result<Self, SocketFailure> {
        if gateway.stop.is_closed() {
            return Err(SocketFailure::Away(stopped(Stage::Asking(Sent::Nothing))));
        }
        let limits = &gateway.shared.limits;
        let request = WebSocketRequest {
            base: &gateway.shared.base,
            roots: &gateway.shared.roots,
            path: "/",
            headers: &[],
            connect: limits.connect.min(limits.socket),
            answer: limits.socket,
            message_bytes: limits.answer_bytes,
            share: gateway.shared.pool.share(limits.answer_bytes, limits.socket),
        };
        let socket = WebSocket::open(request, &gateway.stop, until).map_err(|fault| match fault {
            WebSocketFault::Connection(Fault::TooSlow) if !gateway.stop.is_closed() => too_slow(),
            WebSocketFault::Connection(Fault::HeadTooLarge) => {
                SocketFailure::Declined("its headers are over 12 KiB".to_owned())
            }
            WebSocketFault::Connection(fault) => {
                SocketFailure::Away(gateway.broken(&fault, Stage::Asking(Sent::Nothing)))
            }
            WebSocketFault::Refused(status, _) => refused(status),
            fault => failure(&fault),
        })?;
        Ok(Self { socket, stop: gateway.stop.clone() })
    }

    /// Sends a text message.
    pub(super) fn send_text(&mut self, text: &str, until: Instant) -> Result<(), SocketFailure> {
        self.socket.send_text(text, until).map_err(|fault| self.broken(&fault))
    }

    /// Reads the next text message, and answers pings meanwhile.
    pub(super) fn receive_text(&mut self, until: Instant) -> Result<String, SocketFailure> {
        self.socket.receive_text(until).map_err(|fault| self.broken(&fault))
    }

    /// Like [`Socket::receive_text`], and `None` if no message is complete at `until`. The connection stays usable.
    pub(super) fn receive_text_before(&mut self, until: Instant) -> Result<Option<String>, SocketFailure> {
        match self.socket.receive_text(until) {
            Ok(text) => Ok(Some(text)),
            Err(WebSocketFault::Connection(Fault::TooSlow)) if !self.stop.is_closed() => Ok(None),
            Err(fault) => Err(self.broken(&fault)),
        }
    }

    /// Sends a close frame and drops the connection.
    pub(super) fn close(self) {
        self.socket.close();
    }

    fn broken(&self, fault: &WebSocketFault) -> SocketFailure {
        match fault {
            // Our own stop switch also breaks connections.
            WebSocketFault::Connection(_) if self.stop.is_closed() => {
                SocketFailure::Away(stopped(Stage::Asking(Sent::Nothing)))
            }
            fault => failure(fault),
        }
    }
}

fn too_slow() -> SocketFailure {
    SocketFailure::Temporary("it does not answer in time".to_owned())
}

/// What a fault means once the gateway has answered at all.
fn failure(fault: &WebSocketFault) -> SocketFailure {
    match fault {
        WebSocketFault::Connection(Fault::TooSlow) => too_slow(),
        WebSocketFault::Connection(_) => {
            SocketFailure::Temporary("the connection ended before the answer".to_owned())
        }
        WebSocketFault::Refused(status, _) => refused(*status),
        WebSocketFault::NoSwitch => SocketFailure::Declined(
            "it does not follow the WebSocket protocol: check the proxies in front of it".to_owned(),
        ),
        WebSocketFault::Closed(code) => {
            let code = code.map_or_else(String::new, |code| format!(" ({code})"));
            SocketFailure::Temporary(format!("it closed the connection{code}"))
        }
        WebSocketFault::Violation(broken) => {
            SocketFailure::Declined(format!("the gateway sent {}", broken.explain()))
        }
        WebSocketFault::Crowded(crowded) => SocketFailure::Temporary(crowded.to_string()),
    }
}

/// What it means that the gateway refuses the switch to WebSocket.
fn refused(status: StatusCode) -> SocketFailure {
    let away = |why| SocketFailure::Away(TurnFailure::new(Class::Closed, why).with_status(status.as_u16()));
    match status.as_u16() {
        429 => away(Why::TooManyLogins),
        503 => away(Why::Draining),
        502 | 504 | 520..=524 => away(Why::Unreachable),
        500.. => SocketFailure::Temporary(format!("it refuses a WebSocket with {status}: look in its log")),
        _ => SocketFailure::Declined(format!(
            "it refuses a WebSocket with {status}: check OPENCLAW_GATEWAY_URL and the proxies in front of it"
        )),
    }
}
