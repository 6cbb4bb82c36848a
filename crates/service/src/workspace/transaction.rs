//! Changes the files of one workspace: all of them, or none.
//!
//! 1. The new contents are written to the runtime's own folder in the workspace.
//! 2. `next.json` lists the changes and the new manifest. Once this file has its name, the changes are decided.
//! 3. Each content is moved to its place, and stale files are removed.
//! 4. The manifest is written last, then `next.json` is removed.
//!
//! A process that ends before the second step leaves the former files. After it, the next start completes the changes,
//! also without Mission Control.
//!
//! Agents write to their workspaces, and may put another folder in place of the runtime's own. It counts only while no
//! other user owns it or may write to it. The same is true of `next.json` and the manifest.

use std::collections::BTreeSet;
use std::io;

use mcr_core::workspace::{
    Desired, Digest, FileChange, FilePath, FoundFile, Layout, Manifest, OWN_FOLDER, Warning, plan,
};
use mcr_files::shared::{SharedFolder, Sharing};
use mcr_model::clock::Millis;

use super::decided::{DecidedChanges, DecidedStep, STAGED, StagedName, StepKind};
use super::found;

/// Called before each change on the disk with its description. An error refuses the change.
pub type BeforeWrite = dyn Fn(&str) -> io::Result<()> + Send + Sync;

const MANIFEST: &str = "manifest.json";
const NEXT: &str = "next.json";
const REPLACED: &str = "replaced";

/// A larger manifest is damaged.
const MANIFEST_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The result of a sync.
#[derive(Debug)]
pub struct Synced {
    /// The files that follow Mission Control.
    pub manifest: Manifest,
    /// How many files were changed.
    pub changes: usize,
    /// How many files were read, because they may have changed since they were last read.
    pub reads: usize,
    /// What the operator should know.
    pub warnings: Vec<Warning>,
}

/// One agent's workspace.
pub struct Workspace<'a> {
    folder: SharedFolder,
    sharing: Sharing,
    before: &'a BeforeWrite,
}

/// Whether the runtime has written to this workspace.
pub(super) fn is_ours(workspace: &SharedFolder) -> bool {
    workspace.folder(OWN_FOLDER).is_ok_and(|own| {
        own.is_some_and(|own| {
            [MANIFEST, NEXT].iter().any(|name| own.entry(name).is_ok_and(|found| found.is_some()))
        })
    })
}

/// The list of the files that the runtime wrote to this workspace.
pub(super) fn manifest_of(workspace: &SharedFolder) -> io::Result<Option<Manifest>> {
    let Some(own) = workspace.folder(OWN_FOLDER)? else { return Ok(None) };
    let Some(bytes) = own.read_ours(MANIFEST, MANIFEST_BYTES_MAX)? else { return Ok(None) };
    Manifest::parse(&bytes).map(Some).map_err(io::Error::other)
}

/// Writes a file completely or not at all. When this returns, the file is on the disk.
pub(super) fn replace(
    folder: &SharedFolder,
    name: &str,
    bytes: &[u8],
    sharing: Sharing,
    before: &BeforeWrite,
) -> io::Result<()> {
    let draft = format!(".{name}.new");
    before(&format!("create {draft}"))?;
    // A killed process may have left the draft.
    folder.remove(&draft)?;
    let written = folder.create(&draft, bytes, sharing);
    if written.is_err() {
        // Half a draft would only occupy a full disk. The first error is the important one.
        let _ = folder.remove(&draft);
    }
    written?;
    before(&format!("rename {draft} to {name}"))?;
    folder.rename(&draft, folder, name)
}

impl<'a> Workspace<'a> {
    /// The workspace in this folder.
    pub fn new(folder: SharedFolder, sharing: Sharing, before: &'a BeforeWrite) -> Self {
        Self { folder, sharing, before }
    }

    /// Completes the changes that an earlier process has decided, and removes the rest of undecided ones.
    pub fn recover(&self) -> io::Result<()> {
        match self.folder.folder(OWN_FOLDER)? {
            Some(own) => self.recover_in(&own),
            None => Ok(()),
        }
    }

    fn recover_in(&self, own: &SharedFolder) -> io::Result<()> {
        own.only_we_write()?;
        if let Some(bytes) = own.read_ours(NEXT, MANIFEST_BYTES_MAX)? {
            // This file is complete or absent. One that cannot be read was not written by a runtime.
            if let Ok(next) = serde_json::from_slice::<DecidedChanges>(&bytes) {
                self.complete(own, next)?;
            }
            (self.before)("remove next.json")?;
            own.remove(NEXT)?;
        }
        for name in own.names()?.iter().filter(|name| name.starts_with(STAGED)) {
            (self.before)("remove a staged file")?;
            own.remove(name)?;
        }
        Ok(())
    }

