//! One connection, from its first byte to its last: read a request, answer it, and again.

use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use log::{debug, error};
use tiny_http::Method;

use super::answer::{Exchange, Manner, Outflow, send_stream_head, send_switch, send_whole};
use super::chunked::Chunks;
use super::framing::{BodyFraming, Head, HeadScan, read_head};
use super::refusal::Refusal;
use super::registry::{Doing, Place};
use super::wire::Wire;
use super::{Refusals, Shared};
use crate::http::message::{Body, Header, Reply, Request, Streamer, Talker};

/// Bytes read at first: enough for most heads, and for many bodies.
const SMALL: usize = 1024;
/// Bytes of a body read at once, at most.
const LARGE: usize = 64 * 1024;
/// Bytes of unwanted input taken in after the last answer, so that the client can read it.
const LINGER_BYTES: usize = 256 * 1024;

/// Why there is no (further) request.
enum End {
    /// The client is told why.
    Refused(Refusal),
    /// There is nobody to tell, or nothing to say.
    Gone,
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A connection and what has come from it so far.
struct Connection<'a> {
    place: &'a Place,
    shared: &'a Shared,
    wire: Wire<'a>,
    /// Read but not yet understood.
    input: Vec<u8>,
}

/// Serves a connection until one side has had enough.
pub(super) fn serve(place: &Place, shared: &Shared) {
    let wire = Wire::new(place.stream());
    let mut connection = Connection { place, shared, wire, input: Vec::new() };
    loop {
        let (request, manner, claim) = match connection.next_request() {
            Ok(next) => next,
            Err(End::Refused(refusal)) => return connection.refuse(refusal),
            Err(End::Gone) => return,
        };
        place.now(Doing::Busy);
        let reply = handle(shared, request);
        drop(claim);
        match connection.answer(reply, manner) {
            Ok(true) => {}
            Ok(false) => return connection.linger(),
            Err(error) => return debug!("answer to {} not sent: {error}", place.peer),
        }
    }
}

/// Tells a client that there is no place for it.
pub(super) fn turn_away(stream: &std::net::TcpStream, shared: &Shared) {
    let mut wire = Wire::new(stream);
    let until = Instant::now() + shared.limits.linger_time;
    if send_refusal(&mut wire, until, shared.refusals, Refusal::Full).is_ok() {
        drain(&mut wire, until);
    }
}

/// Runs the handler; a panic in it is an answer too.
fn handle(shared: &Shared, request: Request) -> Reply {
    let what = format_args!("{} {}", request.method(), request.path()).to_string();
    catch_unwind(AssertUnwindSafe(|| (shared.handler)(request))).unwrap_or_else(|_| {
        error!("the handler of {what} panicked");
        (shared.refusals)(500, "Internal server error")
    })
}

impl<'a> Connection<'a> {
    /// Waits for a request and reads all of it.
    fn next_request(&mut self) -> Result<(Request, Manner, Claim<'a>), End> {
        let limits = &self.shared.limits;
        if self.input.is_empty() {
            self.wait_for_first_byte()?;
        }
        self.place.now(Doing::Reading);
        let end = self.read_until_head_ends()?;
        let head = read_head(&self.input[..end], limits)?;
        self.input.drain(..end);

        let manner = Manner {
            head_only: *head.request.method() == Method::Head,
            old: head.old,
            keep_alive: head.keep_alive,
        };
        let mut claim = Claim { pool: &self.shared.bodies, most: limits.bodies_in_flight, bytes: 0 };
        let body = self.read_body(&head, &mut claim)?;
        Ok((head.request.with_body(body).with_peer(self.place.peer), manner, claim))
    }

    fn wait_for_first_byte(&mut self) -> Result<(), End> {
        self.input = Vec::new();
        self.place.now(Doing::Idle);
        let until = Instant::now() + self.shared.limits.idle_time;
        self.input = first_bytes(&mut self.wire, until).map_err(|_| End::Gone)?;
        if self.input.is_empty() { Err(End::Gone) } else { Ok(()) }
    }

    fn read_until_head_ends(&mut self) -> Result<usize, End> {
        let limits = &self.shared.limits;
        let until = Instant::now() + limits.head_time;
        let mut scan = HeadScan::default();
        loop {
            if let Some(end) = scan.advance(&self.input, limits)? {
                return Ok(end);
            }
            let room = if self.input.len() < SMALL { SMALL } else { limits.head_bytes };
            self.fill_or_end(room, until, Refusal::HeadSlow)?;
        }
    }

