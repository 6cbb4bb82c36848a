//! WebSocket as bytes (RFC 6455): messages into frames, and back. No sockets, no extensions, text only.
//!
//! [`Reader`] takes what comes in any pieces and gives whole messages; it knows which side it hears, and bounds what that side
//! can make it hold. The `frame` functions write. How a connection gets there is the business of whoever has one: the key that
//! proves that the other side understood the request is [`accept_key`].

mod read;

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use base64::prelude::{BASE64_STANDARD, Engine as _};

pub use read::{Broken, Incoming, Reader, Side, WebSocketLimits};

/// What a frame is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A message, or its beginning.
    Text,
    /// The same in bytes, which nobody here speaks.
    Binary,
    /// More of a message.
    More,
    /// The last word of one side.
    Close,
    /// Are you there?
    Ping,
    /// I am.
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

/// The last word, with the reason as a number.
pub fn close_frame(code: u16, mask: Option<[u8; 4]>) -> Vec<u8> {
    frame(Kind::Close, true, &code.to_be_bytes(), mask)
}

/// One frame; `last` says that the message ends with it. A client masks, a server does not.
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
    let begin = bytes.len() + mask.map_or(0, |mask| mask.len());
    bytes.extend(mask.into_iter().flatten());
    bytes.extend_from_slice(payload);
    if let Some(mask) = mask {
        apply(mask, &mut bytes[begin..]);
    }
    bytes
}

/// Masks, and takes the mask away.
fn apply(mask: [u8; 4], payload: &mut [u8]) {
    for (byte, mask) in payload.iter_mut().zip(mask.into_iter().cycle()) {
        *byte ^= mask;
    }
}

/// A key for a request, of 16 bytes of chance.
pub fn key_of(chance: [u8; 16]) -> String {
    BASE64_STANDARD.encode(chance)
}

/// What a server answers to the key of a request.
pub fn accept_key(key: &str) -> String {
    // RFC 6455 §1.3. It protects nothing; it shows that the answer is not that of somebody who speaks only HTTP.
    let whole = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    BASE64_STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, whole.as_bytes()))
}
