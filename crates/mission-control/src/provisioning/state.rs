//! The states of a machine's row, and what else changes with them: the account's status, its runtime's record and the
//! activity log.

use serde_json::{Value, json};

use super::{
    BOOTING, CREATING, DESTROYING, ERROR, FoundMachine, GONE, ONLINE, REPORTING, REQUESTED, TOKEN_MS,
};
use crate::Refusal;
use crate::auth;
use crate::call::{Answer, Options, value};
use crate::keys::SealedRow as _;
use crate::rows::{Account, Provision};
use crate::rules::activity::{self, Actor, Target};
use crate::rules::{offline, upgrade};
use crate::store::{Doc, Id, PROVISIONS, StoreError, Tx};
use crate::vault::{self, Vault, VaultError};
use mcr_model::RuntimeStatus;
use mcr_model::secret::Secret;
use mcr_model::visible;

/// The prefix of a one-time token.
const TOKEN_PREFIX: &str = "mc_bootstrap_";

/// The longest stored reason.
const REASON_CHARS: usize = 500;

/// The machine of an account that is not gone. There is one at most.
pub(crate) fn live(tx: &Tx<'_>, account: &Id<Account>) -> Result<Option<Doc<Provision>>, StoreError> {
    Ok(last(tx, account)?.filter(|machine| machine.row.state != GONE))
}

/// The last machine of an account. A new one is requested only when the last one is gone.
pub(crate) fn last(tx: &Tx<'_>, account: &Id<Account>) -> Result<Option<Doc<Provision>>, StoreError> {
    tx.find::<Provision>(PROVISIONS, &[Some(account.as_str())]).newest_first().first()
}

/// A machine's row as people see it: without tokens.
pub(crate) fn view(machine: &Doc<Provision>) -> Answer {
    let mut shown = value(machine)?;
    if let Some(fields) = shown.as_object_mut() {
        for hidden in ["token", "tokenHash", "serviceTokenHash"] {
            fields.remove(hidden);
        }
    }
    Ok(shown)
}

/// Moves the machine to a state. Its next step is due at once.
pub(super) fn enter(tx: &Tx<'_>, machine: &mut Doc<Provision>, state: &str) -> Result<(), StoreError> {
    let row = &mut machine.row;
    state.clone_into(&mut row.state);
    (row.state_since, row.next_at, row.failures) = (tx.now(), tx.now(), 0.0);
    (row.step, row.reason) = (None, None);
    tx.put(machine)
}

/// The machine's state becomes `error`, with the failed step and the reason.
pub(crate) fn fail(
    tx: &Tx<'_>,
    machine: &mut Doc<Provision>,
    reason: &str,
    options: Options,
) -> Result<(), StoreError> {
    let step = machine.row.state.clone();
    enter(tx, machine, ERROR)?;
    let reason = shown(reason);
    (machine.row.step, machine.row.reason) = (Some(step.clone()), Some(reason.clone()));
    machine.row.deadline = None;
    tx.put(machine)?;
    record(tx, machine, "runtime_provision_failed", json!({"step": step, "reason": reason}))?;
    set_status(tx, machine, RuntimeStatus::Error, options)
}

/// A foreign text in one line, cut to a readable length.
pub(super) fn shown(reason: &str) -> String {
    let line = visible::lines(reason).replace('\n', " ");
    line.chars().take(REASON_CHARS).collect()
}

/// The machine is to be destroyed. With `replace`, a new one follows.
pub(crate) fn start_destroying(
    tx: &Tx<'_>,
    machine: &mut Doc<Provision>,
    replace: bool,
) -> Result<(), StoreError> {
    let row = &mut machine.row;
    // The token ends here: a machine that is to be destroyed gets no secrets.
    (row.token, row.token_hash, row.deadline) = (None, None, None);
    row.replace = replace.then_some(true);
    enter(tx, machine, DESTROYING)
}

