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

/// The first request; it authenticates the connection.
pub fn connect(id: u32, token: Option<&str>) -> String {
    let mut params = json!({
        "minProtocol": PROTOCOL_MIN, "maxProtocol": PROTOCOL_MAX, "role": "operator", "scopes": SCOPES,
        "client": {
            "id": CLIENT, "mode": MODE, "version": env!("CARGO_PKG_VERSION"), "platform": "rust",
        },
    });
    if let Some(token) = token {
        params["auth"] = json!({"token": token});
    }
    request(id, "connect", &params)
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

/// A message of the gateway.
#[derive(Debug)]
pub enum Heard<'a> {
    /// The gateway's first message.
    Challenge,
    /// Any other event.
    Event,
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
        // Includes kinds that later releases may add.
        _ => Some(Heard::Event),
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
