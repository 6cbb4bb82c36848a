//! Rows put in from outside and taken out as they are, without the rules: how an import brings data back, how an export
//! takes it along, and how a test lays out the board it needs. What does not fit its table is refused.

use serde_json::{Map, Value};

use super::Engine;
use super::rows::{
    Account, Activity, Agent, Document, Membership, Message, Notification, ProviderKey, Runtime, Session,
    Skill, Stored, Subscription, Task, Upload,
};
use super::store::{Doc, Id, Row, StoreError, Table, Tx};

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
    /// Puts a row into a table; its id. A row with the `_id` of one that is there changes the fields it names (`null`
    /// takes one away); one with another `_id` keeps it, and its `_creationTime`.
    pub fn plant(&self, table: &str, row: Value) -> Result<String, StoreError> {
        let table = named(table)?;
        self.store.write(|tx| plant_row(tx, table, row))
    }

    /// All rows of a table in the order of their creation, each with its `_id` and its `_creationTime`.
    pub fn dig(&self, table: &str) -> Result<Vec<Value>, StoreError> {
        let table = named(table)?;
        self.store.read(|tx| dig_table(tx, table))
    }
}

/// Puts a row into a table inside a transaction.
pub(super) fn plant_row(tx: &Tx<'_>, table: Table, row: Value) -> Result<String, StoreError> {
    let Value::Object(row) = row else { return Err(StoreError::Fault("a row is an object".to_owned())) };
    for_rows_of!(table, plant(tx, row))
}

/// All rows of a table inside a transaction.
pub(super) fn dig_table(tx: &Tx<'_>, table: Table) -> Result<Vec<Value>, StoreError> {
    for_rows_of!(table, dig(tx))
}

/// The field that keeps a row from being one of its table, and why; none if nothing does.
pub(super) fn fault_in(table: Table, row: &Value) -> Option<(String, String)> {
    let mut fields = row.as_object()?.clone();
    fields.remove("_id");
    fields.remove("_creationTime");
    for_rows_of!(table, fault(fields))
}

/// The table of this name.
fn named(name: &str) -> Result<Table, StoreError> {
    let table = Table::ALL.into_iter().find(|table| table.name() == name);
    table.ok_or_else(|| StoreError::Fault(format!("there is no table {name}")))
}

fn plant<R: Row>(tx: &Tx<'_>, mut row: Map<String, Value>) -> Result<String, StoreError> {
    let Some(id) = row.remove("_id") else { return Ok(tx.insert(decode::<R>(row)?)?.id.to_string()) };
    let Some(id) = id.as_str().and_then(Id::<R>::parse) else {
        return Err(misfit::<R>(&format!("{id} is no id of its rows")));
    };
    let created = row.remove("_creationTime").and_then(|at| at.as_f64());
    match (tx.get(&id)?, created) {
        (Some(mut there), _) => {
            let Value::Object(mut fields) = encode(&there.row)? else {
                return Err(misfit::<R>(&"no object"));
            };
            fields.extend(row);
            there.row = decode(fields)?;
            tx.put(&there)?;
        }
        (None, Some(created)) => tx.restore(&Doc { id: id.clone(), created, row: decode::<R>(row)? })?,
        (None, None) => return Err(misfit::<R>(&format!("it has no row {id}"))),
    }
    Ok(id.to_string())
}

fn dig<R: Row>(tx: &Tx<'_>) -> Result<Vec<Value>, StoreError> {
    tx.all::<R>()?.iter().map(encode).collect()
}

/// The row, if all of its fields fit; `null` stands for an absent one.
fn decode<R: Row>(mut fields: Map<String, Value>) -> Result<R, StoreError> {
    fields.retain(|_, value| !value.is_null());
    let row: R = serde_json::from_value(Value::Object(fields.clone())).map_err(|why| misfit::<R>(&why))?;
    let kept = encode(&row)?;
    match fields.keys().find(|name| kept.get(name.as_str()).is_none()) {
        Some(lost) => Err(misfit::<R>(&format!("there is no field {lost}"))),
        None => Ok(row),
    }
}

fn fault<R: Row>(mut fields: Map<String, Value>) -> Option<(String, String)> {
    fields.retain(|_, value| !value.is_null());
    let read = |fields: &Map<String, Value>| serde_json::from_value::<R>(Value::Object(fields.clone()));
    let why = match read(&fields) {
        Ok(row) => {
            let kept = encode(&row).ok()?;
            let lost = fields.keys().find(|name| kept.get(name.as_str()).is_none())?;
            return Some((lost.clone(), "there is no such field".to_owned()));
        }
        Err(why) => why.to_string(),
    };
    if let Some((name, _)) = why.strip_prefix("missing field `").and_then(|rest| rest.split_once('`')) {
        return Some((name.to_owned(), "it is missing".to_owned()));
    }
    // What is wrong with a field is no longer said once the field is gone.
    let is_at_fault = |name: &&String| {
        let mut without = fields.clone();
        without.remove(*name);
        read(&without).map_or_else(|other| other.to_string() != why, |_| true)
    };
    let name = fields.keys().find(is_at_fault).cloned().unwrap_or_default();
    Some((name, why.chars().take(200).collect()))
}

fn encode(row: &impl serde::Serialize) -> Result<Value, StoreError> {
    serde_json::to_value(row).map_err(|why| StoreError::Fault(why.to_string()))
}

fn misfit<R: Row>(why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Fault(format!("{}: {why}", R::TABLE.name()))
}
