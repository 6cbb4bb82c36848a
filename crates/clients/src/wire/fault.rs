//! What broke on a connection, and how much of the request had been sent by then.
//!
//! The library's errors cover all of HTTP. Callers need to know two things: may the server have acted, and
//! may a retry succeed? The first is not guessed from the error. [`Outgoing`] counts the bytes of the body
//! that the library took. A server that lacks even one of the announced bytes cannot have acted.

use std::fmt;
use std::io::{self, Read};

use rustls::CertificateError;
use ureq::Timeout;

/// How much of a request's body had been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Nothing: there was no connection, or at most the head was sent.
    Nothing,
    /// A part: the server cannot have read the whole request.
    Part,
    /// All of it, at least to the operating system: the server may have acted.
    Whole,
}

/// A request body that counts the bytes taken from it. `Debug` shows only the counts, because the body may
/// hold secrets.
pub struct Outgoing<'a> {
    bytes: &'a [u8],
    taken: usize,
    /// Called before the first byte is sent, on the open connection.
    before: Option<&'a mut dyn FnMut() -> bool>,
}

impl<'a> Outgoing<'a> {
    /// An unsent body. Its length must be announced (`Content-Length`), or [`Sent::Part`] proves nothing.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, taken: 0, before: None }
    }

    /// Calls this before the first byte is sent, when the connection is open. If it returns false, nothing is sent.
    #[must_use]
    pub fn after(self, ready: &'a mut dyn FnMut() -> bool) -> Self {
        Self { before: Some(ready), ..self }
    }

    /// How much has been sent.
    pub fn sent(&self) -> Sent {
        match self.taken {
            0 => Sent::Nothing,
            taken if taken < self.bytes.len() => Sent::Part,
            _ => Sent::Whole,
        }
    }
}

impl fmt::Debug for Outgoing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outgoing({} of {} bytes)", self.taken, self.bytes.len())
    }
}

impl Read for Outgoing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(ready) = self.before.take()
            && !ready()
        {
            return Err(io::Error::other("the request is not sent after all"));
        }
        let mut left = &self.bytes[self.taken..];
        let taken = left.read(buffer)?;
        self.taken += taken;
        Ok(taken)
    }
}

/// What broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The host name has no address, or its name server did not answer.
    NameNotFound,
    /// No connection to the address, or no longer; with the system's message.
    Unreachable(String),
    /// The configured proxy refused the connection.
    Proxy(String),
    /// The server's certificate is not acceptable.
    Certificate(CertificateFault),
    /// The server does not support TLS, or not in a version that we accept.
    NoTls(String),
    /// A time limit was reached.
    TooSlow,
    /// The connection ended before the answer was complete.
    Lost,
    /// The answer is not HTTP.
    NotHttp,
    /// The head of the answer is larger than 12 KiB.
    HeadTooLarge,
    /// The body of the answer exceeds the caller's limit.
    BodyTooLarge,
    /// No memory became free for the answer's body in time.
    Crowded,
    /// The request could not be made: a bug in this program.
    BadRequest(String),
}

/// What is wrong with a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateFault {
    /// It has expired.
    Expired,
    /// It is not valid yet, or our clock is slow.
    NotYetValid,
    /// It is for other names.
    WrongName(Vec<String>),
    /// No trusted authority has signed it.
    UnknownIssuer,
    /// It names a trusted authority, but another key has signed it. The authority has usually been recreated.
    WrongSignature,
    /// Another reason, in the library's words.
    Other(String),
}

impl CertificateFault {
    /// What is wrong and what to do, to follow "the certificate".
    pub fn explain(&self) -> String {
        match self {
            Self::Expired => "has expired (or this machine's clock is wrong)".to_owned(),
            Self::NotYetValid => "is not valid yet (or this machine's clock is wrong)".to_owned(),
            Self::WrongName(names) if names.is_empty() => "is not issued for this host".to_owned(),
            Self::WrongName(names) => format!("is not issued for this host, but for {}", names.join(", ")),
            Self::UnknownIssuer => {
                "is signed by an authority that is not trusted here (for a private authority, set SSL_CERT_FILE to its PEM file)"
                    .to_owned()
            }
            Self::WrongSignature => {
                "is not signed with the key of the trusted authority that it names (is SSL_CERT_FILE out of date?)"
                    .to_owned()
            }
            Self::Other(words) => format!("is not acceptable ({words})"),
        }
    }
}

/// In words, to follow "no answer: ".
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameNotFound => f.write_str("its host name has no address"),
            Self::Unreachable(words) | Self::BadRequest(words) => f.write_str(words),
            Self::Proxy(words) => write!(f, "the proxy refuses the connection: {words}"),
            Self::Certificate(fault) => write!(f, "its certificate {}", fault.explain()),
            Self::NoTls(words) => write!(f, "it speaks no TLS: {words}"),
            Self::TooSlow => f.write_str("it took too long"),
            Self::Lost => f.write_str("the connection ended"),
            Self::NotHttp => f.write_str("the answer is not HTTP"),
            Self::HeadTooLarge | Self::BodyTooLarge | Self::Crowded => f.write_str("the answer is too large"),
        }
    }
}

