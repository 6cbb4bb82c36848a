//! An upgrade of several runtimes, one after the other: the next begins when the last one is back with the new version.
//!
//! Each runtime is upgraded by an ordinary request (backend-contract §7.4), so nothing new is demanded of it. The first
//! runtime that does not come back within its time stops the rollout: its request is withdrawn, and the others stay as they
//! are.

use super::upgrade;
use crate::rows::{Account, Rollout, RolloutStep, Runtime, UpgradeEntry};
use crate::store::{Doc, ROLLOUTS_BY_STATE, StoreError, Tx};

/// The rollout goes on.
pub(crate) const RUNNING: &str = "running";
/// Every runtime was upgraded or skipped.
pub(crate) const DONE: &str = "done";
/// A runtime did not come back.
pub(crate) const STOPPED: &str = "stopped";
/// A person has ended it.
pub(crate) const CANCELLED: &str = "cancelled";

/// All states of a rollout.
pub(crate) const STATES: &[&str] = &[RUNNING, DONE, STOPPED, CANCELLED];

/// Who requests the upgrades, as the contract names the orchestrator of a fleet.
const ORCHESTRATOR: &str = "fleet-orchestrator";

/// The states of a runtime that may be upgraded.
const HEALTHY: &[&str] = &["online"];
/// The states of a runtime that may be taken back to its former version.
const WORKING: &[&str] = &["online", "degraded"];

/// The rollout that runs. There is one at most.
pub(crate) fn running(tx: &Tx<'_>) -> Result<Option<Doc<Rollout>>, StoreError> {
    tx.find(ROLLOUTS_BY_STATE, &[Some(RUNNING)]).first()
}

/// The verdict on a runtime whose upgrade was requested.
enum Verdict {
    Waiting,
    Back,
    Failed(String),
}

/// Makes the steps of the running rollout that are possible now.
pub(crate) fn advance(tx: &Tx<'_>) -> Result<(), StoreError> {
    let Some(mut rollout) = running(tx)? else { return Ok(()) };
    while let Some(at) = rollout.row.steps.iter().position(is_open) {
        let timeout_ms = rollout.row.timeout_ms;
        // A bad build often leaves a runtime degraded, so a rollback does not demand health.
        let serving = if rollout.row.rolls_back.is_some() { WORKING } else { HEALTHY };
        let step = &mut rollout.row.steps[at];
        if step.state == "waiting" {
            begin(tx, step, serving)?;
            tx.put(&rollout)?;
            continue;
        }
        let until = step.started_at.unwrap_or_default() + timeout_ms;
        match judge(tx, step, until, serving)? {
            Verdict::Waiting => return Ok(()),
            Verdict::Back => end_step(tx, step, "done", None),
            Verdict::Failed(reason) => {
                withdraw(tx, step, &reason)?;
                end_step(tx, step, "failed", Some(reason.clone()));
                return stop(tx, &mut rollout, STOPPED, Some(reason));
            }
        }
        tx.put(&rollout)?;
    }
    stop(tx, &mut rollout, DONE, None)
}

/// Ends a rollout. Steps that wait are not made, and a request that a runtime has not read is withdrawn.
pub(crate) fn cancel(tx: &Tx<'_>, rollout: &mut Doc<Rollout>) -> Result<(), StoreError> {
    if let Some(step) = rollout.row.steps.iter_mut().find(|step| step.state == "requested") {
        let reason = "withdrawn by a person".to_owned();
        withdraw(tx, step, &reason)?;
        end_step(tx, step, "skipped", Some(reason));
    }
    stop(tx, rollout, CANCELLED, None)
}

fn is_open(step: &RolloutStep) -> bool {
    matches!(step.state.as_str(), "waiting" | "requested")
}

fn stop(
    tx: &Tx<'_>,
    rollout: &mut Doc<Rollout>,
    state: &str,
    reason: Option<String>,
) -> Result<(), StoreError> {
    state.clone_into(&mut rollout.row.state);
    (rollout.row.ended_at, rollout.row.reason) = (Some(tx.now()), reason);
    tx.put(rollout)
}

fn end_step(tx: &Tx<'_>, step: &mut RolloutStep, state: &str, reason: Option<String>) {
    state.clone_into(&mut step.state);
    (step.ended_at, step.reason) = (Some(tx.now()), reason);
}

/// The account of a step, and its runtime's record.
type Records = (Doc<Account>, Doc<Runtime>);

fn records(tx: &Tx<'_>, step: &RolloutStep) -> Result<Option<Records>, StoreError> {
    let Some(account) = tx.get(&step.account_id)? else { return Ok(None) };
    Ok(upgrade::runtime(tx, &step.account_id)?.map(|runtime| (account, runtime)))
}

