//! All accounts at a glance, and what administrators do to their runtimes: restarts and upgrades, one after the other.

use std::collections::{BTreeSet, HashMap};

use mcr_core::upgrade::is_release;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::system_config::list as switches;
use crate::Refusal;
use crate::answer::ensure;
use crate::call::{Answer, Call, value};
use crate::function::{Function, done};
use crate::provisioning;
use crate::rows::{Account, Provision, Rollout, RolloutStep, Runtime};
use crate::rules::rollout::{self, RUNNING};
use crate::rules::system_config::{self, ORCHESTRATION};
use crate::rules::upgrade as upgrade_rules;
use crate::store::{Doc, Id, OpenDeliveries, Row, StoreError, Table, Tx};
use crate::validate::{Arg, Is, may, need};

/// The accounts in their order. Absent: all of them, in the order of their creation.
const ACCOUNTS: Arg = may("accountIds", Is::List(&Is::Id(Table::Accounts)));

pub(crate) const FUNCTIONS: &[Function] = &[
    Function::query_of_all("fleet:list", list),
    Function::mutation_of_all("fleet:restart", &[ACCOUNTS], restart),
    Function::mutation_of_all(
        "fleet:upgrade",
        &[
            ACCOUNTS,
            need("targetRuntimeVersion", Is::Text),
            may("targetOpenclawVersion", Is::Text),
            may("timeoutMinutes", Is::Number),
        ],
        upgrade,
    ),
    Function::mutation_of_all("fleet:rollBack", &[], roll_back),
    Function::mutation_of_all("fleet:cancelUpgrade", &[], cancel_upgrade),
];

/// How long a runtime may take by default, in minutes: a drain of running turns, the installation, the trial.
const MINUTES: f64 = 30.0;
/// The limits of that time.
const MINUTES_RANGE: std::ops::RangeInclusive<f64> = 1.0..=240.0;

/// The rows of a table by the account that they name. A later row replaces an earlier one.
fn by_account<R: Row>(
    tx: &Tx<'_>,
    account: impl Fn(&R) -> &Id<Account>,
) -> Result<HashMap<String, Doc<R>>, StoreError> {
    let rows = tx.all::<R>()?;
    Ok(rows.into_iter().map(|row| (account(&row.row).to_string(), row)).collect())
}

/// Every account with its runtime and its machine, the switches, and the last rollout. The number of queries does not depend
/// on the number of accounts.
fn list(call: &Call<'_>) -> Answer {
    let tx = call.tx;
    let accounts = tx.all::<Account>()?;
    let runtimes = by_account(tx, |row: &Runtime| &row.account_id)?;
    let mut machines = by_account(tx, |row: &Provision| &row.account_id)?;
    let deliveries = tx.open_deliveries()?;
    let mut lines = Vec::new();
    for account in &accounts {
        let id = account.id.as_str();
        let machine = machines.remove(id);
        let open = deliveries.get(id).copied().unwrap_or_default();
        lines.push(line(account, runtimes.get(id), machine.as_ref(), open)?);
    }
    // Machines whose accounts were removed still cost money.
    machines.retain(|_, machine| machine.row.state != provisioning::GONE);
    let orphans: Value = machines.values().map(provisioning::view).collect::<Answer>()?;
    let rollouts = tx.all::<Rollout>()?;
    Ok(json!({
        "accounts": lines,
        "machinesWithoutAccount": orphans,
        "switches": switches(call)?,
        "rollout": rollouts.last().map(value).transpose()?,
        "providers": call.provisioning.map(|settings| settings.providers.clone()),
    }))
}

