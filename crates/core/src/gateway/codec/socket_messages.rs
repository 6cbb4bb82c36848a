//! What is said over the gateway's WebSocket: one JSON object in each message (spec §11.4). The gateway speaks first; then
//! requests are answered by their number, with events of all kinds in between.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::gateway::history::{Item, read_item};

/// The protocol of 2026.9.6. A gateway that wants another one says so and closes.
const PROTOCOL: u32 = 4;

/// Who we are: the list of ids is closed.
const CLIENT: &str = "gateway-client";
const MODE: &str = "backend";

/// What we want to be allowed: to read sessions, and to end runs. Whoever asks for nothing is allowed nothing.
const SCOPES: [&str; 2] = ["operator.read", "operator.write"];

/// The most characters of a text that the gateway is asked for: more it does not take for an answer.
const CHARS_MAX: u32 = 2_000_000;

/// The first request, with which we are let in.
pub fn connect(id: u32, token: Option<&str>) -> String {
    let mut params = json!({
        "minProtocol": PROTOCOL, "maxProtocol": PROTOCOL, "role": "operator", "scopes": SCOPES,
        "client": {
            "id": CLIENT, "mode": MODE, "version": env!("CARGO_PKG_VERSION"), "platform": "rust",
        },
    });
    if let Some(token) = token {
        params["auth"] = json!({"token": token});
    }
    request(id, "connect", &params)
}

/// A request.
pub fn request(id: u32, method: &str, params: &Value) -> String {
    json!({"type": "req", "id": id.to_string(), "method": method, "params": params}).to_string()
}

/// What asks for a whole item of a session.
pub fn message_params(session: &str, item: &str) -> Value {
    json!({"sessionKey": session, "messageId": item, "maxChars": CHARS_MAX})
}

/// What ends a run; without its id whatever runs in the session.
pub fn abort_params(session: &str, run: Option<&str>) -> Value {
    let mut params = json!({"key": session});
    if let Some(run) = run {
        params["runId"] = json!(run);
    }
    params
}

/// What asks which run is under way in a session.
pub fn in_flight_params(session: &str) -> Value {
    json!({"sessionKey": session, "limit": 1})
}

/// A message of the gateway.
#[derive(Debug)]
pub enum Heard<'a> {
    /// It has spoken first.
    Challenge,
    /// It tells of something else.
    Event,
    /// The answer to a request: what it brought, or why not.
    Answer {
        /// The id of the request.
        id: Cow<'a, str>,
        /// What it brought.
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

/// Reads a message; nothing if it is none of the gateway's.
pub fn hear(text: &str) -> Option<Heard<'_>> {
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
        // Or of a kind that a later release may have.
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
    let not_understood = || "its answer is not understood".to_owned();
    let answer: Shown<'_> = serde_json::from_str(payload.get()).map_err(|_| not_understood())?;
    match (answer.ok, answer.message) {
        (true, Some(message)) => Ok(read_item(message)),
        (true, None) => Err(not_understood()),
        (false, _) => Err(answer.unavailable_reason.unwrap_or_default().into_owned()),
    }
}

/// Whether a run was ended.
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

/// The run that is under way in a session.
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
