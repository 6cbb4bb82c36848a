//! Bodies: checked before they are read and counted while they are read (notes §6.5, §6.6, §6.7).

use mission_control_runtime::memory::Pool;

use super::*;

fn post(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn chunked(chunks: &[usize]) -> Vec<u8> {
    let mut request = b"POST /length HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for &size in chunks {
        request.extend(format!("{size:x}\r\n{}\r\n", "x".repeat(size)).into_bytes());
    }
    request.extend(b"0\r\n\r\n");
    request
}

#[test]
fn accepts_a_body_up_to_its_exact_limit() {
    let limits = ServerLimits { body_bytes: 1000, ..long_limits() }.with_body_limit("/length", 100_000);
    let server = serve(limits);
    let rows = [
        (post("/echo", &"x".repeat(1000)), 200),
        (post("/echo", &"x".repeat(1001)), 413),
        (post("/length?query", &"x".repeat(100_000)), 200),
        (post("/length", &"x".repeat(100_001)), 413),
        (post("/length/", &"x".repeat(1001)), 413),
    ];
    for (request, status) in rows {
        let answer = Client::connect(server.local_addr()).ask(&request);
        assert_eq!(answer.status, status, "of {:?}", &request[..60]);
    }
}

#[test]
fn accepts_chunks_up_to_the_exact_body_limit() {
    let server = serve(ServerLimits { body_bytes: 40_000, ..long_limits() });
    for (chunks, status, body) in [
        (vec![], 200, "0"),
        (vec![40_000], 200, "40000"),
        (vec![1, 20_000, 19_999], 200, "40000"),
        (vec![1; 3000], 200, "3000"),
        (vec![40_001], 413, r#"{"success":false,"error":"Request body too large"}"#),
        (vec![20_000, 20_000, 1], 413, r#"{"success":false,"error":"Request body too large"}"#),
    ] {
        let mut client = Client::connect(server.local_addr());
        let answer = client.ask(chunked(&chunks));
        assert_eq!((answer.status, answer.body.as_str()), (status, body), "of {} chunks", chunks.len());
        if status == 200 {
            client.expect_health();
        } else {
            client.expect_end();
        }
    }
}

#[test]
fn reads_the_next_request_after_a_chunked_body() {
    let server = serve(long_limits());
    let mut client = Client::connect(server.local_addr());
    client.send([chunked(&[3, 4]), HEALTH.to_vec(), chunked(&[5])].concat());
    assert_eq!(client.answer().body, "7");
    assert_eq!(client.answer().body, r#"{"status":"ok"}"#);
    assert_eq!(client.answer().body, "5");
}

#[test]
fn a_client_still_sending_its_body_receives_its_413() {
    // Notes §6.7: closing with unread input resets the connection and discards the reply.
    let server = serve(long_limits());
    let head = "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1048577\r\n\r\n";
    for round in 0..20 {
        let mut client = Client::connect(server.local_addr());
        let answer = client.ask(format!("{head}{}", "x".repeat(200_000)));
        assert_eq!(answer.status, 413, "in round {round}");
    }
}

#[test]
fn sends_100_continue_only_to_a_waiting_client() {
    // Notes §6.8.
    let server = serve(long_limits());
    let head = |length: usize| {
        format!(
            "POST /length HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let mut client = Client::connect(server.local_addr());
    assert_eq!(client.ask(head(2)).status, 100);
    let answer = client.ask("hi");
    assert_eq!((answer.status, answer.body.as_str()), (200, "2"));
    assert_eq!(client.ask(head(2) + "hi").status, 200, "the body is there already");
    assert_eq!(client.ask(head(0)).status, 200, "there is no body");
    assert_eq!(client.ask(head(2_000_000)).status, 413, "before it is sent in vain");
    client.expect_end();
}

#[test]
fn all_bodies_share_one_memory_limit() {
    let (gate, handler) = gate();
    // So long a body waits for memory, shorter than the first one waits at the gate.
    let body_time = Duration::from_secs(5);
    let limits = ServerLimits { bodies: Pool::new(150_000), body_time, ..long_limits() };
    let server = Server::bind("127.0.0.1:0", limits, handler).unwrap();
    let mut first = Client::connect(server.local_addr());
    first.send(post("/gate", &"x".repeat(100_000)));
    gate.await_waiting(1);
    let answer = Client::connect(server.local_addr()).ask(post("/length", &"x".repeat(100_000)));
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    gate.open();
    assert_eq!(first.answer().status, 404);
    let answer = Client::connect(server.local_addr()).ask(post("/length", &"x".repeat(100_000)));
    assert_eq!(answer.status, 200, "there is room again");
}

#[test]
fn deep_json_fits_the_stack_of_a_connection() {
    let server = serve(long_limits());
    for (depth, status) in [(127, 200), (128, 400), (100_000, 400)] {
        let body = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(
            Client::connect(server.local_addr()).ask(post("/json", &body)).status,
            status,
            "{depth} deep"
        );
    }
}
