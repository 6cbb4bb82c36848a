//! The body of `/readyz`.

use serde::Serialize;

use super::Parts;

/// `GET /readyz`.
#[derive(Clone, Debug, Serialize)]
pub struct Ready {
    /// Whether the service can deliver.
    pub ready: bool,
    /// The parts that are missing.
    pub missing: Vec<&'static str>,
}

impl Parts {
    /// The parts that the service needs to be ready. The gateway is not one: while it is away, rows wait safely.
    pub fn missing(&self) -> Vec<&'static str> {
        let rows = [
            (!self.backend.once_accepted, "backend"),
            (!self.delivery.running, "delivery"),
            (self.ledger.holds || self.ledger.displaced.is_some(), "ledger"),
        ];
        rows.into_iter().filter_map(|(misses, what)| misses.then_some(what)).collect()
    }
}
