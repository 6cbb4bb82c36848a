//! The WebSocket on the gateway's port (openclaw-gateway §11.4). It implements session queries, the abort
//! of a run, and the events of followed sessions.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::answer::written;
use super::ids::uuid;
use super::session_events::Subscriptions;
use super::sessions::Session;
use super::turn_request::session_named;
use super::{Inner, Phase, Release, draining};
use mcr_http::message::{Duplex, Reply, Request};
use mcr_http::websocket::{
    Incoming, Kind, Reader, Side, WebSocketLimits, accept_key, close_frame, frame, requested_key,
};

/// The path of the WebSocket.
pub(super) const PATH: &str = "/";
/// Maximum bytes of a message.
const MESSAGE_BYTES: usize = 26_214_400;
const FRAMES: usize = 1_024;
/// The interval at which it checks that the client is connected.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// A client that sends nothing for this time is disconnected.
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);
/// The default maximum length of a text.
const CHARS_DEFAULT: u64 = 1_000_000;
/// The upper limit of a requested maximum length.
const CHARS_MAX: u64 = 2_000_000;
/// The protocol version of each release.
const PROTOCOL: u64 = 4;
const OLD_PROTOCOL: u64 = 3;
const MISMATCH: &str = "protocol mismatch";
/// The known scopes.
const SCOPES: [&str; 3] = ["operator.read", "operator.write", "operator.admin"];

const SUBSCRIBE: &str = "sessions.messages.subscribe";
const UNSUBSCRIBE: &str = "sessions.messages.unsubscribe";

/// A refusal: a code and a sentence.
type Refusal = (&'static str, String);

/// Whether a request asks for a WebSocket upgrade.
pub(super) fn is_upgrade(request: &Request) -> bool {
    requested_key(request).is_some()
}

/// Handles the request.
pub(super) fn answer(inner: &Arc<Inner>, request: &Request) -> Reply {
    if inner.phase() == Phase::Draining {
        return draining();
    }
    let accept = accept_key(request.header("Sec-WebSocket-Key").unwrap_or_default());
    let inner = Arc::clone(inner);
    let reply = Reply::switched("websocket", move |connection| SocketClient::new(&inner, connection).run());
    reply.with_header("Sec-WebSocket-Accept", &accept)
}

/// One connected client.
struct SocketClient<'a> {
    inner: &'a Inner,
    connection: &'a mut dyn Duplex,
    reader: Reader,
    /// The granted scopes, after the client is connected.
    scopes: Option<Vec<String>>,
    subscriptions: Subscriptions,
}

impl<'a> SocketClient<'a> {
    fn new(inner: &'a Inner, connection: &'a mut dyn Duplex) -> Self {
        let reader =
            Reader::new(Side::Client, WebSocketLimits { message_bytes: MESSAGE_BYTES, frames: FRAMES });
        Self { inner, connection, reader, scopes: None, subscriptions: Subscriptions::default() }
    }

    fn run(mut self) -> io::Result<()> {
        let nonce = uuid(self.inner.ids.next());
        self.send_event(
            "connect.challenge",
            &json!({"nonce": nonce, "ts": self.inner.options.clock.now().0}),
        )?;
        while let Some(text) = self.receive_text()? {
            let asked: Value = serde_json::from_str(&text).unwrap_or_default();
            let (method, params) = (asked["method"].as_str().unwrap_or_default(), &asked["params"]);
            let is_first = self.scopes.is_none();
            let result = match (is_first, method) {
                (true, "connect") => self.connect(params),
                (true, _) => Err(("INVALID_REQUEST", "first request must be connect".to_owned())),
                (false, method) => self.method(method, params),
            };
            let refused = result.is_err();
            let answer = match result {
                Ok(payload) => json!({"type": "res", "id": asked["id"], "ok": true, "payload": payload}),
                Err((code, message)) => {
                    let error = json!({"code": code, "message": message});
                    json!({"type": "res", "id": asked["id"], "ok": false, "error": error})
                }
            };
            // Other events always arrive in between.
            self.send_event("tick", &json!({"ts": self.inner.options.clock.now().0}))?;
            self.send_message(&answer)?;
            if is_first && refused {
                let code = if answer["error"]["message"] == MISMATCH { 1002 } else { 1008 };
                return self.connection.send(&close_frame(code, None));
            }
        }
        Ok(())
    }

