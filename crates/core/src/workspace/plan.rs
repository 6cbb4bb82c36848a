//! Compares the files that a workspace should have with those that it has.

use std::collections::{BTreeMap, BTreeSet};

use super::{Desired, Digest, FilePath, FoundState, Managed, Manifest, Warning};
use mcr_model::clock::Millis;

/// The files of a profile that the TypeScript runtime wrote at every sync.
const FORMER_FILES: [&str; 6] =
    ["AGENTS.md", "HEARTBEAT.md", "IDENTITY.md", "SOUL.md", "TOOLS.md", "USER.md"];

/// What a workspace has.
#[derive(Clone, Debug, Default)]
pub struct FoundFiles {
    /// The list of the files that the runtime wrote, if there is one.
    pub manifest: Option<Manifest>,
    /// Whether files of a profile without a manifest were written by a runtime: the generated configuration names the
    /// workspace. The TypeScript runtime overwrote them at every sync, so they are no one's own.
    pub adopts: bool,
    /// The files at the [`paths`] of the plan. A path that is not here is free.
    pub files: BTreeMap<FilePath, FoundFile>,
    /// The stamps of these files, if a later write certainly changes them.
    pub stamps: BTreeMap<FilePath, FoundState>,
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundFile {
    /// A regular file with this content.
    Content(Digest),
    /// A regular file that is too large to be a profile's.
    Large,
    /// A regular file of the agent, whose content does not matter.
    Unread,
    /// A folder, a link or a device.
    Obstacle,
}

/// A change of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileChange {
    /// Writes a file that follows Mission Control.
    Write {
        /// The file.
        path: FilePath,
        /// Its content.
        content: String,
        /// The present content, if the runtime wrote it. Of any other content, a copy is kept.
        ours: Option<Digest>,
    },
    /// Creates a file of the agent, unless it exists.
    Create {
        /// The file.
        path: FilePath,
        /// Its first content.
        content: &'static str,
    },
    /// Creates a folder of the agent.
    Folder(FilePath),
    /// Removes a file that Mission Control no longer has.
    Remove {
        /// The file.
        path: FilePath,
        /// Its content, if the runtime wrote it. Of any other content, a copy is kept.
        ours: Option<Digest>,
    },
}

/// The decisions about one workspace.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The changes.
    pub operations: Vec<FileChange>,
    /// The list of written files after the changes.
    pub manifest: Manifest,
    /// What the operator should know.
    pub warnings: Vec<Warning>,
}

/// The paths whose files decide the plan.
pub fn paths(desired: &Desired, manifest: Option<&Manifest>) -> BTreeSet<FilePath> {
    let wanted = desired.files.keys().chain(desired.scaffold.keys()).chain(&desired.folders);
    let managed = manifest.into_iter().flat_map(|manifest| manifest.files.keys());
    let mut paths: BTreeSet<FilePath> = wanted.chain(managed).cloned().collect();
    if manifest.is_none() {
        paths.extend(FORMER_FILES.map(|name| FilePath::known(name.to_owned())));
    }
    paths
}

/// Decides what must change. With the result on the disk, the next plan has no operations.
pub fn plan(desired: &Desired, found: &FoundFiles, now: Millis) -> Plan {
    let mut plan = Plan { warnings: desired.warnings.clone(), ..Plan::default() };
    if let Some(manifest) = &found.manifest {
        plan.manifest.rest.clone_from(&manifest.rest);
    }
    plan.manifest.layout = desired.layout;
    for (path, content) in &desired.files {
        let is_cut = |warning: &Warning| matches!(warning, Warning::Cut { file, .. } if file == path);
        let cut = desired.warnings.iter().any(is_cut);
        plan.write(path, content, cut, found, now);
    }
    for path in paths(desired, found.manifest.as_ref()) {
        if !desired.files.contains_key(&path) && !desired.scaffold.contains_key(&path) {
            plan.remove(&path, found);
        }
    }
    for (path, content) in &desired.scaffold {
        if !found.files.contains_key(path) {
            plan.operations.push(FileChange::Create { path: path.clone(), content });
        }
    }
    for path in &desired.folders {
        if !found.files.contains_key(path) {
            plan.operations.push(FileChange::Folder(path.clone()));
        }
    }
    plan
}

impl FoundFiles {
    fn managed(&self, path: &FilePath) -> Option<&Managed> {
        self.manifest.as_ref()?.files.get(path)
    }

    /// Whether a runtime without a manifest wrote this file.
    fn is_adopted(&self, path: &FilePath) -> bool {
        let (folders, name) = path.split();
        let is_profile = folders.is_empty() && FORMER_FILES.contains(&name);
        self.manifest.is_none() && self.adopts && (is_profile || name == "SKILL.md")
    }
}

impl Plan {
    fn write(&mut self, path: &FilePath, content: &str, cut: bool, found: &FoundFiles, now: Millis) {
        let wanted = Digest::of(content.as_bytes());
        let managed = found.managed(path);
        let ours = managed.map(|managed| managed.sha256.clone());
        let bytes = content.len() as u64;
        let mut entry = Managed { sha256: wanted.clone(), at: now, bytes, cut, replaced: None, found: None };
        match found.files.get(path) {
            Some(FoundFile::Obstacle) => {
                self.warnings.push(Warning::Obstacle(path.clone()));
                return;
            }
            Some(FoundFile::Content(present)) if *present == wanted => {
                if let Some(managed) = managed.filter(|managed| managed.sha256 == wanted) {
                    entry.at = managed.at;
                    entry.replaced = managed.shown_replaced(now);
                }
                if entry.replaced.is_some() {
                    self.warnings.push(Warning::Changed(path.clone()));
                }
                entry.found = found.stamps.get(path).copied();
                self.manifest.files.insert(path.clone(), entry);
                return;
            }
            Some(_) if managed.is_none() && !found.is_adopted(path) => {
                self.warnings.push(Warning::Foreign(path.clone()));
                return;
            }
            Some(FoundFile::Content(present)) if ours.as_ref() == Some(present) => {}
            Some(_) if managed.is_some() => {
                entry.replaced = Some(now);
                self.warnings.push(Warning::Changed(path.clone()));
            }
            Some(_) | None => {}
        }
        self.manifest.files.insert(path.clone(), entry);
        self.operations.push(FileChange::Write { path: path.clone(), content: content.to_owned(), ours });
    }

    fn remove(&mut self, path: &FilePath, found: &FoundFiles) {
        let Some(present) = found.files.get(path) else { return };
        match (found.managed(path), present) {
            (Some(managed), FoundFile::Content(digest)) if *digest == managed.sha256 => {
                let ours = Some(digest.clone());
                self.operations.push(FileChange::Remove { path: path.clone(), ours });
            }
            (Some(_), _) => self.warnings.push(Warning::Left(path.clone())),
            (None, FoundFile::Content(_)) if found.is_adopted(path) => {
                self.operations.push(FileChange::Remove { path: path.clone(), ours: None });
            }
            (None, _) => {}
        }
    }
}
