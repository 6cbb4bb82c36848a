//! A connection that stays ours when the answer to its request is read: what is spoken on it then is no HTTP any more.
//!
//! The library makes the connection, with our name lookup, our trust, the proxy of the environment and its place at the
//! [`Stop`](super::Stop), and speaks HTTP on it until `101 Switching Protocols` is read. Such a connection it lets go of; here it
//! is caught on its way out, with whatever has come on it already.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};
use ureq::{Agent, Timeout};

use super::lookup::Lookup;
use super::roots::SharedConnector;
use super::{Fault, Phases, Roots};
use mcr_model::BaseUrl;

/// Where the last connection that the agent has let go of is found.
#[derive(Clone, Default)]
pub struct ConnectionUpgrade(Arc<Mutex<Option<Box<dyn Transport>>>>);

/// An agent for one request, whose connection can be taken over when the answer is there.
pub fn handing_over(base: &BaseUrl, roots: &Roots, phases: &Phases) -> (Agent, ConnectionUpgrade) {
    let handover = ConnectionUpgrade::default();
    let config = super::config(base, roots, phases).timeout_recv_response(Some(phases.answer)).build();
    let connector = HandingConnector { below: roots.connector(), handover: handover.clone() };
    (Agent::with_parts(config, connector, Lookup), handover)
}

impl ConnectionUpgrade {
    /// The connection, if the agent has let go of it.
    pub fn take(&self) -> Option<Connection> {
        let transport = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        transport.map(|transport| Connection { transport })
    }
}

impl fmt::Debug for ConnectionUpgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handover")
    }
}

/// A connection of ours: bytes out, bytes in.
#[derive(Debug)]
pub struct Connection {
    transport: Box<dyn Transport>,
}

impl Connection {
    /// Reads what there is, and waits for it until then. Nothing means that nothing more will come.
    pub fn read(&mut self, into: &mut [u8], until: Instant) -> Result<usize, Fault> {
        if self.transport.buffers().input().is_empty() {
            let came = self.transport.await_input(left(until)?).map_err(|error| Fault::of(&error))?;
            if !came {
                return Ok(0);
            }
        }
        let input = self.transport.buffers().input();
        let count = input.len().min(into.len());
        into[..count].copy_from_slice(&input[..count]);
        self.transport.buffers().input_consume(count);
        Ok(count)
    }

    /// Writes all of it, until then.
    pub fn write(&mut self, mut bytes: &[u8], until: Instant) -> Result<(), Fault> {
        while !bytes.is_empty() {
            let output = self.transport.buffers().output();
            let count = output.len().min(bytes.len());
            output[..count].copy_from_slice(&bytes[..count]);
            let sent = self.transport.transmit_output(count, left(until)?);
            sent.map_err(|error| Fault::of(&error))?;
            bytes = &bytes[count..];
        }
        Ok(())
    }
}

fn left(until: Instant) -> Result<NextTimeout, Fault> {
    let left = until.saturating_duration_since(Instant::now());
    if left < Duration::from_millis(1) {
        // The library takes none at all for a moment more.
        return Err(Fault::TooSlow);
    }
    Ok(NextTimeout { after: left.into(), reason: Timeout::PerCall, ..NextTimeout::default() })
}

/// Makes connections that are not lost when the agent lets go of them.
#[derive(Debug)]
struct HandingConnector {
    below: SharedConnector,
    handover: ConnectionUpgrade,
}

impl Connector for HandingConnector {
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let below = self.below.connect(details, chained)?;
        let handover = self.handover.clone();
        Ok(below.map(|below| Box::new(Handed { below: Some(below), handover }) as Box<dyn Transport>))
    }
}

/// A connection in the agent's hands.
#[derive(Debug)]
struct Handed {
    /// There until this is dropped.
    below: Option<Box<dyn Transport>>,
    handover: ConnectionUpgrade,
}

impl Handed {
    fn below(&mut self) -> &mut dyn Transport {
        self.below.as_deref_mut().expect("it is only taken out when this is dropped")
    }
}

impl Transport for Handed {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.below().buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.below().transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.below().await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.below().is_open()
    }

    fn is_tls(&self) -> bool {
        self.below.as_ref().is_some_and(Transport::is_tls)
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        let mut place = self.handover.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *place, self.below.take());
        drop(place);
        // Dropping one may put another in its place: not under the lock.
        drop(before);
    }
}
