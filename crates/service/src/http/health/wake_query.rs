//! The wake query in `/health`.

use serde::Serialize;

use mcr_core::wake_query::WakeQueryStatus;
use mcr_model::clock::Millis;

/// Whether lists follow the wake query.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WakeQueryHealth {
    /// `off`, `connecting`, `subscribed`, `missing` or `failing`.
    pub state: &'static str,
    /// Since when.
    pub since: Option<Millis>,
    /// Why it does not work, redacted.
    pub reason: Option<String>,
}

impl From<WakeQueryStatus> for WakeQueryHealth {
    fn from(status: WakeQueryStatus) -> Self {
        Self { state: status.condition.word(), since: status.since, reason: status.reason }
    }
}
