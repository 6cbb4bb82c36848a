//! Folders that several users write to: the agents' workspaces.
//!
//! A [`SharedFolder`] is an open handle. Every name is resolved relative to the handle, and links are never followed. A
//! program that replaces a folder by a link thus cannot lead a write to another place. A name with `/`, `.` and `..` are
//! refused.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown,
};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{Mode, SFlag, fstatat, mkdirat};
use nix::unistd::{LinkatFlags, Uid, UnlinkatFlags, linkat, unlinkat};

/// Permission of a group to write.
const GROUP_WRITES: u32 = 0o020;

/// Permission of all other users to write.
const OTHERS_WRITE: u32 = 0o002;

/// Nanoseconds in a second.
const NANOS: i64 = 1_000_000_000;

/// Who may use new files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// This user only: files 0600, folders 0700.
    Private,
    /// And this group, which may read files and write to folders: files 0640, folders 0770.
    Group(u32),
    /// And this group, which may only read: files 0640, folders 0750.
    ReadOnlyGroup(u32),
    /// And this group, which may write to files as well: files 0660, folders 0770.
    WritingGroup(u32),
}

impl Sharing {
    /// The same readers, without permission to write to folders.
    #[must_use]
    pub fn read_only(self) -> Self {
        match self {
            Self::Private => Self::Private,
            Self::Group(group) | Self::ReadOnlyGroup(group) | Self::WritingGroup(group) => {
                Self::ReadOnlyGroup(group)
            }
        }
    }

    /// The same users, with permission to write to files.
    #[must_use]
    pub fn writable(self) -> Self {
        match self {
            Self::Private => Self::Private,
            Self::Group(group) | Self::ReadOnlyGroup(group) | Self::WritingGroup(group) => {
                Self::WritingGroup(group)
            }
        }
    }

    fn modes(self) -> (u32, u32) {
        match self {
            Self::Private => (0o600, 0o700),
            Self::Group(_) => (0o640, 0o770),
            Self::ReadOnlyGroup(_) => (0o640, 0o750),
            Self::WritingGroup(_) => (0o660, 0o770),
        }
    }

    /// Gives a new file or folder its group and permissions.
    fn apply(self, file: &File, mode: u32) -> io::Result<()> {
        if let Self::Group(group) | Self::ReadOnlyGroup(group) | Self::WritingGroup(group) = self
            && file.metadata()?.gid() != group
        {
            fchown(file, None, Some(group))?;
        }
        file.set_permissions(Permissions::from_mode(mode))
    }
}

/// What identifies a content of a regular file: every write changes at least one of these values. A program can set the
/// time of the last write, but not that of the last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    /// The size.
    pub bytes: u64,
    /// The number of the file on its disk.
    pub inode: u64,
    /// The time of the last change, in nanoseconds since 1970.
    pub changed_ns: i64,
}

impl FileStamp {
    fn of(facts: &fs::Metadata) -> Self {
        let changed_ns = facts.ctime().saturating_mul(NANOS).saturating_add(facts.ctime_nsec());
        Self { bytes: facts.len(), inode: facts.ino(), changed_ns }
    }
}

/// What has a name in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File(FileStamp),
    /// A folder.
    Folder,
    /// A link, a device or a socket.
    Other,
}

/// An open folder that other programs write to as well.
#[derive(Debug)]
pub struct SharedFolder {
    path: PathBuf,
    handle: File,
}

