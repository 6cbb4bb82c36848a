//! §11.4: the WebSocket on the gateway's port, and the client's use of it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use mission_control_runtime::clock::Pulse;
use mission_control_runtime::gateway::client::{GatewayEndpoint, HttpGateway};
use mission_control_runtime::gateway::{Class, Gateway, Input, Turn, Why};
use mission_control_runtime::http::websocket::{
    Incoming, Kind, Reader, Side, WebSocketLimits as FrameLimits, accept_key, close_frame, frame,
};
use mission_control_runtime::model::{BaseUrl, SessionKey};
use mission_control_runtime::redact::Redactor;
use mission_control_runtime::secret::Secret;
use mission_control_runtime::wire::{Roots, Stop};
use serde_json::{Value, json};

use super::super::*;

/// A WebSocket client.
struct Caller {
    stream: TcpStream,
    reader: Reader,
    asked: u32,
}

const MASK: Option<[u8; 4]> = Some([7, 11, 13, 17]);

impl Caller {
    /// Connects, and reads the gateway's first event.
    fn come(target: &Target) -> Self {
        let address = target.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(GUARD)).unwrap();
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        let head = format!(
            "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&head));
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 101 ") && head.contains(&accept_key(key)), "{head}");
        let limits = FrameLimits { message_bytes: 30_000_000, frames: 1_000 };
        let mut caller = Self { stream, reader: Reader::new(Side::Server, limits), asked: 0 };
        let first = caller.wait_for_log().unwrap();
        assert_eq!((&first["type"], &first["event"]), (&json!("event"), &json!("connect.challenge")));
        assert!(first["payload"]["nonce"].is_string());
        caller
    }

    /// Connects and authenticates.
    fn let_in(target: &Target) -> Self {
        let mut caller = Self::come(target);
        let hello = caller.ask("connect", &connect(target, json!({})));
        assert_eq!((&hello["ok"], &hello["payload"]["type"]), (&json!(true), &json!("hello-ok")), "{hello}");
        assert_eq!(hello["payload"]["protocol"], 4);
        assert_eq!(hello["payload"]["server"]["version"], "2026.9.6");
        caller
    }

    /// The next text, or the reason for its absence.
    fn wait_for_log(&mut self) -> Result<Value, Option<u16>> {
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.reader.take().unwrap() {
                Some(Incoming::Text(text)) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Incoming::Close(code)) => return Err(code),
                Some(_) => {}
                None => {
                    let count = self.stream.read(&mut buffer).unwrap();
                    assert!(count > 0, "it hung up without a word");
                    self.reader.push(&buffer[..count]);
                }
            }
        }
    }

    /// Sends a request. Events before its response are skipped.
    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.asked += 1;
        let id = self.asked.to_string();
        let asked = json!({"type": "req", "id": id, "method": method, "params": params}).to_string();
        self.stream.write_all(&frame(Kind::Text, true, asked.as_bytes(), MASK)).unwrap();
        loop {
            let heard = self.wait_for_log().unwrap();
            if heard["type"] == "res" {
                assert_eq!(heard["id"], id);
                return heard;
            }
        }
    }
}

/// The parameters of a valid `connect` with these changes.
fn connect(target: &Target, changes: Value) -> Value {
    let mut params = json!({
        "minProtocol": 4, "maxProtocol": 4, "role": "operator", "scopes": ["operator.read", "operator.write"],
        "client": {"id": "gateway-client", "mode": "backend", "version": "1", "platform": "rust"},
        "auth": {"token": target.token},
    });
    if let (Value::Object(params), Value::Object(changes)) = (&mut params, changes) {
        params.extend(changes);
    }
    params
}

fn refusal(answer: &Value) -> (&str, &str) {
    assert_eq!(answer["ok"], false, "{answer}");
    (answer["error"]["code"].as_str().unwrap(), answer["error"]["message"].as_str().unwrap())
}

#[test]
fn accepts_only_valid_connect_requests() {
    let target = Target::both();
    let rows = [
        (
            json!({"auth": {"token": "another"}}),
            "INVALID_REQUEST",
            "unauthorized: gateway token mismatch",
            1008,
        ),
        (json!({"auth": {}}), "NOT_PAIRED", "device identity required", 1008),
        (json!({"minProtocol": 3, "maxProtocol": 3}), "INVALID_REQUEST", "protocol mismatch", 1002),
        (
            json!({"client": {"id": "mission-control", "mode": "backend", "version": "1", "platform": "rust"}}),
            "INVALID_REQUEST",
            "invalid connect params: at /client",
            1008,
        ),
    ];
    for (changes, code, words, close) in rows {
        let mut caller = Caller::come(&target);
        let answer = caller.ask("connect", &connect(&target, changes.clone()));
        let (found, sentence) = refusal(&answer);
        assert!(found == code && sentence.starts_with(words), "{changes}: {answer}");
        assert_eq!(caller.wait_for_log(), Err(Some(close)), "{changes}");
    }
    // A future client may offer more protocol versions than exist.
    let mut caller = Caller::come(&target);
    let answer = caller.ask("connect", &connect(&target, json!({"maxProtocol": 9})));
    assert_eq!(answer["payload"]["protocol"], 4, "{answer}");
}

