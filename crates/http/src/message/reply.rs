//! One answer: a status, headers, and bytes that are known or still to come.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tiny_http::Header;

/// One answer.
///
/// ```
/// use mcr_http::message::Reply;
/// let reply = Reply::text("up").with_header("X-Age", "3").no_store();
/// assert_eq!(reply.status(), 200);
/// ```
pub struct Reply {
    status: u16,
    headers: Vec<Header>,
    body: Body,
}

/// What an answer carries.
pub enum Body {
    /// All of it, known before the first byte is sent.
    Whole(Bytes),
    /// Piece by piece: server-sent events.
    Stream(Streamer),
    /// What is spoken from here on is no HTTP, but the named protocol.
    Switched(&'static str, Talker),
    /// These bytes as they stand, in place of an answer, and then the connection is closed: how a server that dies
    /// looks from outside.
    Abrupt(Bytes),
}

/// Writes a stream. `Ok` ends it properly, `Err` cuts it off so that the client can tell the difference.
pub type Streamer = Box<dyn FnOnce(&mut dyn Sink) -> io::Result<()> + Send>;

/// Speaks another protocol than HTTP; with its end the connection ends.
pub type Talker = Box<dyn FnOnce(&mut dyn Duplex) -> io::Result<()> + Send>;

/// Both directions of a connection that has left HTTP behind. As a [`Sink`] it sends bytes as they are.
pub trait Duplex: Sink {
    /// Reads what has come, and waits for it as long as this, at most as long as the server waits for a request; then the
    /// error is `TimedOut`. Nothing means that no more will come.
    fn receive(&mut self, into: &mut [u8], longest: Duration) -> io::Result<usize>;
}

/// Where a stream is written to.
pub trait Sink {
    /// Sends these bytes now, as one chunk, within the server's write deadline. No bytes, nothing sent.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Whether it is worth going on: the client listens and the server is not stopping. Never waits.
    fn is_open(&mut self) -> bool;
}

/// Whole bytes: our own, everybody's (a prepared snapshot costs a counter, not a copy), or the program's.
#[derive(Clone, Debug)]
pub enum Bytes {
    /// Made for this one answer.
    Own(Vec<u8>),
    /// Shared between answers.
    Shared(Arc<[u8]>),
    /// Part of the program.
    Static(&'static [u8]),
}

/// What an error answer looks like everywhere in the house.
#[derive(Serialize)]
struct Failure<'a> {
    success: bool,
    error: &'a str,
}

/// Headers that say where a message ends or which belong to the connection: the server's business alone.
const FRAMING: [&str; 7] = [
    "Connection",
    "Content-Length",
    "Keep-Alive",
    "Proxy-Connection",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
];

impl Reply {
    /// An answer with nothing but a status.
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Body::Whole(Bytes::Static(b"")) }
    }

    /// 200 with text that already is JSON.
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self::whole("application/json", body)
    }

    /// 200 with a value written as JSON.
    ///
    /// A value that cannot be written (a map with keys that are no strings) is our mistake, so it answers 500.
    pub fn json_of<T: Serialize + ?Sized>(value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Self::json(body),
            Err(_) => Self::error(500, "The answer could not be written as JSON"),
        }
    }

    /// `{"success":false,"error":"…"}` with this status.
    pub fn error(status: u16, error: &str) -> Self {
        Self::json_of(&Failure { success: false, error }).with_status(status)
    }

    /// 200 with plain text.
    pub fn text(body: impl Into<Bytes>) -> Self {
        Self::whole("text/plain; charset=utf-8", body)
    }

    /// 200 with a page.
    pub fn html(body: impl Into<Bytes>) -> Self {
        Self::whole("text/html; charset=utf-8", body)
    }

    /// 200 with bytes of this content type.
    pub fn whole(content_type: &str, body: impl Into<Bytes>) -> Self {
        let reply = Self { status: 200, headers: Vec::with_capacity(4), body: Body::Whole(body.into()) };
        reply.with_header("Content-Type", content_type)
    }

    /// 200 with server-sent events: `write` runs on the connection's own thread until it returns.
    ///
    /// It should look at [`Sink::is_open`] at least once a second, or it keeps the server from stopping.
    pub fn events(write: impl FnOnce(&mut dyn Sink) -> io::Result<()> + Send + 'static) -> Self {
        Self::stream("text/event-stream", write).no_store()
    }

    /// 200 with a stream of this content type.
    pub fn stream(
        content_type: &str,
        write: impl FnOnce(&mut dyn Sink) -> io::Result<()> + Send + 'static,
    ) -> Self {
        let reply = Self { status: 200, headers: Vec::new(), body: Body::Stream(Box::new(write)) };
        reply.with_header("Content-Type", content_type)
    }

    /// 101: the client has asked for this protocol, and `talk` speaks it on the connection's own thread until it returns.
    ///
    /// The connection keeps its place and its limits. As with [`Reply::events`], whoever does not look at
    /// [`Sink::is_open`] at least once a second keeps the server from stopping. A client that cannot switch (HTTP/1.0) is
    /// refused by the server.
    pub fn switched(
        protocol: &'static str,
        talk: impl FnOnce(&mut dyn Duplex) -> io::Result<()> + Send + 'static,
    ) -> Self {
        Self { status: 101, headers: Vec::new(), body: Body::Switched(protocol, Box::new(talk)) }
    }

    /// No answer: these bytes, head and all as far as they go, and then the end of the connection.
    ///
    /// Only what imitates a failing server wants this. It has no status of its own; 500 stands for it here.
    pub fn abrupt(bytes: impl Into<Bytes>) -> Self {
        Self { status: 500, headers: Vec::new(), body: Body::Abrupt(bytes.into()) }
    }

    /// The same answer with this status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same answer with one header more.
    ///
    /// What cannot stand in a header value (line ends above all) is sent as `?`, so no value can begin a header
    /// of its own. Headers that frame the message are the server's and are dropped, as is a name that is none.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        let is_name = !name.is_empty() && name.bytes().all(is_token);
        if is_name && !FRAMING.iter().any(|framing| framing.eq_ignore_ascii_case(name)) {
            let fits = |c: char| c == '\t' || c == ' ' || c.is_ascii_graphic();
            let value: String = value.chars().map(|c| if fits(c) { c } else { '?' }).collect();
            if let Ok(header) = Header::from_bytes(name, value) {
                self.headers.push(header);
            }
        }
        self
    }

    /// The same answer, not to be kept by anybody on the way.
    #[must_use]
    pub fn no_store(self) -> Self {
        self.with_header("Cache-Control", "no-store")
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The headers in order.
    pub fn headers(&self) -> &[Header] {
        &self.headers
    }

    /// The header of this name in any case; the first one if it is repeated.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let header = headers.find(|header| header.field.as_str().as_str().eq_ignore_ascii_case(name))?;
        Some(header.value.as_str())
    }

    /// The body, if it is known already and sent whole.
    pub fn body(&self) -> Option<&[u8]> {
        match &self.body {
            Body::Whole(bytes) => Some(bytes.as_ref()),
            Body::Stream(_) | Body::Switched(..) | Body::Abrupt(_) => None,
        }
    }

    /// Takes the answer apart: status, headers, body.
    pub fn into_parts(self) -> (u16, Vec<Header>, Body) {
        (self.status, self.headers, self.body)
    }
}

