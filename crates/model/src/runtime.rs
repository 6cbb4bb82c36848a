//! What the runtime reports of itself, and what it is asked to become (backend-contract §2.1, §2.3, §7).

use serde::{Deserialize, Serialize};

use super::Word;
use super::word::words;
use crate::clock::Millis;

words! {
    /// What the board shows of the runtime.
    RuntimeStatus {
        /// Being set up.
        Provisioning = "provisioning",
        /// At work.
        Online = "online",
        /// At work, with trouble.
        Degraded = "degraded",
        /// Gone.
        Offline = "offline",
        /// In trouble.
        Error = "error",
    }
}

words! {
    /// How an upgrade is rolled out; only the first is the runtime's own business.
    UpgradeStrategy {
        /// Now.
        Immediate = "immediate",
        /// By somebody who goes through the fleet.
        Rolling = "rolling",
        /// One first, by somebody else.
        Canary = "canary",
    }
}

words! {
    /// How an upgrade ended.
    UpgradeStatus {
        /// The new version runs.
        Success = "success",
        /// It does not.
        Failed = "failed",
        /// The old one is back.
        RolledBack = "rolled_back",
    }
}

/// The details of a status report; each report replaces the one before as a whole.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeReport {
    /// The machine.
    pub droplet_id: String,
    /// Its address.
    pub ip_address: String,
    /// Where it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Now, by our clock: the backend calls us dead when this is 90 s old by its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_health_check: Option<Millis>,
    /// The gateway's release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub openclaw_version: Option<String>,
    /// Ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime_service_version: Option<String>,
    /// When we were last upgraded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_upgrade_at: Option<Millis>,
    /// How that ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_upgrade_status: Option<UpgradeStatus>,
}

/// A request to become another version.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingUpgrade {
    /// The gateway's release to come.
    pub target_openclaw_version: String,
    /// Ours to come.
    pub target_runtime_version: String,
    /// When it was asked for.
    pub initiated_at: Millis,
    /// Who asked.
    pub initiated_by: String,
    /// How.
    pub strategy: Word<UpgradeStrategy>,
}
