//! The data of Mission Control: SQLite, with one transaction for each function call.
//!
//! A call is atomic, and its changes are on the disk before its response is sent. [`Store::write`] and [`Store::read`] pass a
//! [`Tx`], which works with typed rows ([`Row`]) and named [`Index`]es, never with SQL. One connection writes. Other
//! connections read at the same time (`readers`): the runtime and people have separate ones, so that neither waits for the
//! other. `change_feed` records what changed.

mod change_feed;
mod columns;
mod fleet_rows;
mod found;
mod id;
mod open;
mod pool_indexes;
mod probe;
mod readers;
mod schema;
mod table_set;
mod tx;

use std::fmt;
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use log::warn;
use rusqlite::{Connection, TransactionBehavior};
use serde::Serialize;
use serde::de::DeserializeOwned;

use change_feed::ChangeFeed;
pub(crate) use change_feed::Touched;
pub(crate) use columns::{Card, ColumnPosition};
pub(crate) use fleet_rows::OpenDeliveries;
pub(crate) use id::{Id, table_of};
pub(crate) use pool_indexes::*;
use readers::Pool;
pub(crate) use schema::*;
pub(crate) use table_set::TableSet;
#[cfg(test)]
pub(crate) use tx::rows_read;
pub(crate) use tx::{Doc, StoredRow, Tx};

use mcr_model::clock::Clock;

/// The type of the rows of a table.
pub(crate) trait Row: Serialize + DeserializeOwned {
    /// The table.
    const TABLE: Table;
}

/// The data of one or several accounts.
pub(crate) struct Store {
    writer: Mutex<Connection>,
    feed: ChangeFeed,
    clock: Box<dyn Clock>,
    /// `None` for data in memory, which only one connection can access.
    on_disk: Option<OnDisk>,
}

/// The parts of a store in a file besides its writer. Fields are dropped in this order, so the lock is released last.
struct OnDisk {
    /// The connections for people and their programs.
    people: Pool,
    /// The connections for the runtime, which must not wait for pages.
    runtime: Pool,
    log: PathBuf,
    _lock: File,
}

/// The size of the write-ahead log above which it is emptied.
const LOG_BYTES: u64 = 32 * 1024 * 1024;
/// How long a writer waits for readers before it gives up emptying the log.
const PAUSE: Duration = Duration::from_millis(20);

/// Why data could not be read or written.
#[derive(Debug)]
pub enum StoreError {
    /// The disk is full.
    Full,
    /// Another process has the data open.
    Locked,
    /// A newer version of this program wrote the data.
    Newer {
        /// The version of the data.
        found: i64,
        /// The version of this program.
        known: i64,
    },
    /// The file is not a database, or it is damaged.
    Corrupt(String),
    /// The disk failed.
    Disk(String),
    /// Nothing more can be written: a quota, a limit on the size of files, or the disk itself.
    Unwritable(String),
    /// A row that does not fit its table, or a defect of this program.
    Fault(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the disk is full: nothing was changed; make room and try again"),
            Self::Locked => {
                f.write_str("another process has the data open; stop it, or use another --data directory")
            }
            Self::Newer { found, known } => write!(
                f,
                "the data was written by a newer version (layout {found}, this program supports up to {known}); use that version"
            ),
            Self::Corrupt(what) => {
                write!(
                    f,
                    "the data is damaged ({what}); restore a copy, or start with another --data directory"
                )
            }
            Self::Disk(what) => write!(f, "the data could not be read or written ({what})"),
            Self::Unwritable(what) => write!(
                f,
                "the data could not be written ({what}): nothing was changed; look for a quota, a limit on the size of \
                 files, or a failing disk, and try again"
            ),
            Self::Fault(what) => write!(f, "unexpected data ({what}); this is a bug in the program"),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<rusqlite::Error> for StoreError {
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
            // A value that was written as text is read as another type.
            return Self::Corrupt(text);
        }
        match why.sqlite_error_code() {
            Some(ErrorCode::SystemIoFailure) if is_of_writing(&why) => Self::Unwritable(text),
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt(text),
            Some(
                ErrorCode::ReadOnly
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied,
            ) => Self::Disk(text),
            _ => Self::Fault(text),
        }
    }
}

/// Whether a write failed for another reason than "no space left", which has a separate code.
fn is_of_writing(why: &rusqlite::Error) -> bool {
    use rusqlite::ffi::{SQLITE_IOERR_FSYNC, SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_WRITE};
    let code = why.sqlite_error().map(|error| error.extended_code);
    code.is_some_and(|code| [SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC, SQLITE_IOERR_TRUNCATE].contains(&code))
}

