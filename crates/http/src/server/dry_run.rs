//! Parses bytes as the server would, without a server: no socket, no handler, no waiting.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use super::client_socket::Source;
use super::intake::{End, Intake};
use super::limits::ServerLimits;
use crate::message::Request;

/// The peer of every parsed request.
const NO_PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// The result of parsing the bytes of one connection.
#[derive(Debug)]
pub struct DryRun {
    /// The requests the server would answer, in order.
    pub requests: Vec<Request>,
    /// Why the connection ends.
    pub end: Ending,
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The client disconnects, possibly in the middle of a request.
    Disconnected,
    /// The last request closes the connection. The following bytes are not parsed.
    ClosedByRequest,
    /// The server refuses the next bytes with this status and sentence, and parses nothing after them.
    Refused(u16, &'static str),
}

/// Parses these pieces as a server with these limits does when the client sends them and disconnects.
pub fn dry_run<'p>(pieces: impl IntoIterator<Item = &'p [u8]>, limits: &ServerLimits) -> DryRun {
    let mut intake = Intake::new(Pieces { rest: &[], more: pieces.into_iter() }, limits);
    let mut requests = Vec::new();
    let mut end = Ending::Disconnected;
    while !intake.is_empty() || intake.wait_for_first_byte(limits.idle_time) {
        match intake.request(NO_PEER, |_| Ok(())) {
            Ok((request, mode, _share)) => {
                requests.push(request);
                if !mode.keep_alive {
                    end = Ending::ClosedByRequest;
                    break;
                }
            }
            Err(End::Refused(refusal)) => {
                end = Ending::Refused(refusal.status(), refusal.explain());
                break;
            }
            Err(End::Gone | End::Denied(..)) => break,
        }
    }
    DryRun { requests, end }
}

/// The pieces of input, one per read.
struct Pieces<'p, I> {
    rest: &'p [u8],
    more: I,
}

impl<'p, I: Iterator<Item = &'p [u8]>> Source for Pieces<'p, I> {
    fn read(&mut self, into: &mut [u8], _until: Instant) -> io::Result<usize> {
        while self.rest.is_empty() {
            let Some(next) = self.more.next() else { return Ok(0) };
            self.rest = next;
        }
        let (now, later) = self.rest.split_at(self.rest.len().min(into.len()));
        into[..now.len()].copy_from_slice(now);
        self.rest = later;
        Ok(now.len())
    }

    fn write_all(&mut self, _bytes: &[u8], _until: Instant) -> io::Result<()> {
        Ok(())
    }
}
