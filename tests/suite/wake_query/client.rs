//! The client against servers that play the frames of the sync protocol.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use mission_control_runtime::convex::{ConvexEndpoint, SubscriptionEnd, WakeLimits, WakeSubscriber};
use mission_control_runtime::model::{AccountId, BaseUrl};
use mission_control_runtime::redact::Redactor;
use mission_control_runtime::secret::Secret;
use mission_control_runtime::wake_query::pace::EndClass;
use mission_control_runtime::wire::{Roots, Stop};
use serde_json::{Value, json};

use super::peer::{PATIENCE, Peer, accept, failed, header, read_head, transition, updated, version};

const TOKEN: &str = "mc_service_account_s3cr3ts3cr3t";

/// Longer than a busy machine delays a message.
const LIMITS: WakeLimits = WakeLimits { connect: PATIENCE, silence: PATIENCE, message_bytes: 100_000 };

/// The silence that a test waits for.
const SILENCE: Duration = Duration::from_secs(3);

pub(super) fn subscriber(url: &str, token: &str, account: &str, limits: WakeLimits) -> WakeSubscriber {
    let token = Secret::new(token);
    let redactor = Arc::new(Redactor::new([&token]));
    let base = BaseUrl::parse(url).unwrap();
    let endpoint = ConvexEndpoint::new(base, &Roots::load(None).unwrap(), redactor);
    WakeSubscriber::new(endpoint, &AccountId::new(account), &token, limits)
}

/// A listener, and a subscriber to it.
fn pair(limits: WakeLimits) -> (TcpListener, WakeSubscriber) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let subscriber = subscriber(&url, TOKEN, "account", limits);
    (listener, subscriber)
}

/// Subscribes until the connection ends. Returns the end and how many values were new.
fn follow(subscriber: &mut WakeSubscriber) -> (Option<SubscriptionEnd>, usize) {
    let mut values = 0;
    let end = subscriber.subscribe(&Stop::new(), &mut || {
        values += 1;
        ControlFlow::Continue(())
    });
    (end, values)
}

/// One connection with this script. Returns the end and the number of new values.
fn played(script: impl FnOnce(&mut Peer) + Send) -> (SubscriptionEnd, usize) {
    played_with(LIMITS, script)
}

fn played_with(limits: WakeLimits, script: impl FnOnce(&mut Peer) + Send) -> (SubscriptionEnd, usize) {
    let (listener, mut subscriber) = pair(limits);
    let (end, values) = thread::scope(|scope| {
        scope.spawn(|| {
            let mut peer = Peer::accept(&listener);
            script(&mut peer);
            // The client ends the connection, or the script has.
            while peer.next().is_some() {}
        });
        follow(&mut subscriber)
    });
    let end = end.expect("nothing stopped the client");
    assert!(!end.reason.contains("s3cr3t"), "{end:?}");
    (end, values)
}

/// Reads the first two messages of the client.
fn opening(peer: &mut Peer) -> [Value; 2] {
    [peer.message(), peer.message()]
}

fn first_value(peer: &mut Peer) {
    opening(peer);
    peer.send(&transition(&version(0, 0), &version(1, 10), &updated(json!(5.0))));
}

#[test]
fn the_client_opens_and_subscribes_as_the_protocol_has_it() {
    let (listener, mut subscriber) = pair(LIMITS);
    thread::scope(|scope| {
        let server = scope.spawn(|| {
            let mut peer = Peer::accept(&listener);
            assert!(peer.head.starts_with("GET /api/sync HTTP/1.1\r\n"), "{}", peer.head);
            let client = header(&peer.head, "convex-client").unwrap();
            assert!(client.starts_with("mission-control-runtime-"), "{client}");
            assert_eq!(header(&peer.head, "origin"), None, "browsers only");
            let [connect, subscribe] = opening(&mut peer);
            assert_eq!((&connect["type"], &connect["connectionCount"]), (&json!("Connect"), &json!(0)));
            assert_eq!(connect["lastCloseReason"], "InitialConnect");
            assert_eq!(connect["sessionId"].as_str().unwrap().len(), 36);
            assert_eq!(connect.get("maxObservedTimestamp"), None);
            let args = json!([{"accountId": "account", "serviceToken": TOKEN}]);
            assert_eq!(
                subscribe,
                json!({"type": "ModifyQuerySet", "baseVersion": 0, "newVersion": 1, "modifications": [
                    {"type": "Add", "queryId": 0, "udfPath": "service/wake:changed", "args": args}]})
            );
            peer.send(&transition(&version(0, 0), &version(1, 70), &updated(json!(5.0))));
            peer.close(1013);
            while peer.next().is_some() {}

            let mut peer = Peer::accept(&listener);
            let [again, _] = opening(&mut peer);
            assert_eq!((&again["sessionId"], &again["connectionCount"]), (&connect["sessionId"], &json!(1)));
            assert_eq!(again["lastCloseReason"], "the backend closed the connection (1013)");
            assert_eq!(again["maxObservedTimestamp"], version(0, 70)["ts"]);
            peer.cut();
        });
        let (end, values) = follow(&mut subscriber);
        assert_eq!((end.unwrap().class, values), (EndClass::Overloaded(None), 1));
        assert_eq!(follow(&mut subscriber).1, 0);
        server.join().unwrap();
    });
}

