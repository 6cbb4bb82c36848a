//! Outgoing replies: `tiny_http` formats the heads; this module sends heads and bodies, whole or as streams, within
//! time limits.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use tiny_http::{HTTPVersion, Response, StatusCode};

use super::client_socket::{ClientSocket, Source};
use crate::message::{Duplex, Header, Sink};

/// Bytes: a reply up to this size leaves in one write. The body of a larger one is not copied behind its head.
const ONE_WRITE_BYTES: usize = 16 * 1024;
/// Bytes: the buffer for a usual head.
const HEAD_BYTES: usize = 512;
/// The `Server` header. Without it `tiny_http` sends its own name.
const SERVER_HEADER: (&str, &str) = ("Server", "mission-control-runtime");

/// How this client expects its reply.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReplyMode {
    /// `HEAD`: no body.
    pub(super) head_only: bool,
    /// HTTP/1.0: no chunks.
    pub(super) http_1_0: bool,
    /// Whether the connection continues after the reply.
    pub(super) keep_alive: bool,
}

impl ReplyMode {
    /// For the last reply on a connection.
    pub(super) const LAST: Self = Self { head_only: false, http_1_0: false, keep_alive: false };

    /// `tiny_http` leaves the `Connection` header to its own listener, so this adds it.
    fn connection_line(self) -> &'static [u8] {
        match self {
            Self { keep_alive: false, .. } => b"Connection: close\r\n",
            Self { http_1_0: true, .. } => b"Connection: keep-alive\r\n",
            Self { .. } => b"",
        }
    }
}

/// The status and headers of a reply.
pub(super) struct ResponseHead {
    pub(super) status: u16,
    pub(super) headers: Vec<Header>,
}

/// The head of a reply as `tiny_http` formats it, with a `Connection` line added and `removed_line` removed.
///
/// The body is not passed to `tiny_http`, which would copy it through a buffer on the connection's stack.
fn head(
    mode: ReplyMode,
    ResponseHead { status, headers }: ResponseHead,
    length: Option<usize>,
    removed_line: &[u8],
) -> io::Result<Vec<u8>> {
    let mut head = raw_head(valid_status(status), headers, length, None)?;
    if let Some(at) = position(&head, removed_line) {
        head.drain(at..at + removed_line.len());
    }
    let line_end = position(&head, b"\r\n").map_or(head.len(), |at| at + 2);
    head.splice(line_end..line_end, mode.connection_line().iter().copied());
    Ok(head)
}

fn raw_head(
    status: u16,
    headers: Vec<Header>,
    length: Option<usize>,
    upgrade: Option<&str>,
) -> io::Result<Vec<u8>> {
    let response = Response::new(StatusCode(status), with_server_header(headers), io::empty(), length, None)
        // By default `tiny_http` chunks bodies over 32 KiB, which HTTP/1.0 clients cannot read.
        .with_chunked_threshold(usize::MAX);
    let mut head = Vec::with_capacity(HEAD_BYTES);
    response.raw_print(&mut head, HTTPVersion(1, 1), &[], true, upgrade)?;
    Ok(head)
}

/// Announces the switch to another protocol.
pub(super) fn send_switch(
    wire: &mut ClientSocket<'_>,
    until: Instant,
    protocol: &str,
    headers: Vec<Header>,
) -> io::Result<()> {
    wire.write_all(&raw_head(101, headers, None, Some(protocol))?, until)
}

/// The first position of `part`, or `None` if `part` is empty.
fn position(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len().max(1)).position(|window| window == part)
}

/// Sends a whole reply.
pub(super) fn send_whole(
    wire: &mut ClientSocket<'_>,
    until: Instant,
    mode: ReplyMode,
    response: ResponseHead,
    body: &[u8],
) -> io::Result<()> {
    // RFC 9110 §8.6 forbids a length with 204.
    let (removed_line, body): (&[u8], &[u8]) =
        if response.status == 204 { (b"Content-Length: 0\r\n", b"") } else { (b"", body) };
    let mut answer = head(mode, response, Some(body.len()), removed_line)?;
    let body = if mode.head_only { b"" } else { body };
    if answer.len() + body.len() <= ONE_WRITE_BYTES {
        answer.extend_from_slice(body);
        return wire.write_all(&answer, until);
    }
    wire.write_all(&answer, until)?;
    wire.write_all(body, until)
}

/// Sends the head of a stream. The stream is chunked. For HTTP/1.0 the end of the connection ends it.
pub(super) fn send_stream_head(
    wire: &mut ClientSocket<'_>,
    until: Instant,
    mode: ReplyMode,
    response: ResponseHead,
) -> io::Result<()> {
    let removed_line: &[u8] = if mode.http_1_0 { b"Transfer-Encoding: chunked\r\n" } else { b"" };
    wire.write_all(&head(mode, response, None, removed_line)?, until)
}

/// A stream in progress.
pub(super) struct StreamWriter<'w, 's, F> {
    pub(super) wire: &'w mut ClientSocket<'s>,
    pub(super) write_time: Duration,
    pub(super) chunked: bool,
    /// Whether the server is stopping, so that the stream should end.
    pub(super) is_stopping: F,
}

impl<F: Fn() -> bool> StreamWriter<'_, '_, F> {
    /// Ends the stream so that the client knows it is complete.
    pub(super) fn finish(self) -> io::Result<()> {
        let end: &[u8] = if self.chunked { b"0\r\n\r\n" } else { b"" };
        self.wire.write_all(end, Instant::now() + self.write_time)
    }
}

impl<F: Fn() -> bool> Sink for StreamWriter<'_, '_, F> {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let until = Instant::now() + self.write_time;
        if bytes.is_empty() {
            return Ok(()); // an empty chunk would end the stream
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
        !(self.is_stopping)() && self.wire.peer_is_listening()
    }
}

/// A connection that no longer carries HTTP.
pub(super) struct SwitchedConnection<'w, 's, F> {
    pub(super) stream: StreamWriter<'w, 's, F>,
    /// Bytes received before the switch.
    pub(super) early: Vec<u8>,
    pub(super) idle_time: Duration,
}

impl<F: Fn() -> bool> Sink for SwitchedConnection<'_, '_, F> {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.send(bytes)
    }

    fn is_open(&mut self) -> bool {
        self.stream.is_open()
    }
}

impl<F: Fn() -> bool> Duplex for SwitchedConnection<'_, '_, F> {
    fn receive(&mut self, into: &mut [u8], longest: Duration) -> io::Result<usize> {
        if !self.early.is_empty() {
            let count = self.early.len().min(into.len());
            into[..count].copy_from_slice(&self.early[..count]);
            self.early.drain(..count);
            return Ok(count);
        }
        self.stream.wire.read(into, Instant::now() + longest.min(self.idle_time))
    }
}

/// Replaces an invalid final status by 500: 1xx is not final, and a status has three digits.
fn valid_status(status: u16) -> u16 {
    if (200..=999).contains(&status) { status } else { 500 }
}

fn with_server_header(mut headers: Vec<Header>) -> Vec<Header> {
    headers.extend(Header::from_bytes(SERVER_HEADER.0, SERVER_HEADER.1));
    headers
}
