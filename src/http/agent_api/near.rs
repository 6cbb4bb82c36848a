//! Who may call at all: this machine, and whom the configuration names (http-and-tools §2.3).
//!
//! The socket says who calls, and no header does. A request that was forwarded comes from somebody else than its socket
//! says, so it is refused; and one that was sent to another host's name was led here by that name, as pages do who try
//! to reach what their visitors can reach.

use std::net::IpAddr;

use crate::config::Network;
use crate::http::message::{Request, is_scheme};

/// What everybody else is told, with the reason behind it.
const LOCAL_ONLY: &str = "Forbidden: endpoint is local-only";

/// Headers of proxies, besides all that begin with `x-forwarded-`.
const FORWARDED: [&str; 5] = ["forwarded", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip"];

/// Who is near.
#[derive(Clone, Debug, Default)]
pub struct Near {
    networks: Vec<Network>,
    hosts: Vec<String>,
}

impl Near {
    /// This machine and these networks; under these names besides `localhost` and loopback addresses.
    pub fn new<'a>(networks: &[Network], hosts: impl IntoIterator<Item = &'a str>) -> Self {
        // Everybody's page can send its visitors to an address that stands for all addresses.
        let is_name =
            |host: &&str| host.parse::<IpAddr>().map_or(!host.is_empty(), |ip| !ip.is_unspecified());
        let hosts = hosts.into_iter().filter(is_name).map(plain).collect();
        Self { networks: networks.to_vec(), hosts }
    }

    /// Why the request is refused, if it is.
    pub fn refuses(&self, request: &Request) -> Option<String> {
        let peer = request.peer().ip();
        if !peer.is_loopback() && !self.networks.iter().any(|network| network.contains(peer)) {
            return Some(format!("{LOCAL_ONLY} (AGENT_API_ALLOW does not name {peer})"));
        }
        let is_forwarding = |name: &str| FORWARDED.contains(&name) || name.starts_with("x-forwarded-");
        let names =
            request.headers().iter().map(|header| header.field.as_str().as_str().to_ascii_lowercase());
        if let Some(name) = names.into_iter().find(|name| is_forwarding(name)) {
            return Some(format!("{LOCAL_ONLY}, and this request was forwarded (it has the header {name})"));
        }
        let mut hosts = request.headers_named("Host").chain(authority(request.target())).peekable();
        if hosts.peek().is_some() && hosts.all(|host| self.knows(host)) {
            return None;
        }
        Some(format!(
            "{LOCAL_ONLY}, and the Host header names another host than this machine, HEALTH_HOST or that of \
             TASK_STATUS_BASE_URL"
        ))
    }

    fn knows(&self, authority: &str) -> bool {
        let Some(host) = host_of(authority) else { return false };
        let loopback = host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback());
        loopback || host == "localhost" || self.hosts.contains(&host)
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

    fn near() -> Near {
        let networks = ["10.1.0.0/16", "fd00::/8"].map(|text| text.parse().unwrap());
        Near::new(&networks, ["0.0.0.0", "Runtime", "::", "192.168.1.9"])
    }

    fn request(peer: &str, target: &str, headers: &[&str]) -> Request {
        let headers = headers.iter().map(|line| line.parse::<Header>().unwrap());
        Request::new(Method::Post, target).with_headers(headers).with_peer(peer.parse().unwrap())
    }

    /// §2.3, §9.2: by the socket's address alone; private networks only where they are named.
    #[test]
    fn addresses() {
        let rows = [
            ("127.0.0.1:1", true),
            ("127.9.9.9:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("[::ffff:7f00:1]:1", true),
            ("10.1.255.255:1", true),
            ("[::ffff:10.1.0.1]:1", true),
            ("10.2.0.1:1", false),
            ("172.16.0.1:1", false),
            ("192.168.1.1:1", false),
            ("169.254.0.1:1", false),
            ("8.8.8.8:1", false),
            ("0.0.0.0:0", false),
            ("[fd00::7]:1", true),
            ("[fe80::1]:1", false),
            ("[2001:db8::1]:1", false),
        ];
        for (peer, local) in rows {
            let refused = near().refuses(&request(peer, "/agent/task-load", &["Host: localhost"]));
            assert_eq!(refused.is_none(), local, "{peer}: {refused:?}");
            assert!(refused.is_none_or(|words| words.starts_with(LOCAL_ONLY)), "{peer}");
        }
    }

    #[test]
    fn hosts() {
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
            ("0.0.0.0:3001", false),
            ("[::]:3001", false),
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
        for (host, local) in rows {
            let line = format!("Host: {host}");
            let refused = near().refuses(&request("127.0.0.1:1", "/agent/task-load", &[&line]));
            assert_eq!(refused.is_none(), local, "{host}: {refused:?}");
        }
        let without = request("127.0.0.1:1", "/agent/task-load", &[]);
        assert!(near().refuses(&without).is_some());
        for (target, local) in
            [("http://localhost/agent/task-load", true), ("http://evil/agent/task-load", false)]
        {
            let absolute = request("127.0.0.1:1", target, &["Host: localhost"]);
            assert_eq!(near().refuses(&absolute).is_none(), local, "{target}");
        }
    }

    #[test]
    fn forwarded_requests() {
        for line in [
            "Forwarded: for=10.0.0.1",
            "X-Forwarded-For: 127.0.0.1",
            "x-forwarded-host: localhost",
            "X-Forwarded-Proto: https",
            "X-Real-IP: 127.0.0.1",
            "CF-Connecting-IP: 1.1.1.1",
            "True-Client-IP: 1.1.1.1",
        ] {
            let forwarded = request("127.0.0.1:1", "/agent/task-load", &["Host: localhost", line]);
            assert!(near().refuses(&forwarded).is_some(), "{line}");
        }
    }
}
