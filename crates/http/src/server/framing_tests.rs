//! The table of heads: what each is taken for. Notes §6.5 and §6.6; RFC 9112 where a row says nothing else.

use proptest::prelude::*;

use super::*;

/// Parses a head that arrives byte by byte, as from a slow client.
fn judge(bytes: &[u8]) -> Result<Option<RequestHead>, Refusal> {
    let limits = ServerLimits::default();
    let mut scan = HeadScan::default();
    for end in 1..=bytes.len() {
        if let Some(end) = scan.advance(&bytes[..end], &limits)? {
            return read_head(&bytes[..end], &limits).map(Some);
        }
    }
    Ok(None)
}

fn with_lines(lines: &str) -> String {
    format!("POST /a HTTP/1.1\r\nHost: h\r\n{lines}\r\n")
}

#[test]
fn frames_a_body_exactly_or_refuses_the_head() {
    use BodyFraming::{Chunked, Empty, Length};
    let rows: [(&str, Result<BodyFraming, Refusal>); 34] = [
        ("", Ok(Empty)),
        ("Content-Length: 0\r\n", Ok(Empty)),
        ("Content-Length: 12\r\n", Ok(Length(12))),
        ("content-LENGTH:12\r\n", Ok(Length(12))),
        ("Content-Length: \t 12 \t\r\n", Ok(Length(12))),
        ("Content-Length: 0000000000000000000000000000012\r\n", Ok(Length(12))),
        ("Content-Length: 9000000000000000000\r\n", Ok(Length(9_000_000_000_000_000_000))),
        ("Content-Length: 99999999999999999999999\r\n", Err(Refusal::BodyTooLarge)),
        ("Content-Length: 12\r\nContent-Length: 12\r\n", Err(Refusal::LengthTwice)),
        ("Content-Length: 12\r\nContent-Length: 13\r\n", Err(Refusal::LengthTwice)),
        ("Content-Length: 12, 12\r\n", Err(Refusal::Length)),
        ("Content-Length: \r\n", Err(Refusal::Length)),
        ("Content-Length: -1\r\n", Err(Refusal::Length)),
        ("Content-Length: +1\r\n", Err(Refusal::Length)),
        ("Content-Length: 1.0\r\n", Err(Refusal::Length)),
        ("Content-Length: 1 2\r\n", Err(Refusal::Length)),
        ("Content-Length: 0x1c\r\n", Err(Refusal::Length)),
        ("Content-Length: \u{661}\r\n", Err(Refusal::Length)),
        ("Transfer-Encoding: chunked\r\n", Ok(Chunked)),
        ("transfer-encoding:CHUNKED\r\n", Ok(Chunked)),
        ("Transfer-Encoding: identity\r\n", Err(Refusal::Coding)),
        ("Transfer-Encoding: gzip, chunked\r\n", Err(Refusal::Coding)),
        ("Transfer-Encoding: chunked, chunked\r\n", Err(Refusal::Coding)),
        ("Transfer-Encoding: xchunked\r\n", Err(Refusal::Coding)),
        ("Transfer-Encoding: chunked;q=1\r\n", Err(Refusal::Coding)),
        ("Transfer-Encoding: \r\n", Err(Refusal::Coding)),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Err(Refusal::CodingTwice)),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", Err(Refusal::CodingTwice)),
        ("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", Err(Refusal::LengthAndCoding)),
        ("Content-Length: 1\r\nTransfer-Encoding: identity\r\n", Err(Refusal::LengthAndCoding)),
        ("Transfer_Encoding: chunked\r\n", Ok(Empty)),
        ("Connection: upgrade\r\nUpgrade: websocket\r\n", Ok(Empty)),
        ("Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n", Ok(Length(3))),
        ("TE: trailers\r\n", Ok(Empty)),
    ];
    for (lines, expected) in rows {
        let found = judge(with_lines(lines).as_bytes()).map(|head| head.map(|head| head.body));
        assert_eq!(found, expected.map(Some), "of {lines:?}");
    }
}