/// Whether no call for this machine has been made, so that there is nothing to destroy.
pub(crate) fn never_created(machine: &Provision) -> bool {
    machine.create_called_at.is_none()
}

/// The request begins again, with a new attempt.
pub(crate) fn start_again(
    tx: &Tx<'_>,
    machine: &mut Doc<Provision>,
    options: Options,
) -> Result<(), StoreError> {
    let Provision { account_id, provider, region, size, image, attempt, requested_by, created_at, .. } =
        std::mem::take(&mut machine.row);
    machine.row = Provision {
        account_id,
        provider,
        region,
        size,
        image,
        attempt: attempt + 1.0,
        requested_by,
        created_at,
        ..Provision::default()
    };
    enter(tx, machine, REQUESTED)?;
    set_status(tx, machine, RuntimeStatus::Provisioning, options)
}

/// The machine does not exist any more. Its service token ends with it.
pub(super) fn end(tx: &Tx<'_>, machine: &mut Doc<Provision>, options: Options) -> Result<(), StoreError> {
    revoke(tx, machine)?;
    if machine.row.replace == Some(true) && tx.get(&machine.row.account_id)?.is_some() {
        return start_again(tx, machine, options);
    }
    (machine.row.token, machine.row.token_hash) = (None, None);
    enter(tx, machine, GONE)?;
    if !never_created(&machine.row) {
        record(tx, machine, "runtime_destroyed", json!({"machineId": machine.row.machine_id}))?;
    }
    set_status(tx, machine, RuntimeStatus::Offline, options)
}

/// Removes the service token of this machine, unless the account has a newer one.
fn revoke(tx: &Tx<'_>, machine: &mut Doc<Provision>) -> Result<(), StoreError> {
    let Some(hash) = machine.row.service_token_hash.take() else { return Ok(()) };
    let Some(mut account) = tx.get(&machine.row.account_id)? else { return Ok(()) };
    if account.row.service_token_hash.as_ref() == Some(&hash) {
        account.row.service_token_hash = None;
        tx.put(&account)?;
    }
    Ok(())
}

/// A new one-time token for this machine. Only its digest is stored, unless `vault` seals it for the creation.
pub(crate) fn issue_token(
    tx: &Tx<'_>,
    machine: &mut Doc<Provision>,
    vault: Option<&Vault>,
) -> Result<Secret, Refusal> {
    let random: [u8; 32] = vault::random()?;
    let token = Secret::new(format!("{TOKEN_PREFIX}{}", vault::hex(&random)));
    if let Some(vault) = vault {
        machine.row.seal(vault, &token)?;
    }
    machine.row.token_hash = Some(auth::hash(token.expose()));
    machine.row.token_expires_at = Some(tx.now() + TOKEN_MS);
    machine.row.token_used_at = None;
    tx.put(machine)?;
    Ok(token)
}

/// The sealed one-time token of a machine that is being created.
pub(super) fn sealed_token(machine: &Provision, vault: &Vault) -> Result<Secret, VaultError> {
    machine.open(vault)
}

/// The provider has shown the machine. A machine that is to be destroyed keeps that state.
pub(super) fn found(
    tx: &Tx<'_>,
    machine: &mut Doc<Provision>,
    found: &FoundMachine,
    timeout_ms: u32,
    options: Options,
) -> Result<(), StoreError> {
    let row = &mut machine.row;
    row.machine_id = Some(found.id.clone());
    row.address = found.address.map(|address| address.to_string()).or_else(|| row.address.take());
    row.monthly_usd = found.monthly_usd.or(row.monthly_usd);
    if machine.row.state != CREATING {
        return tx.put(machine);
    }
    machine.row.token = None;
    machine.row.token_expires_at = Some(tx.now() + TOKEN_MS);
    machine.row.deadline = Some(tx.now() + f64::from(timeout_ms));
    enter(tx, machine, BOOTING)?;
    set_status(tx, machine, RuntimeStatus::Provisioning, options)
}