/// The step that takes back what a step has installed. None, if the runtime has none of it any more. A part that was changed
/// since then keeps its version.
pub(crate) fn reversed(tx: &Tx<'_>, step: &RolloutStep) -> Result<Option<RolloutStep>, StoreError> {
    let Some((
        _,
        Doc { row: Runtime { runtime_service_version: runtime, openclaw_version: openclaw, .. }, .. },
    )) = records(tx, step)?
    else {
        return Ok(None);
    };
    let former_runtime = step
        .from_runtime_version
        .clone()
        .filter(|from| runtime == step.to_runtime_version && *from != runtime);
    let has_openclaw = step.to_openclaw_version.as_ref() == Some(&openclaw);
    let former_openclaw = step.from_openclaw_version.clone().filter(|from| has_openclaw && *from != openclaw);
    if former_runtime.is_none() && former_openclaw.is_none() {
        return Ok(None);
    }
    Ok(Some(RolloutStep {
        account_id: step.account_id.clone(),
        to_runtime_version: former_runtime.unwrap_or(runtime),
        to_openclaw_version: Some(former_openclaw.unwrap_or(openclaw)),
        state: "waiting".to_owned(),
        ..RolloutStep::default()
    }))
}

/// Requests the upgrade of a runtime, unless there is nothing to upgrade.
fn begin(tx: &Tx<'_>, step: &mut RolloutStep, serving: &[&str]) -> Result<(), StoreError> {
    let Some((account, mut runtime)) = records(tx, step)? else {
        end_step(tx, step, "skipped", Some("the account has no runtime".to_owned()));
        return Ok(());
    };
    if !serving.contains(&account.row.runtime_status.as_str()) {
        let reason = format!("the runtime is {}", account.row.runtime_status);
        end_step(tx, step, "skipped", Some(reason));
        return Ok(());
    }
    let row = &mut runtime.row;
    let openclaw = step.to_openclaw_version.clone().unwrap_or_else(|| row.openclaw_version.clone());
    step.from_runtime_version = Some(row.runtime_service_version.clone());
    step.from_openclaw_version = Some(row.openclaw_version.clone());
    if row.runtime_service_version == step.to_runtime_version && row.openclaw_version == openclaw {
        end_step(tx, step, "current", Some("it has this version already".to_owned()));
        return Ok(());
    }
    "requested".clone_into(&mut step.state);
    step.started_at = Some(tx.now());
    step.to_openclaw_version = Some(openclaw.clone());
    // Only this strategy is acted upon by every runtime.
    upgrade::request(row, openclaw, step.to_runtime_version.clone(), "immediate", ORCHESTRATOR, tx.now());
    tx.put(&runtime)
}

/// What became of the request.
fn judge(tx: &Tx<'_>, step: &RolloutStep, until: f64, serving: &[&str]) -> Result<Verdict, StoreError> {
    let Some((account, runtime)) = records(tx, step)? else {
        return Ok(Verdict::Failed("the account was removed during its upgrade".to_owned()));
    };
    let is_ours = |at: f64| Some(at) == step.started_at;
    let row = &runtime.row;
    let entry = row.upgrade_history.iter().rev().find(|entry| is_ours(entry.started_at));
    let verdict = match (entry, &row.pending_upgrade) {
        (Some(entry), _) if entry.status != "success" => {
            let error = entry.error.clone().unwrap_or_else(|| entry.status.clone());
            Verdict::Failed(format!("the upgrade failed: {error}"))
        }
        (Some(_), _) if serving.contains(&account.row.runtime_status.as_str()) => Verdict::Back,
        (None, Some(pending)) if !is_ours(pending.initiated_at) => {
            Verdict::Failed("another upgrade was requested meanwhile".to_owned())
        }
        (None, None) => Verdict::Failed("the request was withdrawn".to_owned()),
        _ if tx.now() >= until => {
            Verdict::Failed(format!("it did not come back in time (it is {})", account.row.runtime_status))
        }
        _ => Verdict::Waiting,
    };
    Ok(verdict)
}

/// Removes the request of this step, so that the runtime does not upgrade later, and records the failure.
fn withdraw(tx: &Tx<'_>, step: &RolloutStep, reason: &str) -> Result<(), StoreError> {
    let Some((_, mut runtime)) = records(tx, step)? else { return Ok(()) };
    let row = &mut runtime.row;
    let is_ours = |pending: &_| {
        let pending: &crate::rows::PendingUpgrade = pending;
        Some(pending.initiated_at) == step.started_at
    };
    let Some(pending) = row.pending_upgrade.take_if(|pending| is_ours(pending)) else { return Ok(()) };
    let entry = UpgradeEntry {
        from_openclaw_version: row.openclaw_version.clone(),
        from_runtime_version: row.runtime_service_version.clone(),
        to_openclaw_version: pending.target_openclaw_version,
        to_runtime_version: pending.target_runtime_version,
        status: "failed".to_owned(),
        started_at: pending.initiated_at,
        completed_at: Some(tx.now()),
        error: Some(reason.to_owned()),
        initiated_by: pending.initiated_by,
        ..UpgradeEntry::default()
    };
    upgrade::add_to_history(row, entry);
    tx.put(&runtime)
}

#[cfg(test)]
mod tests;
