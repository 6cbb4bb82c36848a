//! A transaction: reads and writes rows by id and by index, at one point in time.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;

use super::change_feed::{ChangeFeed, Touched, Written};
use super::found::Found;
use super::{Id, Index, Row, StoreError, Table, TableSet, id};
use crate::rows::Notification;
use mcr_model::clock::Millis;

/// The minimum time between two creations: about four steps of a float at current dates.
const STEP_MS: f64 = 1.0 / 1024.0;

/// A row with the fields that the platform adds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Doc<R> {
    /// Its id.
    #[serde(rename = "_id")]
    pub(crate) id: Id<R>,
    /// The time of its creation, with a fraction.
    #[serde(rename = "_creationTime")]
    pub(crate) created: f64,
    /// Its fields.
    #[serde(flatten)]
    pub(crate) row: R,
}

/// A row as it is stored.
pub(crate) struct StoredRow {
    /// Its id.
    pub(crate) id: String,
    /// The time of its creation, with a fraction.
    pub(crate) created: f64,
    /// Its fields.
    pub(crate) json: String,
}

impl StoredRow {
    /// The error for a row that its type cannot read.
    pub(crate) fn corrupt(&self, why: &serde_json::Error) -> StoreError {
        StoreError::Corrupt(format!("row {}: {why}", self.id))
    }
}

/// One transaction.
pub(crate) struct Tx<'a> {
    pub(super) database: &'a Connection,
    now: f64,
    last_instant: Cell<f64>,
    written: Rc<RefCell<Written>>,
    reads: Rc<Cell<TableSet>>,
    feed: &'a ChangeFeed,
    /// The number of the last change that this transaction is sure to see.
    seen: u64,
    /// How many queries it has made.
    #[cfg(test)]
    queries: Rc<Cell<usize>>,
}

impl<'a> Tx<'a> {
    /// Must be called before the transaction reads for the first time.
    pub(super) fn new(database: &'a Connection, now: Millis, feed: &'a ChangeFeed) -> Self {
        let (seen, last_instant) = feed.state();
        #[expect(clippy::cast_precision_loss, reason = "dates are far below 2^53 ms")]
        let now = (now.0 as f64).max(last_instant.floor());
        let (last_instant, written, reads) = (Cell::new(last_instant), Rc::default(), Rc::default());
        Self {
            database,
            now,
            last_instant,
            written,
            reads,
            feed,
            seen,
            #[cfg(test)]
            queries: Rc::default(),
        }
    }

    /// The time, read once for the whole transaction.
    pub(crate) fn now(&self) -> f64 {
        self.now
    }

