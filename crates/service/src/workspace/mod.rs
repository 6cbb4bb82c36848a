//! Writes the agents' workspaces, as [`mcr_core::workspace`] plans them, and the gateway's generated configuration.
//!
//! [`Workspaces`] has the folder of all workspaces. [`Workspaces::sync`] brings them up to date with Mission Control.
//! Each workspace is changed in one transaction ([`transaction`]): after a crash at any write it has all files of the
//! former state or all files of the new one. One workspace that cannot be written does not stop the others.

mod configuration;
mod decided;
mod found;
pub mod health;
pub mod listing;
pub mod token;
pub mod transaction;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mcr_core::absence::{Absences, CONFIRM_AFTER};
use mcr_core::gateway::dialect::Release;
use mcr_core::spans::counted;
use mcr_core::workspace::roster::{self, Rejected, RejectedBecause, Selected};
use mcr_core::workspace::{
    ConfiguredAgent, Desired, FolderName, Layout, ProfileTexts, agents_text, desired, heartbeat_text,
};
use mcr_files::shared::SharedFolder;
use mcr_model::clock::Millis;
use mcr_model::secret::Secret;
use mcr_model::{AgentId, AgentProfile};
use serde_json::Value;

use configuration::Configuration;
use health::{AgentFiles, WorkspaceHealth};
use transaction::{BeforeWrite, Workspace};

/// The longest text of an operator that replaces a text of the program.
const TEXT_BYTES_MAX: u64 = 256 * 1024;

/// An agent's row in Mission Control's answer, or why it cannot be read.
pub type ProfileRow = Result<AgentProfile, String>;

/// Returns an agent's token for the agent API.
pub type AgentTokens<'a> = &'a dyn Fn(&AgentId) -> Option<Secret>;

/// The folder of all workspaces.
pub struct Workspaces {
    root: PathBuf,
    before: Box<BeforeWrite>,
    /// The agents that are missing in the last answer. An agent is removed if a later answer confirms that.
    absences: Absences<String>,
}

impl Workspaces {
    /// The workspaces in this folder.
    pub fn new(root: PathBuf) -> Self {
        Self::with(root, Box::new(|_| Ok(())))
    }

    /// The workspaces in this folder. `before` is called before each change on the disk, and may refuse it.
    pub fn with(root: PathBuf, before: Box<BeforeWrite>) -> Self {
        // The gateway has another working directory.
        let root = std::path::absolute(&root).unwrap_or(root);
        Self { root, before, absences: Absences::new(CONFIRM_AFTER) }
    }

    /// Two answers that are this far apart prove that an agent is gone.
    #[must_use]
    pub fn confirming_after(self, confirm_after: Duration) -> Self {
        Self { absences: Absences::new(confirm_after), ..self }
    }

    /// Completes the writes that an earlier process did not. A workspace with an error does not stop the others; the
    /// first error is returned.
    pub fn recover(&self) -> io::Result<()> {
        let Ok(root) = SharedFolder::open(&self.root) else { return Ok(()) };
        let recover = |name: FolderName| match root.folder(name.as_str())? {
            Some(folder) => Workspace::new(folder, root.sharing()?, &*self.before).recover(),
            None => Ok(()),
        };
        workspace_names(&root)?.into_iter().map(recover).fold(Ok(()), io::Result::and)
    }

    /// Brings all workspaces and the gateway's configuration up to date with Mission Control's answer.
    /// `tokens` returns an agent's token for the agent API, if agents need one.
    pub fn sync(
        &mut self,
        rows: &[ProfileRow],
        tokens: AgentTokens<'_>,
        release: Option<Release>,
        now: Millis,
    ) -> WorkspaceHealth {
        let mut health = WorkspaceHealth::new(&self.root, now);
        let root = match SharedFolder::make(&self.root) {
            Ok(root) => root,
            Err(why) => {
                health.error = Some(unwritable(&self.root, &why));
                return health;
            }
        };
        let selected = roster::select(rows.iter().map(|row| row.as_ref().map_err(String::as_str)));
        health.rejected =
            selected.rejected.iter().map(|agent| (agent.slug.clone(), agent.why.to_string())).collect();
        if let Err(why) = self.sync_all(&root, &selected, tokens, release, now, &mut health) {
            health.error = Some(unwritable(&self.root, &why));
        }
        health
    }

