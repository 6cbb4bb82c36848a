//! What the runtime reports of itself and asks for itself (backend-contract §2.1–2.3, §2.36).

use serde::{Deserialize, Serialize};

use super::requests;
use mcr_model::{PendingUpgrade, RuntimeReport, RuntimeStatus, UpgradeStatus};

/// Says how the runtime is (§2.1).
#[derive(Clone, Debug, Serialize)]
pub struct UpdateRuntimeStatus<'a> {
    /// In one word.
    pub status: RuntimeStatus,
    /// In detail; left out when going offline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<&'a RuntimeReport>,
}

/// The answer of calls that have nothing to say.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Done {
    /// Always true.
    pub success: bool,
}

/// Takes a restart request, if there is one: whoever sees it has it alone (§2.2).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CheckRestart {}

/// Whether a restart was asked for.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestartRequested {
    /// It was, and is now forgotten by the backend.
    pub restart_requested: bool,
}

/// Asks for the upgrade that somebody wants (§2.3).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GetPendingUpgrade {}

/// Says how an upgrade ended (§2.36).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordUpgrade<'a> {
    /// How.
    pub status: UpgradeStatus,
    /// The gateway's release before.
    pub from_openclaw_version: &'a str,
    /// And after.
    pub to_openclaw_version: &'a str,
    /// Ours before.
    pub from_runtime_version: &'a str,
    /// And after.
    pub to_runtime_version: &'a str,
    /// How long it took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<u64>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a str>,
}

requests! {
    UpdateRuntimeStatus<'_>: UPDATE_RUNTIME_STATUS -> Done;
    CheckRestart: CHECK_RESTART -> RestartRequested;
    GetPendingUpgrade: GET_PENDING_UPGRADE -> Option<PendingUpgrade>;
    RecordUpgrade<'_>: RECORD_UPGRADE -> serde::de::IgnoredAny;
}
