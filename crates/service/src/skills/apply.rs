//! Puts the skills of a checked manifest in place: all of them, or none.
//!
//! All new skills are written next to the folder first. Then a plan is written, and only then are folders renamed. An error
//! undoes the renames. A crash leaves the plan, and the next start completes it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use log::info;
use serde::{Deserialize, Serialize};

use super::SkillsPolicy;
use super::read::read_skill;
use mcr_core::skills::{CheckedManifest, CheckedSkill, MARKER};
use mcr_model::random;

/// The file in the folder of the skills that says which ones the queue has published.
pub(super) const LOCK: &str = ".skills.lock.json";

/// Files that may be next to the skills.
const PLAIN_FILES: [&str; 2] = [LOCK, ".gitkeep"];

/// The plan of a swap that has begun.
const PLAN: &str = "plan.json";

/// What a sync has changed. All lists have the names of folders.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SkillsChange {
    /// New and replaced ones.
    pub installed: Vec<String>,
    /// Those that were right already.
    pub unchanged: Vec<String>,
    /// Those that left the manifest.
    pub removed: Vec<String>,
    /// Skills of the manifest that are not installed, because another folder has the name.
    pub blocked: Vec<String>,
    /// What was put aside.
    pub quarantined: Vec<String>,
}

/// The folder of the skills.
pub struct SkillsFolder {
    path: PathBuf,
    /// The place of new and former skills during a swap.
    work: PathBuf,
    /// Where unlisted folders go.
    quarantine: PathBuf,
}

/// What a swap does. Repeating it after a crash is harmless.
#[derive(Debug, Default, Serialize, Deserialize)]
struct SwapPlan {
    install: Vec<String>,
    remove: Vec<String>,
    /// Names, and their names in quarantine.
    quarantine: Vec<(String, String)>,
}

