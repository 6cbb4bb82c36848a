//! Small values of other parts of the runtime, by key, in a table next to the deliveries.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::error::LedgerError;

/// The table. Created when needed.
const TABLE: &str =
    "CREATE TABLE IF NOT EXISTS kept (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID";

/// Values to keep by key. `None` removes a value.
pub(super) type KeptChanges = BTreeMap<String, Option<String>>;

/// Writes the changed values.
pub(super) fn keep(database: &Connection, changes: &KeptChanges) -> Result<(), LedgerError> {
    if changes.is_empty() {
        return Ok(());
    }
    database.execute_batch(TABLE)?;
    let mut put = database.prepare_cached("INSERT OR REPLACE INTO kept (key, value) VALUES (?, ?)")?;
    let mut remove = database.prepare_cached("DELETE FROM kept WHERE key = ?")?;
    for (key, value) in changes {
        match value {
            Some(value) => put.execute([key, value])?,
            None => remove.execute([key])?,
        };
    }
    Ok(())
}

/// Reads all values.
pub(super) fn read(database: &Connection) -> Result<BTreeMap<String, String>, LedgerError> {
    let select = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'kept'";
    if database.query_row(select, [], |row| row.get::<_, i64>(0))? == 0 {
        return Ok(BTreeMap::new());
    }
    let mut select = database.prepare("SELECT key, value FROM kept")?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
