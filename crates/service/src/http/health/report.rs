//! What the status report to the backend contains of the health reasons (backend-contract §2.1).

use super::Parts;
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
        | HealthReason::GatewayHistoryClosed
        | HealthReason::BudgetReached
        | HealthReason::DeliveryFailing
        | HealthReason::StuckTurns
        | HealthReason::RosterStale
        | HealthReason::LedgerOff
        | HealthReason::StateDirMoved
        | HealthReason::DiskLow
        | HealthReason::ClockSkew
        | HealthReason::ProfilesUnwritable
        | HealthReason::KeysNotSynced
        | HealthReason::ThreadPanicked => Impact::Impairs,
        // A dead letter or an unreadable row is one delivery that waits for a person, and an unusable agent is one agent. A backlog and a limit only delay
        // deliveries. A report that arrives disproves
        // the other reasons.
        HealthReason::Backlog
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

    /// Whether the account as a whole is impaired, for the report to the backend.
    pub fn is_impaired(&self) -> bool {
        self.ledger.holds || self.reasons().into_iter().any(|reason| impact(reason) != Impact::NotReported)
    }
}
