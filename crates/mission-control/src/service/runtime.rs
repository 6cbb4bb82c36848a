//! The runtime: its reports, restarts and upgrades (backend-contract §2.1–2.3, §2.36, §7).

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::Refusal;
use crate::call::{Answer, Call, value};
use crate::function::{ACCOUNT, Function, TOKEN, done};
use crate::number;
use crate::provisioning;
use crate::rows::UpgradeEntry;
use crate::rules::{offline, upgrade};
use crate::store::StoreError;
use crate::validate::{Is, may, need};
use mcr_model::RuntimeStatus;

/// The error for calls that need a runtime, if none has ever reported.
pub(crate) const NO_RUNTIME: &str = "No runtime registered for this account";

/// The statuses of an account's runtime.
pub(crate) const STATUS: Is = Is::OneOf(&["provisioning", "online", "degraded", "offline", "error"]);

/// The results of an upgrade.
const UPGRADE_RESULT: Is = Is::OneOf(&["success", "failed", "rolled_back"]);

/// The part of a reported error that is stored: its first line, up to this many characters.
const ERROR_CHARS: usize = 2_048;

pub(crate) const FUNCTIONS: &[Function] = &[
    Function::service_write(
        "service/actions:updateRuntimeStatus",
        &[
            ACCOUNT,
            TOKEN,
            need("status", STATUS),
            may(
                "config",
                Is::Object(&[
                    need("dropletId", Is::Text),
                    need("ipAddress", Is::Text),
                    may("region", Is::Text),
                    may("lastHealthCheck", Is::Number),
                    may("openclawVersion", Is::Text),
                    may("runtimeServiceVersion", Is::Text),
                    may("lastUpgradeAt", Is::Number),
                    may("lastUpgradeStatus", UPGRADE_RESULT),
                ]),
            ),
        ],
        report,
    ),
    Function::service_write(
        "service/actions:checkAndClearRestartRequested",
        &[ACCOUNT, TOKEN],
        restart_requested,
    ),
    Function::service_read("service/actions:getPendingUpgrade", &[ACCOUNT, TOKEN], pending_upgrade),
    Function::service_write(
        "service/actions:recordUpgradeResult",
        &[
            ACCOUNT,
            TOKEN,
            need("status", UPGRADE_RESULT),
            need("fromOpenclawVersion", Is::Text),
            need("toOpenclawVersion", Is::Text),
            need("fromRuntimeVersion", Is::Text),
            need("toRuntimeVersion", Is::Text),
            may("duration", Is::Number),
            may("error", Is::Text),
        ],
        record_upgrade,
    ),
];

#[derive(Deserialize)]
struct ReportArgs {
    status: String,
    config: Option<Map<String, Value>>,
}

/// §2.1.
fn report(call: &Call<'_>) -> Answer {
    let args: ReportArgs = call.args()?;
    let status: RuntimeStatus =
        args.status.parse().map_err(|()| StoreError::Fault("a validated status is unknown".to_owned()))?;
    let mut account = call.account.clone();
    offline::report(call.tx, &mut account, status, args.config.as_ref(), call.options)?;
    if status == RuntimeStatus::Online {
        provisioning::observe(call.tx, &account)?;
    }
    done()
}

/// §2.2: returns the request for a restart, and removes it.
fn restart_requested(call: &Call<'_>) -> Answer {
    let mut account = call.account.clone();
    let requested = account.row.restart_requested_at.take().is_some();
    if requested {
        // The page shows that the restart is being carried out.
        account.row.restart_read_at = Some(call.now());
        call.tx.put(&account)?;
    }
    Ok(json!({"restartRequested": requested}))
}

/// §2.3.
fn pending_upgrade(call: &Call<'_>) -> Answer {
    let runtime = upgrade::runtime(call.tx, call.account_id())?;
    value(&runtime.and_then(|runtime| runtime.row.pending_upgrade))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResultArgs {
    status: String,
    from_openclaw_version: String,
    to_openclaw_version: String,
    from_runtime_version: String,
    to_runtime_version: String,
    #[serde(default, deserialize_with = "number::finite")]
    duration: Option<f64>,
    error: Option<String>,
}

/// §2.36, §7.4: records the result of an upgrade that the runtime reports itself.
fn record_upgrade(call: &Call<'_>) -> Answer {
    let args: ResultArgs = call.args()?;
    let Some(mut runtime) = upgrade::runtime(call.tx, call.account_id())? else {
        return Err(Refusal::thrown(NO_RUNTIME));
    };
    let row = &mut runtime.row;
    let pending = row.pending_upgrade.take();
    if args.status == "success" {
        row.openclaw_version.clone_from(&args.to_openclaw_version);
        row.runtime_service_version.clone_from(&args.to_runtime_version);
    }
    let status = if args.status == "failed" { "error" } else { "online" };
    status.clone_into(&mut row.status);
    row.updated_at = call.now();
    let started_at = pending.as_ref().map(|pending| pending.initiated_at);
    let entry = UpgradeEntry {
        from_openclaw_version: args.from_openclaw_version,
        to_openclaw_version: args.to_openclaw_version,
        from_runtime_version: args.from_runtime_version,
        to_runtime_version: args.to_runtime_version,
        status: args.status,
        started_at: started_at.unwrap_or_else(|| call.now() - args.duration.unwrap_or(0.0)),
        completed_at: Some(call.now()),
        duration: args.duration,
        error: args.error.map(|error| first_line(&error)),
        initiated_by: pending.map_or_else(|| "runtime".to_owned(), |pending| pending.initiated_by),
    };
    upgrade::add_to_history(row, entry);
    call.tx.put(&runtime)?;
    done()
}

/// The first line of an error, cut at the limit, which counts characters as JavaScript does.
fn first_line(error: &str) -> String {
    let line = error.lines().next().unwrap_or_default();
    let mut remaining = ERROR_CHARS;
    line.chars()
        .take_while(|c| remaining.checked_sub(c.len_utf16()).inspect(|left| remaining = *left).is_some())
        .collect()
}
