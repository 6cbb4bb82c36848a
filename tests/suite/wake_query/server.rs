//! The server of the sync protocol against raw frames: the transitions, hostile clients, and the limits.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use mission_control_runtime::http::hosts::Hosts;
use mission_control_runtime::http::server::{Server, ServerLimits};
use mission_control_runtime::http::websocket::{Incoming, Kind, frame};
use mission_control_runtime::local::http_api::HttpApi;
use mission_control_runtime::local::{Options, SyncTimes};
use mission_control_runtime::secret::Secret;
use serde_json::{Value, json};

use super::peer::{PATIENCE, Peer, connect};
use crate::support::board::{ADMIN_KEY, Board, agent};

fn address(board: &Board) -> String {
    board.url().trim_start_matches("http://").to_owned()
}

#[expect(clippy::needless_pass_by_value, reason = "tests write the values in place")]
fn add(base: u32, id: u32, path: &str, args: Value) -> Value {
    json!({"type": "ModifyQuerySet", "baseVersion": base, "newVersion": base + 1, "modifications": [
        {"type": "Add", "queryId": id, "udfPath": path, "args": [args]}]})
}

fn wake_args(board: &Board) -> Value {
    json!({"accountId": board.account, "serviceToken": board.token})
}

/// A connected client.
fn connected(address: &str) -> Peer {
    let mut peer = Peer::open(address, "/api/sync");
    peer.send(&connect());
    peer
}

/// A client that subscribes to the wake query.
fn subscribed(board: &Board, address: &str) -> Peer {
    let mut peer = connected(address);
    peer.send(&add(0, 7, "service/wake:changed", wake_args(board)));
    let first = peer.message();
    assert_eq!(first["modifications"][0]["type"], "QueryUpdated", "{first}");
    peer
}

/// A server of this board with these times and limits.
fn serve(board: &Board, times: SyncTimes, limits: ServerLimits) -> (Server, String) {
    let api = HttpApi::new(board.engine.clone(), Secret::new(ADMIN_KEY), Hosts::default());
    let api = Arc::new(api.with_sync_times(times));
    let server = Server::bind("127.0.0.1:0", limits, move |request| api.answer(&request)).unwrap();
    let address = server.local_addr().to_string();
    (server, address)
}

#[test]
fn transitions_follow_each_other_and_carry_only_new_results() {
    let board = Board::new();
    let engineer = board.agent("engineer", "Engineer", "Builds", json!({}));
    for path in ["/api/sync", "/api/1.48.0/sync"] {
        let mut peer = Peer::open(&address(&board), path);
        assert!(peer.head.starts_with("HTTP/1.1 101 "), "{}", peer.head);
        peer.send(&connect());
        peer.send(&add(0, 7, "service/wake:changed", wake_args(&board)));
        let first = peer.message();
        let zero = json!({"querySet": 0, "identity": 0, "ts": "AAAAAAAAAAA="});
        assert_eq!((&first["type"], &first["startVersion"]), (&json!("Transition"), &zero));
        assert_eq!(first["endVersion"]["querySet"], 1);
        let before = first["modifications"][0]["value"].as_f64().unwrap();
        assert_eq!(
            first["modifications"],
            json!([{"type": "QueryUpdated", "queryId": 7, "value": before, "logLines": [], "journal": null}])
        );
        // Rows of a table that the query does not read, and a commit that changes no result.
        board.task(json!({}));
        board.service("updateRuntimeStatus", json!({"status": "online"})).unwrap();
        let id = board.notification(&engineer, json!({}));
        let second = peer.message();
        assert_eq!(second["startVersion"], first["endVersion"]);
        assert!(second["modifications"][0]["value"].as_f64().unwrap() > before);
        board.service("markNotificationDelivered", json!({"notificationId": id})).unwrap();
        let third = peer.message();
        assert_eq!(third["startVersion"], second["endVersion"]);
        assert_eq!(third["modifications"][0]["value"], json!(before));
        peer.send(&json!({"type": "ModifyQuerySet", "baseVersion": 1, "newVersion": 2, "modifications": [
            {"type": "Remove", "queryId": 7}]}));
        let last = peer.message();
        assert_eq!(last["modifications"], json!([{"type": "QueryRemoved", "queryId": 7}]));
        assert_eq!(last["endVersion"]["querySet"], 2);
        peer.close(1000);
        assert_eq!(peer.closed(), Some(1000));
    }
}

