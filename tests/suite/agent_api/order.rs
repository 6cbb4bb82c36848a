//! Authorization and the order of the checks (§2.3–2.6, §9.2, §9.3, §9.10).

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use super::{ENDPOINTS, Plan, Stand, TELLS};

/// Sends raw bytes and returns the status and the whole reply.
fn raw(stand: &Stand, bytes: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(stand.server.local_addr()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    (status, answer)
}

fn request(method: &str, target: &str, headers: &str, body: &str) -> String {
    format!(
        "{method} {target} HTTP/1.1\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

const HOST: &str = "Host: localhost\r\n";

/// §2.5, §9.3: other methods, unknown paths, trailing slashes, other cases.
#[test]
fn refuses_other_methods_and_paths() {
    let stand = Stand::new();
    for endpoint in ENDPOINTS.map(|(endpoint, _)| endpoint).into_iter().chain(TELLS) {
        for method in ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"] {
            let (status, answer) = raw(&stand, &request(method, &format!("/agent/{endpoint}"), HOST, ""));
            assert_eq!(status, 405, "{method} {endpoint}");
            assert!(answer.contains("Allow: POST\r\n") && answer.contains("Method Not Allowed"), "{answer}");
            assert!(!answer.contains("Access-Control"), "{answer}");
        }
        assert_eq!(raw(&stand, &request("HEAD", &format!("/agent/{endpoint}"), HOST, "")).0, 405);
        let (status, answer) = raw(&stand, &request("POST", &format!("/agent/{endpoint}"), HOST, "{}"));
        assert!(status == 401 && answer.contains("x-openclaw-session-key"), "{endpoint}: {answer}");
        assert!(answer.contains("no-store") && answer.contains("Content-Type: application/json"), "{answer}");
    }
    let rows = [
        ("/agent/task-load/", 404),
        ("/agent/Task-Load", 404),
        ("/agent/", 404),
        ("/agent", 404),
        ("//agent/task-load", 404),
        ("//", 404),
        ("/agent//task-load", 404),
        ("/agent/task%2dload", 404),
        ("/agent/./task-load", 401),
        ("/x/../agent/task-load", 401),
        ("/agent/task-load?x=1", 401),
        ("http://localhost/agent/task-load", 401),
        ("http://evil.example/agent/task-load", 403),
        ("*", 400),
    ];
    for (target, expected) in rows {
        let (status, answer) = raw(&stand, &request("POST", target, HOST, "{}"));
        let fits = status == expected || target == "*" && (400..500).contains(&status);
        assert!(fits, "{target}: {status} {answer}");
    }
    let (status, _) = raw(&stand, &request("POST", &format!("/{}", "a".repeat(20_000)), HOST, "{}"));
    assert!((400..500).contains(&status), "{status}");
    assert_eq!(raw(&stand, &request("GET", "/health", HOST, "")).0, 200);
}

/// §2.6: of two errors the first one is reported.
#[test]
fn reports_the_first_error_only() {
    let stand = Stand::new();
    let known = format!("x-openclaw-session-key: {}\r\n", stand.own("ben"));
    let far = "Host: evil.example\r\n";
    let load = "/agent/task-load";
    let rows: [(&str, &str, String, &str, u16, &str); 12] = [
        ("GET", "/agent/nothing", far.to_owned(), "no", 404, "Not Found"),
        ("GET", load, far.to_owned(), "no", 405, "Method Not Allowed"),
        ("POST", load, far.to_owned(), "no", 403, "local-only"),
        ("POST", load, format!("{far}{known}"), "no", 403, "local-only"),
        ("POST", load, format!("{HOST}{known}X-Forwarded-For: 127.0.0.1\r\n"), "no", 403, "forwarded"),
        ("POST", load, HOST.to_owned(), "no", 401, "Missing x-openclaw-session-key header"),
        ("POST", load, format!("{HOST}x-openclaw-session-key:  \r\n"), "no", 401, "Missing"),
        ("POST", load, format!("{HOST}x-openclaw-session-key: nobody\r\n"), "no", 401, "Unknown session key"),
        ("POST", load, format!("{HOST}{known}{known}"), "no", 400, "appears more than once"),
        ("POST", "/agent/task-get", format!("{HOST}{known}"), "no", 403, "Only the orchestrator"),
        ("POST", load, format!("{HOST}{known}"), "no", 400, "Invalid JSON body"),
        ("POST", load, format!("{HOST}{known}"), "{}", 400, "taskId is required"),
    ];
    for (method, target, headers, body, status, words) in rows {
        let (found_status, answer) = raw(&stand, &request(method, target, &headers, body));
        assert_eq!(found_status, status, "{method} {target} {headers}: {answer}");
        assert!(answer.contains(words), "{method} {target} {headers}: {answer}");
        assert!(!answer.contains(&stand.own("ben")), "no key in an answer: {answer}");
    }
}

/// A body over the limit is refused before anything else. A document may be large.
#[test]
fn refuses_bodies_over_their_limit() {
    let stand = Stand::new();
    let key = format!("{HOST}x-openclaw-session-key: {}\r\n", stand.own("ben"));
    let declared =
        |target: &str, bytes: &str| format!("POST {target} HTTP/1.1\r\n{key}Content-Length: {bytes}\r\n\r\n");
    for (target, bytes) in [
        ("/agent/task-load", "1048577"),
        ("/agent/document", "8388609"),
        ("/agent/task-load", "9000000000000000000"),
    ] {
        let (status, answer) = raw(&stand, &declared(target, bytes));
        assert_eq!(status, 413, "{target} {bytes}: {answer}");
    }
    let content: String = "é\n".repeat(250_000);
    let paper = json!({"title": "Large", "content": content, "type": "note"});
    let written = stand.done("document", &stand.own("ben"), &paper);
    let row = stand.team.board.row("documents", written["documentId"].as_str().unwrap());
    assert_eq!(row["content"].as_str().map(str::len), Some(content.len()));
}

/// The head decides the authorization: an unauthorized caller is refused at once, and its body is never read.
#[test]
fn refuses_unauthorized_callers_before_their_body() {
    let stand = Stand::new();
    let head = |target: &str, headers: &str| {
        format!("POST {target} HTTP/1.1\r\n{headers}Content-Length: 8388608\r\n\r\n")
    };
    let known = format!("x-openclaw-session-key: {}\r\n", stand.own("ben"));
    let unknown_session = format!("{HOST}x-openclaw-session-key: nobody\r\n");
    let rows = [
        (head("/agent/document", HOST), 401),
        (head("/agent/document", &unknown_session), 401),
        (head("/agent/document", &format!("Host: evil.example\r\n{known}")), 403),
        (head("/agent/document", &format!("{HOST}{known}X-Forwarded-For: 127.0.0.1\r\n")), 403),
    ];
    for (head, expected) in rows {
        let mut stream = TcpStream::connect(stand.server.local_addr()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(4))).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).expect("an answer although the body never comes");
        assert_eq!(&status[9..], expected.to_string().as_bytes(), "{head}");
    }
}

