//! The files about the skills that other programs read (worker-pool B.10): the lock file and the state file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::SkillsSync;
use mcr_core::skills::{CheckedManifest, SkillManifest};
use mcr_files::{Access, Folder};
use mcr_model::WorkerId;

/// The largest state file that is read.
const STATE_BYTES_MAX: u64 = 1024 * 1024;

/// The name of the state file.
const FILE: &str = "global-skills-state.json";

/// What is noted.
pub(super) enum SkillsNote<'a> {
    Skipped,
    Ready { manifest: &'a SkillManifest, count: usize },
    Failed(&'a str),
}

fn folder_of(state: &Path) -> PathBuf {
    state.join("bootstrap")
}

/// Where the state file is.
pub(super) fn path_of(state: &Path) -> PathBuf {
    folder_of(state).join(FILE)
}

/// The content of the lock file.
pub(super) fn lock(
    manifest: &SkillManifest,
    checked: &CheckedManifest,
    folder: &Path,
    workspace_id: &str,
    worker_id: &WorkerId,
) -> Vec<u8> {
    let row = |skill: &mcr_core::skills::CheckedSkill| json!({"slug": skill.slug, "version": skill.version, "sha256": skill.sha256, "skillDirName": skill.folder});
    let skills: Vec<Value> = checked.skills.iter().map(row).collect();
    let lock = json!({
        "layoutVersion": manifest.layout_version,
        "manifestVersion": checked.version,
        "generatedAt": manifest.generated_at,
        "releaseChannel": manifest.release_channel,
        "skillsDir": folder.to_string_lossy(),
        "skillsCount": skills.len(),
        "skills": skills,
        "workspaceId": workspace_id,
        "workerId": worker_id.as_str(),
    });
    format!("{lock:#}\n").into_bytes()
}

/// Writes the state file. The last good manifest stays in it after a failure.
pub(super) fn write(sync: &SkillsSync, note: &SkillsNote<'_>) -> io::Result<()> {
    let now = sync.clock.now().0;
    let mut state = json!({
        "source": "db_manifest",
        "required": sync.rules.required,
        "releaseChannel": sync.rules.channel,
        "workspaceId": sync.workspace_id,
        "workerId": sync.worker_id.as_str(),
        "lastError": null,
        "lastKnownGood": last_known_good(&sync.state),
    });
    let skills_dir = sync.folder.to_string_lossy();
    match note {
        SkillsNote::Skipped => {
            (state["status"], state["skippedAt"]) = (json!("skipped"), json!(now));
            (state["reason"], state["skillsDir"]) = (json!("mode_off"), json!(skills_dir));
        }
        SkillsNote::Ready { manifest, count } => {
            (state["status"], state["appliedAt"]) = (json!("ready"), json!(now));
            state["lockfile"] = json!(sync.folder.join(super::apply::LOCK).to_string_lossy());
            state["lastKnownGood"] = json!({
                "manifestVersion": manifest.manifest_version,
                "generatedAt": manifest.generated_at,
                "skillsCount": count,
            });
        }
        SkillsNote::Failed(error) => {
            (state["status"], state["failedAt"]) = (json!("failed"), json!(now));
            (state["lastError"], state["skillsDir"]) = (json!(error), json!(skills_dir));
        }
    }
    let path = folder_of(&sync.state);
    fs::create_dir_all(&sync.state)?;
    Folder::make(&path, Access::OwnerOrRoot)?.write(FILE, format!("{state:#}\n").as_bytes())
}

fn last_known_good(state: &Path) -> Value {
    let path = path_of(state);
    let is_small = path.metadata().is_ok_and(|facts| facts.len() <= STATE_BYTES_MAX);
    let text = if is_small { fs::read(&path).unwrap_or_default() } else { Vec::new() };
    let mut state: Value = serde_json::from_slice(&text).unwrap_or_default();
    state["lastKnownGood"].take()
}
