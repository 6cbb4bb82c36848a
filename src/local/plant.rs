//! Rows put in from outside as they are, without the rules: how an import brings data back, and how a test lays out
//! the board it needs. What does not fit its table is refused.

use serde_json::{Map, Value};

use super::Engine;
use super::rows::{
    Account, Activity, Agent, Document, Membership, Message, Notification, ProviderKey, Runtime, Session,
    Skill, Stored, Subscription, Task, Upload,
};
use super::store::{Id, Row, StoreError, Table, Tx};

impl Engine {
    /// Puts a row into a table; its id. A row with the `_id` of one that is there changes the fields it names: `null`
    /// takes one away.
    pub fn plant(&self, table: &str, row: Value) -> Result<String, StoreError> {
        let Some(table) = Table::ALL.into_iter().find(|known| known.name() == table) else {
            return Err(StoreError::Fault(format!("there is no table {table}")));
        };
        let Value::Object(row) = row else { return Err(StoreError::Fault("a row is an object".to_owned())) };
        let plant = match table {
            Table::Accounts => plant::<Account>,
            Table::Memberships => plant::<Membership>,
            Table::Agents => plant::<Agent>,
            Table::Tasks => plant::<Task>,
            Table::Messages => plant::<Message>,
            Table::Notifications => plant::<Notification>,
            Table::Documents => plant::<Document>,
            Table::Skills => plant::<Skill>,
            Table::Subscriptions => plant::<Subscription>,
            Table::Activities => plant::<Activity>,
            Table::Sessions => plant::<Session>,
            Table::Uploads => plant::<Upload>,
            Table::Storage => plant::<Stored>,
            Table::Runtimes => plant::<Runtime>,
            Table::ProviderKeys => plant::<ProviderKey>,
        };
        self.store.write(|tx| plant(tx, row))
    }
}

fn plant<R: Row>(tx: &Tx<'_>, mut row: Map<String, Value>) -> Result<String, StoreError> {
    let Some(id) = row.remove("_id") else { return Ok(tx.insert(decode::<R>(row)?)?.id.to_string()) };
    let id = id.as_str().and_then(Id::<R>::parse);
    let there = id.as_ref().map(|id| tx.get(id)).transpose()?.flatten();
    let Some(mut there) = there else {
        return Err(StoreError::Fault(format!("{} has no such row", R::TABLE.name())));
    };
    let Ok(Value::Object(mut fields)) = serde_json::to_value(&there.row) else {
        return Err(StoreError::Fault("a row is an object".to_owned()));
    };
    for (name, value) in row {
        if value.is_null() {
            fields.remove(&name);
        } else {
            fields.insert(name, value);
        }
    }
    there.row = decode(fields)?;
    tx.put(&there)?;
    Ok(there.id.to_string())
}

fn decode<R: Row>(row: Map<String, Value>) -> Result<R, StoreError> {
    let table = R::TABLE.name();
    serde_json::from_value(Value::Object(row)).map_err(|why| StoreError::Fault(format!("{table}: {why}")))
}
