//! The transcript of a session, and how `GET /sessions/{key}/history` shows it (openclaw-gateway §11.3).

use serde_json::{Value, json};

use super::ids::uuid;
use super::release::{ErrorForm, Release};
use super::scripted_model::Tokens;
use mcr_model::clock::Millis;

/// The maximum length of a text in the history.
const SHOWN_CHARS: usize = 8_000;
/// The reply of an agent that has nothing to say. The history hides it.
pub(super) const SILENT_REPLY: &str = "NO_REPLY";
/// The reply to a heartbeat without news. Releases before 2026.8 hide it, too.
const HEARTBEAT_REPLY: &str = "HEARTBEAT_OK";

/// One item of a session.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its id.
    pub id: u128,
    /// When it was written.
    pub at: Millis,
    /// Its contents.
    pub item: Item,
}

/// Why the model stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The answer is complete.
    Stop,
    /// The model waits for the results of its calls.
    ToolUse,
    /// The answer reached the limit on its tokens.
    Length,
    /// The provider failed.
    Error,
    /// The run was ended.
    Aborted,
}

impl StopReason {
    /// Its value in the history.
    fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::ToolUse => "toolUse",
            Self::Length => "length",
            Self::Error => "error",
            Self::Aborted => "aborted",
        }
    }
}

/// The contents of an entry.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// The client's input as one text.
    User(String),
    /// An action of the agent.
    Assistant {
        /// Its run.
        run: String,
        /// The agent's text, possibly empty.
        text: String,
        /// The agent's calls: the model's call id, the tool, the arguments.
        calls: Vec<(String, String, String)>,
        /// Why the model stopped.
        stop: StopReason,
        /// The reported usage of its model call.
        usage: Tokens,
    },
    /// A message of the gateway itself, in the agent's name.
    Notice(String),
    /// The result of a call inside the gateway.
    ToolResult {
        /// Its run.
        run: String,
        /// The model's call id.
        call: String,
        /// The tool.
        tool: String,
        /// The result.
        text: String,
        /// Whether the result is an error.
        error: bool,
    },
}

impl Entry {
    /// The entry as the history shows it. A text before calls is an item of its own with the same number.
    pub(super) fn shown(&self, seq: u64, release: Release) -> Vec<Value> {
        self.shown_to(seq, SHOWN_CHARS, release)
    }

    /// [`Entry::shown`] with this many characters of each text.
    pub(super) fn shown_to(&self, seq: u64, chars: usize, release: Release) -> Vec<Value> {
        if self.is_hidden(release) {
            return Vec::new();
        }
        let mut items = self.shown_by_newest(seq, chars);
        for item in &mut items {
            as_shown_by(release, item);
        }
        items
    }

