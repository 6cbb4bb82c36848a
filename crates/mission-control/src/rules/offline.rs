//! A runtime that reports or goes silent (backend-contract §2.1, §7.2): the account's status, the notifications, and
//! the status of its agents.

use serde_json::{Map, Value, json};

use super::activity::{self, Actor, Target};
use super::{notify, reach, upgrade};
use crate::call::Options;
use crate::number;
use crate::rows::{Account, Notification, RuntimeConfig};
use crate::store::{Doc, Id, StoreError, Tx, UNDELIVERED};
use mcr_model::RuntimeStatus;
use mcr_model::limits::STALE_AFTER_MS;

/// The maximum number of deliveries whose typing indicator is cleared when the runtime goes offline.
const TYPING_ROWS: usize = 500;

/// Merges a runtime's report into the known configuration. The original forgets the known values (contract D10).
pub(crate) fn read_config(
    known: Option<&RuntimeConfig>,
    reported: &Map<String, Value>,
    options: Options,
) -> Result<RuntimeConfig, StoreError> {
    let fault = |why: serde_json::Error| StoreError::Fault(format!("runtimeConfig: {why}"));
    let known = known.filter(|_| !options.original).map(serde_json::to_value).transpose().map_err(fault)?;
    let mut fields = known.and_then(|known| known.as_object().cloned()).unwrap_or_default();
    for (name, value) in reported {
        match number::read(value) {
            Some(number) if !number.is_finite() => fields.remove(name),
            Some(number) => fields.insert(name.clone(), json!(number)),
            None => fields.insert(name.clone(), value.clone()),
        };
    }
    serde_json::from_value(Value::Object(fields)).map_err(fault)
}

/// Records a report. `said` contains the runtime's configuration, and is `None` when it shuts down.
pub(crate) fn report(
    tx: &Tx<'_>,
    account: &mut Doc<Account>,
    status: RuntimeStatus,
    reported: Option<&Map<String, Value>>,
    options: Options,
) -> Result<(), StoreError> {
    let before = std::mem::replace(&mut account.row.runtime_status, status.as_str().to_owned());
    if let Some(reported) = reported {
        let config = read_config(account.row.runtime_config.as_ref(), reported, options)?;
        account.row.runtime_config = Some(config);
    }
    if before == RuntimeStatus::Offline.as_str() && status != RuntimeStatus::Offline {
        account.row.restart_read_at = None;
    }
    tx.put(account)?;
    if before != status.as_str() {
        let target = Target { kind: "account", id: account.id.as_str(), name: Some(&account.row.name) };
        let meta = json!({"oldStatus": before, "newStatus": status});
        let actor = Actor::system();
        activity::record(tx, &account.id, "runtime_status_changed", &actor, &target, Some(meta))?;
        notify_people(tx, account, &before, status)?;
    }
    if status == RuntimeStatus::Offline {
        set_agents_offline(tx, &account.id)?;
    }
    // Only the values of this report advance an upgrade, not those of earlier reports.
    let reported_now = reported.map(|reported| read_config(None, reported, options)).transpose()?;
    upgrade::observe(tx, &account.id, status.as_str(), reported_now.as_ref())
}

/// Notifies all people of the account when the runtime goes offline and when it comes back.
fn notify_people(
    tx: &Tx<'_>,
    account: &Doc<Account>,
    before: &str,
    status: RuntimeStatus,
) -> Result<(), StoreError> {
    let name = &account.row.name;
    let (title, event) = if matches!(before, "online" | "degraded") && status == RuntimeStatus::Offline {
        ("Runtime is offline", "went offline")
    } else if matches!(before, "offline" | "error" | "provisioning") && status == RuntimeStatus::Online {
        ("Runtime is online", "is back online")
    } else {
        return Ok(());
    };
    notify::runtime(tx, account, title, &format!("Mission Control runtime for \"{name}\" {event}."))
}

/// Sets all agents offline and clears their typing indicators, because they cannot work without a runtime.
fn set_agents_offline(tx: &Tx<'_>, account: &Id<Account>) -> Result<(), StoreError> {
    for mut agent in reach::agents(tx, account)? {
        if agent.row.status != "offline" {
            "offline".clone_into(&mut agent.row.status);
            agent.row.current_task_id = None;
            tx.put(&agent)?;
        }
    }
    let key = [Some(account.as_str()), Some("agent"), None];
    for mut row in tx.find::<Notification>(UNDELIVERED, &key).limit(TYPING_ROWS).rows()? {
        if row.row.read_at.take().is_some() {
            tx.put(&row)?;
        }
    }
    Ok(())
}

/// Marks every runtime as offline that has been silent for too long.
pub(crate) fn sweep(tx: &Tx<'_>, options: Options) -> Result<(), StoreError> {
    #[expect(clippy::cast_precision_loss, reason = "a minute and a half")]
    let timeout = STALE_AFTER_MS as f64;
    for mut account in tx.all::<Account>()? {
        let is_up = matches!(account.row.runtime_status.as_str(), "online" | "degraded");
        let last_report = account.row.runtime_config.as_ref().and_then(|config| config.last_health_check);
        if is_up && last_report.is_some_and(|last_report| tx.now() - last_report > timeout) {
            report(tx, &mut account, RuntimeStatus::Offline, None, options)?;
        }
    }
    Ok(())
}
