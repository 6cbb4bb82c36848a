//! One connection from its first byte to its last: reads a request, answers it, and repeats.

use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use log::{debug, error};

use super::answer::{
    ReplyMode, ResponseHead, StreamWriter, SwitchedConnection, send_stream_head, send_switch, send_whole,
};
use super::client_socket::{ClientSocket, Source};
use super::intake::{Denial, End, Intake};
use super::pipelining::PipelineSlot;
use super::refusal::Refusal;
use super::registry::{Activity, Place};
use super::{Refusals, Shared};
use crate::message::{Body, Bytes, Header, ProtocolHandler, Reply, Request, Streamer};

/// Maximum bytes read and discarded after the last reply, so that the client can read that reply.
const LINGER_BYTES: usize = 256 * 1024;

/// A connection with the bytes received so far.
struct Connection<'a> {
    place: &'a Place,
    shared: &'a Shared,
    intake: Intake<'a, ClientSocket<'a>>,
}

/// Serves a connection until one side ends it.
pub(super) fn serve(place: &Place, shared: &Shared) {
    let intake = Intake::new(ClientSocket::new(place), &shared.limits);
    let mut connection = Connection { place, shared, intake };
    loop {
        let pipelined = !connection.intake.is_empty();
        if !connection.wait() {
            break;
        }
        place.enter(Activity::Reading);
        let sent = match connection.reply(pipelined) {
            Ok((reply, mode, turn)) => {
                // A stream may last long. The client's further pipelined requests are not handled meanwhile.
                let _turn = turn.filter(|_| reply.body().is_some());
                connection.answer(reply, mode)
            }
            Err(End::Denied(reply, mode)) => connection.answer(*reply, mode),
            Err(End::Refused(refusal)) => return connection.refuse(refusal),
            Err(End::Gone) => return,
        };
        match sent {
            Ok(true) => {}
            Ok(false) => return connection.linger(),
            Err(error) => return debug!(peer:% = place.peer, error:%; "Reply not sent"),
        }
    }
    if place.is_reserved() {
        // The client has sent nothing yet. It may retry later.
        connection.refuse(Refusal::Full);
    }
}

/// Decides from the head alone whether the request is admitted. The reserve admits only reserved paths.
fn admit(place: &Place, shared: &Shared, request: &Request) -> Result<(), Denial> {
    if place.is_reserved() && !shared.limits.reserved_paths.contains(&&*request.path()) {
        return Err(Denial::Refused(Refusal::Full));
    }
    place.enter(Activity::Busy);
    let decide = || (shared.admission)(request);
    let panicked = |_| {
        error!(method:% = request.method(), path = &*request.path(); "Admission check panicked");
        Some((shared.refusals)(500, "Internal server error"))
    };
    let denied = catch_unwind(AssertUnwindSafe(decide)).unwrap_or_else(panicked);
    place.enter(Activity::Reading);
    denied.map_or(Ok(()), |reply| Err(Denial::Answered(Box::new(reply))))
}

/// Runs the handler. A panic becomes a 500 reply.
fn handle(shared: &Shared, request: Request) -> Reply {
    let what = format_args!("{} {}", request.method(), request.path()).to_string();
    shared.panics().catch("http-connection", || (shared.handler)(request)).unwrap_or_else(|| {
        error!(request = what.as_str(); "Request handler panicked");
        (shared.refusals)(500, "Internal server error")
    })
}

impl<'a> Connection<'a> {
    /// Waits for the next request and returns whether one arrives. A connection spends most of its life here, so this
    /// runs with as little stack as possible.
    fn wait(&mut self) -> bool {
        if self.intake.is_empty() {
            self.place.enter(Activity::Idle);
            let limits = &self.shared.limits;
            let reserved = self.place.is_reserved();
            return self.intake.wait_for_first_byte(if reserved {
                limits.linger_time
            } else {
                limits.idle_time
            });
        }
        true
    }

    /// Reads the next request and makes its reply. A pipelined request waits for a slot first.
    #[inline(never)] // inlined, its stack would stay with every idle connection
    fn reply(&mut self, pipelined: bool) -> Result<(Reply, ReplyMode, Option<PipelineSlot<'a>>), End> {
        let (place, shared) = (self.place, self.shared);
        let (request, mode, share) =
            self.intake.request(place.peer, |request| admit(place, shared, request))?;
        let turn = if pipelined { Some(shared.turns.take(place).ok_or(End::Gone)?) } else { None };
        place.enter(Activity::Busy);
        let reply = handle(shared, request);
        drop(share);
        Ok((reply, mode, turn))
    }

    /// Sends the reply. Returns whether the connection continues.
    fn answer(&mut self, reply: Reply, mut mode: ReplyMode) -> io::Result<bool> {
        let until = Instant::now() + self.shared.limits.write_time;
        mode.keep_alive &=
            !self.place.is_evicted() && !self.place.is_reserved() && !self.shared.is_stopping();
        match reply.into_parts() {
            (status, headers, Body::Whole(bytes)) => {
                let Some(_queued) = QueuedReply::claim(self.shared, &bytes) else { return self.unread() };
                let response = ResponseHead { status, headers };
                send_whole(&mut self.intake.source, until, mode, response, bytes.as_ref())?;
            }
            (status, headers, Body::Stream(write)) => {
                return self.stream(write, mode, ResponseHead { status, headers });
            }
            (_, headers, Body::Switched(protocol, talk)) => {
                return self.switch(protocol, headers, talk, mode);
            }
            (_, _, Body::Abrupt(bytes)) => {
                self.intake.source.write_all(bytes.as_ref(), until)?;
                return Err(ErrorKind::ConnectionAborted.into());
            }
        }
        Ok(mode.keep_alive)
    }

