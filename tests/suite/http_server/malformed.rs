//! Malformed requests: each is answered with its status and a closed connection, never a hang or a panic (notes §5, §6.5,
//! §6.6). The unit tests have the table of heads. These rows pass through a socket.

use super::*;

/// Sends the bytes and returns the status and whether the server closed the connection.
fn verdict(address: SocketAddr, bytes: &[u8]) -> (u16, bool) {
    let mut client = Client::connect(address);
    let status = client.send(bytes).answer().status;
    // A further request shows whether it is closed, without a wait.
    let again = client.socket().write_all(HEALTH).ok().and_then(|()| client.answer_or_end(&Method::Get));
    (status, again.is_none())
}

fn post(lines: &str) -> Vec<u8> {
    format!("POST /length HTTP/1.1\r\nHost: h\r\n{lines}").into_bytes()
}

#[test]
fn refuses_malformed_requests_and_closes_the_connection() {
    let server = serve(long_limits());
    let header = |length: usize| post(&format!("A: {}\r\n\r\n", "x".repeat(length)));
    let rows: Vec<(&str, Vec<u8>, u16)> = vec![
        ("no request line", b"\r\n\r\nhello\r\n\r\n".to_vec(), 400),
        ("no version", b"GET /health\r\n\r\n".to_vec(), 400),
        ("a space too many", b"GET  /health HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(), 400),
        ("bare line feeds", b"GET /health HTTP/1.1\nHost: h\n\n".to_vec(), 400),
        ("bare carriage return", b"GET /health HTTP/1.1\rHost: h\r\n\r\n".to_vec(), 400),
        ("a NUL", b"GET /health HTTP/1.1\r\nHost: h\0\r\n\r\n".to_vec(), 400),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), 400),
        ("HTTP/2 preface (§5: no answer)", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), 505),
        ("HTTP/3.7", b"GET / HTTP/3.7\r\nHost: h\r\n\r\n".to_vec(), 505),
        ("no Host", b"GET /health HTTP/1.1\r\n\r\n".to_vec(), 400),
        ("two Hosts", b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_vec(), 400),
        ("CONNECT", b"CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(), 501),
        ("target without slash", b"GET health HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(), 400),
        ("target of 20 KiB", format!("GET /{} HTTP/1.1\r\n", "x".repeat(20_000)).into_bytes(), 414),
        ("folded header", post("A: b\r\n c\r\n\r\n"), 400),
        ("space before colon", post("Content-Length : 5\r\n\r\nhello"), 400),
        ("header without colon", post("nonsense\r\n\r\n"), 400),
        ("65 headers", post(&("A: b\r\n".repeat(64) + "\r\n")), 431),
        ("header of 17 KiB", header(17 * 1024), 431),
        (
            "Content-Length and chunked",
            post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            400,
        ),
        ("two lengths", post("Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"), 400),
        ("the same length twice", post("Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"), 400),
        ("list of lengths", post("Content-Length: 5, 5\r\n\r\nhello"), 400),
        ("hexadecimal length (§5)", post("Content-Length: 0x1c\r\n\r\n"), 400),
        ("negative length (§5)", post("Content-Length: -1\r\n\r\n"), 400),
        ("signed length", post("Content-Length: +5\r\n\r\nhello"), 400),
        ("length of 9·10¹⁸ (§5.1)", post("Content-Length: 9000000000000000000\r\n\r\nx"), 413),
        ("length of 100 GB (§5.1)", post("Content-Length: 100000000000\r\n\r\n"), 413),
        ("length beyond all numbers (§5.1)", post("Content-Length: 18446744073709551617\r\n\r\n"), 413),
        ("identity coding (§5)", post("Transfer-Encoding: identity\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), 501),
        ("gzip coding", post("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 501),
        (
            "coding twice",
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            400,
        ),
        (
            "chunk size of nine digits",
            post("Transfer-Encoding: chunked\r\n\r\n000000001\r\nx\r\n0\r\n\r\n"),
            400,
        ),
        ("chunk size of no digits", post("Transfer-Encoding: chunked\r\n\r\n\r\nx\r\n0\r\n\r\n"), 400),
        ("negative chunk size", post("Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n"), 400),
        ("chunk of 4 GiB", post("Transfer-Encoding: chunked\r\n\r\nffffffff\r\n"), 413),
        ("chunk longer than it says", post("Transfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n0\r\n\r\n"), 400),
        ("unknown expectation", post("Expect: miracles\r\nContent-Length: 1\r\n\r\n"), 417),
        (
            "chunked in HTTP/1.0",
            b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
            400,
        ),
    ];
    assert!(rows.len() >= 27);
    for (what, bytes, status) in rows {
        assert_eq!(verdict(server.local_addr(), &bytes), (status, true), "{what}");
    }
    Client::connect(server.local_addr()).expect_health();
    assert_eq!(server.stop(GUARD), 0);
}

#[test]
fn answers_unusual_valid_requests_and_keeps_the_connection() {
    let server = serve(long_limits());
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n").into_bytes();
    let rows: Vec<(&str, Vec<u8>, u16)> = vec![
        ("empty lines first", b"\r\n\r\nGET /health HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(), 200),
        ("absolute form (§2.5 of the HTTP spec)", get("http://elsewhere:1/health?x"), 200),
        ("dot segments (§2.5 of the HTTP spec)", get("/a/../health"), 200),
        ("two slashes (§8 W1 of the HTTP spec)", get("//"), 404),
        ("asterisk", b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(), 404),
        ("a method of their own", b"BREW /health HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(), 200),
        ("target of 8 KiB", get(&format!("/{}", "x".repeat(8191))), 404),
        ("empty Host", b"GET /health HTTP/1.1\r\nHost:\r\n\r\n".to_vec(), 200),
        ("a cookie in Latin-1", b"GET /health HTTP/1.1\r\nHost: h\r\nCookie: \xe9\r\n\r\n".to_vec(), 200),
        ("64 headers", post(&("A: b\r\n".repeat(63) + "\r\n")), 200),
        ("header of 15 KiB", post(&format!("A: {}\r\n\r\n", "x".repeat(15 * 1024))), 200),
        (
            "upgrade (§5: the connection became the body)",
            post("Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"),
            200,
        ),
        ("upgrade to HTTP/2", post("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n"), 200),
        ("TE wishes", post("TE: chunked, identity;q=0.5\r\n\r\n"), 200),
        ("body on GET", b"GET /length HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi".to_vec(), 200),
    ];
    for (what, bytes, status) in rows {
        assert_eq!(verdict(server.local_addr(), &bytes), (status, false), "{what}");
    }
}

#[test]
fn refuses_an_endless_header_at_16_kib() {
    // Notes §5.7: 200 MB without a newline were all kept.
    let server = serve(long_limits());
    let mut client = Client::connect(server.local_addr());
    client.send(b"GET / HTTP/1.1\r\nHost: h\r\nA: ");
    // The server stops reading at some point. The reply arrives anyway (§6.7).
    let sent = (0..200).take_while(|_| client.socket().write_all(&[b'x'; 1024]).is_ok()).count();
    assert_eq!(client.answer().status, 431, "after {sent} KiB");
    client.expect_end();
}

#[test]
fn refusals_are_json_and_announce_the_close() {
    let server = serve(long_limits());
    let answer = Client::connect(server.local_addr()).ask(post("Content-Length: 2000000\r\n\r\n"));
    assert_eq!(answer.body, r#"{"success":false,"error":"Request body too large"}"#);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("connection"), Some("close"));
}