/// Ten unauthorized callers with stalled bodies of 8 MiB do not affect others.
#[test]
fn stalled_bodies_of_unauthorized_callers_do_not_affect_others() {
    let stand = Stand::new();
    let address = stand.server.local_addr();
    let stall = || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
        let head = "POST /agent/document HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8388608\r\n\r\n";
        // Fails where the server has already refused the caller by its head.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&vec![b' '; 8_388_607]));
        stream
    };
    let strangers: Vec<TcpStream> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..10).map(|_| scope.spawn(stall)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let paper = json!({"title": "Ours", "content": "é\n".repeat(100_000), "type": "note"});
    for _ in 0..20 {
        let answer = stand.post("document", &stand.own("ben"), &paper);
        assert_ne!(answer.status, 503, "{answer:?}");
    }
    drop(strangers);
}

/// §2.3, §9.2: a caller from a loopback address is local. (Unit tests of `near` cover all other addresses.)
#[test]
fn accepts_every_loopback_address_as_local() {
    for bind in ["127.0.0.1:0", "127.0.0.2:0", "[::1]:0"] {
        let stand = Stand::with(Plan { bind, ..Plan::default() });
        let known = format!("{HOST}x-openclaw-session-key: {}\r\n", stand.own("ben"));
        let (status, answer) = raw(&stand, &request("POST", "/agent/document-list", &known, "{}"));
        assert_eq!(status, 200, "{bind}: {answer}");
    }
}

/// A web page that reaches this address by its own name, or sends an old browser's requests, is refused.
#[test]
fn refuses_foreign_host_names() {
    let stand = Stand::new();
    let known = format!("x-openclaw-session-key: {}\r\n", stand.own("ben"));
    for (host, expected) in [
        ("localhost", 200),
        ("127.0.0.1:3001", 200),
        ("[::1]:3001", 200),
        ("runtime:3000", 200),
        ("RUNTIME", 200),
        ("evil.example", 403),
        ("0.0.0.0:3001", 403),
        ("127.0.0.1.nip.example", 403),
        ("", 403),
    ] {
        let asked = request("POST", "/agent/document-list", &format!("Host: {host}\r\n{known}"), "{}");
        let (status, answer) = raw(&stand, &asked);
        assert_eq!(status, expected, "{host}: {answer}");
    }
    let old = format!("POST /agent/document-list HTTP/1.0\r\n{known}Content-Length: 2\r\n\r\n{{}}");
    assert_eq!(raw(&stand, &old).0, 403, "without a Host header the intended host is unknown");
    let body: Value = serde_json::from_str(raw(&stand, &old).1.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(body["success"], false);
}
