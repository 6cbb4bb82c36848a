//! WebSocket framing (RFC 6455): messages to frames and back. No sockets, no extensions, text only.
//!
//! [`Reader`] accepts bytes in any pieces and returns whole messages. It knows which side sent them and bounds the memory
//! that side can occupy. [`frame`] and [`close_frame`] write frames. The caller opens the connection; [`accept_key`]
//! proves that the server understood the request.

mod read;

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use base64::prelude::{BASE64_STANDARD, Engine as _};

use crate::message::{Method, Request};

pub use read::{Broken, Incoming, Reader, Side, WebSocketLimits};

/// The type of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text message, or its first part.
    Text,
    /// A binary message, or its first part. The runtime does not accept any.
    Binary,
    /// A further part of a message.
    More,
    /// The last frame of one side.
    Close,
    /// Requests a pong.
    Ping,
    /// The reply to a ping.
    Pong,
}

impl Kind {
    const ALL: [(u8, Self); 6] = [
        (0x0, Self::More),
        (0x1, Self::Text),
        (0x2, Self::Binary),
        (0x8, Self::Close),
        (0x9, Self::Ping),
        (0xA, Self::Pong),
    ];

    fn of(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == code).map(|(_, kind)| kind)
    }

    fn code(self) -> u8 {
        Self::ALL.into_iter().find(|(_, kind)| *kind == self).map_or(0, |(code, _)| code)
    }
}

/// A close frame with this status code.
pub fn close_frame(code: u16, mask: Option<[u8; 4]>) -> Vec<u8> {
    frame(Kind::Close, true, &code.to_be_bytes(), mask)
}

/// One frame. `last` marks the final frame of a message. Clients mask their frames, servers do not.
pub fn frame(kind: Kind, last: bool, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload.len() + 14);
    bytes.push(u8::from(last) << 7 | kind.code());
    let masked = u8::from(mask.is_some()) << 7;
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short @ ..=125), _) => bytes.push(masked + short),
        (_, Ok(middle)) => {
            bytes.push(masked + 126);
            bytes.extend_from_slice(&middle.to_be_bytes());
        }
        _ => {
            bytes.push(masked + 127);
            bytes.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    let payload_start = bytes.len() + mask.map_or(0, |mask| mask.len());
    bytes.extend(mask.into_iter().flatten());
    bytes.extend_from_slice(payload);
    if let Some(mask) = mask {
        apply(mask, &mut bytes[payload_start..]);
    }
    bytes
}

/// Applies the mask. Applying it again removes it.
fn apply(mask: [u8; 4], payload: &mut [u8]) {
    for (byte, mask) in payload.iter_mut().zip(mask.into_iter().cycle()) {
        *byte ^= mask;
    }
}

/// The key of a request, made from 16 random bytes.
pub fn key_of(random: [u8; 16]) -> String {
    BASE64_STANDARD.encode(random)
}

/// The key of a request that asks for a WebSocket (RFC 6455 §4.2.1).
pub fn requested_key(request: &Request) -> Option<&str> {
    let is_wanted = *request.method() == Method::Get
        && request.header("Upgrade").is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket"))
        && request.header("Sec-WebSocket-Version") == Some("13");
    request.header("Sec-WebSocket-Key").filter(|_| is_wanted)
}

/// The server's response to the key of a request.
pub fn accept_key(key: &str) -> String {
    // RFC 6455 §1.3. This is no security measure: it shows that the server is not a plain HTTP server.
    let keyed = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    BASE64_STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, keyed.as_bytes()))
}
