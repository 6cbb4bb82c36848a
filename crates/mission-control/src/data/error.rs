//! The errors of opening, copying and sealing data, each a sentence for the person at the terminal.

use std::path::PathBuf;
use std::{fmt, io};

use crate::answer::Refusal;
use crate::keys::KeyError;
use crate::store::StoreError;
use crate::vault::VaultError;
use mcr_files::{FolderError, Why};

/// Why data could not be opened, copied or sealed again.
#[derive(Debug)]
pub enum DataError {
    /// The path of the directory is something else.
    NotADirectory(PathBuf),
    /// The directory cannot be used.
    Folder(FolderError),
    /// The directory contains no data, but the command needs them.
    Nothing(PathBuf),
    /// The data exist only in memory, so they would be lost immediately.
    InMemory,
    /// A file or directory could not be used.
    File {
        /// The path.
        path: PathBuf,
        /// What failed: `made`, `read`, `written`.
        what: &'static str,
        /// The error of the operating system.
        why: io::Error,
    },
    /// One of our files has invalid content.
    Content {
        /// The path.
        path: PathBuf,
        /// The reason.
        what: String,
    },
    /// Keys are sealed, but the file with the master key is missing.
    MasterKeyGone(PathBuf),
    /// The master key comes from the environment, so the next one must be given, too.
    NextKeyMissing,
    /// An export could not be imported.
    Copy {
        /// The path of the export.
        path: PathBuf,
        /// The reason.
        what: String,
    },
    /// The database could not be read or written.
    Store(StoreError),
    /// The master key is missing, invalid, or another one.
    Key(VaultError),
    /// The engine refused the operation.
    Refused(Refusal),
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotADirectory(path) => {
                write!(f, "{} is not a directory; set --data to a separate directory", path.display())
            }
            Self::Folder(why) => write!(f, "--data {why}"),
            Self::Nothing(path) => write!(
                f,
                "no data of a Mission Control exist in {}; set --data to the directory that `local` uses",
                path.display()
            ),
            Self::InMemory => f.write_str("data in memory are lost when this command ends; set --data to a directory"),
            Self::File { path, what, why } => write!(f, "{} could not be {what} ({why}); check the path, its permissions and the disk", path.display()),
            Self::Content { path, what } => write!(f, "{}: {what}", path.display()),
            Self::MasterKeyGone(path) => write!(
                f,
                "provider keys are stored here, but the master key that sealed them is missing; restore {}, or set \
                 SECRETS_MASTER_KEY_BASE64",
                path.display()
            ),
            Self::NextKeyMissing => f.write_str(
                "the master key comes from SECRETS_MASTER_KEY_BASE64, so the next one must be given, too (32 bytes in \
                 base64)",
            ),
            Self::Copy { path, what } => write!(f, "{} could not be imported: {what}", path.display()),
            Self::Store(why) => why.fmt(f),
            Self::Key(why) => why.fmt(f),
            Self::Refused(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for DataError {}

impl From<FolderError> for DataError {
    fn from(error: FolderError) -> Self {
        match error.why {
            Why::NotAFolder => Self::NotADirectory(error.path),
            Why::System { what, why } => Self::File { path: error.path, what, why },
            Why::Owner { .. } | Why::Writable { .. } | Why::File { .. } => Self::Folder(error),
        }
    }
}

impl From<StoreError> for DataError {
    fn from(why: StoreError) -> Self {
        Self::Store(why)
    }
}

impl From<VaultError> for DataError {
    fn from(why: VaultError) -> Self {
        Self::Key(why)
    }
}

impl From<KeyError> for DataError {
    fn from(why: KeyError) -> Self {
        match why {
            KeyError::Store(why) => Self::Store(why),
            KeyError::Vault(why) => Self::Key(why),
        }
    }
}

impl From<Refusal> for DataError {
    fn from(why: Refusal) -> Self {
        match why {
            Refusal::Store(why) => Self::Store(why),
            other @ (Refusal::Thrown(_)
            | Refusal::BadType(_)
            | Refusal::Arguments(_)
            | Refusal::NoFunction(_)
            | Refusal::WrongKind { .. }) => Self::Refused(other),
        }
    }
}