    /// This transaction at an earlier time, for data with a history. The caller ensures that the times of two such
    /// periods do not overlap.
    pub(crate) fn at(&self, now: f64) -> Tx<'a> {
        let (written, reads) = (self.written.clone(), self.reads.clone());
        Tx {
            now,
            last_instant: Cell::new(now),
            written,
            reads,
            #[cfg(test)]
            queries: self.queries.clone(),
            ..*self
        }
    }

    /// The last creation time that was assigned, and what was written.
    pub(super) fn end(self) -> (f64, Written) {
        (self.last_instant.get(), self.written.take())
    }

    /// The tables that were read so far, and the number of the last change that the transaction is sure to see.
    pub(crate) fn reads(&self) -> (TableSet, u64) {
        (self.reads.get(), self.seen)
    }

    /// Notes that a table is read.
    pub(super) fn will_read(&self, table: Table) {
        #[cfg(test)]
        self.queries.set(self.queries.get() + 1);
        self.reads.set(self.reads.get().with(table));
    }

    /// How many queries this transaction has made.
    #[cfg(test)]
    pub(crate) fn queries(&self) -> usize {
        self.queries.get()
    }

    /// The revision that this transaction sees, for pages that later request the changes since.
    pub(crate) fn revision(&self) -> String {
        self.reads.set(TableSet::ALL);
        self.feed.revision(self.seen)
    }

    /// The rows that changed since a revision, each once. `None` if that is unknown.
    pub(crate) fn since(&self, revision: &str) -> Option<Vec<Touched>> {
        self.reads.set(TableSet::ALL);
        self.feed.since(revision)
    }

    /// Adds a row.
    pub(crate) fn insert<R: Row>(&self, row: R) -> Result<Doc<R>, StoreError> {
        let (id, created) = self.insert_json(R::TABLE, &to_json(&row)?)?;
        Ok(Doc { id: Id::new(id), created, row })
    }

    /// Adds a row. Returns its id and the time of its creation.
    pub(crate) fn insert_json(&self, table: Table, row: &str) -> Result<(String, f64), StoreError> {
        let id = id::make(table).map_err(|why| StoreError::Fault(why.to_string()))?;
        let created = self.now.max(self.last_instant.get() + STEP_MS);
        self.restore_json(table, &id, created, row)?;
        if table == Notification::TABLE {
            self.written.borrow_mut().notifications += 1;
        }
        Ok((id, created))
    }

    /// Adds a row that already has an id and a creation time, from an export.
    pub(crate) fn restore_json(
        &self,
        table: Table,
        id: &str,
        created: f64,
        row: &str,
    ) -> Result<(), StoreError> {
        self.last_instant.set(self.last_instant.get().max(created));
        let sql = format!("INSERT INTO {} (id, at, row) VALUES (?1, ?2, ?3)", table.name());
        self.database.prepare_cached(&sql)?.execute((id, created, row))?;
        self.note(table, id);
        Ok(())
    }

    /// Writes a changed row back.
    pub(crate) fn put<R: Row>(&self, doc: &Doc<R>) -> Result<(), StoreError> {
        self.put_json(R::TABLE, doc.id.as_str(), &to_json(&doc.row)?)
    }

    /// Writes a changed row back, given as JSON.
    pub(crate) fn put_json(&self, table: Table, id: &str, row: &str) -> Result<(), StoreError> {
        let sql = format!("UPDATE {} SET row = ?2 WHERE id = ?1", table.name());
        self.database.prepare_cached(&sql)?.execute((id, row))?;
        self.note(table, id);
        Ok(())
    }

    /// Removes a row. A missing row is not an error.
    pub(crate) fn delete<R: Row>(&self, id: &Id<R>) -> Result<(), StoreError> {
        let sql = format!("DELETE FROM {} WHERE id = ?1", R::TABLE.name());
        self.database.prepare_cached(&sql)?.execute([id.as_str()])?;
        self.note(R::TABLE, id.as_str());
        Ok(())
    }

    pub(super) fn note(&self, table: Table, id: &str) {
        self.written.borrow_mut().note(table, id);
    }

    /// The row with this id.
    pub(crate) fn get<R: Row>(&self, id: &Id<R>) -> Result<Option<Doc<R>>, StoreError> {
        self.get_json(R::TABLE, id.as_str())?.map(doc).transpose()
    }

    /// The row with this id, undecoded.
    pub(crate) fn get_json(&self, table: Table, id: &str) -> Result<Option<StoredRow>, StoreError> {
        self.will_read(table);
        let sql = format!("SELECT id, at, row FROM {} WHERE id = ?1", table.name());
        Ok(self.database.prepare_cached(&sql)?.query_row([id], raw).optional()?)
    }

    /// The rows whose indexed fields have these values. `None` matches an absent field.
    pub(crate) fn find<R: Row>(&self, index: Index, values: &[Option<&str>]) -> Found<'_, R> {
        debug_assert!(index.table == R::TABLE && index.by.len() == values.len(), "{index:?} {values:?}");
        self.will_read(index.table);
        Found::new(self.database, index, values)
    }

    /// All rows of a table, in the order of their creation.
    pub(crate) fn all<R: Row>(&self) -> Result<Vec<Doc<R>>, StoreError> {
        self.all_json(R::TABLE)?.into_iter().map(doc).collect()
    }

    /// The oldest rows of a table.
    pub(crate) fn oldest<R: Row>(&self, limit: usize) -> Result<Vec<Doc<R>>, StoreError> {
        self.will_read(R::TABLE);
        let sql = format!("SELECT id, at, row FROM {} ORDER BY rowid LIMIT {limit}", R::TABLE.name());
        self.database.prepare_cached(&sql)?.query_map([], raw)?.map(|found| doc(found?)).collect()
    }

    /// All rows of a table in the order of their creation, undecoded.
    pub(crate) fn all_json(&self, table: Table) -> Result<Vec<StoredRow>, StoreError> {
        self.will_read(table);
        let sql = format!("SELECT id, at, row FROM {} ORDER BY at", table.name());
        Ok(self.database.prepare_cached(&sql)?.query_map([], raw)?.collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
thread_local! {
    static ROWS_READ: Cell<u64> = const { Cell::new(0) };
}

/// The rows that this thread has read so far.
#[cfg(test)]
pub(crate) fn rows_read() -> u64 {
    ROWS_READ.get()
}

pub(super) fn raw(row: &rusqlite::Row<'_>) -> rusqlite::Result<StoredRow> {
    #[cfg(test)]
    ROWS_READ.set(ROWS_READ.get() + 1);
    Ok(StoredRow { id: row.get(0)?, created: row.get(1)?, json: row.get(2)? })
}

pub(super) fn doc<R: Row>(stored: StoredRow) -> Result<Doc<R>, StoreError> {
    let row = serde_json::from_str(&stored.json).map_err(|why| stored.corrupt(&why))?;
    Ok(Doc { id: Id::new(stored.id), created: stored.created, row })
}

fn to_json<R: Row>(row: &R) -> Result<String, StoreError> {
    serde_json::to_string(row).map_err(|why| StoreError::Fault(why.to_string()))
}
