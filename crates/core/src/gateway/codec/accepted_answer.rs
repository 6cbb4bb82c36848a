//! The answer of a turn that was taken, from wherever its bytes come: a stream of events, or one JSON body.

use std::io::{self, ErrorKind, Read};
use std::time::Duration;

use super::events::{EVENT_BYTES_MAX, Events};
use super::reply::{Assembly, from_json};
use super::{Class, TurnFailure, Why};
use crate::gateway::{Progress, Reply};
use mcr_model::memory::{FREE_BYTES, Pool, STEP_BYTES};

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 16 * 1024;

/// How an answer with status 200 is read.
pub struct AcceptedAnswer<'a> {
    /// What it calls itself, in lower case.
    pub kind: &'a str,
    /// So many bytes are taken, at most.
    pub most: usize,
    /// So many bytes are announced, at most as many as are taken.
    pub announced: Option<u64>,
    /// Whether a text may be an error in disguise.
    pub errors_may_be_texts: bool,
    /// The memory for large events and bodies, and how long it is waited for.
    pub memory: (&'a Pool, Duration),
    /// Asked before every read, with the memory held: a large message must go on coming.
    pub pace: &'a dyn Fn(usize) -> io::Result<()>,
    /// What it means that no more can be read.
    pub broken: &'a dyn Fn(&io::Error) -> TurnFailure,
    /// Hears of a stream that goes on when its reply is complete, with a buffer to read it into.
    pub behind: &'a dyn Fn(&mut dyn Read, &mut [u8]),
}

/// A body that must go on coming.
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
    /// Reads it to its end.
    pub fn read(
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
        // Enough to see what it is.
        let begun = Read::take(&mut *body, BUFFER_BYTES as u64).read_to_end(&mut bytes);
        begun.map_err(|error| (self.broken)(&error))?;
        let first = bytes.trim_ascii_start().first().copied();
        let json = self.kind.contains("json");
        if first == Some(b'<') || (!json && first != Some(b'{')) {
            let words =
                if first == Some(b'<') { "status 200 and a web page" } else { "status 200 without JSON" };
            return Err(TurnFailure::new(Class::Closed, Why::NotAGateway).with_detail(words));
        }
        let mut paced = Paced { held: bytes.len(), body, pace: self.pace };
        let whole = share.read_to_end(&mut paced, &mut bytes);
        whole.map_err(|error| (self.broken)(&error))?;
        if bytes.len() > self.most {
            return Err(TurnFailure::new(Class::Lost, Why::AnswerTooLarge));
        }
        from_json(&bytes, self.errors_may_be_texts)
    }

    fn stream(
        &self,
        body: &mut dyn Read,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Reply, TurnFailure> {
        let mut buffer = vec![0; BUFFER_BYTES];
        let (pool, patience) = self.memory;
        let mut events = Events::new(pool.share(EVENT_BYTES_MAX, patience), Assembly::reads);
        let mut assembly = Assembly::new(self.errors_may_be_texts);
        let mut total = 0;
        while !assembly.is_complete() {
            let run = || assembly.run().map(str::to_owned);
            let paced = (self.pace)(events.held());
            let count = match paced.and_then(|()| body.read(&mut buffer)) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err((self.broken)(&error).with_run(run())),
            };
            total += count;
            let heard = if total > self.most {
                Err(TurnFailure::new(Class::Lost, Why::AnswerTooLarge).with_run(run()))
            } else if count == 0 {
                events.end(&mut |event| assembly.event(event, progress))
            } else {
                events.push(&buffer[..count], &mut |event| assembly.event(event, progress))
            };
            heard.map_err(|failure| failure.with_run(assembly.run().map(str::to_owned)))?;
            if count == 0 {
                return assembly.finish();
            }
        }
        (self.behind)(body, &mut buffer);
        assembly.finish()
    }
}
