//! The columns of the board: tasks by status, the most urgent first, then the last changed. They have a separate
//! index, because an [`Index`](super::Index) sorts in one direction only.

use std::borrow::Cow;

use rusqlite::params;
use serde::Deserialize;

use super::schema::field;
use super::tx::{doc, raw};
use super::{Doc, Id, StoreError, TASKS, Table, Tx};
use crate::rows::{Account, Task};

/// The position of a task in its column. The lesser position comes first.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) struct ColumnPosition {
    priority: f64,
    /// Negative, so that the last changed task comes first.
    changed: f64,
    created: f64,
}

impl ColumnPosition {
    /// The position of a task with these fields.
    pub(crate) fn new(priority: f64, updated_at: f64, created: f64) -> Self {
        Self { priority, changed: -updated_at, created }
    }

    /// The total order of positions.
    pub(crate) fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.priority.total_cmp(&other.priority))
            .then(self.changed.total_cmp(&other.changed))
            .then(self.created.total_cmp(&other.created))
    }
}

/// The fields of a task that a search reads.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Card<'a> {
    #[serde(borrow)]
    pub(crate) title: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) status: Cow<'a, str>,
    pub(crate) priority: f64,
    pub(crate) updated_at: f64,
    pub(crate) labels: Vec<String>,
    pub(crate) assigned_agent_ids: Vec<String>,
    pub(crate) assigned_user_ids: Vec<String>,
}

/// Whether a task is the chat with the orchestrator, as an SQL expression. The board does not show it.
fn is_chat() -> String {
    let label = mcr_model::Task::ORCHESTRATOR_CHAT;
    format!("instr({}, '\"{label}\"') > 0", field("labels"))
}

fn order() -> String {
    format!("{}, -({}), at", field("priority"), field("updatedAt"))
}

/// The statement that creates the index if it does not exist.
pub(super) fn index() -> String {
    let (account, status) = (field("accountId"), field("status"));
    format!(
        "CREATE INDEX IF NOT EXISTS by_column ON tasks ({account}, {status}, {}, {});\n",
        is_chat(),
        order()
    )
}

fn of_column() -> String {
    let (account, status) = (field("accountId"), field("status"));
    format!("FROM tasks WHERE {account} IS ?1 AND {status} IS ?2 AND {} IS 0", is_chat())
}

impl Tx<'_> {
    /// The number of tasks in a column.
    pub(crate) fn count_column(&self, account: &Id<Account>, status: &str) -> Result<usize, StoreError> {
        self.will_read(Table::Tasks);
        let mut query = self.database.prepare_cached(&format!("SELECT count(*) {}", of_column()))?;
        let count: i64 = query.query_row((account.as_str(), status), |row| row.get(0))?;
        usize::try_from(count).map_err(|_| StoreError::Fault(format!("{count} tasks")))
    }

    /// The first `limit` tasks of a column, or the first ones after a position.
    pub(crate) fn column(
        &self,
        account: &Id<Account>,
        status: &str,
        after: Option<ColumnPosition>,
        limit: usize,
    ) -> Result<Vec<Doc<Task>>, StoreError> {
        self.will_read(Table::Tasks);
        let of_column = of_column();
        let order = order();
        // The first comparison lets SQLite start near the position in the index.
        let behind = after.map_or(String::new(), |_| {
            format!("AND {} >= ?4 AND ({order}) > (?4, ?5, ?6)", field("priority"))
        });
        let sql = format!("SELECT id, at, row {of_column} {behind} ORDER BY {order} LIMIT ?3");
        let mut query = self.database.prepare_cached(&sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let found = match after {
            None => query.query_map(params![account.as_str(), status, limit], raw)?,
            Some(ColumnPosition { priority, changed, created }) => {
                let values = params![account.as_str(), status, limit, priority, changed, created];
                query.query_map(values, raw)?
            }
        };
        found.map(|found| doc(found?)).collect()
    }

    /// Calls `look` with every task of an account, its id and its creation time.
    pub(crate) fn each_card(
        &self,
        account: &Id<Account>,
        mut look: impl FnMut(&str, f64, Card<'_>),
    ) -> Result<(), StoreError> {
        self.will_read(Table::Tasks);
        debug_assert_eq!(TASKS.by, ["accountId"]);
        let sql = format!("SELECT id, at, row FROM tasks WHERE {} IS ?1", field("accountId"));
        let mut query = self.database.prepare_cached(&sql)?;
        let mut rows = query.query([account.as_str()])?;
        while let Some(row) = rows.next()? {
            let text =
                |at: usize| Ok::<_, StoreError>(row.get_ref(at)?.as_str().map_err(rusqlite::Error::from)?);
            let id = text(0)?;
            let card = serde_json::from_str(text(2)?);
            let card = card.map_err(|why| StoreError::Corrupt(format!("row {id}: {why}")))?;
            look(id, row.get(1)?, card);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use mcr_model::clock::SystemClock;

    #[test]
    fn columns_are_read_and_counted_by_their_index() {
        let store = Store::in_memory(Box::new(SystemClock)).expect("a new store");
        let plans = store.read(|tx| {
            let plan = |sql: &str| -> Result<String, StoreError> {
                let mut query = tx.database.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
                let lines = query.query_map(("", ""), |row| row.get::<_, String>(3))?;
                Ok(lines.collect::<Result<Vec<_>, _>>()?.join("; "))
            };
            let window = format!("SELECT id, at, row {} ORDER BY {} LIMIT 50", of_column(), order());
            Ok::<_, StoreError>((plan(&window)?, plan(&format!("SELECT count(*) {}", of_column()))?))
        });
        let (window, count) = plans.expect("plans");
        let by_index = "USING INDEX by_column (<expr>=? AND <expr>=? AND <expr>=?)";
        assert!(window.contains(by_index) && !window.contains("TEMP B-TREE"), "{window}");
        assert!(count.contains("COVERING INDEX by_column"), "{count}");
    }
}
