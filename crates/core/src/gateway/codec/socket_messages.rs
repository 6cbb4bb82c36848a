//! The messages of the gateway's WebSocket: one JSON object each (spec §11.4). The gateway sends first. Then
//! it answers requests by their id, with events of all kinds in between.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::gateway::history::{Item, read_item};

/// The protocols of 2026.5.7 and of 2026.9.6. A gateway that wants another one reports it and closes.
const PROTOCOL_MIN: u32 = 3;
const PROTOCOL_MAX: u32 = 4;

/// Our client id, one of a closed list.
const CLIENT: &str = "gateway-client";
const MODE: &str = "backend";

/// The requested permissions: to read sessions, and to abort runs. A client that requests none gets none.
const SCOPES: [&str; 2] = ["operator.read", "operator.write"];

/// The most characters of a text to request. The gateway refuses a larger number.
const CHARS_MAX: u32 = 2_000_000;

/// The capability of a client that wants events of its subscribed sessions only. Releases before 2026.9 ignore it.
const SCOPED_EVENTS: &str = "session-scoped-events";

/// The first request; it authenticates the connection.
pub fn connect(id: u32, token: Option<&str>) -> String {
    request(id, "connect", &connect_params(token))
}

/// Like [`connect`], for a connection that follows sessions.
pub fn connect_following(id: u32, token: Option<&str>) -> String {
    let mut params = connect_params(token);
    params["caps"] = json!([SCOPED_EVENTS]);
    request(id, "connect", &params)
}

fn connect_params(token: Option<&str>) -> Value {
    let mut params = json!({
        "minProtocol": PROTOCOL_MIN, "maxProtocol": PROTOCOL_MAX, "role": "operator", "scopes": SCOPES,
        "client": {
            "id": CLIENT, "mode": MODE, "version": env!("CARGO_PKG_VERSION"), "platform": "rust",
        },
    });
    if let Some(token) = token {
        params["auth"] = json!({"token": token});
    }
    params
}

/// Reads the uptime of the gateway's process from its answer to [`connect`], where it is shown (spec §11.2).
pub fn read_uptime(hello: &RawValue) -> Option<Duration> {
    #[derive(Deserialize)]
    struct Hello {
        snapshot: Snapshot,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Snapshot {
        uptime_ms: u64,
    }
    let hello: Hello = serde_json::from_str(hello.get()).ok()?;
    Some(Duration::from_millis(hello.snapshot.uptime_ms))
}

/// A request.
pub fn request(id: u32, method: &str, params: &Value) -> String {
    json!({"type": "req", "id": id.to_string(), "method": method, "params": params}).to_string()
}

/// The parameters that request a whole item of a session.
pub fn message_params(session: &str, item: &str) -> Value {
    json!({"sessionKey": session, "messageId": item, "maxChars": CHARS_MAX})
}

/// The parameters that abort a run; without an id, any run of the session.
pub fn abort_params(session: &str, run: Option<&str>) -> Value {
    let mut params = json!({"key": session});
    if let Some(run) = run {
        params["runId"] = json!(run);
    }
    params
}

/// The parameters that request the last items of a session.
pub fn history_params(session: &str, limit: u32) -> Value {
    json!({"sessionKey": session, "limit": limit})
}

/// The parameters that request the active run of a session.
pub fn in_flight_params(session: &str) -> Value {
    json!({"sessionKey": session, "limit": 1})
}

/// The parameters that begin or end the subscription to a session's events.
pub fn subscription_params(session: &str) -> Value {
    json!({"key": session})
}

/// The canonical name of a session whose subscription the gateway has accepted. Its events carry this name.
pub fn read_subscribed(payload: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Subscription {
        #[serde(default)]
        subscribed: bool,
        key: String,
    }
    let answer: Subscription = serde_json::from_str(payload.get()).ok()?;
    answer.subscribed.then_some(answer.key)
}

/// An event that shows progress in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSign {
    session: String,
    run: Option<String>,
}

impl SessionSign {
    /// Whether the sign may come from this run of this session. Items of older releases do not name their run, and the user's
    /// item never does.
    pub fn is_of(&self, session: &str, run: Option<&str>) -> bool {
        let other_run = self.run.as_deref().zip(run).is_some_and(|(sign, run)| sign != run);
        self.session.eq_ignore_ascii_case(session) && !other_run
    }
}

/// The events that show progress: an item of the transcript, a tool at work, and a step of a run.
const SIGNS: [&str; 3] = ["session.message", "session.tool", "agent"];

/// The sign in an event; none in events of other kinds.
pub fn read_sign(event: &str, payload: &RawValue) -> Option<SessionSign> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct SignPayload {
        session_key: String,
        #[serde(default)]
        run_id: Option<String>,
    }
    if !SIGNS.contains(&event) {
        return None;
    }
    let progress: SignPayload = serde_json::from_str(payload.get()).ok()?;
    Some(SessionSign { session: progress.session_key, run: progress.run_id })
}

