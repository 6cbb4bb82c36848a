//! New folders next to the present ones, and the swap of all of them at once.
//!
//! Two folders cannot be renamed in one step. So a marker is written first, once the new folders are complete and on the
//! disk. A start that finds the marker completes the swap; without a marker the new folders are remains and are deleted.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use log::{info, warn};

use super::{SnapshotError, SnapshotFolders, SnapshotKey};
use mcr_core::skills::MARKER;
use mcr_core::snapshot::{Excluded, SnapshotExcludes};
use mcr_files::shared::{FileKind, SharedFolder};

/// One of the folders: the present one, the new one, and the place of the present one during the swap.
struct SwappedFolder {
    root: &'static str,
    present: PathBuf,
    fresh: PathBuf,
    old: PathBuf,
}

/// Which of the present files a restore keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeptFiles {
    /// All that archives leave out, except caches.
    OfMachineAndConversation,
    /// Only those of the machine: the others are another conversation's, and may be secret.
    OfMachine,
}

impl KeptFiles {
    /// The restored conversation gets its own private files, and those that nobody's state holds.
    pub(super) fn of(holder: Option<&SnapshotKey>, restored: &SnapshotKey) -> Self {
        if holder.is_none_or(|holder| holder == restored) {
            Self::OfMachineAndConversation
        } else {
            Self::OfMachine
        }
    }

    fn has(self, reason: Option<Excluded>) -> bool {
        match reason {
            Some(Excluded::OfMachine) => true,
            Some(Excluded::Private) => self == Self::OfMachineAndConversation,
            Some(Excluded::Cache) | None => false,
        }
    }

    /// Whether the skills of the queue stay. Anything can write their marker into a folder, so it proves nothing about what
    /// another conversation has left there. The skills are installed again after such a restore.
    fn has_skills(self) -> bool {
        self == Self::OfMachineAndConversation
    }
}

/// New folders that will take the place of the present ones. Dropped before [`commit`](Self::commit), they are deleted.
pub(super) struct Staging {
    swapped: Vec<SwappedFolder>,
    marker: PathBuf,
    is_committed: bool,
}

/// The name of a file or folder next to this folder.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{name}.restore-{suffix}"))
}

fn marker_of(folders: &SnapshotFolders) -> PathBuf {
    beside(&folders.workspace, "marker")
}

fn swapped(folders: &SnapshotFolders) -> Vec<SwappedFolder> {
    let of = |(root, path): (&'static str, &Path)| SwappedFolder {
        root,
        present: path.to_owned(),
        fresh: beside(path, "new"),
        old: beside(path, "old"),
    };
    folders.roots().into_iter().map(of).collect()
}

/// Completes or removes what an interrupted restore has left. Returns whether a restore was completed.
pub fn recover(folders: &SnapshotFolders) -> Result<bool, SnapshotError> {
    let (swapped, marker) = (swapped(folders), marker_of(folders));
    let is_marked = marker.symlink_metadata().is_ok();
    if is_marked {
        swap(&swapped)?;
        remove(&marker)?;
        info!(workspace:% = folders.workspace.display(); "An interrupted restore of a snapshot was completed");
    }
    for folder in &swapped {
        remove(&folder.fresh)?;
        remove(&folder.old)?;
    }
    Ok(is_marked)
}

/// Puts each new folder in its place. May be repeated after a crash at any point.
fn swap(swapped: &[SwappedFolder]) -> Result<(), SnapshotError> {
    for SwappedFolder { present, fresh, old, .. } in swapped {
        let failed = || SnapshotError::disk("replaced", present);
        if fresh.symlink_metadata().is_err() {
            continue;
        }
        match fs::rename(present, old) {
            Ok(()) => {}
            Err(why) if why.kind() == ErrorKind::NotFound => {}
            Err(why) => return Err(failed()(why)),
        }
        fs::rename(fresh, present).map_err(failed())?;
        sync_parent(present).map_err(failed())?;
    }
    Ok(())
}

impl Staging {
    /// Makes the new folders, which are empty and private.
    pub(super) fn begin(folders: &SnapshotFolders) -> Result<Self, SnapshotError> {
        recover(folders)?;
        let staging = Self { swapped: swapped(folders), marker: marker_of(folders), is_committed: false };
        for SwappedFolder { fresh, .. } in &staging.swapped {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(fresh);
            made.map_err(SnapshotError::disk("made", fresh))?;
        }
        Ok(staging)
    }

    /// The new folder for one of the archive's folders.
    pub(super) fn place(&self, root: &str) -> Option<PathBuf> {
        self.swapped.iter().find(|folder| folder.root == root).map(|folder| folder.fresh.clone())
    }

