//! One request, wholly read and checked.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tiny_http::{Header, Method};

/// One request: its head in order, and its whole body.
///
/// Printing it shows method, path and sizes only, since headers and bodies may hold secrets.
#[derive(Clone)]
pub struct Request {
    method: Method,
    target: String,
    headers: Vec<Header>,
    body: Vec<u8>,
    peer: SocketAddr,
}

impl Request {
    /// A request without headers and body, from an unknown peer (`0.0.0.0:0`).
    pub fn new(method: Method, target: impl Into<String>) -> Self {
        let peer = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        Self { method, target: target.into(), headers: Vec::new(), body: Vec::new(), peer }
    }

    /// The same request with these header lines after those it has.
    #[must_use]
    pub fn with_headers(mut self, headers: impl IntoIterator<Item = Header>) -> Self {
        self.headers.extend(headers);
        self
    }

    /// The same request with this body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The same request as sent by `peer`. An IPv4 address in IPv6 clothing (`::ffff:127.0.0.1`) is undressed.
    #[must_use]
    pub fn with_peer(mut self, peer: SocketAddr) -> Self {
        self.peer = plain_address(peer);
        self
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// What stood between method and version, untouched.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The path: no query, no scheme and host, dot segments resolved. Case and percent signs stay as they came.
    ///
    /// `*` stays `*`, `//` stays `//`, so neither is ever mistaken for a route.
    pub fn path(&self) -> Cow<'_, str> {
        let before_query = self.target.split(['?', '#']).next().unwrap_or_default();
        let path = match before_query.split_once("://") {
            // `://` inside a path is just a path: only what begins with a scheme is in absolute form.
            Some((scheme, rest)) if is_scheme(scheme) => rest.find('/').map_or("/", |slash| &rest[slash..]),
            _ => before_query,
        };
        resolve_dots(path)
    }

    /// What follows the first `?`, up to a `#`.
    pub fn query(&self) -> Option<&str> {
        self.target.split('#').next().unwrap_or_default().split_once('?').map(|(_, query)| query)
    }

    /// The header of this name in any case; the first one if it is repeated.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers_named(name).next()
    }

    /// Every header of this name, in order: for names whose repetition is a mistake.
    pub fn headers_named<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.headers
            .iter()
            .filter(move |header| header.field.as_str().as_str().eq_ignore_ascii_case(name))
            .map(|header| header.value.as_str())
    }

    /// All header lines in order, names in lower case.
    ///
    /// What was not ASCII in a value is `?` here, byte for byte: nothing the house reads is written so.
    pub fn headers(&self) -> &[Header] {
        &self.headers
    }

    /// The whole body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Who sent it, by the socket; never by what a header claims.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path();
        let (headers, bytes) = (self.headers.len(), self.body.len());
        write!(f, "{} {path} from {} ({headers} headers, {bytes} bytes)", self.method, self.peer)
    }
}

/// `http`, `https`, `ws+unix`: what may stand before `://`.
pub(crate) fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// An IPv4 address as such, however the socket spells it.
fn plain_address(peer: SocketAddr) -> SocketAddr {
    match peer.ip() {
        IpAddr::V6(ip) => ip.to_ipv4_mapped().map_or(peer, |ip| SocketAddr::from((ip, peer.port()))),
        IpAddr::V4(_) => peer,
    }
}

