//! A row of the table: what it says about its variable.

/// One variable: its form, its meaning, and how it differs from the TypeScript runtime.
#[derive(Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Other names of the variable, looked up after the first.
    pub aliases: &'static [&'static str],
    /// Its section in the documents.
    pub section: Section,
    /// The form of its value.
    pub kind: Kind,
    /// The default.
    pub fallback: Fallback,
    /// The meaning of a blank value, if it is not "not set".
    pub blank: Option<&'static str>,
    /// Which process reads it.
    pub read_by: ReadBy,
    /// Whether other programs use this name and similar names, so that a similar name is not a typo.
    pub common: bool,
    /// Its effect in this version.
    pub effect: Effect,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// What the TypeScript runtime did, where it differs.
    pub before: Option<Before>,
}

/// The effect of a variable in this version. Documents and `doctor` derive from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// As documented.
    Full,
    /// No effect any more, for this reason.
    NoMore(&'static str),
}

impl Effect {
    /// Why the variable has no effect, as the beginning of a sentence; `None` if it has one.
    pub fn missing(self) -> Option<String> {
        match self {
            Self::Full => None,
            Self::NoMore(why) => Some(format!("has no effect any more: {why}")),
        }
    }
}

/// What the TypeScript runtime did instead.
#[derive(Debug)]
pub struct Before {
    /// Its default there, and its range if that differs.
    pub there: &'static str,
    /// Why this runtime differs.
    pub why: &'static str,
}

/// The form of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A line of text without control characters.
    Text {
        /// The maximum number of characters.
        chars_max: usize,
    },
    /// A name without blanks, of visible ASCII characters.
    Identifier,
    /// Like [`Identifier`](Self::Identifier), and never shown.
    Secret {
        /// The maximum number of characters.
        chars_max: usize,
    },
    /// A path of a file or directory.
    Path,
    /// An address or host name to listen on.
    Host,
    /// An `http` or `https` address.
    Url {
        /// A valid example.
        example: &'static str,
    },
    /// A whole number. A number outside the range is clamped, with a warning.
    Integer {
        /// The minimum.
        min: u64,
        /// The maximum.
        max: u64,
        /// The reason for both.
        why: &'static str,
    },
    /// A port; 0 means a free one. A number outside the range is an error.
    Port,
    /// A boolean.
    Boolean,
    /// One of some words.
    Choice {
        /// The words.
        options: &'static [&'static str],
        /// Other spellings: `(accepted, means)`.
        synonyms: &'static [(&'static str, &'static str)],
    },
}

/// The default of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// None: the variable is required.
    Required,
    /// This value, parsed like a value that is set.
    Value(&'static str),
    /// A value derived from other variables, described in words.
    Derived(&'static str),
    /// No value, with this meaning in words.
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
    /// The command `fly-cleanup`. A bad value does not keep the runtime from starting.
    FlyCleanup,
    /// The command `worker`. A bad value does not keep `run` from starting.
    Worker,
    /// The commands `worker` and `local`. A bad value does not keep `run` from starting.
    WorkerAndLocal,
    /// The command `provision`. A bad value does not keep the runtime from starting.
    Provision,
    /// The commands `provision` and `local`. A bad value does not keep the runtime from starting.
    ProvisionAndLocal,
    /// The command `bootstrap`. A bad value does not keep the runtime from starting.
    Bootstrap,
}

impl ReadBy {
    /// Whether the gateway container reads it.
    pub fn is_gateway(self) -> bool {
        matches!(self, Self::Gateway | Self::Both)
    }

    /// For the documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Runtime => "runtime",
            Self::Gateway => "gateway container",
            Self::Both => "both",
            Self::FlyCleanup => "`fly-cleanup`",
            Self::Worker => "`worker`",
            Self::WorkerAndLocal => "`worker`, `local`",
            Self::Provision => "`provision`",
            Self::ProvisionAndLocal => "`provision`, `local`",
            Self::Bootstrap => "`bootstrap`",
        }
    }
}

/// The sections of the documents, in order.
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
    /// Limits for agents: turns, budgets, what wakes them.
    Guardrails,
    /// The roster, reports, upgrades.
    Operation,
    /// Agent workspaces.
    Workspace,
    /// Names and versions that are reported.
    Identity,
    /// Variables that only the gateway container reads.
    Container,
    /// The clean-up of a Fly app.
    Fly,
    /// The worker of a pool.
    Worker,
    /// New machines.
    Provision,
}

impl Section {
    /// All sections, in order.
    pub const ALL: [Self; 12] = [
        Self::Account,
        Self::Server,
        Self::Gateway,
        Self::Delivery,
        Self::Guardrails,
        Self::Operation,
        Self::Workspace,
        Self::Identity,
        Self::Container,
        Self::Fly,
        Self::Worker,
        Self::Provision,
    ];

    /// The heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Account => "Account and backend",
            Self::Server => "HTTP server of the runtime",
            Self::Gateway => "OpenClaw gateway",
            Self::Delivery => "Delivery",
            Self::Guardrails => "Guardrails",
            Self::Operation => "Operation",
            Self::Workspace => "Agent workspaces",
            Self::Identity => "Identity in status reports",
            Self::Container => "Gateway container only",
            Self::Fly => "Clean-up of a Fly app",
            Self::Worker => "Worker of a pool",
            Self::Provision => "New machines",
        }
    }
}

impl Variable {
    /// Whether its value must never be shown.
    pub fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret { .. })
    }

    /// Whether `NAME_FILE` may name a file that contains the value. The gateway container does not read such files.
    pub fn takes_file(&self) -> bool {
        self.is_secret()
            && match self.read_by {
                ReadBy::Runtime
                | ReadBy::Both
                | ReadBy::FlyCleanup
                | ReadBy::Worker
                | ReadBy::WorkerAndLocal
                | ReadBy::Provision
                | ReadBy::ProvisionAndLocal
                | ReadBy::Bootstrap => true,
                ReadBy::Gateway => false,
            }
    }

    /// Its name, then its aliases, in the order of the lookup.
    pub fn spellings(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// What is allowed, in words, to follow "expected".
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

    /// The default for tables: a value in code quotes, or words.
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
