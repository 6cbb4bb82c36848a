//! What comes in over a connection, read as requests: a head, the body that it announces, and the next.
//!
//! The bytes come from a [`Source`]: a client's socket, or, where nobody is connected, a list of pieces.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tiny_http::Method;

use super::answer::Manner;
use super::chunked::Chunks;
use super::client_socket::Source;
use super::framing::{BodyFraming, HeadScan, RequestHead, read_head};
use super::limits::ServerLimits;
use super::refusal::Refusal;
use crate::message::{Reply, Request};
use mcr_model::memory::{Crowded, Share};

/// Bytes read at first: enough for most heads, and for many bodies.
const SMALL: usize = 1024;
/// Bytes of a body read at once, at most.
const LARGE: usize = 64 * 1024;

/// Why there is no (further) request.
pub(super) enum End {
    /// The client is told why.
    Refused(Refusal),
    /// The head alone decides: this is the answer, and no body is read.
    Denied(Box<Reply>, Manner),
    /// There is nobody to tell, or nothing to say.
    Gone,
}

/// Why a request is not let in, by its head.
pub(super) enum Denial {
    /// As a refusal of the server.
    Refused(Refusal),
    /// As the service says.
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

/// What has come so far, and where more comes from.
pub(super) struct Intake<'a, S> {
    pub(super) source: S,
    limits: &'a ServerLimits,
    /// Read but not yet understood.
    input: Vec<u8>,
}

impl<'a, S: Source> Intake<'a, S> {
    pub(super) fn new(source: S, limits: &'a ServerLimits) -> Self {
        Self { source, limits, input: Vec::new() }
    }

    /// Whether nothing has come that is not understood yet.
    pub(super) fn is_empty(&self) -> bool {
        self.input.is_empty()
    }

    /// What has come and is not understood: it is somebody else's now.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.input)
    }

    /// Waits with empty hands; says whether anything has come.
    pub(super) fn wait_for_first_byte(&mut self, longest: Duration) -> bool {
        self.input = Vec::new();
        let until = Instant::now() + longest;
        self.input = first_bytes(&mut self.source, until).unwrap_or_default();
        !self.input.is_empty()
    }

    /// The request of `peer` whose first bytes have come; how it wants to be answered, and what its body holds of the memory
    /// of all bodies. The body is read once `admit` has let the head in.
    pub(super) fn request(
        &mut self,
        peer: SocketAddr,
        admit: impl FnOnce(&Request) -> Result<(), Denial>,
    ) -> Result<(Request, Manner, Share), End> {
        let end = self.read_until_head_ends()?;
        let head = read_head(&self.input[..end], self.limits)?;
        self.input.drain(..end);

        let manner = Manner {
            head_only: *head.request.method() == Method::Head,
            old: head.old,
            keep_alive: head.keep_alive,
        };
        let RequestHead { request, body, expects_continue, .. } = head;
        let request = request.with_peer(peer);
        admit(&request).map_err(|denial| match denial {
            Denial::Refused(refusal) => End::Refused(refusal),
            // A body that is not read would be taken for the next request.
            Denial::Answered(reply) => End::Denied(
                reply,
                Manner { keep_alive: manner.keep_alive && body == BodyFraming::Empty, ..manner },
            ),
        })?;
        let limit = self.limits.body_limit(&request.path());
        let (body, share) = self.read_body(body, limit, expects_continue)?;
        Ok((request.with_body(body), manner, share))
    }

    fn read_until_head_ends(&mut self) -> Result<usize, End> {
        let until = Instant::now() + self.limits.head_time;
        let mut scan = HeadScan::default();
        loop {
            if let Some(end) = scan.advance(&self.input, self.limits)? {
                return Ok(end);
            }
            let room = if self.input.len() < SMALL { SMALL } else { self.limits.head_bytes };
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
            let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
            self.source.write_all(go_on, until).map_err(|_| End::Gone)?;
        }
        let body = match framing {
            BodyFraming::Chunked => self.read_chunks(limit, until, &mut share),
            BodyFraming::Length(_) | BodyFraming::Empty => self.read_length(most, until, &mut share),
        };
        Ok((body?, share))
    }

    fn read_length(&mut self, length: usize, until: Instant, share: &mut Share) -> Result<Vec<u8>, End> {
        let here = length.min(self.input.len());
        let mut body: Vec<u8> = Vec::with_capacity(length.min(LARGE));
        body.extend(self.input.drain(..here));
        while body.len() < length {
            // Memory follows what has come, not what is promised: there is room for as much again.
            let had = body.len();
            let room = length.min(had + had.clamp(SMALL, LARGE));
            share.make_room(&mut body, room)?;
            body.resize(room, 0);
            let read = self.source.read(&mut body[had..], until);
            body.truncate(had + read.as_ref().copied().unwrap_or(0));
            arrived(read, Refusal::BodySlow)?;
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

    /// Reads more, up to `room` bytes of input in all.
    fn fill_or_end(&mut self, room: usize, until: Instant, slow: Refusal) -> Result<(), End> {
        let had = self.input.len();
        self.input.reserve_exact(room.saturating_sub(had));
        self.input.resize(room.max(had), 0);
        let read = self.source.read(&mut self.input[had..], until);
        self.input.truncate(had + read.as_ref().copied().unwrap_or(0));
        arrived(read, slow)
    }
}

/// Waits for a request with nothing in hand but a piece of stack that the last answer has used before.
#[inline(never)] // or the piece would be kept beside the answer's, by every connection
fn first_bytes(source: &mut impl Source, until: Instant) -> io::Result<Vec<u8>> {
    let mut first = [0; SMALL];
    let read = source.read(&mut first, until)?;
    Ok(first[..read].to_vec())
}

/// What a read came to while a request was still incomplete.
fn arrived(read: io::Result<usize>, slow: Refusal) -> Result<(), End> {
    match read {
        Ok(1..) => Ok(()),
        Err(error) if error.kind() == ErrorKind::TimedOut => Err(slow.into()),
        Ok(0) | Err(_) => Err(End::Gone),
    }
}
