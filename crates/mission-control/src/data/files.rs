//! Files that only their owner can read, written atomically.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

use super::DataError;
use mcr_files::{Access, Folder};
use mcr_model::secret::Secret;

fn failed(folder: &Folder, name: &str, what: &'static str) -> impl FnOnce(io::Error) -> DataError {
    let path = folder.path().join(name);
    move |why| DataError::File { path, what, why }
}

/// The path of the database. Creates it as a private file if it does not exist. SQLite's additional files are
/// checked, too.
pub(super) fn database(folder: &Folder, name: &str) -> Result<PathBuf, DataError> {
    for suffix in ["-wal", "-shm", "-journal"] {
        size(folder, &format!("{name}{suffix}"))?;
    }
    let path = || {
        // Closed immediately, because closing a file later would release SQLite's locks.
        drop(folder.open_for_writing(name)?);
        Ok(folder.real_path()?.join(name))
    };
    path().map_err(failed(folder, name, "opened"))
}

/// The folder with the stored files, which belongs to the owner of the data even if root makes it.
pub(super) fn stored_files(folder: &Folder, name: &str) -> Result<Folder, DataError> {
    let path = folder.real_path().map_err(failed(folder, name, "opened"))?.join(name);
    let made = Folder::make(&path, Access::OwnerOrRoot)?;
    let given = || {
        let (data, own) = (fs::metadata(folder.path())?, fs::metadata(&path)?);
        if own.uid() == data.uid() { Ok(()) } else { chown(&path, Some(data.uid()), Some(data.gid())) }
    };
    given().map_err(failed(folder, name, "given to the owner of the data"))?;
    Ok(made)
}

/// The size of a file, or `None` if it does not exist.
pub(super) fn size(folder: &Folder, name: &str) -> Result<Option<u64>, DataError> {
    folder.check(name).map_err(failed(folder, name, "opened"))
}

/// The content of one of our files, or `None` if it does not exist.
pub(super) fn read_secret(folder: &Folder, name: &str) -> Result<Option<Vec<u8>>, DataError> {
    folder.read(name).map_err(failed(folder, name, "read"))
}

/// Writes one of our files atomically.
pub(super) fn write_secret(folder: &Folder, name: &str, secret: &Secret) -> Result<(), DataError> {
    let content = format!("{}\n", secret.expose());
    folder.write(name, content.as_bytes()).map_err(failed(folder, name, "written"))
}

/// Removes one of our files, if it exists.
pub(super) fn remove(folder: &Folder, name: &str) -> Result<(), DataError> {
    folder.remove(name).map_err(failed(folder, name, "removed"))
}

/// Renames a file, and makes sure that the directory is on the disk.
pub(super) fn rename(folder: &Folder, from: &str, to: &str) -> Result<(), DataError> {
    folder.rename(from, to).map_err(failed(folder, to, "written"))
}

/// Writes a new file atomically that only its owner can read. An existing file is not overwritten.
pub(super) fn write_new(path: &Path, content: &[u8]) -> Result<(), DataError> {
    let failed = |why| DataError::File { path: path.to_owned(), what: "written", why };
    // This check only makes an early error possible. The link below decides.
    if path.symlink_metadata().is_ok() {
        return Err(failed(ErrorKind::AlreadyExists.into()));
    }
    let directory =
        path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut draft = path.as_os_str().to_owned();
    // The name contains the process id, so that two processes do not use the same draft.
    draft.push(format!(".{}.new", std::process::id()));
    let draft = PathBuf::from(draft);
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(content)?;
        file.sync_all()?;
        match fs::hard_link(&draft, path) {
            // Some file systems, as on USB sticks, have no links. There the name is reserved first.
            Err(why) if matches!(why.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported) => {
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
                fs::rename(&draft, path)
            }
            linked => linked,
        }
    };
    // A killed process may have left a draft with this name.
    let _ = fs::remove_file(&draft);
    let written = write();
    // After a success the content has its final name, and a remaining draft is harmless.
    let _ = fs::remove_file(&draft);
    written.and_then(|()| File::open(directory)?.sync_all()).map_err(failed)
}
