//! Reads the answer to an accepted turn from any source of bytes: a stream of events, or one JSON body.

use std::io::{self, ErrorKind, Read};
use std::time::Duration;

use mcr_core::gateway::codec::{EVENT_BYTES_MAX, ReplyStream, TurnFailure, check_start, from_json};
use mcr_core::gateway::{Class, Progress, Reply, Why};
use mcr_model::memory::{FREE_BYTES, Pool, STEP_BYTES};

/// Enough bytes to identify the kind of a body.
const HEAD_BYTES: u64 = 16 * 1024;

/// Bytes per read of a stream. The connection has a larger buffer, so a small one here costs no system calls, and each turn holds
/// it until its end.
const STREAM_BYTES: usize = 4 * 1024;

/// How to read an answer with status 200.
pub(super) struct AcceptedAnswer<'a> {
    /// The `Content-Type`, in lower case.
    pub(super) kind: &'a str,
    /// The most bytes that are accepted.
    pub(super) most: usize,
    /// The announced length, at most the accepted one.
    pub(super) announced: Option<u64>,
    /// The memory for large events and bodies, and how long to wait for a share of it.
    pub(super) memory: (&'a Pool, Duration),
    /// Called before every read with the bytes held. It fails if a large message stops arriving.
    pub(super) pace: &'a dyn Fn(usize) -> io::Result<()>,
    /// Turns a read error into the failure of the turn.
    pub(super) broken: &'a dyn Fn(&io::Error) -> TurnFailure,
    /// Receives the stream that continues after the complete reply, with a read buffer.
    pub(super) behind: &'a dyn Fn(&mut dyn Read, &mut [u8]),
}

/// A body that calls `pace` before every read.
struct Paced<'a> {
    body: &'a mut dyn Read,
    held: usize,
    pace: &'a dyn Fn(usize) -> io::Result<()>,
}

impl Read for Paced<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        (self.pace)(if self.held > FREE_BYTES { self.held.next_multiple_of(STEP_BYTES) } else { 0 })?;
        let read = self.body.read(into)?;
        self.held += read;
        Ok(read)
    }
}

impl AcceptedAnswer<'_> {
    /// Reads the whole answer.
    pub(super) fn read(
        &self,
        body: &mut dyn Read,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Reply, TurnFailure> {
        if self.kind.starts_with("text/event-stream") {
            return self.stream(body, progress);
        }
        let (pool, patience) = self.memory;
        let announced = self.announced.and_then(|length| usize::try_from(length).ok());
        let mut share = pool.share(announced.unwrap_or(self.most).min(self.most), patience);
        let mut bytes = Vec::new();
        let head = Read::take(&mut *body, HEAD_BYTES).read_to_end(&mut bytes);
        head.map_err(|error| (self.broken)(&error))?;
        check_start(self.kind, &bytes)?;
        let mut paced = Paced { held: bytes.len(), body, pace: self.pace };
        let whole = share.read_to_end(&mut paced, &mut bytes);
        whole.map_err(|error| (self.broken)(&error))?;
        if bytes.len() > self.most {
            return Err(TurnFailure::new(Class::Lost, Why::AnswerTooLarge));
        }
        from_json(&bytes)
    }

    fn stream(
        &self,
        body: &mut dyn Read,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Reply, TurnFailure> {
        let mut buffer = vec![0; STREAM_BYTES];
        let (pool, patience) = self.memory;
        let mut share = pool.share(EVENT_BYTES_MAX, patience);
        let mut stream = ReplyStream::new();
        let mut total = 0;
        while !stream.is_complete() {
            let run = || stream.run().map(str::to_owned);
            let paced = (self.pace)(share.held());
            let count = match paced.and_then(|()| body.read(&mut buffer)) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err((self.broken)(&error).with_run(run())),
            };
            total += count;
            if total > self.most {
                return Err(TurnFailure::new(Class::Lost, Why::AnswerTooLarge).with_run(run()));
            }
            if count == 0 {
                return stream.end(progress);
            }
            let room = share.hold(stream.bytes_kept() + count);
            room.map_err(|crowded| {
                let lost = TurnFailure::new(Class::Lost, Why::LostAnswer);
                lost.with_detail(crowded.to_string()).with_run(run())
            })?;
            stream.push(&buffer[..count], progress)?;
            if stream.bytes_kept() <= FREE_BYTES {
                // The memory of a large event is released at once.
                share.release();
            }
        }
        (self.behind)(body, &mut buffer);
        stream.finish()
    }
}
