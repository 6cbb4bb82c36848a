//! Reports the outcome of an upgrade to Mission Control exactly once.
//!
//! While Mission Control shows the request as pending, no report has arrived. Once the request is gone, a report that
//! was sent has arrived. A request can also end without our report: at a status report with the requested versions, or
//! after 30 minutes.

use std::time::Duration;

use super::machine::{UpgradeEffect, UpgradeMachine};
use super::memory::{OperationKind, OutcomeKind, Report, Step};
use mcr_model::PendingUpgrade;
use mcr_model::clock::Millis;

/// After this time Mission Control ends a pending upgrade as failed.
const PENDING_MAX: Duration = Duration::from_mins(30);

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// Mission Control has it.
    Taken,
    /// Mission Control refuses it, and would again.
    Refused,
    /// The answer is missing, so it may have arrived.
    Unknown,
    /// It has certainly not arrived.
    NotSent,
}

/// What the installer says about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstallerResult {
    /// The request.
    pub id: Millis,
    /// How it ended.
    pub kind: OutcomeKind,
    /// Why.
    pub reason: String,
}

impl InstallerResult {
    /// Reads the installer's file: `ID RESULT` in the first line, the reason in the second.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let (id, kind) = lines.next()?.split_once(' ')?;
        let reason = lines.next().unwrap_or_default().trim().to_owned();
        Some(Self { id: Millis(id.parse().ok()?), kind: kind.trim().parse().ok()?, reason })
    }
}

impl UpgradeMachine {
    /// The report that is due when Mission Control answers about pending requests. `None` if none is due.
    pub(super) fn report_after(
        &mut self,
        pending: Option<&PendingUpgrade>,
        now: Millis,
    ) -> Option<Vec<UpgradeEffect>> {
        let operation = self.memory.operation.as_mut()?;
        let kind = operation.outcome.as_ref()?.kind;
        let is_due = operation.report != Report::Settled && operation.kind == OperationKind::Upgrade;
        if operation.step != Step::Done || !is_due {
            return None;
        }
        let is_pending = pending.is_some_and(|pending| pending.initiated_at == operation.id);
        // Mission Control has seen the new version in a status report.
        let was_observed = kind == OutcomeKind::Succeeded && now.since(operation.id) < PENDING_MAX;
        if !is_pending && (operation.report == Report::Attempted || was_observed) {
            operation.report = Report::Settled;
            return None;
        }
        operation.report = Report::Attempted;
        Some(vec![UpgradeEffect::Report])
    }

    pub(super) fn reported(&mut self, delivered: Delivered) {
        let Some(operation) = &mut self.memory.operation else { return };
        if operation.step != Step::Done || operation.report != Report::Attempted {
            return;
        }
        match delivered {
            Delivered::Taken | Delivered::Refused => operation.report = Report::Settled,
            Delivered::NotSent => operation.report = Report::Due,
            Delivered::Unknown => {}
        }
    }
}