/// Takes `.` and `..` out of a path, also in their percent spelling, as every client library does.
fn resolve_dots(path: &str) -> Cow<'_, str> {
    let is_dot = |segment: &str| segment == "." || segment.eq_ignore_ascii_case("%2e");
    let is_dot_dot = |segment: &str| {
        ["..", ".%2e", "%2e.", "%2e%2e"].iter().any(|dots| segment.eq_ignore_ascii_case(dots))
    };
    let Some(tail) = path.strip_prefix('/') else { return Cow::Borrowed(path) };
    if !tail.split('/').any(|segment| is_dot(segment) || is_dot_dot(segment)) {
        return Cow::Borrowed(path);
    }
    let mut kept = Vec::new();
    let mut segments = tail.split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        if is_dot_dot(segment) {
            kept.pop();
        } else if !is_dot(segment) {
            kept.push(segment);
            continue;
        }
        if last {
            kept.push(""); // `/a/.` names the same as `/a/`
        }
    }
    Cow::Owned(format!("/{}", kept.join("/")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_path_is_what_routes_compare() {
        let rows = [
            ("/health", "/health", None),
            ("/health?verbose=1", "/health", Some("verbose=1")),
            ("/health#top", "/health", None),
            ("/a?b?c#d?e", "/a", Some("b?c")),
            ("/a?next=http://b/c", "/a", Some("next=http://b/c")),
            ("/?", "/", Some("")),
            ("http://host/health?x", "/health", Some("x")),
            ("HTTPS://host:1/a/b", "/a/b", None),
            ("http://host", "/", None),
            ("http://host?x", "/", Some("x")),
            ("http://", "/", None),
            ("/proxy/http://x/health", "/proxy/http://x/health", None),
            ("//", "//", None),
            ("//health", "//health", None),
            ("*", "*", None),
            ("", "", None),
            ("?", "", Some("")),
            ("://", "://", None),
            ("/Health", "/Health", None),
            ("/health/", "/health/", None),
            ("/%68ealth", "/%68ealth", None),
            ("/./health", "/health", None),
            ("/a/../health", "/health", None),
            ("/a/%2E%2e/health", "/health", None),
            ("/../../health", "/health", None),
            ("/a/.", "/a/", None),
            ("/a/..", "/", None),
            ("/..a/.b/c..", "/..a/.b/c..", None),
        ];
        for (target, path, query) in rows {
            let request = Request::new(Method::Get, target);
            assert_eq!((request.path().as_ref(), request.query()), (path, query), "of {target:?}");
        }
    }

    #[test]
    fn headers_are_found_in_any_case_and_repetition_shows() {
        let line = |text: &str| text.parse::<Header>().unwrap();
        let request = Request::new(Method::Get, "/").with_headers([
            line("a: 1"),
            line("X-Key: one"),
            line("x-kEy: two"),
        ]);
        assert_eq!(request.header("x-key"), Some("one"));
        assert_eq!(request.headers_named("X-KEY").collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(request.header("b"), None);
    }

    #[test]
    fn mapped_addresses_are_plain_and_others_stay() {
        for (given, expected) in [
            ("[::ffff:10.1.2.3]:7", "10.1.2.3:7"),
            ("[::1]:7", "[::1]:7"),
            ("[::10.1.2.3]:7", "[::10.1.2.3]:7"),
            ("10.1.2.3:7", "10.1.2.3:7"),
        ] {
            let request = Request::new(Method::Get, "/").with_peer(given.parse().unwrap());
            assert_eq!(request.peer().to_string(), expected.parse::<SocketAddr>().unwrap().to_string());
        }
    }

    #[test]
    fn printing_shows_no_header_and_no_body() {
        let request = Request::new(Method::Post, "/a?token=hidden")
            .with_headers(["authorization: hidden".parse::<Header>().unwrap()])
            .with_body("hidden");
        assert_eq!(format!("{request:?}"), "POST /a from 0.0.0.0:0 (1 headers, 6 bytes)");
    }

    proptest! {
        #[test]
        fn no_target_makes_it_panic(target in ".{0,60}") {
            let request = Request::new(Method::Get, target);
            let _ = (request.path().len(), request.query(), format!("{request:?}"));
        }

        #[test]
        fn resolved_paths_stay_resolved(path in "(/|\\.|%2e|%2E|a){0,24}") {
            let once = Request::new(Method::Get, path).path().into_owned();
            let again = Request::new(Method::Get, once.clone()).path().into_owned();
            prop_assert_eq!(once, again);
        }
    }
}
