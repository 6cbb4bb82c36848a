//! What the backend is told of the reasons (backend-contract §2.1).

use super::Parts;
use mcr_core::ops::HealthReason;

/// What a reason means for the report to the backend.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Impact {
    /// No delivery can run, and the account is impaired.
    StopsDeliveries,
    /// The account is impaired.
    Impairs,
    /// It does not concern the account as a whole, and deliveries run.
    NotReported,
}

fn impact(reason: HealthReason) -> Impact {
    match reason {
        HealthReason::GatewayUnreachable
        | HealthReason::GatewayRefusedToken
        | HealthReason::GatewayEndpointOff
        | HealthReason::NoGateway
        | HealthReason::BreakerOpen
        | HealthReason::ForeignInstance => Impact::StopsDeliveries,
        HealthReason::GatewayTooOld
        | HealthReason::DeliveryFailing
        | HealthReason::StuckTurns
        | HealthReason::RosterStale
        | HealthReason::LedgerOff
        | HealthReason::StateDirMoved
        | HealthReason::DiskLow
        | HealthReason::ClockSkew
        | HealthReason::ProfilesUnwritable
        | HealthReason::ThreadPanicked => Impact::Impairs,
        // A dead letter and a row that is not understood wait for a person. The report that the backend takes disproves the
        // others.
        HealthReason::DeadLetters
        | HealthReason::UnreadableRows
        | HealthReason::BackendUnreachable
        | HealthReason::BackendRefusedToken
        | HealthReason::BackendRefusesAll
        | HealthReason::ReportFailing => Impact::NotReported,
    }
}

impl Parts {
    /// Whether deliveries can run, as far as is known, if the backend answers.
    pub fn delivers(&self) -> bool {
        let open = !self.reasons().into_iter().any(|reason| impact(reason) == Impact::StopsDeliveries);
        open && self.delivery.running && !self.ledger.holds
    }

    /// Whether the account as a whole is impaired, as the backend is told.
    pub fn is_impaired(&self) -> bool {
        self.ledger.holds || self.reasons().into_iter().any(|reason| impact(reason) != Impact::NotReported)
    }
}
