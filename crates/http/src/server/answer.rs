//! Answers on their way out: `tiny_http` writes them, we say when and how far.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use tiny_http::{HTTPVersion, Response, StatusCode};

use super::client_socket::{ClientSocket, Source};
use crate::message::{Duplex, Header, Sink};

/// Bytes: an answer up to this size leaves in one write; the body of a larger one is not copied behind its head.
const ONE_WRITE: usize = 16 * 1024;
/// Bytes: room for a usual head.
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

    /// `tiny_http` leaves `Connection` to its own listener, so we put this line in ourselves.
    fn connection_line(self) -> &'static [u8] {
        match self {
            Self { keep_alive: false, .. } => b"Connection: close\r\n",
            Self { old: true, .. } => b"Connection: keep-alive\r\n",
            Self { .. } => b"",
        }
    }
}

/// Status and headers of an answer.
pub(super) struct ResponseHead {
    pub(super) status: u16,
    pub(super) headers: Vec<Header>,
}

/// The head of an answer, as `tiny_http` writes it, with what it leaves to its own listener.
///
/// It is given no body to copy: that would cost a buffer on every connection's stack, and the body is at hand.
fn head(
    manner: Manner,
    ResponseHead { status, headers }: ResponseHead,
    length: Option<usize>,
    struck_out: &[u8],
) -> io::Result<Vec<u8>> {
    let mut head = raw_head(valid(status), headers, length, None)?;
    if let Some(at) = position(&head, struck_out) {
        head.drain(at..at + struck_out.len());
    }
    let line_end = position(&head, b"\r\n").map_or(head.len(), |at| at + 2);
    head.splice(line_end..line_end, manner.connection_line().iter().copied());
    Ok(head)
}

fn raw_head(
    status: u16,
    headers: Vec<Header>,
    length: Option<usize>,
    upgrade: Option<&str>,
) -> io::Result<Vec<u8>> {
    let response = Response::new(StatusCode(status), with_name(headers), io::empty(), length, None)
        // By itself `tiny_http` would chunk what is larger than 32 KiB, which old clients cannot read.
        .with_chunked_threshold(usize::MAX);
    let mut head = Vec::with_capacity(HEAD);
    response.raw_print(&mut head, HTTPVersion(1, 1), &[], true, upgrade)?;
    Ok(head)
}

/// Says that another protocol is spoken from here on.
pub(super) fn send_switch(
    wire: &mut ClientSocket<'_>,
    until: Instant,
    protocol: &str,
    headers: Vec<Header>,
) -> io::Result<()> {
    wire.write_all(&raw_head(101, headers, None, Some(protocol))?, until)
}

/// Where `part` stands first; nowhere if it is empty.
fn position(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len().max(1)).position(|window| window == part)
}

/// Sends a whole answer.
pub(super) fn send_whole(
    wire: &mut ClientSocket<'_>,
    until: Instant,
    manner: Manner,
    response: ResponseHead,
    body: &[u8],
) -> io::Result<()> {
    // RFC 9110 §8.6: never with 204.
    let (struck_out, body): (&[u8], &[u8]) =
        if response.status == 204 { (b"Content-Length: 0\r\n", b"") } else { (b"", body) };
    let mut answer = head(manner, response, Some(body.len()), struck_out)?;
    let body = if manner.head_only { b"" } else { body };
    if answer.len() + body.len() <= ONE_WRITE {
        answer.extend_from_slice(body);
        return wire.write_all(&answer, until);
    }
    wire.write_all(&answer, until)?;
    wire.write_all(body, until)
}

/// Sends the head of a stream. It is chunked; for HTTP/1.0 it ends where the connection ends.
pub(super) fn send_stream_head(
    wire: &mut ClientSocket<'_>,
    until: Instant,
    manner: Manner,
    response: ResponseHead,
) -> io::Result<()> {
    let struck_out: &[u8] = if manner.old { b"Transfer-Encoding: chunked\r\n" } else { b"" };
    wire.write_all(&head(manner, response, None, struck_out)?, until)
}

/// A stream under way.
pub(super) struct Outflow<'w, 's, F> {
    pub(super) wire: &'w mut ClientSocket<'s>,
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

/// A connection that has left HTTP behind.
pub(super) struct Exchange<'w, 's, F> {
    pub(super) outflow: Outflow<'w, 's, F>,
    /// What had come before we were done with HTTP.
    pub(super) early: Vec<u8>,
    pub(super) idle_time: Duration,
}

impl<F: Fn() -> bool> Sink for Exchange<'_, '_, F> {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.outflow.send(bytes)
    }

    fn is_open(&mut self) -> bool {
        self.outflow.is_open()
    }
}

impl<F: Fn() -> bool> Duplex for Exchange<'_, '_, F> {
    fn receive(&mut self, into: &mut [u8], longest: Duration) -> io::Result<usize> {
        if !self.early.is_empty() {
            let count = self.early.len().min(into.len());
            into[..count].copy_from_slice(&self.early[..count]);
            self.early.drain(..count);
            return Ok(count);
        }
        self.outflow.wire.read(into, Instant::now() + longest.min(self.idle_time))
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
