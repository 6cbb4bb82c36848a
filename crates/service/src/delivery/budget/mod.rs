//! Budgets in the delivery: a turn reserves its estimate before it is sent, is watched while it runs, and is charged at
//! its end.
//!
//! The decisions are those of [`mcr_core::guardrails::budget`]. The `keeper` shares them between the workers and stores
//! each change in the ledger before the note of the step that it belongs to. So a reservation is on the disk before the
//! request leaves, and a settlement with the record of the answer. `turn` has the steps of a worker, and `monitor` reads
//! the usage of running turns and aborts them at a limit.

mod keeper;
mod monitor;
mod notices;
pub(super) mod turn;

pub use keeper::BudgetKeeper;
pub use monitor::{BudgetMonitor, CallsProbe, HoldTurns, LOOK};
pub use notices::BudgetNotices;
