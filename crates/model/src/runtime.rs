//! The runtime's status reports and upgrade requests (backend-contract §2.1, §2.3, §7).

use serde::{Deserialize, Serialize};

use super::Word;
use super::word::words;
use crate::clock::Millis;

words! {
    /// The runtime's status on the board.
    RuntimeStatus {
        /// In setup.
        Provisioning = "provisioning",
        /// Working.
        Online = "online",
        /// Working with problems.
        Degraded = "degraded",
        /// No longer reporting.
        Offline = "offline",
        /// Failed.
        Error = "error",
    }
}

words! {
    /// How an upgrade is rolled out. The runtime performs only the first itself.
    UpgradeStrategy {
        /// Immediately.
        Immediate = "immediate",
        /// One machine after another, by an operator.
        Rolling = "rolling",
        /// One machine first, by an operator.
        Canary = "canary",
    }
}

words! {
    /// The result of an upgrade.
    UpgradeStatus {
        /// The new version runs.
        Success = "success",
        /// The new version does not run.
        Failed = "failed",
        /// The old version runs again.
        RolledBack = "rolled_back",
    }
}

/// The details of a status report. Each report replaces the previous one completely.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeReport {
    /// The machine's id.
    pub droplet_id: String,
    /// The machine's address.
    pub ip_address: String,
    /// The machine's region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The present time by this machine's clock. The backend considers the runtime dead after 90 s without an update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_health_check: Option<Millis>,
    /// The gateway's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub openclaw_version: Option<String>,
    /// The runtime's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime_service_version: Option<String>,
    /// The time of the last upgrade.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_upgrade_at: Option<Millis>,
    /// The result of the last upgrade.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_upgrade_status: Option<UpgradeStatus>,
}

/// A request to upgrade.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingUpgrade {
    /// The gateway's target version.
    pub target_openclaw_version: String,
    /// The runtime's target version.
    pub target_runtime_version: String,
    /// When the upgrade was requested.
    pub initiated_at: Millis,
    /// The requester.
    pub initiated_by: String,
    /// How it is rolled out.
    pub strategy: Word<UpgradeStrategy>,
}
