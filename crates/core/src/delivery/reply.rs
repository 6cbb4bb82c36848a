//! What an agent's reply means: something to post, or nothing (runtime-behaviour §5.6), and how a long one is posted.
//!
//! Every text goes through [`read`] before it may be posted, also the one after tool calls and the one of a heartbeat:
//! words that agents say to machines must not stand in a thread that people read.
//!
//! - Words of control are whole lines, written exactly so. A report that mentions `HEARTBEAT_OK` is a report.
//! - A reply that has such a line first or last and real text besides is the text: the agent has said something after
//!   all, and the line was never meant for people. Only `HEARTBEAT_OK` and `NO_REPLY` are taken off in this way; the
//!   clipped form `NO_` is an ordinary word next to others. In the middle of a text a line is a quotation.
//! - `NO` is an answer: people ask questions to which "no" is the answer. The original took it for a clipped token.

mod split;

use serde::{Deserialize, Serialize};

pub use split::split;

/// What an agent has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentReply {
    /// Something for people: trimmed, ready to be posted.
    Text(String),
    /// Nothing.
    Silence(Silence),
}

/// How an agent says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Silence {
    /// No text, or blanks.
    Empty,
    /// The word for it, whole or clipped behind its underscore.
    NoReply,
    /// What a gateway puts in place of an empty reply.
    Placeholder,
    /// The word that our briefings ask for; also after a line that says it is only beginning.
    HeartbeatOk,
}

impl Silence {
    /// Its name in metrics and logs; it does not change.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NoReply => "no-reply",
            Self::Placeholder => "placeholder",
            Self::HeartbeatOk => "heartbeat-ok",
        }
    }

    /// What happened, as the beginning of a sentence.
    pub fn explain(self) -> &'static str {
        match self {
            Self::Empty => "the agent's reply was empty",
            Self::NoReply => "the agent replied that it does not reply",
            Self::Placeholder => "the gateway had no reply from the agent",
            Self::HeartbeatOk => "the agent had nothing to say",
        }
    }

    /// Whether the agent chose to say nothing in the way it was told to, rather than failing to speak.
    pub fn is_deliberate(self) -> bool {
        self == Self::HeartbeatOk
    }
}

/// The line that our briefings ask for where there is nothing to say. A current gateway answers `NO_REPLY` with an
/// error, so that word is understood but never taught.
pub const SILENCE: &str = "HEARTBEAT_OK";
const NO_REPLY: &str = "NO_REPLY";
const NO_REPLY_CLIPPED: &str = "NO_";
const PLACEHOLDERS: [&str; 3] =
    ["No response from OpenClaw.", "No reply from agent.", "No response from agent."];
const BEGINNING: &str = "loading context for heartbeat";

/// Understands a reply.
pub fn read(text: Option<&str>) -> AgentReply {
    let text = text.unwrap_or_default().trim();
    if let Some(silence) = silence(text) {
        return AgentReply::Silence(silence);
    }
    // What is left besides lines of control: at least one line is something else.
    let mut left = text;
    while let Some(shorter) = without_control_line(left) {
        left = shorter;
    }
    match silence(left) {
        Some(silence) => AgentReply::Silence(silence),
        None => AgentReply::Text(left.to_owned()),
    }
}

/// How a whole text says nothing, if it does.
fn silence(text: &str) -> Option<Silence> {
    if text.is_empty() {
        return Some(Silence::Empty);
    }
    if [NO_REPLY, NO_REPLY_CLIPPED].contains(&text) {
        return Some(Silence::NoReply);
    }
    if is_placeholder(text) {
        return Some(Silence::Placeholder);
    }
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let ends = lines.next_back() == Some(SILENCE);
    (ends && lines.all(only_begins)).then_some(Silence::HeartbeatOk)
}

/// Whether nothing stands before the placeholder but mentions.
fn is_placeholder(text: &str) -> bool {
    let is_mention = |word: &str| {
        word.strip_prefix('@').is_some_and(|name| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        })
    };
    let before = PLACEHOLDERS.iter().find_map(|end| text.strip_suffix(end));
    before.is_some_and(|before| {
        (before.is_empty() || before.ends_with(char::is_whitespace))
            && before.split_whitespace().all(is_mention)
    })
}

fn only_begins(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    line == BEGINNING || line.strip_suffix("...") == Some(BEGINNING)
}

/// The text without a line of control at its end or beginning; none if there is no such line, or nothing else.
fn without_control_line(text: &str) -> Option<&str> {
    let is_control = |line: &str| [SILENCE, NO_REPLY].contains(&line.trim());
    let last = text.rsplit_once('\n').filter(|(_, line)| is_control(line)).map(|(before, _)| before);
    let first = || text.split_once('\n').filter(|(line, _)| is_control(line)).map(|(_, after)| after);
    last.or_else(first).map(str::trim)
}
