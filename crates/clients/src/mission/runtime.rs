//! The runtime's own reports and requests (backend-contract §2.1–2.3, §2.36).

use serde::{Deserialize, Serialize};

use super::requests;
use mcr_model::{PendingUpgrade, RuntimeReport, RuntimeStatus, UpgradeStatus};

/// Reports the state of the runtime (§2.1).
#[derive(Clone, Debug, Serialize)]
pub struct UpdateRuntimeStatus<'a> {
    /// The status in one word.
    pub status: RuntimeStatus,
    /// The details. Omitted when going offline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<&'a RuntimeReport>,
}

/// The answer of calls that return no data.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Done {
    /// Always true.
    pub success: bool,
}

/// Reads and clears a restart request: only one reader sees it (§2.2).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CheckRestart {}

/// Whether a restart was requested.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestartRequested {
    /// If true, the backend has now cleared the request.
    pub restart_requested: bool,
}

/// Returns the upgrade that a person requested (§2.3).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GetPendingUpgrade {}

/// Reports the result of an upgrade (§2.36).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordUpgrade<'a> {
    /// The result.
    pub status: UpgradeStatus,
    /// The gateway's version before.
    pub from_openclaw_version: &'a str,
    /// The gateway's version after.
    pub to_openclaw_version: &'a str,
    /// The runtime's version before.
    pub from_runtime_version: &'a str,
    /// The runtime's version after.
    pub to_runtime_version: &'a str,
    /// The duration in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<u64>,
    /// The error of a failed upgrade.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a str>,
}

requests! {
    UpdateRuntimeStatus<'_>: UPDATE_RUNTIME_STATUS -> Done;
    CheckRestart: CHECK_RESTART -> RestartRequested;
    GetPendingUpgrade: GET_PENDING_UPGRADE -> Option<PendingUpgrade>;
    RecordUpgrade<'_>: RECORD_UPGRADE -> serde::de::IgnoredAny;
}
