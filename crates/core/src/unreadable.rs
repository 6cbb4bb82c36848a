//! Why something that the ledger keeps is not understood.

use std::fmt;

/// Why something that the ledger keeps is not understood. The text is the end of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// A newer version wrote it.
    Newer(String),
    /// No version writes it like this.
    Damaged(String),
}

impl Unreadable {
    /// Why JSON of a form that this version knows was not read; `what` is what was read. A variant of an enum that this
    /// version does not know is a newer version's. Everything else is damage, because newer versions only add fields.
    pub fn of(what: &str, why: &serde_json::Error) -> Self {
        let words = format!("{what} is of an unknown shape: {why}");
        // `serde_json` tells this class of errors by its words alone.
        if why.to_string().starts_with("unknown variant") { Self::Newer(words) } else { Self::Damaged(words) }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Newer(what) | Self::Damaged(what)) = self;
        f.write_str(what)
    }
}
