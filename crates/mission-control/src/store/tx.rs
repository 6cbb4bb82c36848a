//! A transaction: reads and writes rows by id and by index, at one point in time.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::rc::Rc;

use rusqlite::types::Value as Field;
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use serde::Serialize;

use super::change_feed::{ChangeFeed, Touched, Written};
use super::schema::field;
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
        Found {
            database: self.database,
            index,
            values: values
                .iter()
                .map(|value| value.map_or(Field::Null, |text| Field::Text(text.to_owned())))
                .collect(),
            bound: None,
            newest_first: false,
            limit: None,
            row: std::marker::PhantomData,
        }
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

/// A bound on the rows of an index.
#[derive(Clone, Copy, Debug)]
enum Bound {
    After,
    Before,
    /// Before a value of the sort field; for an equal value, before a creation time.
    Behind,
    /// At most a value of the sort field.
    UpTo,
}

/// A query for rows by index.
pub(crate) struct Found<'a, R> {
    database: &'a Connection,
    index: Index,
    values: Vec<Field>,
    /// What the last values bound.
    bound: Option<Bound>,
    newest_first: bool,
    limit: Option<usize>,
    row: std::marker::PhantomData<fn() -> R>,
}

impl<R: Row> Found<'_, R> {
    /// Newest rows first.
    pub(crate) fn newest_first(mut self) -> Self {
        self.newest_first = true;
        self
    }

    /// Only rows created after this time.
    pub(crate) fn created_after(self, instant: f64) -> Self {
        self.bounded(Bound::After, &[instant])
    }

    /// Only rows created before this time.
    pub(crate) fn created_before(self, instant: f64) -> Self {
        self.bounded(Bound::Before, &[instant])
    }

    /// Only rows that follow, newest first, a row with this value of the sort field and this creation time.
    pub(crate) fn behind(self, then: f64, created: f64) -> Self {
        debug_assert!(self.index.then.is_some(), "{:?}", self.index);
        self.bounded(Bound::Behind, &[then, created])
    }

    /// Only rows whose sort field is at most this value.
    pub(crate) fn up_to(self, then: f64) -> Self {
        debug_assert!(self.index.then.is_some(), "{:?}", self.index);
        self.bounded(Bound::UpTo, &[then])
    }

    fn bounded(mut self, bound: Bound, by: &[f64]) -> Self {
        debug_assert!(self.bound.is_none(), "one bound");
        self.bound = Some(bound);
        self.values.extend(by.iter().map(|number| Field::Real(*number)));
        self
    }

    /// At most this many rows.
    pub(crate) fn limit(mut self, rows: usize) -> Self {
        self.limit = Some(rows);
        self
    }

    /// The rows.
    pub(crate) fn rows(self) -> Result<Vec<Doc<R>>, StoreError> {
        self.map_while(Some)
    }

    /// What `keep` makes of the rows, up to the first one of which it makes nothing. Rows after that are not read.
    pub(crate) fn map_while<T>(self, keep: impl FnMut(Doc<R>) -> Option<T>) -> Result<Vec<T>, StoreError> {
        let mut query = self.database.prepare_cached(&self.sql("id, at, row"))?;
        let found = query.query_map(params_from_iter(&self.values), raw)?.map(|found| doc(found?));
        let mut keep = keep;
        found.map_while(|row| row.map(&mut keep).transpose()).collect()
    }

    /// Whether one of the rows matches. Rows after the first match are not read.
    pub(crate) fn any(self, fits: impl Fn(&Doc<R>) -> bool) -> Result<bool, StoreError> {
        let mut query = self.database.prepare_cached(&self.sql("id, at, row"))?;
        for found in query.query_map(params_from_iter(&self.values), raw)? {
            if fits(&doc(found?)?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The number of rows. No row is decoded.
    pub(crate) fn count(self) -> Result<usize, StoreError> {
        let sql = format!("SELECT count(*) FROM ({})", self.sql("1"));
        let mut query = self.database.prepare_cached(&sql)?;
        let count: i64 = query.query_row(params_from_iter(&self.values), |row| row.get(0))?;
        usize::try_from(count).map_err(|_| StoreError::Fault(format!("{count} rows")))
    }

    /// The first row.
    pub(crate) fn first(self) -> Result<Option<Doc<R>>, StoreError> {
        Ok(self.limit(1).rows()?.pop())
    }

    pub(super) fn sql(&self, columns: &str) -> String {
        let mut sql = format!("SELECT {columns} FROM {}", self.index.table.name());
        for (at, name) in self.index.by.iter().enumerate() {
            let word = if at == 0 { "WHERE" } else { "AND" };
            // `IS` also matches absent fields, and uses the index like `=`.
            let _ = write!(sql, " {word} {} IS ?{}", field(name), at + 1);
        }
        let last = self.values.len();
        let then = self.index.then.map(field).unwrap_or_default();
        let _ = match self.bound {
            None => Ok(()),
            Some(Bound::After) => write!(sql, " AND at > ?{last}"),
            Some(Bound::Before) => write!(sql, " AND at < ?{last}"),
            Some(Bound::UpTo) => write!(sql, " AND {then} <= ?{last}"),
            Some(Bound::Behind) => {
                let first = last - 1;
                write!(sql, " AND {then} <= ?{first} AND ({then}, at) < (?{first}, ?{last})")
            }
        };
        let direction = if self.newest_first { "DESC" } else { "ASC" };
        let then = self.index.then.map_or(String::new(), |name| format!("{} {direction}, ", field(name)));
        let _ = write!(sql, " ORDER BY {then}at {direction}");
        if let Some(rows) = self.limit {
            let _ = write!(sql, " LIMIT {rows}");
        }
        sql
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

#[cfg(test)]
mod tests {
    use crate::rows::{Message, Task};
    use crate::store::{Id, Store, StoreError, THREAD, Tx};
    use mcr_model::clock::SystemClock;

    /// The contents that are looked at until one fits.
    fn seen(tx: &Tx<'_>, task: &Id<Task>, after: f64, wanted: &str) -> Result<(bool, String), StoreError> {
        let seen = std::cell::RefCell::new(String::new());
        let thread = tx.find::<Message>(THREAD, &[Some(task.as_str())]).newest_first().created_after(after);
        let found = thread.any(|message| {
            seen.borrow_mut().push_str(&message.row.content);
            message.row.content == wanted
        })?;
        Ok((found, seen.into_inner()))
    }

    #[test]
    fn a_long_thread_is_read_only_as_far_as_it_matters() {
        let store = Store::in_memory(Box::new(SystemClock)).expect("a new store");
        let done = store.write(|tx| {
            let task = tx.insert(Task::default())?.id;
            let mut instants = Vec::new();
            for content in ["a", "b", "c", "d", "e"] {
                let content = content.to_owned();
                let made = tx.insert(Message { task_id: task.clone(), content, ..Message::default() })?;
                instants.push(made.created);
            }
            let rows = [
                // Behind the second: neither that one nor the first.
                (instants[1], "a", (false, "edc")),
                (instants[1], "d", (true, "ed")),
                (instants[4], "e", (false, "")),
                (0.0, "a", (true, "edcba")),
            ];
            for (after, wanted, (found, read)) in rows {
                assert_eq!(seen(tx, &task, after, wanted)?, (found, read.to_owned()), "{after} {wanted}");
            }
            // The index serves both the task and the instant.
            let found = tx.find::<Message>(THREAD, &[Some("")]).newest_first().created_after(0.0);
            let plan = format!("EXPLAIN QUERY PLAN {}", found.sql("id, at, row"));
            let plan: String = tx.database.query_row(&plan, ("", 0.0), |row| row.get(3))?;
            assert!(plan.contains("USING INDEX by_thread") && plan.contains("at>?"), "{plan}");
            Ok::<_, StoreError>(())
        });
        done.expect("a thread");
    }
}