/// What the name of a header or a method is made of (RFC 9110 §5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.body() {
            Some(bytes) => write!(f, "{} ({} bytes)", self.status, bytes.len()),
            None if matches!(self.body, Body::Abrupt(_)) => f.write_str("(cut off)"),
            None if matches!(self.body, Body::Switched(..)) => {
                write!(f, "{} (another protocol)", self.status)
            }
            None => write!(f, "{} (stream)", self.status),
        }
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(bytes) => bytes,
            Self::Static(bytes) => bytes,
        }
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Own(bytes)
    }
}

impl From<String> for Bytes {
    fn from(text: String) -> Self {
        Self::Own(text.into_bytes())
    }
}

impl From<Arc<[u8]>> for Bytes {
    fn from(bytes: Arc<[u8]>) -> Self {
        Self::Shared(bytes)
    }
}

impl From<&'static [u8]> for Bytes {
    fn from(bytes: &'static [u8]) -> Self {
        Self::Static(bytes)
    }
}

impl From<&'static str> for Bytes {
    fn from(text: &'static str) -> Self {
        Self::Static(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(reply: &Reply) -> &str {
        std::str::from_utf8(reply.body().unwrap()).unwrap()
    }

    #[test]
    fn errors_are_json_whatever_they_say() {
        let reply = Reply::error(413, "Too \"large\"\n");
        assert_eq!(reply.status(), 413);
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(text_of(&reply), r#"{"success":false,"error":"Too \"large\"\n"}"#);
    }

    #[test]
    fn a_value_that_is_no_json_answers_500() {
        let value = std::collections::HashMap::from([((1, 2), 3)]);
        assert_eq!(Reply::json_of(&value).status(), 500);
    }

    #[test]
    fn no_header_value_can_begin_a_header_of_its_own() {
        let reply = Reply::empty(200).with_header("X-Name", "a\r\nSet-Cookie: b\u{e9}");
        assert_eq!(reply.header("x-name"), Some("a??Set-Cookie: b?"));
    }

    #[test]
    fn framing_headers_and_names_that_are_none_are_dropped() {
        let mut reply = Reply::empty(200);
        for name in FRAMING.into_iter().chain(["", "a b", "a:", "content-length", "n\u{e9}"]) {
            reply = reply.with_header(name, "7");
        }
        assert!(reply.headers().is_empty(), "{:?}", reply.headers());
    }

    #[test]
    fn a_prepared_body_is_shared_not_copied() {
        let snapshot: Arc<[u8]> = Arc::from(&b"{}"[..]);
        let reply = Reply::json(Arc::clone(&snapshot)).no_store();
        assert_eq!(Arc::strong_count(&snapshot), 2);
        assert_eq!((text_of(&reply), reply.header("cache-control")), ("{}", Some("no-store")));
    }
}
