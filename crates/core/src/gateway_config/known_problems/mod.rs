//! Known problems of a gateway's configuration, and the change that repairs them.
//!
//! `TABLE` has one row for each problem: how it is judged, and how it is repaired. What a release does where its
//! configuration is silent is in `defaults`. A problem is judged by a probe where there is one, and else by the
//! configuration. Without either it is [`Diagnosis::Unseen`], and never fine.
//!
//! [`patch()`] repairs the problems that a configuration can repair, with the same functions that `gateway-config` uses.

mod defaults;
mod judge;
mod merge_patch;
mod patch;
mod repair;
#[cfg(test)]
mod tests;

use serde_json::Value;

use super::tree::Tree;
use super::{Form, agents};
use crate::gateway::dialect::Release;
use mcr_model::words;

use defaults::Defaults;

pub use judge::workspaces;
pub use patch::{Patch, PatchError, patch};

words! {
    /// A known problem.
    Problem {
        /// The endpoint for turns is off.
        Endpoint = "responses_endpoint",
        /// Agents of the account are missing.
        Agents = "agents",
        /// The history of sessions is closed.
        History = "history",
        /// A change of the configuration has not taken effect.
        HotReload = "hot_reload",
        /// Agents run in a sandbox whose engine is missing.
        Sandbox = "sandbox",
        /// Tool Search hides the tools of Mission Control.
        ToolSearch = "tool_search",
        /// The gateway wakes agents by itself.
        OwnHeartbeat = "own_heartbeat",
        /// Sessions are reset every day.
        DailyReset = "daily_reset",
        /// Workspaces contain files that the release does not read any more.
        RetiredFiles = "retired_files",
        /// The gateway runs fewer turns at once than the runtime sends.
        Concurrency = "concurrency",
    }
}

impl Problem {
    /// The subject of the check, for a list of subjects.
    pub fn subject(self) -> &'static str {
        match self {
            Self::Endpoint => "the endpoint for turns",
            Self::Agents => "the agents",
            Self::History => "the history of sessions",
            Self::HotReload => "whether changes take effect",
            Self::Sandbox => "the engine of sandboxes",
            Self::ToolSearch => "Tool Search",
            Self::OwnHeartbeat => "the gateway's own heartbeat",
            Self::DailyReset => "the reset of sessions",
            Self::RetiredFiles => "retired files in workspaces",
            Self::Concurrency => "the number of turns at once",
        }
    }
}

/// What is known of a gateway.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// Its release. An unknown one counts as the newest.
    pub release: Option<Release>,
    /// Its configuration.
    pub config: Option<&'a Value>,
    /// Whether its endpoint for turns answers.
    pub endpoint: Option<bool>,
    /// Whether it lets us read the history of sessions.
    pub history: Option<bool>,
    /// The agents that it lists.
    pub listed: Option<&'a [String]>,
    /// The slugs of the account's agents. `None` if Mission Control did not list them.
    pub team: Option<&'a [String]>,
    /// Whether agents are to call our tools.
    pub client_tools: bool,
    /// How many turns the runtime sends at once.
    pub turns: u64,
    /// Whether it has the engine of its sandboxes.
    pub engine: Option<bool>,
    /// The files in the agents' workspaces that the release does not read any more. `None` if they cannot be seen.
    pub retired: Option<&'a [String]>,
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Diagnosis {
    /// The problem does not exist.
    Fine,
    /// The problem exists, and deliveries work all the same: a sentence with the remedy.
    Note(String),
    /// The problem exists, and work fails or is lost because of it: a sentence with the remedy.
    Wrong(String),
    /// Neither a probe nor the configuration shows it.
    Unseen,
}

/// A problem with the result of its check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// The problem.
    pub problem: Problem,
    /// The result.
    pub diagnosis: Diagnosis,
}

/// A gateway as the checks see it.
struct Sight<'a> {
    facts: Facts<'a>,
    form: Form,
    defaults: Defaults,
}

impl<'a> Sight<'a> {
    fn new(facts: Facts<'a>) -> Self {
        let form = facts.release.map_or(Form::Entries, Form::of);
        Self { facts, form, defaults: Defaults::of(facts.release) }
    }

    /// The form in which the configuration has its agents, else that of the release.
    fn roster_form(&self) -> Form {
        agents::form_of(self.get(&["agents"]), self.form)
    }

    /// The value at this path of the configuration.
    fn get(&self, path: &[&str]) -> Option<&'a Value> {
        path.iter().try_fold(self.facts.config?, |value, key| value.get(key))
    }
}

/// A row of the table.
struct Row {
    problem: Problem,
    judge: fn(&Sight<'_>) -> Diagnosis,
    /// Changes the configuration so that the problem is gone. Returns false if the configuration cannot express that.
    repair: Option<fn(&mut Tree, &Sight<'_>) -> bool>,
}

/// The known problems, the worst ones first.
const TABLE: [Row; 10] = [
    Row { problem: Problem::Endpoint, judge: judge::endpoint, repair: Some(repair::endpoint) },
    Row { problem: Problem::Agents, judge: judge::agents, repair: Some(repair::agents) },
    Row { problem: Problem::History, judge: judge::history, repair: Some(repair::history) },
    Row { problem: Problem::HotReload, judge: judge::hot_reload, repair: None },
    // A sandbox is a decision of the operator: it is named, and not switched off.
    Row { problem: Problem::Sandbox, judge: judge::sandbox, repair: None },
    Row { problem: Problem::ToolSearch, judge: judge::tool_search, repair: Some(repair::tool_search) },
    Row { problem: Problem::OwnHeartbeat, judge: judge::own_heartbeat, repair: Some(repair::own_heartbeat) },
    Row { problem: Problem::DailyReset, judge: judge::daily_reset, repair: Some(repair::daily_reset) },
    // The gateway's own doctor moves these files.
    Row { problem: Problem::RetiredFiles, judge: judge::retired_files, repair: None },
    Row { problem: Problem::Concurrency, judge: judge::concurrency, repair: Some(repair::concurrency) },
];

/// The form in which the configuration has its agents, else that of the release.
pub fn roster_form(facts: &Facts<'_>) -> Form {
    Sight::new(*facts).roster_form()
}

/// Checks every known problem.
pub fn examine(facts: &Facts<'_>) -> Vec<Examined> {
    let sight = Sight::new(*facts);
    TABLE.iter().map(|row| Examined { problem: row.problem, diagnosis: (row.judge)(&sight) }).collect()
}
