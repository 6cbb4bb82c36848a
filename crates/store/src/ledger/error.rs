//! Errors of opening and writing the ledger, each with a sentence for the person at the terminal.

use std::path::PathBuf;
use std::{fmt, io};

use mcr_core::delivery::journal::JournalError;
use mcr_core::work::WorkId;
use mcr_files::FolderError;

/// The reason why the ledger could not be opened or written.
#[derive(Debug)]
pub enum LedgerError {
    /// The directory, or a file in it, cannot be used.
    File {
        /// The path of the file.
        path: PathBuf,
        /// `made`, `opened`, `written`.
        what: &'static str,
        /// The error of the operating system.
        why: io::Error,
    },
    /// The folder cannot be used.
    Folder(FolderError),
    /// Another process has the ledger open.
    Locked {
        /// The folder of the ledger.
        directory: PathBuf,
        /// The id of that process, if its lock file has it.
        by: Option<u32>,
    },
    /// A newer version has written the ledger.
    Newer {
        /// The layout of the ledger.
        found: i64,
        /// The newest layout that this version knows.
        known: i64,
    },
    /// The ledger cannot be trusted: earlier steps are not known for certain.
    Damaged {
        /// The damage.
        what: String,
        /// The deliveries that can still be read, for the people who check them.
        known: Vec<WorkId>,
    },
    /// A ledger exists, but it cannot be written in its folder. Progress of its deliveries could not be recorded, and
    /// the next start would find them in their old state.
    Stuck {
        /// Why it cannot be written.
        why: Box<LedgerError>,
        /// Its deliveries that could be done twice; `None` if they cannot be read.
        known: Option<Vec<WorkId>>,
    },
    /// The ledger is switched off.
    Off,
    /// The disk is full.
    Full,
    /// The disk or its file system refused an operation.
    Disk(String),
}

impl LedgerError {
    /// Damage without a list of deliveries.
    pub(super) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into(), known: Vec::new() }
    }

    /// Whether the folder is the problem and has no deliveries under way. A service without a ledger ([`off`]) would
    /// then lose only crash recovery.
    ///
    /// [`off`]: super::Ledger::off
    pub fn is_of_the_place(&self) -> bool {
        match self {
            Self::File { .. } | Self::Off | Self::Full | Self::Disk(_) => true,
            Self::Folder(why) => !why.is_unsafe(),
            Self::Stuck { known, .. } => known.as_ref().is_some_and(Vec::is_empty),
            Self::Locked { .. } | Self::Newer { .. } | Self::Damaged { .. } => false,
        }
    }
}

impl LedgerError {
    /// Whether the disk or its permissions prevent the opening, so that a later attempt may succeed. Otherwise only a
    /// person can decide what is right.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::File { .. } | Self::Full | Self::Disk(_) => true,
            Self::Folder(why) => !why.is_unsafe(),
            Self::Stuck { why, .. } => why.may_pass(),
            Self::Locked { .. } | Self::Newer { .. } | Self::Damaged { .. } | Self::Off => false,
        }
    }
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, what, why } => write!(
                f,
                "{} could not be {what} ({why}): check the disk and its permissions",
                path.display()
            ),
            Self::Folder(why) => write!(f, "STATE_DIR {why}"),
            Self::Locked { directory, by } => {
                let by = by.map_or_else(|| "another process".to_owned(), |id| format!("process {id}"));
                let directory = directory.display();
                write!(
                    f,
                    "{by} already runs on STATE_DIR {directory}; stop it. (A second STATE_DIR would not help: only one \
                     runtime may serve an account.)"
                )
            }
            Self::Newer { found, known } => write!(
                f,
                "the ledger was written by a newer version (layout {found}, this program knows {known}); use that \
                 version"
            ),
            Self::Damaged { what, .. } => write!(
                f,
                "the ledger is damaged ({what}), so deliveries under way are unknown and could be done twice: restore \
                 STATE_DIR as a whole, or check the threads of the last minutes and move the files ledger.* away"
            ),
            Self::Stuck { why, known } => {
                let known =
                    known.as_ref().map_or_else(|| "perhaps".to_owned(), |known| known.len().to_string());
                write!(
                    f,
                    "{why}; and the ledger there has deliveries under way ({known}), which could be done twice"
                )?;
                if matches!(**why, Self::Off) {
                    f.write_str(
                        "; start once without LEDGER=off until they are settled, or move the files ledger.* away",
                    )?;
                }
                Ok(())
            }
            Self::Off => {
                f.write_str("LEDGER=off is set, so no progress survives a crash: remove it to keep a ledger")
            }
            Self::Full => f.write_str("the disk is full, so nothing more is recorded: free space on it"),
            Self::Disk(what) => write!(
                f,
                "the ledger could not be read or written ({what}): check the disk and the permissions of STATE_DIR"
            ),
        }
    }
}

impl std::error::Error for LedgerError {}

impl From<FolderError> for LedgerError {
    fn from(why: FolderError) -> Self {
        Self::Folder(why)
    }
}

impl From<rusqlite::Error> for LedgerError {
    fn from(why: rusqlite::Error) -> Self {
        use rusqlite::Error::{
            FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error,
        };
        use rusqlite::ErrorCode;
        let text = why.to_string();
        if matches!(
            why,
            FromSqlConversionFailure(..)
                | IntegralValueOutOfRange(..)
                | InvalidColumnType(..)
                | Utf8Error(..)
        ) {
            return Self::damaged(text);
        }
        match why.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(
                ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::OutOfMemory
                | ErrorCode::NoLargeFileSupport,
            ) => Self::Disk(text),
            // SQLite reports damage, or the schema is not ours: our statements are right.
            _ => Self::damaged(text),
        }
    }
}

impl From<&LedgerError> for JournalError {
    fn from(why: &LedgerError) -> Self {
        Self(why.to_string())
    }
}
