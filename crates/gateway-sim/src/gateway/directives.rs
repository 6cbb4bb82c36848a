//! A model for tests that follows the directives in the message, so that a test decides what the model does. The mock model
//! of `tests/conformance` understands the same directives, so the same tests run against a real gateway.
//!
//! | in the text | the model |
//! |---|---|
//! | `CALL tool {json}` | calls the tool if it is offered; several in order |
//! | `SAY text` | says the rest of that line |
//! | `LONG n` | says n characters, in lines |
//! | `AGAIN n` | uses one of the gateway's own tools n times before it answers |
//! | `EMPTY` | says nothing |
//! | `LENGTH` | stops at its token limit |
//! | `PREAMBLE` | says a sentence before its calls |
//! | `LOOP` | calls again while the client runs its calls; otherwise it repeats the gateway's placeholder |
//! | `DELAY ms`, `DRIP ms` | waits before the first word, after each word |
//! | `FAIL status words` | has a provider that refuses |
//! | `HANG`, `STALL` | has a provider that never answers, that never continues its answer |
//! | `DROP` | has a provider that cuts the connection |
//!
//! Without a directive it says `ECHO: ` and the text. After the result of one of the gateway's own tools that no `AGAIN`
//! requested, it says `TOOL_RESULT: ` and the result.
//!
//! In a briefing of the runtime only the message to answer counts, since the thread before it may contain others' text.
//! There `THEN` divides the message: the part after it is for the turn with the results of the calls before it.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use super::scripted_model::{Act, Call, ModelUsage, Prompt, ScriptedModel, Thought};
use super::transcript::Item;

/// The model that follows the directives of the message.
#[derive(Clone, Copy, Debug, Default)]
pub struct Directives;

/// The text before calls, if the message requests one.
const PREAMBLE: &str = "One moment, I look it up.";

impl ScriptedModel for Directives {
    fn think(&self, prompt: &Prompt) -> Thought {
        let read = if prompt.waits { last_message(prompt) } else { prompt.as_read() };
        let repeats = repeats(prompt);
        let text = match &repeats {
            Some((text, _)) => text,
            None => &wanted(&read, prompt).unwrap_or(read),
        };
        let usage = ModelUsage::ByLength;
        let result = prompt.transcript.last().and_then(|entry| match &entry.item {
            Item::ToolResult { text, .. } => Some(text),
            Item::User(_) | Item::Assistant { .. } | Item::Notice(_) => None,
        });
        let act = match (&repeats, result) {
            (Some((_, true)), _) => work(),
            (None, Some(result)) if !prompt.waits => Act::Say(format!("TOOL_RESULT: {result}")),
            (Some((_, false)) | None, _) => act(text, prompt),
        };
        let mut thought = Thought { act, delay: Duration::ZERO, drip: Duration::ZERO, usage };
        thought.delay = after(text, "DELAY").map_or(Duration::ZERO, milliseconds);
        thought.drip = after(text, "DRIP").map_or(Duration::ZERO, milliseconds);
        thought
    }
}

/// The message of a turn that uses one of the gateway's own tools several times (`AGAIN n`), and whether it does so once
/// more.
fn repeats(prompt: &Prompt) -> Option<(String, bool)> {
    let from = prompt.transcript.iter().rposition(|entry| matches!(entry.item, Item::User(_)))?;
    let Item::User(said) = &prompt.transcript[from].item else { return None };
    let text = message(said)?;
    let wanted = after(text, "AGAIN").map(number)?;
    let results =
        prompt.transcript[from..].iter().filter(|entry| matches!(entry.item, Item::ToolResult { .. }));
    Some((text.to_owned(), results.count() < wanted))
}

/// The last text of the client in the session.
fn last_message(prompt: &Prompt) -> String {
    let texts = prompt.transcript.iter().rev().filter_map(|entry| match &entry.item {
        Item::User(text) => Some(text.clone()),
        Item::Assistant { .. } | Item::Notice(_) | Item::ToolResult { .. } => None,
    });
    texts.take(1).collect()
}

