//! TCP connections with few system calls: one write and one read for a small request and its answer.
//!
//! The library's own connections set both timeouts of the socket for each request, and switch it to
//! non-blocking and back for each of two probes. Here the timeouts of the socket are coarse and rarely change.
//! A read or write that they interrupt before the deadline continues. A connection is probed once, when it is
//! reused.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ureq::Timeout;
use ureq::unversioned::transport::time;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, NextTimeout, Transport};

use super::buffers::ConnectionBuffers;

/// The shortest share of the time limit that one of several addresses gets.
const ADDRESS_SHARE_MIN: Duration = Duration::from_millis(10);

/// A timeout of at least this length may end before its operation: the wait is repeated seldom.
const SELDOM: Duration = Duration::from_secs(4);

/// Shorter timeouts of a socket are exact to the millisecond. Longer ones are rounded down to a power of two
/// seconds.
const EXACT_BELOW: Duration = Duration::from_secs(2);

/// Connects to the first address that answers. Each but the last may take half of the time that is left.
fn connect(addresses: &[SocketAddr], deadline: Deadline) -> Result<TcpStream, ureq::Error> {
    let mut failure = io::Error::from(io::ErrorKind::ConnectionRefused).into();
    for (index, address) in addresses.iter().enumerate() {
        let is_last = index + 1 == addresses.len();
        let connected = match deadline.left()? {
            None => TcpStream::connect(address),
            Some(left) if is_last => TcpStream::connect_timeout(address, left),
            Some(left) => TcpStream::connect_timeout(address, (left / 2).max(ADDRESS_SHARE_MIN)),
        };
        failure = match connected {
            Ok(stream) => return Ok(stream),
            Err(error) if is_timeout(&error) => ureq::Error::Timeout(Timeout::Connect),
            Err(error) if concerns_one_address(&error) => error.into(),
            Err(error) => return Err(error.into()),
        };
    }
    Err(failure)
}

/// Whether another address of the host may be reachable: this one refused, or there is no route to it.
fn concerns_one_address(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::AddrNotAvailable
    )
}

/// The time that is left to make the connection.
pub(super) fn time_to_connect(details: &ConnectionDetails<'_>) -> NextTimeout {
    let elapsed = match details.now {
        time::Instant::Exact(begun) => begun.elapsed(),
        time::Instant::AlreadyHappened | time::Instant::NotHappening => Duration::ZERO,
    };
    let after = match details.timeout.after {
        time::Duration::Exact(limit) => limit.saturating_sub(elapsed).into(),
        time::Duration::NotHappening => time::Duration::NotHappening,
    };
    NextTimeout { after, ..details.timeout }
}

/// The timeout of a socket arrives as "would block".
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

/// A TCP connection.
#[derive(Debug)]
pub(super) struct SocketTransport {
    /// The agent's shutdown shares it weakly.
    stream: Arc<TcpStream>,
    buffers: ConnectionBuffers,
    /// The timeouts that the socket has now.
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    /// Whether there was input or output since the last call of [`Transport::is_open`].
    used: bool,
}

impl SocketTransport {
    /// Connects to the host.
    pub(super) fn connect(details: &ConnectionDetails<'_>) -> Result<Self, ureq::Error> {
        let stream = Arc::new(connect(&details.addrs, Deadline::of(time_to_connect(details)))?);
        stream.set_nodelay(true)?;
        let weak: Weak<TcpStream> = Arc::downgrade(&stream);
        (details.register_shutdown)(weak)?;
        let buffers = ConnectionBuffers::new(details);
        Ok(Self { stream, buffers, read_timeout: None, write_timeout: None, used: false })
    }
}

impl Transport for SocketTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.used = true;
        let bytes = self.buffers.outgoing(amount);
        write(&self.stream, &mut self.write_timeout, bytes, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.used = true;
        write(&self.stream, &mut self.write_timeout, self.buffers.held_back(), timeout)?;
        self.buffers.release_output();
        let into = self.buffers.input_append_buf();
        let count = read(&self.stream, &mut self.read_timeout, into, timeout)?;
        self.buffers.input_appended(count);
        Ok(count > 0)
    }

    /// The library asks when a request is complete and again before the next one. Only the second question needs
    /// a probe.
    fn is_open(&mut self) -> bool {
        self.buffers.release();
        std::mem::take(&mut self.used) || is_silent(&self.stream)
    }
}

/// Whether the connection has neither input nor an end. Between two requests, each of them means that the
/// server has closed it or is confused.
fn is_silent(stream: &TcpStream) -> bool {
    let mut sockets = [PollFd::new(stream.as_fd(), PollFlags::POLLIN)];
    poll(&mut sockets, PollTimeout::ZERO) == Ok(0)
}

/// Reads what has arrived, or waits for it. Zero means the end of the stream.
fn read(
    mut stream: &TcpStream,
    current: &mut Option<Duration>,
    into: &mut [u8],
    timeout: NextTimeout,
) -> Result<usize, ureq::Error> {
    let deadline = Deadline::of(timeout.for_read());
    loop {
        if let Some(changed) = changed(current, deadline.left()?) {
            stream.set_read_timeout(changed)?;
        }
        match stream.read(into) {
            Err(error) if is_timeout(&error) || error.kind() == io::ErrorKind::Interrupted => {}
            result => return Ok(result?),
        }
    }
}

