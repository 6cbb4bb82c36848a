//! Decodes a chunked body while it arrives.

use super::refusal::Refusal;

/// Maximum hex digits of a chunk size: 4 GiB is beyond every limit, so no sum can overflow.
const DIGITS_MAX: usize = 8;
/// Maximum bytes of chunk extensions in one size line. No known client sends any.
const EXTENSION_BYTES_MAX: usize = 256;
/// Maximum bytes of all lines after the last chunk. They are read and discarded.
const TRAILER_BYTES_MAX: usize = 4 * 1024;

/// The position of the next byte in the body. The states repeat for each chunk until `Done`.
///
/// ```text
/// Size ─► Extension ─► SizeEnd ─► Data ─► DataReturn ─► DataEnd ─► Size …
///    └─────────────────►┘ └─ size 0 ─► LineStart ─► Trailer ─► TrailerEnd ─► LineStart … ─► LastEnd ─► Done
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size { digits: usize },
    Extension,
    SizeEnd,
    Data,
    DataReturn,
    DataEnd,
    LineStart,
    Trailer,
    TrailerEnd,
    LastEnd,
    Done,
}

/// The decoder of one chunked body with a size limit.
#[derive(Debug)]
pub(super) struct Chunks {
    state: State,
    /// Bytes of the present chunk that have not arrived yet.
    left: usize,
    /// Bytes by which the body may still grow, after the present chunk.
    allowance: usize,
    extension: usize,
    trailer: usize,
}

