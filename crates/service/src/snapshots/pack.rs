//! Writes an archive while other programs go on writing their files.
//!
//! The archive is streamed. Every name is resolved relative to an open folder and no link is followed, so an agent cannot
//! lead a file of the machine into its archive.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::time::UNIX_EPOCH;

use flate2::{Compression, GzBuilder};

use super::{SnapshotError, SnapshotFolders, SnapshotLimits};
use mcr_core::skills::MARKER;
use mcr_core::snapshot::SnapshotExcludes;
use mcr_core::snapshot::tar::{END, MEMBER_BYTES_MAX, TarMember, member_path, padding};
use mcr_files::shared::{FileKind, SharedFolder};

/// A file up to this size is read at once, and again if it changed meanwhile.
const WHOLE_BYTES_MAX: u64 = 1024 * 1024;

/// How often such a file is read.
const READS_MAX: u32 = 3;

/// The compression: as good as the default of gzip.
const LEVEL: u32 = 6;

/// What an archive has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    /// The files.
    pub files: u64,
    /// The folders.
    pub folders: u64,
    /// The bytes of the files.
    pub content_bytes: u64,
    /// The files that changed while they were read.
    pub changed: u64,
    /// The files that stay out by the rules.
    pub excluded: u64,
    /// Links, devices and sockets, and names that an archive cannot have.
    pub left_out: u64,
    /// The files that could not be read.
    pub unreadable: u64,
    /// The first of these, with the reason.
    pub first_unreadable: Option<String>,
}

/// Writes the archive. An error means that `out` has a part of it only.
pub fn pack<W: Write>(
    folders: &SnapshotFolders,
    excludes: &SnapshotExcludes,
    limits: SnapshotLimits,
    out: W,
) -> Result<(W, Packed), SnapshotError> {
    // Without a time in the head, one state gives one archive.
    let out = GzBuilder::new().mtime(0).write(out, Compression::new(LEVEL));
    let mut packer = Packer { out, excludes, limits, packed: Packed::default() };
    for (root, path) in folders.roots() {
        match SharedFolder::open(path) {
            Ok(folder) => packer.folder(root, &folder)?,
            Err(why) if why.kind() == io::ErrorKind::NotFound => {}
            Err(why) => return Err(SnapshotError::disk("opened", path)(why)),
        }
    }
    packer.write(&END)?;
    let out = packer.out.finish().map_err(not_written)?;
    Ok((out, packer.packed))
}

struct Packer<'a, W: Write> {
    out: flate2::write::GzEncoder<W>,
    excludes: &'a SnapshotExcludes,
    limits: SnapshotLimits,
    packed: Packed,
}