impl SharedFolder {
    /// Opens the folder at this path. The path itself may contain links.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(OFlag::O_DIRECTORY.bits());
        Ok(Self { path: path.to_owned(), handle: options.open(path)? })
    }

    /// Opens the folder at this path. A missing one is created for this user only.
    pub fn make(path: &Path) -> io::Result<Self> {
        match Self::open(path) {
            Err(why) if why.kind() == ErrorKind::NotFound => {
                DirBuilder::new().recursive(true).mode(0o700).create(path)?;
                Self::open(path)
            }
            opened => opened,
        }
    }

    /// The path under which the folder was opened, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who may use files here: the folder's group, if that group may write to the folder.
    pub fn sharing(&self) -> io::Result<Sharing> {
        let facts = self.handle.metadata()?;
        Ok(if facts.mode() & GROUP_WRITES == 0 { Sharing::Private } else { Sharing::Group(facts.gid()) })
    }

    /// The permissions and times of the folder.
    pub fn facts(&self) -> io::Result<fs::Metadata> {
        self.handle.metadata()
    }

    /// A second handle of the same folder.
    pub fn again(&self) -> io::Result<Self> {
        Ok(Self { path: self.path.clone(), handle: self.handle.try_clone()? })
    }

    /// When a file in this folder was last written. `None` if it is missing.
    pub fn modified(&self, name: &str) -> io::Result<Option<SystemTime>> {
        match fs::symlink_metadata(self.path.join(plain(name)?)) {
            Ok(facts) => facts.modified().map(Some),
            Err(why) if why.kind() == ErrorKind::NotFound => Ok(None),
            Err(why) => Err(why),
        }
    }

    /// Opens a folder inside of this one.
    pub fn folder(&self, name: &str) -> io::Result<Option<Self>> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        match openat(&self.handle, plain(name)?, flags, Mode::empty()) {
            Ok(handle) => Ok(Some(Self { path: self.path.join(name), handle: File::from(handle) })),
            Err(Errno::ENOENT) => Ok(None),
            Err(Errno::ENOTDIR | Errno::ELOOP) => {
                let shown = self.path.join(name);
                Err(io::Error::other(format!(
                    "{} is no folder, or a link to one: remove it",
                    shown.display()
                )))
            }
            Err(why) => Err(why.into()),
        }
    }

    /// Opens a folder inside of this one, and creates it if it is missing.
    pub fn make_folder(&self, name: &str, sharing: Sharing) -> io::Result<Self> {
        if let Some(folder) = self.folder(name)? {
            return Ok(folder);
        }
        match mkdirat(&self.handle, plain(name)?, Mode::from_bits_truncate(0o700)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(why) => return Err(why.into()),
        }
        let gone = || io::Error::new(ErrorKind::NotFound, "the new folder has disappeared");
        let folder = self.folder(name)?.ok_or_else(gone)?;
        sharing.apply(&folder.handle, sharing.modes().1)?;
        self.sync()?;
        Ok(folder)
    }

    /// What has this name.
    pub fn entry(&self, name: &str) -> io::Result<Option<FileKind>> {
        let facts = match fstatat(&self.handle, plain(name)?, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(facts) => facts,
            Err(Errno::ENOENT) => return Ok(None),
            Err(why) => return Err(why.into()),
        };
        let kind = SFlag::from_bits_truncate(facts.st_mode & SFlag::S_IFMT.bits());
        Ok(Some(if kind == SFlag::S_IFREG {
            FileKind::File(FileStamp {
                bytes: u64::try_from(facts.st_size).unwrap_or(0),
                inode: facts.st_ino,
                changed_ns: facts.st_ctime.saturating_mul(NANOS).saturating_add(facts.st_ctime_nsec),
            })
        } else if kind == SFlag::S_IFDIR {
            FileKind::Folder
        } else {
            FileKind::Other
        }))
    }

    /// An error if another user owns this folder or may write to it.
    pub fn only_we_write(&self) -> io::Result<()> {
        only_we_write(&self.handle, &self.path)
    }

    /// The content of a regular file with at most this many bytes. `None` if it is missing.
    pub fn read(&self, name: &str, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
        self.open_file(name)?.map(|file| content(&file, bytes_max)).transpose()
    }

    /// Like [`read`](Self::read), with the stamp of the content. There is no stamp if the file changed during the read.
    pub fn read_stamped(
        &self,
        name: &str,
        bytes_max: u64,
    ) -> io::Result<Option<(Vec<u8>, Option<FileStamp>)>> {
        let Some(file) = self.open_file(name)? else { return Ok(None) };
        let before = FileStamp::of(&file.metadata()?);
        let bytes = content(&file, bytes_max)?;
        let after = FileStamp::of(&file.metadata()?);
        Ok(Some((bytes, (before == after).then_some(after))))
    }

    /// Like [`read`](Self::read). A file that another user owns or may write to is an error.
    pub fn read_ours(&self, name: &str, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = self.open_file(name)? else { return Ok(None) };
        only_we_write(&file, &self.path.join(name))?;
        content(&file, bytes_max).map(Some)
    }

    /// Opens a file for reading. What is no regular file is opened as well; the caller looks.
    pub fn open_file(&self, name: &str) -> io::Result<Option<File>> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        match openat(&self.handle, plain(name)?, flags, Mode::empty()) {
            Ok(handle) => Ok(Some(File::from(handle))),
            Err(Errno::ENOENT) => Ok(None),
            Err(why) => Err(why.into()),
        }
    }

    /// Creates a file that must not exist. When this returns, its content is on the disk; its name is after
    /// [`sync`](Self::sync).
    pub fn create(&self, name: &str, bytes: &[u8], sharing: Sharing) -> io::Result<()> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let handle = openat(&self.handle, plain(name)?, flags, Mode::from_bits_truncate(0o600))?;
        let mut file = File::from(handle);
        sharing.apply(&file, sharing.modes().0)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    /// Moves a file, and replaces one that has the new name. Waits until the new name is on the disk.
    pub fn rename(&self, from: &str, folder: &Self, to: &str) -> io::Result<()> {
        renameat(&self.handle, plain(from)?, &folder.handle, plain(to)?)?;
        folder.sync()
    }

    /// Gives a file a second name, unless that name is taken. Waits until the new name is on the disk.
    pub fn link(&self, from: &str, folder: &Self, to: &str) -> io::Result<()> {
        match linkat(&self.handle, plain(from)?, &folder.handle, plain(to)?, LinkatFlags::empty()) {
            Ok(()) => folder.sync(),
            Err(Errno::EEXIST) => Ok(()),
            Err(why) => Err(why.into()),
        }
    }

    /// Removes a file if it exists.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match unlinkat(&self.handle, plain(name)?, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(why) => Err(why.into()),
        }
    }

    /// Removes a folder if it exists and is empty.
    pub fn remove_empty(&self, name: &str) -> io::Result<()> {
        match unlinkat(&self.handle, plain(name)?, UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(Errno::ENOENT | Errno::ENOTEMPTY | Errno::EEXIST | Errno::ENOTDIR) => Ok(()),
            Err(why) => Err(why.into()),
        }
    }

    /// The names of all files and folders that are valid text. The path is read, so the names are only hints.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(&self.path)?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names.collect())
    }

    /// Waits until the names of all files are on the disk.
    pub fn sync(&self) -> io::Result<()> {
        nix::unistd::fsync(self.handle.as_fd()).map_err(io::Error::from)
    }
}

/// Refuses a name that leads out of its folder.
fn plain(name: &str) -> io::Result<&str> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        return Err(io::Error::new(ErrorKind::InvalidInput, format!("{name:?} is no name of a file")));
    }
    Ok(name)
}

/// Refuses a file or folder whose content may come from another user.
fn only_we_write(file: &File, path: &Path) -> io::Result<()> {
    let facts = file.metadata()?;
    let why = if facts.uid() != Uid::effective().as_raw() {
        format!("belongs to the user {}", facts.uid())
    } else if facts.mode() & (GROUP_WRITES | OTHERS_WRITE) != 0 {
        "can be written by other users".to_owned()
    } else {
        return Ok(());
    };
    Err(io::Error::other(format!("{} {why}: remove it", path.display())))
}

/// The content of a regular file with at most this many bytes.
fn content(file: &File, bytes_max: u64) -> io::Result<Vec<u8>> {
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > bytes_max {
        return Err(io::Error::other(format!("it is larger than {bytes_max} bytes")));
    }
    Ok(bytes)
}
