//! The host names of the embedded Mission Control, and the addresses that need them.

use serde_json::json;

use super::board::agent;
use crate::support::notify_socket::NotifySocket;
use crate::support::program::{Program, exchange, text};

/// Other machines reach it under a name, so the name must be known: any other name may be a rebound one.
#[test]
fn an_address_that_admits_other_machines_needs_host_names() {
    let refused = ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "mission-control:0", "localhost.example:0"];
    for listen in refused {
        let output = Program::new(["local", "--listen", listen, "--data", ":memory:"]).output();
        let said = text(&output);
        assert!(output.status.code() == Some(2) && said.contains("add --hosts"), "{listen}: {said}");
    }
    for names in ["https://board.example.com", "board.example.com:443", "a b", "\u{1b}[31m"] {
        let output = Program::new(["local", "--hosts", names, "--data", ":memory:"]).output();
        let said = text(&output);
        assert!(output.status.code() == Some(2) && said.contains("expected host names"), "{names}: {said}");
        assert!(!said.contains('\u{1b}'), "{said:?}");
    }
    for listen in ["127.0.0.1:0", "localhost:0"] {
        let mut running = Program::new(["local", "--listen", listen, "--data", ":memory:"]).start();
        assert!(running.environment().is_some(), "{listen}");
    }
    let args = ["local", "--listen", "0.0.0.0:0", "--hosts", "board", "--data", ":memory:"];
    assert!(Program::new(args).start().environment().is_some());
}

/// The requests that a reverse proxy on the same machine passes on.
#[test]
fn requests_under_the_names_of_a_proxy_are_answered_and_others_refused() {
    let systemd = NotifySocket::at_path();
    let args =
        ["local", "--listen", "127.0.0.1:0", "--hosts", "Board.example.com, board", "--data", ":memory:"];
    let mut running = Program::new(args).with("NOTIFY_SOCKET", systemd.address()).start();
    let printed = running.environment().unwrap();
    assert_eq!(systemd.next(), format!("READY=1\nSTATUS=listening on {}", printed["CONVEX_URL"]));

    let key = json!({"key": printed["ADMIN_KEY"]}).to_string();
    let rows = [
        ("board.example.com", "https://board.example.com", 200),
        ("BOARD.example.com", "https://board.example.com", 200),
        ("board:8443", "https://board:8443", 200),
        ("127.0.0.1:3210", "http://127.0.0.1:3210", 200),
        ("board.example.com", "https://evil.example", 403),
        ("evil.example", "https://evil.example", 403),
        ("board.example.com.evil.example", "https://board.example.com.evil.example", 403),
        ("0.0.0.0", "http://0.0.0.0", 403),
    ];
    for (host, origin, status) in rows {
        let url = format!("{}/login", printed["CONVEX_URL"]);
        let headers = [("Host", host), ("Origin", origin), ("Content-Type", "application/json")];
        let answer = exchange(&agent(), ("POST", &url), &headers, &key);
        assert_eq!(answer.status().as_u16(), status, "{host} {origin}: {}", answer.body());
    }
    running.signal("TERM");
    assert_eq!(systemd.next(), "STOPPING=1\nEXTEND_TIMEOUT_USEC=10000000\nSTATUS=stopping");
    assert_eq!(running.end().0, Some(0));
}

/// The page links to the runtime's page. The address is text of an attribute, whatever it contains.
#[test]
fn the_page_links_to_the_runtimes_page() {
    let page = |address: Option<&str>| {
        let local = Program::new(["local", "--listen", "127.0.0.1:0", "--data", ":memory:"]);
        let mut running =
            address.into_iter().fold(local, |local, address| local.and(["--runtime-page", address])).start();
        let printed = running.environment().unwrap();
        let reply = agent().get(&printed["CONVEX_URL"]).call().unwrap().into_body().read_to_string().unwrap();
        let (_, rest) = reply.split_once("<meta name=\"runtime-page\" content=\"").unwrap();
        rest.lines().next().unwrap().to_owned()
    };
    assert_eq!(page(None), "\">");
    assert_eq!(page(Some("http://127.0.0.1:3001/")), "http://127.0.0.1:3001\">");
    let hostile = page(Some("http://x/\"><script>alert(1)</script>&amp;"));
    assert_eq!(hostile, "http://x/&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;\">");
}
