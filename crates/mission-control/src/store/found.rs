//! A query for rows by index: its bounds, its order and its limit.

use std::fmt::Write as _;

use rusqlite::types::Value as Field;
use rusqlite::{Connection, params_from_iter};

use super::schema::field;
use super::tx::{Doc, doc, raw};
use super::{Index, Row, StoreError};

/// A bound on the rows of an index.
#[derive(Clone, Copy, Debug)]
enum Bound {
    After,
    Before,
    /// Before a value of the sort field; for an equal value, before a creation time.
    Behind,
    /// At most a value of the sort field.
    UpTo,
    /// More than a value of the sort field.
    Beyond,
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

impl<'a, R: Row> Found<'a, R> {
    /// The rows whose indexed fields have these values. `None` matches an absent field.
    pub(super) fn new(database: &'a Connection, index: Index, values: &[Option<&str>]) -> Self {
        let values = values
            .iter()
            .map(|value| value.map_or(Field::Null, |text| Field::Text(text.to_owned())))
            .collect();
        Self {
            database,
            index,
            values,
            bound: None,
            newest_first: false,
            limit: None,
            row: std::marker::PhantomData,
        }
    }

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

    /// Only rows whose sort field is more than this value.
    pub(crate) fn beyond(self, then: f64) -> Self {
        debug_assert!(self.index.then.is_some(), "{:?}", self.index);
        self.bounded(Bound::Beyond, &[then])
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
            Some(Bound::Beyond) => write!(sql, " AND {then} > ?{last}"),
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
