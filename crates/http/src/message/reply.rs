//! One reply: a status, headers, and a body that is known now or written later.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tiny_http::Header;

/// One reply to a request.
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

/// The body of a reply.
pub enum Body {
    /// The whole body, known before the first byte is sent.
    Whole(Bytes),
    /// Written piece by piece, for example server-sent events.
    Stream(Streamer),
    /// From here on the connection carries the named protocol instead of HTTP.
    Switched(&'static str, ProtocolHandler),
    /// These raw bytes instead of a reply, then the connection is closed. This imitates a server that crashes.
    Abrupt(Bytes),
}

/// Writes a stream. `Ok` ends the stream properly. `Err` cuts it off so that the client notices.
pub type Streamer = Box<dyn FnOnce(&mut dyn Sink) -> io::Result<()> + Send>;

/// Runs a protocol other than HTTP. The connection ends when it returns.
pub type ProtocolHandler = Box<dyn FnOnce(&mut dyn Duplex) -> io::Result<()> + Send>;

/// Both directions of a connection that no longer carries HTTP. As a [`Sink`] it sends bytes unframed.
pub trait Duplex: Sink {
    /// Reads received bytes and waits at most `longest`, or the server's idle time if that is shorter. Then the error is
    /// `TimedOut`. Zero bytes mean that the peer sends no more.
    fn receive(&mut self, into: &mut [u8], longest: Duration) -> io::Result<usize>;
}

/// The receiving end of a stream.
pub trait Sink {
    /// Sends these bytes as one chunk within the server's write deadline. An empty slice sends nothing.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Whether to continue: the client still reads and the server is not stopping. Never blocks.
    fn is_open(&mut self) -> bool;
}

/// A whole body: owned, shared (a prepared snapshot costs a counter, not a copy) or static.
#[derive(Clone, Debug)]
pub enum Bytes {
    /// Made for this reply only.
    Own(Vec<u8>),
    /// Shared between replies.
    Shared(Arc<[u8]>),
    /// Part of the program.
    Static(&'static [u8]),
}

/// The JSON form of every error reply.
#[derive(Serialize)]
struct Failure<'a> {
    success: bool,
    error: &'a str,
}

/// Headers that frame the message or belong to the connection. Only the server sets them.
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
    /// A reply without a body.
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Body::Whole(Bytes::Static(b"")) }
    }

    /// 200 with text that is JSON already.
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self::whole("application/json", body)
    }

    /// 200 with a value written as JSON.
    ///
    /// A value that cannot be serialized (a map whose keys are not strings) is a programming error: the reply is 500.
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

    /// 200 with an HTML page.
    pub fn html(body: impl Into<Bytes>) -> Self {
        Self::whole("text/html; charset=utf-8", body)
    }

    /// 200 with bytes of this content type.
    pub fn whole(content_type: &str, body: impl Into<Bytes>) -> Self {
        let reply = Self { status: 200, headers: Vec::with_capacity(4), body: Body::Whole(body.into()) };
        reply.with_header("Content-Type", content_type)
    }

    /// 200 with server-sent events. `write` runs on the connection's own thread until it returns.
    ///
    /// `write` must check [`Sink::is_open`] at least once a second. Otherwise it delays the server's stop.
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

    /// 101: switches to the protocol that the client requested. `talk` runs on the connection's thread until it returns.
    ///
    /// The connection keeps its place and its limits. As with [`Reply::events`], `talk` must check [`Sink::is_open`] at
    /// least once a second. The server refuses a client that cannot switch (HTTP/1.0).
    pub fn switched(
        protocol: &'static str,
        talk: impl FnOnce(&mut dyn Duplex) -> io::Result<()> + Send + 'static,
    ) -> Self {
        Self { status: 101, headers: Vec::new(), body: Body::Switched(protocol, Box::new(talk)) }
    }

    /// No reply: sends these raw bytes, including any head, and closes the connection.
    ///
    /// Only the stand-in for a failing server uses this. It has no status; [`Reply::status`] returns 500.
    pub fn abrupt(bytes: impl Into<Bytes>) -> Self {
        Self { status: 500, headers: Vec::new(), body: Body::Abrupt(bytes.into()) }
    }

    /// Sets the status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Adds one header.
    ///
    /// Characters that a header value cannot contain (above all line ends) are sent as `?`, so a value cannot start
    /// another header. Framing headers belong to the server and are dropped, as are invalid names.
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

    /// Forbids every cache to store the reply.
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

    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let header = headers.find(|header| header.field.as_str().as_str().eq_ignore_ascii_case(name))?;
        Some(header.value.as_str())
    }

    /// The body, if it is known already.
    pub fn body(&self) -> Option<&[u8]> {
        match &self.body {
            Body::Whole(bytes) => Some(bytes.as_ref()),
            Body::Stream(_) | Body::Switched(..) | Body::Abrupt(_) => None,
        }
    }

    /// Splits the reply into status, headers and body.
    pub fn into_parts(self) -> (u16, Vec<Header>, Body) {
        (self.status, self.headers, self.body)
    }
}

/// Whether the byte may occur in the name of a header or a method (RFC 9110 §5.6.2).
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
    fn escapes_error_texts_as_json() {
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
    fn a_header_value_cannot_start_another_header() {
        let reply = Reply::empty(200).with_header("X-Name", "a\r\nSet-Cookie: b\u{e9}");
        assert_eq!(reply.header("x-name"), Some("a??Set-Cookie: b?"));
    }

    #[test]
    fn drops_framing_headers_and_invalid_names() {
        let mut reply = Reply::empty(200);
        for name in FRAMING.into_iter().chain(["", "a b", "a:", "content-length", "n\u{e9}"]) {
            reply = reply.with_header(name, "7");
        }
        assert!(reply.headers().is_empty(), "{:?}", reply.headers());
    }

    #[test]
    fn shares_a_prepared_body_without_copy() {
        let snapshot: Arc<[u8]> = Arc::from(&b"{}"[..]);
        let reply = Reply::json(Arc::clone(&snapshot)).no_store();
        assert_eq!(Arc::strong_count(&snapshot), 2);
        assert_eq!((text_of(&reply), reply.header("cache-control")), ("{}", Some("no-store")));
    }
}