impl Store {
    /// Runs `work` as one transaction. If `work` fails, nothing is changed.
    pub(crate) fn write<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut writer = self.lock();
        let before = writer.total_changes();
        let began =
            writer.transaction_with_behavior(TransactionBehavior::Immediate).map_err(StoreError::from)?;
        let tx = Tx::new(&began, self.clock.now(), &self.feed);
        let answer = work(&tx)?;
        let (instant, written) = tx.end();
        began.commit().map_err(StoreError::from)?;
        let changed = writer.total_changes() != before;
        self.feed.publish(instant, changed.then_some(written));
        self.keep_log_short(&writer);
        Ok(answer)
    }

    /// Runs `work` on a read-only snapshot, on a connection for people.
    pub(crate) fn read<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.read_on(self.on_disk.as_ref().map(|on_disk| &on_disk.people), work)
    }

    /// Runs `work` on a read-only snapshot, on a connection for the runtime.
    pub(crate) fn read_for_runtime<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.read_on(self.on_disk.as_ref().map(|on_disk| &on_disk.runtime), work)
    }

    fn read_on<T, E: From<StoreError>>(
        &self,
        pool: Option<&Pool>,
        work: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let Some(pool) = pool else { return self.view(&mut self.lock(), work) };
        self.view(pool.lend().connection(), work)
    }

    fn view<T, E: From<StoreError>>(
        &self,
        connection: &mut Connection,
        work: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let began = connection.transaction().map_err(StoreError::from)?;
        work(&Tx::new(&began, self.clock.now(), &self.feed))
    }

    /// Empties a write-ahead log that is too long. SQLite does so itself, unless a reader is always active.
    fn keep_log_short(&self, writer: &Connection) {
        let Some(on_disk) = &self.on_disk else { return };
        // A log that does not exist is short.
        if fs::metadata(&on_disk.log).map_or(0, |log| log.len()) <= LOG_BYTES {
            return;
        }
        let Some(_people) = on_disk.people.pause(PAUSE) else { return };
        let Some(_runtime) = on_disk.runtime.pause(PAUSE) else { return };
        if let Err(why) = empty_log(writer) {
            warn!(reason:% = why; "The write-ahead log could not be emptied; the next write tries again");
        }
    }

    /// Moves all data from the log to the database file, so that this file is complete.
    pub(crate) fn settle(&self) -> Result<(), StoreError> {
        empty_log(&self.lock())
    }

    /// The number of the last change.
    pub(crate) fn changes(&self) -> u64 {
        self.feed.state().0
    }

    /// Waits for a change after `seen`, or for the timeout. Returns the number of the last change.
    pub(crate) fn wait_for_change(&self, seen: u64, timeout: Duration) -> u64 {
        self.feed.wait_for_change(seen, timeout)
    }

    /// Whether one of these tables has changed since.
    pub(crate) fn has_changed(&self, tables: TableSet, seen: u64) -> bool {
        self.feed.has_changed(tables, seen)
    }

    /// Waits until one of these tables changes after `seen`, or for the timeout.
    pub(crate) fn wait_for_change_of(&self, tables: TableSet, seen: u64, timeout: Duration) {
        self.feed.wait_for_change_of(tables, seen, timeout);
    }

    /// Waits for more than `seen` notifications, or for the timeout. Returns their number.
    pub(crate) fn wait_for_notification(&self, seen: u64, timeout: Duration) -> u64 {
        self.feed.wait_for_notification(seen, timeout)
    }

    /// A panic inside a transaction rolls it back, so the data behind a poisoned lock is valid.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn empty_log(writer: &Connection) -> Result<(), StoreError> {
    Ok(writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{Message, Task};
    use mcr_model::clock::SystemClock;

    /// A task and some messages, so that a failure can come at any of them.
    fn fill(store: &Store, letters: usize) -> Result<(), StoreError> {
        store.write(|tx| {
            let task = tx.insert(Task { title: "Task".to_owned(), ..Task::default() })?;
            for _ in 0..10 {
                let content = "x".repeat(letters);
                tx.insert(Message { task_id: task.id.clone(), content, ..Message::default() })?;
            }
            Ok(())
        })
    }

    fn count(store: &Store) -> (usize, usize) {
        let counted =
            store.read(|tx| Ok::<_, StoreError>((tx.all::<Task>()?.len(), tx.all::<Message>()?.len())));
        counted.expect("reading goes on")
    }

    #[test]
    fn a_call_that_does_not_fit_on_the_disk_changes_nothing_and_the_next_one_may() {
        let store = Store::in_memory(Box::new(SystemClock)).expect("a new store");
        let pages = |count: i64| {
            let writer = store.lock();
            let current: i64 = writer.query_row("PRAGMA page_count", [], |row| row.get(0)).expect("a count");
            writer
                .pragma_update_and_check(None, "max_page_count", current + count, |_| Ok(()))
                .expect("a limit");
        };
        fill(&store, 10).expect("there is room");
        for room in 0..12 {
            pages(room);
            let changes = store.changes();
            let refused = fill(&store, 5_000).expect_err("20 pages do not fit");
            assert!(matches!(refused, StoreError::Full), "{refused}");
            assert!(refused.to_string().starts_with("the disk is full: nothing was changed"));
            assert_eq!((count(&store), store.changes()), ((1, 10), changes), "with room for {room}");
        }
        pages(1_000);
        fill(&store, 5_000).expect("there is room again");
        assert_eq!(count(&store), (2, 20));
    }
}
