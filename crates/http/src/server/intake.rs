//! Reads the requests of one connection: a head, the body it announces, and the next request.
//!
//! The bytes come from a [`Source`]: a client's socket, or a list of pieces in a dry run.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tiny_http::Method;

use super::answer::ReplyMode;
use super::chunked::Chunks;
use super::client_socket::Source;
use super::framing::{BodyFraming, HeadScan, RequestHead, read_head};
use super::limits::ServerLimits;
use super::refusal::Refusal;
use crate::message::{Reply, Request};
use mcr_model::memory::{Crowded, Share};

/// Bytes of the first read: enough for most heads and many bodies.
const FIRST_READ_BYTES: usize = 1024;
/// Maximum bytes of one read of a body.
const BODY_READ_BYTES: usize = 64 * 1024;

/// Why the connection has no further request.
pub(super) enum End {
    /// The client receives the reason.
    Refused(Refusal),
    /// The head alone decides: this is the reply, and the body is not read.
    Denied(Box<Reply>, ReplyMode),
    /// The client is gone, or no reply is due.
    Gone,
}

/// Why a request is not admitted, decided from its head.
pub(super) enum Denial {
    /// The server refuses it.
    Refused(Refusal),
    /// The service answers it.
    Answered(Box<Reply>),
}

impl From<Crowded> for End {
    fn from(_: Crowded) -> Self {
        Self::Refused(Refusal::BodiesInFlight)
    }
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The bytes received so far, and the source of more.
pub(super) struct Intake<'a, S> {
    pub(super) source: S,
    limits: &'a ServerLimits,
    /// Received but not yet parsed.
    input: Vec<u8>,
}

impl<'a, S: Source> Intake<'a, S> {
    pub(super) fn new(source: S, limits: &'a ServerLimits) -> Self {
        Self { source, limits, input: Vec::new() }
    }

    /// Whether all received bytes are parsed.
    pub(super) fn is_empty(&self) -> bool {
        self.input.is_empty()
    }