/// A client receives no scope that it did not request.
#[test]
fn grants_only_requested_scopes() {
    let target = Target::both();
    let mut caller = Caller::come(&target);
    let hello = caller.ask("connect", &connect(&target, json!({"scopes": []})));
    assert_eq!(hello["payload"]["auth"]["scopes"], json!([]));
    let answer = caller.ask("chat.message.get", &json!({"sessionKey": "agent:qa:x", "messageId": "x"}));
    assert_eq!(refusal(&answer), ("FORBIDDEN", "missing scope: operator.read"));
    let answer = caller.ask("sessions.abort", &json!({"key": "agent:qa:x"}));
    assert_eq!(refusal(&answer), ("FORBIDDEN", "missing scope: operator.write"));
    let answer = caller.ask("no.such", &json!({}));
    assert_eq!(refusal(&answer), ("FORBIDDEN", "missing scope: operator.admin"));
    let mut caller = Caller::come(&target);
    caller.ask("connect", &connect(&target, json!({"scopes": ["operator.admin"]})));
    let answer = caller.ask("no.such", &json!({}));
    assert_eq!(refusal(&answer), ("INVALID_REQUEST", "unknown method: no.such"));
}

#[test]
fn answers_pings_and_close_frames() {
    let target = Target::both();
    let mut caller = Caller::let_in(&target);
    caller.stream.write_all(&frame(Kind::Ping, true, b"there?", MASK)).unwrap();
    let mut buffer = [0; 1024];
    loop {
        match caller.reader.take().unwrap() {
            Some(Incoming::Pong) => break,
            Some(_) => {}
            None => {
                let count = caller.stream.read(&mut buffer).unwrap();
                assert!(count > 0, "it hung up");
                caller.reader.push(&buffer[..count]);
            }
        }
    }
    caller.stream.write_all(&close_frame(1000, MASK)).unwrap();
    let code = loop {
        if let Err(code) = caller.wait_for_log() {
            break code;
        }
    };
    assert_eq!(code, Some(1000));
}

/// The history shows 8,000 characters and marks the cut. This request returns the whole text by the same id.
#[test]
fn returns_a_long_text_completely() {
    let target = Target::both();
    let session = fresh("whole");
    target.turn(&session, "LONG 20000", json!({}));
    let items = target.history(&session, "").json()["items"].clone();
    let shown = items[1].clone();
    let text = shown["content"][0]["text"].as_str().unwrap();
    assert_eq!((text.chars().count(), text.ends_with("\n...(truncated)...")), (8_018, true));
    assert_eq!(shown["__openclaw"]["reason"], "display-cap");
    let mut caller = Caller::let_in(&target);
    let mut get = |session: &str, id: &Value, more: Value| {
        let mut params = json!({"sessionKey": session, "messageId": id});
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        caller.ask("chat.message.get", &params)
    };
    let id = &shown["__openclaw"]["id"];
    for more in [json!({}), json!({"maxChars": 2_000_000})] {
        let answer = get(&session, id, more);
        let message = &answer["payload"]["message"];
        assert!(message["content"][0]["text"].as_str().unwrap().len() >= 19_999, "{answer}");
        assert_eq!(message["__openclaw"].get("truncated"), None);
        assert_eq!(message["__openclaw"]["runId"], shown["__openclaw"]["runId"]);
    }
    let answer = get(&session, id, json!({"maxChars": 10}));
    assert_eq!(answer["payload"]["message"]["__openclaw"]["truncated"], true, "{answer}");
    for (session, id) in [(session.as_str(), &json!("another")), (fresh("never").as_str(), id)] {
        let answer = get(session, id, json!({}));
        let nothing = json!({"ok": false, "unavailableReason": "not_found"});
        assert_eq!((&answer["ok"], &answer["payload"]), (&json!(true), &nothing));
    }
}