    /// The next text, or `None` when the client has disconnected.
    fn receive_text(&mut self) -> io::Result<Option<String>> {
        let mut buffer = [0; 4096];
        let until = Instant::now() + IDLE_TIMEOUT;
        loop {
            match self.reader.take() {
                Ok(Some(Incoming::Text(text))) => return Ok(Some(text)),
                Ok(Some(Incoming::Ping(payload))) => {
                    self.connection.send(&frame(Kind::Pong, true, &payload, None))?;
                }
                Ok(Some(Incoming::Pong)) => {}
                Ok(Some(Incoming::Close(code))) => {
                    self.connection.send(&close_frame(code.unwrap_or(1000), None))?;
                    return Ok(None);
                }
                Ok(None) => match self.connection.receive(&mut buffer, POLL_INTERVAL) {
                    Ok(0) => return Ok(None),
                    Ok(count) => self.reader.push(&buffer[..count]),
                    Err(error) if error.kind() == ErrorKind::TimedOut => {
                        let is_running = self.inner.is_running() && self.connection.is_open();
                        if !is_running || Instant::now() >= until || !self.send_news()? {
                            return Ok(None);
                        }
                    }
                    Err(error) => return Err(error),
                },
                Err(broken) => {
                    self.connection.send(&close_frame(broken.code(), None))?;
                    return Ok(None);
                }
            }
        }
    }

    /// Sends the events of the followed sessions. Returns false if a planned fault ends the connection instead.
    fn send_news(&mut self) -> io::Result<bool> {
        for payload in self.subscriptions.news(self.inner.options.release) {
            if self.inner.faults.loses_follower() {
                return Ok(false);
            }
            self.send_event("session.message", &payload)?;
        }
        Ok(true)
    }

    fn send_event(&mut self, event: &str, payload: &Value) -> io::Result<()> {
        self.send_message(&json!({"type": "event", "event": event, "payload": payload}))
    }

    fn send_message(&mut self, message: &Value) -> io::Result<()> {
        self.connection.send(&frame(Kind::Text, true, written(message).as_bytes(), None))
    }

