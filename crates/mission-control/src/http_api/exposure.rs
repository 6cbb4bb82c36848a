//! Which requests may come from other machines, and from which client a forwarded request comes.

use std::net::IpAddr;

use mcr_http::message::Request;

/// The proxies in front of this server. By default there are none.
#[derive(Clone, Debug, Default)]
pub struct Exposure {
    /// The addresses of the proxies. Only their headers about the client are believed.
    proxies: Vec<IpAddr>,
    /// Whether other machines must come through a proxy, because this server itself speaks plain HTTP.
    only_through_proxies: bool,
}

impl Exposure {
    /// Behind these proxies, which speak HTTPS. Other machines are not answered directly.
    pub fn behind(proxies: impl IntoIterator<Item = IpAddr>) -> Self {
        let proxies = proxies.into_iter().map(|proxy| proxy.to_canonical()).collect();
        Self { proxies, only_through_proxies: true }
    }

    /// Why a request is not answered, as a sentence.
    pub(super) fn refusal(&self, request: &Request) -> Option<&'static str> {
        if !self.only_through_proxies {
            return None;
        }
        let peer = request.peer().ip();
        if !peer.is_loopback() && !self.is_proxy(peer) {
            return Some("This server answers other machines through its proxy only, over HTTPS");
        }
        // A program on this machine may share the address of a proxy, but it adds no such headers.
        let is_local = peer.is_loopback()
            && ["X-Forwarded-For", "X-Forwarded-Proto"].iter().all(|name| request.header(name).is_none());
        let is_plain = self.is_proxy(peer) && !is_local && !self.is_https(request);
        is_plain.then_some(
            "This server is reached over HTTPS only: the proxy must send `X-Forwarded-Proto: https` with such requests",
        )
    }

    /// Whether the client's own connection is encrypted, as a proxy says.
    pub(super) fn is_https(&self, request: &Request) -> bool {
        let scheme = request.header("X-Forwarded-Proto").filter(|_| self.is_proxy(request.peer().ip()));
        scheme.is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("https"))
    }

    /// The address under which the client reaches this server, also through a proxy with TLS.
    pub(super) fn origin(&self, request: &Request) -> String {
        let scheme = if self.is_https(request) { "https" } else { "http" };
        format!("{scheme}://{}", request.header("Host").unwrap_or("localhost"))
    }

    /// The address of the client: the last one that our proxies have added. A client can write the ones before it.
    pub(super) fn client(&self, request: &Request) -> IpAddr {
        let peer = request.peer().ip().to_canonical();
        if !self.is_proxy(peer) {
            return peer;
        }
        let headers: Vec<&str> = request.headers_named("X-Forwarded-For").collect();
        let hops = headers.iter().flat_map(|header| header.split(','));
        let mut client = peer;
        for hop in hops.rev() {
            // Behind an unreadable address nothing can be believed.
            let Ok(address) = hop.trim().parse::<IpAddr>() else { return client };
            client = address.to_canonical();
            if !self.is_proxy(client) {
                return client;
            }
        }
        client
    }

    fn is_proxy(&self, address: IpAddr) -> bool {
        self.proxies.contains(&address.to_canonical())
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use mcr_http::message::Method;

    use super::*;

    fn request(peer: &str, headers: &[&str]) -> Request {
        let peer = SocketAddr::new(peer.parse().unwrap(), 40_000);
        let headers = headers.iter().map(|line| line.parse().unwrap());
        Request::new(Method::Post, "/login").with_headers(headers).with_peer(peer)
    }

    #[test]
    fn only_the_named_proxy_is_believed_about_the_client() {
        let exposure = Exposure::behind(["10.0.0.2".parse().unwrap(), "127.0.0.1".parse().unwrap()]);
        let rows: [(&str, &[&str], &str); 9] = [
            ("203.0.113.9", &["X-Forwarded-For: 198.51.100.1"], "203.0.113.9"),
            ("10.0.0.2", &["X-Forwarded-For: 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.2", &["X-Forwarded-For: 1.1.1.1, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.2", &["X-Forwarded-For: 198.51.100.1, 127.0.0.1"], "198.51.100.1"),
            ("10.0.0.2", &["X-Forwarded-For: 1.1.1.1", "X-Forwarded-For: 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.2", &["X-Forwarded-For: ::ffff:198.51.100.1"], "198.51.100.1"),
            ("10.0.0.2", &["X-Forwarded-For: 198.51.100.1, nonsense"], "10.0.0.2"),
            ("10.0.0.2", &[], "10.0.0.2"),
            ("10.0.0.3", &["X-Forwarded-For: 198.51.100.1"], "10.0.0.3"),
        ];
        for (peer, headers, client) in rows {
            let found = exposure.client(&request(peer, headers));
            assert_eq!(found.to_string(), client, "{peer} {headers:?}");
        }
    }

    #[test]
    fn other_machines_come_through_the_proxy_over_https() {
        let behind = Exposure::behind(["10.0.0.2".parse().unwrap()]);
        let rows: [(&str, &[&str], bool); 9] = [
            ("10.0.0.2", &["X-Forwarded-Proto: https"], true),
            ("10.0.0.2", &["X-Forwarded-Proto: http"], false),
            ("10.0.0.2", &[], false),
            ("127.0.0.1", &["X-Forwarded-Proto: http"], true),
            ("127.0.0.1", &["X-Forwarded-Proto: https"], true),
            ("203.0.113.9", &["X-Forwarded-Proto: https"], false),
            ("203.0.113.9", &[], false),
            ("10.0.0.3", &["X-Forwarded-Proto: https"], false),
            ("10.0.0.2", &["X-Forwarded-For: 198.51.100.1"], false),
        ];
        for (peer, headers, is_answered) in rows {
            let request = request(peer, headers);
            assert_eq!(behind.refusal(&request).is_none(), is_answered, "{peer} {headers:?}");
            assert!(Exposure::default().refusal(&request).is_none());
            let is_https = peer == "10.0.0.2" && headers.first().is_some_and(|h| h.ends_with("https"));
            assert_eq!(behind.is_https(&request), is_https, "{peer} {headers:?}");
            let scheme = if is_https { "https" } else { "http" };
            assert_eq!(behind.origin(&request), format!("{scheme}://localhost"), "{peer} {headers:?}");
            assert_eq!(Exposure::default().origin(&request), "http://localhost", "nobody's word is taken");
        }
    }

    #[test]
    fn a_program_beside_the_proxy_needs_no_https() {
        let behind = Exposure::behind(["127.0.0.1".parse().unwrap()]);
        let rows: [(&[&str], bool); 4] = [
            (&[], true),
            (&["X-Forwarded-For: 198.51.100.1", "X-Forwarded-Proto: https"], true),
            (&["X-Forwarded-For: 198.51.100.1"], false),
            (&["X-Forwarded-Proto: http"], false),
        ];
        for (headers, is_answered) in rows {
            let refusal = behind.refusal(&request("127.0.0.1", headers));
            assert_eq!(refusal.is_none(), is_answered, "{headers:?}");
        }
    }
}
