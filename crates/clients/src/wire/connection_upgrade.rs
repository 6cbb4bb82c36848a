//! Takes over a connection after `101 Switching Protocols`, for a protocol other than HTTP.
//!
//! The library makes the connection, with our name lookup, our trust, the configured proxy and its
//! registration at the [`Stop`](super::Stop). It uses the connection for HTTP until it has read `101 Switching
//! Protocols`, and then drops it. This module catches the connection as it is dropped, with any bytes that
//! have already arrived.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};
use ureq::{Agent, Timeout};

use super::lookup::Lookup;
use super::network::NetworkConnector;
use super::{Fault, Phases, Roots};
use mcr_model::BaseUrl;

/// Holds the last connection that the agent dropped.
#[derive(Clone, Default)]
pub struct ConnectionUpgrade(Arc<Mutex<Option<Box<dyn Transport>>>>);

/// An agent for one request, whose connection can be taken over after the answer.
pub fn upgradable_agent(base: &BaseUrl, roots: &Roots, phases: &Phases) -> (Agent, ConnectionUpgrade) {
    let upgrade = ConnectionUpgrade::default();
    let config = super::config(base, phases).timeout_recv_response(Some(phases.answer)).build();
    let connector =
        LendingConnector { below: NetworkConnector { roots: roots.clone() }, upgrade: upgrade.clone() };
    (Agent::with_parts(config, connector, Lookup), upgrade)
}

impl ConnectionUpgrade {
    /// The connection, if the agent has dropped it.
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

/// A raw connection: bytes out, bytes in.
#[derive(Debug)]
pub struct Connection {
    transport: Box<dyn Transport>,
}

impl Connection {
    /// Reads what has arrived, and waits for input until `until`. Zero means the end of the stream.
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

    /// Writes all bytes, at the latest until `until`.
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
        // The library would treat zero as one moment more.
        return Err(Fault::TooSlow);
    }
    Ok(NextTimeout { after: left.into(), reason: Timeout::PerCall, ..NextTimeout::default() })
}

/// Makes connections that survive being dropped by the agent.
#[derive(Debug)]
struct LendingConnector {
    below: NetworkConnector,
    upgrade: ConnectionUpgrade,
}

impl Connector for LendingConnector {
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let below = self.below.connect(details, chained)?;
        let upgrade = self.upgrade.clone();
        Ok(below.map(|below| Box::new(LentTransport { below: Some(below), upgrade }) as Box<dyn Transport>))
    }
}

/// A connection lent to the agent. Dropping it stores the connection for [`ConnectionUpgrade::take`].
#[derive(Debug)]
struct LentTransport {
    /// Present until this is dropped.
    below: Option<Box<dyn Transport>>,
    upgrade: ConnectionUpgrade,
}

impl LentTransport {
    fn below(&mut self) -> &mut dyn Transport {
        self.below.as_deref_mut().expect("it is only taken out when this is dropped")
    }
}

impl Transport for LentTransport {
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

impl Drop for LentTransport {
    fn drop(&mut self) {
        let mut place = self.upgrade.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *place, self.below.take());
        drop(place);
        // Dropping a connection may store another one: not under the lock.
        drop(before);
    }
}
