//! The skills that a queue publishes, on this disk (worker-pool B.10).
//!
//! [`SkillsSync`] fetches the manifest, checks it as a whole and puts its skills in place. `apply` stages all of them first
//! and then swaps them, so one bad skill changes nothing, and a crash between two renames is completed at the next start.
//! `state` has the files that tell other programs about it. [`folders`] and [`read_skill`] read what is there.

mod apply;
mod read;
mod state;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use log::{info, warn};
use serde::Serialize;

pub use apply::{SkillsChange, SkillsFolder};
pub use read::{ReadSkill, folders, read_skill, read_text};

use mcr_clients::pool::{GetSkillsManifest, PoolClient, ReleaseChannel};
use mcr_core::skills::{CheckedManifest, SkillManifest, check};
use mcr_model::WorkerId;
use mcr_model::clock::Clock;

/// The most mistakes that are named.
const MISTAKES_MAX: usize = 5;

/// What happens to folders that the manifest does not name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SkillsPolicy {
    /// Those of the queue are removed when they leave the manifest; others stay.
    Managed,
    /// And all others go into quarantine, except these. The gateway does not start without a good manifest.
    Enforce(Vec<String>),
}

/// How skills are kept in line with the queue.
#[derive(Clone, Debug)]
pub struct SkillsRules {
    /// Whether the queue publishes the skills (`db_manifest`). Otherwise nothing is changed (`off`).
    pub is_on: bool,
    /// What happens to other folders.
    pub policy: SkillsPolicy,
    /// Whether the gateway needs the skills.
    pub required: bool,
    /// How long the manifest may take.
    pub timeout: Duration,
    /// The channel.
    pub channel: ReleaseChannel,
}

/// Keeps a folder of skills in line with the queue.
pub struct SkillsSync {
    /// The queue.
    pub pool: PoolClient,
    /// The rules.
    pub rules: SkillsRules,
    /// The folder of the skills.
    pub folder: PathBuf,
    /// The folder of the gateway's state, where the state file is.
    pub state: PathBuf,
    /// The workspace.
    pub workspace_id: String,
    /// The worker.
    pub worker_id: WorkerId,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

/// How a sync ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "camelCase")]
pub enum SkillsOutcome {
    /// The mode is `off`.
    Skipped,
    /// The folder has the skills of this manifest.
    Ready {
        /// The version of the manifest.
        #[serde(rename = "manifestVersion")]
        manifest_version: String,
        /// What was changed.
        #[serde(flatten)]
        change: SkillsChange,
    },
    /// Nothing was changed, for this reason.
    Failed {
        /// The reason, in sentences.
        error: String,
        /// Whether the gateway must not start.
        #[serde(rename = "gatewayMustNotStart")]
        is_fatal: bool,
    },
}

impl SkillsOutcome {
    /// Whether the gateway may start with the skills that are there.
    pub fn may_start_gateway(&self) -> bool {
        !matches!(self, Self::Failed { is_fatal: true, .. })
    }
}

impl SkillsSync {
    /// Fetches the manifest and puts its skills in place. The result is also written to the state file.
    pub fn sync(&self) -> SkillsOutcome {
        if !self.rules.is_on {
            self.note(&state::SkillsNote::Skipped);
            return SkillsOutcome::Skipped;
        }
        match self.fetch_and_apply() {
            Ok((manifest_version, change)) => {
                info!(version = manifest_version, installed = change.installed.len(); "Skills are up to date");
                for folder in &change.blocked {
                    warn!(folder; "A skill of the queue is not installed: another folder has its name");
                }
                SkillsOutcome::Ready { manifest_version, change }
            }
            Err(error) => {
                let is_fatal = self.rules.required || self.rules.policy != SkillsPolicy::Managed;
                warn!(error, is_fatal; "Skills could not be brought up to date, and nothing was changed");
                self.note(&state::SkillsNote::Failed(&error));
                SkillsOutcome::Failed { error, is_fatal }
            }
        }
    }

    fn fetch_and_apply(&self) -> Result<(String, SkillsChange), String> {
        let folder = SkillsFolder::open(&self.folder)?;
        let request = GetSkillsManifest {
            workspace_id: Some(&self.workspace_id),
            worker_id: Some(&self.worker_id),
            release_channel: Some(self.rules.channel),
        };
        let asked = self.pool.ask_within(self.rules.timeout, &request);
        let manifest: SkillManifest = asked.map_err(|error| error.to_string())?;
        let checked = check(&manifest).map_err(|mistakes| refused(&mistakes))?;
        let change = folder.apply(&checked, &self.rules.policy, &self.lock_of(&manifest, &checked))?;
        self.note(&state::SkillsNote::Ready { manifest: &manifest, count: checked.skills.len() });
        Ok((checked.version, change))
    }

    fn lock_of(&self, manifest: &SkillManifest, checked: &CheckedManifest) -> Vec<u8> {
        state::lock(manifest, checked, &self.folder, &self.workspace_id, &self.worker_id)
    }

    fn note(&self, note: &state::SkillsNote<'_>) {
        if let Err(why) = state::write(self, note) {
            let path = state::path_of(&self.state);
            warn!(path:% = path.display(), why:%; "The state of the skills cannot be written");
        }
    }
}

/// The mistakes of a manifest in one text.
fn refused(mistakes: &[String]) -> String {
    let named: Vec<&str> = mistakes.iter().take(MISTAKES_MAX).map(String::as_str).collect();
    let more = mistakes.len().saturating_sub(MISTAKES_MAX);
    let more = if more == 0 { String::new() } else { format!(", and {more} more mistakes") };
    format!("The manifest of the skills must not be used, not even in part: {}{more}", named.join("; "))
}
