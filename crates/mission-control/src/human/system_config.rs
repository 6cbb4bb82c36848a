//! The functions for the switches of the whole backend.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::call::{Answer, Call};
use crate::function::{Function, done};
use crate::rows::ConfigEntry;
use crate::rules::system_config::{KEYS, find, is_on};
use crate::validate::{Is, need};

pub(crate) const FUNCTIONS: &[Function] = &[
    Function::query_of_all("systemConfig:list", list),
    Function::mutation_of_all(
        "systemConfig:set",
        &[need("key", Is::OneOf(KEYS)), need("value", Is::OneOf(&["true", "false"]))],
        set,
    ),
];

/// All switches with their values.
pub(super) fn list(call: &Call<'_>) -> Answer {
    let mut switches = Map::new();
    for key in KEYS {
        let value = if is_on(call.tx, key)? { "true" } else { "false" };
        switches.insert((*key).to_owned(), json!(value));
    }
    Ok(Value::Object(switches))
}

#[derive(Deserialize)]
struct SetArgs {
    key: String,
    value: String,
}

fn set(call: &Call<'_>) -> Answer {
    let SetArgs { key, value } = call.args()?;
    let updated_at = call.now();
    if let Some(mut entry) = find(call.tx, &key)? {
        entry.row = ConfigEntry { key, value, updated_at };
        call.tx.put(&entry)?;
    } else {
        call.tx.insert(ConfigEntry { key, value, updated_at })?;
    }
    done()
}
