//! Private folders: only the owner may write to one, and its files are private regular files of that owner.
//!
//! A [`Folder`] is opened once and keeps its handle. All names are resolved relative to the handle. Writes thus reach
//! the same folder even after it was moved, and never another folder at its old path. The path itself may contain
//! symbolic links, since systemd's `DynamicUser` creates one. Links inside the folder are not followed.

mod error;
mod group;
mod removal;
pub mod shared;

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};

pub use error::{FolderError, Why};
pub use group::own_group;
pub use removal::remove_any;

/// Permissions that other users must not have on a folder.
const OTHERS_WRITE: u32 = 0o022;
/// All permissions of other users.
const OTHERS: u32 = 0o077;

/// Which user may open a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Its owner only. Read permissions of others are withdrawn.
    Owner,
    /// Its owner, and root for the owner: files that root creates belong to the owner.
    OwnerOrRoot,
}

/// An open private folder.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    handle: File,
    owner: u32,
    group: u32,
    narrowed: Option<u32>,
}

impl Folder {
    /// Opens the folder at this path.
    pub fn open(path: &Path, access: Access) -> Result<Self, FolderError> {
        let failed = FolderError::system(path, "opened");
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(OFlag::O_DIRECTORY.bits());
        let handle = options.open(path).map_err(|why| match why.kind() {
            ErrorKind::NotADirectory if path.exists() => FolderError::new(path, Why::NotAFolder),
            _ => failed(why),
        })?;
        let facts = handle.metadata().map_err(&failed)?;
        let (owner, mode, user) = (facts.uid(), facts.mode() & 0o7777, geteuid().as_raw());
        if owner != user && !(access == Access::OwnerOrRoot && user == 0) {
            return Err(FolderError::new(path, Why::Owner { owner, user }));
        }
        if mode & OTHERS_WRITE != 0 {
            return Err(FolderError::new(path, Why::Writable { mode }));
        }
        let narrowed = (access == Access::Owner && mode & OTHERS != 0).then_some(mode);
        if narrowed.is_some() {
            handle.set_permissions(Permissions::from_mode(mode & !OTHERS)).map_err(&failed)?;
        }
        Ok(Self { path: path.to_owned(), handle, owner, group: facts.gid(), narrowed })
    }

    /// Opens the folder at this path and creates it if it is missing.
    pub fn make(path: &Path, access: Access) -> Result<Self, FolderError> {
        match Self::open(path, access) {
            Err(error) if error.is_missing() => {
                let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
                made.map_err(FolderError::system(path, "made"))?;
                Self::open(path, access)
            }
            opened => opened,
        }
    }

    /// The path under which the folder was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The previous permissions, if some were withdrawn.
    pub fn narrowed(&self) -> Option<u32> {
        self.narrowed
    }

