//! TLS over a connection, by `rustls`.
//!
//! The library's own TLS keeps the certificates of all authorities in memory, beside the keys taken from them.
//! It also keeps its buffers as long as the connection lives.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, NextTimeout, Transport, TransportAdapter};

use super::buffers::ConnectionBuffers;
use super::socket::time_to_connect;

/// A TLS session over another connection.
pub(super) struct TlsTransport {
    buffers: ConnectionBuffers,
    session: Session,
}

type Session = StreamOwned<ClientConnection, TransportAdapter>;

impl TlsTransport {
    /// Makes the handshake.
    pub(super) fn over(
        below: Box<dyn Transport>,
        config: &Arc<ClientConfig>,
        details: &ConnectionDetails<'_>,
    ) -> Result<Self, ureq::Error> {
        let host = details.uri.host().unwrap_or_default();
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(bare.to_owned())
            .map_err(|error| io::Error::other(rustls::Error::General(error.to_string())))?;
        let tls = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        let mut sock = TransportAdapter::new(below, Arc::clone(&details.current_time));
        sock.set_timeout(time_to_connect(details));
        let mut session = StreamOwned::new(tls, sock);
        session.conn.complete_io(&mut session.sock)?;
        Ok(Self { buffers: ConnectionBuffers::new(details), session })
    }
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        write(&mut self.session, self.buffers.outgoing(amount), timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        write(&mut self.session, self.buffers.held_back(), timeout)?;
        self.buffers.release_output();
        self.session.sock.set_timeout(timeout);
        let count = self.session.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(count);
        Ok(count > 0)
    }

    fn is_open(&mut self) -> bool {
        self.buffers.release();
        self.session.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsTransport").field("below", &self.session.sock.inner()).finish_non_exhaustive()
    }
}

fn write(session: &mut Session, bytes: &[u8], timeout: NextTimeout) -> Result<(), ureq::Error> {
    if !bytes.is_empty() {
        session.sock.set_timeout(timeout);
        session.write_all(bytes)?;
    }
    Ok(())
}