    fn read_body(&mut self, head: &Head, claim: &mut Claim<'_>) -> Result<Vec<u8>, End> {
        let limits = &self.shared.limits;
        if head.body == BodyFraming::Empty {
            return Ok(Vec::new());
        }
        let limit = limits.body_limit(&head.request.path());
        if matches!(head.body, BodyFraming::Length(length) if length > limit) {
            return Err(Refusal::BodyTooLarge.into());
        }
        let until = Instant::now() + limits.body_time;
        if head.expects_continue && self.input.is_empty() {
            let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
            self.wire.write_all(go_on, until).map_err(|_| End::Gone)?;
        }
        match head.body {
            BodyFraming::Empty => Ok(Vec::new()),
            BodyFraming::Length(length) => self.read_length(length, until, claim),
            BodyFraming::Chunked => self.read_chunks(limit, until, claim),
        }
    }

    fn read_length(&mut self, length: usize, until: Instant, claim: &mut Claim<'_>) -> Result<Vec<u8>, End> {
        let here = length.min(self.input.len());
        let mut body: Vec<u8> = Vec::with_capacity(length.min(LARGE));
        body.extend(self.input.drain(..here));
        while body.len() < length {
            // Memory follows what has come, not what is promised: there is room for as much again.
            let had = body.len();
            let room = length.min(had + had.clamp(SMALL, LARGE));
            claim.grow_to(room)?;
            body.resize(room, 0);
            let read = self.wire.read(&mut body[had..], until);
            body.truncate(had + read.as_ref().copied().unwrap_or(0));
            arrived(read, Refusal::BodySlow)?;
        }
        Ok(body)
    }

    fn read_chunks(&mut self, limit: usize, until: Instant, claim: &mut Claim<'_>) -> Result<Vec<u8>, End> {
        let mut chunks = Chunks::new(limit);
        let mut body = Vec::new();
        loop {
            claim.grow_to(body.len() + self.input.len())?;
            let taken = chunks.push(&self.input, &mut body)?;
            self.input.drain(..taken);
            if chunks.done() {
                return Ok(body);
            }
            self.fill_or_end(self.shared.limits.head_bytes, until, Refusal::BodySlow)?;
        }
    }

    /// Reads more, up to `room` bytes of input in all.
    fn fill(&mut self, room: usize, until: Instant) -> io::Result<usize> {
        let had = self.input.len();
        self.input.reserve_exact(room.saturating_sub(had));
        self.input.resize(room.max(had), 0);
        let read = self.wire.read(&mut self.input[had..], until);
        self.input.truncate(had + read.as_ref().copied().unwrap_or(0));
        read
    }

    fn fill_or_end(&mut self, room: usize, until: Instant, slow: Refusal) -> Result<(), End> {
        let read = self.fill(room, until);
        arrived(read, slow)
    }

    /// Sends the answer; says whether the connection goes on.
    fn answer(&mut self, reply: Reply, mut manner: Manner) -> io::Result<bool> {
        let until = Instant::now() + self.shared.limits.write_time;
        manner.keep_alive &= !self.place.is_leaving() && !self.shared.is_stopping();
        match reply.into_parts() {
            (status, headers, Body::Whole(bytes)) => {
                send_whole(&mut self.wire, until, manner, (status, headers, bytes.as_ref()))?;
            }
            (status, headers, Body::Stream(write)) => return self.stream(write, manner, (status, headers)),
            (_, headers, Body::Switched(protocol, talk)) => {
                return self.switch(protocol, headers, talk, manner);
            }
            (_, _, Body::Abrupt(bytes)) => {
                self.wire.write_all(bytes.as_ref(), until)?;
                return Err(ErrorKind::ConnectionAborted.into());
            }
        }
        Ok(manner.keep_alive)
    }

    /// Sends an answer that is made while it is sent.
    #[inline(never)] // or every answer would need its piece of stack
    fn stream(&mut self, write: Streamer, mut manner: Manner, head: (u16, Vec<Header>)) -> io::Result<bool> {
        manner.keep_alive &= !manner.old;
        send_stream_head(&mut self.wire, Instant::now() + self.shared.limits.write_time, manner, head)?;
        if !manner.head_only {
            let mut outflow = outflow(&mut self.wire, self.shared, !manner.old);
            unpanicked(|| write(&mut outflow))?;
            outflow.finish()?;
        }
        Ok(manner.keep_alive)
    }

