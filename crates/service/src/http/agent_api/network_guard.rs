//! Which addresses may call the agents' API: this machine and the configured networks (http-and-tools §2.3).
//!
//! Only the socket's address counts, no header. A forwarded request has another sender than its socket shows, so it is
//! refused. So is a request for another host name ([`hosts`](mcr_http::hosts)).

use mcr_config::Network;
use mcr_http::hosts::{Hosts, Meant, REFUSED};
use mcr_http::message::Request;

/// The refusal, followed by its reason.
const LOCAL_ONLY: &str = "Forbidden: endpoint is local-only";

/// Headers of proxies, as well as all that start with `x-forwarded-`.
const FORWARDED: [&str; 5] = ["forwarded", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip"];

/// The allowed networks and host names.
#[derive(Clone, Debug, Default)]
pub struct NetworkGuard {
    networks: Vec<Network>,
    hosts: Hosts,
}

impl NetworkGuard {
    /// Allows this machine and these networks, under these host names.
    pub fn new(networks: &[Network], hosts: Hosts) -> Self {
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
        match self.hosts.meant(request) {
            Meant::Here => None,
            Meant::Elsewhere | Meant::Unsaid => Some(format!("{LOCAL_ONLY}, and {REFUSED}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use tiny_http::{Header, Method};

    use super::*;

    fn guard() -> NetworkGuard {
        let networks = ["10.1.0.0/16", "fd00::/8"].map(|text| text.parse().unwrap());
        NetworkGuard::new(&networks, Hosts::new(["runtime"]))
    }

    fn request(peer: &str, target: &str, headers: &[&str]) -> Request {
        let headers = headers.iter().map(|line| line.parse::<Header>().unwrap());
        Request::new(Method::Post, target).with_headers(headers).with_peer(peer.parse().unwrap())
    }

    /// §2.3, §9.2: the socket's address alone decides; private networks only if configured.
    #[test]
    fn allows_this_machine_and_configured_networks_only() {
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
            let refused = guard().refuses(&request(peer, "/agent/task-load", &["Host: localhost"]));
            assert_eq!(refused.is_none(), local, "{peer}: {refused:?}");
            assert!(refused.is_none_or(|words| words.starts_with(LOCAL_ONLY)), "{peer}");
        }
    }

    /// The tests of `hosts` cover the names; a request without `Host` has an unknown target.
    #[test]
    fn refuses_other_host_names_and_a_missing_host() {
        let rows: [(&[&str], bool); 4] = [
            (&["Host: runtime:3001"], true),
            (&["Host: 10.9.9.9"], true),
            (&["Host: evil.example"], false),
            (&[], false),
        ];
        for (headers, local) in rows {
            let refused = guard().refuses(&request("127.0.0.1:1", "/agent/task-load", headers));
            assert_eq!(refused.is_none(), local, "{headers:?}: {refused:?}");
        }
    }

    #[test]
    fn refuses_forwarded_requests() {
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
            assert!(guard().refuses(&forwarded).is_some(), "{line}");
        }
    }
}
