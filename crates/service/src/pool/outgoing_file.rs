//! Reads a file that an answer sends. The agent names it, so only a real file in the folder for such files is read.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use mcr_core::telegram::OutgoingFile;

/// The only folder from which files are sent.
const FOLDER: &str = "/tmp";

/// The name and the content of the file, or why it cannot be sent.
pub(super) fn read(file: &OutgoingFile, bytes_max: usize) -> Result<(String, Vec<u8>), String> {
    let words = |why: std::io::Error| format!("it cannot be read: {why}");
    // A link may lead anywhere, so its target counts.
    let path = fs::canonicalize(&file.path).map_err(words)?;
    let folder = fs::canonicalize(FOLDER).map_err(words)?;
    if !path.starts_with(&folder) {
        return Err(format!("it is not in {FOLDER}"));
    }
    let found = fs::symlink_metadata(&path).map_err(words)?;
    if !found.is_file() {
        return Err("it is no regular file".to_owned());
    }
    if found.len() > bytes_max as u64 {
        return Err(format!("it has {} bytes; the limit is {bytes_max}", found.len()));
    }
    let mut content = Vec::new();
    let limit = bytes_max as u64;
    File::open(&path).map_err(words)?.take(limit).read_to_end(&mut content).map_err(words)?;
    let name = Path::new(&file.path).file_name().map(|name| name.to_string_lossy().into_owned());
    Ok((name.unwrap_or_else(|| "file".to_owned()), content))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcr_core::telegram::OutgoingKind;

    #[test]
    fn only_a_real_file_of_the_folder_is_read() {
        let dir = tempfile::Builder::new().prefix("mcr-out").tempdir_in(FOLDER).unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        fs::write(path("song.mp3"), b"la la").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", path("link.mp3")).unwrap();
        fs::create_dir(path("folder.mp3")).unwrap();
        let read =
            |name: &str, most| read(&OutgoingFile { path: path(name), kind: OutgoingKind::Audio }, most);
        assert_eq!(read("song.mp3", 5), Ok(("song.mp3".to_owned(), b"la la".to_vec())));
        assert!(read("song.mp3", 4).unwrap_err().contains("the limit is 4"));
        assert_eq!(read("link.mp3", 99_999), Err("it is not in /tmp".to_owned()));
        assert_eq!(read("folder.mp3", 99), Err("it is no regular file".to_owned()));
        assert!(read("none.mp3", 99).unwrap_err().contains("cannot be read"));
    }
}
