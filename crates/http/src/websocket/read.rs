//! From bytes to messages, strictly: the first frame that violates the standard ends the reading.

use super::{Kind, apply};

/// The maximum payload of a control frame.
const CONTROL_BYTES: usize = 125;
/// Processed input is discarded once it exceeds this many bytes.
const COMPACTION_BYTES: usize = 64 * 1024;

/// Which side sent the bytes. Clients mask, servers do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The side that opened the connection.
    Client,
    /// The side that accepted it.
    Server,
}

/// The memory and work that one side may cause on the other.
#[derive(Clone, Copy, Debug)]
pub struct WebSocketLimits {
    /// Maximum bytes of a message, and therefore of a frame.
    pub message_bytes: usize,
    /// Maximum frames per message, including control frames in between.
    pub frames: usize,
}

/// A received message or control frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A complete text message.
    Text(String),
    /// The recipient replies with a pong that has the same payload.
    Ping(Vec<u8>),
    /// The reply to a ping, or an unsolicited pong.
    Pong,
    /// The other side sends no more. The code is its reason, if it gave one.
    Close(Option<u16>),
}

/// How the other side violates the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A frame is malformed.
    Frame,
    /// A message is binary.
    Binary,
    /// A text is not UTF-8.
    Utf8,
    /// A message exceeds the limit.
    TooLarge,
    /// A message has too many frames.
    TooMany,
}

impl Broken {
    /// The violation, as the object of "the other side sends".
    pub fn explain(self) -> &'static str {
        match self {
            Self::Frame => "a malformed frame",
            Self::Binary => "a binary message where text is required",
            Self::Utf8 => "text that is not UTF-8",
            Self::TooLarge => "a message over the size limit",
            Self::TooMany => "too many frames for one message",
        }
    }

    /// The status code of the close frame.
    pub fn code(self) -> u16 {
        match self {
            Self::Frame => 1002,
            Self::Binary => 1003,
            Self::Utf8 => 1007,
            Self::TooLarge => 1009,
            Self::TooMany => 1008,
        }
    }
}

/// Reads the frames of one side. It must not be used after an error.
#[derive(Debug)]
pub struct Reader {
    side: Side,
    limits: WebSocketLimits,
    input: Vec<u8>,
    /// Bytes of the input that are processed.
    processed: usize,
    /// The parts of an incomplete message.
    message: Option<Vec<u8>>,
    /// Frames since the last complete message.
    frames: usize,
}

/// The head of a frame.
struct FrameHead {
    kind: Kind,
    last: bool,
    mask: Option<[u8; 4]>,
    /// The length of the head itself in bytes.
    head_length: usize,
    /// The payload's length in bytes.
    payload_length: usize,
}

impl Reader {
    /// Reads what this side sends.
    pub fn new(side: Side, limits: WebSocketLimits) -> Self {
        Self { side, limits, input: Vec::new(), processed: 0, message: None, frames: 0 }
    }

    /// Bytes in memory at this moment.
    pub fn held(&self) -> usize {
        self.input.len() + self.message.as_ref().map_or(0, Vec::len)
    }

