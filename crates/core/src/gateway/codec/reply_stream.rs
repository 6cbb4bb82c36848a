//! The reply to an accepted turn, from the pieces of its body as they come. The caller reads them and holds the memory;
//! this module says how much memory the next piece may need.

use super::events::Events;
use super::reply::Assembly;
use super::{Class, TurnFailure, Why};
use crate::gateway::{Progress, Reply};

/// The most bytes that one event of a stream takes.
pub const EVENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A reply that comes as a stream of events.
pub struct ReplyStream {
    events: Events,
    assembly: Assembly,
}

impl ReplyStream {
    /// No bytes have come yet.
    pub fn new() -> Self {
        Self { events: Events::new(EVENT_BYTES_MAX, Assembly::reads), assembly: Assembly::default() }
    }

    /// Whether the reply, or its failure, is complete. Later bytes do not count.
    pub fn is_complete(&self) -> bool {
        self.assembly.is_complete()
    }

    /// The id of the run, once the gateway has named it.
    pub fn run(&self) -> Option<&str> {
        self.assembly.run()
    }

    /// How many bytes of the present event are kept.
    pub fn bytes_kept(&self) -> usize {
        self.events.bytes_kept()
    }

    /// Takes the next piece. It adds at most its own length to the bytes kept.
    pub fn push(&mut self, piece: &[u8], progress: &mut dyn FnMut(Progress<'_>)) -> Result<(), TurnFailure> {
        let assembly = &mut self.assembly;
        let taken = self.events.push(piece, &mut |event| assembly.event(event, progress));
        taken.map_err(|failure| failure.with_run(self.run().map(str::to_owned)))
    }

    /// The body has ended: the reply, or why there is none.
    pub fn end(mut self, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Reply, TurnFailure> {
        let assembly = &mut self.assembly;
        let taken = self.events.end(&mut |event| assembly.event(event, progress));
        taken.map_err(|failure| failure.with_run(self.run().map(str::to_owned)))?;
        self.finish()
    }

    /// The reply as far as it has come. Without its last event it is lost.
    pub fn finish(self) -> Result<Reply, TurnFailure> {
        self.assembly.finish()
    }
}

/// Whether an answer with status 200 that is no stream can be a reply: `kind` is its content type in lower case, `start`
/// the beginning of its body.
pub fn check_start(kind: &str, start: &[u8]) -> Result<(), TurnFailure> {
    let words = match start.trim_ascii_start().first() {
        Some(b'<') => "status 200 and a web page",
        Some(b'{') => return Ok(()),
        _ if kind.contains("json") => return Ok(()),
        _ => "status 200 without JSON",
    };
    Err(TurnFailure::new(Class::Closed, Why::NotAGateway).with_detail(words))
}

impl Default for ReplyStream {
    fn default() -> Self {
        Self::new()
    }
}
