//! Why data could not be opened, copied or sealed anew: each a sentence for the person at the terminal.

use std::path::PathBuf;
use std::{fmt, io};

use crate::answer::Refusal;
use crate::keys::KeyError;
use crate::store::StoreError;
use crate::vault::VaultError;
use mcr_files::{FolderError, Why};

/// Why data could not be opened, copied or sealed anew.
#[derive(Debug)]
pub enum DataError {
    /// Where the directory should be there is something else.
    NotADirectory(PathBuf),
    /// The directory cannot be used.
    Folder(FolderError),
    /// There should be data here, and there are none.
    Nothing(PathBuf),
    /// It ends with the process, so it would be lost at once.
    InMemory,
    /// A file or directory could not be used.
    File {
        /// Which.
        path: PathBuf,
        /// `made`, `read`, `written`.
        what: &'static str,
        /// What the machine says.
        why: io::Error,
    },
    /// A file of ours does not hold what it should.
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Keys are sealed, but the file with the master key is gone.
    MasterKeyGone(PathBuf),
    /// The master key is given from outside, so its successor must be, too.
    NextKeyMissing,
    /// An export that cannot be taken in.
    Copy {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The database refused.
    Store(StoreError),
    /// The master key does not fit, or is none.
    Key(VaultError),
    /// The engine refused.
    Refused(Refusal),
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotADirectory(path) => {
                write!(f, "{} is not a directory; give --data a directory of its own", path.display())
            }
            Self::Folder(why) => write!(f, "--data {why}"),
            Self::Nothing(path) => write!(
                f,
                "there are no data of a Mission Control in {}; give --data the directory that `local` was started with",
                path.display()
            ),
            Self::InMemory => f.write_str("what is in memory ends with this command; give --data a directory"),
            Self::File { path, what, why } => write!(f, "{} could not be {what} ({why})", path.display()),
            Self::Content { path, what } => write!(f, "{}: {what}", path.display()),
            Self::MasterKeyGone(path) => write!(
                f,
                "provider keys are stored here, but the master key that seals them is gone; put {} back, or set \
                 SECRETS_MASTER_KEY_BASE64",
                path.display()
            ),
            Self::NextKeyMissing => f.write_str(
                "the master key comes from SECRETS_MASTER_KEY_BASE64, so the next one must be given, too (32 bytes in \
                 base64)",
            ),
            Self::Copy { path, what } => write!(f, "{} was not taken in: {what}", path.display()),
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
