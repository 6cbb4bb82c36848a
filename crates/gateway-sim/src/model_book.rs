//! Records the model calls of conversations that carry a token, so that a judge knows what the model was asked.
//!
//! A token is a word that a test puts into a person's message. Each later call of the model for that session contains the
//! message, and so the token.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::gateway::{Item, Prompt, ScriptedModel, Thought};

/// How every token begins.
pub const TOKEN_PREFIX: &str = "rehearsal-";

/// The number of calls that one token keeps. A model that loops inside the gateway would fill the memory.
const CALLS_PER_TOKEN: usize = 1_000;

/// What the model was given in one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelCall {
    /// The names of the offered tools.
    pub tools: Vec<String>,
    /// The instructions of the gateway and of its client.
    pub instructions: String,
    /// The text to answer.
    pub text: String,
    /// Whether an input of the client is the last entry of the session. Otherwise the gateway calls the model once more in
    /// the same turn, with a result of a tool.
    pub begins_turn: bool,
}

/// The calls by token. Clones share one book.
#[derive(Clone, Debug, Default)]
pub struct ModelBook(Arc<Mutex<HashMap<String, Vec<ModelCall>>>>);

impl ModelBook {
    /// The calls for a token, in order.
    pub fn calls(&self, token: &str) -> Vec<ModelCall> {
        self.calls_by_token().get(token).cloned().unwrap_or_default()
    }

    /// The number of calls for a token.
    pub fn count(&self, token: &str) -> usize {
        self.calls_by_token().get(token).map_or(0, Vec::len)
    }

    /// Records a call under every token that the session's messages contain.
    pub(crate) fn record(&self, prompt: &Prompt) {
        let said = prompt.transcript.iter().filter_map(|entry| match &entry.item {
            Item::User(text) => Some(text.as_str()),
            Item::Assistant { .. } | Item::Notice(_) | Item::ToolResult { .. } => None,
        });
        let mut tokens: Vec<&str> = said.chain([prompt.text.as_str()]).flat_map(tokens).collect();
        tokens.sort_unstable();
        tokens.dedup();
        let mut calls = self.calls_by_token();
        for token in tokens {
            let calls = calls.entry(token.to_owned()).or_default();
            if calls.len() < CALLS_PER_TOKEN {
                calls.push(ModelCall {
                    tools: prompt.tools.iter().map(|tool| tool.name.clone()).collect(),
                    instructions: prompt.instructions.clone(),
                    text: prompt.text.clone(),
                    begins_turn: !matches!(
                        prompt.transcript.last().map(|entry| &entry.item),
                        Some(Item::ToolResult { .. })
                    ),
                });
            }
        }
    }

    fn calls_by_token(&self) -> MutexGuard<'_, HashMap<String, Vec<ModelCall>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tokens in a text.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices(TOKEN_PREFIX).map(|(at, prefix)| {
        let rest = &text[at + prefix.len()..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        &text[at..at + prefix.len() + end]
    })
}

/// A model whose calls are recorded.
pub struct RecordedModel<M> {
    model: M,
    book: ModelBook,
}

impl<M> RecordedModel<M> {
    /// Records the calls of this model in this book.
    pub fn new(model: M, book: ModelBook) -> Self {
        Self { model, book }
    }
}

impl<M: ScriptedModel> ScriptedModel for RecordedModel<M> {
    fn think(&self, prompt: &Prompt) -> Thought {
        self.book.record(prompt);
        self.model.think(prompt)
    }
}

#[cfg(test)]
mod tests {
    use super::tokens;

    #[test]
    fn tokens_are_found_between_other_words() {
        let found = |text| tokens(text).collect::<Vec<_>>();
        assert_eq!(
            found("a (rehearsal-a1b2) and rehearsal-ff\nrehearsal-0"),
            ["rehearsal-a1b2", "rehearsal-ff", "rehearsal-0"]
        );
        assert_eq!(found("a rehearsal of nothing"), Vec::<&str>::new());
    }
}
