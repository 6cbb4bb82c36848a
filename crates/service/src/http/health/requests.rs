//! The part of `/health` about restarts and upgrades that people request in Mission Control.

use serde::Serialize;

use mcr_core::upgrade::{
    Installed, OperationKind, Quarantined, Report, RequestedOperation, Step, UpgradeMemory, UpgradeOutcome,
};
use mcr_model::clock::Millis;

/// The requests for a restart or an upgrade.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestsHealth {
    /// Why requests are not read, if so.
    pub off: Option<String>,
    /// When they were last read.
    pub read_at: Option<Millis>,
    /// Why they could not be read at the last attempt, if so.
    pub last_error: Option<String>,
    /// Why the state of the request cannot be stored, if so. The request waits for that.
    pub not_stored: Option<String>,
    /// The last request.
    pub operation: Option<OperationHealth>,
    /// The versions that did not work here.
    pub quarantine: Vec<Quarantined>,
}

/// A request and how far it is carried out.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationHealth {
    /// `restart` or `upgrade`.
    pub kind: OperationKind,
    /// `accept`, `drain`, `run`, `arm`, `confirm`, `roll_back` or `done`.
    pub step: Step,
    /// When this step began.
    pub since: Millis,
    /// When the request was accepted.
    pub accepted_at: Millis,
    /// The versions before.
    pub from: Installed,
    /// The requested versions.
    pub to: Installed,
    /// The running turns that the request waits for.
    pub waits_for_turns: usize,
    /// How often the requested version was started.
    pub boots: u32,
    /// Why the requested version is rolled back, if so.
    pub trouble: Option<String>,
    /// How the request ended.
    pub outcome: Option<UpgradeOutcome>,
    /// Whether Mission Control knows how it ended.
    pub is_reported: bool,
}

impl RequestsHealth {
    /// Shows what is stored. Texts are cleaned by `clean`.
    pub fn show(&mut self, memory: &UpgradeMemory, turns: usize, clean: &dyn Fn(&str) -> String) {
        self.operation =
            memory.operation.as_ref().map(|operation| OperationHealth::of(operation, turns, clean));
        let quarantine = memory.quarantine.iter();
        self.quarantine = quarantine
            .map(|bad| Quarantined { version: clean(&bad.version), reason: clean(&bad.reason), at: bad.at })
            .collect();
    }
}

impl OperationHealth {
    fn of(operation: &RequestedOperation, turns: usize, clean: &dyn Fn(&str) -> String) -> Self {
        let versions = |versions: &Installed| Installed {
            runtime: clean(&versions.runtime),
            openclaw: clean(&versions.openclaw),
        };
        let outcome = |outcome: &UpgradeOutcome| UpgradeOutcome {
            reason: outcome.reason.as_deref().map(clean),
            ..outcome.clone()
        };
        Self {
            kind: operation.kind,
            step: operation.step,
            since: operation.since,
            accepted_at: operation.accepted_at,
            from: versions(&operation.from),
            to: versions(&operation.to),
            waits_for_turns: if operation.step == Step::Drain { turns } else { 0 },
            boots: operation.boots,
            trouble: operation.trouble.as_deref().map(clean),
            outcome: operation.outcome.as_ref().map(outcome),
            is_reported: operation.report == Report::Settled,
        }
    }
}
