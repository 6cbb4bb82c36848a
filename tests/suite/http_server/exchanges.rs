//! What one client may do on one connection.

use super::*;

#[test]
fn answers_pipelined_requests_in_order() {
    let server = serve(long_limits());
    let mut client = Client::connect(server.local_addr());
    let request = |n: usize| {
        let body = "x".repeat(n % 50);
        format!("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    client.send((0..300).map(request).collect::<String>());
    for n in 0..300 {
        assert_eq!(client.answer().body, format!("POST {:?}", "x".repeat(n % 50)), "answer {n}");
    }
}

#[test]
fn head_is_get_without_the_body() {
    let server = serve(long_limits());
    let mut client = Client::connect(server.local_addr());
    let get = client.ask(HEALTH);
    let head = client.send(b"HEAD /health HTTP/1.1\r\nHost: h\r\n\r\n").answer_to_head();
    let without_date = |answer: &Answer| {
        answer.head.lines().filter(|line| !line.starts_with("Date")).map(String::from).collect::<Vec<_>>()
    };
    assert_eq!(without_date(&head), without_date(&get));
    let head = client.send(b"HEAD /stream HTTP/1.1\r\nHost: h\r\n\r\n").answer_to_head();
    assert_eq!(head.header("transfer-encoding"), Some("chunked"));
    client.expect_health(); // and nothing of a body came between
}

#[test]
fn replies_have_the_server_headers() {
    let server = serve(long_limits());
    let mut client = Client::connect(server.local_addr());
    let answer = client.ask(HEALTH);
    assert!(answer.head.starts_with("HTTP/1.1 200 OK\r\n"), "{}", answer.head);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("content-length"), Some("15"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("server"), Some("mission-control-runtime"));
    assert_eq!(answer.header("connection"), None);
    assert!(answer.header("date").is_some_and(|date| date.ends_with(" GMT")), "{}", answer.head);
    let answer = client.ask(b"GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!((answer.status, answer.header("content-length")), (204, None));
    let answer = client.ask(b"GET /large HTTP/1.1\r\nHost: h\r\nTE: chunked\r\n\r\n");
    assert_eq!((answer.body.len(), answer.header("content-length")), (3_000_000, Some("3000000")));
}

#[test]
fn keeps_http_1_0_connections_only_on_request() {
    let server = serve(long_limits());
    let mut client = Client::connect(server.local_addr());
    let answer = client.ask(b"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(answer.header("connection"), Some("keep-alive"));
    let answer = client.ask(b"GET /health HTTP/1.0\r\n\r\n");
    assert_eq!(answer.header("connection"), Some("close"));
    client.expect_end();
}

#[test]
fn closes_after_the_reply_on_request() {
    let server = serve(long_limits());
    let mut client = Client::connect(server.local_addr());
    // Bytes after the last request are not answered, but must not destroy the reply either (§6.7).
    client.send(b"GET /health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").send(HEALTH.repeat(100));
    assert_eq!(client.answer().header("connection"), Some("close"));
    client.expect_end();
}

#[test]
fn a_handler_panic_answers_500_and_the_server_continues() {
    // Notes §6.8.
    let server = serve(long_limits());
    let mut client = Client::connect(server.local_addr());
    for _ in 0..3 {
        let answer = client.ask(b"GET /panic HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(answer.body, r#"{"success":false,"error":"Internal server error"}"#);
        assert_eq!(answer.status, 500);
    }
    client.expect_health();
    assert_eq!(server.stop(GUARD), 0);
}

#[test]
fn handlers_receive_peer_target_headers_and_body() {
    let server = Server::bind("127.0.0.1:0", long_limits(), |request| {
        let key = request.headers_named("X-OpenClaw-Session-Key").collect::<Vec<_>>().join("|");
        Reply::text(format!("{} {} {key}", request.peer().ip(), request.target()))
    })
    .unwrap();
    let request = "GET http://h/a?b HTTP/1.1\r\nHost: h\r\nx-openclaw-session-key:  A b \r\nX-OPENCLAW-session-key: c\r\n\r\n";
    let answer = Client::connect(server.local_addr()).ask(request);
    assert_eq!(answer.body, "127.0.0.1 http://h/a?b A b|c");
}
