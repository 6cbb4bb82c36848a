//! Finds out what a workspace has. A file is read only if it may have changed since it was last read.

use std::io;

use mcr_core::workspace::{Desired, Digest, FilePath, FoundFile, FoundFiles, FoundState, Manifest, paths};
use mcr_files::shared::{FileKind, FileStamp, SharedFolder};
use mcr_model::clock::Millis;

/// A larger file is none of a profile.
const FILE_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// What is at a path, before a file is read.
enum Located {
    Free,
    /// A folder, a link or a device, here or in place of an outer folder.
    Obstacle,
    /// A regular file in this folder.
    File(SharedFolder, FoundState),
}

fn state_of(FileStamp { bytes, inode, changed_ns }: FileStamp) -> FoundState {
    FoundState { bytes, inode, changed_ns }
}

/// Reads a regular file. Its content has the returned stamp, if there is one.
fn read(
    folder: &SharedFolder,
    name: &str,
    found: FoundState,
) -> io::Result<Option<(FoundFile, Option<FoundState>)>> {
    if found.bytes > FILE_BYTES_MAX {
        return Ok(Some((FoundFile::Large, None)));
    }
    let read = folder.read_stamped(name, FILE_BYTES_MAX)?;
    Ok(read.map(|(bytes, stamp)| (FoundFile::Content(Digest::of(&bytes)), stamp.map(state_of))))
}

/// What is at the paths of the plan, and how many files had to be read for that.
pub(super) fn find(
    workspace: &SharedFolder,
    desired: &Desired,
    manifest: Option<Manifest>,
    adopts: bool,
    now: Millis,
) -> io::Result<(FoundFiles, usize)> {
    let mut found = FoundFiles { adopts, ..FoundFiles::default() };
    let mut reads = 0;
    for path in paths(desired, manifest.as_ref()) {
        let managed = manifest.as_ref().and_then(|manifest| manifest.files.get(&path));
        let (folder, stamp) = match locate(workspace, &path)? {
            Located::Free => continue,
            Located::Obstacle => {
                found.files.insert(path, FoundFile::Obstacle);
                continue;
            }
            Located::File(folder, stamp) => (folder, stamp),
        };
        let is_own = desired.scaffold.contains_key(&path) && managed.is_none();
        let known = managed.filter(|managed| managed.found == Some(stamp));
        let (file, stamp) = match known {
            // The agent's own file is only created if it is missing, so its content does not matter.
            _ if is_own => (FoundFile::Unread, None),
            Some(managed) => (FoundFile::Content(managed.sha256.clone()), Some(stamp)),
            None => {
                reads += 1;
                match read(&folder, path.split().1, stamp)? {
                    Some(found) => found,
                    None => continue,
                }
            }
        };
        if let Some(stamp) = stamp.filter(|stamp| stamp.is_settled(now)) {
            found.stamps.insert(path.clone(), stamp);
        }
        found.files.insert(path, file);
    }
    found.manifest = manifest;
    Ok((found, reads))
}

/// What is at a path.
pub(super) fn look(workspace: &SharedFolder, path: &FilePath) -> io::Result<Option<FoundFile>> {
    Ok(match locate(workspace, path)? {
        Located::Free => None,
        Located::Obstacle => Some(FoundFile::Obstacle),
        Located::File(folder, stamp) => read(&folder, path.split().1, stamp)?.map(|(file, _)| file),
    })
}

fn locate(workspace: &SharedFolder, path: &FilePath) -> io::Result<Located> {
    let (folders, name) = path.split();
    let mut here = workspace.again()?;
    for folder in folders {
        match here.entry(folder)? {
            None => return Ok(Located::Free),
            Some(FileKind::Folder) => {}
            Some(FileKind::File(_) | FileKind::Other) => return Ok(Located::Obstacle),
        }
        match here.folder(folder)? {
            Some(next) => here = next,
            None => return Ok(Located::Free),
        }
    }
    Ok(match here.entry(name)? {
        None => Located::Free,
        Some(FileKind::Folder | FileKind::Other) => Located::Obstacle,
        Some(FileKind::File(stamp)) => Located::File(here, state_of(stamp)),
    })
}
