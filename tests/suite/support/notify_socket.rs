//! The socket on which systemd receives the messages of a service.

use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tempfile::TempDir;

/// Far longer than any message takes.
const PATIENCE: Duration = Duration::from_mins(2);

pub(crate) struct NotifySocket {
    socket: UnixDatagram,
    address: String,
    _folder: TempDir,
}

impl NotifySocket {
    /// At a path of its own.
    pub(crate) fn at_path() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let address = path.to_str().unwrap().to_owned();
        Self::new(UnixDatagram::bind(path).unwrap(), address, folder)
    }

    /// With an abstract name of its own.
    pub(crate) fn by_name() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().to_str().unwrap();
        let address = SocketAddr::from_abstract_name(name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        Self::new(socket, format!("@{name}"), folder)
    }

    fn new(socket: UnixDatagram, address: String, folder: TempDir) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, address, _folder: folder }
    }

    /// The value of `NOTIFY_SOCKET`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The next message.
    #[track_caller]
    pub(crate) fn next(&self) -> String {
        let mut bytes = [0; 512];
        loop {
            match self.socket.recv(&mut bytes) {
                Ok(length) => return String::from_utf8(bytes[..length].to_vec()).unwrap(),
                Err(why) if why.kind() == ErrorKind::Interrupted => {}
                Err(why) => panic!("no message arrives: {why}"),
            }
        }
    }

    /// The next message that begins with this text, and the number of watchdog messages before it.
    #[track_caller]
    pub(crate) fn next_with(&self, start: &str) -> (String, usize) {
        let mut beats = 0;
        loop {
            let message = self.next();
            if message.starts_with(start) {
                return (message, beats);
            }
            beats += usize::from(message == "WATCHDOG=1");
        }
    }

    /// Whether no message waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.socket.set_nonblocking(true).unwrap();
        let read = self.socket.recv(&mut [0; 512]);
        self.socket.set_nonblocking(false).unwrap();
        read.is_err_and(|why| why.kind() == ErrorKind::WouldBlock)
    }
}