#[test]
fn refuses_ambiguous_heads() {
    let many = |count: usize| "A: b\r\n".repeat(count);
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
    let rows: [(String, Option<Refusal>); 55] = [
        (get("/"), None),
        (format!("\r\n\r\n{}", get("/")), None),
        (get("http://h/a"), None),
        (get("//"), None),
        (get("/a\\b"), None),
        ("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n".into(), None),
        (get(&format!("/{}", "x".repeat(8191))), None),
        (get(&format!("/{}", "x".repeat(8192))), Some(Refusal::TargetTooLong)),
        (get(&format!("/{}", "x".repeat(20_000))), Some(Refusal::TargetTooLong)),
        (get("*"), Some(Refusal::Target)),
        (get("a"), Some(Refusal::Target)),
        (get("://"), Some(Refusal::Target)),
        (get("?a"), Some(Refusal::Target)),
        (get("/\u{e9}"), Some(Refusal::Target)),
        (get("/a b"), Some(Refusal::RequestLine)),
        (get(" /a"), Some(Refusal::RequestLine)),
        (get(""), Some(Refusal::RequestLine)),
        ("GET /\r\n\r\n".into(), Some(Refusal::RequestLine)),
        ("GET\r\n\r\n".into(), Some(Refusal::RequestLine)),
        ("G@T / HTTP/1.1\r\nHost: h\r\n\r\n".into(), Some(Refusal::RequestLine)),
        (" GET / HTTP/1.1\r\nHost: h\r\n\r\n".into(), Some(Refusal::RequestLine)),
        ("GET\t/\tHTTP/1.1\r\nHost: h\r\n\r\n".into(), Some(Refusal::RequestLine)),
        ("GET / HTTP/1.1 \r\nHost: h\r\n\r\n".into(), Some(Refusal::RequestLine)),
        ("GET / http/1.1\r\nHost: h\r\n\r\n".into(), Some(Refusal::RequestLine)),
        ("GET / HTTP/1.11\r\nHost: h\r\n\r\n".into(), Some(Refusal::RequestLine)),
        ("GET / HTTP/one\r\nHost: h\r\n\r\n".into(), Some(Refusal::RequestLine)),
        ("GET / HTTP/1.2\r\nHost: h\r\n\r\n".into(), Some(Refusal::Version)),
        ("GET / HTTP/0.9\r\nHost: h\r\n\r\n".into(), Some(Refusal::Version)),
        ("GET / HTTP/2.0\r\nHost: h\r\n\r\n".into(), Some(Refusal::Version)),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), Some(Refusal::Version)),
        ("CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n".into(), Some(Refusal::Tunnel)),
        ("GET / HTTP/1.1\r\n\r\n".into(), Some(Refusal::Host)),
        (with_lines("Host: h\r\n"), Some(Refusal::Host)),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n".into(), Some(Refusal::Host)),
        ("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n".into(), Some(Refusal::Host)),
        ("GET / HTTP/1.1\r\nHost: u@h\r\n\r\n".into(), Some(Refusal::Host)),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n".into(), None),
        ("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n".into(), None),
        ("GET / HTTP/1.0\r\n\r\n".into(), None),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n".into(), Some(Refusal::Host)),
        ("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".into(), Some(Refusal::CodingTooNew)),
        (with_lines(" folded\r\n"), Some(Refusal::HeaderLine)),
        (with_lines("A: b\r\n\tfolded\r\n"), Some(Refusal::HeaderLine)),
        (with_lines("A : b\r\n"), Some(Refusal::HeaderLine)),
        (with_lines("Content-Length : 3\r\n"), Some(Refusal::HeaderLine)),
        (with_lines(": b\r\n"), Some(Refusal::HeaderLine)),
        (with_lines("no colon\r\n"), Some(Refusal::HeaderLine)),
        (with_lines("A\u{e9}: b\r\n"), Some(Refusal::HeaderLine)),
        (with_lines("A: \u{e9}\r\n"), None),
        (with_lines("A: b\0c\r\n"), Some(Refusal::Control)),
        (with_lines("A: b\x7f\r\n"), Some(Refusal::Control)),
        (with_lines("A: b\nC: d\r\n"), Some(Refusal::LineEnd)),
        (with_lines("A: b\rC: d\r\n"), Some(Refusal::LineEnd)),
        (with_lines(&many(HEADERS_MAX - 1)), None),
        (with_lines(&many(HEADERS_MAX)), Some(Refusal::TooManyHeaders)),
    ];
    for (head, refusal) in rows {
        let found = judge(head.as_bytes());
        let start: String = head.chars().take(80).collect();
        match (&found, refusal) {
            (Ok(Some(_)), None) => {}
            (Err(found), Some(expected)) => assert_eq!(*found, expected, "of {start:?}"),
            _ => panic!("{start:?} came to {found:?}, not {refusal:?}"),
        }
    }
}

