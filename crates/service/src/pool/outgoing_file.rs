//! Reads a file that an answer sends. The agent names it, so only a real file in the folder for such files is read.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

use mcr_core::telegram::OutgoingFile;
use mcr_files::shared::SharedFolder;

/// The only folder from which files are sent.
const FOLDER: &str = "/tmp";

/// The name and the content of the file, or why it cannot be sent.
pub(super) fn read(file: &OutgoingFile, bytes_max: usize) -> Result<(String, Vec<u8>), String> {
    let words = |why: io::Error| format!("it cannot be read: {why}");
    // A link may lead anywhere, so its target counts.
    let path = fs::canonicalize(&file.path).map_err(words)?;
    let folder = fs::canonicalize(FOLDER).map_err(words)?;
    let Ok(relative) = path.strip_prefix(&folder) else {
        return Err(format!("it is not in {FOLDER}"));
    };
    // The agent may replace the file by another at any time, so all that follows looks at the open one.
    let opened = open_below(&folder, relative).map_err(words)?;
    let found = opened.metadata().map_err(words)?;
    if !found.is_file() {
        return Err("it is no regular file".to_owned());
    }
    if found.len() > bytes_max as u64 {
        return Err(format!("it has {} bytes; the limit is {bytes_max}", found.len()));
    }
    let mut content = Vec::new();
    opened.take(found.len()).read_to_end(&mut content).map_err(words)?;
    let name = Path::new(&file.path).file_name().map(|name| name.to_string_lossy().into_owned());
    Ok((name.unwrap_or_else(|| "file".to_owned()), content))
}

/// Opens what has this path below the folder. No link is followed, and a pipe without a writer does not block.
fn open_below(folder: &Path, relative: &Path) -> io::Result<File> {
    let mut parts = Vec::new();
    for part in relative {
        parts.push(part.to_str().ok_or_else(|| io::Error::other("its path is no valid text"))?);
    }
    let missing = || io::Error::from(ErrorKind::NotFound);
    let name = parts.pop().ok_or_else(missing)?;
    let mut opened = SharedFolder::open(folder)?;
    for part in parts {
        opened = opened.folder(part)?.ok_or_else(missing)?;
    }
    opened.open_file(name)?.ok_or_else(missing)
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

    /// What the agent swaps after the check of the path is not followed.
    #[test]
    fn links_are_not_followed_when_the_file_is_opened_and_pipes_do_not_block() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(elsewhere.path().join("secret"), "secret").unwrap();
        fs::create_dir(dir.path().join("real")).unwrap();
        fs::write(dir.path().join("real/secret"), "harmless").unwrap();
        std::os::unix::fs::symlink(elsewhere.path().join("secret"), dir.path().join("link")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), dir.path().join("folder")).unwrap();
        nix::unistd::mkfifo(&dir.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let open = |path: &str| open_below(dir.path(), Path::new(path));
        for path in ["link", "folder/secret", "none", ""] {
            assert!(open(path).is_err(), "{path}");
        }
        let mut content = String::new();
        open("real/secret").unwrap().read_to_string(&mut content).unwrap();
        assert_eq!(content, "harmless");
        assert!(!open("pipe").unwrap().metadata().unwrap().is_file());
    }

    /// An agent that swaps a file and a link all the time never gets the link's target sent.
    #[test]
    fn a_file_that_is_swapped_for_a_link_meanwhile_is_not_sent() {
        let dir = tempfile::Builder::new().prefix("mcr-swap").tempdir_in(FOLDER).unwrap();
        let (path, next) = (dir.path().join("song.mp3"), dir.path().join("next"));
        fs::write(&path, "song").unwrap();
        let file = OutgoingFile { path: path.to_str().unwrap().to_owned(), kind: OutgoingKind::Audio };
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    std::os::unix::fs::symlink("/etc/passwd", &next).unwrap();
                    fs::rename(&next, &path).unwrap();
                    fs::write(&next, "song").unwrap();
                    fs::rename(&next, &path).unwrap();
                }
            });
            let sent: Vec<_> = (0..5_000).filter_map(|_| read(&file, 99_999).ok()).collect();
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(sent.iter().all(|(_, content)| content == b"song"));
        });
    }
}
