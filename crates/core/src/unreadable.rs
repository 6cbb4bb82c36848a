//! The reasons why this version does not understand stored data of the ledger.

use std::fmt;

/// Why stored data of the ledger is not understood. The text is the end of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// A newer version wrote the data.
    Newer(String),
    /// No version writes such data.
    Damaged(String),
}

impl Unreadable {
    /// Classifies the error of reading JSON whose form this version knows; `what` names the data. An unknown variant
    /// of an enum comes from a newer version. Everything else is damage, because newer versions only add fields.
    pub fn of(what: &str, why: &serde_json::Error) -> Self {
        let words = format!("{what} is of an unknown shape: {why}");
        // Only the text of the error shows this class: `serde_json` has no code for it.
        if why.to_string().starts_with("unknown variant") { Self::Newer(words) } else { Self::Damaged(words) }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Newer(what) | Self::Damaged(what)) = self;
        f.write_str(what)
    }
}