#[test]
fn people_subscribe_to_their_queries_with_the_admin_key() {
    let board = Board::new();
    let mut peer = connected(&address(&board));
    peer.send(&add(0, 1, "tasks:list", json!({"accountId": board.account})));
    let refused = peer.message();
    let text = refused["modifications"][0]["errorMessage"].as_str().unwrap();
    assert!(text.contains("Unauthenticated"), "{refused}");
    peer.send(&json!({"type": "Authenticate", "tokenType": "Admin", "value": ADMIN_KEY, "baseVersion": 0}));
    let granted = peer.message();
    assert_eq!(granted["endVersion"]["identity"], 1);
    assert_eq!(granted["modifications"][0]["value"], json!([]));
    board.task(json!({"title": "New"}));
    let changed = peer.message();
    assert_eq!(changed["modifications"][0]["value"][0]["title"], "New");
    peer.send(&json!({"type": "Authenticate", "tokenType": "None", "baseVersion": 1}));
    assert_eq!(peer.message()["modifications"][0]["type"], "QueryFailed");
    peer.send(&json!({"type": "Authenticate", "tokenType": "Admin", "value": "wrong", "baseVersion": 2}));
    let error = peer.message();
    assert_eq!((&error["type"], &error["baseVersion"]), (&json!("AuthError"), &json!(2)));
    assert_eq!(peer.closed(), Some(1008));
}

/// A failing query keeps the connection. Its text is bare on a deployment that redacts.
#[test]
fn a_failing_query_is_reported_and_does_not_end_the_connection() {
    for redact in [false, true] {
        let board = Board::with(Options { redact, ..Options::default() });
        let mut peer = connected(&address(&board));
        let wrong = json!({"accountId": board.account, "serviceToken": format!("{}x", board.token)});
        let rows = [
            ("service/wake:changed", wrong, "Invalid service token"),
            ("service/wake:nothing", json!({}), "Could not find public function for"),
            ("service/actions:listAgents", wake_args(&board), "but it is defined as Action"),
            ("service/wake:changed", json!({}), "ArgumentValidationError"),
            ("service/wake:changed", json!(5), "ArgumentValidationError"),
        ];
        for (id, (path, args, words)) in (0..).zip(rows) {
            peer.send(&add(id, id, path, args));
            let answer = peer.message();
            let text = answer["modifications"][0]["errorMessage"].as_str().unwrap();
            assert!(text.starts_with("[Request ID: ") && text.contains("] Server Error"), "{answer}");
            assert_eq!(text.contains(words), !redact, "{answer}");
            assert!(!text.contains(&board.token), "{answer}");
        }
        for kind in ["Mutation", "Action"] {
            peer.send(&json!({"type": kind, "requestId": 3, "udfPath": "tasks:create", "args": [{}]}));
            let answer = peer.message();
            assert_eq!((&answer["requestId"], &answer["success"]), (&json!(3), &json!(false)), "{answer}");
        }
        peer.send(&json!({"type": "Event", "eventType": "x", "event": {}}));
        peer.send(&add(5, 9, "service/wake:changed", wake_args(&board)));
        assert_eq!(peer.message()["modifications"][0]["value"], 0.0);
    }
}

