//! A client's socket, with deadlines instead of time-outs.
//!
//! A time-out per call is beaten by one byte per interval; a deadline is not. The kernel only knows time-outs, so
//! before each call it is told what is left.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::registry::Place;

/// Where a client's bytes come from, and where it is told to go on.
pub(super) trait Source {
    /// Takes in what is there, waiting until `until` for it. Nothing means that nothing will come any more.
    fn read(&mut self, into: &mut [u8], until: Instant) -> io::Result<usize>;

    /// Writes all of it; what is small, before `until`.
    fn write_all(&mut self, bytes: &[u8], until: Instant) -> io::Result<()>;
}

/// A time-out that is off by less than this is left as it is: in the usual case (the request is there, the answer
/// fits) no call but one `read` and one `write` is made.
const CLOSE_ENOUGH: Duration = Duration::from_millis(10);
/// The kernel takes zero for "for ever".
const SHORTEST: Duration = Duration::from_millis(1);

/// Bytes written at once, at most: a client that takes them has made progress.
const PIECE: usize = 64 * 1024;

/// One client's socket. Only its own thread reads and writes here; others may shut the socket down.
pub(super) struct ClientSocket<'a> {
    place: &'a Place,
    stream: &'a TcpStream,
    read_timeout: Duration,
    write_timeout: Duration,
}

impl<'a> ClientSocket<'a> {
    pub(super) fn new(place: &'a Place) -> Self {
        Self { place, stream: place.stream(), read_timeout: Duration::ZERO, write_timeout: Duration::ZERO }
    }

    /// Whether the client still listens: it has neither hung up nor stopped sending for good. Never waits.
    pub(super) fn is_heard(&mut self) -> bool {
        // Only this thread reads and writes, so nobody meets the socket while it does not wait.
        if self.stream.set_nonblocking(true).is_err() {
            return false;
        }
        let next = self.stream.peek(&mut [0]);
        if self.stream.set_nonblocking(false).is_err() {
            return false;
        }
        match next {
            Ok(bytes) => bytes > 0,
            Err(error) => is_pause(&error),
        }
    }

    /// Says that no more will be sent.
    pub(super) fn hang_up(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }
}

impl Source for ClientSocket<'_> {
    /// Reads what is there, waiting until `until` for it. Nothing means that nothing will come any more.
    fn read(&mut self, into: &mut [u8], until: Instant) -> io::Result<usize> {
        loop {
            let left = time_left(until)?;
            if left.abs_diff(self.read_timeout) > CLOSE_ENOUGH {
                self.stream.set_read_timeout(Some(left))?;
                self.read_timeout = left;
            }
            match (&mut &*self.stream).read(into) {
                Err(error) if is_pause(&error) => {}
                done => return done,
            }
        }
    }

    /// Writes all of it. The first piece must be taken before `until`, and each other one in as much time: a slow client
    /// that takes one piece after the other gets all of a large answer.
    fn write_all(&mut self, bytes: &[u8], until: Instant) -> io::Result<()> {
        let longest = time_left(until)?;
        self.write_piece(&bytes[..bytes.len().min(PIECE)], until)?;
        for piece in bytes.get(PIECE..).unwrap_or_default().chunks(PIECE) {
            self.write_piece(piece, Instant::now() + longest)?;
        }
        Ok(())
    }
}

impl ClientSocket<'_> {
    fn write_piece(&mut self, mut bytes: &[u8], until: Instant) -> io::Result<()> {
        while !bytes.is_empty() {
            let left = time_left(until)?;
            if left.abs_diff(self.write_timeout) > CLOSE_ENOUGH {
                self.stream.set_write_timeout(Some(left))?;
                self.write_timeout = left;
            }
            match self.place.while_sending(|| (&mut &*self.stream).write(bytes)) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => bytes = &bytes[written..],
                Err(error) if is_pause(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn time_left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left.max(SHORTEST)) }
}

/// The kernel's time-out (Linux says `WouldBlock`) or a signal: go round and see what time it is.
fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
