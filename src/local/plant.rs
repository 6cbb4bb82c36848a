//! Rows as JSON, in and out, past the functions: the way for imports, exports and tests.

use serde_json::{Map, Value};

use super::answer::{Refusal, ensure};
use super::engine::Engine;
use super::rows::{
    Account, Activity, Agent, Document, Membership, Message, Notification, ProviderKey, Runtime, Session,
    Skill, Stored, Subscription, Task, Upload,
};
use super::store::{Doc, Id, Row, Table, Tx};

/// Runs a function that is generic over rows for the rows of a table.
macro_rules! for_rows_of {
    ($table:expr, $run:ident($($arg:expr),*)) => {
        match $table {
            Table::Accounts => $run::<Account>($($arg),*),
            Table::Memberships => $run::<Membership>($($arg),*),
            Table::Agents => $run::<Agent>($($arg),*),
            Table::Tasks => $run::<Task>($($arg),*),
            Table::Messages => $run::<Message>($($arg),*),
            Table::Notifications => $run::<Notification>($($arg),*),
            Table::Documents => $run::<Document>($($arg),*),
            Table::Skills => $run::<Skill>($($arg),*),
            Table::Subscriptions => $run::<Subscription>($($arg),*),
            Table::Activities => $run::<Activity>($($arg),*),
            Table::Sessions => $run::<Session>($($arg),*),
            Table::Uploads => $run::<Upload>($($arg),*),
            Table::Storage => $run::<Stored>($($arg),*),
            Table::Runtimes => $run::<Runtime>($($arg),*),
            Table::ProviderKeys => $run::<ProviderKey>($($arg),*),
        }
    };
}

impl Engine {
    /// Puts a row into a table; its id. With an `_id` (and its `_creationTime`) the row keeps it, and takes the place of
    /// a row that has it already; without one it is new. A row that does not fit its table is refused.
    pub fn plant(&self, table: &str, row: Value) -> Result<String, Refusal> {
        let table = named(table)?;
        self.store.write(|tx| plant_row(tx, table, row))
    }

    /// All rows of a table in the order of their creation, each with its `_id` and its `_creationTime`.
    pub fn dig(&self, table: &str) -> Result<Vec<Value>, Refusal> {
        let table = named(table)?;
        self.store.read(|tx| dig_table(tx, table))
    }
}

/// Puts a row into a table inside a transaction.
pub(super) fn plant_row(tx: &Tx<'_>, table: Table, row: Value) -> Result<String, Refusal> {
    for_rows_of!(table, plant(tx, row))
}

/// All rows of a table inside a transaction.
pub(super) fn dig_table(tx: &Tx<'_>, table: Table) -> Result<Vec<Value>, Refusal> {
    for_rows_of!(table, dig(tx))
}

/// The table of this name.
pub(super) fn named(name: &str) -> Result<Table, Refusal> {
    let table = Table::ALL.into_iter().find(|table| table.name() == name);
    table.ok_or_else(|| Refusal::thrown(format!("there is no table {name}")))
}

fn plant<R: Row>(tx: &Tx<'_>, row: Value) -> Result<String, Refusal> {
    let table = R::TABLE.name();
    let misfit = |why: &dyn std::fmt::Display| Refusal::thrown(format!("a row does not fit {table}: {why}"));
    let Value::Object(mut fields) = row else { return Err(misfit(&"it is no object")) };
    let id = fields.remove("_id");
    let created = fields.remove("_creationTime").and_then(|at| at.as_f64());
    let row: R = serde_json::from_value(Value::Object(fields.clone())).map_err(|why| misfit(&why))?;
    if let Some(lost) = lost(&fields, &row) {
        return Err(misfit(&format!("it has no field {lost}")));
    }
    let Some(id) = id else { return Ok(tx.insert(row)?.id.to_string()) };
    let Some(id) = id.as_str().and_then(Id::<R>::parse) else {
        return Err(misfit(&"its id is another table's"));
    };
    match tx.get::<R>(&id)? {
        Some(before) => {
            ensure!(
                created.is_none_or(|at| at.total_cmp(&before.created).is_eq()),
                "a row does not fit {table}: another one has its id"
            );
            tx.put(&Doc { row, ..before })?;
        }
        None => tx.restore(&Doc { id: id.clone(), created: created.unwrap_or(tx.now()), row })?,
    }
    Ok(id.to_string())
}

/// A field that the row would not keep.
fn lost(fields: &Map<String, Value>, row: &impl Row) -> Option<String> {
    let kept = serde_json::to_value(row).unwrap_or_default();
    fields.keys().find(|name| kept.get(name.as_str()).is_none()).cloned()
}

fn dig<R: Row>(tx: &Tx<'_>) -> Result<Vec<Value>, Refusal> {
    tx.all::<R>()?.iter().map(super::call::value).collect()
}