    /// Appends received bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.processed == self.input.len() || self.processed > COMPACTION_BYTES {
            self.input.drain(..self.processed);
            self.processed = 0;
        }
        self.input.extend_from_slice(bytes);
    }

    /// The next complete message or control frame, or `None` until more is pushed. Call it until it returns `None`.
    pub fn take(&mut self) -> Result<Option<Incoming>, Broken> {
        loop {
            let rest = &self.input[self.processed..];
            let Some(head) = FrameHead::read(rest, self.side)? else { return Ok(None) };
            let before = self.message.as_ref().map_or(0, Vec::len);
            if head.payload_length > self.limits.message_bytes.saturating_sub(before) {
                return Err(Broken::TooLarge);
            }
            match (head.kind, self.message.is_some()) {
                (Kind::Binary, _) => return Err(Broken::Binary),
                (Kind::More, false) | (Kind::Text, true) => return Err(Broken::Frame),
                _ => {}
            }
            let end = head.head_length + head.payload_length;
            let Some(payload) = rest.get(head.head_length..end) else { return Ok(None) };
            self.frames += 1;
            if self.frames > self.limits.frames {
                return Err(Broken::TooMany);
            }
            let mut payload = if head.payload_length > COMPACTION_BYTES && rest.len() == end {
                // A large message is moved, not copied, when no bytes follow it.
                let mut whole = std::mem::take(&mut self.input);
                whole.drain(..self.processed + head.head_length);
                self.processed = 0;
                whole
            } else {
                let payload = payload.to_vec();
                self.processed += end;
                payload
            };
            if let Some(mask) = head.mask {
                apply(mask, &mut payload);
            }
            match head.kind {
                Kind::Text | Kind::More | Kind::Binary => {
                    let message = self.message.get_or_insert_default();
                    if message.is_empty() {
                        *message = payload;
                    } else {
                        message.append(&mut payload);
                    }
                    if head.last {
                        self.frames = 0;
                        let whole = self.message.take().unwrap_or_default();
                        return String::from_utf8(whole)
                            .map(|text| Some(Incoming::Text(text)))
                            .map_err(|_| Broken::Utf8);
                    }
                }
                Kind::Ping => return Ok(Some(Incoming::Ping(payload))),
                Kind::Pong => return Ok(Some(Incoming::Pong)),
                Kind::Close => return close_code(&payload).map(|code| Some(Incoming::Close(code))),
            }
        }
    }
}

impl FrameHead {
    /// Returns `None` until the head is complete. A malformed head is an error as soon as its bytes show it.
    fn read(bytes: &[u8], side: Side) -> Result<Option<Self>, Broken> {
        let [first, second, more @ ..] = bytes else { return Ok(None) };
        let last = first & 0x80 != 0;
        let kind = Kind::of(first & 0x0F).filter(|_| first & 0x70 == 0).ok_or(Broken::Frame)?;
        let masked = second & 0x80 != 0;
        if masked != (side == Side::Client) {
            return Err(Broken::Frame);
        }
        let short = usize::from(second & 0x7F);
        let is_control = matches!(kind, Kind::Close | Kind::Ping | Kind::Pong);
        if is_control && (!last || short > CONTROL_BYTES) {
            return Err(Broken::Frame);
        }
        let (payload_length, digits) = match short {
            126 => match more.first_chunk::<2>() {
                Some(digits) => (u64::from(u16::from_be_bytes(*digits)), 2),
                None => return Ok(None),
            },
            127 => match more.first_chunk::<8>() {
                Some(digits) => (u64::from_be_bytes(*digits), 8),
                None => return Ok(None),
            },
            short => (short as u64, 0),
        };
        // RFC 6455 §5.2 allows only the shortest encoding of a length.
        let shortest = match digits {
            2 => payload_length > CONTROL_BYTES as u64,
            8 => payload_length > u64::from(u16::MAX) && payload_length >> 63 == 0,
            _ => true,
        };
        if !shortest {
            return Err(Broken::Frame);
        }
        let payload_length = usize::try_from(payload_length).map_err(|_| Broken::TooLarge)?;
        let mask = match (masked, more[digits..].first_chunk::<4>()) {
            (false, _) => None,
            (true, Some(mask)) => Some(*mask),
            (true, None) => return Ok(None),
        };
        let head_length = 2 + digits + mask.map_or(0, |mask| mask.len());
        Ok(Some(Self { kind, last, mask, head_length, payload_length }))
    }
}

/// The status code of a close frame, if it has one.
fn close_code(payload: &[u8]) -> Result<Option<u16>, Broken> {
    match payload {
        [] => Ok(None),
        [high, low, words @ ..] if std::str::from_utf8(words).is_ok() => {
            Ok(Some(u16::from_be_bytes([*high, *low])))
        }
        _ => Err(Broken::Frame),
    }
}
