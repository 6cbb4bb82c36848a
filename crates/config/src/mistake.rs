//! What keeps a start from happening, each with a sentence a person can act on.
//!
//! A sentence never holds the value of a secret, nor anything that might be one by accident.

use std::fmt;

use super::report::Origin;
use mcr_model::BadUrl;

/// Something that must be put right before the service can start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// Required variables that are not given.
    Missing {
        /// Their names, in the order of the table.
        names: Vec<&'static str>,
    },
    /// A value that cannot be used.
    Value {
        /// The variable as it was spelled.
        name: String,
        /// Where the value came from.
        origin: Origin,
        /// The value as it may be shown: secrets masked, control characters escaped, cut.
        shown: String,
        /// What is wrong with it.
        problem: Problem,
    },
    /// An env file that cannot be read.
    EnvFile {
        /// Its path.
        path: String,
        /// Why not.
        trouble: FileTrouble,
    },
    /// Nothing says where state belongs.
    NoStateDir,
    /// The former default folder for state holds a ledger, and nothing says that it is still the one.
    FormerState {
        /// The former default.
        former: String,
        /// The default of now.
        now: String,
        /// What is there.
        both: Both,
    },
    /// A line of the env file that cannot be understood. What stands in it is not shown: it may be a secret.
    Line {
        /// The path of the file.
        path: String,
        /// The number of the line, from 1.
        line: usize,
        /// Why not.
        problem: LineProblem,
    },
}

/// What is in the default folder for state, beside the former one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Both {
    /// There is no such folder.
    Missing,
    /// There is no ledger in it.
    WithoutLedger,
    /// There is a ledger in it, too.
    WithLedger,
}

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It does not have the form that its kind asks for.
    Form {
        /// What is allowed, to stand behind "expected".
        allowed: String,
    },
    /// Something other than visible ASCII in a token, key or id.
    Character {
        /// Where, counted in characters from 1.
        position: usize,
        /// What it is.
        stray: Stray,
    },
    /// The `…` of an example.
    Placeholder,
    /// A comment behind the value, without which the value would be good.
    Comment,
    /// A control character in a text.
    Control {
        /// Where, counted in characters from 1.
        position: usize,
    },
    /// More characters than allowed.
    TooLong {
        /// How many there are.
        chars: usize,
        /// How many there may be.
        chars_max: usize,
    },
    /// Not UTF-8.
    NotText,
    /// An address that cannot be used.
    Url {
        /// What is wrong with it.
        reason: BadUrl,
        /// Whether it has a scheme, one other than http and https.
        foreign_scheme: bool,
        /// A good one.
        example: &'static str,
        /// Whether the sentence must hold the words that the original runtime has for this variable.
        in_its_words: bool,
    },
    /// The address of a deployment's HTTP actions instead of its functions.
    ConvexSite {
        /// The address to use instead.
        instead: String,
    },
    /// A service token that does not begin like one.
    TokenPrefix,
    /// A service token without account or secret.
    TokenStructure,
    /// A service token of another account.
    TokenAccount {
        /// The account it is for, if that looks like an account id and so may be shown.
        token_account: Option<String>,
        /// The account it should be for.
        account: String,
    },
    /// An account id with an underscore in it.
    Underscore,
    /// A service token where the account id should be.
    TokenAsAccount,
    /// No token for a gateway on another host.
    GatewayTokenRequired {
        /// The other host.
        host: String,
    },
    /// The file holds more than the secret.
    NotOnlySecret {
        /// Whether it is more lines, or else blanks.
        lines: bool,
    },
    /// Both `NAME` and `NAME_FILE` are given, and they differ.
    GivenTwice {
        /// The one to drop.
        file_name: String,
    },
    /// The path given as `NAME_FILE` does not look like one.
    NotAPath,
    /// The named file cannot be used.
    File(FileTrouble),
}

/// What has no place in a token, key or id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stray {
    /// A blank.
    Blank,
    /// A control character.
    Control,
    /// A letter or sign outside ASCII.
    Foreign,
}

/// Why a file cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileTrouble {
    /// There is none.
    Missing,
    /// It is a directory.
    Directory,
    /// It is no ordinary file.
    Special,
    /// It belongs to somebody else.
    Forbidden,
    /// It cannot be read for another reason.
    Unreadable,
    /// It is larger than it may be.
    TooLarge {
        /// How large it may be.
        bytes_max: u64,
    },
    /// There is nothing in it.
    Empty,
    /// It is not UTF-8 text.
    NotText,
    /// There is no certificate in it.
    NoCertificate,
    /// This certificate in it, counted from 1, is malformed.
    BadCertificate(usize),
}