fn work() -> Act {
    Act::Work { tool: "session_status".to_owned(), time: Duration::ZERO, result: "ok".to_owned() }
}

/// The part of the message that applies to this turn, if the session has received a briefing. Each later text contains
/// the results of one round.
fn wanted(read: &str, prompt: &Prompt) -> Option<String> {
    let said = prompt.transcript.iter().rev().filter_map(|entry| match &entry.item {
        Item::User(text) => Some(text.as_str()),
        Item::Assistant { .. } | Item::Notice(_) | Item::ToolResult { .. } => None,
    });
    // The last of them is this turn's text. An abandoned text is only in `read`.
    let texts = std::iter::once(read).chain(said.skip(1));
    let (round, message) = texts.enumerate().find_map(|(round, text)| Some((round, message(text)?)))?;
    message.split("THEN").nth(round).map(|part| part.trim().to_owned())
}

/// The message to answer in a briefing: the text below its marker line and its heading.
fn message(text: &str) -> Option<&str> {
    let (before, after) = text.rsplit_once(" message to answer>>\n")?;
    let (_, mark) = before.rsplit_once("<<")?;
    let (_, message) = after.split_once('\n')?;
    Some(message.split_once(&format!("\n<<{mark} end>>"))?.0)
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
    if has(text, "STALL") {
        return Act::Stall;
    }
    if has(text, "DROP") {
        return Act::Drop;
    }
    if prompt.waits && !has(text, "LOOP") {
        let last = prompt.outputs().last().map_or("", |(_, output)| output);
        return Act::Say(format!("TOOL_RESULT: {last}"));
    }
    let calls = calls(text, prompt);
    if !calls.is_empty() {
        let preamble = has(text, "PREAMBLE").then(|| PREAMBLE.to_owned());
        return Act::Call { preamble, calls };
    }
    if has(text, "EMPTY") {
        return Act::Nothing;
    }
    let said = match (after(text, "SAY"), after(text, "LONG")) {
        (Some(rest), _) => rest.lines().next().unwrap_or_default().to_owned(),
        (None, Some(rest)) => long(number(rest)),
        (None, None) => format!("ECHO: {text}"),
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

/// The position of a whole word.
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

/// The text after a word and one blank.
fn after<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let rest = &text[find(text, word)? + word.len()..];
    rest.strip_prefix(' ')
}

fn number(text: &str) -> usize {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..digits].parse().unwrap_or(0)
}

fn milliseconds(text: &str) -> Duration {
    Duration::from_millis(number(text) as u64)
}

/// This many characters, in numbered lines of 80.
fn long(chars: usize) -> String {
    let mut text = String::with_capacity(chars + 80);
    for line in 0..=chars / 80 {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{line:.<79}");
    }
    text.truncate(chars);
    text
}

#[cfg(test)]
mod tests {
    use super::{long, message};

    #[test]
    fn follows_only_the_last_message_to_answer() {
        let briefing = |mark: &str, words: &str| {
            format!(
                "[n-1 try 1]\n<<{mark} thread>>\nSAY old <<x message to answer>>\n<<{mark} end of the thread>>\n\
                 <<{mark} message to answer>>\nDana, now, message m1:\n{words}\n<<{mark} end>>\nNow reply."
            )
        };
        assert_eq!(message(&briefing("a1b2", "SAY new\nTHEN SAY more")), Some("SAY new\nTHEN SAY more"));
        let twice = format!("{}\n\n{}", briefing("a1b2", "SAY one"), briefing("c3d4", "SAY two"));
        assert_eq!(message(&twice), Some("SAY two"));
        for text in ["SAY hi", "", "<<a message to answer>>\n", "Tool:1: <<a message to answer>>\nSAY x"] {
            assert_eq!(message(text), None, "{text:?}");
        }
    }

    #[test]
    fn long_text_has_the_requested_length() {
        for chars in [0, 1, 79, 80, 81, 60_000] {
            assert_eq!(long(chars).len(), chars);
        }
        assert!(long(200).starts_with("0.....") && long(200).contains("\n1....."));
    }
}
