//! Writes what the model does as a stream of chat completion chunks.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{CHECK_PAUSE, MODEL};
use crate::gateway::{Act, Call, Thought};
use mcr_http::message::Sink;

/// The usage of each call.
const TOKENS_READ: u64 = 10;
const TOKENS_WRITTEN: u64 = 5;

/// Writes the whole answer, and returns when it is complete or the client is gone.
pub(super) fn write_thought(
    sink: &mut dyn Sink,
    thought: &Thought,
    model: &str,
    next_id: impl Fn() -> String,
) -> io::Result<()> {
    let model = if model.is_empty() { MODEL } else { model };
    let mut chunks = Chunks { sink, model };
    chunks.pause(thought.delay)?;
    chunks.send(&json!({"role": "assistant", "content": ""}), None)?;
    let (text, calls, finish): (&str, &[Call], _) = match &thought.act {
        Act::Say(text) => (text, &[], "stop"),
        Act::SayCut(text) => (text, &[], "length"),
        Act::Call { preamble, calls } => (preamble.as_deref().unwrap_or_default(), calls, "tool_calls"),
        Act::Work { tool, .. } => {
            return chunks.calls(&[Call { name: tool.clone(), arguments: "{}".to_owned() }], next_id);
        }
        Act::Stall => return chunks.pause(Duration::MAX),
        Act::Nothing | Act::Fail { .. } | Act::Drop | Act::Hang => ("", &[], "stop"),
    };
    chunks.say(text, thought.drip)?;
    if calls.is_empty() { chunks.end(finish) } else { chunks.calls(calls, next_id) }
}

struct Chunks<'a> {
    sink: &'a mut dyn Sink,
    model: &'a str,
}

impl Chunks<'_> {
    fn send(&mut self, delta: &Value, finish: Option<&str>) -> io::Result<()> {
        let mut chunk = json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": self.model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        });
        if finish.is_some() {
            chunk["usage"] = json!({
                "prompt_tokens": TOKENS_READ, "completion_tokens": TOKENS_WRITTEN,
                "total_tokens": TOKENS_READ + TOKENS_WRITTEN,
            });
        }
        self.sink.send(format!("data: {chunk}\n\n").as_bytes())
    }

    /// Sends the text word by word.
    fn say(&mut self, text: &str, drip: Duration) -> io::Result<()> {
        for word in text.split_inclusive(char::is_whitespace) {
            self.send(&json!({"content": word}), None)?;
            self.pause(drip)?;
        }
        Ok(())
    }

    fn calls(&mut self, calls: &[Call], next_id: impl Fn() -> String) -> io::Result<()> {
        for (index, call) in calls.iter().enumerate() {
            let function = json!({"name": call.name, "arguments": call.arguments});
            let call = json!({"index": index, "id": next_id(), "type": "function", "function": function});
            self.send(&json!({"tool_calls": [call]}), None)?;
        }
        self.end("tool_calls")
    }

    fn end(&mut self, finish: &str) -> io::Result<()> {
        self.send(&json!({}), Some(finish))?;
        self.sink.send(b"data: [DONE]\n\n")
    }

    /// Waits. An error if the client is gone or the server stops.
    fn pause(&mut self, time: Duration) -> io::Result<()> {
        let began = Instant::now();
        while began.elapsed() < time {
            if !self.sink.is_open() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            thread::sleep(CHECK_PAUSE.min(time.saturating_sub(began.elapsed())));
        }
        Ok(())
    }
}