    fn shown_by_newest(&self, seq: u64, chars: usize) -> Vec<Value> {
        let id = uuid(self.id);
        let at = self.at.0;
        let mut about = json!({"id": id, "seq": seq, "recordTimestampMs": at});
        match &self.item {
            Item::User(text) => {
                let key = format!("{id}:user");
                let (text, cut) = cut(text, chars);
                about["senderIsOwner"] = json!(true);
                about["idempotencyKey"] = json!(key);
                mark(&mut about, cut);
                let item = json!({"role": "user", "content": text, "timestamp": at, "idempotencyKey": key, "__openclaw": about});
                vec![item]
            }
            Item::Assistant { run, text, calls, stop, usage } => {
                about["runId"] = json!(run);
                let (text, cut) = cut(text, chars);
                mark(&mut about, cut);
                let words = (!text.is_empty()).then(|| json!([{"type": "text", "text": text}]));
                #[expect(clippy::cast_precision_loss, reason = "amounts of tests are small")]
                let dollars = usage.nano_dollars as f64 / 1e9;
                let usage = json!({"input": usage.read, "output": usage.written, "cacheRead": 0, "cacheWrite": 0,
                    "totalTokens": usage.all(),
                    "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0, "total": dollars}});
                let mut item = json!({"role": "assistant", "content": [], "api": "openai-completions", "provider": "scripted",
                    "model": "scripted-1", "usage": usage, "stopReason": stop.word(), "timestamp": at, "responseId": format!("chatcmpl-{id}"),
                    "__openclaw": about});
                if *stop == StopReason::Error {
                    item["idempotencyKey"] = json!(format!("{run}:terminal-error"));
                    item["__openclaw"]["idempotencyKey"] = item["idempotencyKey"].clone();
                }
                if calls.is_empty() {
                    item["content"] = words.unwrap_or_else(|| json!([]));
                    return vec![item];
                }
                let call = |(id, name, arguments): &(String, String, String)| {
                    let arguments: Value = serde_json::from_str(arguments).unwrap_or_else(|_| json!({}));
                    json!({"type": "toolCall", "id": id, "name": name, "arguments": arguments})
                };
                item["content"] = calls.iter().map(call).collect();
                let before = words.map(|words| {
                    json!({"role": "assistant", "content": words, "timestamp": at, "__openclaw": item["__openclaw"]})
                });
                before.into_iter().chain([item]).collect()
            }
            Item::Notice(text) => {
                let usage =
                    json!({"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0, "totalTokens": 0});
                vec![json!({"role": "assistant", "content": [{"type": "text", "text": text}], "api": "cli",
                    "provider": "scripted", "model": "scripted-1", "usage": usage, "stopReason": "stop", "timestamp": at,
                    "__openclaw": about})]
            }
            Item::ToolResult { run, call, tool, text, error } => {
                about["runId"] = json!(run);
                vec![json!({"role": "toolResult", "toolCallId": call, "toolName": tool, "isError": error,
                    "content": [{"type": "text", "text": text}], "timestamp": at, "__openclaw": about})]
            }
        }
    }

    /// Whether the history omits the entry. Its number stays taken.
    pub(super) fn is_hidden(&self, release: Release) -> bool {
        let Item::Assistant { text, calls, .. } = &self.item else { return false };
        calls.is_empty()
            && (text == SILENT_REPLY || (text == HEARTBEAT_REPLY && release < Release::V2026_8_2))
    }

    /// Whether the history's event stream includes the entry. It omits results.
    pub(super) fn is_streamed(&self) -> bool {
        !matches!(self.item, Item::ToolResult { .. })
    }
}

/// The placeholder result of a call until the client sends the real one.
pub(super) fn delegated(tool: &str) -> String {
    format!(
        "{{\n  \"status\": \"pending\",\n  \"tool\": {},\n  \"message\": \"Tool execution delegated to client\"\n}}",
        Value::from(tool)
    )
}

/// What the 2026.7 releases show of a failed model call.
const FAILED_BEFORE_REPLY: &str = "The agent run failed before producing a reply.";

/// Changes an item of the newest release to what this release shows (openclaw-gateway §12.3).
fn as_shown_by(release: Release, item: &mut Value) {
    let Value::Object(fields) = item else { return };
    if !release.names_runs()
        && let Some(Value::Object(about)) = fields.get_mut("__openclaw")
    {
        about.remove("runId");
    }
    let stop = fields.get("stopReason").and_then(Value::as_str).unwrap_or_default();
    match (release.error_form(), stop) {
        (ErrorForm::ProviderText | ErrorForm::Placeholder | ErrorForm::FailureOrPlaceholder, "error") => {
            let text = fields.insert("content".to_owned(), json!([])).unwrap_or_default();
            fields.insert("errorMessage".to_owned(), text[0]["text"].clone());
        }
        (ErrorForm::FailureOrMessage, "error") => {
            let text = json!([{"type": "text", "text": FAILED_BEFORE_REPLY}]);
            fields.insert("content".to_owned(), text);
        }
        (_, "aborted") => {
            fields.insert("errorMessage".to_owned(), json!("Request was aborted."));
        }
        _ => {}
    }
}

fn cut(text: &str, chars: usize) -> (String, bool) {
    match text.char_indices().nth(chars) {
        Some((end, _)) => (format!("{}\n...(truncated)...", &text[..end]), true),
        None => (text.to_owned(), false),
    }
}

fn mark(about: &mut Value, cut: bool) {
    if cut {
        about["truncated"] = json!(true);
        about["reason"] = json!("display-cap");
    }
}
