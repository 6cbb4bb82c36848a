//! Answers on their way out: `tiny_http` writes them, we say when and how far.

use std::io::{self, BufWriter, Read, Write};
use std::time::{Duration, Instant};

use tiny_http::{HTTPVersion, Response, StatusCode};

use super::wire::Wire;
use crate::http::message::{Header, Sink};

/// Bytes: answers up to this size leave in one write, larger ones in pieces of it.
const PIECE: usize = 32 * 1024;
/// Bytes: room for a usual head.
const HEAD: usize = 1024;
/// Bytes: the least room in a buffer that `io::copy` reads into directly.
const COPIED_IN_PLACE: usize = 8 * 1024;
/// What we call ourselves, since `tiny_http` would else say its own name.
const NAME: (&str, &str) = ("Server", "mission-control-runtime");

/// How this client wants to be answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// `HEAD`: no body.
    pub(super) head_only: bool,
    /// HTTP/1.0: no chunks.
    pub(super) old: bool,
    /// Whether the connection goes on afterwards.
    pub(super) keep_alive: bool,
}

impl Manner {
    /// For a client we do not want to hear from again.
    pub(super) const LAST: Self = Self { head_only: false, old: false, keep_alive: false };

    /// `tiny_http` leaves `Connection` to its own listener, so we put this line in ourselves.
    fn connection_line(self) -> &'static [u8] {
        match self {
            Self { keep_alive: false, .. } => b"Connection: close\r\n",
            Self { old: true, .. } => b"Connection: keep-alive\r\n",
            Self { .. } => b"",
        }
    }
}

/// What `tiny_http` writes to: passes pieces on to the wire, and mends the head in the first one.
struct Outgoing<'w, 's> {
    wire: &'w mut Wire<'s>,
    until: Instant,
    /// To follow the status line.
    extra: &'static [u8],
    /// To be left out: there are two cases where `tiny_http` writes a header that should not be.
    struck_out: &'static [u8],
    /// Whether the first piece is still to come.
    at_start: bool,
    /// The buffer before us drops its last piece's error, so we keep it.
    outcome: io::Result<()>,
}

impl<'w, 's> Outgoing<'w, 's> {
    fn new(wire: &'w mut Wire<'s>, until: Instant, manner: Manner, struck_out: &'static [u8]) -> Self {
        let extra = manner.connection_line();
        Self { wire, until, extra, struck_out, at_start: true, outcome: Ok(()) }
    }

    /// Has `response` written by `tiny_http`: in one write if it is small, else in pieces.
    ///
    /// The buffer is handed over by value and has [`COPIED_IN_PLACE`] to spare, because then `io::copy` reads the
    /// body straight into it. With less it would send the head by itself first, or go by way of the stack.
    fn print<R: Read>(mut self, response: Response<R>, size: usize, head_only: bool) -> io::Result<()> {
        let buffer = BufWriter::with_capacity((size + COPIED_IN_PLACE).min(PIECE), &mut self);
        response.raw_print(buffer, HTTPVersion(1, 1), &[], head_only, None)?;
        self.outcome
    }

    /// The first piece, with the whole head in it, as it should be.
    fn mended(&self, piece: &[u8]) -> Vec<u8> {
        let line_end = |line: &[u8]| line == b"\r\n";
        let after_status = piece.windows(2).position(line_end).map_or(0, |at| at + 2);
        let (status, rest) = piece.split_at(after_status);
        let unwanted = self.struck_out.len();
        let wanted = rest.windows(unwanted.max(1)).position(|line| line == self.struck_out);
        let (before, after) = match wanted {
            Some(at) => (&rest[..at], &rest[at + unwanted..]),
            None => (rest, &[][..]),
        };
        [status, self.extra, before, after].concat()
    }
}

impl Write for Outgoing<'_, '_> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let mend =
            std::mem::take(&mut self.at_start) && !(self.extra.is_empty() && self.struck_out.is_empty());
        let sent = if mend {
            self.wire.write_all(&self.mended(piece), self.until)
        } else {
            self.wire.write_all(piece, self.until)
        };
        if let Err(error) = sent {
            self.outcome = Err(error.kind().into());
            return Err(error);
        }
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sends a whole answer.
pub(super) fn send_whole(
    wire: &mut Wire<'_>,
    until: Instant,
    manner: Manner,
    (status, headers, body): (u16, Vec<Header>, &[u8]),
) -> io::Result<()> {
    // RFC 9110 §8.6: never with 204.
    let struck_out: &[u8] = if status == 204 { b"Content-Length: 0\r\n" } else { b"" };
    let body = if status == 204 { b"" } else { body };
    let response = Response::new(StatusCode(valid(status)), with_name(headers), body, Some(body.len()), None)
        // By itself `tiny_http` would chunk what is larger than 32 KiB, which old clients cannot read.
        .with_chunked_threshold(usize::MAX);
    Outgoing::new(wire, until, manner, struck_out).print(response, HEAD + body.len(), manner.head_only)
}

/// Sends the head of a stream. It is chunked; for HTTP/1.0 it ends where the connection ends.
pub(super) fn send_stream_head(
    wire: &mut Wire<'_>,
    until: Instant,
    manner: Manner,
    (status, headers): (u16, Vec<Header>),
) -> io::Result<()> {
    let struck_out: &[u8] = if manner.old { b"Transfer-Encoding: chunked\r\n" } else { b"" };
    let response = Response::new(StatusCode(valid(status)), with_name(headers), io::empty(), None, None);
    Outgoing::new(wire, until, manner, struck_out).print(response, HEAD, true)
}

/// A stream under way.
pub(super) struct Outflow<'w, 's, F> {
    pub(super) wire: &'w mut Wire<'s>,
    pub(super) write_time: Duration,
    pub(super) chunked: bool,
    /// Whether the server wants the stream to end.
    pub(super) is_stopping: F,
}

impl<F: Fn() -> bool> Outflow<'_, '_, F> {
    /// Ends the stream so that the client knows it is complete.
    pub(super) fn finish(self) -> io::Result<()> {
        let end: &[u8] = if self.chunked { b"0\r\n\r\n" } else { b"" };
        self.wire.write_all(end, Instant::now() + self.write_time)
    }
}

impl<F: Fn() -> bool> Sink for Outflow<'_, '_, F> {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let until = Instant::now() + self.write_time;
        if bytes.is_empty() {
            return Ok(()); // an empty chunk would say "the end"
        }
        if !self.chunked {
            return self.wire.write_all(bytes, until);
        }
        let mut chunk = Vec::with_capacity(bytes.len() + 16);
        write!(chunk, "{:x}\r\n", bytes.len())?;
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.wire.write_all(&chunk, until)
    }

    fn is_open(&mut self) -> bool {
        !(self.is_stopping)() && self.wire.is_heard()
    }
}

/// 1xx would be no final answer, and above three digits no status.
fn valid(status: u16) -> u16 {
    if (200..=999).contains(&status) { status } else { 500 }
}

fn with_name(mut headers: Vec<Header>) -> Vec<Header> {
    headers.extend(Header::from_bytes(NAME.0, NAME.1));
    headers
}