fn line(
    account: &Doc<Account>,
    runtime: Option<&Doc<Runtime>>,
    machine: Option<&Doc<Provision>>,
    open: OpenDeliveries,
) -> Answer {
    let Doc { id, row, .. } = account;
    let mut line = Map::new();
    let mut add = |name: &str, value: Value| drop(line.insert(name.to_owned(), value));
    add("accountId", json!(id));
    add("name", json!(row.name));
    add("slug", json!(row.slug));
    add("status", json!(row.runtime_status));
    add("reasons", json!(reasons(account, runtime, machine)));
    if let Some(config) = &row.runtime_config {
        add("lastReport", json!(config.last_health_check));
    }
    if let Some(at) = row.restart_requested_at {
        add("restartRequestedAt", json!(at));
    }
    if let Some(Doc { row, .. }) = runtime {
        add("runtimeVersion", json!(row.runtime_service_version));
        add("openclawVersion", json!(row.openclaw_version));
        add("provider", json!(row.provider));
        add("region", json!(row.region));
        if let Some(pending) = &row.pending_upgrade {
            add("pendingUpgrade", value(pending)?);
        }
        if let Some(last) = row.upgrade_history.last() {
            add("lastUpgrade", value(last)?);
        }
    }
    if let Some(machine) = machine {
        let costs = machine
            .row
            .monthly_usd
            .filter(|_| machine.row.machine_id.is_some() && machine.row.state != provisioning::GONE);
        if let Some(monthly) = costs {
            add("dollarsADay", json!((monthly * 12.0 / 365.0 * 100.0).round() / 100.0));
        }
        add("machine", provisioning::view(machine)?);
    }
    let OpenDeliveries { open: count, ended, oldest } = open;
    add("deliveries", json!({"open": count, "ended": ended, "oldest": (count > 0).then_some(oldest)}));
    Ok(Value::Object(line))
}

/// Why an account needs attention, in sentences.
fn reasons(
    account: &Doc<Account>,
    runtime: Option<&Doc<Runtime>>,
    machine: Option<&Doc<Provision>>,
) -> Vec<String> {
    let mut reasons = Vec::new();
    if let Some(Doc { row, .. }) = machine
        && let Some(reason) = &row.reason
    {
        let step = row.step.as_ref().unwrap_or(&row.state);
        reasons.push(format!("Machine, {step}: {reason}"));
    }
    let last = runtime.and_then(|runtime| runtime.row.upgrade_history.last());
    if let Some(last) = last.filter(|last| last.status != "success") {
        let error = last.error.as_deref().unwrap_or(&last.status);
        reasons.push(format!("Upgrade to {}: {error}", last.to_runtime_version));
    }
    if account.row.runtime_status == "offline" && account.row.runtime_config.is_some() {
        reasons.push("The runtime does not report".to_owned());
    }
    if account.row.service_token_hash.is_none() {
        reasons.push("The account has no service token".to_owned());
    }
    reasons
}

