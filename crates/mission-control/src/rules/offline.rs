//! A runtime reports, or falls silent (backend-contract §2.1, §7.2): what the account shows of it, who is told, and
//! what becomes of its agents.

use serde_json::{Map, Value, json};

use super::activity::{self, Actor, Target};
use super::{notify, reach, upgrade};
use crate::call::Options;
use crate::number;
use crate::rows::{Account, Notification, RuntimeConfig};
use crate::store::{Doc, Id, StoreError, Tx, UNDELIVERED};
use mcr_model::RuntimeStatus;
use mcr_model::limits::STALE_AFTER_MS;

/// At most this many deliveries are shown as begun no longer, when the runtime is gone.
const TYPING_ROWS: usize = 500;

/// What a runtime says of itself, over what the account knows of it. The original forgets what it knew (contract D10).
pub(crate) fn read_config(
    known: Option<&RuntimeConfig>,
    said: &Map<String, Value>,
    options: Options,
) -> Result<RuntimeConfig, StoreError> {
    let fault = |why: serde_json::Error| StoreError::Fault(format!("runtimeConfig: {why}"));
    let known = known.filter(|_| !options.original).map(serde_json::to_value).transpose().map_err(fault)?;
    let mut fields = known.and_then(|known| known.as_object().cloned()).unwrap_or_default();
    for (name, value) in said {
        match number::read(value) {
            Some(number) if !number.is_finite() => fields.remove(name),
            Some(number) => fields.insert(name.clone(), json!(number)),
            None => fields.insert(name.clone(), value.clone()),
        };
    }
    serde_json::from_value(Value::Object(fields)).map_err(fault)
}

/// A report. `said` is what it says of itself; nothing, when it goes.
pub(crate) fn report(
    tx: &Tx<'_>,
    account: &mut Doc<Account>,
    status: RuntimeStatus,
    said: Option<&Map<String, Value>>,
    options: Options,
) -> Result<(), StoreError> {
    let before = std::mem::replace(&mut account.row.runtime_status, status.as_str().to_owned());
    if let Some(said) = said {
        let config = read_config(account.row.runtime_config.as_ref(), said, options)?;
        account.row.runtime_config = Some(config);
    }
    tx.put(account)?;
    if before != status.as_str() {
        let target = Target { kind: "account", id: account.id.as_str(), name: Some(&account.row.name) };
        let meta = json!({"oldStatus": before, "newStatus": status});
        let actor = Actor::system();
        activity::record(tx, &account.id, "runtime_status_changed", &actor, &target, Some(meta))?;
        announce(tx, account, &before, status)?;
    }
    if status == RuntimeStatus::Offline {
        silence(tx, &account.id)?;
    }
    // What this report says, and not what an earlier one said, moves an upgrade on.
    let now_said = said.map(|said| read_config(None, said, options)).transpose()?;
    upgrade::observe(tx, &account.id, status.as_str(), now_said.as_ref())
}

/// Everybody learns when it goes and when it comes back.
fn announce(
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

/// Without a runtime no agent is there, and none is writing.
fn silence(tx: &Tx<'_>, account: &Id<Account>) -> Result<(), StoreError> {
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

/// Every runtime that has been silent for too long counts as gone.
pub(crate) fn sweep(tx: &Tx<'_>, options: Options) -> Result<(), StoreError> {
    #[expect(clippy::cast_precision_loss, reason = "a minute and a half")]
    let patience = STALE_AFTER_MS as f64;
    for mut account in tx.all::<Account>()? {
        let there = matches!(account.row.runtime_status.as_str(), "online" | "degraded");
        let heard = account.row.runtime_config.as_ref().and_then(|config| config.last_health_check);
        if there && heard.is_some_and(|heard| tx.now() - heard > patience) {
            report(tx, &mut account, RuntimeStatus::Offline, None, options)?;
        }
    }
    Ok(())
}