/// A message of the gateway.
#[derive(Debug)]
pub enum Heard<'a> {
    /// The gateway's first message.
    Challenge,
    /// Any other event.
    Event {
        /// Its kind; empty for a kind of message that later releases may add.
        name: Cow<'a, str>,
        /// Its content.
        payload: &'a RawValue,
    },
    /// The answer to a request.
    Answer {
        /// The id of the request.
        id: Cow<'a, str>,
        /// The payload, or the gateway's reason for refusing.
        result: Result<&'a RawValue, String>,
    },
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    event: Option<Cow<'a, str>>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(default)]
    ok: bool,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
    error: Option<RefusedRequest>,
}

#[derive(Deserialize)]
struct RefusedRequest {
    #[serde(default)]
    message: String,
}

/// Parses a message; `None` if it is not one of the gateway's.
pub fn parse_message(text: &str) -> Option<Heard<'_>> {
    let frame: Frame<'_> = serde_json::from_str(text).ok()?;
    match frame.kind.as_ref() {
        "event" if frame.event.as_deref() == Some("connect.challenge") => Some(Heard::Challenge),
        "res" => {
            let result = match (frame.ok, frame.payload) {
                (true, payload) => Ok(payload.unwrap_or(RawValue::NULL)),
                (false, _) => Err(frame.error.map_or_else(String::new, |error| error.message)),
            };
            Some(Heard::Answer { id: frame.id?, result })
        }
        _ => Some(Heard::Event {
            name: frame.event.unwrap_or_default(),
            payload: frame.payload.unwrap_or(RawValue::NULL),
        }),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    ok: bool,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    unavailable_reason: Option<Cow<'a, str>>,
}

/// The whole item, or why there is none.
pub fn read_message(payload: &RawValue) -> Result<Item, String> {
    let not_understood = || "its answer could not be understood".to_owned();
    let answer: Shown<'_> = serde_json::from_str(payload.get()).map_err(|_| not_understood())?;
    match (answer.ok, answer.message) {
        (true, Some(message)) => Ok(read_item(message)),
        (true, None) => Err(not_understood()),
        (false, _) => Err(answer.unavailable_reason.unwrap_or_default().into_owned()),
    }
}

/// Whether a run was aborted.
pub fn read_aborted(payload: &RawValue) -> Option<bool> {
    #[derive(Deserialize)]
    struct Aborted<'a> {
        #[serde(borrow)]
        status: Cow<'a, str>,
    }
    let aborted: Aborted<'_> = serde_json::from_str(payload.get()).ok()?;
    match aborted.status.as_ref() {
        "aborted" => Some(true),
        "no-active-run" => Some(false),
        _ => None,
    }
}

/// The active run of a session.
pub fn read_in_flight(payload: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Session {
        in_flight_run: Option<InFlightRun>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct InFlightRun {
        run_id: String,
    }
    let session: Session = serde_json::from_str(payload.get()).ok()?;
    session.in_flight_run.map(|run| run.run_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(message: &Value) -> Option<SessionSign> {
        match parse_message(&message.to_string()).unwrap() {
            Heard::Event { name, payload } => read_sign(&name, payload),
            other => panic!("{other:?}"),
        }
    }

    /// Spec §12.4: items, tools and runs are signs. Whatever else the gateway tells, it does not show progress of a run.
    #[test]
    fn only_progress_in_a_session_is_a_sign() {
        let event =
            |event: &str, payload: Value| json!({"type": "event", "event": event, "payload": payload});
        let ours = json!({"sessionKey": "agent:qa:one", "runId": "resp_1", "message": {"role": "assistant"}});
        for name in ["session.message", "session.tool", "agent"] {
            let sign = sign(&event(name, ours.clone())).unwrap();
            for (session, run, expected) in [
                ("agent:qa:one", Some("resp_1"), true),
                ("Agent:QA:one", Some("resp_1"), true),
                ("agent:qa:one", None, true),
                ("agent:qa:one", Some("resp_2"), false),
                ("agent:qa:two", Some("resp_1"), false),
            ] {
                assert_eq!(sign.is_of(session, run), expected, "{name} {session} {run:?}");
            }
        }
        let nameless = sign(&event("session.message", json!({"sessionKey": "agent:qa:one"}))).unwrap();
        assert!(nameless.is_of("agent:qa:one", Some("resp_2")));
        for other in [
            event("tick", json!({"ts": 1})),
            event("sessions.changed", ours.clone()),
            event("health", ours),
            event("agent", json!({"runId": "resp_1"})),
            json!({"type": "event", "event": "session.message"}),
            json!({"type": "news"}),
        ] {
            assert_eq!(sign(&other), None, "{other}");
        }
    }

    #[test]
    fn only_an_accepted_subscription_has_a_name() {
        let read = |payload: Value| read_subscribed(&serde_json::value::to_raw_value(&payload).unwrap());
        let key = "agent:qa:one";
        assert_eq!(read(json!({"subscribed": true, "key": key})).as_deref(), Some(key));
        assert_eq!(read(json!({"subscribed": false, "key": key})), None);
        assert_eq!(read(json!({"ok": true})), None);
    }
}
