//! Removal of whatever a path names.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// Removes a file, a link, or a folder with all that is in it. A path that names nothing is a success.
pub fn remove_any(path: &Path) -> io::Result<()> {
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
