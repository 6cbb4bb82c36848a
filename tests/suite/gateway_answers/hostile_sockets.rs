//! Hostile peers of a WebSocket, and the result for the caller. Nothing may hang, grow without bound, or
//! count as an answer. The rows use the abort of a run, which takes the same path as every other request.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mission_control_runtime::gateway::client::GatewayLimits;
use mission_control_runtime::gateway::{Class, Gateway, GatewayError, Why};
use mission_control_runtime::http::websocket::{
    Incoming, Kind, Reader, Side, WebSocketLimits as FrameLimits, accept_key, close_frame, frame,
};
use mission_control_runtime::model::SessionKey;
use mission_control_runtime::wire::Stop;
use serde_json::{Value, json};

use super::{EARLY, PATIENT, SESSION, TOKEN, endpoint_with};
use crate::support::wait;

/// The limit of a request whose peer is slow.
const SHORT: Duration = Duration::from_millis(600);
/// A peer goes on for so long where the client does not end the connection.
const GUARD: Duration = Duration::from_mins(2);

/// The behaviour of one connection.
type Play = fn(&mut Peer);

/// One connection of a server that has not answered yet.
struct Peer {
    stream: TcpStream,
    head: String,
}

impl Peer {
    fn raw(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Accepts the upgrade to a WebSocket.
    fn switch(&mut self) {
        let key = self.head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("sec-websocket-key").then_some(value)
        });
        let accept = accept_key(key.unwrap());
        self.raw(
            format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n\r\n"
            )
            .as_bytes(),
        );
    }

    fn say(&mut self, message: &Value) {
        self.raw(&frame(Kind::Text, true, message.to_string().as_bytes(), None));
    }

    fn challenge(&mut self) {
        self.say(&json!({"type": "event", "event": "connect.challenge", "payload": {"nonce": "n"}}));
    }

    /// The next text of the client.
    fn wait_for_log(&mut self, reader: &mut Reader) -> Option<Value> {
        let mut buffer = [0; 4096];
        loop {
            match reader.take().unwrap() {
                Some(Incoming::Text(text)) => return serde_json::from_str(&text).ok(),
                Some(_) => {}
                None => match self.stream.read(&mut buffer) {
                    Ok(0) | Err(_) => return None,
                    Ok(count) => reader.push(&buffer[..count]),
                },
            }
        }
    }

    /// Accepts the client's login, and answers each request with the result of `answer`.
    fn answers(&mut self, answer: impl Fn(&Value) -> Vec<u8>) {
        self.switch();
        self.challenge();
        let mut reader = reader();
        while let Some(asked) = self.wait_for_log(&mut reader) {
            if asked["method"] == "connect" {
                self.say(
                    &json!({"type": "res", "id": asked["id"], "ok": true, "payload": {"type": "hello-ok"}}),
                );
            } else {
                self.raw(&answer(&asked));
            }
        }
    }

    /// Sends these bytes repeatedly until the client is gone.
    fn forever(&mut self, bytes: &[u8], pause: Duration) {
        let until = Instant::now() + GUARD;
        while self.stream.write_all(bytes).is_ok() && Instant::now() < until {
            thread::sleep(pause);
        }
    }

    /// Waits until the client is gone.
    fn stall(&mut self) {
        let _ = self.stream.set_read_timeout(Some(GUARD));
        let _ = std::io::copy(&mut self.stream, &mut std::io::sink());
    }
}

fn reader() -> Reader {
    Reader::new(Side::Client, FrameLimits { message_bytes: 1_000_000, frames: 100 })
}

fn text(message: &Value) -> Vec<u8> {
    frame(Kind::Text, true, message.to_string().as_bytes(), None)
}

/// A server whose connections all behave like this; its address, and the number of connections.
fn server(play: impl Fn(&mut Peer) + Send + Sync + 'static) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (count, play) = (Arc::new(AtomicUsize::new(0)), Arc::new(play));
    let counted = Arc::clone(&count);
    // Ends with the test's process.
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::SeqCst);
            let play = Arc::clone(&play);
            thread::spawn(move || {
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read > 0) {
                    head.push(byte[0]);
                }
                let mut peer = Peer { stream, head: String::from_utf8(head).unwrap() };
                play(&mut peer);
                let _ = peer.stream.shutdown(Shutdown::Both);
            });
        }
    });
    (url, count)
}

fn end_with(url: &str, limits: GatewayLimits, stop: &Stop) -> Result<bool, GatewayError> {
    endpoint_with(url, limits).client(stop).abort(&SessionKey::new(SESSION), "engineer", Some("resp_1"))
}