    /// Brings the workspace to the files that `desired` returns for a layout.
    pub fn sync(
        &self,
        desired: &mut dyn FnMut(Layout) -> Desired,
        adopts: bool,
        now: Millis,
    ) -> io::Result<Synced> {
        (self.before)("make the runtime's own folder")?;
        let own = self.folder.make_folder(OWN_FOLDER, self.sharing.read_only())?;
        self.recover_in(&own)?;
        let (manifest, damage) =
            match own.read_ours(MANIFEST, MANIFEST_BYTES_MAX)?.map(|bytes| Manifest::parse(&bytes)) {
                None => (None, None),
                Some(Ok(manifest)) => (Some(manifest), None),
                Some(Err(why)) => (None, Some(Warning::Manifest(why))),
            };
        let desired = desired(manifest.as_ref().map(|manifest| manifest.layout).unwrap_or_default());
        let (found, reads) = found::find(&self.folder, &desired, manifest, adopts, now)?;
        let plan = plan(&desired, &found, now);
        let changes = plan.operations.len();
        if changes > 0 {
            self.carry_out(&own, plan.operations, plan.manifest.clone())?;
        } else if found.manifest.as_ref() != Some(&plan.manifest) {
            replace(&own, MANIFEST, plan.manifest.text().as_bytes(), self.sharing, self.before)?;
        }
        if desired.is_empty() && found.manifest.is_some() {
            (self.before)("remove the manifest of a removed agent")?;
            own.remove(MANIFEST)?;
        }
        let warnings = damage.into_iter().chain(plan.warnings).collect();
        Ok(Synced { manifest: plan.manifest, changes, reads, warnings })
    }

    /// Decides the changes, and carries them out.
    fn carry_out(
        &self,
        own: &SharedFolder,
        operations: Vec<FileChange>,
        manifest: Manifest,
    ) -> io::Result<()> {
        let mut steps = Vec::new();
        for (number, operation) in (0..).zip(operations) {
            let staged = StagedName(number);
            let stage = |content: &str, sharing| {
                (self.before)(&format!("create {staged}"))?;
                own.create(&staged.to_string(), content.as_bytes(), sharing)
            };
            steps.push(match operation {
                FileChange::Write { path, content, ours } => {
                    stage(&content, self.sharing)?;
                    let sha256 = Digest::of(content.as_bytes());
                    DecidedStep { path, kind: StepKind::Write { staged, sha256, ours } }
                }
                FileChange::Create { path, content } => {
                    // This file becomes the agent's own.
                    stage(content, self.sharing.writable())?;
                    DecidedStep { path, kind: StepKind::Create { staged } }
                }
                FileChange::Folder(path) => DecidedStep { path, kind: StepKind::Folder },
                FileChange::Remove { path, ours } => DecidedStep { path, kind: StepKind::Remove { ours } },
            });
        }
        own.sync()?;
        let next = DecidedChanges { manifest, steps };
        replace(own, NEXT, &serde_json::to_vec_pretty(&next)?, self.sharing, self.before)?;
        self.complete(own, next)?;
        (self.before)("remove next.json")?;
        own.remove(NEXT)
    }

    /// Carries out the changes that are decided, and writes the manifest. Steps that are done already are left out.
    fn complete(&self, own: &SharedFolder, next: DecidedChanges) -> io::Result<()> {
        let mut manifest = next.manifest;
        let mut emptied = BTreeSet::new();
        for DecidedStep { path, kind } in next.steps {
            match kind {
                StepKind::Write { staged, sha256, ours } => {
                    let staged = staged.to_string();
                    if own.entry(&staged)?.is_some()
                        && !self.put(own, &path, &staged, &[Some(sha256), ours])?
                    {
                        manifest.files.remove(&path);
                    }
                }
                StepKind::Create { staged } => self.create(own, &path, &staged.to_string())?,
                StepKind::Folder => self.add_folder(&path)?,
                StepKind::Remove { ours } => {
                    self.take_away(own, &path, ours)?;
                    emptied.insert(path);
                }
            }
        }
        for path in emptied {
            self.remove_empty_folders(&path)?;
        }
        replace(own, MANIFEST, manifest.text().as_bytes(), self.sharing, self.before)
    }