    /// Refuses: too many replies wait for their clients.
    #[inline(never)] // inlined, its stack would add to every reply
    fn unread(&mut self) -> io::Result<bool> {
        let until = Instant::now() + self.shared.limits.linger_time;
        send_refusal(&mut self.intake.source, until, self.shared.refusals, Refusal::Unread)?;
        Ok(false)
    }

    /// Sends a reply while it is written.
    #[inline(never)] // inlined, its stack would add to every reply
    fn stream(&mut self, write: Streamer, mut mode: ReplyMode, response: ResponseHead) -> io::Result<bool> {
        mode.keep_alive &= !mode.http_1_0;
        send_stream_head(
            &mut self.intake.source,
            Instant::now() + self.shared.limits.write_time,
            mode,
            response,
        )?;
        if !mode.head_only {
            let mut stream_writer = stream_writer(&mut self.intake.source, self.shared, !mode.http_1_0);
            run_writer(|| write(&mut stream_writer))?;
            stream_writer.finish()?;
        }
        Ok(mode.keep_alive)
    }

    /// Switches to another protocol, if the client can.
    #[inline(never)] // inlined, its stack would add to every reply
    fn switch(
        &mut self,
        protocol: &str,
        headers: Vec<Header>,
        talk: ProtocolHandler,
        mode: ReplyMode,
    ) -> io::Result<bool> {
        if mode.http_1_0 || mode.head_only {
            let why = "this client cannot switch to another protocol";
            return self.answer((self.shared.refusals)(400, why), mode);
        }
        let until = Instant::now() + self.shared.limits.write_time;
        send_switch(&mut self.intake.source, until, protocol, headers)?;
        self.talk(talk).map(|()| false)
    }

    fn talk(&mut self, talk: ProtocolHandler) -> io::Result<()> {
        let early = self.intake.take_input();
        let stream_writer = stream_writer(&mut self.intake.source, self.shared, false);
        let mut exchange =
            SwitchedConnection { stream: stream_writer, early, idle_time: self.shared.limits.idle_time };
        run_writer(|| talk(&mut exchange))
    }

    fn refuse(mut self, refusal: Refusal) {
        debug!(peer:% = self.place.peer, reason = refusal.explain(); "Request refused");
        let until = Instant::now() + self.shared.limits.write_time;
        if send_refusal(&mut self.intake.source, until, self.shared.refusals, refusal).is_ok() {
            self.linger();
        }
    }

    /// Waits briefly for the client to close. Closing with unread input would reset the connection and discard the last
    /// reply. A lingering connection is the first to be evicted.
    fn linger(mut self) {
        self.intake.take_input();
        self.place.mark_finished();
        drain(&mut self.intake.source, Instant::now() + self.shared.limits.linger_time);
    }
}

/// One reply's bytes in the count of bytes that wait for clients, until dropped.
struct QueuedReply<'a> {
    all: &'a AtomicUsize,
    bytes: usize,
}

impl<'a> QueuedReply<'a> {
    /// Adds a reply's bytes to the count, or returns `None` if too many wait. Peers that do not take their replies are
    /// cut off first. A single reply always passes.
    #[inline(never)] // inlined, its stack would add to every reply
    fn claim(shared: &'a Shared, body: &Bytes) -> Option<Self> {
        let bytes = if matches!(body, Bytes::Static(_)) { 0 } else { body.as_ref().len() };
        let (all, most) = (&shared.answers, shared.limits.answer_bytes);
        let fits = |queued: usize| (queued == 0 || queued + bytes <= most).then_some(queued + bytes);
        let until = Instant::now() + shared.limits.patience;
        while all.fetch_update(Ordering::AcqRel, Ordering::Acquire, fits).is_err() {
            if !shared.registry.cut_off_stalled() && Instant::now() >= until {
                return None;
            }
            thread::yield_now();
        }
        Some(Self { all, bytes })
    }
}

impl Drop for QueuedReply<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

fn stream_writer<'w, 's>(
    wire: &'w mut ClientSocket<'s>,
    shared: &'w Shared,
    chunked: bool,
) -> StreamWriter<'w, 's, impl Fn() -> bool + use<'w>> {
    StreamWriter { wire, write_time: shared.limits.write_time, chunked, is_stopping: || shared.is_stopping() }
}

/// Runs the writer of a stream. A panic in it cuts the stream off.
fn run_writer(write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    catch_unwind(AssertUnwindSafe(write)).unwrap_or_else(|_| {
        error!("Stream writer panicked");
        Err(io::Error::other("stream writer panicked"))
    })
}

fn send_refusal(
    wire: &mut ClientSocket<'_>,
    until: Instant,
    form: Refusals,
    refusal: Refusal,
) -> io::Result<()> {
    let mut reply = form(refusal.status(), refusal.explain());
    if refusal.status() == 503 {
        reply = reply.with_header("Retry-After", "1");
    }
    let body = reply.body().unwrap_or_default().to_vec();
    let (status, headers, _) = reply.into_parts();
    send_whole(wire, until, ReplyMode::LAST, ResponseHead { status, headers }, &body)
}

fn drain(wire: &mut ClientSocket<'_>, until: Instant) {
    let (mut discarded, mut left) = (vec![0; 4096], LINGER_BYTES);
    if wire.shut_down_sending().is_err() {
        return;
    }
    while left > 0 {
        match wire.read(&mut discarded, until) {
            Ok(read @ 1..) => left = left.saturating_sub(read),
            Ok(0) | Err(_) => return,
        }
    }
}
