//! Every answer of an OpenClaw gateway, over a socket, and the result for the caller.
//!
//! The rows are those of the measured contract (`§` is its section). Streams are sent as the gateway sends
//! them: chunked, each event as `event:` and `data:`, with `[DONE]` at the end.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mission_control_runtime::clock::Pulse;
use mission_control_runtime::gateway::client::{GatewayEndpoint, GatewayLimits, HttpGateway};
use mission_control_runtime::gateway::{
    Class, Gateway, GatewayError, Input, Progress, Reply, Tool, ToolCall, Turn, Why,
};
use mission_control_runtime::model::{BaseUrl, SessionKey};
use mission_control_runtime::redact::Redactor;
use mission_control_runtime::secret::Secret;
use mission_control_runtime::wire::{Roots, Stop};
use serde_json::{Value, json};

use crate::support::scripted_http::{Move, ScriptedHttp};

/// The request for the gateway's agents.
mod agent_lists;
/// Texts of the gateway that come in place of the agent's.
mod authorship;
/// Connections that break, stall, trickle or never end, and connections that are reused.
mod connections;
/// Both dialects, how they are learnt, and the probe.
mod dialects;
/// The ways to the history, and the version.
mod history_ways;
/// WebSocket peers that are no gateway, or that break, stall, trickle or never end.
mod hostile_sockets;
/// The scripted gateway behind a socket.
mod line;
/// Large answers and the memory they share.
mod memory;
/// The outcome of a turn whose answer was lost.
mod recovery;
/// Refusals in both shapes, and answers of other servers.
mod refusals;
/// Replies: which texts and calls count.
mod replies;
/// The request as sent, and redaction of secrets in answers.
mod requests;

/// The gateway's token in these tests; no text may contain it.
const TOKEN: &str = "gw-t0ken-canary-5f0c99aa77";
const SESSION: &str = "task:T1:agent:engineer:Acc0unt:v1";

/// A timeout that no test should reach, even on a loaded machine.
const PATIENT: Duration = Duration::from_mins(1);

/// The bound for an end that does not wait for [`PATIENT`].
const EARLY: Duration = Duration::from_secs(40);

fn roots() -> &'static Roots {
    static ROOTS: OnceLock<Roots> = OnceLock::new();
    ROOTS.get_or_init(|| Roots::load(None).unwrap())
}

fn endpoint_with(url: &str, limits: GatewayLimits) -> GatewayEndpoint {
    let token = Secret::new(TOKEN);
    let redactor = Arc::new(Redactor::new([&token]));
    GatewayEndpoint::with_limits(BaseUrl::parse(url).unwrap(), Some(token), roots(), redactor, limits)
}

fn client_with(url: &str, limits: GatewayLimits) -> HttpGateway {
    endpoint_with(url, limits).client(&Stop::new())
}

fn client(url: &str) -> HttpGateway {
    client_with(url, GatewayLimits::new(PATIENT))
}

fn tool() -> Tool {
    let parameters = json!({"type": "object", "properties": {"taskId": {"type": "string"}}});
    Tool { name: "task_status", description: "Moves a task.".to_owned(), parameters }
}

/// Sends a message to the engineer, with a tool on offer. Returns the reply and the signs of life.
fn ask(gateway: &HttpGateway) -> (Result<Reply, GatewayError>, Vec<String>) {
    let session = SessionKey::new(SESSION);
    let tool = tool();
    let turn = Turn {
        session: &session,
        agent: "engineer",
        instructions: "Be brief.",
        input: Input::Message("[n-1 try 1] hi"),
        tools: &[&tool],
        pulse: &Pulse::new(),
    };
    let mut signs = Vec::new();
    let reply = gateway.turn(&turn, &mut |sign| {
        signs.push(match sign {
            Progress::TurnAccepted(id) => id.to_owned(),
            Progress::Alive => "alive".to_owned(),
        });
    });
    (reply, signs)
}

/// The result of this behaviour of a server.
fn outcome(bad: Move) -> Result<Reply, GatewayError> {
    let server = ScriptedHttp::start([bad]);
    ask(&client(&server.url())).0
}

#[track_caller]
fn refused(name: &str, bad: Move, class: Class, why: Why) -> GatewayError {
    let error = outcome(bad).expect_err(name);
    assert_eq!((error.class, error.why), (class, why), "{name}: {error:?}");
    for text in [error.to_string(), format!("{error:?}")] {
        assert!(
            !text.contains(TOKEN) && !text.contains("acc0unt") && !text.contains("Acc0unt"),
            "{name}: {text}"
        );
    }
    error
}

const STREAM_HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Bytes as one chunk.
fn chunk(bytes: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

/// Events as text, followed by `[DONE]`.
fn events(events: &[Value]) -> String {
    let lines = events.iter().map(|event| {
        let name = event["type"].as_str().unwrap();
        format!("event: {name}\ndata: {event}\n\n")
    });
    lines.collect::<String>() + "data: [DONE]\n\n"
}

/// A whole answer with these events.
fn stream(list: &[Value]) -> Vec<u8> {
    let mut bytes = STREAM_HEAD.as_bytes().to_vec();
    bytes.extend(chunk(events(list).as_bytes()));
    bytes.extend(b"0\r\n\r\n");
    bytes
}

fn response(status: &str, output: &Value) -> Value {
    json!({"id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": "openclaw/engineer",
        "output": output, "usage": {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}})
}

fn created() -> Value {
    json!({"type": "response.created", "response": response("in_progress", &json!([]))})
}

fn message(text: &str) -> Value {
    json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "phase": "final_answer",
        "content": [{"type": "output_text", "text": text}]})
}

fn function_call(call_id: &str, arguments: &Value) -> Value {
    json!({"type": "function_call", "id": "call_1", "call_id": call_id, "name": "task_status",
        "arguments": arguments})
}

fn delta(text: &str) -> Value {
    json!({"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "delta": text})
}

fn done(item: &Value) -> Value {
    json!({"type": "response.output_item.done", "output_index": 0, "item": item})
}

/// The events of a reply, as the gateway sends them.
fn replying(status: &str, output: &[Value]) -> Vec<Value> {
    let mut list = vec![created(), delta("h"), delta("i")];
    list.extend(output.iter().map(done));
    list.push(json!({"type": format!("response.{status}"), "response": response(status, &json!(output))}));
    list
}

fn said(text: &str) -> Vec<u8> {
    stream(&replying("completed", &[message(text)]))
}

fn call(call_id: &str, arguments: &str) -> ToolCall {
    ToolCall { call_id: call_id.to_owned(), name: "task_status".to_owned(), arguments: arguments.to_owned() }
}
