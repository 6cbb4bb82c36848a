//! Reads an archive into a new folder. Whatever is strange about it refuses the whole.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use flate2::read::GzDecoder;

use super::{SnapshotError, SnapshotLimits};
use mcr_core::snapshot::SnapshotExcludes;
use mcr_core::snapshot::tar::{
    BLOCK, PATH_BODY_MAX, TarHeader, TarMember, member_path, padding, read_header, read_path,
};

/// The most bytes after the end of the archive: programs fill up to a round size.
const TAIL_BYTES_MAX: u64 = 1024 * 1024;

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// The files.
    pub files: u64,
    /// The bytes of the files.
    pub content_bytes: u64,
    /// The files of the archive that stay out by the rules.
    pub excluded: u64,
}

/// Reads the archive. `place` has the new folder of each of the archive's two folders, or `None` to leave one out.
pub fn unpack(
    archive: impl Read,
    place: &dyn Fn(&str) -> Option<PathBuf>,
    excludes: &SnapshotExcludes,
    limits: SnapshotLimits,
) -> Result<Unpacked, SnapshotError> {
    let mut unpacker = Unpacker {
        from: GzDecoder::new(archive),
        place,
        excludes,
        limits,
        members: 0,
        modes: Vec::new(),
        unpacked: Unpacked::default(),
    };
    unpacker.run()?;
    // A folder that nobody may write to must be full by then; inner ones come first.
    for (path, mode) in unpacker.modes.iter().rev() {
        fs::set_permissions(path, Permissions::from_mode(*mode))
            .map_err(SnapshotError::disk("given its permissions", path))?;
    }
    Ok(unpacker.unpacked)
}

struct Unpacker<'a, R: Read> {
    from: GzDecoder<R>,
    place: &'a dyn Fn(&str) -> Option<PathBuf>,
    excludes: &'a SnapshotExcludes,
    limits: SnapshotLimits,
    members: u64,
    modes: Vec<(PathBuf, u32)>,
    unpacked: Unpacked,
}

impl<R: Read> Unpacker<'_, R> {
    fn run(&mut self) -> Result<(), SnapshotError> {
        let mut long_path = None;
        loop {
            let mut block = [0; BLOCK];
            self.fill(&mut block)?;
            match read_header(&block).map_err(SnapshotError::BadArchive)? {
                TarHeader::End => break,
                TarHeader::PathFollows { bytes, is_pax } => {
                    let body = self.body(bytes)?;
                    let path = read_path(&body, is_pax).map_err(SnapshotError::BadArchive)?;
                    long_path = path.or(long_path);
                }
                TarHeader::Ignored { bytes } => drop(self.body(bytes)?),
                TarHeader::Member(mut member) => {
                    if let Some(path) = long_path.take() {
                        member.path = path;
                    }
                    self.member(&member)?;
                }
            }
        }
        // The checksum of gzip is at the very end.
        let mut tail = (&mut self.from).take(TAIL_BYTES_MAX + 1);
        let count = io::copy(&mut tail, &mut io::sink()).map_err(|why| damaged(&why))?;
        if count > TAIL_BYTES_MAX {
            return Err(SnapshotError::BadArchive("it goes on after its end".to_owned()));
        }
        Ok(())
    }

    fn member(&mut self, member: &TarMember) -> Result<(), SnapshotError> {
        self.members += 1;
        if self.members > self.limits.members {
            let most = self.limits.members;
            return Err(SnapshotError::BadArchive(format!("it has more than {most} files and folders")));
        }
        let total = self.unpacked.content_bytes.saturating_add(member.bytes);
        if total > self.limits.bytes {
            let most = self.limits.bytes;
            return Err(SnapshotError::BadArchive(format!("its files have more than {most} bytes")));
        }
        self.unpacked.content_bytes = total;
        let Some(path) = member_path(&member.path).map_err(SnapshotError::BadArchive)? else { return Ok(()) };
        let (root, within) = path.split_once('/').unwrap_or((&path, ""));
        let target = match (self.place)(root) {
            Some(folder) if self.excludes.of(&path).is_none() => folder.join(within),
            _ => {
                if !member.is_folder {
                    self.unpacked.excluded += 1;
                    self.copy(member.bytes, &mut io::sink(), &path)?;
                }
                return Ok(());
            }
        };
        if member.is_folder {
            make_folder(&target)?;
            self.modes.push((target, member.mode | 0o700));
            return Ok(());
        }
        if within.is_empty() {
            return Err(SnapshotError::BadArchive(format!("`{path}` is a file, not a folder")));
        }
        if let Some(parent) = target.parent() {
            make_folder(parent)?;
        }
        let mut options = OpenOptions::new();
        let opened = options.write(true).create_new(true).mode(0o600).open(&target);
        let mut file = opened.map_err(|why| match why.kind() {
            io::ErrorKind::AlreadyExists => SnapshotError::BadArchive(format!("it has `{path}` twice")),
            io::ErrorKind::NotADirectory => SnapshotError::BadArchive(format!("`{path}` is below a file")),
            _ => SnapshotError::disk("written", &target)(why),
        })?;
        self.copy(member.bytes, &mut file, &path)?;
        let modified = UNIX_EPOCH.checked_add(Duration::from_secs(member.modified_s)).unwrap_or(UNIX_EPOCH);
        let finished = file.set_modified(modified);
        let finished = finished.and_then(|()| file.set_permissions(Permissions::from_mode(member.mode)));
        finished.map_err(SnapshotError::disk("written", &target))?;
        self.unpacked.files += 1;
        Ok(())
    }

    /// Copies the content of a member and skips its padding.
    fn copy(&mut self, bytes: u64, into: &mut dyn io::Write, path: &str) -> Result<(), SnapshotError> {
        let mut chunk = vec![0; 64 * 1024];
        let mut left = bytes;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
            let count = self.from.read(&mut chunk[..most]).map_err(|why| damaged(&why))?;
            if count == 0 {
                return Err(damaged(&io::ErrorKind::UnexpectedEof.into()));
            }
            into.write_all(&chunk[..count]).map_err(SnapshotError::disk("written", Path::new(path)))?;
            left -= count as u64;
        }
        let mut rest = [0; BLOCK];
        self.fill(&mut rest[..padding(bytes)])
    }

    /// The body of a member that is no file.
    fn body(&mut self, bytes: u64) -> Result<Vec<u8>, SnapshotError> {
        self.members += 1;
        if bytes > PATH_BODY_MAX || self.members > self.limits.members {
            return Err(SnapshotError::BadArchive("it has a record that is too long".to_owned()));
        }
        let mut body = vec![0; usize::try_from(bytes).unwrap_or(0) + padding(bytes)];
        self.fill(&mut body)?;
        body.truncate(usize::try_from(bytes).unwrap_or(0));
        Ok(body)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), SnapshotError> {
        self.from.read_exact(buffer).map_err(|why| damaged(&why))
    }
}

fn damaged(why: &io::Error) -> SnapshotError {
    SnapshotError::BadArchive(match why.kind() {
        io::ErrorKind::UnexpectedEof => "it ends too early".to_owned(),
        _ => format!("it is damaged ({why})"),
    })
}

fn make_folder(path: &Path) -> Result<(), SnapshotError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|why| match why.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            SnapshotError::BadArchive(format!("`{}` is a file and a folder", path.display()))
        }
        _ => SnapshotError::disk("made", path)(why),
    })
}