    /// Takes the bytes that are received but not parsed. They no longer belong to HTTP.
    pub(super) fn take_input(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.input)
    }

    /// Waits without a buffer for the next request. Returns whether any byte has arrived.
    pub(super) fn wait_for_first_byte(&mut self, longest: Duration) -> bool {
        self.input = Vec::new();
        let until = Instant::now() + longest;
        self.input = first_bytes(&mut self.source, until).unwrap_or_default();
        !self.input.is_empty()
    }

    /// Reads the request whose first bytes have arrived. Returns it with the reply's manner and the body's share of the
    /// memory for all bodies. The body is read only after `admit` has accepted the head.
    pub(super) fn request(
        &mut self,
        peer: SocketAddr,
        admit: impl FnOnce(&Request) -> Result<(), Denial>,
    ) -> Result<(Request, ReplyMode, Share), End> {
        let end = self.read_until_head_ends()?;
        let head = read_head(&self.input[..end], self.limits)?;
        self.input.drain(..end);

        let mode = ReplyMode {
            head_only: *head.request.method() == Method::Head,
            http_1_0: head.http_1_0,
            keep_alive: head.keep_alive,
        };
        let RequestHead { request, body, expects_continue, .. } = head;
        let request = request.with_peer(peer);
        admit(&request).map_err(|denial| match denial {
            Denial::Refused(refusal) => End::Refused(refusal),
            // An unread body would be parsed as the next request.
            Denial::Answered(reply) => End::Denied(
                reply,
                ReplyMode { keep_alive: mode.keep_alive && body == BodyFraming::Empty, ..mode },
            ),
        })?;
        let limit = self.limits.body_limit(&request.path());
        let (body, share) = self.read_body(body, limit, expects_continue)?;
        Ok((request.with_body(body), mode, share))
    }

    fn read_until_head_ends(&mut self) -> Result<usize, End> {
        let until = Instant::now() + self.limits.head_time;
        let mut scan = HeadScan::default();
        loop {
            if let Some(end) = scan.advance(&self.input, self.limits)? {
                return Ok(end);
            }
            let room =
                if self.input.len() < FIRST_READ_BYTES { FIRST_READ_BYTES } else { self.limits.head_bytes };
            self.fill_or_end(room, until, Refusal::HeadSlow)?;
        }
    }

    fn read_body(
        &mut self,
        framing: BodyFraming,
        limit: usize,
        expects_continue: bool,
    ) -> Result<(Vec<u8>, Share), End> {
        let most = match framing {
            BodyFraming::Empty => 0,
            BodyFraming::Length(length) if length > limit => return Err(Refusal::BodyTooLarge.into()),
            BodyFraming::Length(length) => length,
            BodyFraming::Chunked => limit,
        };
        let mut share = self.limits.bodies.share(most, self.limits.body_time);
        if framing == BodyFraming::Empty {
            return Ok((Vec::new(), share));
        }
        let until = Instant::now() + self.limits.body_time;
        if expects_continue && self.input.is_empty() {
            let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
            self.source.write_all(interim, until).map_err(|_| End::Gone)?;
        }
        let body = match framing {
            BodyFraming::Chunked => self.read_chunks(limit, until, &mut share),
            BodyFraming::Length(_) | BodyFraming::Empty => self.read_length(most, until, &mut share),
        };
        Ok((body?, share))
    }

    fn read_length(&mut self, length: usize, until: Instant, share: &mut Share) -> Result<Vec<u8>, End> {
        let buffered = length.min(self.input.len());
        let mut body: Vec<u8> = Vec::with_capacity(length.min(BODY_READ_BYTES));
        body.extend(self.input.drain(..buffered));
        while body.len() < length {
            // Memory follows received bytes, not announced ones: each read at most doubles the body.
            let had = body.len();
            let room = length.min(had + had.clamp(FIRST_READ_BYTES, BODY_READ_BYTES));
            share.make_room(&mut body, room)?;
            body.resize(room, 0);
            let read = self.source.read(&mut body[had..], until);
            body.truncate(had + read.as_ref().copied().unwrap_or(0));
            check_read(read, Refusal::BodySlow)?;
        }
        Ok(body)
    }

    fn read_chunks(&mut self, limit: usize, until: Instant, share: &mut Share) -> Result<Vec<u8>, End> {
        let mut chunks = Chunks::new(limit);
        let mut body = Vec::new();
        loop {
            let room = (body.len() + self.input.len()).min(limit.max(body.len()));
            share.make_room(&mut body, room)?;
            let taken = chunks.push(&self.input, &mut body)?;
            self.input.drain(..taken);
            if chunks.done() {
                return Ok(body);
            }
            self.fill_or_end(self.limits.head_bytes, until, Refusal::BodySlow)?;
        }
    }

    /// Reads more, up to `room` bytes of input in total.
    fn fill_or_end(&mut self, room: usize, until: Instant, timeout: Refusal) -> Result<(), End> {
        let had = self.input.len();
        self.input.reserve_exact(room.saturating_sub(had));
        self.input.resize(room.max(had), 0);
        let read = self.source.read(&mut self.input[had..], until);
        self.input.truncate(had + read.as_ref().copied().unwrap_or(0));
        check_read(read, timeout)
    }
}

/// Waits for a request using only stack that the previous reply has touched already.
#[inline(never)] // inlined, its buffer would add to every connection's stack
fn first_bytes(source: &mut impl Source, until: Instant) -> io::Result<Vec<u8>> {
    let mut first = [0; FIRST_READ_BYTES];
    let read = source.read(&mut first, until)?;
    Ok(first[..read].to_vec())
}

/// Checks a read that happened inside an incomplete request.
fn check_read(read: io::Result<usize>, timeout: Refusal) -> Result<(), End> {
    match read {
        Ok(1..) => Ok(()),
        Err(error) if error.kind() == ErrorKind::TimedOut => Err(timeout.into()),
        Ok(0) | Err(_) => Err(End::Gone),
    }
}
