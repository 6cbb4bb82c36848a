//! Switches of the whole backend (backend-contract §7.4). Each is off until a person sets it to `"true"`.

use crate::Refusal;
use crate::answer::ensure;
use crate::call::Call;
use crate::rows::ConfigEntry;
use crate::store::{CONFIG_BY_KEY, Doc, StoreError, Tx};

/// Permits requests for machines, and the calls to their providers.
pub(crate) const PROVISIONING: &str = "runtime_provisioning_enabled";
/// Permits restarts and upgrades of several runtimes.
pub(crate) const ORCHESTRATION: &str = "fleet_orchestration_enabled";

/// All switches.
pub(crate) const KEYS: &[&str] = &[PROVISIONING, ORCHESTRATION];

/// The stored value of a switch.
pub(crate) fn find(tx: &Tx<'_>, key: &str) -> Result<Option<Doc<ConfigEntry>>, StoreError> {
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
