//! Resolves a host name to addresses.
//!
//! The library's own resolver panics when the system cannot start a thread. Here that is an ordinary error. A
//! lookup cannot be interrupted, so it runs on a separate thread. At the time limit the caller leaves that
//! thread behind, and it ends when the system's resolver gives up. Numeric addresses need neither.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// The most addresses tried for one name: the capacity of the library's list.
const ADDRESSES_MAX: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Lookup;

impl Resolver for Lookup {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let name = uri
            .scheme()
            .zip(uri.authority())
            .and_then(|(scheme, authority)| DefaultResolver::host_and_port(scheme, authority))
            .ok_or_else(|| ureq::Error::BadUri(uri.to_string()))?;
        let found = match name.parse::<SocketAddr>() {
            Ok(address) => vec![address],
            Err(_) => look_up(name, timeout)?,
        };
        let mut addresses = self.empty();
        for address in config.ip_family().keep_wanted(found.into_iter()).take(ADDRESSES_MAX) {
            addresses.push(address);
        }
        if addresses.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(addresses) }
    }
}

fn look_up(name: String, timeout: NextTimeout) -> Result<Vec<SocketAddr>, ureq::Error> {
    // There is at most one answer, and its receiver may be gone: a capacity of one lets the thread end.
    let (answer, answered) = mpsc::sync_channel(1);
    thread::Builder::new()
        .name("name lookup".to_owned())
        .spawn(move || answer.send(name.to_socket_addrs().map(Iterator::collect)))
        .map_err(|error| io::Error::other(format!("no thread for the name lookup: {error}")))?;
    match answered.recv_timeout(*timeout.after) {
        Ok(found) => Ok(found?),
        Err(mpsc::RecvTimeoutError::Timeout) => Err(ureq::Error::Timeout(timeout.reason)),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(ureq::Error::HostNotFound),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn resolve(uri: &str) -> Result<Vec<SocketAddr>, ureq::Error> {
        let timeout = NextTimeout {
            after: Duration::from_secs(10).into(),
            reason: ureq::Timeout::Resolve,
            ..NextTimeout::default()
        };
        let config = Config::default();
        let found = Lookup.resolve(&uri.parse().unwrap(), &config, timeout)?;
        Ok(found.into_iter().copied().collect())
    }

    #[test]
    fn names_and_addresses_are_resolved_with_their_port() {
        let rows = [
            ("http://127.0.0.1", "127.0.0.1:80"),
            ("https://127.0.0.1/x", "127.0.0.1:443"),
            ("http://[::1]:3210", "[::1]:3210"),
            ("http://localhost:8187", "127.0.0.1:8187"),
        ];
        for (uri, address) in rows {
            let found = resolve(uri).unwrap();
            assert!(found.contains(&address.parse().unwrap()), "{uri}: {found:?}");
        }
        assert!(matches!(resolve("nonsense://host"), Err(ureq::Error::BadUri(_))));
    }
}
