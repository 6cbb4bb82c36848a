//! Decides strictly, from the head alone, where a request ends.
//!
//! An attacker can exploit two parsers that disagree about the end of a request (request smuggling). Every ambiguous
//! request is therefore refused. Nothing here uses a socket.

use super::limits::ServerLimits;
use super::refusal::Refusal;
use crate::message::{Header, Method, Request, is_scheme};

/// Maximum header lines of one request. Browsers send about twenty.
pub(super) const HEADERS_MAX: usize = 64;

/// Finds the end of a head while it arrives. It looks at each byte once.
#[derive(Debug, Default)]
pub(super) struct HeadScan {
    seen: usize,
    /// Where the request line begins. Empty lines before it are ignored (RFC 9112 §2.2).
    start: usize,
}

/// A checked head.
#[derive(Debug)]
pub(super) struct RequestHead {
    /// Method, target and headers. The body follows later.
    pub(super) request: Request,
    /// What follows the head.
    pub(super) body: BodyFraming,
    /// Whether the client expects to send another request on this connection.
    pub(super) keep_alive: bool,
    /// HTTP/1.0: no chunks, and keep-alive only on request.
    pub(super) http_1_0: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub(super) expects_continue: bool,
}

/// How the end of the body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyFraming {
    /// The request has no body.
    Empty,
    /// This many bytes.
    Length(usize),
    /// Chunks, each with its size.
    Chunked,
}

impl HeadScan {
    /// Looks at the bytes since the last call. `Some(n)`: the first `n` bytes are the head.
    pub(super) fn advance(&mut self, bytes: &[u8], limits: &ServerLimits) -> Result<Option<usize>, Refusal> {
        while let Some(&byte) = bytes.get(self.seen) {
            let before = self.seen.checked_sub(1).and_then(|at| bytes.get(at)).copied();
            if (byte == b'\n') != (before == Some(b'\r')) {
                return Err(Refusal::LineEnd);
            }
            match byte {
                b'\n' if self.start + 1 == self.seen => self.start = self.seen + 1,
                b'\n' if bytes[self.start..=self.seen].ends_with(b"\r\n\r\n") => {
                    let end = self.seen + 1;
                    return if end <= limits.head_bytes { Ok(Some(end)) } else { Err(Refusal::HeadTooLarge) };
                }
                b'\n' | b'\r' | b'\t' | b' '..=b'~' | 128.. => {}
                0..=31 | 127 => return Err(Refusal::Control),
            }
            self.seen += 1;
        }
        if bytes.len() < limits.head_bytes {
            Ok(None)
        } else if bytes[self.start..].contains(&b'\n') || self.start == bytes.len() {
            Err(Refusal::HeadTooLarge)
        } else {
            Err(Refusal::TargetTooLong)
        }
    }
}

/// Parses the whole head that [`HeadScan`] found.
pub(super) fn read_head(bytes: &[u8], limits: &ServerLimits) -> Result<RequestHead, Refusal> {
    // On the heap: an idle connection keeps every stack page it has touched.
    let mut headers = Box::new_uninit_slice(HEADERS_MAX);
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(bytes, &mut headers) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(Refusal::RequestLine),
        Err(error) => return Err(refusal_of(error, bytes)),
    }
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(Refusal::RequestLine);
    };
    let http_1_0 = minor == 0;
    if method == "CONNECT" {
        return Err(Refusal::Tunnel);
    }
    check_target(method, target, limits)?;
    check_host(parsed.headers, http_1_0)?;
    let body = body_framing(parsed.headers, http_1_0)?;
    let expects_continue = expectation(parsed.headers, http_1_0)?;
    let keep_alive = keep_alive(parsed.headers, http_1_0);

    let method: Method = method.parse().map_err(|()| Refusal::RequestLine)?;
    let lines: Result<Vec<Header>, Refusal> = parsed.headers.iter().map(header_line).collect();
    let request = Request::new(method, target).with_headers(lines?);
    Ok(RequestHead { request, body, keep_alive, http_1_0, expects_continue })
}

/// Converts a header line to `tiny_http`'s type, which is ASCII only. Other bytes become `?`: a stray cookie of another
/// page on the host must not make this service unreachable. Nor may such a byte hide that the header was sent.
fn header_line(header: &httparse::Header<'_>) -> Result<Header, Refusal> {
    let ascii = |&byte: &u8| if byte.is_ascii() { byte } else { b'?' };
    let value: Vec<u8> = header.value.iter().map(ascii).collect();
    Header::from_bytes(header.name.to_ascii_lowercase(), value).map_err(|()| Refusal::HeaderLine)
}