/// §12.4: a follower hears of each item of its sessions, and of no other session.
#[test]
fn reports_what_is_written_in_followed_sessions() {
    let target = Target::both();
    let (followed, other) = (fresh("followed"), fresh("other"));
    let mut caller = Caller::let_in(&target);
    let key = json!({"key": followed});
    let answer = caller.ask("sessions.messages.subscribe", &key);
    assert_eq!(answer["payload"], json!({"subscribed": true, "key": followed}), "{answer}");
    target.turn(&other, "SAY one", json!({}));
    target.turn(&followed, "SAY two", json!({}));
    let mut heard = Vec::new();
    while heard.last() != Some(&json!("assistant")) {
        let message = caller.wait_for_log().unwrap();
        if message["event"] == "session.message" {
            assert_eq!(message["payload"]["sessionKey"], json!(followed), "{message}");
            heard.push(message["payload"]["message"]["role"].clone());
        }
    }
    assert_eq!(heard, ["user", "assistant"]);
    let answer = caller.ask("sessions.messages.unsubscribe", &key);
    assert_eq!(answer["payload"], json!({"subscribed": false, "key": followed}), "{answer}");
}

/// §8: a waiting run or no run cannot be aborted, and a run only by its own id.
#[test]
fn aborts_only_a_run_in_progress() {
    let target = Target::both();
    let session = fresh("abort");
    let mut caller = Caller::let_in(&target);
    let nothing = json!({"ok": true, "abortedRunId": null, "status": "no-active-run"});
    assert_eq!(caller.ask("sessions.abort", &json!({"key": session}))["payload"], nothing);
    target.turn(&session, "SAY one", json!({}));
    assert_eq!(caller.ask("sessions.abort", &json!({"key": session}))["payload"], nothing);
    std::thread::scope(|scope| {
        let turn = scope.spawn(|| target.events(&session, "DELAY 30000", json!({})));
        let mut run = Value::Null;
        until("a run in flight", || {
            let history = caller.ask("chat.history", &json!({"sessionKey": session, "limit": 1}));
            run = history["payload"]["inFlightRun"]["runId"].clone();
            run.is_string()
        });
        let other = json!({"key": session, "runId": "resp_another"});
        assert_eq!(caller.ask("sessions.abort", &other)["payload"], nothing);
        let ended = caller.ask("sessions.abort", &json!({"key": session, "runId": run}));
        assert_eq!(ended["payload"], json!({"ok": true, "abortedRunId": run, "status": "aborted"}));
        let answer = turn.join().unwrap();
        assert_eq!((&answer.response()["id"], answer.failure()), (&run, internal_error(200)));
    });
}

fn client(target: &Target) -> HttpGateway {
    let token = Secret::new(&*target.token);
    let redactor = Arc::new(Redactor::new([&token]));
    let roots = Roots::load(None).unwrap();
    let base = BaseUrl::parse(&target.url).unwrap();
    GatewayEndpoint::new(base, Some(token), &roots, redactor, GUARD).client(&Stop::new())
}

/// A running turn is aborted within seconds, and its session accepts the next one.
#[test]
fn the_client_aborts_a_running_turn() {
    let target = Target::both();
    let name = fresh("ended").rsplit(':').next().unwrap().to_owned();
    let session = SessionKey::new(format!("task:{name}:agent:engineer:acc:v1"));
    let say = |client: &HttpGateway, text: &str| {
        let input = Input::Message(text);
        let turn = Turn {
            session: &session,
            agent: "engineer",
            instructions: "",
            input,
            tools: &[],
            pulse: &Pulse::new(),
        };
        client.turn(&turn, &mut |_| ())
    };
    std::thread::scope(|scope| {
        let client = client(&target);
        let turn = scope.spawn(|| say(&self::client(&target), "[n-1 try 1] DELAY 50000"));
        let mut ended = false;
        let mut took = Instant::now();
        until("a run to end", || {
            took = Instant::now();
            ended = client.abort(&session, "engineer", None).unwrap();
            ended
        });
        assert!(took.elapsed() < Duration::from_secs(30), "{:?}", took.elapsed());
        let error = turn.join().unwrap().unwrap_err();
        assert_eq!((error.class, error.why), (Class::Lost, Why::Internal), "{error}");
        assert!(!client.abort(&session, "engineer", error.run.as_deref()).unwrap(), "it is over");
    });
    let history = target.history(&format!("agent:engineer:task:{name}:acc:v1"), "").json();
    let roles: Vec<&Value> = history["items"].as_array().unwrap().iter().map(|item| &item["role"]).collect();
    assert_eq!(roles, ["user"], "nothing of an answer");
    // The input of the aborted turn is shown to the model once more.
    let reply = say(&client(&target), "[n-1 try 2] SAY now");
    assert!(reply.unwrap().text.is_some());
}
