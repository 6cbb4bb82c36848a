//! The host names this service answers to: the defence against DNS rebinding.
//!
//! The owner of `evil.example` can let that name lead to this machine. A page of that name then reads what its visitors'
//! browsers may read here. The Host header gives such a request away; an IP address in its place cannot be rebound.

use std::net::IpAddr;

use super::message::{Request, is_scheme};

/// Why a request is refused, and what to do.
pub const REFUSED: &str = "the Host header names another host than this service: use an IP address, localhost, \
    HEALTH_HOST or the host of TASK_STATUS_BASE_URL";

/// The names besides `localhost` and IP addresses.
#[derive(Clone, Debug, Default)]
pub struct Hosts(Vec<String>);

/// What a request says about the host it is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meant {
    /// This service.
    Here,
    /// Another host.
    Elsewhere,
    /// Nothing: an HTTP/1.0 client without a Host header. No browser leaves the header out.
    Unsaid,
}

impl Hosts {
    /// The service answers to these names, too.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().map(plain).filter(|name| !name.is_empty()).collect())
    }

    /// Compares the Host header, and the target in absolute form, with the names.
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
            // Browsers take the address of all interfaces for this machine, so any page can name it.
            Ok(ip) => !ip.to_canonical().is_unspecified(),
            Err(_) => host == "localhost" || self.0.contains(&host),
        }
    }
}

fn plain(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

/// The host of a target in absolute form.
fn authority(target: &str) -> Option<&str> {
    let (scheme, rest) = target.split_once("://")?;
    is_scheme(scheme).then(|| rest.split(['/', '?', '#']).next().unwrap_or_default())
}

/// Without its port; an IPv6 address without its brackets.
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
    fn names() {
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
    fn targets_name_hosts_and_old_clients_name_none() {
        assert_eq!(meant("/health", &[]), Meant::Unsaid);
        let rows = [("http://localhost/health", Meant::Here), ("http://evil/health", Meant::Elsewhere)];
        for (target, expected) in rows {
            assert_eq!(meant(target, &["Host: localhost"]), expected, "{target}");
            assert_eq!(meant(target, &[]), expected, "{target}");
        }
        assert_eq!(meant("/health", &["Host: localhost", "Host: evil"]), Meant::Elsewhere);
    }
}
