//! What must outlive the process: the [`ledger`] of deliveries, and the [`sessions`] of agents.

pub mod ledger;
pub mod sessions;
