//! One connection, from its first byte to its last: read a request, answer it, and again.

use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use log::{debug, error};

use super::answer::{Exchange, Manner, Outflow, ResponseHead, send_stream_head, send_switch, send_whole};
use super::client_socket::{ClientSocket, Source};
use super::intake::{Denial, End, Intake};
use super::pipelining::PipelineSlot;
use super::refusal::Refusal;
use super::registry::{Doing, Place};
use super::{Refusals, Shared};
use crate::message::{Body, Bytes, Header, Reply, Request, Streamer, Talker};

/// Bytes of unwanted input taken in after the last answer, so that the client can read it.
const LINGER_BYTES: usize = 256 * 1024;

/// A connection, with what has come from it so far.
struct Connection<'a> {
    place: &'a Place,
    shared: &'a Shared,
    intake: Intake<'a, ClientSocket<'a>>,
}

/// Serves a connection until one side has had enough.
pub(super) fn serve(place: &Place, shared: &Shared) {
    let intake = Intake::new(ClientSocket::new(place), &shared.limits);
    let mut connection = Connection { place, shared, intake };
    loop {
        let pipelined = !connection.intake.is_empty();
        if !connection.wait() {
            break;
        }
        place.now(Doing::Reading);
        let sent = match connection.reply(pipelined) {
            Ok((reply, manner, turn)) => {
                // A stream lasts, and nothing that its client pipelines behind it is handled meanwhile.
                let _turn = turn.filter(|_| reply.body().is_some());
                connection.answer(reply, manner)
            }
            Err(End::Denied(reply, manner)) => connection.answer(*reply, manner),
            Err(End::Refused(refusal)) => return connection.refuse(refusal),
            Err(End::Gone) => return,
        };
        match sent {
            Ok(true) => {}
            Ok(false) => return connection.linger(),
            Err(error) => return debug!("answer to {} not sent: {error}", place.peer),
        }
    }
    if place.is_reserved() {
        // A client that has said nothing yet; it is told to come again.
        connection.refuse(Refusal::Full);
    }
}

/// Decides by the head alone whether the request is let in. In the reserve only reserved paths are.
fn admit(place: &Place, shared: &Shared, request: &Request) -> Result<(), Denial> {
    if place.is_reserved() && !shared.limits.reserved_paths.contains(&&*request.path()) {
        return Err(Denial::Refused(Refusal::Full));
    }
    place.now(Doing::Busy);
    let decide = || (shared.admission)(request);
    let panicked = |_| {
        error!("the admission of {} {} panicked", request.method(), request.path());
        Some((shared.refusals)(500, "Internal server error"))
    };
    let denied = catch_unwind(AssertUnwindSafe(decide)).unwrap_or_else(panicked);
    place.now(Doing::Reading);
    denied.map_or(Ok(()), |reply| Err(Denial::Answered(Box::new(reply))))
}

/// Runs the handler; a panic in it is an answer too.
fn handle(shared: &Shared, request: Request) -> Reply {
    let what = format_args!("{} {}", request.method(), request.path()).to_string();
    shared.panics().catch("http-connection", || (shared.handler)(request)).unwrap_or_else(|| {
        error!("the handler of {what} panicked");
        (shared.refusals)(500, "Internal server error")
    })
}

