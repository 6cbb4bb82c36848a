//! The base address of a remote service: `http` or `https`, a host, and optionally a port and a path.
//!
//! This is stricter than URLs in general. A user, query, fragment or blank in a base address is refused here with a
//! reason. Otherwise the first request would fail unexpectedly.

use std::fmt;
use std::net::IpAddr;

/// A checked address, without trailing slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    text: String,
    https: bool,
    host: String,
    port: Option<u16>,
}

/// Why a text is not a valid base address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadUrl {
    /// No `scheme://` in front.
    NoScheme,
    /// A scheme other than `http` and `https`.
    Scheme,
    /// A missing or malformed host name.
    Host,
    /// A port that is not a number from 1 to 65535.
    Port,
    /// `user:password@host`.
    User,
    /// A query or fragment.
    Tail,
    /// A blank, a control character or a non-ASCII letter.
    Character,
}

impl BadUrl {
    /// The problem, as the end of the sentence "… is not usable: ".
    pub fn explain(self) -> &'static str {
        match self {
            Self::NoScheme => "it has no http:// or https:// in front",
            Self::Scheme => "Only http and https are allowed",
            Self::Host => "the host is missing or malformed",
            Self::Port => "the port must be a number from 1 to 65535",
            Self::User => "a user or password in the address is not supported",
            Self::Tail => "a base address has no ? or # part",
            Self::Character => "it has a blank, a control character or a letter outside ASCII",
        }
    }
}

impl BaseUrl {
    /// Parses an address. Surrounding blanks are an error: trim first.
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(BadUrl::Character);
        }
        let (scheme, rest) = text.split_once("://").ok_or(BadUrl::NoScheme)?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(BadUrl::Scheme),
        };
        if rest.contains(['?', '#']) {
            return Err(BadUrl::Tail);
        }
        let authority = rest.split('/').next().unwrap_or_default();
        if authority.contains('@') {
            return Err(BadUrl::User);
        }
        let (host, port) = split_port(authority)?;
        let port = match port {
            None => None,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                Some(digits.parse().ok().filter(|port| *port != 0).ok_or(BadUrl::Port)?)
            }
            Some(_) => return Err(BadUrl::Port),
        };
        let text = text.trim_end_matches('/').to_owned();
        Ok(Self { text, https, host: host.to_ascii_lowercase(), port })
    }

    /// The address as it was given, without trailing slashes.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The address of a path below this address. `path` starts with a slash.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.text)
    }

    /// Whether connections use TLS.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// The host in lower case. An IPv6 address has no brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, by default that of the scheme.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(if self.https { 443 } else { 80 })
    }

    /// Whether the host is a loopback name or address.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

/// Host and port of an authority. An IPv6 address has brackets.
fn split_port(authority: &str) -> Result<(&str, Option<&str>), BadUrl> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or(BadUrl::Host)?;
        host.parse::<std::net::Ipv6Addr>().map_err(|_| BadUrl::Host)?;
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            None => Err(BadUrl::Host),
        };
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let named = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    if host.is_empty() || host.starts_with('.') || !host.bytes().all(named) {
        return Err(BadUrl::Host);
    }
    Ok((host, port))
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_valid_addresses_unchanged() {
        let rows: &[(&str, &str, &str, u16, bool)] = &[
            ("http://127.0.0.1:18789", "http://127.0.0.1:18789", "127.0.0.1", 18789, true),
            (
                "https://Happy-1.convex.cloud/",
                "https://Happy-1.convex.cloud",
                "happy-1.convex.cloud",
                443,
                false,
            ),
            ("http://[::1]:3000//", "http://[::1]:3000", "::1", 3000, true),
            ("HTTP://localhost/a/b/", "HTTP://localhost/a/b", "localhost", 80, true),
            ("http://openclaw_gateway", "http://openclaw_gateway", "openclaw_gateway", 80, false),
        ];
        for (given, kept, host, port, loopback) in rows {
            let url = BaseUrl::parse(given).unwrap();
            assert_eq!((url.as_str(), url.host(), url.port()), (*kept, *host, *port), "{given}");
            assert_eq!(url.is_loopback(), *loopback, "{given}");
        }
        assert_eq!(BaseUrl::parse("http://h/base/").unwrap().join("/api/action"), "http://h/base/api/action");
    }

    #[test]
    fn refuses_invalid_addresses_with_a_reason() {
        let rows = [
            ("", BadUrl::NoScheme),
            ("gateway:18789", BadUrl::NoScheme),
            ("file:///etc/passwd", BadUrl::Scheme),
            ("ftp://host", BadUrl::Scheme),
            ("http://", BadUrl::Host),
            ("http:///path", BadUrl::Host),
            ("http://[::1", BadUrl::Host),
            ("http://[nonsense]", BadUrl::Host),
            ("http://ho%73t", BadUrl::Host),
            ("http://::1:3000", BadUrl::Host),
            ("http://host:", BadUrl::Port),
            ("http://host:0", BadUrl::Port),
            ("http://host:65536", BadUrl::Port),
            ("http://host:+80", BadUrl::Port),
            ("http://host:80:90", BadUrl::Port),
            ("http://me:pw@host", BadUrl::User),
            ("http://host/?q", BadUrl::Tail),
            ("http://host#f", BadUrl::Tail),
            ("http://ho st", BadUrl::Character),
            ("http://host\r\nX: y", BadUrl::Character),
            ("http://hößt", BadUrl::Character),
        ];
        for (text, reason) in rows {
            assert_eq!(BaseUrl::parse(text), Err(reason), "{text:?}");
        }
    }
}
