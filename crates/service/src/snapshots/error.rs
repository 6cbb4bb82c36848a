//! Why a snapshot was not made or not restored.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;

use mcr_clients::convex::CallError;
use mcr_clients::pool::StorageFault;

/// Why a snapshot was not made or not restored. Each says that nothing was changed, where that is not evident.
#[derive(Debug)]
pub enum SnapshotError {
    /// A file or folder of this machine failed.
    Disk {
        /// What was tried.
        what: String,
        /// The system's reason.
        why: io::Error,
    },
    /// The state is larger than allowed.
    TooLarge(String),
    /// The archive must not be restored, for this reason.
    BadArchive(String),
    /// The state must not become a snapshot, for this reason.
    NotOurs(String),
    /// A call of the queue failed.
    Call(CallError),
    /// A transfer failed.
    Transfer(StorageFault),
    /// The queue does not know the snapshot any more.
    Forgotten,
    /// Nothing that exists could be restored: the reasons, newest first.
    NoneUsable(Vec<String>),
}

impl SnapshotError {
    /// For `map_err`: an error of this machine's disk.
    pub(super) fn disk(what: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let what = format!("{} cannot be {what}", path.display());
        move |why| Self::Disk { what, why }
    }

    /// Whether the disk is full.
    pub fn is_full_disk(&self) -> bool {
        match self {
            Self::Disk { why, .. } | Self::Transfer(StorageFault::Disk(why)) => is_full(why),
            _ => false,
        }
    }
}

fn full(f: &mut fmt::Formatter<'_>, what: &str, why: &io::Error) -> fmt::Result {
    write!(f, "{what}: the disk is full ({why}). Nothing was changed; make room, then try again")
}

fn is_full(why: &io::Error) -> bool {
    matches!(why.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk { what, why } if is_full(why) => full(f, what, why),
            Self::Transfer(StorageFault::Disk(why)) if is_full(why) => {
                full(f, "The archive cannot be written", why)
            }
            Self::Disk { what, why } => write!(f, "{what}: {why}"),
            Self::TooLarge(what) => {
                write!(
                    f,
                    "{what}. Remove what is not needed, name it in SNAPSHOT_EXCLUDE, or raise SNAPSHOT_MAX_MB"
                )
            }
            Self::BadArchive(why) => write!(f, "The archive must not be used: {why}"),
            Self::NotOurs(why) => f.write_str(why),
            Self::Call(error) => write!(f, "{error}"),
            Self::Transfer(fault) => write!(f, "The archive was not transferred: {fault}"),
            Self::Forgotten => {
                f.write_str("The queue does not know the new snapshot of this worker any more: try again")
            }
            Self::NoneUsable(reasons) => {
                write!(f, "No snapshot could be restored, and the present state was left as it is")?;
                reasons.iter().try_for_each(|reason| write!(f, "; {reason}"))
            }
        }
    }
}

impl std::error::Error for SnapshotError {}

impl From<CallError> for SnapshotError {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl From<StorageFault> for SnapshotError {
    fn from(fault: StorageFault) -> Self {
        Self::Transfer(fault)
    }
}
