//! The part of `/health` about workspaces.

use std::path::Path;

use mcr_model::clock::Millis;
use serde::Serialize;

/// The most agents that `/health` lists: those with a problem first.
const AGENTS_MAX: usize = 60;

/// The most remarks about one agent.
const WARNINGS_MAX: usize = 10;

/// The state of the workspaces.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkspaceHealth {
    /// Whether the runtime writes workspaces.
    pub enabled: bool,
    /// The folder of the workspaces.
    pub root: String,
    /// When the workspaces were last compared with Mission Control.
    pub last_sync_at: Option<Millis>,
    /// Why all workspaces, or the gateway's configuration, cannot be written.
    pub error: Option<String>,
    /// Why the workspaces of former agents stay, if Mission Control lists no agents at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
    /// The gateway's generated configuration.
    pub configuration: ConfigurationHealth,
    /// How many agents have a workspace.
    pub count: usize,
    /// How many files the last sync changed.
    pub changes: usize,
    /// How many files the last sync read, because they may have changed since they were last read.
    pub reads: usize,
    /// How long the last sync took, in milliseconds.
    pub sync_ms: u64,
    /// The agents with a workspace.
    pub agents: Vec<AgentFiles>,
    /// The agents without a workspace, by their slugs, and why.
    pub rejected: Vec<(String, String)>,
    /// Removed agents whose files could not be removed, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<(String, String)>,
}

/// The state of the gateway's generated configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationHealth {
    /// Its path.
    pub path: String,
    /// How many agents it names.
    pub agents: usize,
    /// When it was last written.
    pub changed_at: Option<Millis>,
}

/// The files of one agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentFiles {
    /// The agent's slug.
    pub slug: String,
    /// How many files follow Mission Control.
    pub files: usize,
    /// When the runtime last wrote one of them.
    pub changed_at: Option<Millis>,
    /// How many files the last sync changed.
    pub changes: usize,
    /// How many files the last sync read. A file is read if it may have changed since it was last read.
    pub reads: usize,
    /// Why the last sync failed.
    pub error: Option<String>,
    /// What the operator should know.
    pub warnings: Vec<String>,
}

impl WorkspaceHealth {
    pub(super) fn new(root: &Path, now: Millis) -> Self {
        Self { enabled: true, root: root.display().to_string(), last_sync_at: Some(now), ..Self::default() }
    }

    /// Whether a file cannot be written.
    pub fn is_failing(&self) -> bool {
        let fails = |agent: &AgentFiles| agent.error.is_some();
        self.error.is_some() || self.agents.iter().any(fails) || !self.removed.is_empty()
    }

    /// The state for `/health`: every text cleaned, long lists shortened, agents with a problem first.
    #[must_use]
    pub fn shown(mut self, clean: &dyn Fn(&str) -> String) -> Self {
        self.count = self.agents.len();
        self.changes = self.agents.iter().map(|agent| agent.changes).sum();
        self.reads = self.agents.iter().map(|agent| agent.reads).sum();
        self.agents.sort_by_key(|agent| (agent.error.is_none(), agent.warnings.is_empty()));
        self.agents.truncate(AGENTS_MAX);
        self.rejected.truncate(AGENTS_MAX);
        self.removed.truncate(AGENTS_MAX);
        let texts = [&mut self.root, &mut self.configuration.path].into_iter();
        for text in texts.chain(&mut self.error).chain(&mut self.kept) {
            *text = clean(text);
        }
        for agent in &mut self.agents {
            agent.warnings.truncate(WARNINGS_MAX);
            agent.warnings.iter_mut().chain(&mut agent.error).for_each(|text| *text = clean(text));
        }
        for (slug, why) in self.rejected.iter_mut().chain(&mut self.removed) {
            (*slug, *why) = (clean(slug), clean(why));
        }
        self
    }
}