impl<'a> Connection<'a> {
    /// Waits until a request begins; says whether one does. Most of a connection's life is spent here, so this stands
    /// as high on the stack as it can.
    fn wait(&mut self) -> bool {
        if self.intake.is_empty() {
            self.place.now(Doing::Idle);
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

    /// Reads the next request and makes its answer; one that was pipelined waits for its turn first.
    #[inline(never)] // or an idle connection would keep its piece of stack
    fn reply(&mut self, pipelined: bool) -> Result<(Reply, Manner, Option<PipelineSlot<'a>>), End> {
        let (place, shared) = (self.place, self.shared);
        let (request, manner, share) =
            self.intake.request(place.peer, |request| admit(place, shared, request))?;
        let turn = if pipelined { Some(shared.turns.take(place).ok_or(End::Gone)?) } else { None };
        place.now(Doing::Busy);
        let reply = handle(shared, request);
        drop(share);
        Ok((reply, manner, turn))
    }

    /// Sends the answer; says whether the connection goes on.
    fn answer(&mut self, reply: Reply, mut manner: Manner) -> io::Result<bool> {
        let until = Instant::now() + self.shared.limits.write_time;
        manner.keep_alive &=
            !self.place.is_leaving() && !self.place.is_reserved() && !self.shared.is_stopping();
        match reply.into_parts() {
            (status, headers, Body::Whole(bytes)) => {
                let Some(_queued) = Queued::claim(self.shared, &bytes) else { return self.unread() };
                let response = ResponseHead { status, headers };
                send_whole(&mut self.intake.source, until, manner, response, bytes.as_ref())?;
            }
            (status, headers, Body::Stream(write)) => {
                return self.stream(write, manner, ResponseHead { status, headers });
            }
            (_, headers, Body::Switched(protocol, talk)) => {
                return self.switch(protocol, headers, talk, manner);
            }
            (_, _, Body::Abrupt(bytes)) => {
                self.intake.source.write_all(bytes.as_ref(), until)?;
                return Err(ErrorKind::ConnectionAborted.into());
            }
        }
        Ok(manner.keep_alive)
    }

    /// Says that too many answers wait for their clients.
    #[inline(never)] // or every answer would need its piece of stack
    fn unread(&mut self) -> io::Result<bool> {
        let until = Instant::now() + self.shared.limits.linger_time;
        send_refusal(&mut self.intake.source, until, self.shared.refusals, Refusal::Unread)?;
        Ok(false)
    }

    /// Sends an answer that is made while it is sent.
    #[inline(never)] // or every answer would need its piece of stack
    fn stream(&mut self, write: Streamer, mut manner: Manner, response: ResponseHead) -> io::Result<bool> {
        manner.keep_alive &= !manner.old;
        send_stream_head(
            &mut self.intake.source,
            Instant::now() + self.shared.limits.write_time,
            manner,
            response,
        )?;
        if !manner.head_only {
            let mut outflow = outflow(&mut self.intake.source, self.shared, !manner.old);
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
        send_switch(&mut self.intake.source, until, protocol, headers)?;
        self.talk(talk).map(|()| false)
    }

    fn talk(&mut self, talk: Talker) -> io::Result<()> {
        let early = self.intake.rest();
        let outflow = outflow(&mut self.intake.source, self.shared, false);
        let mut exchange = Exchange { outflow, early, idle_time: self.shared.limits.idle_time };
        unpanicked(|| talk(&mut exchange))
    }

    fn refuse(mut self, refusal: Refusal) {
        debug!("refused {}: {}", self.place.peer, refusal.explain());
        let until = Instant::now() + self.shared.limits.write_time;
        if send_refusal(&mut self.intake.source, until, self.shared.refusals, refusal).is_ok() {
            self.linger();
        }
    }

    /// Waits a moment for the client to hang up: closing with unread input would reset the connection and take
    /// our last answer with it. Whoever lingers goes first when places are short.
    fn linger(mut self) {
        self.intake.rest();
        self.place.is_spent();
        drain(&mut self.intake.source, Instant::now() + self.shared.limits.linger_time);
    }
}

/// The bytes of one answer among those that wait for their clients, until dropped.
struct Queued<'a> {
    all: &'a AtomicUsize,
    bytes: usize,
}

impl<'a> Queued<'a> {
    /// Adds the answer to them. Nothing if too many wait. Peers that do not take their answers are cut off first; a lone answer always passes.
    #[inline(never)] // or every answer would need its piece of stack
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

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

fn outflow<'w, 's>(
    wire: &'w mut ClientSocket<'s>,
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
    send_whole(wire, until, Manner::LAST, ResponseHead { status, headers }, &body)
}

fn drain(wire: &mut ClientSocket<'_>, until: Instant) {
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
