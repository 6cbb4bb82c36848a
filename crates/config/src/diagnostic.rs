//! What a start reports about its configuration: errors that prevent the start, and warnings. Each is one message that
//! says what failed, why, and what to do.
//!
//! A message never contains the value of a secret, nor anything that might be one by accident.

use std::fmt;

/// One finding about the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether the service can still start.
    pub severity: Severity,
    /// The variable concerned, as it was spelled, if it is a single one.
    pub variable: Option<String>,
    /// What failed, why, and what to do.
    pub message: String,
    /// Whether required variables are missing, and nothing else is wrong.
    pub is_absence: bool,
}

/// How serious a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The service does not start.
    Error,
    /// The service starts.
    Warning,
}

impl Diagnostic {
    pub(super) fn error(variable: Option<&str>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            variable: variable.map(str::to_owned),
            message: message.into(),
            is_absence: false,
        }
    }

    pub(super) fn warning(variable: Option<&str>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(variable, message) }
    }

    /// A `#` in an unquoted value: other dialects of env files read a comment there.
    pub(super) fn hash_in_value(path: &str, line: usize) -> Self {
        let message = format!(
            "The env file {path}: the # in line {line} is part of the value. Put a comment on a separate line, or put \
             the value in quotes."
        );
        Self::warning(None, message)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Why a file cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileTrouble {
    /// There is none.
    Missing,
    /// It is a directory.
    Directory,
    /// It is a device, a socket or a pipe.
    Special,
    /// This user may not read it.
    Forbidden,
    /// It cannot be read for another reason.
    Unreadable,
    /// It is larger than allowed.
    TooLarge {
        /// How large it may be.
        bytes_max: u64,
    },
    /// It contains nothing.
    Empty,
    /// It is not UTF-8 text.
    NotText,
    /// It contains no certificate.
    NoCertificate,
    /// This certificate in it, counted from 1, is malformed.
    BadCertificate(usize),
}

/// The reason, to follow "… cannot be used: ".
impl fmt::Display for FileTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("there is no such file"),
            Self::Directory => f.write_str("it is a directory, not a file"),
            Self::Special => f.write_str("it is not a regular file"),
            Self::Forbidden => f.write_str("this user may not read it"),
            Self::Unreadable => f.write_str("it cannot be read"),
            Self::TooLarge { bytes_max } => write!(f, "it is larger than {} KiB", bytes_max / 1024),
            Self::Empty => f.write_str("it is empty"),
            Self::NotText => f.write_str("it is not UTF-8 text"),
            Self::NoCertificate => f.write_str("it contains no certificate; a PEM file is required"),
            Self::BadCertificate(number) => write!(f, "certificate {number} in it is malformed"),
        }
    }
}

/// The default state directory, when the former default contains a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Both {
    /// It does not exist.
    Missing,
    /// It contains no ledger.
    WithoutLedger,
    /// It contains a ledger, too.
    WithLedger,
}

/// Why the state in the former default directory prevents a start, with the commands that resolve it.
pub(super) fn former_state(former: &str, now: &str, both: Both) -> String {
    let (from, to) = (in_shell(former), in_shell(now));
    let commands = match both {
        Both::WithLedger => {
            return format!(
                "STATE_DIR is not set, and two directories contain a ledger: {former} (the former default) and {now} (the \
                 default). Set STATE_DIR to the one to use, or move the other one away."
            );
        }
        Both::Missing => format!("mkdir -p \"$(dirname {to})\" && mv {from} {to}"),
        Both::WithoutLedger => format!("mv {from}/* {to}/"),
    };
    format!(
        "STATE_DIR is not set, and {former}, the former default, contains a ledger; the default is now {now}. Set STATE_DIR \
         to {former} to keep the ledger there, or stop the process that uses it and move it: {commands}"
    )
}

/// A path as a shell reads it.
fn in_shell(path: &str) -> String {
    format!("'{}'", path.replace('\'', r"'\''"))
}

/// A value in quotes on one line: control characters escaped, the end of a long one left out.
pub(super) fn quoted(value: &str) -> String {
    /// Enough to recognise a value, short enough for a log line.
    const CHARS_MAX: usize = 80;
    let mut start: String = value.chars().take(CHARS_MAX).collect();
    if start.len() < value.len() {
        start.push('…');
    }
    format!("{start:?}")
}