    /// Moves a staged file to its place. A present content that the runtime does not know is kept as a copy. Returns
    /// whether the file is in its place: something other than a file stays.
    fn put(
        &self,
        own: &SharedFolder,
        path: &FilePath,
        staged: &str,
        known: &[Option<Digest>; 2],
    ) -> io::Result<bool> {
        let present = found::look(&self.folder, path)?;
        if present == Some(FoundFile::Obstacle) {
            (self.before)(&format!("remove {staged}"))?;
            own.remove(staged)?;
            return Ok(false);
        }
        let (folders, name) = path.split();
        let folder = self.make_folders(&folders)?;
        let is_known = match &present {
            None => true,
            Some(FoundFile::Content(digest)) => known.iter().flatten().any(|known| known == digest),
            Some(FoundFile::Large | FoundFile::Unread | FoundFile::Obstacle) => false,
        };
        if !is_known {
            self.keep_copy(own, path, &folder, name)?;
        }
        (self.before)(&format!("rename {staged} to {path}"))?;
        own.rename(staged, &folder, name)?;
        Ok(true)
    }

    fn create(&self, own: &SharedFolder, path: &FilePath, staged: &str) -> io::Result<()> {
        if own.entry(staged)?.is_none() {
            return Ok(());
        }
        if found::look(&self.folder, path)?.is_none() {
            let (folders, name) = path.split();
            let folder = self.make_folders(&folders)?;
            (self.before)(&format!("link {staged} to {path}"))?;
            own.link(staged, &folder, name)?;
        }
        (self.before)(&format!("remove {staged}"))?;
        own.remove(staged)
    }

    fn take_away(&self, own: &SharedFolder, path: &FilePath, ours: Option<Digest>) -> io::Result<()> {
        let is_ours = match (found::look(&self.folder, path)?, ours) {
            (Some(FoundFile::Content(digest)), Some(ours)) if digest == ours => true,
            (Some(FoundFile::Content(_)), None) => false,
            _ => return Ok(()),
        };
        let (folders, name) = path.split();
        let Some(folder) = self.open_folders(&folders)? else { return Ok(()) };
        if !is_ours {
            return self.keep_copy(own, path, &folder, name);
        }
        (self.before)(&format!("remove {path}"))?;
        folder.remove(name)?;
        folder.sync()
    }

    /// Moves a file to the copies. There is one copy for each path: the latest.
    fn keep_copy(
        &self,
        own: &SharedFolder,
        path: &FilePath,
        folder: &SharedFolder,
        name: &str,
    ) -> io::Result<()> {
        (self.before)("make the folder of copies")?;
        let copies = own.make_folder(REPLACED, self.sharing.read_only())?;
        (self.before)(&format!("move {path} to the copies"))?;
        folder.rename(name, &copies, &path.as_str().replace('/', "__"))
    }

    /// Makes a folder, unless its name or that of an outer folder is taken.
    fn add_folder(&self, path: &FilePath) -> io::Result<()> {
        if found::look(&self.folder, path)?.is_none() {
            let (mut folders, name) = path.split();
            folders.push(name);
            self.make_folders(&folders)?;
        }
        Ok(())
    }

    fn make_folder(&self, parent: &SharedFolder, name: &str) -> io::Result<SharedFolder> {
        if parent.entry(name)?.is_none() {
            (self.before)(&format!("make the folder {name}"))?;
        }
        parent.make_folder(name, self.sharing)
    }

    fn make_folders(&self, names: &[&str]) -> io::Result<SharedFolder> {
        names.iter().try_fold(self.folder.again()?, |parent, name| self.make_folder(&parent, name))
    }

    /// The innermost of these folders, if all exist.
    fn open_folders(&self, names: &[&str]) -> io::Result<Option<SharedFolder>> {
        let mut here = self.folder.again()?;
        for name in names {
            match here.folder(name)? {
                Some(next) => here = next,
                None => return Ok(None),
            }
        }
        Ok(Some(here))
    }

    fn remove_empty_folders(&self, path: &FilePath) -> io::Result<()> {
        let (mut folders, _) = path.split();
        while let Some(name) = folders.pop() {
            if let Some(parent) = self.open_folders(&folders)? {
                (self.before)(&format!("remove the folder {name} if it is empty"))?;
                parent.remove_empty(name)?;
            }
        }
        Ok(())
    }
}
