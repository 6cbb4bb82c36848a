//! What a row of the table says about its variable.

/// One variable: how it is read, what it means, what it was before.
#[derive(Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Other names for the same thing, asked after the first.
    pub aliases: &'static [&'static str],
    /// Where it stands in the documents.
    pub section: Section,
    /// What its value must look like.
    pub kind: Kind,
    /// What counts when it is not given.
    pub fallback: Fallback,
    /// What a blank value means, where it does not simply mean "not given".
    pub blank: Option<&'static str>,
    /// Which process reads it.
    pub read_by: ReadBy,
    /// Whether other programs use this name and names like it, so that no near miss can be claimed.
    pub common: bool,
    /// What it does in this version.
    pub effect: Effect,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// What the TypeScript runtime did, where it differs.
    pub before: Option<Before>,
}

/// What a variable does in this version. Warnings, documents and `doctor` derive from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// What its row says.
    Full,
    /// Nothing yet.
    NotYet {
        /// What is missing, to stand behind "this version".
        lacks: &'static str,
        /// The value that asks for nothing, and so needs no warning.
        quiet: Option<&'static str>,
    },
    /// Nothing any more, for this reason.
    NoMore(&'static str),
}

impl Effect {
    /// Why it has no effect, as the beginning of a sentence; nothing if it has one.
    pub fn missing(self) -> Option<String> {
        match self {
            Self::Full => None,
            Self::NotYet { lacks, .. } => Some(format!("not yet in effect: this version {lacks}")),
            Self::NoMore(why) => Some(format!("has no effect any more: {why}")),
        }
    }
}

/// What the TypeScript runtime did instead.
#[derive(Debug)]
pub struct Before {
    /// Its default, and its range where that is what differs.
    pub there: &'static str,
    /// Why ours is another.
    pub why: &'static str,
}

/// What a value must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A line of text without control characters.
    Text {
        /// At most so many characters.
        chars_max: usize,
    },
    /// A name without blanks, of visible ASCII characters.
    Identifier,
    /// The same, and never shown.
    Secret {
        /// At most so many characters.
        chars_max: usize,
    },
    /// A path of a file or folder.
    Path,
    /// An address or host name to listen on.
    Host,
    /// An `http` or `https` address.
    Url {
        /// A good one.
        example: &'static str,
    },
    /// A whole number; outside its range it is moved to the nearer end, with a warning.
    Integer {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
        /// Why not less and not more.
        why: &'static str,
    },
    /// A port; 0 is any free one. Outside the range it is a mistake.
    Port,
    /// Yes or no.
    Boolean,
    /// One of a few words.
    Choice {
        /// The words.
        options: &'static [&'static str],
        /// Other spellings: `(accepted, means)`.
        synonyms: &'static [(&'static str, &'static str)],
    },
}

/// What counts when a variable is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// Nothing: it must be given.
    Required,
    /// This value, read as if it had been given.
    Value(&'static str),
    /// Something worked out from other things; in words.
    Derived(&'static str),
    /// Nothing, which means this; in words.
    Unset(&'static str),
}

/// Which process reads a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadBy {
    /// This runtime.
    Runtime,
    /// The container of the OpenClaw gateway. A bad value does not keep the runtime from starting.
    Gateway,
    /// Both of them.
    Both,
}

impl ReadBy {
    /// For the documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Runtime => "runtime",
            Self::Gateway => "gateway container",
            Self::Both => "both",
        }
    }
}

/// Where a variable stands in the documents. In the order of the documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// The account and its backend.
    Account,
    /// The runtime's own HTTP server.
    Server,
    /// The OpenClaw gateway.
    Gateway,
    /// Polling and delivery.
    Delivery,
    /// The roster, reports, upgrades.
    Operation,
    /// Agent workspaces.
    Workspace,
    /// Names and versions that are reported.
    Identity,
    /// Read by the gateway container only.
    Container,
}

impl Section {
    /// All of them, in order.
    pub const ALL: [Self; 8] = [
        Self::Account,
        Self::Server,
        Self::Gateway,
        Self::Delivery,
        Self::Operation,
        Self::Workspace,
        Self::Identity,
        Self::Container,
    ];

    /// The heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Account => "Account and backend",
            Self::Server => "HTTP server of the runtime",
            Self::Gateway => "OpenClaw gateway",
            Self::Delivery => "Delivery",
            Self::Operation => "Operation",
            Self::Workspace => "Agent workspaces",
            Self::Identity => "What the runtime says it is",
            Self::Container => "Gateway container only",
        }
    }
}

impl Variable {
    /// Whether its value must never be shown.
    pub fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret { .. })
    }

    /// Whether `NAME_FILE` may name a file that holds it. The gateway container does not read such files.
    pub fn takes_file(&self) -> bool {
        self.is_secret()
            && match self.read_by {
                ReadBy::Runtime | ReadBy::Both => true,
                ReadBy::Gateway => false,
            }
    }

    /// Its name, then its aliases, in the order in which they are asked.
    pub fn spellings(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// What is allowed, in words, to stand behind "expected".
    pub fn allowed(&self) -> String {
        match self.kind {
            Kind::Text { chars_max } => format!("a line of text of at most {chars_max} characters"),
            Kind::Identifier => "visible ASCII characters without blanks".to_owned(),
            Kind::Secret { chars_max } => {
                format!("at most {chars_max} visible ASCII characters without blanks")
            }
            Kind::Path => "a path".to_owned(),
            Kind::Host => ALLOWED_HOST.to_owned(),
            Kind::Url { example } => format!("an http or https address like {example}"),
            Kind::Integer { min, max, .. } => format!("a whole number from {min} to {max}"),
            Kind::Port => "a whole number from 0 to 65535".to_owned(),
            Kind::Boolean => ALLOWED_BOOLEAN.to_owned(),
            Kind::Choice { options, .. } => either(options),
        }
    }

    /// What counts when it is not given, for tables: a value in code quotes, or words.
    pub fn fallback_text(&self) -> String {
        match self.fallback {
            Fallback::Required => "**required**".to_owned(),
            Fallback::Value(value) => format!("`{value}`"),
            Fallback::Derived(words) | Fallback::Unset(words) => words.to_owned(),
        }
    }
}

/// What [`Kind::Host`] allows.
pub(super) const ALLOWED_HOST: &str = "an IP address or a host name, without a port";

/// What [`Kind::Boolean`] allows.
pub(super) const ALLOWED_BOOLEAN: &str = "true, 1, yes, on, false, 0, no or off";

/// "a, b or c".
pub(super) fn either(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}