/// Writes all bytes.
fn write(
    mut stream: &TcpStream,
    current: &mut Option<Duration>,
    mut bytes: &[u8],
    timeout: NextTimeout,
) -> Result<(), ureq::Error> {
    let deadline = Deadline::of(timeout.for_write());
    while !bytes.is_empty() {
        if let Some(changed) = changed(current, deadline.left()?) {
            stream.set_write_timeout(changed)?;
        }
        match stream.write(bytes) {
            Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if is_timeout(&error) || error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The new timeout of a socket whose operation may take this long, if its present one does not fit. One that is shorter than
/// the operation fits, because the wait is repeated, unless it is so short that it is repeated often.
#[expect(clippy::option_option, reason = "no change, or a change to no timeout")]
fn changed(current: &mut Option<Duration>, left: Option<Duration>) -> Option<Option<Duration>> {
    let wanted = left.map(coarse);
    let fits = match (*current, left) {
        (Some(present), Some(left)) => {
            present <= left.max(coarse(left)) && (present >= SELDOM || Some(present) == wanted)
        }
        (Some(present), None) => present >= SELDOM,
        (None, left) => left.is_none(),
    };
    (!fits).then(|| {
        *current = wanted;
        wanted
    })
}

fn coarse(left: Duration) -> Duration {
    if left < EXACT_BELOW {
        // Never zero, which the system refuses.
        let millis = left.as_micros().div_ceil(1000).max(1);
        return Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
    }
    Duration::from_secs(1 << left.as_secs().ilog2())
}

/// The end of the time for an operation. `None` means no limit.
#[derive(Clone, Copy, Debug)]
struct Deadline {
    at: Option<Instant>,
    reason: Timeout,
}

impl Deadline {
    fn of(timeout: NextTimeout) -> Self {
        let at = (!timeout.after.is_not_happening()).then(|| Instant::now().checked_add(*timeout.after));
        Self { at: at.flatten(), reason: timeout.reason }
    }

    /// The time that is left. None left is an error.
    fn left(self) -> Result<Option<Duration>, ureq::Error> {
        let Some(at) = self.at else { return Ok(None) };
        let left = at.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(ureq::Error::Timeout(self.reason)) } else { Ok(Some(left)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;
    use std::net::TcpListener;

    fn pair() -> (Arc<TcpStream>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (Arc::new(ours), listener.accept().unwrap().0)
    }

    fn next(after: Duration) -> NextTimeout {
        NextTimeout { after: after.into(), reason: Timeout::RecvBody, ..NextTimeout::default() }
    }

    #[test]
    fn a_long_timeout_of_a_socket_changes_rarely_and_a_short_one_is_exact() {
        let mut current = None;
        let seconds = |seconds| Some(Duration::from_secs_f64(seconds));
        let rows = [
            (seconds(30.0), Some(seconds(16.0))),
            (seconds(29.99), None),
            (seconds(16.01), None),
            (seconds(15.99), Some(seconds(8.0))),
            (seconds(310.0), None),
            (None, None),
            (seconds(3.0), Some(seconds(2.0))),
            (seconds(310.0), Some(seconds(256.0))),
            (seconds(60.0), Some(seconds(32.0))),
            (seconds(310.0), None),
            (seconds(0.25), Some(seconds(0.25))),
            (seconds(0.249_999), None),
            (seconds(0.000_001), Some(seconds(0.001))),
            (None, Some(None)),
            (None, None),
        ];
        for (left, change) in rows {
            assert_eq!(changed(&mut current, left), change, "{left:?}");
        }
    }

    /// The socket's own timeout comes first, and the wait goes on until the deadline.
    #[test]
    fn a_read_ends_at_its_deadline_and_not_before() {
        let (ours, theirs) = pair();
        let mut current = None;
        let begun = Instant::now();
        let after = EXACT_BELOW + Duration::from_millis(300);
        let result = read(&ours, &mut current, &mut [0; 8], next(after));
        assert!(matches!(result, Err(ureq::Error::Timeout(Timeout::RecvBody))), "{result:?}");
        assert!(begun.elapsed() >= after);
        drop(theirs);
        assert_eq!(read(&ours, &mut current, &mut [0; 8], next(after)).unwrap(), 0);
    }

    #[test]
    fn a_write_ends_at_its_deadline_if_the_peer_does_not_read() {
        let (ours, theirs) = pair();
        let bytes = vec![0; 64 * 1024 * 1024];
        let result = write(&ours, &mut None, &bytes, next(Duration::from_millis(50)));
        assert!(matches!(result, Err(ureq::Error::Timeout(Timeout::RecvBody))), "{result:?}");
        drop(theirs);
        let result = write(&ours, &mut None, &bytes, next(Duration::from_secs(10)));
        let Err(ureq::Error::Io(error)) = result else { panic!("the peer is gone: {result:?}") };
        assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
    }

    #[test]
    fn only_a_silent_connection_is_open() {
        let (ours, mut theirs) = pair();
        assert!(is_silent(&ours));
        theirs.write_all(b"HTTP/1.1 408 Request Timeout\r\n\r\n").unwrap();
        await_input(&ours);
        assert!(!is_silent(&ours));
        let (ours, theirs) = pair();
        drop(theirs);
        await_input(&ours);
        assert!(!is_silent(&ours));
    }

    fn await_input(stream: &TcpStream) {
        let mut sockets = [PollFd::new(stream.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut sockets, PollTimeout::NONE), Ok(1));
    }

    #[test]
    fn the_next_address_is_tried_unless_the_time_is_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let deadline = Deadline::of(next(Duration::from_secs(10)));
        assert_eq!(connect(&[closed, open], deadline).unwrap().peer_addr().unwrap(), open);
        for addresses in [&[closed][..], &[]] {
            let Err(ureq::Error::Io(error)) = connect(addresses, deadline) else { panic!("{addresses:?}") };
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        }
        let late = connect(&[closed, open], Deadline::of(next(Duration::ZERO)));
        assert!(matches!(late, Err(ureq::Error::Timeout(_))), "{late:?}");
    }
}