    /// Why the path no longer leads to this folder or to these open files in it. `None` if it still does.
    pub fn displaced<'a>(&self, files: impl IntoIterator<Item = (&'a str, &'a File)>) -> Option<String> {
        let shown = self.path.display();
        let differs = |path: &Path, open: &File| match (fs::metadata(path), open.metadata()) {
            (Ok(at_path), Ok(open_file))
                if (at_path.dev(), at_path.ino()) == (open_file.dev(), open_file.ino()) =>
            {
                None
            }
            (Ok(_), Ok(_)) => Some("something else took its place".to_owned()),
            (Err(why), _) | (_, Err(why)) => Some(why.to_string()),
        };
        if let Some(why) = differs(&self.path, &self.handle) {
            return Some(format!("{shown} was moved away or deleted ({why})"));
        }
        let mut files = files.into_iter();
        files.find_map(|(name, file)| {
            let why = differs(&self.path.join(name), file)?;
            Some(format!("{name} in {shown} was moved away or deleted ({why})"))
        })
    }

    /// The path without links, for a library that opens files by path. Fails if the path leads elsewhere now.
    pub fn real_path(&self) -> io::Result<PathBuf> {
        let real = fs::canonicalize(&self.path)?;
        let (at_path, open_file) = (fs::metadata(&real)?, self.handle.metadata()?);
        if (at_path.dev(), at_path.ino()) == (open_file.dev(), open_file.ino()) {
            return Ok(real);
        }
        Err(io::Error::new(ErrorKind::NotFound, "the folder was moved away"))
    }

    /// Checks all files whose names start with one of these. Each must be a private file of the owner.
    pub fn check_all(&self, prefixes: &[&str]) -> Result<(), FolderError> {
        let failed = FolderError::system(&self.path, "listed");
        for name in self.names().map_err(failed)? {
            if prefixes.iter().any(|prefix| name.starts_with(prefix)) {
                let checked = self.check(&name);
                checked.map_err(|why| FolderError::new(&self.path, Why::File { name, why }))?;
            }
        }
        Ok(())
    }

    /// The names of all files.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(self.real_path()?)?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect()
    }

    /// The size of a file that must be a private file of the owner, or `None` if it is missing. The file is not opened:
    /// closing a second handle would release SQLite's locks on it.
    pub fn check(&self, name: &str) -> io::Result<Option<u64>> {
        match fstatat(&self.handle, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(facts) => self.checked_size(&facts).map(Some),
            Err(Errno::ENOENT) => Ok(None),
            Err(why) => Err(why.into()),
        }
    }

    /// The size of the file with these facts, if it is a private file of the owner.
    fn checked_size(&self, facts: &FileStat) -> io::Result<u64> {
        let kind = SFlag::from_bits_truncate(facts.st_mode & SFlag::S_IFMT.bits());
        let wrong = if kind == SFlag::S_IFLNK {
            "it is a symbolic link, which is not followed here: remove the link".to_owned()
        } else if kind != SFlag::S_IFREG {
            "it is not a regular file: remove it".to_owned()
        } else if facts.st_uid != self.owner {
            format!(
                "it belongs to user {}, but the folder to user {}: check it, then chown it",
                facts.st_uid, self.owner
            )
        } else if facts.st_nlink > 1 {
            "it has a second name elsewhere (a hard link): replace it by a copy of itself".to_owned()
        } else {
            return Ok(u64::try_from(facts.st_size).unwrap_or(0));
        };
        Err(io::Error::other(wrong))
    }

    /// Opens a file with these flags, withdraws all permissions of others and checks the file.
    fn open_file(&self, name: &str, flags: OFlag) -> io::Result<File> {
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let opened = openat(&self.handle, name, flags, Mode::from_bits_truncate(0o600));
        let file = match opened {
            Ok(handle) => File::from(handle),
            Err(why) => {
                // The check explains links and devices better than the error of `openat`.
                self.check(name)?;
                return Err(why.into());
            }
        };
        let facts = nix::sys::stat::fstat(file.as_fd())?;
        if flags.contains(OFlag::O_EXCL) && facts.st_uid != self.owner {
            std::os::unix::fs::fchown(&file, Some(self.owner), Some(self.group))?;
            return Ok(file);
        }
        self.checked_size(&facts)?;
        if facts.st_mode & OTHERS != 0 {
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        Ok(file)
    }

    /// Opens a file with these flags and creates it if it is missing.
    fn open_or_make(&self, name: &str, flags: OFlag) -> io::Result<File> {
        loop {
            match self.open_file(name, flags) {
                Err(why) if why.kind() == ErrorKind::NotFound => {}
                opened => return opened,
            }
            match self.open_file(name, flags | OFlag::O_CREAT | OFlag::O_EXCL) {
                // Another process created it in between.
                Err(why) if why.kind() == ErrorKind::AlreadyExists => {}
                made => return made,
            }
        }
    }

    /// Opens a file for reading and writing, and creates it if it is missing.
    pub fn open_for_writing(&self, name: &str) -> io::Result<File> {
        self.open_or_make(name, OFlag::O_RDWR)
    }

    /// Opens a file for writes at its end, and creates it if it is missing.
    pub fn open_for_appending(&self, name: &str) -> io::Result<File> {
        self.open_or_make(name, OFlag::O_WRONLY | OFlag::O_APPEND)
    }

    /// Opens a file for reading.
    pub fn open_for_reading(&self, name: &str) -> io::Result<Option<File>> {
        match self.open_file(name, OFlag::O_RDONLY) {
            Ok(file) => Ok(Some(file)),
            Err(why) if why.kind() == ErrorKind::NotFound => Ok(None),
            Err(why) => Err(why),
        }
    }

    /// The contents of a file, or `None` if it is missing.
    pub fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let Some(mut file) = self.open_for_reading(name)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Writes a file completely or not at all. When this returns, the file is on the disk.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let draft = format!("{name}.new");
        // A killed process may have left the draft, or an attacker planted it.
        self.remove(&draft)?;
        let mut file = self.open_file(&draft, OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        if written.is_err() {
            // Half a draft would only occupy a full disk. The first error is the important one.
            let _ = self.remove(&draft);
        }
        written?;
        self.rename(&draft, name)
    }

    /// Renames a file and waits until the new name is on the disk.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        renameat(&self.handle, from, &self.handle, to)?;
        self.sync()
    }

    /// Removes a file if it exists.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match unlinkat(&self.handle, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(why) => Err(why.into()),
        }
    }

    /// Waits until the names of all files are on the disk.
    pub fn sync(&self) -> io::Result<()> {
        self.handle.sync_all()
    }
}
