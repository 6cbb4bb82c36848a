//! What a person requests of the runtime: a restart, an upgrade, a rollback (backend-contract §7.3, §7.4).

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::Refusal;
use crate::call::{Answer, Call, value};
use crate::function::{ACCOUNT, Function, done};
use crate::rows::{Runtime, UpgradeEntry};
use crate::rules::{reach, upgrade};
use crate::service::runtime::NO_RUNTIME;
use crate::store::Doc;
use crate::validate::{Is, may, need};

pub(crate) const FUNCTIONS: &[Function] = &[
    Function::mutation("accounts:requestRestart", &[ACCOUNT], request_restart),
    Function::mutation("accounts:cancelRestart", &[ACCOUNT], cancel_restart),
    Function::mutation(
        "runtimes:requestUpgrade",
        &[
            ACCOUNT,
            need("targetRuntimeVersion", Is::Text),
            may("targetOpenclawVersion", Is::Text),
            need("strategy", Is::OneOf(&["immediate", "rolling", "canary"])),
        ],
        request_upgrade,
    ),
    Function::mutation("runtimes:clearUpgradeRequest", &[ACCOUNT], clear_upgrade_request),
    Function::mutation(
        "runtimes:rollbackRuntime",
        &[ACCOUNT, may("targetRuntimeVersion", Is::Text), may("targetOpenclawVersion", Is::Text)],
        roll_back,
    ),
    Function::query("runtimes:getForAccount", &[ACCOUNT], get_for_account),
];

/// §7.3: requests a restart. The runtime sees the request once.
fn request_restart(call: &Call<'_>) -> Answer {
    let mut account = call.account.clone();
    account.row.restart_requested_at = Some(call.now());
    call.tx.put(&account)?;
    done()
}

/// Withdraws a restart that the runtime has not read yet.
fn cancel_restart(call: &Call<'_>) -> Answer {
    let mut account = call.account.clone();
    account.row.restart_requested_at = None;
    call.tx.put(&account)?;
    done()
}

fn runtime(call: &Call<'_>) -> Result<Doc<Runtime>, Refusal> {
    upgrade::runtime(call.tx, call.account_id())?.ok_or_else(|| Refusal::thrown(NO_RUNTIME))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UpgradeArgs {
    target_runtime_version: String,
    target_openclaw_version: Option<String>,
    strategy: String,
}

fn request_upgrade(call: &Call<'_>) -> Answer {
    let args: UpgradeArgs = call.args()?;
    let person = reach::person(call)?;
    let mut runtime = runtime(call)?;
    let row = &mut runtime.row;
    let openclaw = args.target_openclaw_version.unwrap_or_else(|| row.openclaw_version.clone());
    upgrade::request(row, openclaw, args.target_runtime_version, &args.strategy, &person.user_id, call.now());
    call.tx.put(&runtime)?;
    done()
}

fn clear_upgrade_request(call: &Call<'_>) -> Answer {
    let mut runtime = runtime(call)?;
    runtime.row.pending_upgrade = None;
    runtime.row.updated_at = call.now();
    call.tx.put(&runtime)?;
    done()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RollbackArgs {
    target_runtime_version: Option<String>,
    target_openclaw_version: Option<String>,
}

/// A rollback is recorded in the history immediately, before the runtime has done it. Only a rollback with a target
/// requests an upgrade.
fn roll_back(call: &Call<'_>) -> Answer {
    let args: RollbackArgs = call.args()?;
    let person = reach::person(call)?;
    let mut runtime = runtime(call)?;
    let row = &mut runtime.row;
    let last = row.upgrade_history.iter().rev().find(|entry| entry.status == "success");
    let (openclaw, runtime_service) = last.map_or_else(
        || (row.openclaw_version.clone(), row.runtime_service_version.clone()),
        |entry| (entry.from_openclaw_version.clone(), entry.from_runtime_version.clone()),
    );
    let entry = UpgradeEntry {
        from_openclaw_version: row.openclaw_version.clone(),
        to_openclaw_version: openclaw.clone(),
        from_runtime_version: row.runtime_service_version.clone(),
        to_runtime_version: runtime_service.clone(),
        status: "rolled_back".to_owned(),
        started_at: call.now(),
        completed_at: Some(call.now()),
        initiated_by: person.user_id.clone(),
        ..UpgradeEntry::default()
    };
    upgrade::add_to_history(row, entry);
    row.updated_at = call.now();
    if args.target_runtime_version.is_some() || args.target_openclaw_version.is_some() {
        let openclaw = args.target_openclaw_version.unwrap_or(openclaw);
        let runtime_service = args.target_runtime_version.unwrap_or(runtime_service);
        upgrade::request(row, openclaw, runtime_service, "immediate", &person.user_id, call.now());
    }
    call.tx.put(&runtime)?;
    done()
}

/// The runtime's record, if it exists, and the parts of it that the account shows.
fn get_for_account(call: &Call<'_>) -> Answer {
    let mut response = match upgrade::runtime(call.tx, call.account_id())? {
        Some(runtime) => value(&runtime)?.as_object().cloned().unwrap_or_default(),
        None => Map::new(),
    };
    let account = &call.account.row;
    response.insert("runtimeStatus".to_owned(), json!(account.runtime_status));
    if let Some(config) = &account.runtime_config {
        response.insert("runtimeConfig".to_owned(), value(config)?);
    }
    if let Some(at) = account.restart_requested_at {
        response.insert("restartRequestedAt".to_owned(), json!(at));
    }
    Ok(Value::Object(response))
}
