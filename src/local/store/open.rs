//! Opening the data: making it, bringing it up to date, and refusing what cannot be trusted.

use std::path::Path;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::schema::{MIGRATIONS, Table, create};
use super::{Inside, Store, StoreError};
use crate::clock::Clock;

/// Marks a database as one of ours (the letters `MCRl`), so that another program's is not taken over.
const APPLICATION: i64 = 0x4D43_526C;

impl Store {
    /// Data that lives as long as the process.
    pub(in crate::local) fn in_memory(clock: Box<dyn Clock>) -> Result<Self, StoreError> {
        Self::over(Connection::open_in_memory()?, clock, MIGRATIONS)
    }

    /// The data in this file; made where there is none.
    pub(in crate::local) fn open(file: &Path, clock: Box<dyn Clock>) -> Result<Self, StoreError> {
        let flags = OpenFlags::default() | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        Self::over(Connection::open_with_flags(file, flags)?, clock, MIGRATIONS)
    }

    /// `steps` lead from the first layout to the one we know.
    fn over(mut database: Connection, clock: Box<dyn Clock>, steps: &[&str]) -> Result<Self, StoreError> {
        // One process has the data; a second is told so at once instead of at its first write, after a moment for one
        // that is just ending.
        database.busy_timeout(Duration::from_secs(1))?;
        database.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        // Nothing is changed in what is refused.
        if refuse_others(&database, known(steps)?)?.is_some() {
            refuse_damaged(&database)?;
        }
        database.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        // An acknowledged write outlives the process, and the power, too.
        database.pragma_update(None, "synchronous", "FULL")?;
        database.pragma_update(None, "cache_size", -8_000)?;
        database.set_prepared_statement_cache_capacity(128);

        bring_up_to_date(&mut database, steps)?;

        let newest =
            Table::ALL.map(|table| format!("SELECT max(at) AS at FROM {}", table.name())).join(" UNION ALL ");
        let newest = format!("SELECT coalesce(max(at), 0.0) FROM ({newest})");
        let last_instant = database.query_row(&newest, [], |row| row.get(0))?;
        let inside = Inside { database, changes: 0, told: 0, last_instant };
        Ok(Self { inside: Mutex::new(inside), changed: Condvar::new(), clock })
    }
}

/// The version of the layout to which these steps lead.
fn known(steps: &[&str]) -> Result<i64, StoreError> {
    i64::try_from(steps.len() + 1).map_err(|_| StoreError::Fault("too many layouts".to_owned()))
}

/// Makes the tables where there are none, and takes older ones through the steps that they lack: all or nothing.
fn bring_up_to_date(database: &mut Connection, steps: &[&str]) -> Result<(), StoreError> {
    let known = known(steps)?;
    let began = database.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    let found = refuse_others(&began, known)?;
    if found == Some(known) {
        return Ok(());
    }
    if let Some(version) = found {
        let done =
            usize::try_from(version - 1).map_err(|_| StoreError::Corrupt(format!("layout {version}")))?;
        for step in steps.iter().skip(done) {
            began.execute_batch(step)?;
        }
    } else {
        began.execute_batch(&create())?;
    }
    began.pragma_update(None, "application_id", APPLICATION)?;
    began.pragma_update(None, "user_version", known)?;
    Ok(began.commit()?)
}

/// The version of our layout that is there, none in an empty database; another program's and a newer one are refused,
/// before anything in them is changed.
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

/// Pages that are not what they should be.
fn refuse_damaged(database: &Connection) -> Result<(), StoreError> {
    let verdict: String = database.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" {
        return Ok(());
    }
    // The last line is the one that says what.
    Err(StoreError::Corrupt(verdict.lines().last().unwrap_or_default().to_owned()))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::*;
    use crate::clock::SystemClock;
    use crate::local::rows::Task;

    /// Not to be done twice, and it leaves a trace if it is.
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
        Store::over(Connection::open(file)?, Box::new(SystemClock), steps)
    }

    /// The layout, the task's title, and how many tables there are.
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
        // Only what is lacking.
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
