//! Interprets an agent's reply: text to post, or silence (runtime-behaviour §5.6). `split` divides long
//! texts.
//!
//! Every text passes [`read`] before it may be posted, including texts after tool calls and those of a
//! heartbeat. Control words that agents write for machines must not appear in a thread for people.
//!
//! - A control word is a whole line, written exactly so. A report that mentions `HEARTBEAT_OK` is a report.
//! - In a reply with a control line at its beginning or end and other text, the text counts and the line is
//!   removed. This applies only to `HEARTBEAT_OK` and `NO_REPLY`; the clipped form `NO_` is an ordinary word
//!   next to other text. A control word in the middle of a text is a quotation.
//! - `NO` is an answer, because people ask yes-or-no questions. The TypeScript runtime treated it as a
//!   clipped control word.

use serde::{Deserialize, Serialize};

use crate::gateway::PLACEHOLDERS;
pub use crate::gateway::SILENCE;

pub use crate::split::split;

/// The interpreted reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentReply {
    /// Text for people, trimmed and ready to be posted.
    Text(String),
    /// No text for people.
    Silence(Silence),
}

/// The form of a silent reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Silence {
    /// No text, or blanks.
    Empty,
    /// The control word, whole or clipped after its underscore.
    NoReply,
    /// The gateway's substitute for an empty reply.
    Placeholder,
    /// The control word that our briefings ask for, also after a line that only announces a beginning.
    HeartbeatOk,
}

impl Silence {
    /// The name in metrics and logs; it never changes.
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
            Self::NoReply => "the agent replied with the marker for no reply",
            Self::Placeholder => "the gateway received no reply from the agent",
            Self::HeartbeatOk => "the agent had nothing to say",
        }
    }

    /// Whether the agent used the silence word it was asked to use, rather than failing to write.
    pub fn is_deliberate(self) -> bool {
        self == Self::HeartbeatOk
    }
}

const NO_REPLY: &str = "NO_REPLY";
const NO_REPLY_CLIPPED: &str = "NO_";
const BEGINNING: &str = "loading context for heartbeat";

/// Interprets a reply.
pub fn read(text: Option<&str>) -> AgentReply {
    let text = text.unwrap_or_default().trim();
    if let Some(silence) = silence(text) {
        return AgentReply::Silence(silence);
    }
    // The text without control lines: at least one line is something else.
    let mut left = text;
    while let Some(shorter) = without_control_line(left) {
        left = shorter;
    }
    match silence(left) {
        Some(silence) => AgentReply::Silence(silence),
        None => AgentReply::Text(left.to_owned()),
    }
}

/// The form of silence of a whole text, if it is silent.
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

/// Whether only mentions precede the placeholder.
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

/// The text without a control line at its end or beginning; `None` if there is no such line, or nothing else.
fn without_control_line(text: &str) -> Option<&str> {
    let is_control = |line: &str| [SILENCE, NO_REPLY].contains(&line.trim());
    let last = text.rsplit_once('\n').filter(|(_, line)| is_control(line)).map(|(before, _)| before);
    let first = || text.split_once('\n').filter(|(line, _)| is_control(line)).map(|(_, after)| after);
    last.or_else(first).map(str::trim)
}
