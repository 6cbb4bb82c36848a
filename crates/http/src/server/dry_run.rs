//! What the server takes bytes for, without a server: no socket, no handler, no waiting.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use super::client_socket::Source;
use super::intake::{End, Intake};
use super::limits::ServerLimits;
use crate::message::Request;

/// Where the requests come from.
const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// What the bytes of one connection come to.
#[derive(Debug)]
pub struct DryRun {
    /// The requests that would be answered, in order.
    pub requests: Vec<Request>,
    /// What ends the connection.
    pub end: Ending,
}

/// What ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Nothing more comes, perhaps in the middle of a request.
    Over,
    /// The last request was to be the last: what follows is not looked at.
    Asked,
    /// What follows is refused, with this status and this sentence, and nothing behind it is looked at.
    Refused(u16, &'static str),
}

/// What a server with these limits makes of a client that sends these pieces and hangs up.
pub fn rehearse<'p>(pieces: impl IntoIterator<Item = &'p [u8]>, limits: &ServerLimits) -> DryRun {
    let mut intake = Intake::new(Pieces { rest: &[], more: pieces.into_iter() }, limits);
    let mut requests = Vec::new();
    let mut end = Ending::Over;
    while !intake.is_empty() || intake.wait_for_first_byte(limits.idle_time) {
        match intake.request(NOBODY, |_| Ok(())) {
            Ok((request, manner, _share)) => {
                requests.push(request);
                if !manner.keep_alive {
                    end = Ending::Asked;
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

/// Pieces as they come, one with each read.
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