#[test]
fn accepts_a_head_up_to_its_exact_limit() {
    let limit = ServerLimits::default().head_bytes;
    let filled = |length: usize| {
        let head = with_lines("A: \r\n");
        head.replace("A: ", &format!("A: {}", "x".repeat(length - head.len())))
    };
    assert!(matches!(judge(filled(limit).as_bytes()), Ok(Some(_))));
    assert_eq!(judge(filled(limit + 1).as_bytes()).unwrap_err(), Refusal::HeadTooLarge);
    assert_eq!(judge("\r\n".repeat(limit).as_bytes()).unwrap_err(), Refusal::HeadTooLarge);
    assert!(matches!(judge(&filled(limit).as_bytes()[..limit - 1]), Ok(None)), "no verdict before the end");
}

#[test]
fn refuses_other_protocols_at_their_first_bytes() {
    let rows: [(&[u8], Refusal); 4] = [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", Refusal::Control), // TLS
        (b"\n", Refusal::LineEnd),
        (b"GET / HTTP/1.1\n", Refusal::LineEnd),
        (b"\0\0\0\0", Refusal::Control),
    ];
    for (bytes, refusal) in rows {
        assert_eq!(judge(bytes).unwrap_err(), refusal, "of {bytes:?}");
    }
}

#[test]
fn keeps_connections_alive_by_version_and_header() {
    let rows = [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: keep-alive, CLOSE\r\n", false),
        ("1.1", "Connection: keep-alive\r\nConnection: close\r\n", false),
        ("1.1", "Connection: upgrade\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ];
    for (version, line, expected) in rows {
        let head =
            judge(format!("GET / HTTP/{version}\r\nHost: h\r\n{line}\r\n").as_bytes()).unwrap().unwrap();
        assert_eq!((head.keep_alive, head.http_1_0), (expected, version == "1.0"), "{version} {line:?}");
    }
}

#[test]
fn accepts_only_100_continue_as_expectation() {
    let expects = |version: &str, line: &str| {
        let head = format!("POST / HTTP/{version}\r\nHost: h\r\nContent-Length: 1\r\n{line}\r\n");
        judge(head.as_bytes()).map(|head| head.unwrap().expects_continue)
    };
    assert_eq!(expects("1.1", ""), Ok(false));
    assert_eq!(expects("1.1", "Expect: 100-Continue\r\n"), Ok(true));
    assert_eq!(expects("1.0", "Expect: 100-continue\r\n"), Ok(false));
    assert_eq!(expects("1.1", "Expect: 200-ok\r\n"), Err(Refusal::Expectation));
    assert_eq!(expects("1.1", "Expect: 100-continue\r\nExpect: 100-continue\r\n"), Err(Refusal::Expectation));
}

#[test]
fn lowers_header_names_and_keeps_ascii_values() {
    let lines = with_lines("X-Key:  Mixed Case \r\nX-Forwarded-For: 10.0.0.1 \u{e9}\r\n");
    let head = judge(lines.as_bytes()).unwrap().unwrap();
    let names: Vec<_> = head.request.headers().iter().map(|header| header.field.as_str().as_str()).collect();
    assert_eq!(names, ["host", "x-key", "x-forwarded-for"]);
    assert_eq!(head.request.header("X-KEY"), Some("Mixed Case"));
    let forwarded = head.request.header("X-Forwarded-For");
    assert_eq!(forwarded, Some("10.0.0.1 ??"), "a byte outside ASCII does not hide its line");
}

proptest! {
    #[test]
    fn judges_arbitrary_bytes_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = judge(&bytes);
    }

    #[test]
    fn accepts_no_ambiguous_near_miss(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "GET ", "POST ", "/", "http://", "*", " HTTP/1.1", " HTTP/1.0", "\r\n", "\r\n\r\n", "\r", "\n", ":",
                "Host: h\r\n", "Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n", " ", "\t", "a", "\u{e9}",
            ]),
            0..24,
        ),
    ) {
        if let Ok(Some(head)) = judge(pieces.concat().as_bytes()) {
            let lengths = head.request.headers_named("content-length").count();
            let codings = head.request.headers_named("transfer-encoding").count();
            prop_assert!(lengths + codings <= 1);
            prop_assert_eq!(head.body == BodyFraming::Chunked, codings == 1);
            prop_assert!(head.http_1_0 || head.request.headers_named("host").count() == 1);
        }
    }
}