/// The accounts of a call, each once. All of them exist.
fn accounts(call: &Call<'_>, wanted: Option<Vec<Id<Account>>>) -> Result<Vec<Doc<Account>>, Refusal> {
    let Some(wanted) = wanted else { return Ok(call.tx.all()?) };
    let mut seen = BTreeSet::new();
    let mut accounts = Vec::new();
    for id in wanted {
        if seen.insert(id.to_string()) {
            let account = call.tx.get(&id)?;
            accounts.push(account.ok_or_else(|| Refusal::thrown("Not found: Account does not exist"))?);
        }
    }
    Ok(accounts)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RestartArgs {
    account_ids: Option<Vec<Id<Account>>>,
}

/// Requests restarts (§7.3). Each runtime reads its request once. Returns the accounts whose runtimes will restart.
fn restart(call: &Call<'_>) -> Answer {
    let args: RestartArgs = call.args()?;
    system_config::require(call, ORCHESTRATION)?;
    let is_named = args.account_ids.is_some();
    let mut restarts = Vec::new();
    for mut account in accounts(call, args.account_ids)? {
        if upgrade_rules::runtime(call.tx, &account.id)?.is_none() {
            let slug = &account.row.slug;
            ensure!(
                !is_named,
                "Conflict: No runtime of the account {slug} has ever reported, so none can restart"
            );
            continue;
        }
        account.row.restart_requested_at = Some(call.now());
        call.tx.put(&account)?;
        let Account { slug, runtime_status, .. } = &account.row;
        restarts.push(json!({"accountId": account.id, "slug": slug, "status": runtime_status}));
    }
    ensure!(!restarts.is_empty(), "Conflict: No runtime has ever reported, so none can restart");
    Ok(json!({"restarts": restarts}))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RolloutArgs {
    account_ids: Option<Vec<Id<Account>>>,
    target_runtime_version: String,
    target_openclaw_version: Option<String>,
    timeout_minutes: Option<f64>,
}

/// Upgrades runtimes in order. One rollout runs at a time.
fn upgrade(call: &Call<'_>) -> Answer {
    let args: RolloutArgs = call.args()?;
    system_config::require(call, ORCHESTRATION)?;
    let versions = [Some(&args.target_runtime_version), args.target_openclaw_version.as_ref()];
    for version in versions.into_iter().flatten() {
        ensure!(is_release(version), "Invalid version: expected a release such as 1.4.0");
    }
    let minutes = args.timeout_minutes.unwrap_or(MINUTES);
    ensure!(
        MINUTES_RANGE.contains(&minutes),
        "Invalid timeoutMinutes: use {} to {}",
        MINUTES_RANGE.start(),
        MINUTES_RANGE.end()
    );
    let steps = accounts(call, args.account_ids)?.into_iter().map(|account| RolloutStep {
        account_id: account.id,
        to_runtime_version: args.target_runtime_version.clone(),
        to_openclaw_version: args.target_openclaw_version.clone(),
        state: "waiting".to_owned(),
        ..RolloutStep::default()
    });
    start(call, steps.collect(), minutes * 60_000.0, None)
}

/// Takes the runtimes of the last upgrade back to their former versions, the last one first. Rollbacks are no upgrades, and
/// only versions that are still installed are taken back. So a second rollback never installs the bad build again.
fn roll_back(call: &Call<'_>) -> Answer {
    system_config::require(call, ORCHESTRATION)?;
    let last = call.tx.all::<Rollout>()?.into_iter().rfind(|rollout| rollout.row.rolls_back.is_none());
    let last = last.ok_or_else(|| Refusal::thrown("Not found: There was no upgrade of the fleet"))?;
    let mut steps = Vec::new();
    for step in last.row.steps.iter().rev().filter(|step| matches!(step.state.as_str(), "done" | "failed")) {
        steps.extend(rollout::reversed(call.tx, step)?);
    }
    ensure!(
        !steps.is_empty(),
        "Conflict: No runtime has a version of the last upgrade any more, so there is nothing to roll back"
    );
    start(call, steps, last.row.timeout_ms, Some(last.id))
}

fn start(
    call: &Call<'_>,
    steps: Vec<RolloutStep>,
    timeout_ms: f64,
    rolls_back: Option<Id<Rollout>>,
) -> Answer {
    ensure!(
        rollout::running(call.tx)?.is_none(),
        "Conflict: An upgrade of the fleet is running; cancel it first"
    );
    ensure!(!steps.is_empty(), "Invalid accounts: there is no runtime to change");
    let made = call.tx.insert(Rollout {
        state: RUNNING.to_owned(),
        steps,
        timeout_ms,
        requested_by: "admin".to_owned(),
        created_at: call.now(),
        rolls_back,
        ..Rollout::default()
    })?;
    // The first request is written together with the rollout.
    rollout::advance(call.tx)?;
    value(&call.tx.get(&made.id)?.map(|rollout| rollout.row))
}

/// Ends the running rollout. Runtimes that have the new version keep it.
fn cancel_upgrade(call: &Call<'_>) -> Answer {
    system_config::require(call, ORCHESTRATION)?;
    let running = rollout::running(call.tx)?;
    let mut running =
        running.ok_or_else(|| Refusal::thrown("Not found: No upgrade of the fleet is running"))?;
    rollout::cancel(call.tx, &mut running)?;
    done()
}

#[cfg(test)]
mod tests;
