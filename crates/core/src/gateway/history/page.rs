//! Reads what a gateway shows of a session, leniently: an item of an unknown shape is kept as an empty one.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Status;
use crate::gateway::gateway_texts::{failure_in, why_failed};
use crate::gateway::{ToolCall, Usage, Why};
use mcr_model::clock::Millis;
use mcr_model::json;

/// The end of a text that the history has cut (spec §11.1, 6): over HTTP, and by the tool.
const CUTS: [&str; 2] = ["...(truncated)...", "…(truncated)…"];

/// The result of a call that was delegated to the client (spec §5).
const DELEGATED: &str = "Tool execution delegated to client";

/// The models that a gateway names for its own messages.
const INJECTED: [&str; 2] = ["gateway-injected", "delivery-mirror"];

/// The beginning of a turn that the gateway resumed by itself (spec §11.3).
const RESUMED: &str = "[System]";

/// Some items of a session, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The items.
    pub items: Vec<Item>,
    /// The cursor of the next older page, if there is one.
    pub older: Option<String>,
    /// The session, if the gateway names it.
    pub session: Option<String>,
    /// The gateway has left out older items, and shows them on no page.
    pub dropped: bool,
}

/// One item of a session.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Item {
    /// The gateway's id of the item.
    pub id: Option<String>,
    /// The author.
    pub role: Role,
    /// The text.
    pub text: String,
    /// Not all of the item is shown.
    pub cut: bool,
    /// The agent's calls, under the model's own ids.
    pub calls: Vec<ToolCall>,
    /// The call whose result this item is.
    pub call: Option<String>,
    /// Why the model stopped.
    pub stop: Option<Stop>,
    /// The run that wrote the item.
    pub run: Option<String>,
    /// The idempotency key under which the gateway wrote the item.
    pub key: Option<String>,
    /// The item's number in the session.
    pub seq: u64,
    /// The cost of its model call.
    pub usage: Option<Usage>,
    /// Why its model call failed, in the provider's words.
    pub error: Option<String>,
    /// The interface over which the model was called.
    pub api: Option<String>,
    /// The model of that call, with its provider: `anthropic/claude-sonnet-5`.
    pub model: Option<String>,
}

/// The author of an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// The sender of messages to the agent.
    User,
    /// The agent.
    Assistant,
    /// A tool.
    ToolResult,
    /// Any other author.
    #[default]
    Other,
}

/// Why a model stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The text was complete.
    Whole,
    /// At its output limit.
    Length,
    /// To wait for tool results.
    ToolUse,
    /// Its provider failed.
    Error,
    /// A person or a time limit aborted it.
    Aborted,
}

impl Item {
    /// The id of the run if this item begins a turn that the gateway resumed by itself (spec §11.3).
    pub(super) fn resumption(&self) -> Option<&str> {
        let is_one = self.role == Role::User
            && self.text.starts_with(RESUMED)
            && self.text.contains("interrupted by a gateway restart");
        is_one.then(|| self.key.as_deref().and_then(|key| key.strip_suffix(":user")).unwrap_or_default())
    }

    /// Whether the gateway wrote the item in the agent's name. `after_failure`: a model call of the run has failed before.
    ///
    /// A gateway writes its error message without a model call: by the interface of its command line, and without tokens
    /// (measured on 2026.7.1). Real agents may use that interface too.
    pub(super) fn is_gateways(&self, after_failure: bool) -> bool {
        let injected = self
            .model
            .as_deref()
            .is_some_and(|model| INJECTED.iter().any(|name| model.rsplit('/').next() == Some(name)));
        let wrote_nothing = self.usage.is_none_or(|usage| usage.output_tokens == 0);
        let without_call = self.api.as_deref() == Some("cli") && wrote_nothing;
        injected || without_call && (after_failure || failure_in(&self.text).is_some())
    }

    /// Why the model call of this item failed.
    pub(super) fn why_failed(&self) -> Why {
        why_failed(self.error.as_deref().unwrap_or(&self.text))
    }

    pub(super) fn has_key(&self, end: &str) -> bool {
        self.key.as_deref().is_some_and(|key| key.ends_with(end))
    }

    pub(super) fn is_delegated(&self) -> bool {
        self.role == Role::ToolResult && self.text.contains(DELEGATED)
    }
}

#[derive(Deserialize)]
struct PageBody<'a> {
    #[serde(rename = "sessionKey", borrow)]
    session: Option<Cow<'a, str>>,
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
    #[serde(rename = "hasMore", default)]
    has_more: bool,
    #[serde(rename = "nextCursor", borrow)]
    next: Option<Cow<'a, str>>,
}

