//! Why a private folder cannot be used. Each error is a sentence that says what to do.

use std::path::{Path, PathBuf};
use std::{fmt, io};

/// Why a private folder cannot be used.
#[derive(Debug)]
pub struct FolderError {
    /// The folder.
    pub path: PathBuf,
    /// The reason.
    pub why: Why,
}

/// The reason for a [`FolderError`].
#[derive(Debug)]
pub enum Why {
    /// The path names something else.
    NotAFolder,
    /// The folder belongs to another user.
    Owner {
        /// The owner.
        owner: u32,
        /// The user of this process.
        user: u32,
    },
    /// Other users may write to the folder.
    Writable {
        /// Its permissions.
        mode: u32,
    },
    /// A file in the folder is not a private file of the owner.
    File {
        /// The name of the file.
        name: String,
        /// What is wrong with it.
        why: io::Error,
    },
    /// The system refused.
    System {
        /// `made`, `opened`, `listed`.
        what: &'static str,
        /// The error of the system.
        why: io::Error,
    },
}

impl FolderError {
    pub(super) fn new(path: &Path, why: Why) -> Self {
        Self { path: path.to_owned(), why }
    }

    pub(super) fn system(path: &Path, what: &'static str) -> impl Fn(io::Error) -> Self {
        let path = path.to_owned();
        move |why| Self { path: path.clone(), why: Why::System { what, why } }
    }

    /// Whether the folder does not exist.
    pub fn is_missing(&self) -> bool {
        matches!(&self.why, Why::System { what: "opened", why } if why.kind() == io::ErrorKind::NotFound)
    }

    /// Whether only another user may open the folder.
    pub fn is_closed(&self) -> bool {
        match &self.why {
            Why::Owner { .. } => true,
            Why::System { why, .. } => why.kind() == io::ErrorKind::PermissionDenied,
            Why::NotAFolder | Why::Writable { .. } | Why::File { .. } => false,
        }
    }

    /// Whether another user controls the contents of the folder, so that they must not be trusted.
    pub fn is_unsafe(&self) -> bool {
        matches!(self.why, Why::Owner { .. } | Why::Writable { .. } | Why::File { .. })
    }
}

impl fmt::Display for FolderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.why {
            Why::NotAFolder => write!(f, "{path} is not a folder: use another path"),
            Why::Owner { owner, user } => write!(
                f,
                "{path} belongs to user {owner}, but this process runs as user {user}: run as the owner, or use a folder \
                 that belongs to user {user}"
            ),
            Why::Writable { mode } => write!(
                f,
                "{path} can be changed by other users (mode {mode:o}), who may have placed files in it: check its files, \
                 then run `chmod 700 {path}`"
            ),
            Why::File { name, why } => write!(
                f,
                "{path}/{name} cannot be used: {why}; move the file away, then start the service again"
            ),
            Why::System { what, why } => {
                write!(
                    f,
                    "{path} cannot be {what} ({why}): give it to the user of the service, or use another path"
                )
            }
        }
    }
}

impl std::error::Error for FolderError {}

impl From<FolderError> for io::Error {
    fn from(error: FolderError) -> Self {
        match error.why {
            Why::System { why, .. } => why,
            _ => io::Error::other(error.to_string()),
        }
    }
}