    /// Copies what stays into the new folders: the kept files, and the skills of the queue.
    pub(super) fn keep_own(&self, excludes: &SnapshotExcludes, kept: KeptFiles) -> Result<(), SnapshotError> {
        for SwappedFolder { root, present, fresh, .. } in &self.swapped {
            match SharedFolder::open(present) {
                Ok(folder) => keep_own(root, &folder, fresh, (excludes, kept))
                    .map_err(SnapshotError::disk("copied", present))?,
                Err(why) if why.kind() == ErrorKind::NotFound => {}
                Err(why) => return Err(SnapshotError::disk("opened", present)(why)),
            }
        }
        Ok(())
    }

    /// Puts the new folders in place, and deletes the former ones.
    pub(super) fn commit(mut self) -> Result<(), SnapshotError> {
        for SwappedFolder { fresh, .. } in &self.swapped {
            let synced = File::open(fresh).and_then(|folder| Ok(nix::unistd::syncfs(&folder)?));
            synced.map_err(SnapshotError::disk("written", fresh))?;
        }
        let mut options = OpenOptions::new();
        let marked = options.write(true).create(true).truncate(true).mode(0o600).open(&self.marker);
        let marked = marked.and_then(|mut file| {
            file.write_all(b"A restore is being completed.\n")?;
            file.sync_all()?;
            sync_parent(&self.marker)
        });
        if let Err(why) = marked {
            // Without the marker, the new folders count as remains.
            remove(&self.marker)?;
            return Err(SnapshotError::disk("written", &self.marker)(why));
        }
        self.is_committed = true;
        swap(&self.swapped)?;
        remove(&self.marker)?;
        for SwappedFolder { old, .. } in &self.swapped {
            remove(old)?;
        }
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if self.is_committed {
            return;
        }
        for SwappedFolder { fresh, .. } in &self.swapped {
            if let Err(error) = remove(fresh) {
                warn!(error:%; "Remains of a restore cannot be deleted");
            }
        }
    }
}

/// Copies what stays from an open folder. What the archive has as well is replaced.
fn keep_own(
    path: &str,
    folder: &SharedFolder,
    fresh: &Path,
    (excludes, kept): (&SnapshotExcludes, KeptFiles),
) -> io::Result<()> {
    for name in folder.names()? {
        let (inner, target) = (format!("{path}/{name}"), fresh.join(&name));
        let reason = excludes.of(&inner);
        match folder.entry(&name)? {
            _ if reason == Some(Excluded::Cache) => {}
            Some(FileKind::Folder) => {
                let Some(below) = folder.folder(&name)? else { continue };
                if kept.has(reason) || (kept.has_skills() && below.entry(MARKER)?.is_some()) {
                    mcr_files::remove_any(&target)?;
                    copy_folder(&below, &target)?;
                } else {
                    keep_own(&inner, &below, &target, (excludes, kept))?;
                }
            }
            Some(FileKind::File(_)) if kept.has(reason) => {
                mcr_files::remove_any(&target)?;
                copy_file(folder, &name, &target)?;
            }
            Some(FileKind::File(_) | FileKind::Other) | None => {}
        }
    }
    Ok(())
}

fn copy_folder(from: &SharedFolder, target: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(target)?;
    for name in from.names()? {
        match from.entry(&name)? {
            Some(FileKind::Folder) => {
                if let Some(below) = from.folder(&name)? {
                    copy_folder(&below, &target.join(&name))?;
                }
            }
            Some(FileKind::File(_)) => copy_file(from, &name, &target.join(&name))?,
            Some(FileKind::Other) | None => {}
        }
    }
    fs::set_permissions(target, Permissions::from_mode(from.facts()?.permissions().mode() & 0o777 | 0o700))
}

fn copy_file(from: &SharedFolder, name: &str, target: &Path) -> io::Result<()> {
    let Some(mut file) = from.open_file(name)? else { return Ok(()) };
    let facts = file.metadata()?;
    if !facts.is_file() {
        return Ok(());
    }
    if let Some(parent) = target.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    let mut copy = OpenOptions::new().write(true).create_new(true).mode(0o600).open(target)?;
    io::copy(&mut file, &mut copy)?;
    copy.set_permissions(Permissions::from_mode(facts.permissions().mode() & 0o777))
}

fn remove(path: &Path) -> Result<(), SnapshotError> {
    mcr_files::remove_any(path).map_err(SnapshotError::disk("deleted", path))
}

/// Waits until the names in the folder of this path are on the disk.
fn sync_parent(path: &Path) -> io::Result<()> {
    let parent =
        path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    File::open(parent)?.sync_all()
}
