//! The env file with the keys that are stored in Mission Control.
//!
//! The decisions are in [`mcr_core::gateway_keys`]. Here the file is read and replaced. It is never changed in place, so a
//! reader sees either the old keys or the new ones.

pub mod health;

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use mcr_core::gateway_keys::file::FILE_BYTES_MAX;
use mcr_files::own_group;
use mcr_files::shared::{FileKind, FileStamp, SharedFolder, Sharing};
use mcr_model::secret::Secret;

/// The group of the gateway's user. Where this process is in that group, the group may read the file.
const GATEWAY_GROUP: &str = "openclaw";

/// The env file of the gateway.
#[derive(Clone, Debug)]
pub struct KeyEnvFile {
    path: PathBuf,
    /// The folder that agents write to.
    agents: PathBuf,
}

impl KeyEnvFile {
    /// The file at this path, which must not be in the folder of the agents.
    pub fn new(path: PathBuf, agents: PathBuf) -> Self {
        Self { path, agents }
    }

    /// The path, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The text of the file. `None` if it is missing.
    pub fn read(&self) -> Result<Option<Secret>, String> {
        let Some((folder, name)) = self.open()? else { return Ok(None) };
        let bytes = folder.read_ours(name, FILE_BYTES_MAX).map_err(|why| self.failed("read", &why))?;
        let text = bytes.map(String::from_utf8).transpose();
        // The error would contain the file's text.
        let text = text.map_err(|_| format!("{} is no text: remove it", self.path.display()))?;
        Ok(text.map(Secret::new))
    }

    /// What identifies the present content. `None` if there is no file.
    pub fn stamp(&self) -> Result<Option<FileStamp>, String> {
        let Some((folder, name)) = self.open()? else { return Ok(None) };
        match folder.entry(name).map_err(|why| self.failed("read", &why))? {
            Some(FileKind::File(stamp)) => Ok(Some(stamp)),
            Some(FileKind::Folder | FileKind::Other) | None => Ok(None),
        }
    }

    /// When the present content was written. `None` if there is no file.
    pub fn written_at(&self) -> Option<SystemTime> {
        let (folder, name) = self.open().ok()??;
        folder.modified(name).ok()?
    }

    /// Replaces the file. When this returns, it is on the disk.
    pub fn write(&self, text: &Secret) -> Result<(), String> {
        let parent = self.path.parent().unwrap_or(&self.path);
        SharedFolder::make(parent).map_err(|why| self.failed("opened", &why))?;
        let gone = || format!("{} was removed", parent.display());
        let (folder, name) = self.open()?.ok_or_else(gone)?;
        let sharing = own_group(GATEWAY_GROUP).map_or(Sharing::Private, Sharing::ReadOnlyGroup);
        let draft = format!("{name}.new");
        let create = |sharing| {
            // A killed process may have left the draft.
            folder.remove(&draft)?;
            folder.create(&draft, text.expose().as_bytes(), sharing)
        };
        let created = create(sharing).or_else(|why| match why.kind() {
            // A hardened unit may not change the group of a file. Then the file has no group of readers.
            ErrorKind::PermissionDenied => create(Sharing::Private),
            _ => Err(why),
        });
        let written = created.and_then(|()| folder.rename(&draft, &folder, name));
        if written.is_err() {
            // Half a draft would only occupy a full disk. The first error is the important one.
            let _ = folder.remove(&draft);
        }
        written.map_err(|why| self.failed("written", &why))
    }

    /// Opens the folder of the file, if it exists. Only this user may write to it, and it is not a folder of the agents.
    fn open(&self) -> Result<Option<(SharedFolder, &str)>, String> {
        let name = self.path.file_name().and_then(|name| name.to_str());
        let (Some(name), Some(parent)) = (name, self.path.parent()) else {
            return Err(format!("{} names no file", self.path.display()));
        };
        let folder = match SharedFolder::open(parent) {
            Ok(folder) => folder,
            Err(why) if why.kind() == ErrorKind::NotFound => return Ok(None),
            Err(why) => return Err(self.failed("opened", &why)),
        };
        let real = parent.canonicalize().map_err(|why| self.failed("opened", &why))?;
        if self.agents.canonicalize().is_ok_and(|agents| real.starts_with(agents)) {
            return Err(format!(
                "{} is in the agents' folder {}, where agents could read the keys: set GATEWAY_ENV_FILE to another path",
                self.path.display(),
                self.agents.display()
            ));
        }
        folder.only_we_write().map_err(|why| self.failed("opened", &why))?;
        Ok(Some((folder, name)))
    }

    fn failed(&self, step: &str, why: &io::Error) -> String {
        format!("{} cannot be {step}: {why}", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;

    fn file(place: &Path) -> KeyEnvFile {
        KeyEnvFile::new(place.join("keys/gateway.env"), place.join("agents"))
    }

    #[test]
    fn the_file_is_replaced_and_private() {
        let place = tempfile::tempdir().unwrap();
        let file = file(place.path());
        assert_eq!(file.read(), Ok(None));
        assert_eq!(file.stamp(), Ok(None));
        file.write(&Secret::new("A=1\n")).unwrap();
        let (old, stamp) = (fs::File::open(file.path()).unwrap(), file.stamp());
        fs::write(place.path().join("keys/gateway.env.new"), "half a dra").unwrap();
        file.write(&Secret::new("A=2\n")).unwrap();
        assert_eq!(file.read(), Ok(Some(Secret::new("A=2\n"))));
        assert_ne!(file.stamp(), stamp);
        assert_ne!(old.metadata().unwrap().ino(), fs::metadata(file.path()).unwrap().ino());
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        let expected = if own_group(GATEWAY_GROUP).is_some() { 0o640 } else { 0o600 };
        assert_eq!((mode(file.path()), mode(&place.path().join("keys"))), (expected, 0o700));
        assert_eq!(fs::read_dir(place.path().join("keys")).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn folders_of_agents_and_of_others_are_refused() {
        let place = tempfile::tempdir().unwrap();
        let at = |path: &str| KeyEnvFile::new(place.path().join(path), place.path().join("agents"));
        fs::create_dir_all(place.path().join("agents/ada")).unwrap();
        symlink(place.path().join("agents/ada"), place.path().join("link")).unwrap();
        for path in ["agents/gateway.env", "agents/ada/gateway.env", "link/gateway.env"] {
            let why = at(path).write(&Secret::new("A=canary")).unwrap_err();
            assert!(why.contains("is in the agents' folder") && !why.contains("canary"), "{why}");
            assert!(at(path).read().is_err() && at(path).stamp().is_err());
        }
        let open = place.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
        let why = at("open/gateway.env").write(&Secret::new("A=1")).unwrap_err();
        assert!(why.contains("can be written by other users"), "{why}");
        // A file that others may write to could set any variable.
        fs::create_dir(place.path().join("own")).unwrap();
        fs::write(place.path().join("own/gateway.env"), "LD_PRELOAD=/tmp/x").unwrap();
        fs::set_permissions(place.path().join("own/gateway.env"), Permissions::from_mode(0o666)).unwrap();
        assert!(at("own/gateway.env").read().unwrap_err().contains("can be written by other users"));
        fs::remove_file(place.path().join("own/gateway.env")).unwrap();
        symlink("/etc/hostname", place.path().join("own/gateway.env")).unwrap();
        assert!(at("own/gateway.env").read().is_err(), "links are not followed");
    }
}