fn limits() -> GatewayLimits {
    GatewayLimits { socket: PATIENT, answer_bytes: 100_000, ..GatewayLimits::new(PATIENT) }
}

/// The result of aborting a run at this peer, which ends before any limit.
#[track_caller]
fn ends(name: &str, play: impl Fn(&mut Peer) + Send + Sync + 'static) -> Result<bool, (Class, String)> {
    ends_with(name, limits(), play)
}

/// The result within these limits; checks that it is early and that no secret leaks.
#[track_caller]
fn ends_with(
    name: &str,
    limits: GatewayLimits,
    play: impl Fn(&mut Peer) + Send + Sync + 'static,
) -> Result<bool, (Class, String)> {
    let (url, _) = server(play);
    let begun = Instant::now();
    let end = end_with(&url, limits, &Stop::new());
    assert!(begun.elapsed() < EARLY, "{name}: {:?}", begun.elapsed());
    end.map_err(|error| {
        let text = format!("{error} {error:?}");
        assert!(!text.contains(TOKEN), "{name}: {text}");
        (error.class, error.to_string())
    })
}

/// The correct peer: the others differ from it in one respect.
#[test]
fn a_correct_gateway_aborts_a_run() {
    let play = |peer: &mut Peer| {
        peer.answers(|asked| {
            let payload = match asked["method"].as_str() {
                Some("sessions.abort") => json!({"ok": true, "abortedRunId": "resp_1", "status": "aborted"}),
                _ => json!({"messages": []}),
            };
            let event = text(&json!({"type": "event", "event": "agent", "payload": {"runId": "resp_9"}}));
            let ping = frame(Kind::Ping, true, b"there?", None);
            let answer = text(&json!({"type": "res", "id": asked["id"], "ok": true, "payload": payload}));
            [event, ping, answer].concat()
        });
    };
    assert_eq!(ends("good", play), Ok(true));
}

#[test]
fn a_failed_handshake_is_refused() {
    let refused = |words: &str| Err((Class::Refused, words.to_owned()));
    let sentence = |words: &str| {
        format!(
            "the gateway does not permit this over its WebSocket ({words}). \
             Only current releases permit it, to clients that send their token from the same machine; 2026.9 is recommended."
        )
    };
    let page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>";
    assert_eq!(
        ends("a page", |peer| peer.raw(page)),
        refused(&sentence(
            "it refuses a WebSocket with 200 OK: check OPENCLAW_GATEWAY_URL and the proxies in front of it"
        ))
    );
    let gone = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(
        ends("no path", |peer| peer.raw(gone)),
        refused(&sentence(
            "it refuses a WebSocket with 404 Not Found: check OPENCLAW_GATEWAY_URL and the proxies in front of it"
        ))
    );
    let rows = [
        "Upgrade: websocket\r\nConnection: Upgrade\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
        "Upgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: =\r\n",
    ];
    for row in rows {
        let head = format!("HTTP/1.1 101 Switching Protocols\r\n{row}\r\n");
        let found = ends(row, move |peer| peer.raw(head.as_bytes()));
        assert_eq!(
            found,
            refused(&sentence("it does not follow the WebSocket protocol: check the proxies in front of it")),
            "{row}"
        );
    }
    let mismatch = |peer: &mut Peer| {
        peer.switch();
        peer.challenge();
        let asked = peer.wait_for_log(&mut reader()).unwrap();
        assert_eq!(
            (
                &asked["params"]["auth"]["token"],
                &asked["params"]["client"]["id"],
                &asked["params"]["minProtocol"]
            ),
            (&json!(TOKEN), &json!("gateway-client"), &json!(3))
        );
        let error = json!({"code": "INVALID_REQUEST", "message": format!("protocol mismatch, {TOKEN}")});
        peer.say(&json!({"type": "res", "id": asked["id"], "ok": false, "error": error}));
        peer.raw(&close_frame(1002, None));
    };
    let found = ends("another protocol", mismatch).unwrap_err();
    assert!(found.0 == Class::Refused && found.1.contains("protocol mismatch"), "{found:?}");
    for (name, broken, words) in [
        ("a mask", frame(Kind::Text, true, b"{}", Some([1, 2, 3, 4])), "a malformed frame"),
        ("bytes", frame(Kind::Binary, true, b"{}", None), "a binary message where text is required"),
        ("no UTF-8", frame(Kind::Text, true, &[0xff], None), "text that is not UTF-8"),
        ("huge", b"\x81\x7f\x00\x00\x00\x00\x00\x01\x86\xa1".to_vec(), "a message over the size limit"),
        ("no JSON", frame(Kind::Text, true, b"hello", None), "is not understood"),
    ] {
        let found = ends(name, move |peer| {
            peer.switch();
            peer.raw(&broken);
            peer.stall();
        });
        let (class, sentence) = found.unwrap_err();
        assert!(class == Class::Refused && sentence.contains(words), "{name}: {sentence}");
    }
}

