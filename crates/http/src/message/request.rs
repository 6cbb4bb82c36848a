//! One request, completely read and checked.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tiny_http::{Header, Method};

/// One request: its head in order, and its whole body.
///
/// `Debug` prints only method, path and sizes, since headers and bodies may contain secrets.
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

    /// Appends these header lines.
    #[must_use]
    pub fn with_headers(mut self, headers: impl IntoIterator<Item = Header>) -> Self {
        self.headers.extend(headers);
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets the peer. An IPv4-mapped IPv6 address (`::ffff:127.0.0.1`) becomes plain IPv4.
    #[must_use]
    pub fn with_peer(mut self, peer: SocketAddr) -> Self {
        self.peer = plain_address(peer);
        self
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The request target exactly as received.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The path: without query, scheme and host, with dot segments resolved. Case and percent signs stay as received.
    ///
    /// `*` stays `*` and `//` stays `//`, so neither matches a route.
    pub fn path(&self) -> Cow<'_, str> {
        let before_query = self.target.split(['?', '#']).next().unwrap_or_default();
        let path = match before_query.split_once("://") {
            // Only a target that starts with a scheme is in absolute form; elsewhere `://` is part of the path.
            Some((scheme, rest)) if is_scheme(scheme) => rest.find('/').map_or("/", |slash| &rest[slash..]),
            _ => before_query,
        };
        resolve_dots(path)
    }

    /// The part after the first `?`, up to a `#`.
    pub fn query(&self) -> Option<&str> {
        self.target.split('#').next().unwrap_or_default().split_once('?').map(|(_, query)| query)
    }

    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers_named(name).next()
    }

    /// Every header of this name, in order: for names that must not be repeated.
    pub fn headers_named<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.headers
            .iter()
            .filter(move |header| header.field.as_str().as_str().eq_ignore_ascii_case(name))
            .map(|header| header.value.as_str())
    }

    /// All header lines in order, with names in lower case.
    ///
    /// Each non-ASCII byte of a value is `?` here. Every header the runtime reads is ASCII.
    pub fn headers(&self) -> &[Header] {
        &self.headers
    }

    /// The whole body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The address of the socket's peer. Headers cannot change it.
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

/// Whether the text is a scheme, such as `http`, `https` or `ws+unix`.
pub(crate) fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// Converts an IPv4-mapped IPv6 address to IPv4.
fn plain_address(peer: SocketAddr) -> SocketAddr {
    match peer.ip() {
        IpAddr::V6(ip) => ip.to_ipv4_mapped().map_or(peer, |ip| SocketAddr::from((ip, peer.port()))),
        IpAddr::V4(_) => peer,
    }
}

/// Resolves `.` and `..` in a path, also percent-encoded ones, as every client library does.
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
            kept.push(""); // `/a/.` is the same path as `/a/`
        }
    }
    Cow::Owned(format!("/{}", kept.join("/")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn normalizes_the_path_for_routes() {
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
    fn finds_headers_in_any_case_and_lists_repetitions() {
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
    fn converts_mapped_addresses_only() {
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
    fn debug_output_hides_headers_and_body() {
        let request = Request::new(Method::Post, "/a?token=hidden")
            .with_headers(["authorization: hidden".parse::<Header>().unwrap()])
            .with_body("hidden");
        assert_eq!(format!("{request:?}"), "POST /a from 0.0.0.0:0 (1 headers, 6 bytes)");
    }

    proptest! {
        #[test]
        fn no_target_causes_a_panic(target in ".{0,60}") {
            let request = Request::new(Method::Get, target);
            let _ = (request.path().len(), request.query(), format!("{request:?}"));
        }

        #[test]
        fn resolving_dots_is_idempotent(path in "(/|\\.|%2e|%2E|a){0,24}") {
            let once = Request::new(Method::Get, path).path().into_owned();
            let again = Request::new(Method::Get, once.clone()).path().into_owned();
            prop_assert_eq!(once, again);
        }
    }
}
