//! Puts the skills of a checked manifest in place: all of them, or none.
//!
//! All new skills are written next to the folder first. Then a plan is written, and only then are folders renamed. An error
//! undoes the renames. A crash leaves the plan, and the next start completes it.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
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

/// How many characters of a name stay in its name in quarantine.
const ASIDE_CHARS: usize = 60;

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

/// The name of a folder that is there. It may be no valid text, because an agent can choose it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
enum FoundName {
    Text(String),
    Bytes(Vec<u8>),
}

impl FoundName {
    fn of(name: OsString) -> Self {
        name.into_string().map_or_else(|name| Self::Bytes(name.into_vec()), Self::Text)
    }

    fn as_os(&self) -> &OsStr {
        match self {
            Self::Text(text) => OsStr::new(text),
            Self::Bytes(bytes) => OsStr::from_bytes(bytes),
        }
    }

    /// For people.
    fn shown(&self) -> String {
        self.as_os().to_string_lossy().into_owned()
    }

    /// A new name in quarantine. It begins like this one, and is short enough for every file system.
    fn aside(&self) -> String {
        let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let start: String = self.shown().chars().filter(is_plain).take(ASIDE_CHARS).collect();
        format!("{start}-{}", random::hex::<8>())
    }
}

/// What a swap does. Repeating it after a crash is harmless.
#[derive(Debug, Default, Serialize, Deserialize)]
struct SwapPlan {
    install: Vec<String>,
    remove: Vec<FoundName>,
    /// Names, and their names in quarantine.
    quarantine: Vec<(FoundName, String)>,
}

