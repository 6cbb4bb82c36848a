//! A client's socket with deadlines instead of timeouts.
//!
//! One byte per interval defeats a timeout per call, but not a deadline. The kernel has only timeouts, so each call sets
//! the timeout to the time left.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::registry::Place;

/// The source of a client's bytes, and the sink of interim replies.
pub(super) trait Source {
    /// Reads available bytes and waits until `until` for them. Zero bytes mean that no more will come.
    fn read(&mut self, into: &mut [u8], until: Instant) -> io::Result<usize>;

    /// Writes all bytes; a small reply, before `until`.
    fn write_all(&mut self, bytes: &[u8], until: Instant) -> io::Result<()>;
}

/// A timeout that differs by less than this stays set. In the usual case (the request is there, the reply fits) a
/// request needs one `read`, one `write` and no other call.
const CLOSE_ENOUGH: Duration = Duration::from_millis(10);
/// The kernel treats zero as no timeout.
const TIMEOUT_MIN: Duration = Duration::from_millis(1);

/// Maximum bytes of one write. A client that takes them has made progress.
const PIECE_BYTES: usize = 64 * 1024;

/// One client's socket. Only its own thread reads and writes it. Other threads may shut it down.
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

    /// Whether the client still listens: it has neither disconnected nor shut down its sending side. Never blocks.
    pub(super) fn peer_is_listening(&mut self) -> bool {
        // Only this thread reads and writes the socket, so no other call sees it in non-blocking mode.
        if self.stream.set_nonblocking(true).is_err() {
            return false;
        }
        let next = self.stream.peek(&mut [0]);
        if self.stream.set_nonblocking(false).is_err() {
            return false;
        }
        match next {
            Ok(bytes) => bytes > 0,
            Err(error) => is_timeout_or_signal(&error),
        }
    }

    /// Shuts down the sending side.
    pub(super) fn shut_down_sending(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }
}

impl Source for ClientSocket<'_> {
    /// Reads available bytes and waits until `until` for them. Zero bytes mean that no more will come.
    fn read(&mut self, into: &mut [u8], until: Instant) -> io::Result<usize> {
        loop {
            let left = time_left(until)?;
            if left.abs_diff(self.read_timeout) > CLOSE_ENOUGH {
                self.stream.set_read_timeout(Some(left))?;
                self.read_timeout = left;
            }
            match (&mut &*self.stream).read(into) {
                Err(error) if is_timeout_or_signal(&error) => {}
                done => return done,
            }
        }
    }

    /// Writes all bytes. The first piece must leave before `until`, and each further piece has the same time. A slow
    /// client that takes one piece after another thus receives all of a large reply.
    fn write_all(&mut self, bytes: &[u8], until: Instant) -> io::Result<()> {
        let piece_time = time_left(until)?;
        self.write_piece(&bytes[..bytes.len().min(PIECE_BYTES)], until)?;
        for piece in bytes.get(PIECE_BYTES..).unwrap_or_default().chunks(PIECE_BYTES) {
            self.write_piece(piece, Instant::now() + piece_time)?;
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
                Err(error) if is_timeout_or_signal(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn time_left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left.max(TIMEOUT_MIN)) }
}

/// Whether the call ended by the kernel's timeout (`WouldBlock` on Linux) or a signal: the caller checks its deadline.
fn is_timeout_or_signal(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