impl SkillsFolder {
    /// Opens the folder at this path, creates it if it is missing, and completes an interrupted swap. The error is a
    /// sentence.
    pub fn open(path: &Path) -> Result<Self, String> {
        match path.symlink_metadata() {
            Ok(facts) if !facts.is_dir() => {
                return Err(format!("{} is a link or a file. Replace it by a folder", path.display()));
            }
            Ok(_) => {}
            Err(why) if why.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(path).map_err(sentence(path, "made"))?;
            }
            Err(why) => return Err(sentence(path, "opened")(why)),
        }
        let beside = |suffix: &str| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            path.with_file_name(format!("{name}.{suffix}"))
        };
        let folder = Self { path: path.to_owned(), work: beside("sync"), quarantine: beside("quarantine") };
        folder.recover()?;
        Ok(folder)
    }

    fn recover(&self) -> Result<(), String> {
        let plan = self.work.join(PLAN);
        match fs::read(&plan) {
            Ok(bytes) => {
                // A plan is written completely or not at all.
                let parsed = serde_json::from_slice::<SwapPlan>(&bytes);
                let parsed = parsed.map_err(|why| format!("{} cannot be read: {why}", plan.display()))?;
                self.carry_out(&parsed)?;
                info!("An interrupted change of the skills was completed");
            }
            Err(why) if matches!(why.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(why) => return Err(sentence(&plan, "read")(why)),
        }
        self.clean()
    }

    fn clean(&self) -> Result<(), String> {
        // Without the plan, the rest counts as remains.
        let removed = remove(&self.work.join(PLAN)).and_then(|()| remove(&self.work));
        removed.map_err(sentence(&self.work, "deleted"))
    }

    /// Makes the folder have the skills of the manifest. After an error it is as it was.
    pub fn apply(
        &self,
        manifest: &CheckedManifest,
        policy: &SkillsPolicy,
        lock: &[u8],
    ) -> Result<SkillsChange, String> {
        let (change, plan) = self.plan(manifest, policy)?;
        let done = self.stage(manifest, &plan, lock).and_then(|()| {
            self.carry_out(&plan).inspect_err(|_| {
                // The renames were undone, so no start may complete them.
                let _ = remove(&self.work.join(PLAN));
            })
        });
        let cleaned = self.clean();
        done.and(cleaned).map(|()| change)
    }

    fn plan(
        &self,
        manifest: &CheckedManifest,
        policy: &SkillsPolicy,
    ) -> Result<(SkillsChange, SwapPlan), String> {
        let (mut change, mut plan) = (SkillsChange::default(), SwapPlan::default());
        let allowed: BTreeSet<&str> = match policy {
            SkillsPolicy::Managed => BTreeSet::new(),
            SkillsPolicy::Enforce(allowed) => allowed.iter().map(String::as_str).collect(),
        };
        let enforces = matches!(policy, SkillsPolicy::Enforce(_));
        let mut there = BTreeSet::new();
        for entry in fs::read_dir(&self.path).map_err(sentence(&self.path, "read"))? {
            let entry = entry.map_err(sentence(&self.path, "read"))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let wanted = manifest.skills.iter().find(|skill| skill.folder == name);
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let is_managed = is_folder && entry.path().join(MARKER).symlink_metadata().is_ok();
            if !is_folder && PLAIN_FILES.contains(&name.as_str()) {
                continue;
            }
            match wanted {
                Some(skill) if is_managed && is_as_published(&entry.path(), skill) => {
                    change.unchanged.push(name.clone());
                    there.insert(name);
                }
                // Installed again.
                Some(_) if is_managed => {}
                None if is_managed => plan.remove.push(name),
                _ if enforces && !allowed.contains(name.as_str()) => {
                    let aside = format!("{name}-{}", random::hex::<4>());
                    plan.quarantine.push((name, aside));
                }
                Some(_) => {
                    change.blocked.push(name.clone());
                    there.insert(name);
                }
                None => {}
            }
        }
        let missing = manifest.skills.iter().filter(|skill| !there.contains(&skill.folder));
        plan.install = missing.map(|skill| skill.folder.clone()).collect();
        for list in [&mut change.unchanged, &mut change.blocked, &mut plan.remove] {
            list.sort_unstable();
        }
        plan.quarantine.sort_unstable();
        change.installed.clone_from(&plan.install);
        change.removed.clone_from(&plan.remove);
        change.quarantined = plan.quarantine.iter().map(|(name, _)| name.clone()).collect();
        Ok((change, plan))
    }

    /// Writes all new skills, the lock file and the plan next to the folder.
    fn stage(&self, manifest: &CheckedManifest, plan: &SwapPlan, lock: &[u8]) -> Result<(), String> {
        let staged = || -> io::Result<()> {
            fs::create_dir_all(self.work.join("new"))?;
            fs::create_dir_all(self.work.join("old"))?;
            for skill in manifest.skills.iter().filter(|skill| plan.install.contains(&skill.folder)) {
                for (path, content) in &skill.files {
                    let path = self.work.join("new").join(&skill.folder).join(path);
                    fs::create_dir_all(path.parent().unwrap_or(&path))?;
                    fs::write(path, content)?;
                }
            }
            fs::write(self.work.join("new").join(LOCK), lock)?;
            let folder = fs::File::open(&self.work)?;
            nix::unistd::syncfs(&folder)?;
            let draft = self.work.join("plan.draft");
            fs::write(&draft, serde_json::to_vec(plan)?)?;
            fs::File::open(&draft)?.sync_all()?;
            fs::rename(&draft, self.work.join(PLAN))?;
            folder.sync_all()
        };
        staged().map_err(sentence(&self.work, "written"))
    }

    /// Renames what the plan names. An error undoes what was done by then.
    fn carry_out(&self, plan: &SwapPlan) -> Result<(), String> {
        let mut done: Vec<(PathBuf, PathBuf)> = Vec::new();
        let mut rename = |from: PathBuf, to: PathBuf| -> Result<(), String> {
            if from.symlink_metadata().is_err() {
                return Ok(());
            }
            fs::rename(&from, &to).map_err(sentence(&from, "moved"))?;
            done.push((from, to));
            Ok(())
        };
        let mut all = || -> Result<(), String> {
            let here = |name: &str| self.path.join(name);
            let (new, old) = (self.work.join("new"), self.work.join("old"));
            if !plan.quarantine.is_empty() {
                fs::create_dir_all(&self.quarantine).map_err(sentence(&self.quarantine, "made"))?;
            }
            for (name, aside) in &plan.quarantine {
                let aside = self.quarantine.join(aside);
                // After a crash, the name may belong to the new skill already.
                if aside.symlink_metadata().is_err() {
                    rename(here(name), aside)?;
                }
            }
            for name in &plan.remove {
                rename(here(name), old.join(format!("{name}.removed")))?;
            }
            for name in plan.install.iter().map(String::as_str).chain([LOCK]) {
                if new.join(name).symlink_metadata().is_ok() {
                    rename(here(name), old.join(name))?;
                    rename(new.join(name), here(name))?;
                }
            }
            Ok(())
        };
        let result = all();
        if let Err(error) = result {
            for (from, to) in done.iter().rev() {
                if let Err(why) = fs::rename(to, from) {
                    return Err(format!("{error}; and {} cannot be moved back: {why}", to.display()));
                }
            }
            return Err(error);
        }
        let synced = fs::File::open(&self.path).and_then(|folder| folder.sync_all());
        synced.map_err(sentence(&self.path, "written"))
    }
}

/// Whether a folder has exactly the files of this skill.
fn is_as_published(path: &Path, skill: &CheckedSkill) -> bool {
    let found = read_skill(path, skill.folder.clone());
    let marker = found.marker.iter().map(|content| (MARKER, content.as_str()));
    let files = found.files.iter().map(|(path, content)| (path.as_str(), content.as_str()));
    let found_files: BTreeSet<(&str, &str)> = files.chain(marker).collect();
    let published = skill.files.iter().map(|(path, content)| (path.as_str(), content.as_str()));
    found.strange.is_empty() && found_files == published.collect()
}

fn sentence(path: &Path, what: &str) -> impl FnOnce(io::Error) -> String {
    let start = format!("{} cannot be {what}", path.display());
    move |why| format!("{start}: {why}")
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = match path.symlink_metadata() {
        Ok(facts) if facts.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(why) => Err(why),
    };
    match removed {
        Err(why) if matches!(why.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(()),
        other => other,
    }
}
