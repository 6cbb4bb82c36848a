//! `POST /tools/invoke`: the two session tools, if the configuration allows them (openclaw-gateway §11.4).

use std::cmp::Reverse;
use std::sync::Arc;

use serde_json::{Value, json};

use super::answer::{body, refusal};
use super::probes::not_allowed;
use super::sessions::{Session, SessionView};
use super::transcript::Item;
use super::turn_request::session_named;
use super::{Inner, Phase, Release, draining};
use mcr_http::message::{Method, Reply, Request};

/// The path of the endpoint.
pub(super) const PATH: &str = "/tools/invoke";
/// The maximum length of a text in a tool result.
const SHOWN_CHARS: usize = 4_000;
/// The maximum length of the messages in a tool result.
const SHOWN_BYTES: usize = 80 * 1024;

/// Handles the request.
pub(super) fn answer(inner: &Inner, request: &Request) -> Reply {
    if *request.method() != Method::Post {
        return not_allowed("POST");
    }
    if !inner.is_authorized(request) {
        return refusal(401, "unauthorized", "Unauthorized");
    }
    if inner.phase() == Phase::Draining {
        return draining();
    }
    let asked: Value = serde_json::from_slice(request.body()).unwrap_or_default();
    let tool = asked["tool"].as_str().unwrap_or_default().trim();
    if tool.is_empty() {
        return refusal(400, "invalid_request_error", "tools.invoke requires body.tool");
    }
    if tool == "session_status" {
        return status(inner, asked["sessionKey"].as_str().unwrap_or_default());
    }
    if !inner.options.tools_allowed.iter().any(|allowed| allowed == tool) {
        let error = json!({"type": "not_found", "message": format!("Tool not available: {tool}")});
        return body(404, &json!({"ok": false, "error": error}));
    }
    let limit = asked["args"]["limit"].as_u64().and_then(|limit| usize::try_from(limit).ok());
    let details = match tool {
        "sessions_list" => list(inner, limit.unwrap_or(usize::MAX)),
        _ => history(inner, asked["args"]["sessionKey"].as_str().unwrap_or_default(), limit.unwrap_or(200)),
    };
    let content = json!([{"type": "text", "text": details.to_string()}]);
    body(200, &json!({"ok": true, "result": {"content": content, "details": details}}))
}

/// The state of a session, of which only the first line is played. Every client may ask for it.
fn status(inner: &Inner, key: &str) -> Reply {
    let first = inner.options.agents.first().map_or("main", String::as_str);
    let exists =
        session_named(key, first, &inner.options).is_some_and(|name| inner.sessions.find(&name).is_some());
    let release = inner.options.release;
    if !exists && release < Release::V2026_5_7 {
        let error = json!({"type": "tool_error", "message": "tool execution failed"});
        return body(500, &json!({"ok": false, "error": error}));
    }
    let text = format!("\u{1f99e} OpenClaw {} (2d2ddc4)\nCurrent time: now", release.version());
    body(200, &json!({"ok": true, "result": {"content": [{"type": "text", "text": text}]}}))
}

fn list(inner: &Inner, limit: usize) -> Value {
    let sessions = inner.sessions.all();
    let with_update_time =
        |session: Arc<Session>| (session.view().entries.last().map(|entry| entry.at.0), session);
    let mut sessions: Vec<_> = sessions.into_iter().map(with_update_time).collect();
    // The latest first. A session without entries counts as the latest.
    sessions.sort_by_key(|(updated, _)| Reverse(updated.unwrap_or(i64::MAX)));
    let row = |(updated, session): (Option<i64>, Arc<Session>)| {
        let mut row =
            json!({"key": session.name, "kind": "other", "updatedAt": updated, "abortedLastRun": false});
        if let Some(status) = session.status().filter(|_| inner.options.release.lists_status()) {
            row["status"] = json!(status.word());
        }
        row
    };
    let rows: Vec<Value> = sessions.into_iter().take(limit).map(row).collect();
    json!({"count": rows.len(), "sessions": rows})
}

fn history(inner: &Inner, key: &str, limit: usize) -> Value {
    let first = inner.options.agents.first().map_or("main", String::as_str);
    let session = session_named(key, first, &inner.options).and_then(|name| inner.sessions.find(&name));
    let Some(session) = session else {
        return json!({"status": "error", "error": format!("Session not found: {key}")});
    };
    let view = session.view();
    let shown = if inner.options.release.is_oldest() && is_at_its_first_turn(&view) {
        Vec::new()
    } else {
        shown(inner, &view)
    };
    let messages = &shown[shown.len().saturating_sub(limit)..];
    let (mut kept, mut bytes) = (messages.len(), 0);
    // The latest that fit.
    for (count, message) in messages.iter().rev().enumerate() {
        bytes += message.to_string().len() + 1;
        if bytes > SHOWN_BYTES {
            kept = count;
            break;
        }
    }
    let dropped = kept < messages.len();
    json!({"sessionKey": session.name, "messages": &messages[messages.len() - kept..], "droppedMessages": dropped})
}

/// The old release shows nothing of a first turn until the agent has acted.
fn is_at_its_first_turn(view: &SessionView) -> bool {
    view.entries.iter().all(|entry| matches!(entry.item, Item::User(_)))
}

fn shown(inner: &Inner, view: &SessionView) -> Vec<Value> {
    let entries = (view.dropped + 1..).zip(view.entries.iter());
    let items = entries.flat_map(|(seq, entry)| entry.shown(seq, inner.options.release));
    let cut = items.map(|mut item| {
        let text = match &mut item["content"] {
            Value::Array(parts) => parts.first_mut().and_then(|part| part.get_mut("text")),
            text => Some(text),
        };
        let cut = text.and_then(|text| {
            let end = text.as_str()?.char_indices().nth(SHOWN_CHARS)?.0;
            let shorter = format!("{}\n...(truncated)...", &text.as_str()?[..end]);
            *text = Value::String(shorter);
            Some(())
        });
        if cut.is_some() {
            item["contentTruncated"] = json!(true);
        }
        if let Value::Object(item) = &mut item {
            item.remove("usage");
            if inner.options.release.is_oldest() {
                item.remove("__openclaw");
            }
        }
        item
    });
    cut.collect()
}
