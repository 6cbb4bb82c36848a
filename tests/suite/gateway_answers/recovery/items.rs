//! Items of a session, as the real gateway shows them, shortened.

use serde_json::{Value, json};

use super::RESUMED;

pub(super) fn user(text: &str) -> Value {
    json!({"role": "user", "content": text, "timestamp": 1, "idempotencyKey": "u-1:user", "__openclaw": {"id": "u-1"}})
}

pub(super) fn ours() -> Value {
    user("[n-101 try 2] Notification (mention): you were mentioned.")
}

pub(super) fn older() -> Value {
    user("[n-100 try 1] Notification (mention): you were mentioned.")
}

pub(super) fn assistant(run: &str, stop: &str, content: &Value) -> Value {
    json!({"role": "assistant", "content": content, "stopReason": stop,
        "usage": {"input": 100, "output": 7, "cacheRead": 10, "cacheWrite": 1, "totalTokens": 118,
            "cost": {"input": 0.0001, "output": 0.000_025, "cacheRead": 0, "cacheWrite": 0, "total": 0.000_125}},
        "__openclaw": {"runId": run, "id": "a-1"}})
}

pub(super) fn said(run: &str, text: &str) -> Value {
    assistant(run, "stop", &json!([{"type": "text", "text": text}]))
}

/// The item as releases show it that name no run.
pub(super) fn unnamed(mut item: Value) -> Value {
    item["__openclaw"].as_object_mut().unwrap().remove("runId");
    item
}

pub(super) fn empty(run: &str) -> Value {
    assistant(run, "stop", &json!([]))
}

pub(super) fn calls(run: &str, ids: &[&str]) -> Value {
    let call = |id: &&str| json!({"type": "toolCall", "id": id, "name": "task_status", "arguments": {"taskId": "t-1"}});
    assistant(run, "toolUse", &ids.iter().map(call).collect())
}

pub(super) fn result(run: &str, id: &str, text: &str) -> Value {
    json!({"role": "toolResult", "toolCallId": id, "toolName": "task_status", "isError": false,
        "content": [{"type": "text", "text": text}], "__openclaw": {"runId": run}})
}

pub(super) fn pending(run: &str, id: &str) -> Value {
    result(run, id, "{\n \"status\": \"pending\",\n \"message\": \"Tool execution delegated to client\"}")
}

pub(super) fn error(run: &str) -> Value {
    let mut item =
        assistant(run, "error", &json!([{"type": "text", "text": "⚠️ LLM request failed (HTTP 400)."}]));
    item["idempotencyKey"] = json!(format!("{run}:terminal-error"));
    item
}

pub(super) fn system() -> Value {
    json!({"role": "user", "content": "[System] Your previous turn was interrupted by a gateway restart. Continue.",
        "idempotencyKey": format!("{RESUMED}:user"), "__openclaw": {"id": RESUMED}})
}

pub(super) fn notice() -> Value {
    let mut item =
        said(RESUMED, "I couldn't continue this session after a gateway restart. Please ask again.");
    item["idempotencyKey"] = json!(format!("{RESUMED}:failed-notice"));
    item
}

/// The body, with numbered items.
pub(super) fn body(items: &[Value]) -> Vec<u8> {
    let mut items = items.to_vec();
    for (seq, item) in (1..).zip(&mut items) {
        item["__openclaw"]["seq"] = json!(seq);
    }
    json!({"sessionKey": "agent:qa:x", "items": items, "messages": items, "hasMore": false})
        .to_string()
        .into_bytes()
}
