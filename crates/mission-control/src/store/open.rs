//! Opens the data: creates the tables, migrates older versions, and refuses data that cannot be trusted.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::change_feed::ChangeFeed;
use super::readers::Pool;
use super::schema::{MIGRATIONS, Table, create, missing_indexes};
use super::{OnDisk, Store, StoreError};
use mcr_model::clock::Clock;

/// Marks a database as ours (the letters `MCRl`), so that the database of another program is not changed.
const APPLICATION: i64 = 0x4D43_526C;

/// How long a start waits for another process that is ending.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);
/// The interval between attempts.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

impl Store {
    /// Data that exists as long as the process.
    pub(crate) fn in_memory(clock: Box<dyn Clock>) -> Result<Self, StoreError> {
        let mut writer = Connection::open_in_memory()?;
        bring_up_to_date(&mut writer, MIGRATIONS)?;
        Self::with_writer(writer, clock, None)
    }

    /// The data in this file, which is created if it does not exist.
    pub(crate) fn open(file: &Path, clock: Box<dyn Clock>) -> Result<Self, StoreError> {
        Self::open_with(file, clock, MIGRATIONS)
    }

    /// `steps` migrate from the first layout to the current one.
    fn open_with(file: &Path, clock: Box<dyn Clock>, steps: &[&str]) -> Result<Self, StoreError> {
        let lock = lock_folder_of(file)?;
        prepare(connect(file)?, steps)?;
        let writer = connect(file)?;
        writer.busy_timeout(LOCK_TIMEOUT)?;
        writer.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        let mut log = file.as_os_str().to_owned();
        log.push("-wal");
        let (people, runtime) = (Pool::open(file)?, Pool::open(file)?);
        Self::with_writer(writer, clock, Some(OnDisk { people, runtime, log: log.into(), _lock: lock }))
    }

    fn with_writer(
        writer: Connection,
        clock: Box<dyn Clock>,
        on_disk: Option<OnDisk>,
    ) -> Result<Self, StoreError> {
        // An acknowledged write survives a crash of the process and a power failure.
        writer.pragma_update(None, "synchronous", "FULL")?;
        writer.pragma_update(None, "cache_size", -8_000)?;
        writer.set_prepared_statement_cache_capacity(128);
        let newest =
            Table::ALL.map(|table| format!("SELECT max(at) AS at FROM {}", table.name())).join(" UNION ALL ");
        let newest = format!("SELECT coalesce(max(at), 0.0) FROM ({newest})");
        let last_instant = writer.query_row(&newest, [], |row| row.get(0))?;
        Ok(Self { writer: Mutex::new(writer), feed: ChangeFeed::new(last_instant)?, clock, on_disk })
    }
}

/// A connection to the database in this file. A symbolic link is not followed.
pub(super) fn connect(file: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(file, OpenFlags::default() | OpenFlags::SQLITE_OPEN_NOFOLLOW)
}

/// Locks the folder of the data until the process ends, so that only one process has the data open. SQLite's
/// exclusive mode would also exclude our own readers.
fn lock_folder_of(file: &Path) -> Result<File, StoreError> {
    let folder =
        file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let failed =
        |why: io::Error| StoreError::Disk(format!("{} could not be locked: {why}", folder.display()));
    let lock = File::open(folder).map_err(failed)?;
    let until = Instant::now() + LOCK_TIMEOUT;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if Instant::now() < until => thread::sleep(RETRY_INTERVAL),
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked),
            Err(TryLockError::Error(why)) => return Err(failed(why)),
        }
    }
}

/// Checks the data and migrates them, on a connection with exclusive access. That also detects an older version of
/// this program, which does not use the lock.
fn prepare(mut database: Connection, steps: &[&str]) -> Result<(), StoreError> {
    database.busy_timeout(LOCK_TIMEOUT)?;
    database.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    // Refused data are not changed.
    if refuse_others(&database, known(steps)?)?.is_some() {
        refuse_damaged(&database)?;
    }
    database.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    database.pragma_update(None, "synchronous", "FULL")?;
    bring_up_to_date(&mut database, steps)?;
    database.close().map_err(|(_, why)| why.into())
}

/// The version of the layout that these steps produce.
fn known(steps: &[&str]) -> Result<i64, StoreError> {
    i64::try_from(steps.len() + 1).map_err(|_| StoreError::Fault("too many layouts".to_owned()))
}

