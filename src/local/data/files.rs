//! Files that only their owner can read, written as a whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::DataError;
use crate::secret::Secret;

/// Makes the directory, for its owner alone, if it is not there.
pub(super) fn make_directory(path: &Path) -> Result<(), DataError> {
    if path.exists() && !path.is_dir() {
        return Err(DataError::NotADirectory(path.to_owned()));
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|why| DataError::File { path: path.to_owned(), what: "made", why })
}

/// Sees that the file is there and only its owner's, whatever the directory allows others.
pub(super) fn claim(path: &Path) -> Result<PathBuf, DataError> {
    let failed = |why| DataError::File { path: path.to_owned(), what: "opened", why };
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path).map_err(failed)?;
    close_to_others(&file).map_err(failed)?;
    Ok(path.to_owned())
}

fn close_to_others(file: &File) -> io::Result<()> {
    let mut permissions = file.metadata()?.permissions();
    if permissions.mode() & 0o077 != 0 {
        permissions.set_mode(0o600);
        file.set_permissions(permissions)?;
    }
    Ok(())
}

/// A file of ours, if it is there.
pub fn read_secret(path: &Path) -> Result<Option<Vec<u8>>, DataError> {
    let failed = |why| DataError::File { path: path.to_owned(), what: "read", why };
    match File::open(path) {
        Ok(file) => {
            close_to_others(&file).map_err(failed)?;
            fs::read(path).map(Some).map_err(failed)
        }
        Err(why) if why.kind() == ErrorKind::NotFound => Ok(None),
        Err(why) => Err(failed(why)),
    }
}

/// Writes a file of ours, so that it is there as a whole or not at all.
pub fn write_secret(path: &Path, secret: &Secret) -> Result<(), DataError> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let draft = PathBuf::from(draft);
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        close_to_others(&file)?;
        file.write_all(secret.expose().as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()
    };
    write().map_err(|why| DataError::File { path: path.to_owned(), what: "written", why })?;
    rename(&draft, path)
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

/// Puts a finished file in its place, and sees that the place is on the disk.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), DataError> {
    let directory = to.parent().unwrap_or_else(|| Path::new("."));
    let moved = fs::rename(from, to).and_then(|()| File::open(directory)?.sync_all());
    moved.map_err(|why| DataError::File { path: to.to_owned(), what: "written", why })
}