/// The body of `GET /sessions/{key}/history`; `None` if it is something else.
pub fn read(body: &[u8]) -> Option<Page> {
    let body = json::bytes(body);
    let body: PageBody<'_> = serde_json::from_slice(&body).ok()?;
    let items = body.items?.into_iter().map(read_item).collect();
    let older = body.next.filter(|_| body.has_more).map(Cow::into_owned);
    Some(Page { items, older, session: body.session.map(Cow::into_owned), dropped: false })
}

/// The answer of `chat.history` over the WebSocket (spec §12.3); it has no cursor.
pub fn read_socket(payload: &RawValue) -> Option<Page> {
    #[derive(Deserialize)]
    struct ShownItems<'a> {
        #[serde(borrow)]
        messages: Vec<&'a RawValue>,
    }
    let answer: ShownItems<'_> = serde_json::from_str(payload.get()).ok()?;
    Some(Page { items: answer.messages.into_iter().map(read_item).collect(), ..Page::default() })
}

/// The session that a gateway does not find, by its answer with status 404; `None` if the answer is not the gateway's.
pub fn read_not_found(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct NotFoundBody {
        error: NotFound,
    }
    #[derive(Deserialize)]
    struct NotFound {
        #[serde(rename = "type")]
        kind: String,
        message: String,
    }
    let body = json::bytes(body);
    let answer: NotFoundBody = serde_json::from_slice(&body).ok()?;
    let session = answer.error.message.strip_prefix("Session not found: ")?;
    (answer.error.kind == "not_found").then(|| session.to_owned())
}

#[derive(Deserialize)]
struct Invoked<'a> {
    #[serde(borrow)]
    result: ToolResultDetails<'a>,
}

#[derive(Deserialize)]
struct ToolResultDetails<'a> {
    #[serde(borrow)]
    details: Details<'a>,
}

#[derive(Deserialize)]
struct Details<'a> {
    #[serde(borrow)]
    messages: Option<Vec<&'a RawValue>>,
    sessions: Option<Vec<Value>>,
    #[serde(borrow)]
    status: Option<Cow<'a, str>>,
    #[serde(rename = "droppedMessages", default)]
    dropped: bool,
}

/// The answer of the tool `sessions_history` (spec §11.4); it has no cursor.
pub fn read_tool(body: &[u8]) -> Option<Page> {
    let body = json::bytes(body);
    let details = serde_json::from_slice::<Invoked<'_>>(&body).ok()?.result.details;
    // For a session that does not exist the tool reports an error; such a session has no items.
    let unknown = details.status.as_deref() == Some("error");
    let messages = details.messages.or_else(|| unknown.then(Vec::new))?;
    let items = messages.into_iter().map(read_item).collect();
    Some(Page { items, dropped: details.dropped, ..Page::default() })
}

/// What the tool `sessions_list` reports of one session (spec §11.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The state of its last run; old releases do not report it.
    pub status: Option<Status>,
    /// When the session last changed, by the gateway's clock: at the beginning and the end of each turn.
    touched: Touched,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Touched {
    /// Not since this instant; `None` means never.
    Before(Option<Millis>),
    Unknown,
}

/// The assumed difference between our clock and the gateway's, in milliseconds.
const CLOCKS_DIFFER: i64 = 60_000;

impl Listed {
    /// Whether certainly no turn has begun in the session since this instant of our clock.
    pub fn untouched_since(self, sent: Millis) -> bool {
        match self.touched {
            Touched::Before(None) => true,
            Touched::Before(Some(at)) => at.0.saturating_add(CLOCKS_DIFFER) < sent.0,
            Touched::Unknown => false,
        }
    }
}

/// What a list of at most `limit` sessions shows of one of them; `None` if the body is no list.
pub fn read_listed(body: &[u8], session: &str, limit: usize) -> Option<Listed> {
    let body = json::bytes(body);
    let body: Invoked<'_> = serde_json::from_slice(&body).ok()?;
    let rows = body.result.details.sessions?;
    let updated = |row: &Value| row.get("updatedAt").and_then(Value::as_i64).map(Millis);
    let order = |row: &Value| updated(row).unwrap_or(Millis(i64::MAX));
    let is_it = |row: &&Value| text_at(row, "key").is_some_and(|key| key.eq_ignore_ascii_case(session));
    let Some(row) = rows.iter().find(is_it) else {
        // A list that was cut holds the most recently changed sessions, the latest first.
        let touched = if rows.len() < limit {
            Touched::Before(None)
        } else if rows.is_sorted_by(|one, next| order(one) >= order(next)) {
            rows.last().and_then(updated).map_or(Touched::Unknown, |at| Touched::Before(Some(at)))
        } else {
            Touched::Unknown
        };
        return Some(Listed { status: None, touched });
    };
    let touched = updated(row).map_or(Touched::Unknown, |at| Touched::Before(Some(at)));
    Some(Listed { status: read_status(row), touched })
}