    fn sync_all(
        &mut self,
        root: &SharedFolder,
        selected: &Selected<'_>,
        tokens: AgentTokens<'_>,
        release: Option<Release>,
        now: Millis,
        health: &mut WorkspaceHealth,
    ) -> io::Result<()> {
        let parent = self.root.parent().unwrap_or_else(|| Path::new("/"));
        let configuration = Configuration::open(parent, &*self.before);
        let texts = ProfileTexts {
            agents: own_text(parent, "AGENTS.md").unwrap_or_else(|| agents_text(&parent.to_string_lossy())),
            heartbeat: own_text(parent, "HEARTBEAT.md").unwrap_or_else(|| heartbeat_text().to_owned()),
        };
        let former = configuration.as_ref().ok().and_then(Configuration::found);
        let mut configured = Vec::new();
        for (name, profile) in &selected.agents {
            let mut skill_keys = Vec::new();
            let files = self.sync_one(
                root,
                name,
                former,
                release,
                &mut |layout| {
                    let mut desired = desired(profile, &texts, layout, now);
                    if let Some(token) = tokens(&profile.id) {
                        desired.add_token(&token);
                    }
                    skill_keys.clone_from(&desired.skill_keys);
                    desired
                },
                now,
            );
            if files.error.is_some() && skill_keys.is_empty() {
                skill_keys = desired(profile, &texts, Layout::default(), now).skill_keys;
            }
            health.agents.push(files);
            configured.push(ConfiguredAgent {
                id: name.to_string(),
                name: profile.name.clone(),
                workspace: self.root.join(name.as_str()).to_string_lossy().into_owned(),
                model: profile.openclaw_config.as_ref().map(|config| config.model.clone()),
                skill_keys,
            });
        }
        let here: BTreeSet<String> = selected.agents.iter().map(|(name, _)| name.folded()).collect();
        let mut missing: BTreeSet<String> = workspace_names(root)?
            .iter()
            .map(FolderName::to_string)
            .chain(former.into_iter().flat_map(configuration::ids))
            .collect();
        missing.retain(|name| !here.contains(&name.to_ascii_lowercase()));
        // The agent of an unreadable row is not gone.
        let unreadable = |agent: &Rejected| matches!(agent.why, RejectedBecause::Unreadable(_));
        // A list without any agent is most likely a mistake, and deleted profiles cannot be restored.
        let is_empty = selected.agents.is_empty() && selected.rejected.is_empty();
        if is_empty && !missing.is_empty() {
            health.kept = Some(format!(
                "Mission Control lists no agents, so {} of former agents stay: remove a folder by hand if its agent is gone",
                counted(missing.len() as u64, "workspace")
            ));
        }
        if is_empty || selected.rejected.iter().any(unreadable) {
            self.absences.clear();
        }
        let gone =
            if is_empty { BTreeSet::new() } else { self.absences.record(missing.iter().cloned(), now) };
        for name in gone.iter().filter_map(|name| FolderName::of(name).ok()) {
            if root.folder(name.as_str())?.is_some() {
                let files = self.sync_one(root, &name, None, release, &mut |_| Desired::default(), now);
                health.removed.extend(files.error.map(|why| (files.slug, why)));
            }
        }
        let unconfirmed: BTreeSet<String> = missing.difference(&gone).cloned().collect();
        let written = configuration.and_then(|mut file| file.write(&configured, &unconfirmed));
        match written {
            Ok(state) => health.configuration = state,
            Err(why) => health.error = Some(unwritable(parent, &why)),
        }
        Ok(())
    }

    fn sync_one(
        &self,
        root: &SharedFolder,
        name: &FolderName,
        former: Option<&Value>,
        release: Option<Release>,
        make: &mut dyn FnMut(Layout) -> Desired,
        now: Millis,
    ) -> AgentFiles {
        let synced = root.sharing().and_then(|sharing| {
            let folder = root.make_folder(name.as_str(), sharing)?;
            let workspace = Workspace::new(folder, sharing, &*self.before);
            let adopts = former.is_some_and(|file| mcr_core::workspace::names_workspace(file, name.as_str()));
            workspace.sync(&mut |layout| make(release.map_or(layout, Layout::of)), adopts, now)
        });
        match synced {
            Ok(synced) => AgentFiles {
                slug: name.to_string(),
                files: synced.manifest.files.len(),
                changed_at: synced.manifest.changed_at(),
                changes: synced.changes,
                reads: synced.reads,
                error: None,
                warnings: synced.warnings.iter().map(ToString::to_string).collect(),
            },
            Err(why) => {
                let error = unwritable(&self.root.join(name.as_str()), &why);
                AgentFiles { slug: name.to_string(), error: Some(error), ..AgentFiles::default() }
            }
        }
    }
}

/// A sentence about a folder that cannot be written.
fn unwritable(folder: &Path, why: &io::Error) -> String {
    let remedy = match why.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            ": make it writable for the user of the runtime"
        }
        io::ErrorKind::StorageFull => ": free space on its disk",
        _ => "",
    };
    format!("{} cannot be written ({why}){remedy}", folder.display())
}

/// The workspaces in which the runtime has a folder of its own.
fn workspace_names(root: &SharedFolder) -> io::Result<Vec<FolderName>> {
    let names = root.names()?.into_iter();
    let mut names: Vec<FolderName> = names
        .filter_map(|name| FolderName::of(&name).ok().filter(|usable| usable.as_str() == name))
        .filter(|name| {
            root.folder(name.as_str())
                .is_ok_and(|folder| folder.is_some_and(|folder| transaction::is_ours(&folder)))
        })
        .collect();
    names.sort();
    Ok(names)
}

/// A text that the operator put next to the workspaces, in place of the program's.
fn own_text(parent: &Path, name: &str) -> Option<String> {
    let bytes = SharedFolder::open(parent).ok()?.read(name, TEXT_BYTES_MAX).ok()??;
    String::from_utf8(bytes).ok().filter(|text| !text.trim().is_empty())
}
