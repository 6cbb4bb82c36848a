//! Values of settings that several layers use.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which waiting participants the thread notifies when an agent did not reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoResponseNote {
    /// Only people.
    #[default]
    People,
    /// People and agents.
    All,
    /// None.
    Off,
}

/// Whether agents may call tools over HTTP (`AGENT_API`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ToolEndpoints {
    /// Only where function tools are off, or the gateway is too old for them.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

impl ToolEndpoints {
    /// Its value in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::On => "on",
            Self::Off => "off",
        }
    }
}

/// What happens to a task whose status and facts differ (`DONE_POLICY`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DonePolicy {
    /// Nothing.
    Off,
    /// Operators see a mark.
    #[default]
    Warn,
}

impl DonePolicy {
    /// Its value in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Warn => "warn",
        }
    }
}

/// Which notifications wake an agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WakeOn {
    /// All that the policy admits.
    #[default]
    All,
    /// Those that mention it, ask it, or concern its own tasks.
    Addressed,
}

impl WakeOn {
    /// Its value in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Addressed => "addressed",
        }
    }
}

impl FromStr for WakeOn {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::All, Self::Addressed].into_iter().find(|one| one.name().eq_ignore_ascii_case(text)).ok_or(())
    }
}

/// Which notifications wake each agent (`WAKE_ON`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WakeRules {
    /// The rule for agents without one of their own.
    pub account: WakeOn,
    /// Rules of single agents, by lower-case slug.
    pub agents: BTreeMap<String, WakeOn>,
}

impl WakeRules {
    /// The rule for an agent.
    pub fn of(&self, slug: &str) -> WakeOn {
        self.agents.get(&slug.to_lowercase()).copied().unwrap_or(self.account)
    }

    /// Parses a list like `addressed,squad-lead=all`. The error is a sentence about its first mistake.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rules = Self::default();
        let mut has_account = false;
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (slug, rule) = match entry.split_once('=') {
                Some((slug, rule)) => (Some(slug.trim().to_lowercase()), rule.trim()),
                None => (None, entry),
            };
            let rule = rule.parse().map_err(|()| {
                format!("{entry:?} is none of `all`, `addressed`, `SLUG=all` and `SLUG=addressed`")
            })?;
            match slug {
                Some(slug) if slug.is_empty() => return Err(format!("{entry:?} names no agent before `=`")),
                Some(slug) => {
                    if rules.agents.insert(slug, rule).is_some_and(|before| before != rule) {
                        return Err(format!("{entry:?} contradicts an earlier entry for this agent"));
                    }
                }
                None if has_account && rules.account != rule => {
                    return Err(format!("{entry:?} contradicts an earlier entry for the account"));
                }
                None => (rules.account, has_account) = (rule, true),
            }
        }
        Ok(rules)
    }
}

impl fmt::Display for WakeRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.account.name())?;
        self.agents.iter().try_for_each(|(slug, rule)| write!(f, ",{slug}={}", rule.name()))
    }
}

/// When a step of a delivery counts as recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LedgerSync {
    /// After it is on the disk: it survives a power failure.
    #[default]
    Full,
    /// After the operating system has it: it survives only a crash of the process.
    Normal,
}

/// Whether each agent has separate sessions (`OPENCLAW_SESSION_SCOPE`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionScope {
    /// Each agent has separate sessions.
    #[default]
    PerSender,
    /// All agents share one session.
    Global,
}

impl SessionScope {
    /// Its value in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::PerSender => "per-sender",
            Self::Global => "global",
        }
    }

    /// Parses `per-sender` or `global`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        [Self::PerSender, Self::Global].into_iter().find(|scope| scope.name().eq_ignore_ascii_case(text))
    }
}

impl FromStr for SessionScope {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::parse(text).ok_or(())
    }
}