impl<W: Write> Packer<'_, W> {
    fn folder(&mut self, path: &str, folder: &SharedFolder) -> Result<(), SnapshotError> {
        let names = folder.names().and_then(|names| Ok((names, folder.facts()?)));
        let (mut names, facts) = match names {
            Ok(found) => found,
            Err(why) => {
                self.not_read(path, &why);
                return Ok(());
            }
        };
        // The queue's skills come from its manifest, and an old copy would replace a new one.
        if names.iter().any(|name| name == MARKER) {
            self.packed.excluded += 1;
            return Ok(());
        }
        self.packed.folders += 1;
        self.count()?;
        let mode = facts.permissions().mode() & 0o777;
        let member = TarMember {
            path: path.to_owned(),
            is_folder: true,
            mode,
            bytes: 0,
            modified_s: u64::try_from(facts.mtime()).unwrap_or(0),
        };
        self.write(&member.header())?;
        names.sort_unstable();
        for name in names {
            let inner = format!("{path}/{name}");
            if self.excludes.of(&inner).is_some() {
                self.packed.excluded += 1;
            } else if !matches!(member_path(&inner), Ok(Some(_))) {
                self.packed.left_out += 1;
            } else {
                self.entry(&inner, folder, &name)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, path: &str, folder: &SharedFolder, name: &str) -> Result<(), SnapshotError> {
        match folder.entry(name) {
            Ok(Some(FileKind::Folder)) => match folder.folder(name) {
                Ok(Some(inner)) => self.folder(path, &inner),
                // Removed meanwhile.
                Ok(None) => Ok(()),
                Err(why) => {
                    self.not_read(path, &why);
                    Ok(())
                }
            },
            Ok(Some(FileKind::File(_))) => match folder.open_file(name) {
                Ok(Some(file)) => self.file(path, &file),
                Ok(None) => Ok(()),
                Err(why) => {
                    self.not_read(path, &why);
                    Ok(())
                }
            },
            Ok(Some(FileKind::Other)) => {
                self.packed.left_out += 1;
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(why) => {
                self.not_read(path, &why);
                Ok(())
            }
        }
    }

    fn file(&mut self, path: &str, file: &File) -> Result<(), SnapshotError> {
        let facts = match file.metadata() {
            Ok(facts) if facts.is_file() => facts,
            Ok(_) => {
                self.packed.left_out += 1;
                return Ok(());
            }
            Err(why) => {
                self.not_read(path, &why);
                return Ok(());
            }
        };
        let whole = if facts.len() <= WHOLE_BYTES_MAX { self.read_whole(path, file) } else { Ok(None) };
        let whole = match whole {
            Ok(whole) => whole,
            Err(why) => {
                self.not_read(path, &why);
                return Ok(());
            }
        };
        let bytes = whole.as_ref().map_or(facts.len(), |bytes| bytes.len() as u64);
        self.packed.content_bytes += bytes;
        if bytes > MEMBER_BYTES_MAX || self.packed.content_bytes > self.limits.bytes {
            let most = self.limits.bytes / (1024 * 1024);
            return Err(SnapshotError::TooLarge(format!("The state has more than {most} MB")));
        }
        self.packed.files += 1;
        self.count()?;
        let modified = facts.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let member = TarMember {
            path: path.to_owned(),
            is_folder: false,
            mode: facts.permissions().mode() & 0o777,
            bytes,
            modified_s: modified.map_or(0, |span| span.as_secs()),
        };
        self.write(&member.header())?;
        match whole {
            Some(content) => self.write(&content)?,
            None => self.stream(file, bytes)?,
        }
        self.write(&END[..padding(bytes)])
    }

    /// The content of a file that fits into memory. `None` if it has grown beyond that.
    fn read_whole(&mut self, path: &str, file: &File) -> io::Result<Option<Vec<u8>>> {
        let mut content = Vec::new();
        for read in 1..=READS_MAX {
            let before = file.metadata()?;
            content.clear();
            io::Seek::rewind(&mut &*file)?;
            file.take(WHOLE_BYTES_MAX + 1).read_to_end(&mut content)?;
            let after = file.metadata()?;
            let stamp = |facts: &std::fs::Metadata| (facts.len(), facts.ctime(), facts.ctime_nsec());
            if stamp(&before) == stamp(&after) {
                break;
            }
            if read == READS_MAX {
                log::debug!(path; "A file changes while its snapshot is made");
                self.packed.changed += 1;
            }
        }
        if content.len() as u64 > WHOLE_BYTES_MAX {
            io::Seek::rewind(&mut &*file)?;
            return Ok(None);
        }
        Ok(Some(content))
    }

    /// Copies this many bytes. What a shrinking file lacks is filled with zeros, since its header is written already.
    fn stream(&mut self, file: &File, bytes: u64) -> Result<(), SnapshotError> {
        let mut chunk = vec![0; 64 * 1024];
        let mut left = bytes;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
            match (&mut &*file).read(&mut chunk[..most]) {
                Ok(0) | Err(_) => {
                    self.packed.changed += 1;
                    chunk.fill(0);
                    while left > 0 {
                        let most = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
                        self.write(&chunk[..most])?;
                        left -= most as u64;
                    }
                }
                Ok(count) => {
                    self.write(&chunk[..count])?;
                    left -= count as u64;
                }
            }
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        self.out.write_all(bytes).map_err(not_written)
    }

    fn count(&self) -> Result<(), SnapshotError> {
        if self.packed.files + self.packed.folders > self.limits.members {
            let most = self.limits.members;
            return Err(SnapshotError::TooLarge(format!("The state has more than {most} files and folders")));
        }
        Ok(())
    }

    fn not_read(&mut self, path: &str, why: &io::Error) {
        // A file that was removed meanwhile is no loss.
        if why.kind() != io::ErrorKind::NotFound {
            self.packed.unreadable += 1;
            self.packed.first_unreadable.get_or_insert_with(|| format!("{path}: {why}"));
        }
    }
}

fn not_written(why: io::Error) -> SnapshotError {
    SnapshotError::Disk { what: "The archive cannot be written".to_owned(), why }
}
