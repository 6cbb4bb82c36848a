//! What an agent has done with its tools in one delivery.
//!
//! A turn that is sent again may make an agent call again what it has called before, under other ids. So every writing
//! call that was carried out is kept with its result, and the same call (tool, arguments, and the how manieth of its
//! kind since the turn was last sent again) is answered from here.

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::tools::ToolRequest;

/// What was done, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Effects {
    done: Vec<Effect>,
    /// Ids of tasks, documents and messages that were made.
    made: Vec<String>,
}

/// One writing call that was carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Effect {
    /// Digest of the tool and its arguments.
    call: String,
    /// What the agent was told.
    output: String,
    /// Whether the agent has called it since the turn was last sent again.
    called: bool,
}

impl Effects {
    /// The result of the same call of an attempt that came to nothing, once for each time it was made.
    pub(super) fn recall(&mut self, call: &str) -> Option<&str> {
        let effect = self.done.iter_mut().find(|effect| !effect.called && effect.call == call)?;
        effect.called = true;
        Some(&effect.output)
    }

    /// The call was carried out.
    pub(super) fn keep(&mut self, call: String, output: &str) {
        self.done.push(Effect { call, output: output.to_owned(), called: true });
    }

    /// This was made, by a call or as a message.
    pub(super) fn made(&mut self, id: String) {
        self.made.push(id);
    }

    /// What was made, without the calls.
    pub(super) fn only_made(&self) -> Self {
        Self { done: Vec::new(), made: self.made.clone() }
    }

    /// Whether it was made in this delivery.
    pub fn has_made(&self, id: &str) -> bool {
        self.made.iter().any(|made| made == id)
    }

    /// All that was made in this delivery.
    pub fn all_made(&self) -> impl Iterator<Item = &str> {
        self.made.iter().map(String::as_str)
    }

    /// A turn is sent again: whatever the agent calls now, it may have called before.
    pub(super) fn sent_again(&mut self) {
        self.done.iter_mut().for_each(|effect| effect.called = false);
    }
}

/// What tells a call from others: its tool and its arguments in their one spelling. Half of the digest is enough.
pub(super) fn digest_of(request: &ToolRequest) -> String {
    let text = format!("{} {}", request.name(), request.arguments());
    let number = digest(&SHA256, text.as_bytes())
        .as_ref()
        .iter()
        .take(16)
        .fold(0, |sum: u128, byte| sum << 8 | u128::from(*byte));
    format!("{number:032x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The n-th call of a kind is answered by the n-th effect, and what goes beyond them is new.
    #[test]
    fn the_same_call_is_answered_once_for_each_time_it_was_made() {
        let mut effects = Effects::default();
        assert_eq!(effects.recall("a"), None);
        effects.keep("a".to_owned(), "first");
        effects.keep("b".to_owned(), "other");
        effects.keep("a".to_owned(), "second");
        assert_eq!(effects.recall("a"), None, "this attempt has called them itself");
        for _ in 0..2 {
            effects.sent_again();
            assert_eq!(effects.recall("a"), Some("first"));
            assert_eq!(effects.recall("a"), Some("second"));
            assert_eq!(effects.recall("a"), None);
            assert_eq!(effects.recall("b"), Some("other"));
        }
    }
}
