//! Answers on their way out: `tiny_http` writes them, we say when and how far.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use tiny_http::{HTTPVersion, Response, StatusCode};

use super::wire::Wire;
use crate::http::message::{Header, Sink};

/// Answers up to this size leave in one write; larger ones in pieces of it.
const PIECE: usize = 16 * 1024;
/// Room for a usual head.
const HEAD: usize = 512;
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

    /// tiny_http leaves `Connection` to its own listener, so we put this line in ourselves.
    fn connection_line(self) -> &'static [u8] {
        match self {
            Self { keep_alive: false, .. } => b"Connection: close\r\n",
            Self { old: true, .. } => b"Connection: keep-alive\r\n",
            Self { .. } => b"",
        }
    }
}

/// Collects an answer and sends it, in one write if it is small.
struct Outgoing<'w, 's> {
    wire: &'w mut Wire<'s>,
    until: Instant,
    buffer: Vec<u8>,
    /// To follow the status line.
    extra: &'static [u8],
}

impl Outgoing<'_, '_> {
    fn send(&mut self) -> io::Result<()> {
        self.wire.write_all(&self.buffer, self.until)?;
        self.buffer.clear();
        Ok(())
    }

    /// Takes the last header back: there are two cases where tiny_http writes one that should not be.
    fn strike_out(&mut self, last_header: &str) {
        if let Some(head) = self.buffer.strip_suffix(format!("{last_header}\r\n\r\n").as_bytes()) {
            self.buffer.truncate(head.len());
            self.buffer.extend_from_slice(b"\r\n");
        }
    }
}

impl Write for Outgoing<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if !self.extra.is_empty() && self.buffer.ends_with(b"\r\n") {
            self.buffer.extend_from_slice(std::mem::take(&mut self.extra));
        }
        if self.buffer.len() >= PIECE {
            self.send()?;
        }
        Ok(bytes.len())
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
    let status = valid(status);
    let expected = HEAD + if manner.head_only { 0 } else { body.len() };
    let buffer = Vec::with_capacity(expected.min(PIECE + HEAD));
    let mut out = Outgoing { wire, until, buffer, extra: manner.connection_line() };
    let response = Response::new(StatusCode(status), with_name(headers), body, Some(body.len()), None);
    // The threshold: by itself tiny_http would chunk what is larger than 32 KiB, which old clients cannot read.
    response.with_chunked_threshold(usize::MAX).raw_print(
        &mut out,
        HTTPVersion(1, 1),
        &[],
        manner.head_only,
        None,
    )?;
    if status == 204 {
        out.strike_out("Content-Length: 0"); // RFC 9110 §8.6: never with 204
    }
    out.send()
}

/// Sends the head of a stream. It is chunked; for HTTP/1.0 it ends where the connection ends.
pub(super) fn send_stream_head(
    wire: &mut Wire<'_>,
    until: Instant,
    manner: Manner,
    (status, headers): (u16, Vec<Header>),
) -> io::Result<()> {
    let mut out = Outgoing { wire, until, buffer: Vec::with_capacity(HEAD), extra: manner.connection_line() };
    let response = Response::new(StatusCode(valid(status)), with_name(headers), io::empty(), None, None);
    response.raw_print(&mut out, HTTPVersion(1, 1), &[], true, None)?;
    if manner.old {
        out.strike_out("Transfer-Encoding: chunked");
    }
    out.send()
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