fn read_status(row: &Value) -> Option<Status> {
    match text_at(row, "status")? {
        // While a run is queued, the history shows nothing of it yet (measured).
        "running" | "queued" => Some(Status::Running),
        "done" => Some(Status::Done),
        "killed" => Some(Status::Killed),
        "failed" => Some(Status::Failed),
        "timeout" => Some(Status::Timeout),
        _ => None,
    }
}

fn text_at<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}

/// A single item.
pub fn read_item(raw: &RawValue) -> Item {
    let value: Value = serde_json::from_str(raw.get()).unwrap_or_else(|_| undecodable(raw));
    let about = value.get("__openclaw").unwrap_or(&Value::Null);
    let content = value.get("content").unwrap_or(&Value::Null);
    let text = text_of(content);
    let is_true = |value: Option<&Value>| value == Some(&Value::Bool(true));
    let calls = calls_in(content);
    let cut = is_true(about.get("truncated"))
        || is_true(value.get("contentTruncated"))
        || uncut(&text) != text
        || calls.iter().any(ToolCall::is_incomplete);
    Item {
        id: text_at(about, "id").map(str::to_owned),
        role: match text_at(&value, "role") {
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some("toolResult") => Role::ToolResult,
            _ => Role::Other,
        },
        cut,
        calls,
        call: text_at(&value, "toolCallId").map(str::to_owned),
        stop: match text_at(&value, "stopReason") {
            Some("length") => Some(Stop::Length),
            Some("toolUse") => Some(Stop::ToolUse),
            Some("error") => Some(Stop::Error),
            Some("aborted") => Some(Stop::Aborted),
            Some(_) => Some(Stop::Whole),
            None => None,
        },
        run: text_at(about, "runId").map(str::to_owned),
        key: text_at(&value, "idempotencyKey")
            .or_else(|| text_at(about, "idempotencyKey"))
            .map(str::to_owned),
        seq: about.get("seq").and_then(Value::as_u64).unwrap_or_default(),
        usage: value.get("usage").map(usage),
        error: text_at(&value, "errorMessage").map(str::to_owned),
        api: text_at(&value, "api").map(str::to_owned),
        model: text_at(&value, "model").map(|model| match text_at(&value, "provider") {
            Some(provider) => format!("{provider}/{model}"),
            None => model.to_owned(),
        }),
        text,
    }
}

/// A substitute for an item that cannot be decoded: nested too deeply, or with a number out of range. It
/// keeps author and position and counts as cut, so an answer in it is known to exist.
fn undecodable(raw: &RawValue) -> Value {
    #[derive(Default, Deserialize, Serialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Head {
        role: Option<String>,
        stop_reason: Option<String>,
        idempotency_key: Option<String>,
        #[serde(rename = "__openclaw")]
        about: About,
    }
    #[derive(Default, Deserialize, Serialize)]
    #[serde(default, rename_all = "camelCase")]
    struct About {
        id: Option<String>,
        run_id: Option<String>,
        seq: u64,
    }
    let head: Head = serde_json::from_str(raw.get()).unwrap_or_default();
    let mut item = json!(head);
    item["content"] = json!(CUTS[0]);
    item
}

/// A text without the end that replaces what the history has cut.
pub(super) fn uncut(text: &str) -> &str {
    CUTS.iter().find_map(|cut| text.strip_suffix(cut)).unwrap_or(text)
}

fn text_of(content: &Value) -> String {
    if let Some(text) = content.as_str() {
        return text.to_owned();
    }
    let parts = content.as_array().into_iter().flatten();
    let texts =
        parts.filter(|part| matches!(text_at(part, "type"), Some("text" | "output_text" | "input_text")));
    texts.filter_map(|part| text_at(part, "text")).collect()
}

fn calls_in(content: &Value) -> Vec<ToolCall> {
    let parts = content.as_array().into_iter().flatten();
    let calls = parts.filter(|part| text_at(part, "type") == Some("toolCall"));
    let call = |part: &Value| {
        let arguments = match part.get("arguments") {
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => "{}".to_owned(),
        };
        // With a part of its arguments it would be another call.
        let is_cut = CUTS.iter().any(|cut| arguments.contains(cut));
        let arguments = if is_cut { ToolCall::INCOMPLETE.to_owned() } else { arguments };
        Some(ToolCall {
            call_id: text_at(part, "id")?.to_owned(),
            name: text_at(part, "name")?.to_owned(),
            arguments,
        })
    };
    calls.filter_map(call).collect()
}

fn usage(usage: &Value) -> Usage {
    let of = |name: &str| usage.get(name).and_then(Value::as_u64).unwrap_or_default();
    let input = of("input").saturating_add(of("cacheRead")).saturating_add(of("cacheWrite"));
    let dollars = usage.get("cost").and_then(|cost| cost.get("total")).and_then(Value::as_f64);
    Usage { input_tokens: input, output_tokens: of("output"), nano_dollars: Usage::nanos(dollars) }
}