/// Slow, trickling and endless peers end by our timeout. A broken connection is detected at once.
#[test]
fn slow_and_endless_peers_are_abandoned() {
    let slow = |name: &str, play: Play| {
        let short = GatewayLimits { socket: SHORT, ..limits() };
        let (class, sentence) = ends_with(name, short, play).unwrap_err();
        assert!(class == Class::Closed && sentence.contains("in time"), "{name}: {class:?} {sentence}");
    };
    slow("says nothing at all", Peer::stall);
    slow("half a head", |peer| {
        peer.raw(b"HTTP/1.1 101 Swi");
        peer.stall();
    });
    slow("no challenge", |peer| {
        peer.switch();
        peer.stall();
    });
    slow("half a frame", |peer| {
        peer.switch();
        peer.raw(&frame(Kind::Text, true, &[b'x'; 500], None)[..100]);
        peer.stall();
    });
    slow("drips", |peer| {
        peer.switch();
        peer.raw(b"\x81\x7e\xff\xff");
        peer.forever(b"x", Duration::from_millis(5));
    });
    slow("pings", |peer| {
        peer.switch();
        peer.forever(&frame(Kind::Ping, true, b"", None), Duration::from_millis(5));
    });
    slow("events for ever", |peer| {
        peer.switch();
        peer.forever(&text(&json!({"type": "event", "event": "tick"})), Duration::from_millis(5));
    });
    slow("never lets us in", |peer| {
        peer.switch();
        peer.challenge();
        peer.stall();
    });
    slow("answers others", |peer| {
        peer.answers(|asked| text(&json!({"type": "res", "id": format!("{}0", asked["id"]), "ok": true})));
    });
    let many = |peer: &mut Peer| {
        peer.switch();
        peer.raw(&frame(Kind::Text, false, b"", None));
        peer.forever(&frame(Kind::More, false, b"", None).repeat(1_000), Duration::ZERO);
    };
    let (class, sentence) = ends("pieces for ever", many).unwrap_err();
    assert!(class == Class::Refused && sentence.contains("too many frames"), "{sentence}");
    let rows: [(&str, Play); 3] = [
        ("cut", |peer| {
            peer.switch();
            peer.challenge();
        }),
        ("cut in a frame", |peer| {
            peer.switch();
            peer.raw(b"\x81\x05He");
        }),
        ("closed", |peer| {
            peer.switch();
            peer.raw(&close_frame(1012, None));
            peer.stall();
        }),
    ];
    for (name, play) in rows {
        let (class, sentence) = ends(name, play).unwrap_err();
        assert!(class == Class::Closed, "{name}: {sentence}");
    }
}

/// An incorrect answer to the request confirms no abort.
#[test]
fn an_answer_of_another_shape_confirms_no_abort() {
    for payload in [json!(null), json!({}), json!({"status": "maybe"}), json!("aborted")] {
        let name = payload.to_string();
        let play = move |peer: &mut Peer| {
            let payload = payload.clone();
            peer.answers(move |asked| {
                text(&json!({"type": "res", "id": asked["id"], "ok": true, "payload": payload}))
            });
        };
        let (class, sentence) = ends(&name, play).unwrap_err();
        assert!(class == Class::Refused && sentence.contains("not understood"), "{name}: {sentence}");
    }
}

/// Our own stop switch closes a socket like every other connection, and no new one is opened.
#[test]
fn a_stop_closes_the_socket() {
    let (url, count) = server(|peer| {
        peer.switch();
        peer.challenge();
        peer.stall();
    });
    let stop = Stop::new();
    let begun = Instant::now();
    thread::scope(|scope| {
        let ending = scope.spawn(|| end_with(&url, limits(), &stop).unwrap_err());
        wait::until("the connection", || count.load(Ordering::SeqCst) == 1);
        stop.close();
        let error = ending.join().unwrap();
        assert_eq!((error.class, error.why), (Class::Closed, Why::Stopped));
    });
    assert!(begun.elapsed() < EARLY, "{:?}", begun.elapsed());
    let error = end_with(&url, limits(), &stop).unwrap_err();
    assert_eq!((error.why, count.load(Ordering::SeqCst)), (Why::Stopped, 1));
}
