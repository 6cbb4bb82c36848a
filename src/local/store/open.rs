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
        database.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        // An acknowledged write outlives the process, and the power, too.
        database.pragma_update(None, "synchronous", "FULL")?;
        database.pragma_update(None, "cache_size", -8_000)?;
        database.set_prepared_statement_cache_capacity(128);

        let began = database.transaction_with_behavior(rusqlite::TransactionBehavior::Exclusive)?;
        let version: i64 = began.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let application: i64 = began.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let tables: i64 = began.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if tables == 0 {
            began.execute_batch(&create())?;
        } else if application != APPLICATION {
            return Err(StoreError::Corrupt("it is another program's database".to_owned()));
        } else if version > VERSION {
            return Err(StoreError::Newer { found: version, known: VERSION });
        } else {
            let done =
                usize::try_from(version - 1).map_err(|_| StoreError::Corrupt(format!("layout {version}")))?;
            for step in MIGRATIONS.iter().skip(done) {
                began.execute_batch(step)?;
            }
        }
        began.pragma_update(None, "application_id", APPLICATION)?;
        began.pragma_update(None, "user_version", VERSION)?;
        began.commit()?;

        let verdict: String = database.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict != "ok" {
            return Err(StoreError::Corrupt(verdict));
        }
        let newest =
            Table::ALL.map(|table| format!("SELECT max(at) AS at FROM {}", table.name())).join(" UNION ALL ");
        let newest = format!("SELECT coalesce(max(at), 0.0) FROM ({newest})");
        let last_instant = database.query_row(&newest, [], |row| row.get(0))?;
        let inside = Inside { database, changes: 0, last_instant };
        Ok(Self { inside: Mutex::new(inside), changed: Condvar::new(), clock })
    }
}
