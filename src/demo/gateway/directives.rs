//! A mind for tests that does what the message says, so that a test decides what the model does. The mock model of
//! `tests/conformance` understands the same words, so the same tests run against a real gateway.
//!
//! | in the text | the model |
//! |---|---|
//! | `CALL tool {json}` | calls it, if it is offered; several in order |
//! | `SAY text` | says the rest of that line |
//! | `EMPTY` | says nothing |
//! | `LENGTH` | stops at its limit |
//! | `PREAMBLE` | says a sentence before its calls |
//! | `DELAY ms`, `DRIP ms` | waits before the first word, after each word |
//! | `FAIL status words` | has a provider that refuses |
//! | `HANG`, `DROP` | has a provider that never answers, that cuts the connection |
//!
//! Without any of them it says `ECHO: ` and the text.

use std::time::Duration;

use serde_json::Value;

use super::mind::{Act, Call, Mind, Prompt, Thought};

/// The mind that does what the message says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Directives;

/// What is said before calls, where that is asked for.
const PREAMBLE: &str = "One moment, I look it up.";

impl Mind for Directives {
    fn think(&self, prompt: &Prompt) -> Thought {
        let text = prompt.as_read();
        let mut thought = Thought { act: act(&text, prompt), delay: Duration::ZERO, drip: Duration::ZERO };
        thought.delay = after(&text, "DELAY").map_or(Duration::ZERO, milliseconds);
        thought.drip = after(&text, "DRIP").map_or(Duration::ZERO, milliseconds);
        thought
    }
}

fn act(text: &str, prompt: &Prompt) -> Act {
    if let Some(rest) = after(text, "FAIL") {
        let line = rest.lines().next().unwrap_or_default();
        let (status, message) = line.split_once(' ').unwrap_or((line, "refused"));
        return Act::Fail { status: status.parse().unwrap_or(500), message: message.trim().to_owned() };
    }
    if has(text, "HANG") {
        return Act::Hang;
    }
    if has(text, "DROP") {
        return Act::Drop;
    }
    let calls = calls(text, prompt);
    if !calls.is_empty() {
        let preamble = has(text, "PREAMBLE").then(|| PREAMBLE.to_owned());
        return Act::Call { preamble, calls };
    }
    if has(text, "EMPTY") {
        return Act::Nothing;
    }
    let said = match after(text, "SAY") {
        Some(rest) => rest.lines().next().unwrap_or_default().to_owned(),
        None => format!("ECHO: {text}"),
    };
    if has(text, "LENGTH") { Act::SayCut(said) } else { Act::Say(said) }
}

fn calls(text: &str, prompt: &Prompt) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut rest = text;
    while let Some(found) = after(rest, "CALL") {
        let end = found.find(char::is_whitespace).unwrap_or(found.len());
        let (name, tail) = found.split_at(end);
        let mut values = serde_json::Deserializer::from_str(tail).into_iter::<Value>();
        let arguments = match values.next() {
            Some(Ok(value @ Value::Object(_))) => value.to_string(),
            _ => "{}".to_owned(),
        };
        if prompt.offers(name) {
            calls.push(Call { name: name.to_owned(), arguments });
        }
        rest = tail;
    }
    calls
}

/// Where a word stands by itself.
fn find(text: &str, word: &str) -> Option<usize> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).map(|(at, _)| at).find(|at| {
        let before = text[..*at].chars().next_back();
        let behind = text[at + word.len()..].chars().next();
        !before.is_some_and(is_part) && !behind.is_some_and(is_part)
    })
}

fn has(text: &str, word: &str) -> bool {
    find(text, word).is_some()
}

/// What follows a word and its blank.
fn after<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let rest = &text[find(text, word)? + word.len()..];
    rest.strip_prefix(' ')
}

fn milliseconds(text: &str) -> Duration {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Duration::from_millis(text[..digits].parse().unwrap_or(0))
}
