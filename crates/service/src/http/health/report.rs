//! What follows from the health reasons: the start, and the status report to the backend (backend-contract §2.1).

use std::time::Duration;

use super::{Parts, START_PATIENCE};
use mcr_core::ops::HealthReason;

/// What a reason means for the report to the backend.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Impact {
    /// No delivery can run, and the account is impaired.
    StopsDeliveries,
    /// The account is impaired.
    Impairs,
    /// The account as a whole is not affected, and deliveries run.
    NotReported,
}

fn impact(reason: HealthReason) -> Impact {
    match reason {
        HealthReason::GatewayUnreachable
        | HealthReason::GatewayRefusedToken
        | HealthReason::GatewayEndpointOff
        | HealthReason::NoGateway
        | HealthReason::TurnLimitReached
        | HealthReason::BreakerOpen
        | HealthReason::ForeignInstance => Impact::StopsDeliveries,
        HealthReason::GatewayTooOld
        | HealthReason::AgentsMissing
        | HealthReason::AgentsBlocked
        | HealthReason::GatewayHistoryClosed
        | HealthReason::BudgetReached
        | HealthReason::BudgetStalled
        | HealthReason::DeliveryFailing
        | HealthReason::StuckTurns
        | HealthReason::RosterStale
        | HealthReason::LedgerOff
        | HealthReason::StateDirMoved
        | HealthReason::DiskLow
        | HealthReason::ClockSkew
        | HealthReason::ProfilesUnwritable
        | HealthReason::KeysNotSynced
        | HealthReason::GatewayProcessFailing
        | HealthReason::ThreadPanicked => Impact::Impairs,
        // A dead letter or an unreadable row is one delivery that waits for a person, and an unusable agent is one agent. A
        // backlog and a limit only delay deliveries, and uncounted dollars do not stop them. A report that arrives disproves
        // the other reasons.
        HealthReason::Backlog
        | HealthReason::BudgetUncounted
        | HealthReason::BackendPending
        | HealthReason::AgentTurnsLimited
        | HealthReason::DeadLetters
        | HealthReason::AgentsUnusable
        | HealthReason::UnreadableRows
        | HealthReason::BackendUnreachable
        | HealthReason::BackendRefusedToken
        | HealthReason::BackendRefusesAll
        | HealthReason::ReportFailing => Impact::NotReported,
    }
}

impl Parts {
    /// Whether deliveries can run if the backend answers, as far as known.
    pub fn delivers(&self) -> bool {
        let open = !self.reasons().into_iter().any(|reason| impact(reason) == Impact::StopsDeliveries);
        open && self.delivery.running && !self.ledger.holds
    }

    /// Whether the service is too new for a judgement, `up` after its start: the first answers are missing, or Mission
    /// Control has not accepted a call and returned the roster yet. That is retried, and the reasons name it. After
    /// [`START_PATIENCE`] it is no longer a matter of the start.
    pub fn is_starting(&self, up: Duration) -> bool {
        let roster_asked = self.roster.last_sync_at.is_some() || self.roster.last_error.is_some();
        let unanswered = !self.delivery.running || self.backend.checked_at.is_none() || !roster_asked;
        let waits = !self.backend.once_accepted || self.roster.last_sync_at.is_none();
        unanswered || (waits && up < START_PATIENCE)
    }

    /// Whether the account as a whole is impaired, for the report to the backend.
    pub fn is_impaired(&self) -> bool {
        self.ledger.holds || self.reasons().into_iter().any(|reason| impact(reason) != Impact::NotReported)
    }
}
