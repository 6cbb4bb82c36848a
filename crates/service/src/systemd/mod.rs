//! The service's messages to systemd: ready, alive, stopping, and a line of status (`sd_notify(3)`).
//!
//! systemd names a datagram socket in `NOTIFY_SOCKET` and kills a service that sends no `WATCHDOG=1` within
//! `WATCHDOG_USEC`. Without the variable, a message costs nothing and goes nowhere. A message that cannot be sent is
//! logged once: the service works all the same, and systemd decides what the silence means.

mod watchdog;

pub use watchdog::{Reports, Watchdog};

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use log::warn;

/// The variable that names the socket.
const SOCKET: &str = "NOTIFY_SOCKET";

/// How long a message may wait for room in systemd's queue.
const SEND_LIMIT: Duration = Duration::from_secs(1);

/// Sends messages to systemd, if systemd started this process. Clones share one socket.
#[derive(Clone, Debug, Default)]
pub struct Notifier(Option<Arc<Channel>>);

#[derive(Debug)]
struct Channel {
    socket: UnixDatagram,
    address: SocketAddr,
    has_failed: AtomicBool,
}

impl Notifier {
    /// The notifier of this environment. An address that cannot be used is logged.
    pub fn of(env: impl Fn(&str) -> Option<OsString>) -> Self {
        let Some(address) = env(SOCKET).filter(|address| !address.is_empty()) else { return Self(None) };
        match Channel::open(&address) {
            Ok(channel) => Self(Some(Arc::new(channel))),
            Err(why) => {
                warn!(variable = SOCKET, value:% = address.display(), reason:% = why; "Systemd is not notified: its socket cannot be used");
                Self(None)
            }
        }
    }

    /// Whether systemd expects messages.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// The service has started.
    pub fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={}", one_line(status)));
    }

    /// The service stops, and needs this time for it: `TimeoutStopSec` of the unit may be less.
    pub fn stopping(&self, status: &str, time: Duration) {
        let micros = time.as_micros();
        self.send(&format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={micros}\nSTATUS={}", one_line(status)));
    }

    /// The line that `systemctl status` shows.
    pub fn status(&self, status: &str) {
        self.send(&format!("STATUS={}", one_line(status)));
    }

    /// The service is alive.
    fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    fn send(&self, message: &str) {
        let Some(channel) = &self.0 else { return };
        if let Err(why) = channel.send(message)
            && !channel.has_failed.swap(true, Ordering::Relaxed)
        {
            warn!(variable = SOCKET, reason:% = why; "Systemd is not notified: its socket takes no message");
        }
    }
}

impl Channel {
    fn open(address: &OsStr) -> io::Result<Self> {
        let address = socket_address(address)?;
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(SEND_LIMIT))?;
        Ok(Self { socket, address, has_failed: AtomicBool::new(false) })
    }

    fn send(&self, message: &str) -> io::Result<()> {
        loop {
            match self.socket.send_to_addr(message.as_bytes(), &self.address) {
                // A socket with a time limit is not restarted after a signal.
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                sent => return sent.map(drop),
            }
        }
    }
}

/// The address in `NOTIFY_SOCKET`: an absolute path, or `@` and the name of an abstract socket.
fn socket_address(text: &OsStr) -> io::Result<SocketAddr> {
    match text.as_bytes() {
        [b'/', ..] => SocketAddr::from_pathname(Path::new(text)),
        [b'@', name @ ..] if !name.is_empty() => SocketAddr::from_abstract_name(name),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is neither an absolute path nor `@name`")),
    }
}

/// A line end would start another assignment.
fn one_line(status: &str) -> String {
    status.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notifier(address: &OsStr) -> Notifier {
        let address = address.to_owned();
        Notifier::of(move |name| (name == SOCKET).then(|| address.clone()))
    }

    fn next_message(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 512];
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    #[test]
    fn messages_reach_a_socket_by_path_and_by_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        let name = format!("mcr-notify-{}", std::process::id());
        let abstract_address = SocketAddr::from_abstract_name(&name).unwrap();
        let by_name = UnixDatagram::bind_addr(&abstract_address).unwrap();
        let abstract_name = OsString::from(format!("@{name}"));
        for (socket, address) in [(by_path, path.as_os_str()), (by_name, &*abstract_name)] {
            let notifier = notifier(address);
            assert!(notifier.is_on());
            notifier.ready("healthy\nMAINPID=1");
            assert_eq!(next_message(&socket), "READY=1\nSTATUS=healthy MAINPID=1");
            notifier.alive();
            assert_eq!(next_message(&socket), "WATCHDOG=1");
            notifier.status("degraded");
            assert_eq!(next_message(&socket), "STATUS=degraded");
            notifier.stopping("bye", Duration::from_secs(2));
            assert_eq!(next_message(&socket), "STOPPING=1\nEXTEND_TIMEOUT_USEC=2000000\nSTATUS=bye");
        }
    }

    #[test]
    fn an_unusable_address_switches_the_notifier_off() {
        let long = "/".repeat(200);
        for address in ["", "@", "relative/path", "vsock:2:1234", &*long] {
            let notifier = notifier(OsStr::new(address));
            assert!(!notifier.is_on(), "{address}");
            notifier.ready("healthy");
        }
    }

    #[test]
    fn a_socket_without_reader_fails_no_message() {
        let folder = tempfile::tempdir().unwrap();
        let notifier = notifier(folder.path().join("missing").as_os_str());
        notifier.ready("healthy");
        notifier.stopping("bye", Duration::ZERO);
        assert!(notifier.0.unwrap().has_failed.load(Ordering::Relaxed));
    }
}
