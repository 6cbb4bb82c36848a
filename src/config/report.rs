//! What a start tells people about its configuration.

use std::fmt;

use super::mistake::Mistake;
use super::warning::Warning;
use crate::secret::Secret;

/// Everything there is to say about a configuration, good or bad.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What keeps the service from starting. All of it, not only the first.
    pub mistakes: Vec<Mistake>,
    /// What somebody should look at.
    pub warnings: Vec<Warning>,
    /// Every variable with its effective value, in the order of the table.
    pub rows: Vec<EffectiveRow>,
    /// Every secret value that was found anywhere, usable or not, for the redaction of all that is written.
    pub secrets: Vec<Secret>,
}

/// A variable and the value that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveRow {
    /// The variable.
    pub name: &'static str,
    /// Its value; `***` for a secret that is set.
    pub value: String,
    /// Where the value came from.
    pub origin: Origin,
    /// What else there is to know: a clamp, a mistake, no effect.
    pub note: Option<String>,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The environment.
    Environment,
    /// The env file.
    File {
        /// Its path.
        path: String,
        /// The line.
        line: usize,
    },
    /// A file that `NAME_FILE` names.
    NameFile {
        /// `NAME_FILE`.
        name: String,
        /// The path it has for value.
        path: String,
    },
    /// The table.
    Default,
    /// Worked out from these other things.
    Derived(&'static str),
}

impl Origin {
    /// Whether somebody gave it.
    pub fn is_given(&self) -> bool {
        match self {
            Self::Environment | Self::File { .. } | Self::NameFile { .. } => true,
            Self::Default | Self::Derived(_) => false,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("environment"),
            Self::File { path, line } => write!(f, "{path}, line {line}"),
            Self::NameFile { name, path } => write!(f, "{name}={path}"),
            Self::Default => f.write_str("default"),
            Self::Derived(from) => write!(f, "derived from {from}"),
        }
    }
}

impl Report {
    /// One line for the start of the log: every value that somebody gave, secrets masked.
    pub fn summary(&self) -> String {
        let given = self.rows.iter().filter(|row| row.origin.is_given());
        let words: Vec<String> = given
            .map(|row| {
                // A value that cannot be used is in quotes already.
                let plain = row.value.starts_with('"') || !row.value.contains(char::is_whitespace);
                let value = if plain { row.value.clone() } else { format!("{:?}", row.value) };
                format!("{}={value}", row.name)
            })
            .collect();
        words.join(" ")
    }

    /// The row of a variable.
    pub fn row(&self, name: &str) -> Option<&EffectiveRow> {
        self.rows.iter().find(|row| row.name == name)
    }
}
