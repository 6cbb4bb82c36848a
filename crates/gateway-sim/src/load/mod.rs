//! A load for kill tests: agents with a fixed behaviour, and the count of what came of it.
//!
//! Each row of the load has a task of its own, and its agent behaves by its number ([`Behaviour`]). [`Records`] compare
//! what the board and the gateway have recorded with what each behaviour must leave there. The runtime under test
//! contributes nothing to the count.

mod records;

use std::time::Duration;

use serde_json::json;

pub use self::records::{Records, Tally};
use super::gateway::{Item, Prompt, ScriptedModel, Thought, marker};

/// What an agent does for each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// It answers.
    Answers,
    /// It writes two documents, and answers.
    Writes,
    /// It writes four documents in three rounds, and answers.
    Works,
    /// Its answer is longer than one message.
    AnswersAtLength,
    /// It never answers.
    Silent,
}

impl Behaviour {
    /// The behaviour of the agent `a` with this number.
    pub fn of(slug: &str) -> Self {
        let number: usize = slug.trim_start_matches('a').parse().unwrap_or_default();
        match number % 10 {
            0..=1 => Self::Answers,
            3..=4 => Self::Writes,
            5..=7 => Self::Works,
            8 => Self::AnswersAtLength,
            _ => Self::Silent,
        }
    }

    /// The number of documents that one row leaves.
    pub fn documents(self) -> usize {
        match self {
            Self::Writes => 2,
            Self::Works => 4,
            Self::Answers | Self::AnswersAtLength | Self::Silent => 0,
        }
    }

    /// The number of messages that one row leaves. Instead of a silent agent the runtime posts a note.
    pub fn messages(self) -> usize {
        match self {
            Self::AnswersAtLength => 2,
            Self::Answers | Self::Writes | Self::Works | Self::Silent => 1,
        }
    }
}

/// The model of these agents.
pub struct Load {
    /// The duration of each turn.
    pub turn: Duration,
}

impl ScriptedModel for Load {
    fn think(&self, prompt: &Prompt) -> Thought {
        let row = row_of(prompt);
        let document = |name: &str| {
            ("document_upsert", json!({"title": format!("{row} {name}"), "content": "…", "type": "note"}))
        };
        let answer = || Thought::say(format!("{} on {row}", prompt.agent));
        let behaviour = Behaviour::of(&prompt.agent);
        let thought = match (behaviour, rounds(prompt, &row)) {
            // A turn that the gateway resumes by itself has no tools.
            _ if prompt.tools.is_empty() && behaviour != Behaviour::Silent => answer(),
            (Behaviour::Silent, _) => Thought::nothing(),
            (Behaviour::AnswersAtLength, _) => {
                Thought::say(format!("{}\n\n{}", "x".repeat(60_000), "y".repeat(60_000)))
            }
            (Behaviour::Writes | Behaviour::Works, 0) => Thought::calls([document("one"), document("two")]),
            (Behaviour::Works, 1) => Thought::calls([("get_agent_skills", json!({})), document("three")]),
            (Behaviour::Works, 2) => Thought::calls([document("four")]),
            _ => answer(),
        };
        thought.after(self.turn)
    }
}

/// The row of a turn: the last marker in its session.
fn row_of(prompt: &Prompt) -> String {
    let row = prompt.transcript.iter().rev().find_map(|entry| match &entry.item {
        Item::User(text) => marker(text).filter(|word| word.starts_with("n-")).map(str::to_owned),
        Item::Assistant { .. } | Item::Notice(_) | Item::ToolResult { .. } => None,
    });
    row.unwrap_or_default()
}

/// How many rounds of calls this row has had since its last question. Results may be there twice.
fn rounds(prompt: &Prompt, row: &str) -> usize {
    let is_question = |item: &Item| matches!(item, Item::User(text) if marker(text) == Some(row));
    let is_round = |item: &Item| matches!(item, Item::Assistant { calls, .. } if !calls.is_empty());
    let items = prompt.transcript.iter().rev().map(|entry| &entry.item);
    items.take_while(|item| !is_question(item)).filter(|item| is_round(item)).count()
}
