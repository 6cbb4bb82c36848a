//! The report about a configuration: diagnostics, effective values, and the secrets to redact.

use std::fmt;

use super::diagnostic::{Diagnostic, Severity};
use super::table::variables_of;
use super::value::COMMENT;
use super::variable::{ReadBy, Section, Variable};
use mcr_model::secret::Secret;

/// The end of a message about a bad value that only the gateway container reads.
pub(super) const RUNTIME_STARTS: &str = "The runtime does not read it and starts anyway.";

/// The report about a configuration, valid or not.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// All errors and warnings, in the order in which they are shown.
    pub diagnostics: Vec<Diagnostic>,
    /// Every variable with its effective value, in the order of the table.
    pub rows: Vec<EffectiveRow>,
    /// Every secret value that was found, usable or not, for the redaction of all output.
    pub secrets: Vec<Secret>,
    /// Whether a worker of a pool starts, so that its variables matter.
    pub(super) is_worker: bool,
}

/// A variable and its effective value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveRow {
    /// The variable.
    pub name: &'static str,
    /// Its value, or `***` for a secret. `None` if it is not set. Empty if it is set to blank, and blank has a meaning
    /// for this variable.
    pub value: Option<String>,
    /// The origin of the value.
    pub origin: Origin,
    /// A note: a clamped value, an error, no effect.
    pub note: Option<String>,
}

/// The origin of a value.
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
        /// The path of the file.
        path: String,
    },
    /// It is not set, and it has no default.
    Unset,
    /// The default in the table.
    Default,
    /// Derived from these other values.
    Derived(&'static str),
}

impl EffectiveRow {
    /// The value as text.
    pub fn shown(&self) -> &str {
        match self.value.as_deref() {
            None => "(not set)",
            Some("") => "(blank)",
            Some(value) => value,
        }
    }
}

/// `NAME = value (origin; note)`, or `NAME = (not set; note)`.
impl fmt::Display for EffectiveRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = ", self.name)?;
        if self.value.is_some() {
            write!(f, "{} ", self.shown())?;
        }
        write!(f, "({}", self.origin)?;
        if let Some(note) = &self.note {
            write!(f, "; {note}")?;
        }
        f.write_str(")")
    }
}

impl Origin {
    /// Whether the value was set, and not a default.
    pub fn is_given(&self) -> bool {
        match self {
            Self::Environment | Self::File { .. } | Self::NameFile { .. } => true,
            Self::Unset | Self::Default | Self::Derived(_) => false,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("environment"),
            Self::File { path, line } => write!(f, "{path}, line {line}"),
            Self::NameFile { name, path } => write!(f, "{name}={path}"),
            Self::Unset => f.write_str("not set"),
            Self::Default => f.write_str("default"),
            Self::Derived(from) => write!(f, "derived from {from}"),
        }
    }
}

impl Report {
    /// The variables of the guardrails with their effective values, in the order of the table.
    pub fn guardrails(&self) -> impl Iterator<Item = &EffectiveRow> {
        let is_guardrail = |name| variables_of(Section::Guardrails).any(|variable| variable.name == name);
        self.rows.iter().filter(move |row| is_guardrail(row.name))
    }

    /// What prevents the start: all errors, not only the first.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|found| found.severity == Severity::Error)
    }

    /// Errors in what was set. An absent variable is no such error.
    pub fn mistakes(&self) -> impl Iterator<Item = &Diagnostic> {
        self.errors().filter(|found| !found.is_absence)
    }

    /// What does not prevent the start.
    pub fn warnings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|found| found.severity == Severity::Warning)
    }

    /// Reports that the value of `name` cannot be used. If only the gateway container reads the variable, the report is
    /// a warning.
    pub(super) fn refuse(
        &mut self,
        variable: &Variable,
        name: &str,
        origin: &Origin,
        shown: &str,
        problem: &str,
    ) {
        let message = match origin {
            Origin::Unset | Origin::Default | Origin::Derived(_) => problem.to_owned(),
            Origin::NameFile { .. } => format!("{origin}: {problem}"),
            Origin::Environment | Origin::File { .. } if problem == COMMENT => {
                format!("{name} ({origin}): {problem}")
            }
            Origin::Environment | Origin::File { .. } => format!("{name} ({origin}) is {shown}: {problem}"),
        };
        if let Origin::File { path, line } = origin
            && problem == COMMENT
        {
            // The error says the same.
            let doubt = Diagnostic::hash_in_value(path, *line);
            self.diagnostics.retain(|found| *found != doubt);
        }
        self.diagnostics.push(match variable.read_by {
            ReadBy::Worker | ReadBy::WorkerAndLocal if self.is_worker => {
                Diagnostic::error(Some(name), message)
            }
            ReadBy::Runtime | ReadBy::Both => Diagnostic::error(Some(name), message),
            ReadBy::Gateway
            | ReadBy::FlyCleanup
            | ReadBy::Worker
            | ReadBy::WorkerAndLocal
            | ReadBy::Provision
            | ReadBy::ProvisionAndLocal
            | ReadBy::Bootstrap => {
                let message = format!("{message} {RUNTIME_STARTS}");
                Diagnostic::warning(Some(name), message)
            }
        });
    }

    /// The messages about the variables of a command, whose names begin with one of these. That the runtime starts without
    /// them does not help the command.
    pub fn mistakes_of(&self, prefixes: &[&str]) -> Vec<String> {
        let is_ours = |name: &String| prefixes.iter().any(|prefix| name.starts_with(prefix));
        let ours = self.diagnostics.iter().filter(|found| found.variable.as_ref().is_some_and(is_ours));
        let message = |found: &Diagnostic| {
            let message = &found.message;
            message.strip_suffix(RUNTIME_STARTS).unwrap_or(message).trim_end().to_owned()
        };
        ours.map(message).collect()
    }

    /// Whether a variable has neither a value nor a bad one.
    pub fn is_missing(&self, name: &str) -> bool {
        let has_value =
            self.row(name).and_then(|row| row.value.as_ref()).is_some_and(|value| !value.is_empty());
        !has_value && !self.diagnostics.iter().any(|found| found.variable.as_deref() == Some(name))
    }

    /// One line for the start of the log: every value that is set, with masked secrets.
    pub fn summary(&self) -> String {
        let given = self.rows.iter().filter(|row| row.origin.is_given());
        let words: Vec<String> = given
            .map(|row| {
                // A value that cannot be used is already in quotes.
                let shown = row.shown();
                let plain = shown.starts_with('"') || !shown.contains(char::is_whitespace);
                let name = row.name;
                if plain { format!("{name}={shown}") } else { format!("{name}={shown:?}") }
            })
            .collect();
        words.join(" ")
    }

    /// The row of a variable.
    pub fn row(&self, name: &str) -> Option<&EffectiveRow> {
        self.rows.iter().find(|row| row.name == name)
    }
}