fn refusal_of(error: httparse::Error, bytes: &[u8]) -> Refusal {
    match error {
        httparse::Error::TooManyHeaders => Refusal::TooManyHeaders,
        httparse::Error::HeaderName | httparse::Error::HeaderValue => Refusal::HeaderLine,
        httparse::Error::Version if ends_with_a_version(bytes) => Refusal::Version,
        httparse::Error::Version
        | httparse::Error::Token
        | httparse::Error::NewLine
        | httparse::Error::Status => Refusal::RequestLine,
    }
}

/// Whether the request line has three words and ends with another HTTP version, such as `HTTP/2.0`.
fn ends_with_a_version(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let line = lines.find(|line| !line.is_empty()).unwrap_or_default();
    let mut words = line.split(|&byte| byte == b' ');
    match (words.nth(2), words.next()) {
        (Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor]), None) => {
            major.is_ascii_digit() && minor.is_ascii_digit()
        }
        _ => false,
    }
}

fn check_target(method: &str, target: &str, limits: &ServerLimits) -> Result<(), Refusal> {
    let absolute = || target.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme));
    let asterisk = target == "*" && method == "OPTIONS";
    if target.len() > limits.target_bytes {
        Err(Refusal::TargetTooLong)
    } else if target.is_ascii() && (target.starts_with('/') || asterisk || absolute()) {
        Ok(())
    } else {
        Err(Refusal::Target)
    }
}

/// Checks `Host`: HTTP/1.1 requires exactly one, which may be empty. HTTP/1.0 may omit it.
fn check_host(headers: &[httparse::Header<'_>], http_1_0: bool) -> Result<(), Refusal> {
    let is_host_byte = |byte: &u8| byte.is_ascii_graphic() && !b",/?#@\\<>\"".contains(byte);
    let mut hosts = values(headers, "host");
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if host.iter().all(is_host_byte) => Ok(()),
        (None, _) if http_1_0 => Ok(()),
        _ => Err(Refusal::Host),
    }
}

fn body_framing(headers: &[httparse::Header<'_>], http_1_0: bool) -> Result<BodyFraming, Refusal> {
    let mut lengths = values(headers, "content-length");
    let mut codings = values(headers, "transfer-encoding");
    match (lengths.next(), codings.next()) {
        (Some(_), Some(_)) => Err(Refusal::LengthAndCoding),
        (None, None) => Ok(BodyFraming::Empty),
        (Some(length), None) => {
            if lengths.next().is_some() {
                return Err(Refusal::LengthTwice);
            }
            match declared_length(length)? {
                0 => Ok(BodyFraming::Empty),
                length => Ok(BodyFraming::Length(length)),
            }
        }
        (None, Some(_)) if http_1_0 => Err(Refusal::CodingTooNew),
        (None, Some(_)) if codings.next().is_some() => Err(Refusal::CodingTwice),
        (None, Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") => Ok(BodyFraming::Chunked),
        (None, Some(_)) => Err(Refusal::Coding),
    }
}

/// Parses a length of digits only: no sign, blank, list or other base.
fn declared_length(value: &[u8]) -> Result<usize, Refusal> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::Length);
    }
    let digits = std::str::from_utf8(value).map_err(|_| Refusal::Length)?;
    // A number of digits that overflows `usize` is still a length, but exceeds every limit.
    digits.parse().map_err(|_| Refusal::BodyTooLarge)
}

fn expectation(headers: &[httparse::Header<'_>], http_1_0: bool) -> Result<bool, Refusal> {
    let mut expected = values(headers, "expect");
    match (expected.next(), expected.next()) {
        (None, _) => Ok(false),
        (Some(_), _) if http_1_0 => Ok(false),
        (Some(value), None) if value.eq_ignore_ascii_case(b"100-continue") => Ok(true),
        _ => Err(Refusal::Expectation),
    }
}

/// Whether the connection stays open. `Connection: upgrade` has no effect: the request is framed like any other, so it
/// can never turn the rest of the connection into a body.
fn keep_alive(headers: &[httparse::Header<'_>], http_1_0: bool) -> bool {
    let has = |option: &[u8]| {
        let mut options = values(headers, "connection").flat_map(|value| value.split(|&byte| byte == b','));
        options.any(|given| given.trim_ascii().eq_ignore_ascii_case(option))
    };
    !has(b"close") && (!http_1_0 || has(b"keep-alive"))
}

/// The values of every line of this name.
fn values<'a>(headers: &'a [httparse::Header<'a>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}

#[cfg(test)]
#[path = "framing_tests.rs"]
mod tests;