/// Why a line of the env file cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineProblem {
    /// There is no `=` in it.
    NoEquals,
    /// What stands before the `=` is no name.
    Name,
    /// A quote that is opened but not closed at the end of the line.
    OpenQuote,
    /// Something other than a comment behind the closing quote.
    BehindQuote,
    /// A control character.
    Control,
}

impl FileTrouble {
    /// To stand behind "… cannot be used: ".
    pub fn explain(self) -> String {
        match self {
            Self::Missing => "there is no such file".to_owned(),
            Self::Directory => "it is a directory, not a file".to_owned(),
            Self::Special => "it is no ordinary file".to_owned(),
            Self::Forbidden => "this user may not read it".to_owned(),
            Self::Unreadable => "it cannot be read".to_owned(),
            Self::TooLarge { bytes_max } => format!("it is larger than {} KiB", bytes_max / 1024),
            Self::Empty => "it is empty".to_owned(),
            Self::NotText => "it is not UTF-8 text".to_owned(),
            Self::NoCertificate => "it holds no certificate; a PEM file is needed".to_owned(),
            Self::BadCertificate(number) => format!("certificate {number} in it is malformed"),
        }
    }
}

impl LineProblem {
    /// To stand behind "line N ".
    pub fn explain(self) -> &'static str {
        match self {
            Self::NoEquals => "has no =; expected NAME=value, or a # in front of a comment",
            Self::Name => "has no usable name before the =; expected letters, digits and underscores",
            Self::OpenQuote => "opens a quote that is not closed at the end of the line; a value is one line",
            Self::BehindQuote => {
                "has text behind the closing quote; only a comment may stand there, after a blank and a #"
            }
            Self::Control => "has a control character in it",
        }
    }
}

impl Problem {
    /// What is wrong and what is allowed; `name` is the variable.
    pub fn explain(&self, name: &str) -> String {
        match self {
            Self::Form { allowed } => format!("expected {allowed}."),
            Self::Character { position, stray } => {
                let what = match stray {
                    Stray::Blank => "a blank",
                    Stray::Control => "a control character",
                    Stray::Foreign => "not ASCII",
                };
                format!("character {position} is {what}; expected visible ASCII characters only.")
            }
            Self::Placeholder => {
                "it still holds the placeholder \"…\" of an example; put the real value there.".to_owned()
            }
            Self::Comment => {
                "a comment behind a value belongs to the value here; move it to a line of its own.".to_owned()
            }
            Self::Control { position } => {
                format!("character {position} is a control character; expected plain text.")
            }
            Self::TooLong { chars, chars_max } => {
                format!("it has {chars} characters; at most {chars_max} are allowed.")
            }
            Self::NotText => "it is not UTF-8 text.".to_owned(),
            Self::Url { reason, foreign_scheme, example, in_its_words } => {
                let reason = match reason {
                    BadUrl::Scheme => "it begins with another scheme",
                    reason => reason.explain(),
                };
                match (foreign_scheme, in_its_words) {
                    (true, true) => {
                        format!(
                            "{reason}. Invalid {name}. Only http and https are allowed. An example: {example}."
                        )
                    }
                    (true, false) => {
                        format!(
                            "{reason}. Only http and https are allowed; expected something like {example}."
                        )
                    }
                    (false, true) => {
                        format!("{reason}. Invalid {name}. Expected a valid URL like {example}.")
                    }
                    (false, false) => format!("{reason}; expected something like {example}."),
                }
            }
            Self::ConvexSite { instead } => format!(
                "the .convex.site address serves a deployment's web hooks, not its functions; use {instead}."
            ),
            // A full stop behind the prefix would pass for the rest of a token, and be hidden.
            Self::TokenPrefix => format!(
                "Invalid {name} format. Expected a token starting with mc_service_ as the dashboard issues it."
            ),
            Self::TokenStructure => {
                format!("Invalid {name} structure. Expected mc_service_{{accountId}}_{{secret}}.")
            }
            Self::TokenAccount { token_account, account } => {
                let token_account = token_account.as_deref().unwrap_or("another account");
                format!(
                    "{name} account mismatch. Token is for {token_account}, but ACCOUNT_ID is {account}. \
                     Copy both from the same account."
                )
            }
            Self::Underscore => "an account id has no underscore; no service token can match this one. \
                                 Copy the id from the account that the token is for."
                .to_owned(),
            Self::TokenAsAccount => {
                "this is a service token; expected the id of an account. Give the token as SERVICE_TOKEN."
                    .to_owned()
            }
            Self::GatewayTokenRequired { host } => format!(
                "{name} is required for non-local OPENCLAW_GATEWAY_URL. That address names another host \
                 ({host}): give its token as {name} or {name}_FILE; blank counts as not set."
            ),
            Self::NotOnlySecret { lines } => {
                let what = if *lines { "more than one line" } else { "blanks in it" };
                format!("the file has {what}; it must hold the secret and nothing else.")
            }
            Self::GivenTwice { file_name } => {
                format!("{file_name} is given too, with another value; drop one of the two.")
            }
            Self::NotAPath => {
                "expected the path of a file, beginning with /, ./ or ../ (the value itself belongs in the \
                 variable without _FILE)."
                    .to_owned()
            }
            Self::File(trouble) => format!("the file cannot be used: {}.", trouble.explain()),
        }
    }
}