#[test]
fn messages_against_the_protocol_are_fatal() {
    let board = Board::new();
    let modify = |base: u32, new: u32, modifications: Value| json!({"type": "ModifyQuerySet", "baseVersion": base, "newVersion": new, "modifications": modifications});
    let one = json!({"type": "Add", "queryId": 1, "udfPath": "a:b", "args": []});
    let many: Vec<Value> =
        (0..65).map(|id| json!({"type": "Add", "queryId": id, "udfPath": "a:b", "args": []})).collect();
    let two_args = json!([{"type": "Add", "queryId": 1, "udfPath": "a:b", "args": [{}, {}]}]);
    let large: Vec<Value> = (0..3)
        .map(|id| json!({"type": "Add", "queryId": id, "udfPath": "a:b", "args": [{"text": "x".repeat(6_000)}]}))
        .collect();
    let rows = [
        (true, modify(0, 1, json!(large)), "arguments of the queries are too large"),
        (false, modify(0, 1, json!([])), "first message must be Connect"),
        (true, connect(), "already open"),
        (true, modify(1, 2, json!([])), "version of the query set"),
        (true, modify(0, 2, json!([])), "version of the query set"),
        (true, modify(0, 1, json!([one, one])), "already in the set"),
        (true, modify(0, 1, json!([{"type": "Remove", "queryId": 1}])), "not in the set"),
        (true, modify(0, 1, json!(many)), "Too many queries"),
        (true, modify(0, 1, two_args), "one object of arguments"),
        (true, json!({"type": "Authenticate", "tokenType": "None", "baseVersion": 4}), "identity is wrong"),
        (true, json!({"type": "ModifyQuerySet"}), "malformed"),
        (true, json!([]), "malformed"),
    ];
    for (is_connected, message, words) in rows {
        let mut peer = Peer::open(&address(&board), "/api/sync");
        if is_connected {
            peer.send(&connect());
        }
        peer.send(&message);
        let fatal = peer.message();
        assert_eq!(fatal["type"], "FatalError", "{message}");
        assert!(fatal["error"].as_str().unwrap().contains(words), "{message}: {fatal}");
        assert_eq!(peer.closed(), Some(1008), "{message}");
    }
}

#[test]
fn hostile_frames_end_only_their_own_connection() {
    let board = Board::new();
    let mut good = subscribed(&board, &address(&board));
    let text = connect().to_string();
    let rows: [(&str, Vec<u8>, Option<u16>); 5] = [
        ("unmasked", frame(Kind::Text, true, text.as_bytes(), None), Some(1002)),
        ("binary", frame(Kind::Binary, true, b"{}", Some([1, 2, 3, 4])), Some(1003)),
        ("not UTF-8", frame(Kind::Text, true, &[0xFF, 0xFE], Some([1, 2, 3, 4])), Some(1007)),
        ("too large", vec![0x81, 0xFF, 0, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4], Some(1009)),
        ("reserved bits", vec![0xF1, 0x80, 1, 2, 3, 4], Some(1002)),
    ];
    for (name, bytes, code) in rows {
        let mut peer = Peer::open(&address(&board), "/api/sync");
        peer.send_bytes(&bytes);
        assert_eq!(peer.closed(), code, "{name}");
    }
    // A client that leaves in the middle of a frame.
    let mut peer = Peer::open(&address(&board), "/api/sync");
    peer.send_bytes(&[0x81]);
    peer.cut();
    let engineer = board.agent("engineer", "Engineer", "Builds", json!({}));
    board.notification(&engineer, json!({}));
    assert_eq!(good.message()["modifications"][0]["queryId"], 7);
}

#[test]
fn only_a_websocket_of_this_origin_is_served() {
    let board = Board::new();
    let url = format!("{}/api/sync", board.url());
    let upgrade = |request: ureq::RequestBuilder<ureq::typestate::WithoutBody>| {
        request
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
    };
    assert_eq!(agent().get(&url).call().unwrap().status(), 400);
    assert_eq!(agent().post(&url).send("{}").unwrap().status(), 405);
    let foreign = upgrade(agent().get(&url)).header("Origin", "https://evil.example");
    assert_eq!(foreign.call().unwrap().status(), 403);
    let nameless = upgrade(agent().get(&url)).header("Convex-Client", "nonsense");
    assert_eq!(nameless.call().unwrap().status(), 400);
}