/// The machine has its secrets. The service token with this digest is now the account's.
pub(super) fn supplied(
    tx: &Tx<'_>,
    machine: &mut Doc<Provision>,
    service_token_hash: String,
    timeout_ms: u32,
) -> Result<(), StoreError> {
    let row = &mut machine.row;
    (row.token, row.token_hash) = (None, None);
    row.token_used_at = Some(tx.now());
    row.service_token_hash = Some(service_token_hash);
    record(tx, machine, "secret_updated", json!({"provider": "runtime", "action": "service_token_issued"}))?;
    if machine.row.state == ONLINE {
        return tx.put(machine);
    }
    machine.row.deadline = Some(tx.now() + f64::from(timeout_ms));
    enter(tx, machine, REPORTING)
}

/// A runtime of this account has reported that it runs. The only valid service token is the one that the machine got, so the
/// report comes from the machine. A report that comes after the time limit counts as well.
pub(crate) fn observe(tx: &Tx<'_>, account: &Doc<Account>) -> Result<(), StoreError> {
    let Some(mut machine) = live(tx, &account.id)? else { return Ok(()) };
    let row = &machine.row;
    let is_awaited = row.state == REPORTING
        || (row.state == ERROR && [Some(BOOTING), Some(REPORTING)].contains(&row.step.as_deref()));
    let is_its_own =
        row.service_token_hash.is_some() && row.service_token_hash == account.row.service_token_hash;
    if !is_awaited || !is_its_own {
        return Ok(());
    }
    machine.row.deadline = None;
    enter(tx, &mut machine, ONLINE)?;
    record(tx, &machine, "runtime_provisioned", json!({"machineId": machine.row.machine_id}))
}

/// Sets the status of the account and fills in its runtime's record (backend-contract §3.9).
fn set_status(
    tx: &Tx<'_>,
    machine: &Doc<Provision>,
    status: RuntimeStatus,
    options: Options,
) -> Result<(), StoreError> {
    let Some(mut account) = tx.get(&machine.row.account_id)? else { return Ok(()) };
    offline::report(tx, &mut account, status, None, options)?;
    let Some(mut runtime) = upgrade::runtime(tx, &account.id)? else { return Ok(()) };
    let Provision { provider, region, machine_id, address, .. } = &machine.row;
    runtime.row.provider.clone_from(provider);
    runtime.row.region.clone_from(region);
    runtime.row.provider_id = machine_id.clone().unwrap_or_default();
    runtime.row.ip_address = address.clone().unwrap_or_default();
    tx.put(&runtime)
}

/// Sets the status of the account of a new request.
pub(crate) fn announce(tx: &Tx<'_>, machine: &Doc<Provision>, options: Options) -> Result<(), StoreError> {
    set_status(tx, machine, RuntimeStatus::Provisioning, options)
}

/// Records in the activity log what happened to the machine. An account that was removed has no log.
fn record(tx: &Tx<'_>, machine: &Doc<Provision>, kind: &str, mut meta: Value) -> Result<(), StoreError> {
    let Some(account) = tx.get(&machine.row.account_id)? else { return Ok(()) };
    meta["provisionId"] = json!(machine.id.as_str());
    meta["attempt"] = json!(machine.row.attempt);
    let target = Target { kind: "account", id: account.id.as_str(), name: Some(&account.row.name) };
    activity::record(tx, &account.id, kind, &Actor::system(), &target, Some(meta))
}

/// Records a new token of a provider in the log of the first account, which belongs to the operator of this backend.
pub(crate) fn record_token_change(tx: &Tx<'_>, provider: &str, action: &str) -> Result<(), StoreError> {
    let Some(account) = tx.all::<Account>()?.into_iter().next() else { return Ok(()) };
    let target = Target { kind: "account", id: account.id.as_str(), name: Some(&account.row.name) };
    let meta = json!({"provider": provider, "action": format!("machine_token_{action}")});
    activity::record(tx, &account.id, "secret_updated", &Actor::system(), &target, Some(meta))
}
