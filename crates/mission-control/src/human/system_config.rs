//! Switches of the whole backend (backend-contract §7.4). Each is off until a person sets it to `"true"`.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::Refusal;
use crate::answer::ensure;
use crate::call::{Answer, Call};
use crate::function::{Function, done};
use crate::rows::ConfigEntry;
use crate::store::{CONFIG_BY_KEY, Doc, StoreError, Tx};
use crate::validate::{Is, need};

/// Permits requests for machines, and the calls to their providers.
pub(crate) const PROVISIONING: &str = "runtime_provisioning_enabled";
/// Permits restarts and upgrades of several runtimes.
pub(crate) const ORCHESTRATION: &str = "fleet_orchestration_enabled";

/// All switches.
pub(crate) const KEYS: &[&str] = &[PROVISIONING, ORCHESTRATION];

pub(crate) const FUNCTIONS: &[Function] = &[
    Function::query_of_all("systemConfig:list", list),
    Function::mutation_of_all(
        "systemConfig:set",
        &[need("key", Is::OneOf(KEYS)), need("value", Is::OneOf(&["true", "false"]))],
        set,
    ),
];

fn find(tx: &Tx<'_>, key: &str) -> Result<Option<Doc<ConfigEntry>>, StoreError> {
    tx.find(CONFIG_BY_KEY, &[Some(key)]).first()
}

/// Whether a switch is on.
pub(crate) fn is_on(tx: &Tx<'_>, key: &str) -> Result<bool, StoreError> {
    Ok(find(tx, key)?.is_some_and(|entry| entry.row.value == "true"))
}

/// Refuses a call while a switch is off.
pub(crate) fn require(call: &Call<'_>, key: &str) -> Result<(), Refusal> {
    let is_on = is_on(call.tx, key)?;
    ensure!(is_on, "Forbidden: the switch {key} is off; turn it on with `fleet enable {key}`");
    Ok(())
}

/// Turns a switch off, if it was ever set.
pub(crate) fn switch_off(tx: &Tx<'_>, key: &str) -> Result<(), StoreError> {
    let Some(mut entry) = find(tx, key)? else { return Ok(()) };
    "false".clone_into(&mut entry.row.value);
    tx.put(&entry)
}

/// All switches with their values.
pub(super) fn list(call: &Call<'_>) -> Answer {
    let mut switches = serde_json::Map::new();
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
