//! Turns a request for a chat completion into a prompt: the gateway's additions to the client's texts are removed.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use crate::gateway::{Entry, InputItem, Item, Offered, Prompt};
use mcr_model::clock::Millis;
use mcr_model::json;

/// The borders of a note that the gateway adds for the model.
const NOTE_BEGIN: &str = "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>";
const NOTE_END: &str = "<<<END_OPENCLAW_INTERNAL_CONTEXT>>>";
/// The line about the run behind the first text of a session.
const ABOUT: &str = "\n\nRuntime: agent=";
/// How the gateway's reminders after an empty answer begin.
const REMINDERS: [&str; 2] = ["The previous attempt", "The previous assistant turn"];

/// A parsed request.
pub(super) struct ChatRequest {
    /// The requested model. The answer repeats it.
    pub(super) model: String,
    pub(super) prompt: Prompt,
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    model: String,
    messages: Vec<Message>,
    #[serde(default)]
    tools: Vec<Tool>,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    #[serde(default)]
    content: Value,
    #[serde(default)]
    tool_call_id: String,
}

#[derive(Deserialize)]
struct Tool {
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    parameters: Value,
}

impl ChatRequest {
    pub(super) fn parse(body: &[u8]) -> Result<Self, serde_json::Error> {
        let body: Body = serde_json::from_slice(&json::bytes(body))?;
        let mut instructions = Vec::new();
        let mut transcript = Vec::new();
        for message in &body.messages {
            let text = text_of(&message.content);
            match message.role.as_str() {
                "system" | "developer" => instructions.push(text),
                "user" => {
                    let words = clients_words(&text);
                    if !words.is_empty() {
                        transcript.push(entry(transcript.len(), Item::User(words)));
                    }
                }
                "tool" => {
                    let (run, tool) = (String::new(), String::new());
                    let call = message.tool_call_id.clone();
                    let item = Item::ToolResult { run, call, tool, text, error: false };
                    transcript.push(entry(transcript.len(), item));
                }
                _ => {}
            }
        }
        let text = transcript.iter().rev().find_map(|entry| match &entry.item {
            Item::User(text) => Some(text.clone()),
            Item::Assistant { .. } | Item::Notice(_) | Item::ToolResult { .. } => None,
        });
        let text = text.unwrap_or_default();
        let placeholder = transcript.last().and_then(|entry| match &entry.item {
            Item::ToolResult { call, text, .. } if is_placeholder(text) => {
                Some(InputItem::Output { call_id: call.clone(), output: text.clone() })
            }
            _ => None,
        });
        let prompt = Prompt {
            agent: String::new(),
            session: String::new(),
            run: String::new(),
            instructions: instructions.join("\n"),
            tools: body.tools.into_iter().map(|tool| Offered::from(tool.function)).collect(),
            waits: placeholder.is_some(),
            said: vec![placeholder.unwrap_or_else(|| InputItem::User(text.clone()))],
            text,
            abandoned: None,
            nudged: false,
            transcript: Arc::new(transcript),
        };
        Ok(Self { model: body.model, prompt })
    }
}

impl From<Function> for Offered {
    fn from(function: Function) -> Self {
        Self { name: function.name, description: function.description, parameters: function.parameters }
    }
}

/// Whether a result stands for that of a call that the client runs (spec §5).
fn is_placeholder(result: &str) -> bool {
    result.contains("Tool execution delegated to client")
}

fn entry(number: usize, item: Item) -> Entry {
    Entry { id: number as u128, at: Millis(0), item }
}

/// The text of a message's content, which may have several parts.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().map(|part| part["text"].as_str().unwrap_or_default()).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

/// The client's part of a text. Empty if the gateway wrote all of it.
fn clients_words(text: &str) -> String {
    let mut text = text.to_owned();
    while let Some(begin) = text.find(NOTE_BEGIN)
        && let Some(length) = text[begin..].find(NOTE_END)
    {
        text.replace_range(begin..begin + length + NOTE_END.len(), "");
    }
    let mut words = without_time(text.trim_start());
    if let Some(at) = words.rfind(ABOUT) {
        words = &words[..at];
    }
    if REMINDERS.iter().any(|reminder| words.starts_with(reminder)) {
        return String::new();
    }
    words.trim().to_owned()
}

/// The text without the time that the gateway puts before it, such as `[Sat 2026-11-21 09:31 UTC] `.
fn without_time(text: &str) -> &str {
    let Some((stamp, rest)) = text.strip_prefix('[').and_then(|text| text.split_once("] ")) else {
        return text;
    };
    let mut parts = stamp.split(' ');
    let is_day = parts.next().is_some_and(|day| day.len() == 3 && day.chars().all(char::is_alphabetic));
    let is_date = parts
        .next()
        .is_some_and(|date| date.len() == 10 && date.chars().all(|c| c.is_ascii_digit() || c == '-'));
    let is_time = parts.next().is_some_and(|time| time.len() == 5 && time.as_bytes()[2] == b':');
    if is_day && is_date && is_time { rest } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// spec §3: what the model sees besides the client's text.
    #[test]
    fn the_gateways_additions_are_removed() {
        let note = format!("{NOTE_BEGIN}\nsecret\n{NOTE_END}");
        let rows = [
            ("[Sat 2026-11-21 09:31 UTC] [n-1 try 1]\nSAY hi".to_owned(), "[n-1 try 1]\nSAY hi"),
            ("SAY hi\n\nRuntime: agent=qa | session=x".to_owned(), "SAY hi"),
            (format!("{note}\nSAY hi"), "SAY hi"),
            (note, ""),
            ("The previous attempt was empty.".to_owned(), ""),
            ("[n-1 try 1] SAY hi".to_owned(), "[n-1 try 1] SAY hi"),
            (NOTE_BEGIN.to_owned(), NOTE_BEGIN),
        ];
        for (text, expected) in rows {
            assert_eq!(clients_words(&text), expected, "{text}");
        }
    }

    #[test]
    fn a_request_becomes_a_prompt_with_its_history() {
        let body = json!({"model": "mock-1", "messages": [
            {"role": "system", "content": "You are qa."},
            {"role": "user", "content": [{"type": "text", "text": "SAY one"}]},
            {"role": "assistant", "content": "one"},
            {"role": "user", "content": "AGAIN 1 SAY two"},
            {"role": "tool", "tool_call_id": "c1", "content": "a result"},
        ], "tools": [{"type": "function", "function": {"name": "task_load"}}]});
        let chat = ChatRequest::parse(body.to_string().as_bytes()).unwrap();
        assert_eq!(
            (chat.prompt.text.as_str(), chat.prompt.instructions.as_str()),
            ("AGAIN 1 SAY two", "You are qa.")
        );
        assert!(chat.prompt.offers("task_load") && chat.prompt.transcript.len() == 3);
        for body in ["", "{}", "[]", "{\"messages\": 1}"] {
            assert!(ChatRequest::parse(body.as_bytes()).is_err(), "{body}");
        }
    }
}