#[test]
fn a_quiet_connection_gets_pings_and_a_silent_client_is_dropped() {
    let board = Board::new();
    let times = SyncTimes {
        ping: Duration::from_millis(300),
        unheard: Duration::from_secs(5),
        ..SyncTimes::default()
    };
    let (server, address) = serve(&board, times, ServerLimits::default());
    // Answers pings, and stays.
    let mut lively = subscribed(&board, &address);
    let until = Instant::now() + 2 * times.unheard;
    let mut pings = 0;
    while Instant::now() < until {
        match lively.next() {
            Some(Incoming::Ping(payload)) => {
                let pong = frame(Kind::Pong, true, &payload, Some([1, 2, 3, 4]));
                lively.send_bytes(&pong);
            }
            Some(Incoming::Text(text)) => {
                assert_eq!(text, r#"{"type":"Ping"}"#);
                pings += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(pings >= 5, "{pings}");
    let mut silent = subscribed(&board, &address);
    assert_eq!(silent.closed(), Some(1008));
    drop(lively);
    server.stop(PATIENCE);
}

#[test]
fn connections_are_limited_and_their_places_come_back() {
    let board = Board::new();
    let limits = ServerLimits { connections: 200, ..ServerLimits::default() };
    let (server, address) = serve(&board, SyncTimes::default(), limits);
    let mut open: Vec<Peer> = (0..64).map(|_| subscribed(&board, &address)).collect();
    let refused = Peer::open(&address, "/api/sync");
    assert!(refused.head.starts_with("HTTP/1.1 503 "), "{}", refused.head);
    open.pop().unwrap().cut();
    let until = Instant::now() + PATIENCE;
    while !Peer::open(&address, "/api/sync").head.starts_with("HTTP/1.1 101 ") {
        assert!(Instant::now() < until, "the place does not come back");
        thread::yield_now();
    }
    server.stop(PATIENCE);
}

/// Strangers cannot hold all places: the oldest one loses its place to a newcomer, and each loses its place after a while.
#[test]
fn strangers_keep_no_place_from_a_subscriber() {
    let board = Board::new();
    let limits = ServerLimits { connections: 200, ..ServerLimits::default() };
    let times =
        SyncTimes { stranger: Duration::from_secs(15), ping: Duration::from_mins(5), ..SyncTimes::default() };
    let (server, address) = serve(&board, times, limits);
    let opened = Instant::now();
    let mut strangers: Vec<Peer> = (0..64).map(|_| connected(&address)).collect();
    // Its query fails, so it stays a stranger.
    let wrong = json!({"accountId": board.account, "serviceToken": format!("{}x", board.token)});
    strangers[63].send(&add(0, 1, "service/wake:changed", wrong));
    assert_eq!(strangers[63].message()["modifications"][0]["type"], "QueryFailed");
    let mut good = subscribed(&board, &address);
    let mut others = strangers.split_off(1);
    assert_eq!(strangers[0].closed(), Some(1013), "the oldest");
    for stranger in &mut others {
        assert_eq!(stranger.closed(), Some(1008));
    }
    assert!(opened.elapsed() >= times.stranger);
    let engineer = board.agent("engineer", "Engineer", "Builds", json!({}));
    board.notification(&engineer, json!({}));
    assert_eq!(good.message()["modifications"][0]["queryId"], 7, "the subscriber stays");
    server.stop(PATIENCE);
}

/// A client that does not read is cut off, and delays neither the commits nor other clients.
#[test]
fn a_client_that_does_not_read_delays_no_other() {
    let board = Board::new();
    let limits = ServerLimits { write_time: Duration::from_millis(500), ..ServerLimits::default() };
    let (server, address) = serve(&board, SyncTimes::default(), limits);
    let mut slow = connected(&address);
    slow.send(&json!({"type": "Authenticate", "tokenType": "Admin", "value": ADMIN_KEY, "baseVersion": 0}));
    slow.send(&add(0, 1, "tasks:list", json!({"accountId": board.account})));
    let mut quick = subscribed(&board, &address);
    let engineer = board.agent("engineer", "Engineer", "Builds", json!({}));
    for number in 0..8 {
        board.task(json!({"title": format!("Task {number}"), "description": "x".repeat(400_000)}));
        board.notification(&engineer, json!({}));
        quick.message();
    }
    let until = Instant::now() + PATIENCE;
    while server.connections() > 1 {
        assert!(Instant::now() < until, "the slow client keeps its connection");
        thread::sleep(Duration::from_millis(20));
    }
    drop((slow, quick));
    server.stop(PATIENCE);
}

#[test]
fn a_stop_closes_every_subscription_cleanly() {
    let board = Board::new();
    let (server, address) = serve(&board, SyncTimes::default(), ServerLimits::default());
    let mut peers = [subscribed(&board, &address), connected(&address)];
    let stopping = thread::spawn(move || server.stop(PATIENCE));
    for peer in &mut peers {
        assert_eq!(peer.closed(), Some(1001));
        assert_eq!(peer.next(), None);
    }
    assert_eq!(stopping.join().unwrap(), 0, "nothing was cut off");
}
