//! What `/readyz` says.

use serde::Serialize;

use super::Parts;

/// `GET /readyz`.
#[derive(Clone, Debug, Serialize)]
pub struct Ready {
    /// Whether it works, or could at any moment.
    pub ready: bool,
    /// What is missing.
    pub missing: Vec<&'static str>,
}

impl Parts {
    /// What is missing for being ready (`/readyz`): a gateway that is away is none of it, since rows wait well.
    pub fn missing(&self) -> Vec<&'static str> {
        let rows = [
            (!self.backend.once_accepted, "backend"),
            (!self.delivery.running, "delivery"),
            (self.ledger.holds || self.ledger.displaced.is_some(), "ledger"),
        ];
        rows.into_iter().filter_map(|(misses, what)| misses.then_some(what)).collect()
    }
}