impl Chunks {
    /// Accepts a body of at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { state: State::Size { digits: 0 }, left: 0, allowance: limit, extension: 0, trailer: 0 }
    }

    /// Whether the body is complete.
    pub(super) fn done(&self) -> bool {
        self.state == State::Done
    }

    /// Moves data from `input` to `body` until the input or the body ends. Returns the number of bytes taken.
    pub(super) fn push(&mut self, input: &[u8], body: &mut Vec<u8>) -> Result<usize, Refusal> {
        let mut at = 0;
        while at < input.len() && !self.done() {
            if self.state == State::Data {
                let take = self.left.min(input.len() - at);
                body.extend_from_slice(&input[at..at + take]);
                at += take;
                self.left -= take;
                if self.left == 0 {
                    self.state = State::DataReturn;
                }
            } else {
                self.state = self.step(input[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    fn step(&mut self, byte: u8) -> Result<State, Refusal> {
        match (self.state, byte) {
            (State::Size { digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits < DIGITS_MAX => {
                let digit = char::from(byte).to_digit(16).ok_or(Refusal::ChunkSize)?;
                self.left = self.left * 16 + digit as usize;
                Ok(State::Size { digits: digits + 1 })
            }
            (State::Size { digits: 1.. }, b';') => {
                self.extension = 0;
                Ok(State::Extension)
            }
            (State::Size { digits: 1.. } | State::Extension, b'\r') => Ok(State::SizeEnd),
            (State::Extension, b'\t' | b' '..=b'~') if self.extension < EXTENSION_BYTES_MAX => {
                self.extension += 1;
                Ok(State::Extension)
            }
            (State::SizeEnd, b'\n') if self.left == 0 => Ok(State::LineStart),
            (State::SizeEnd, b'\n') => {
                self.allowance = self.allowance.checked_sub(self.left).ok_or(Refusal::BodyTooLarge)?;
                Ok(State::Data)
            }
            (State::Size { .. } | State::Extension | State::SizeEnd, _) => Err(Refusal::ChunkSize),

            (State::DataReturn, b'\r') => Ok(State::DataEnd),
            (State::DataEnd, b'\n') => Ok(State::Size { digits: 0 }),
            // `push` handles `Data` itself and stops at `Done`, so neither state gets here.
            (State::DataReturn | State::DataEnd | State::Data | State::Done, _) => Err(Refusal::ChunkEnd),

            (State::LineStart, b'\r') => Ok(State::LastEnd),
            (State::Trailer, b'\r') => Ok(State::TrailerEnd),
            (State::TrailerEnd, b'\n') => Ok(State::LineStart),
            (State::LastEnd, b'\n') => Ok(State::Done),
            (State::LineStart | State::Trailer, b'\t' | b' '..=b'~' | 128..)
                if self.trailer < TRAILER_BYTES_MAX =>
            {
                self.trailer += 1;
                Ok(State::Trailer)
            }
            (State::LineStart | State::Trailer | State::TrailerEnd | State::LastEnd, _) => {
                Err(Refusal::Trailer)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 20;

    /// A body and the length of the input after it, or `None` if the body is incomplete.
    type Found<B> = Result<Option<(B, usize)>, Refusal>;

    /// Decodes this input in pieces of `step` bytes.
    fn read(input: &[u8], step: usize) -> Found<Vec<u8>> {
        let (mut chunks, mut body, mut at) = (Chunks::new(LIMIT), Vec::new(), 0);
        for piece in input.chunks(step) {
            at += chunks.push(piece, &mut body)?;
        }
        Ok(chunks.done().then(|| (body, input.len() - at)))
    }

    #[test]
    fn decodes_chunk_framing_strictly() {
        let long = |count: usize| "x".repeat(count);
        let rows: [(String, Found<&str>); 29] = [
            ("0\r\n\r\n".into(), Ok(Some(("", 0)))),
            ("3\r\nabc\r\n0\r\n\r\n".into(), Ok(Some(("abc", 0)))),
            ("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n".into(), Ok(Some(("abcde", 0)))),
            ("3\r\nabc\r\n0\r\n\r\nGET /".into(), Ok(Some(("abc", 5)))),
            ("00000003\r\nabc\r\n00\r\n\r\n".into(), Ok(Some(("abc", 0)))),
            ("A\r\n0123456789\r\n0\r\n\r\n".into(), Ok(Some(("0123456789", 0)))),
            ("3;a=\"b\"\r\nabc\r\n0;c\r\n\r\n".into(), Ok(Some(("abc", 0)))),
            ("0\r\nA: b\r\nC: d\r\n\r\n".into(), Ok(Some(("", 0)))),
            (format!("14\r\n{}\r\n0\r\n\r\n", long(20)), Ok(Some((&"x".repeat(20), 0)))),
            (format!("0;{}\r\n\r\n", long(256)), Ok(Some(("", 0)))),
            (format!("0\r\n{}\r\n\r\n", long(4096)), Ok(Some(("", 0)))),
            ("3\r\nab".into(), Ok(None)),
            ("15\r\n".into(), Err(Refusal::BodyTooLarge)),
            (format!("14\r\n{}\r\n1\r\n", long(20)), Err(Refusal::BodyTooLarge)),
            ("ffffffff\r\n".into(), Err(Refusal::BodyTooLarge)),
            ("000000003\r\n".into(), Err(Refusal::ChunkSize)),
            ("\r\n".into(), Err(Refusal::ChunkSize)),
            (";a\r\n".into(), Err(Refusal::ChunkSize)),
            ("-1\r\n".into(), Err(Refusal::ChunkSize)),
            ("+1\r\n".into(), Err(Refusal::ChunkSize)),
            ("0x1\r\n".into(), Err(Refusal::ChunkSize)),
            (" 1\r\n".into(), Err(Refusal::ChunkSize)),
            ("1 \r\n".into(), Err(Refusal::ChunkSize)),
            ("1\na\r\n".into(), Err(Refusal::ChunkSize)),
            (format!("0;{}\r\n", long(257)), Err(Refusal::ChunkSize)),
            ("3\r\nabcd\r\n".into(), Err(Refusal::ChunkEnd)),
            ("3\r\nabc\n".into(), Err(Refusal::ChunkEnd)),
            (format!("0\r\n{}", long(4097)), Err(Refusal::Trailer)),
            ("0\r\n\n".into(), Err(Refusal::Trailer)),
        ];
        for (input, expected) in &rows {
            let expected = expected.map(|found| found.map(|(body, rest)| (body.as_bytes().to_vec(), rest)));
            for step in [1, 2, 3, 7, 8192] {
                assert_eq!(read(input.as_bytes(), step), expected, "of {input:?} in pieces of {step}");
            }
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_neither_panic_nor_exceed_the_limit(
            input in prop::collection::vec(prop::sample::select(b"0123fF;\r\n\r\nab \x00".to_vec()), 0..200),
            step in 1_usize..50,
        ) {
            let whole = read(&input, input.len().max(1));
            if let Ok(Some((body, _))) = &whole {
                prop_assert!(body.len() <= LIMIT);
            }
            prop_assert_eq!(read(&input, step), whole, "fragmentation does not matter");
        }

        #[test]
        fn decodes_every_chunked_body(body in prop::collection::vec(any::<u8>(), 1..=LIMIT), size in 1_usize..9) {
            let mut wire = Vec::new();
            for piece in body.chunks(size) {
                wire.extend_from_slice(format!("{:X}\r\n", piece.len()).as_bytes());
                wire.extend_from_slice(piece);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\n\r\nrest");
            prop_assert_eq!(read(&wire, 3), Ok(Some((body, 4))));
        }
    }
}
