//! Opening the data: making it, bringing it up to date, and refusing what cannot be trusted.

use std::path::Path;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use rusqlite::Connection;

use super::schema::{MIGRATIONS, Table, VERSION, create};
use super::{Inside, Store, StoreError};
use crate::clock::Clock;

/// Marks a database as one of ours (the letters `MCRl`), so that another program's is not taken over.
const APPLICATION: i64 = 0x4D43_526C;

impl Store {
    /// Data that lives as long as the process.
    pub(in crate::local) fn in_memory(clock: Box<dyn Clock>) -> Result<Self, StoreError> {
        Self::over(Connection::open_in_memory()?, clock)
    }

    /// The data in this file; made where there is none.
    pub(in crate::local) fn open(file: &Path, clock: Box<dyn Clock>) -> Result<Self, StoreError> {
        Self::over(Connection::open(file)?, clock)
    }

    fn over(mut database: Connection, clock: Box<dyn Clock>) -> Result<Self, StoreError> {
        // One process has the data; a second is told so at once instead of at its first write, after a moment for one
        // that is just ending.
        database.busy_timeout(Duration::from_secs(1))?;
        database.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        // Nothing is changed in what is refused.
        if refuse_others(&database)?.is_some() {
            refuse_damaged(&database)?;
        }
        database.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        // An acknowledged write outlives the process, and the power, too.
        database.pragma_update(None, "synchronous", "FULL")?;
        database.pragma_update(None, "cache_size", -8_000)?;
        database.set_prepared_statement_cache_capacity(128);

        let began = database.transaction_with_behavior(rusqlite::TransactionBehavior::Exclusive)?;
        let found = refuse_others(&began)?;
        if let Some(version) = found {
            let done =
                usize::try_from(version - 1).map_err(|_| StoreError::Corrupt(format!("layout {version}")))?;
            for step in MIGRATIONS.iter().skip(done) {
                began.execute_batch(step)?;
            }
        } else {
            began.execute_batch(&create())?;
        }
        if found != Some(VERSION) {
            began.pragma_update(None, "application_id", APPLICATION)?;
            began.pragma_update(None, "user_version", VERSION)?;
        }
        began.commit()?;

        let newest =
            Table::ALL.map(|table| format!("SELECT max(at) AS at FROM {}", table.name())).join(" UNION ALL ");
        let newest = format!("SELECT coalesce(max(at), 0.0) FROM ({newest})");
        let last_instant = database.query_row(&newest, [], |row| row.get(0))?;
        let inside = Inside { database, changes: 0, last_instant };
        Ok(Self { inside: Mutex::new(inside), changed: Condvar::new(), clock })
    }
}

/// The version of our layout that is there, none in an empty database; another program's and a newer one are refused,
/// before anything in them is changed.
fn refuse_others(database: &Connection) -> Result<Option<i64>, StoreError> {
    let number = |name| database.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (version, application) = (number("user_version")?, number("application_id")?);
    let tables: i64 = database.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        Ok(None)
    } else if application != APPLICATION {
        Err(StoreError::Corrupt("it is another program's database".to_owned()))
    } else if version > VERSION {
        Err(StoreError::Newer { found: version, known: VERSION })
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