impl Mistake {
    /// The variable's value is unusable.
    pub(super) fn value(name: impl Into<String>, origin: Origin, shown: String, problem: Problem) -> Self {
        Self::Value { name: name.into(), origin, shown, problem }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { names } => write!(
                f,
                "Missing required environment variables: {}. Set {} in the environment or in the env file; \
                 blank counts as not set.",
                names.join(", "),
                if names.len() == 1 { "it" } else { "them" },
            ),
            Self::Value { name, origin, shown, problem } => {
                let explained = problem.explain(name);
                match (origin, problem) {
                    (Origin::Unset | Origin::Default | Origin::Derived(_), _) => f.write_str(&explained),
                    // What is wrong is wrong with the variable, not with the name of the file.
                    (Origin::NameFile { .. }, _) => {
                        let variable = name.strip_suffix("_FILE").unwrap_or(name);
                        write!(f, "{origin}: {}", problem.explain(variable))
                    }
                    (Origin::Environment | Origin::File { .. }, Problem::Comment) => {
                        write!(f, "{name} ({origin}): {explained}")
                    }
                    (Origin::Environment | Origin::File { .. }, _) => {
                        write!(f, "{name} ({origin}) is {shown}: {explained}")
                    }
                }
            }
            Self::EnvFile { path, trouble } => {
                write!(f, "The env file {path} cannot be used: {}.", trouble.explain())
            }
            Self::NoStateDir => f.write_str(
                "STATE_DIR is not set, and neither STATE_DIRECTORY nor XDG_STATE_HOME nor HOME says where state belongs. \
                 Set STATE_DIR to a folder that belongs to the user of the service.",
            ),
            Self::FormerState { former, now, both: Both::WithLedger } => write!(
                f,
                "STATE_DIR is not set, and both hold a ledger: {former} (the former default) and {now} (the default). \
                 Set STATE_DIR to the one that counts, or move the other one away."
            ),
            Self::FormerState { former, now, both } => {
                let (from, to) = (in_shell(former), in_shell(now));
                write!(
                    f,
                    "STATE_DIR is not set, and {former}, the former default, holds a ledger; the default is {now} now. Set \
                     STATE_DIR to {former} to keep it there, or stop the process that uses it and move it: "
                )?;
                match both {
                    Both::Missing => write!(f, "mkdir -p \"$(dirname {to})\" && mv {from} {to}"),
                    _ => write!(f, "mv {from}/* {to}/"),
                }
            }
            Self::Line { path, line, problem } => {
                write!(f, "The env file {path}: line {line} {}.", problem.explain())
            }
        }
    }
}

/// A path as a shell reads it.
fn in_shell(path: &str) -> String {
    format!("'{}'", path.replace('\'', r"'\''"))
}

/// A value in quotes on one line: control characters escaped, the end of a long one left out.
pub(super) fn quoted(value: &str) -> String {
    /// Enough to recognise a value, little enough for a log line.
    const CHARS_MAX: usize = 80;
    let mut start: String = value.chars().take(CHARS_MAX).collect();
    if start.len() < value.len() {
        start.push('…');
    }
    format!("{start:?}")
}
