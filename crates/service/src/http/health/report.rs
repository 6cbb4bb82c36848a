//! What the backend is told of the reasons (backend-contract §2.1).

use super::Parts;

/// With one of these no delivery can run.
const CLOSED: [&str; 6] = [
    "gateway_unreachable",
    "gateway_refused_token",
    "gateway_endpoint_off",
    "no_gateway",
    "breaker_open",
    "foreign_instance",
];

/// These do not concern the account as a whole: a dead letter is one delivery that waits for a person, and the others
/// are disproved by the report that the backend takes.
const NOT_REPORTED: [&str; 5] =
    ["dead_letters", "backend_unreachable", "backend_refused_token", "backend_refuses_all", "report_failing"];

impl Parts {
    /// Whether deliveries can run, as far as is known, if the backend answers.
    pub fn delivers(&self) -> bool {
        let open = !self.reasons().iter().any(|reason| CLOSED.contains(reason));
        open && self.delivery.running && !self.ledger.holds
    }

    /// Whether the account as a whole is impaired, as the backend is told.
    pub fn is_impaired(&self) -> bool {
        self.ledger.holds || self.reasons().iter().any(|reason| !NOT_REPORTED.contains(reason))
    }
}
