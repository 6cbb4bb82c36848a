//! The temporary folder of a child runtime: its state and an empty env file.
//!
//! The parent locks its folder while it runs. The system releases the lock of a killed parent, so the next one finds the
//! folder without a lock and removes it.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use log::{info, warn};
use nix::unistd::geteuid;

use mcr_model::random;

/// The start of the folder's name.
const PREFIX: &str = "mission-control-demo-";

/// The start of the name of a folder whose lock is not yet taken.
const UNLOCKED_PREFIX: &str = "mission-control-starting-";

/// The start of the name of a folder that is kept for a person.
const KEPT_PREFIX: &str = "mission-control-kept-";

/// A temporary folder, removed when dropped.
pub(super) struct TemporaryFolder {
    path: PathBuf,
    /// The open folder, which holds the lock.
    _lock: File,
    is_kept: bool,
}

impl TemporaryFolder {
    /// Makes a folder with an empty env file, so that the machine's own is not read. Removes the folders of killed
    /// demos first.
    pub(super) fn new() -> io::Result<Self> {
        Self::new_in(&std::env::temp_dir())
    }

    fn new_in(parent: &Path) -> io::Result<Self> {
        remove_stale(parent);
        let name = random::hex::<8>();
        let unlocked = parent.join(format!("{UNLOCKED_PREFIX}{name}"));
        DirBuilder::new().mode(0o700).create(&unlocked)?;
        File::create(env_file(&unlocked))?;
        let lock = File::open(&unlocked)?;
        lock.try_lock()?;
        // Renamed only now: another demo removes a folder of the final name that has no lock.
        let path = parent.join(format!("{PREFIX}{name}"));
        fs::rename(&unlocked, &path)?;
        Ok(Self { path, _lock: lock, is_kept: false })
    }

    /// Keeps the folder under a name that no later demo removes.
    pub(super) fn keep(mut self) -> io::Result<PathBuf> {
        let kept = self.path.with_file_name(format!("{KEPT_PREFIX}{}", random::hex::<8>()));
        fs::rename(&self.path, &kept)?;
        self.is_kept = true;
        Ok(kept)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn env_file(&self) -> PathBuf {
        env_file(&self.path)
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if !self.is_kept {
            // The next demo removes what is left.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn env_file(folder: &Path) -> PathBuf {
    folder.join("empty.env")
}

/// Removes this user's folders whose demo was killed.
fn remove_stale(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        let named = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
        if !named || !is_own_folder(&path) {
            continue;
        }
        // The lock is held until the folder is gone, so that two demos do not remove it together.
        let Ok(folder) = File::open(&path) else { continue };
        if folder.try_lock().is_err() {
            continue;
        }
        match fs::remove_dir_all(&path) {
            Ok(()) => info!(path:% = path.display(); "Removed the folder of a killed demo"),
            Err(why) => {
                warn!(path:% = path.display(), reason:% = why; "The folder of a killed demo cannot be removed");
            }
        }
    }
}

/// Whether this is a folder, not a link to one, of the user who runs the demo.
fn is_own_folder(path: &Path) -> bool {
    let found = fs::symlink_metadata(path);
    found.is_ok_and(|found| found.is_dir() && found.uid() == geteuid().as_raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_folder_removes_those_of_killed_demos_and_no_others() {
        let parent = tempfile::tempdir().unwrap();
        let (stale, foreign) = (parent.path().join("mission-control-demo-1"), parent.path().join("other"));
        fs::create_dir_all(stale.join("state")).unwrap();
        fs::create_dir(&foreign).unwrap();
        std::os::unix::fs::symlink(&foreign, parent.path().join("mission-control-demo-2")).unwrap();
        let first = TemporaryFolder::new_in(parent.path()).unwrap();
        assert!(!stale.exists() && foreign.exists() && parent.path().join("mission-control-demo-2").exists());
        let second = TemporaryFolder::new_in(parent.path()).unwrap();
        assert!(first.env_file().exists() && second.env_file().exists(), "a running demo keeps its folder");
        let gone = first.path().to_owned();
        drop(first);
        assert!(!gone.exists());
    }
}