impl Fault {
    /// Converts the library's error.
    pub fn of(error: &ureq::Error) -> Self {
        match error {
            ureq::Error::Io(error) => Self::of_io(error),
            ureq::Error::HostNotFound | ureq::Error::Timeout(Timeout::Resolve) => Self::NameNotFound,
            ureq::Error::Timeout(Timeout::Connect) => Self::Unreachable("no answer in time".to_owned()),
            ureq::Error::Timeout(_) => Self::TooSlow,
            ureq::Error::Protocol(_) => Self::NotHttp,
            ureq::Error::LargeResponseHeader(..) => Self::HeadTooLarge,
            ureq::Error::BodyExceedsLimit(_) => Self::BodyTooLarge,
            ureq::Error::ConnectProxyFailed(words) => Self::Proxy(words.clone()),
            ureq::Error::InvalidProxyUrl => Self::Proxy("its address is malformed".to_owned()),
            ureq::Error::ConnectionFailed => Self::Unreachable("no connection".to_owned()),
            ureq::Error::BodyStalled => Self::Lost,
            // The library's list of errors is open. Its remaining ones come before anything is sent (bad
            // address or header). A new one must not count as proof of anything: the caller checks `Sent`.
            other => Self::BadRequest(other.to_string()),
        }
    }

    /// Converts an error of a socket or of reading a body.
    pub fn of_io(error: &io::Error) -> Self {
        if let Some(inner) = error.get_ref() {
            if let Some(inner) = inner.downcast_ref::<ureq::Error>() {
                return Self::of(inner);
            }
            if let Some(inner) = inner.downcast_ref::<rustls::Error>() {
                return Self::of_tls(inner);
            }
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected
            | io::ErrorKind::WriteZero
            | io::ErrorKind::InvalidData => Self::Lost,
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Self::TooSlow,
            io::ErrorKind::OutOfMemory => Self::Crowded,
            // The standard library has no kind for a failed lookup, only this text.
            _ if error.to_string().contains("lookup address information") => Self::NameNotFound,
            // Refused, no route, not permitted, no descriptors left, …: the system's message is the clearest.
            _ => Self::Unreachable(error.to_string()),
        }
    }

    fn of_tls(error: &rustls::Error) -> Self {
        let rustls::Error::InvalidCertificate(fault) = error else {
            return Self::NoTls(error.to_string());
        };
        Self::Certificate(match fault {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => CertificateFault::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                CertificateFault::NotYetValid
            }
            CertificateError::NotValidForName => CertificateFault::WrongName(Vec::new()),
            CertificateError::NotValidForNameContext { presented, .. } => {
                // A few names identify the certificate; there may be hundreds.
                CertificateFault::WrongName(presented.iter().take(3).map(|name| bare_name(name)).collect())
            }
            CertificateError::UnknownIssuer => CertificateFault::UnknownIssuer,
            CertificateError::BadSignature => CertificateFault::WrongSignature,
            other => CertificateFault::Other(other.to_string()),
        })
    }
}

/// Reduces `DnsName("elsewhere.example")`, as the library writes it, to `elsewhere.example`.
fn bare_name(presented: &str) -> String {
    let inside = presented.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inside.unwrap_or(presented).trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_counts_what_was_sent_of_it() {
        let mut body = Outgoing::new(b"four");
        assert_eq!(body.sent(), Sent::Nothing);
        let mut buffer = [0; 3];
        assert_eq!(body.read(&mut buffer).unwrap(), 3);
        assert_eq!(body.sent(), Sent::Part);
        assert_eq!(body.read(&mut buffer).unwrap(), 1);
        assert_eq!(body.sent(), Sent::Whole);
        assert_eq!(body.read(&mut buffer).unwrap(), 0);
    }

    #[test]
    fn a_wrapped_error_is_read_by_its_inner_error() {
        let wrapped = |error: ureq::Error| io::Error::other(error);
        let rows = [
            (wrapped(ureq::Error::BodyExceedsLimit(3)), Fault::BodyTooLarge),
            (wrapped(ureq::Error::Timeout(Timeout::RecvBody)), Fault::TooSlow),
            (
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer),
                ),
                Fault::Certificate(CertificateFault::UnknownIssuer),
            ),
            (io::Error::other("failed to lookup address information: Try again"), Fault::NameNotFound),
            (io::Error::from(io::ErrorKind::ConnectionReset), Fault::Lost),
            (io::Error::from(io::ErrorKind::UnexpectedEof), Fault::Lost),
        ];
        for (error, fault) in rows {
            let words = format!("{error:?}");
            assert_eq!(Fault::of_io(&error), fault, "{words}");
        }
        let resolved = ureq::Error::Timeout(Timeout::Resolve);
        assert_eq!(Fault::of(&resolved), Fault::NameNotFound);
    }
}