    /// Leaves HTTP behind, if the client can.
    #[inline(never)] // or every answer would need its piece of stack
    fn switch(
        &mut self,
        protocol: &str,
        headers: Vec<Header>,
        talk: Talker,
        manner: Manner,
    ) -> io::Result<bool> {
        if manner.old || manner.head_only {
            let why = "this client cannot switch to another protocol";
            return self.answer((self.shared.refusals)(400, why), manner);
        }
        let until = Instant::now() + self.shared.limits.write_time;
        send_switch(&mut self.wire, until, protocol, headers)?;
        self.talk(talk).map(|()| false)
    }

    fn talk(&mut self, talk: Talker) -> io::Result<()> {
        let early = std::mem::take(&mut self.input);
        let outflow = outflow(&mut self.wire, self.shared, false);
        let mut exchange = Exchange { outflow, early, idle_time: self.shared.limits.idle_time };
        unpanicked(|| talk(&mut exchange))
    }

    fn refuse(mut self, refusal: Refusal) {
        debug!("refused {}: {}", self.place.peer, refusal.explain());
        let until = Instant::now() + self.shared.limits.write_time;
        if send_refusal(&mut self.wire, until, self.shared.refusals, refusal).is_ok() {
            self.linger();
        }
    }

    /// Waits a moment for the client to hang up: closing with unread input would reset the connection and take
    /// our last answer with it. Whoever lingers counts as idle, so it goes first when places are short.
    fn linger(mut self) {
        self.input = Vec::new();
        self.place.now(Doing::Idle);
        drain(&mut self.wire, Instant::now() + self.shared.limits.linger_time);
    }
}

fn outflow<'w, 's>(
    wire: &'w mut Wire<'s>,
    shared: &'w Shared,
    chunked: bool,
) -> Outflow<'w, 's, impl Fn() -> bool + use<'w>> {
    Outflow { wire, write_time: shared.limits.write_time, chunked, is_stopping: || shared.is_stopping() }
}

/// What a handler writes by itself; a panic in it cuts it off.
fn unpanicked(write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    catch_unwind(AssertUnwindSafe(write)).unwrap_or_else(|_| {
        error!("a stream's writer panicked");
        Err(io::Error::other("its writer panicked"))
    })
}

/// Waits for a request with nothing in hand but a piece of stack that the last answer has used before.
#[inline(never)] // or the piece would be kept beside the answer's, by every connection
fn first_bytes(wire: &mut Wire<'_>, until: Instant) -> io::Result<Vec<u8>> {
    let mut first = [0; SMALL];
    let read = wire.read(&mut first, until)?;
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

fn send_refusal(wire: &mut Wire<'_>, until: Instant, form: Refusals, refusal: Refusal) -> io::Result<()> {
    let mut reply = form(refusal.status(), refusal.explain());
    if refusal.status() == 503 {
        reply = reply.with_header("Retry-After", "1");
    }
    let body = reply.body().unwrap_or_default().to_vec();
    let (status, headers, _) = reply.into_parts();
    send_whole(wire, until, Manner::LAST, (status, headers, &body))
}

fn drain(wire: &mut Wire<'_>, until: Instant) {
    let (mut scrap, mut left) = (vec![0; 4096], LINGER_BYTES);
    if wire.hang_up().is_err() {
        return;
    }
    while left > 0 {
        match wire.read(&mut scrap, until) {
            Ok(read @ 1..) => left = left.saturating_sub(read),
            Ok(0) | Err(_) => return,
        }
    }
}

/// The bytes one request's body holds of what all bodies may hold together.
struct Claim<'a> {
    pool: &'a AtomicUsize,
    most: usize,
    bytes: usize,
}

impl Claim<'_> {
    fn grow_to(&mut self, bytes: usize) -> Result<(), Refusal> {
        let more = bytes.saturating_sub(self.bytes);
        self.bytes += more;
        let all = self.pool.fetch_add(more, Ordering::Relaxed) + more;
        if all > self.most { Err(Refusal::BodiesInFlight) } else { Ok(()) }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.pool.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