/// Creates missing tables, and applies the missing migration steps to older ones, completely or not at all.
fn bring_up_to_date(database: &mut Connection, steps: &[&str]) -> Result<(), StoreError> {
    let known = known(steps)?;
    let transaction = database.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    let found = refuse_others(&transaction, known)?;
    if found == Some(known) {
        // Indexes of later versions are harmless for earlier versions.
        transaction.execute_batch(&missing_indexes())?;
        return Ok(transaction.commit()?);
    }
    if let Some(version) = found {
        let done =
            usize::try_from(version - 1).map_err(|_| StoreError::Corrupt(format!("layout {version}")))?;
        for step in steps.iter().skip(done) {
            transaction.execute_batch(step)?;
        }
        transaction.execute_batch(&missing_indexes())?;
    } else {
        transaction.execute_batch(&create())?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", known)?;
    Ok(transaction.commit()?)
}

/// The version of our layout, or `None` for an empty database. Refuses the database of another program or of a newer
/// version, before anything is changed.
fn refuse_others(database: &Connection, known: i64) -> Result<Option<i64>, StoreError> {
    let number = |name| database.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (version, application) = (number("user_version")?, number("application_id")?);
    let tables: i64 = database.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        Ok(None)
    } else if application != APPLICATION {
        Err(StoreError::Corrupt("it is another program's database".to_owned()))
    } else if version > known {
        Err(StoreError::Newer { found: version, known })
    } else {
        Ok(Some(version))
    }
}

/// Refuses a database with damaged pages.
fn refuse_damaged(database: &Connection) -> Result<(), StoreError> {
    let result: String = database.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if result == "ok" {
        return Ok(());
    }
    // The last line contains the reason.
    Err(StoreError::Corrupt(result.lines().last().unwrap_or_default().to_owned()))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::*;
    use crate::rows::Task;
    use mcr_model::clock::SystemClock;

    /// A step that must run only once, and leaves a trace each time.
    const TITLES: &str = "CREATE TABLE traces (number INTEGER) STRICT;
        UPDATE tasks SET row = json_set(row, '$.title', row ->> 'title' || '!');";
    const TRACE: &str = "INSERT INTO traces VALUES (3);";
    const FAILS: &str = "UPDATE tasks SET row = json_set(row, '$.title', 'lost'); SELECT nonsense;";

    /// Data of the first layout with one task.
    fn first_layout() -> (TempDir, PathBuf) {
        let home = TempDir::new().expect("a directory");
        let file = home.path().join("data.sqlite");
        let store = open(&file, &[]).expect("a new store");
        let task = Task { title: "Fix login".to_owned(), ..Task::default() };
        store.write(|tx| tx.insert(task)).expect("a task");
        (home, file)
    }

    fn open(file: &Path, steps: &[&str]) -> Result<Store, StoreError> {
        Store::open_with(file, Box::new(SystemClock), steps)
    }

    /// The layout, the title of the task, and the number of tables.
    fn look(file: &Path) -> (i64, String, i64) {
        let database = Connection::open(file).expect("a database");
        let number = |sql| database.query_row(sql, [], |row| row.get(0)).expect(sql);
        let title = "SELECT row ->> 'title' FROM tasks";
        (
            number("PRAGMA user_version"),
            database.query_row(title, [], |row| row.get(0)).expect(title),
            number("SELECT count(*) FROM sqlite_schema WHERE type = 'table'"),
        )
    }

    #[test]
    fn older_data_take_each_step_once_and_newer_are_refused() {
        let (_home, file) = first_layout();
        let (version, title, tables) = look(&file);
        assert_eq!((version, title.as_str()), (1, "Fix login"));
        for _ in 0..3 {
            let store = open(&file, &[TITLES]).expect("the step is done, or was done");
            let title = store.read(|tx| Ok::<_, StoreError>(tx.all::<Task>()?.remove(0).row.title));
            assert_eq!(title.expect("a task"), "Fix login!");
            drop(store);
            assert_eq!(look(&file), (2, "Fix login!".to_owned(), tables + 1));
        }
        // Only the missing step runs.
        drop(open(&file, &[TITLES, TRACE]).expect("the second step"));
        assert_eq!(look(&file), (3, "Fix login!".to_owned(), tables + 1));

        let refused = open(&file, &[TITLES]).err().expect("newer than it knows");
        assert!(matches!(refused, StoreError::Newer { found: 3, known: 2 }), "{refused}");
        assert_eq!(look(&file).0, 3);
    }

    #[test]
    fn several_steps_at_once_are_one() {
        let (_home, file) = first_layout();
        drop(open(&file, &[TITLES, TRACE]).expect("both steps"));
        assert_eq!((look(&file).0, look(&file).1.as_str()), (3, "Fix login!"));
    }

    #[test]
    fn a_step_that_fails_changes_nothing() {
        let (_home, file) = first_layout();
        let before = look(&file);
        for steps in [&[FAILS][..], &[TITLES, FAILS]] {
            assert!(open(&file, steps).is_err());
            assert_eq!(look(&file), before);
        }
        drop(open(&file, &[TITLES]).expect("a better step"));
        assert_eq!(look(&file).1, "Fix login!");
    }

    #[test]
    fn new_data_take_no_step_and_an_impossible_layout_is_refused() {
        let home = TempDir::new().expect("a directory");
        let file = home.path().join("data.sqlite");
        drop(open(&file, &[FAILS]).expect("made as the newest"));
        let database = Connection::open(&file).expect("a database");
        database.pragma_update(None, "user_version", 0).expect("another number");
        drop(database);
        let refused = open(&file, &[FAILS]).err().expect("there is no layout 0");
        assert!(matches!(&refused, StoreError::Corrupt(why) if why == "layout 0"), "{refused}");
    }
}