#[test]
fn each_new_value_counts_once_however_often_it_is_sent() {
    let (end, values) = played(|peer| {
        first_value(peer);
        let mut before = version(1, 10);
        for (ts, value) in [(11, 5.0), (12, 6.0), (13, 6.0), (14, 0.0)] {
            let next = version(1, ts);
            peer.send(&transition(&before, &next, &updated(json!(value))));
            before = next;
        }
        peer.close(1000);
    });
    assert_eq!((end.class, values), (EndClass::Broken, 3));
}

#[test]
fn a_transition_in_parts_is_one_transition() {
    let whole = transition(&version(0, 0), &version(1, 10), &updated(json!(5.0))).to_string();
    let (one, other) = whole.split_at(whole.len() / 2);
    let part = |number: u32, chunk: &str| {
        json!({"type": "TransitionChunk", "chunk": chunk, "partNumber": number, "totalParts": 2,
            "transitionId": "t"})
    };
    let (end, values) = played(|peer| {
        opening(peer);
        peer.send(&part(0, one));
        peer.send(&json!({"type": "Ping"}));
        peer.send(&part(1, other));
        peer.close(1000);
    });
    assert_eq!((end.class, values), (EndClass::Broken, 1), "{end:?}");
}

/// The message after the first value, the class, and the words of the reason.
#[test]
fn each_end_has_its_class_and_its_reason() {
    let next = |modifications: &Value| transition(&version(1, 10), &version(1, 11), modifications);
    let rows = [
        (transition(&version(1, 9), &version(1, 11), &json!([])), EndClass::Broken, "was lost"),
        (json!({"type": "FatalError", "error": "bad client"}), EndClass::Refused, "fatal error: bad client"),
        (
            json!({"type": "AuthError", "error": "no", "baseVersion": 0, "authUpdateAttempted": true}),
            EndClass::Refused,
            "refuses an identity: no",
        ),
        (next(&updated(json!("soon"))), EndClass::Refused, "answers \"soon\", which is not a number"),
        (next(&updated(json!({"$float": "AAAAAAAA+H8="}))), EndClass::Refused, "which is not a number"),
        (
            next(&failed("[Request ID: 1] Server Error\nUncaught Error: Invalid service token\n")),
            EndClass::Refused,
            "service/wake:changed fails: Invalid service token",
        ),
        (next(&failed("[Request ID: 1] Server Error")), EndClass::Refused, "service/wake:changed fails"),
        (json!({"type": "Transition"}), EndClass::Refused, "malformed message"),
        (json!("x".repeat(200_000)), EndClass::Refused, "over the size limit"),
    ];
    for (message, class, words) in rows {
        let (end, values) = played(|peer| {
            first_value(peer);
            peer.send(&message);
        });
        assert_eq!((end.class, values), (class, 1), "{end:?}");
        assert!(end.reason.contains(words) && end.lasted.is_some(), "{words}: {end:?}");
    }
}

#[test]
fn a_missing_query_is_told_apart_from_a_failing_one() {
    let missing = "[Request ID: 1] Server Error\nCould not find public function for 'service/wake:changed'. Did \
                   you forget to run `npx convex dev` or `npx convex deploy`?\n";
    let arguments = format!(
        "[Request ID: 1] Server Error\nArgumentValidationError: Object contains extra field \
        `serviceToken` that is not in the validator.\n\nObject: {{serviceToken: \"{TOKEN}\"}}"
    );
    for (text, class, words) in [
        (missing, EndClass::Missing, "has no query service/wake:changed"),
        ("[Request ID: 1] Server Error", EndClass::Missing, "or the query fails"),
        (arguments.as_str(), EndClass::Refused, "fails: Object contains extra field"),
    ] {
        let (end, values) = played(|peer| {
            opening(peer);
            peer.send(&transition(&version(0, 0), &version(1, 10), &failed(text)));
        });
        assert_eq!((end.class, values, end.lasted), (class, 0, None), "{end:?}");
        assert!(end.reason.contains(words), "{end:?}");
    }
}

