//! From bytes to messages, strictly: whoever frames in a way that the standard forbids is not heard any further.

use super::{Kind, apply};

/// The longest payload of a frame that is not part of a message.
const CONTROL_BYTES: usize = 125;
/// Read bytes that were understood are let go of in such pieces.
const SPENT_BYTES: usize = 64 * 1024;

/// Who sends what is read. Clients mask, servers do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Whoever asked for the connection.
    Client,
    /// Whoever was asked.
    Server,
}

/// How much one side may make the other hold or do.
#[derive(Clone, Copy, Debug)]
pub struct WebSocketLimits {
    /// Bytes of a message, and so of a frame.
    pub message_bytes: usize,
    /// Frames from one message to the next, whatever they are about.
    pub frames: usize,
}

/// What has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A message.
    Text(String),
    /// To be answered with a pong of the same payload.
    Ping(Vec<u8>),
    /// An answer to a ping, or none.
    Pong,
    /// Nothing more comes; why, as a number, if it was said.
    Close(Option<u16>),
}

/// How the other side breaks the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A frame is not made as it must be.
    Frame,
    /// A message is in bytes.
    Binary,
    /// A text is no UTF-8.
    Utf8,
    /// A message is larger than we take.
    TooLarge,
    /// There are too many frames before a message is whole.
    TooMany,
}

impl Broken {
    /// What happened, to stand behind "the other side sends".
    pub fn explain(self) -> &'static str {
        match self {
            Self::Frame => "a frame that is not made as it must be",
            Self::Binary => "bytes where a text is due",
            Self::Utf8 => "a text that is no UTF-8",
            Self::TooLarge => "a message that is larger than we take",
            Self::TooMany => "too many pieces of one message",
        }
    }

    /// The reason to close, as a number.
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

/// Reads one side. After an error it is of no more use.
#[derive(Debug)]
pub struct Reader {
    side: Side,
    limits: WebSocketLimits,
    input: Vec<u8>,
    /// So much of the input is understood.
    spent: usize,
    /// The beginning of a message.
    message: Option<Vec<u8>>,
    /// Frames since the last message.
    frames: usize,
}

/// The head of a frame.
struct FrameHead {
    kind: Kind,
    last: bool,
    mask: Option<[u8; 4]>,
    /// Its own length.
    own: usize,
    /// That of the payload.
    length: usize,
}

impl Reader {
    /// Of what this side sends.
    pub fn new(side: Side, limits: WebSocketLimits) -> Self {
        Self { side, limits, input: Vec::new(), spent: 0, message: None, frames: 0 }
    }

    /// Bytes that are held at this moment.
    pub fn held(&self) -> usize {
        self.input.len() + self.message.as_ref().map_or(0, Vec::len)
    }

    /// Takes bytes in as they come.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.spent == self.input.len() || self.spent > SPENT_BYTES {
            self.input.drain(..self.spent);
            self.spent = 0;
        }
        self.input.extend_from_slice(bytes);
    }

    /// The next thing that has come in whole; nothing until more is pushed. To be asked until it has nothing.
    pub fn take(&mut self) -> Result<Option<Incoming>, Broken> {
        loop {
            let rest = &self.input[self.spent..];
            let Some(head) = FrameHead::read(rest, self.side)? else { return Ok(None) };
            let before = self.message.as_ref().map_or(0, Vec::len);
            if head.length > self.limits.message_bytes.saturating_sub(before) {
                return Err(Broken::TooLarge);
            }
            match (head.kind, self.message.is_some()) {
                (Kind::Binary, _) => return Err(Broken::Binary),
                (Kind::More, false) | (Kind::Text, true) => return Err(Broken::Frame),
                _ => {}
            }
            let end = head.own + head.length;
            let Some(payload) = rest.get(head.own..end) else { return Ok(None) };
            self.frames += 1;
            if self.frames > self.limits.frames {
                return Err(Broken::TooMany);
            }
            let mut payload = if head.length > SPENT_BYTES && rest.len() == end {
                // A large message is not copied: nothing stands behind it.
                let mut whole = std::mem::take(&mut self.input);
                whole.drain(..self.spent + head.own);
                self.spent = 0;
                whole
            } else {
                let payload = payload.to_vec();
                self.spent += end;
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
                Kind::Close => return closing(&payload).map(|code| Some(Incoming::Close(code))),
            }
        }
    }
}

impl FrameHead {
    /// Nothing until all of it is there. What is wrong is wrong as soon as it shows.
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
        let (length, digits) = match short {
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
        // The shortest form is the only one.
        let shortest = match digits {
            2 => length > CONTROL_BYTES as u64,
            8 => length > u64::from(u16::MAX) && length >> 63 == 0,
            _ => true,
        };
        if !shortest {
            return Err(Broken::Frame);
        }
        let length = usize::try_from(length).map_err(|_| Broken::TooLarge)?;
        let mask = match (masked, more[digits..].first_chunk::<4>()) {
            (false, _) => None,
            (true, Some(mask)) => Some(*mask),
            (true, None) => return Ok(None),
        };
        let own = 2 + digits + mask.map_or(0, |mask| mask.len());
        Ok(Some(Self { kind, last, mask, own, length }))
    }
}

/// Why the other side closes.
fn closing(payload: &[u8]) -> Result<Option<u16>, Broken> {
    match payload {
        [] => Ok(None),
        [high, low, words @ ..] if std::str::from_utf8(words).is_ok() => {
            Ok(Some(u16::from_be_bytes([*high, *low])))
        }
        _ => Err(Broken::Frame),
    }
}