    fn connect(&mut self, params: &Value) -> Result<Value, Refusal> {
        let release = self.inner.options.release;
        let (old, token_counts) = (release.is_oldest(), release.token_has_scopes());
        let protocol = if release < Release::V2026_6_11 { OLD_PROTOCOL } else { PROTOCOL };
        let bound = |name: &str| params[name].as_u64().unwrap_or_default();
        if !(bound("minProtocol")..=bound("maxProtocol")).contains(&protocol) {
            return Err(("INVALID_REQUEST", MISMATCH.to_owned()));
        }
        if params["client"]["id"] != "gateway-client" || params["client"]["mode"] != "backend" {
            return Err(("INVALID_REQUEST", "invalid connect params: at /client".to_owned()));
        }
        match (&self.inner.options.token, params["auth"]["token"].as_str()) {
            (Some(_), None) => return Err(("NOT_PAIRED", "device identity required".to_owned())),
            (Some(token), Some(shown)) if token != shown => {
                let words = "unauthorized: gateway token mismatch (provide gateway auth token)";
                return Err(("INVALID_REQUEST", words.to_owned()));
            }
            _ => {}
        }
        let wanted = params["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str);
        // The old release accepts any client with the token, but grants no scopes.
        let scopes: Vec<String> =
            wanted.filter(|scope| token_counts && SCOPES.contains(scope)).map(str::to_owned).collect();
        let auth = json!({"method": "token", "role": "operator", "scopes": scopes});
        self.scopes = Some(scopes);
        let version = if old { "dev" } else { release.version() };
        let up = u64::try_from(self.inner.up_for().as_millis()).unwrap_or(u64::MAX);
        Ok(json!({"type": "hello-ok", "protocol": protocol, "server": {"version": version}, "auth": auth,
            "snapshot": {"uptimeMs": up}, "policy": {"maxPayload": MESSAGE_BYTES, "tickIntervalMs": 30_000}}))
    }

    fn method(&mut self, method: &str, params: &Value) -> Result<Value, Refusal> {
        let needed = match method {
            "chat.message.get" | "chat.history" | SUBSCRIBE | UNSUBSCRIBE => SCOPES[0],
            "sessions.abort" => SCOPES[1],
            // Only an administrator may call an unknown method.
            _ => SCOPES[2],
        };
        if !self.scopes.iter().flatten().any(|scope| scope == needed) {
            return Err(("FORBIDDEN", format!("missing scope: {needed}")));
        }
        if needed == SCOPES[2] {
            return Err(("INVALID_REQUEST", format!("unknown method: {method}")));
        }
        let key = params[if method.starts_with("sessions.") { "key" } else { "sessionKey" }].as_str();
        let key = key.ok_or_else(|| ("INVALID_REQUEST", format!("invalid {method} params")))?;
        let first = self.inner.options.agents.first().map_or("main", String::as_str);
        let named = session_named(key, first, &self.inner.options);
        if matches!(method, SUBSCRIBE | UNSUBSCRIBE) {
            return self.subscribe(named, method == SUBSCRIBE);
        }
        let session = named.and_then(|name| self.inner.sessions.find(&name));
        Ok(match method {
            "chat.message.get" => message(session.as_deref(), params, self.inner.options.release),
            "chat.history" => history(key, session.as_deref(), params, self.inner.options.release),
            _ => {
                let run = session.and_then(|session| session.abort(params["runId"].as_str()));
                let status = if run.is_some() { "aborted" } else { "no-active-run" };
                json!({"ok": true, "abortedRunId": run, "status": status})
            }
        })
    }
}

impl SocketClient<'_> {
    /// Begins or ends a subscription.
    fn subscribe(&mut self, named: Option<String>, begins: bool) -> Result<Value, Refusal> {
        let name = named.ok_or_else(|| ("INVALID_REQUEST", "unknown agent".to_owned()))?;
        if begins && self.inner.faults.refuses_followers() {
            return Err(("UNAVAILABLE", "session events are unavailable".to_owned()));
        }
        if begins {
            self.subscriptions.add(self.inner, &name);
        } else {
            self.subscriptions.remove(&name);
        }
        Ok(json!({"subscribed": begins, "key": name}))
    }
}

/// One item of a session, almost untruncated.
fn message(session: Option<&Session>, params: &Value, release: Release) -> Value {
    let most = params["maxChars"].as_u64().unwrap_or(CHARS_DEFAULT).min(CHARS_MAX);
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let found = session.map(Session::view).and_then(|view| {
        let mut entries = (view.dropped + 1..).zip(view.entries.iter());
        let (seq, entry) = entries.find(|(_, entry)| params["messageId"] == uuid(entry.id))?;
        entry.shown_to(seq, most, release).pop()
    });
    match found {
        Some(message) => json!({"ok": true, "message": message}),
        None => json!({"ok": false, "unavailableReason": "not_found"}),
    }
}

/// The last items of a session, and the run in progress.
fn history(key: &str, session: Option<&Session>, params: &Value, release: Release) -> Value {
    let mut history = json!({"sessionKey": key, "messages": []});
    let Some(session) = session else { return history };
    let view = session.view();
    let entries = (view.dropped + 1..).zip(view.entries.iter());
    let messages: Vec<Value> = entries.flat_map(|(seq, entry)| entry.shown(seq, release)).collect();
    let limit = params["limit"].as_u64().and_then(|limit| usize::try_from(limit).ok());
    let begin = messages.len().saturating_sub(limit.unwrap_or(usize::MAX));
    history["messages"] = json!(messages[begin..]);
    if let Some(run) = session.in_flight() {
        history["inFlightRun"] = json!({"runId": run, "text": "", "sessionAbortable": true});
    }
    history
}