#[test]
fn silence_ends_the_connection_and_pings_keep_it() {
    let limits = WakeLimits { silence: SILENCE, ..LIMITS };
    let (end, values) = played_with(limits, |peer| {
        first_value(peer);
        for _ in 0..10 {
            thread::sleep(SILENCE / 5);
            peer.send(&json!({"type": "Ping"}));
        }
        peer.send(&transition(&version(1, 10), &version(1, 11), &updated(json!(6.0))));
    });
    assert_eq!((end.class, values), (EndClass::Broken, 2), "{end:?}");
    assert_eq!(end.reason, "no message for 3 s");
}

#[test]
fn a_connection_that_breaks_is_opened_again() {
    let (end, values) = played(|peer| {
        first_value(peer);
        // Half a frame.
        peer.send_bytes(&[0x81, 0x05, b'a']);
        peer.close_abruptly();
    });
    assert_eq!((end.class, values), (EndClass::Broken, 1), "{end:?}");
    let (listener, mut subscriber) = pair(LIMITS);
    drop(listener);
    let (end, values) = follow(&mut subscriber);
    let end = end.unwrap();
    assert_eq!((end.class, values), (EndClass::Broken, 0));
    assert!(end.reason.contains("cannot be reached"), "{end:?}");
}

#[test]
fn each_answer_to_the_opening_has_its_class() {
    let rows = [
        ("404 Not Found", "", EndClass::Missing, "no sync endpoint"),
        ("502 Bad Gateway", "", EndClass::Broken, "502"),
        ("503 Service Unavailable", "", EndClass::Overloaded(None), "503"),
        (
            "429 Too Many Requests",
            "Retry-After: 20\r\n",
            EndClass::Overloaded(Some(Duration::from_secs(20))),
            "429",
        ),
        ("429 Too Many Requests", "Retry-After: later\r\n", EndClass::Overloaded(None), "429"),
        ("200 OK", "", EndClass::Refused, "200"),
        ("403 Forbidden", "", EndClass::Refused, "403"),
        (
            "101 Switching Protocols",
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: wrong\r\n",
            EndClass::Refused,
            "does not pass WebSockets",
        ),
    ];
    for (status, headers, class, words) in rows {
        let (listener, mut subscriber) = pair(LIMITS);
        let (end, _) = thread::scope(|scope| {
            scope.spawn(|| {
                let mut stream = accept(&listener);
                read_head(&mut stream);
                let answer = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).unwrap();
            });
            follow(&mut subscriber)
        });
        let end = end.unwrap();
        assert_eq!(end.class, class, "{status}: {end:?}");
        assert!(end.reason.contains(words), "{status}: {end:?}");
    }
}

/// In each phase of a connection.
#[test]
fn the_stop_switch_ends_a_subscription_at_once() {
    for phase in ["opening", "waiting for the first value", "following"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let limits = WakeLimits { silence: 2 * PATIENCE, ..LIMITS };
        let mut subscriber = subscriber(&url, TOKEN, "account", limits);
        let (stop, (sender, reached)) = (Stop::new(), channel());
        let switch = stop.clone();
        let (end, took) = thread::scope(|scope| {
            scope.spawn(|| hold(&listener, phase, &sender));
            scope.spawn(move || {
                let reached: Receiver<()> = reached;
                reached.recv_timeout(PATIENCE).unwrap();
                switch.close();
            });
            let began = Instant::now();
            (subscriber.subscribe(&stop, &mut || ControlFlow::Continue(())), began.elapsed())
        });
        assert_eq!(end, None, "{phase}");
        assert!(took < PATIENCE, "{phase}");
        assert_eq!(subscriber.subscribe(&stop, &mut || ControlFlow::Continue(())), None, "{phase}");
    }
}

fn hold(listener: &TcpListener, phase: &str, begun: &std::sync::mpsc::Sender<()>) {
    let keep = |mut stream: TcpStream| {
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    };
    if phase == "opening" {
        let mut stream = accept(listener);
        read_head(&mut stream);
        begun.send(()).unwrap();
        return keep(stream);
    }
    let mut peer = Peer::accept(listener);
    opening(&mut peer);
    if phase == "following" {
        peer.send(&transition(&version(0, 0), &version(1, 10), &updated(json!(5.0))));
    }
    begun.send(()).unwrap();
    while peer.next().is_some() {}
}