/// Whether a plan is carried out for the first time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PlanRun {
    /// All that the plan names is there.
    First,
    /// A crash has interrupted it: a part is done.
    Recovery,
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
                self.carry_out(&parsed, PlanRun::Recovery)?;
                info!("An interrupted change of the skills was completed");
            }
            Err(why) if matches!(why.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(why) => return Err(sentence(&plan, "read")(why)),
        }
        self.clean()
    }

    fn clean(&self) -> Result<(), String> {
        // Without the plan, the rest counts as remains.
        let removed =
            mcr_files::remove_any(&self.work.join(PLAN)).and_then(|()| mcr_files::remove_any(&self.work));
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
            self.carry_out(&plan, PlanRun::First).inspect_err(|_| {
                // The renames were undone, so no start may complete them.
                let _ = mcr_files::remove_any(&self.work.join(PLAN));
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
        let allowed: &[String] = match policy {
            SkillsPolicy::Managed => &[],
            SkillsPolicy::Enforce(allowed) => allowed,
        };
        let enforces = matches!(policy, SkillsPolicy::Enforce(_));
        let mut there: BTreeSet<&str> = BTreeSet::new();
        for entry in fs::read_dir(&self.path).map_err(sentence(&self.path, "read"))? {
            let entry = entry.map_err(sentence(&self.path, "read"))?;
            let name = FoundName::of(entry.file_name());
            let is_named = |known: &str| name.as_os() == known;
            let wanted = manifest.skills.iter().find(|skill| is_named(&skill.folder));
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let is_managed = is_folder && entry.path().join(MARKER).symlink_metadata().is_ok();
            if !is_folder && PLAIN_FILES.iter().any(|known| is_named(known)) {
                continue;
            }
            match wanted {
                Some(skill) if is_managed && is_as_published(&entry.path(), skill) => {
                    change.unchanged.push(skill.folder.clone());
                    there.insert(&skill.folder);
                }
                // Installed again.
                Some(_) if is_managed => {}
                None if is_managed => plan.remove.push(name),
                _ if enforces && !allowed.iter().any(|known| is_named(known)) => {
                    let aside = name.aside();
                    plan.quarantine.push((name, aside));
                }
                Some(skill) => {
                    change.blocked.push(skill.folder.clone());
                    there.insert(&skill.folder);
                }
                None => {}
            }
        }
        let missing = manifest.skills.iter().filter(|skill| !there.contains(skill.folder.as_str()));
        plan.install = missing.map(|skill| skill.folder.clone()).collect();
        for list in [&mut change.unchanged, &mut change.blocked] {
            list.sort_unstable();
        }
        plan.remove.sort_unstable();
        plan.quarantine.sort_unstable();
        change.installed.clone_from(&plan.install);
        change.removed = plan.remove.iter().map(FoundName::shown).collect();
        change.quarantined = plan.quarantine.iter().map(|(name, _)| name.shown()).collect();
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
    fn carry_out(&self, plan: &SwapPlan, run: PlanRun) -> Result<(), String> {
        let mut done: Vec<(PathBuf, PathBuf)> = Vec::new();
        let mut rename = |from: PathBuf, to: PathBuf, may_be_missing: bool| -> Result<(), String> {
            let is_missing = || from.symlink_metadata().is_err_and(|why| why.kind() == ErrorKind::NotFound);
            if may_be_missing && is_missing() {
                return Ok(());
            }
            fs::rename(&from, &to).map_err(sentence(&from, "moved"))?;
            done.push((from, to));
            Ok(())
        };
        let mut all = || -> Result<(), String> {
            let here = |name: &OsStr| self.path.join(name);
            let is_again = run == PlanRun::Recovery;
            let [new, old, removed] = ["new", "old", "removed"].map(|name| self.work.join(name));
            fs::create_dir_all(&removed).map_err(sentence(&removed, "made"))?;
            if !plan.quarantine.is_empty() {
                fs::create_dir_all(&self.quarantine).map_err(sentence(&self.quarantine, "made"))?;
            }
            for (name, aside) in &plan.quarantine {
                let aside = self.quarantine.join(aside);
                // After a crash, the name may belong to the new skill already.
                if !is_again || aside.symlink_metadata().is_err() {
                    rename(here(name.as_os()), aside, is_again)?;
                }
            }
            for (number, name) in plan.remove.iter().enumerate() {
                // The name may be too long for any addition.
                rename(here(name.as_os()), removed.join(number.to_string()), is_again)?;
            }
            for name in plan.install.iter().map(String::as_str).chain([LOCK]) {
                if !is_again || new.join(name).symlink_metadata().is_ok() {
                    // A new skill replaces nothing.
                    rename(here(name.as_ref()), old.join(name), true)?;
                    rename(new.join(name), here(name.as_ref()), is_again)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of skills in a folder of its own, and the sync of an empty manifest with `enforce`.
    fn enforced(skills: &Path) -> Result<SkillsChange, String> {
        let manifest = CheckedManifest { version: "1".to_owned(), skills: Vec::new() };
        SkillsFolder::open(skills)?.apply(&manifest, &SkillsPolicy::Enforce(Vec::new()), b"{}")
    }

    fn names(folder: &Path) -> Vec<OsString> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    /// E.5.11: an agent cannot keep a folder active by its name, nor stop the sync.
    #[test]
    fn names_that_are_no_text_or_long_are_put_aside_or_removed() {
        let no_text = OsString::from_vec(b"skill-\xff".to_vec());
        for (name, is_marked) in [
            (no_text.clone(), false),
            (no_text, true),
            ("x".repeat(255).into(), false),
            ("x".repeat(255).into(), true),
        ] {
            let root = tempfile::tempdir().unwrap();
            let skills = root.path().join("skills");
            fs::create_dir_all(skills.join(&name)).unwrap();
            fs::write(skills.join(&name).join("SKILL.md"), "of the agent").unwrap();
            if is_marked {
                fs::write(skills.join(&name).join(MARKER), "{}").unwrap();
            }
            let change = enforced(&skills).unwrap();
            let shown = vec![name.to_string_lossy().into_owned()];
            let expected = if is_marked { (shown, Vec::new()) } else { (Vec::new(), shown) };
            assert_eq!((change.removed, change.quarantined), expected);
            assert_eq!(names(&skills), [LOCK]);
            let aside = root.path().join("skills.quarantine");
            assert_eq!(aside.exists(), !is_marked);
            if !is_marked {
                let kept = names(&aside);
                assert_eq!(kept.len(), 1);
                assert_eq!(
                    fs::read_to_string(aside.join(&kept[0]).join("SKILL.md")).unwrap(),
                    "of the agent"
                );
            }
        }
    }

    /// What was not moved must not be reported as moved. Only after a crash may it be gone already.
    #[test]
    fn a_missing_folder_is_an_error_unless_a_crash_is_mended() {
        let root = tempfile::tempdir().unwrap();
        let skills = root.path().join("skills");
        let folder = SkillsFolder::open(&skills).unwrap();
        let plans = [
            SwapPlan { remove: vec![FoundName::Text("gone".to_owned())], ..SwapPlan::default() },
            SwapPlan {
                quarantine: vec![(FoundName::Bytes(b"gone-\xff".to_vec()), "gone-1".to_owned())],
                ..SwapPlan::default()
            },
            SwapPlan { install: vec!["gone".to_owned()], ..SwapPlan::default() },
        ];
        for plan in plans {
            let staged = CheckedManifest { version: "1".to_owned(), skills: Vec::new() };
            folder.stage(&staged, &plan, b"{}").unwrap();
            let error = folder.carry_out(&plan, PlanRun::First).unwrap_err();
            assert!(error.contains("cannot be moved"), "{error}");
            assert!(names(&skills).is_empty(), "an error undoes all");
            SkillsFolder::open(&skills).unwrap();
            assert_eq!(names(&skills), [LOCK], "the next start completes the plan");
            fs::remove_file(skills.join(LOCK)).unwrap();
        }
    }
}
