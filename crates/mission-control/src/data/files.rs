//! Files that only their owner can read, written as a whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::DataError;
use mcr_files::Folder;
use mcr_model::secret::Secret;

fn failed(folder: &Folder, name: &str, what: &'static str) -> impl FnOnce(io::Error) -> DataError {
    let path = folder.path().join(name);
    move |why| DataError::File { path, what, why }
}

/// The path of the database, which is a private file and made where there is none; so are the files beside it.
pub(super) fn database(folder: &Folder, name: &str) -> Result<PathBuf, DataError> {
    for end in ["-wal", "-shm", "-journal"] {
        size(folder, &format!("{name}{end}"))?;
    }
    let path = || {
        // Closed at once, before SQLite has locks on it.
        drop(folder.open_for_writing(name)?);
        Ok(folder.real_path()?.join(name))
    };
    path().map_err(failed(folder, name, "opened"))
}

/// The size of a file, if it is there.
pub(super) fn size(folder: &Folder, name: &str) -> Result<Option<u64>, DataError> {
    folder.check(name).map_err(failed(folder, name, "opened"))
}

/// A file of ours, if it is there.
pub(super) fn read_secret(folder: &Folder, name: &str) -> Result<Option<Vec<u8>>, DataError> {
    folder.read(name).map_err(failed(folder, name, "read"))
}

/// Writes a file of ours, so that it is there as a whole or not at all.
pub(super) fn write_secret(folder: &Folder, name: &str, secret: &Secret) -> Result<(), DataError> {
    let content = format!("{}\n", secret.expose());
    folder.write(name, content.as_bytes()).map_err(failed(folder, name, "written"))
}

/// Removes a file of ours, if it is there.
pub(super) fn remove(folder: &Folder, name: &str) -> Result<(), DataError> {
    folder.remove(name).map_err(failed(folder, name, "removed"))
}

/// Puts a finished file in its place, and sees that the place is on the disk.
pub(super) fn rename(folder: &Folder, from: &str, to: &str) -> Result<(), DataError> {
    folder.rename(from, to).map_err(failed(folder, to, "written"))
}

/// Writes a new file that only its owner can read: it appears as a whole or not at all, and in the place of no other.
pub(super) fn write_new(path: &Path, content: &[u8]) -> Result<(), DataError> {
    let failed = |why| DataError::File { path: path.to_owned(), what: "written", why };
    // Only to say so before the work is done; what decides is the link below.
    if path.symlink_metadata().is_ok() {
        return Err(failed(ErrorKind::AlreadyExists.into()));
    }
    let directory =
        path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut draft = path.as_os_str().to_owned();
    // Of this process alone, so that two that write the same do not meet in it.
    draft.push(format!(".{}.new", std::process::id()));
    let draft = PathBuf::from(draft);
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(content)?;
        file.sync_all()?;
        match fs::hard_link(&draft, path) {
            // A file system without links, as on a stick: the name is claimed first.
            Err(why) if matches!(why.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported) => {
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
                fs::rename(&draft, path)
            }
            linked => linked,
        }
    };
    // One of the same name is left from a process that was killed.
    let _ = fs::remove_file(&draft);
    let written = write();
    // After a success the content has its name, and a draft that stays behind is only untidy.
    let _ = fs::remove_file(&draft);
    written.and_then(|()| File::open(directory)?.sync_all()).map_err(failed)
}
