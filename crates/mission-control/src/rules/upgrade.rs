//! The record of an account's runtime, and the steps of an upgrade: requested, observed or timed out, then kept in
//! the history (backend-contract §3.9, §7.4).

use crate::rows::{Account, PendingUpgrade, Runtime, RuntimeConfig, UpgradeEntry};
use crate::store::{Doc, Id, RUNTIME, StoreError, Tx};

/// An upgrade fails if the runtime does not report the target versions within this time.
const TIMEOUT_MS: f64 = 30.0 * 60_000.0;

/// The number of past upgrades that are kept.
const HISTORY_LENGTH: usize = 10;

/// The account's runtime, if a runtime has ever reported.
pub(crate) fn runtime(tx: &Tx<'_>, account: &Id<Account>) -> Result<Option<Doc<Runtime>>, StoreError> {
    tx.find(RUNTIME, &[Some(account.as_str())]).first()
}

/// Records a runtime's report. The report can complete a pending upgrade.
pub(crate) fn observe(
    tx: &Tx<'_>,
    account: &Id<Account>,
    status: &str,
    config: Option<&RuntimeConfig>,
) -> Result<(), StoreError> {
    let none = RuntimeConfig::default();
    let reported = config.unwrap_or(&none);
    let Some(mut runtime) = runtime(tx, account)? else {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let tag = reported.runtime_service_version.clone();
        tx.insert(Runtime {
            account_id: account.clone(),
            provider: "digitalocean".to_owned(),
            provider_id: text(&reported.droplet_id),
            ip_address: text(&reported.ip_address),
            region: text(&reported.region),
            openclaw_version: text(&reported.openclaw_version),
            runtime_service_version: text(&reported.runtime_service_version),
            docker_image_tag: tag.unwrap_or_else(|| "latest".to_owned()),
            status: status.to_owned(),
            last_health_check: reported.last_health_check,
            created_at: tx.now(),
            updated_at: tx.now(),
            ..Runtime::default()
        })?;
        return Ok(());
    };
    let row = &mut runtime.row;
    settle(row, reported, tx.now());
    let update = |field: &mut String, reported: &Option<String>| {
        if let Some(text) = reported {
            field.clone_from(text);
        }
    };
    update(&mut row.provider_id, &reported.droplet_id);
    update(&mut row.ip_address, &reported.ip_address);
    update(&mut row.region, &reported.region);
    update(&mut row.openclaw_version, &reported.openclaw_version);
    update(&mut row.runtime_service_version, &reported.runtime_service_version);
    update(&mut row.docker_image_tag, &reported.runtime_service_version);
    status.clone_into(&mut row.status);
    row.last_health_check = reported.last_health_check;
    row.updated_at = tx.now();
    tx.put(&runtime)
}

/// Ends a pending upgrade if the report contains the target versions, or if the time has passed. The row must still
/// have the versions from before the report.
fn settle(row: &mut Runtime, reported: &RuntimeConfig, now: f64) {
    let Some(pending) = row.pending_upgrade.take() else { return };
    let is = |version: &Option<String>, target: &str| version.as_deref() == Some(target);
    let is_complete = is(&reported.openclaw_version, &pending.target_openclaw_version)
        && is(&reported.runtime_service_version, &pending.target_runtime_version);
    let ended = if is_complete {
        ("success", None)
    } else if now - pending.initiated_at > TIMEOUT_MS {
        ("failed", Some("Upgrade timed out".to_owned()))
    } else {
        row.pending_upgrade = Some(pending);
        return;
    };
    let (status, error) = ended;
    let entry = UpgradeEntry {
        from_openclaw_version: row.openclaw_version.clone(),
        from_runtime_version: row.runtime_service_version.clone(),
        to_openclaw_version: pending.target_openclaw_version,
        to_runtime_version: pending.target_runtime_version,
        status: status.to_owned(),
        started_at: pending.initiated_at,
        completed_at: Some(now),
        error,
        initiated_by: pending.initiated_by,
        ..UpgradeEntry::default()
    };
    add_to_history(row, entry);
}

/// Adds an entry to the history and drops the oldest entries.
pub(crate) fn add_to_history(row: &mut Runtime, entry: UpgradeEntry) {
    row.upgrade_history.push(entry);
    let excess = row.upgrade_history.len().saturating_sub(HISTORY_LENGTH);
    row.upgrade_history.drain(..excess);
}

/// Requests an upgrade. It replaces an earlier request.
pub(crate) fn request(
    row: &mut Runtime,
    openclaw: String,
    runtime: String,
    strategy: &str,
    by: &str,
    now: f64,
) {
    row.pending_upgrade = Some(PendingUpgrade {
        target_openclaw_version: openclaw,
        target_runtime_version: runtime,
        initiated_at: now,
        initiated_by: by.to_owned(),
        strategy: strategy.to_owned(),
    });
    row.updated_at = now;
}
