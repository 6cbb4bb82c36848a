//! The host names this service answers to: the defence against DNS rebinding.
//!
//! The owner of `evil.example` can point that name at this machine. A page of that origin then reads what its
//! visitors' browsers can read here. The Host header reveals such a request. An IP address in it cannot be rebound.

use std::net::IpAddr;

use super::message::{Request, is_scheme};

/// Why a request is refused, and what to do. Clients receive this sentence.
pub const REFUSED: &str = "the Host header names another host than this service: use an IP address, localhost, \
    HEALTH_HOST or the host of TASK_STATUS_BASE_URL";

/// The accepted names in addition to `localhost` and IP addresses.
#[derive(Clone, Debug, Default)]
pub struct Hosts(Vec<String>);

/// Which host a request addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meant {
    /// This service.
    Here,
    /// Another host.
    Elsewhere,
    /// Not stated: an HTTP/1.0 client without a Host header. Browsers always send the header.
    Unsaid,
}

impl Hosts {
    /// Accepts these names in addition to `localhost` and IP addresses.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().map(plain).filter(|name| !name.is_empty()).collect())
    }

    /// Compares the Host header, and the host of an absolute target, with the accepted names.
    pub fn meant(&self, request: &Request) -> Meant {
        let hosts: Vec<&str> = request.headers_named("Host").chain(authority(request.target())).collect();
        match &hosts[..] {
            [] => Meant::Unsaid,
            hosts if hosts.iter().all(|host| self.knows(host)) => Meant::Here,
            _ => Meant::Elsewhere,
        }
    }

    fn knows(&self, authority: &str) -> bool {
        let Some(host) = host_of(authority) else { return false };
        match host.parse::<IpAddr>() {
            // Browsers treat the unspecified address as this machine, so any page can name it.
            Ok(ip) => !ip.to_canonical().is_unspecified(),
            Err(_) => host == "localhost" || self.0.contains(&host),
        }
    }
}

fn plain(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

/// The host and port of a target in absolute form.
fn authority(target: &str) -> Option<&str> {
    let (scheme, rest) = target.split_once("://")?;
    is_scheme(scheme).then(|| rest.split(['/', '?', '#']).next().unwrap_or_default())
}

/// The host without its port. An IPv6 address loses its brackets.
fn host_of(authority: &str) -> Option<String> {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let host = if let Some(rest) = authority.strip_prefix('[') {
        let (host, behind) = rest.split_once(']')?;
        let fits = behind.is_empty() || behind.strip_prefix(':').is_some_and(is_port);
        fits.then_some(host)?
    } else {
        match authority.split_once(':') {
            Some((host, port)) if is_port(port) => host,
            Some(_) => return None,
            None => authority,
        }
    };
    Some(plain(host))
}

#[cfg(test)]
mod tests {
    use tiny_http::{Header, Method};

    use super::*;

    fn meant(target: &str, headers: &[&str]) -> Meant {
        let headers = headers.iter().map(|line| line.parse::<Header>().unwrap());
        let request = Request::new(Method::Get, target).with_headers(headers);
        Hosts::new(["0.0.0.0", "Runtime", "::", ""]).meant(&request)
    }

    #[test]
    fn accepts_own_names_and_addresses_only() {
        let rows = [
            ("localhost", true),
            ("LOCALHOST:3001", true),
            ("localhost.:3001", true),
            ("127.0.0.1:3001", true),
            ("127.1.2.3", true),
            ("[::1]:3001", true),
            ("[::1]", true),
            ("runtime:3000", true),
            ("RunTime", true),
            ("192.168.1.9:3001", true),
            ("203.0.113.9", true),
            ("[2001:db8::1]:80", true),
            ("0.0.0.0:3001", false),
            ("[::]:3001", false),
            ("[::ffff:0.0.0.0]", false),
            ("evil.example", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("localhost@evil.example", false),
            ("localhost:3001:evil", false),
            ("[::1]evil", false),
            ("[::1", false),
            ("::1", false),
            ("127.1", false),
            ("2130706433", false),
            (" ", false),
        ];
        for (host, here) in rows {
            let expected = if here { Meant::Here } else { Meant::Elsewhere };
            assert_eq!(meant("/health", &[&format!("Host: {host}")]), expected, "{host}");
        }
    }

    #[test]
    fn checks_absolute_targets_and_missing_host_headers() {
        assert_eq!(meant("/health", &[]), Meant::Unsaid);
        let rows = [("http://localhost/health", Meant::Here), ("http://evil/health", Meant::Elsewhere)];
        for (target, expected) in rows {
            assert_eq!(meant(target, &["Host: localhost"]), expected, "{target}");
            assert_eq!(meant(target, &[]), expected, "{target}");
        }
        assert_eq!(meant("/health", &["Host: localhost", "Host: evil"]), Meant::Elsewhere);
    }
}
