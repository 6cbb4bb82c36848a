//! Budgets in the delivery: a turn reserves its estimate before it is sent, is watched while it runs, and is charged at
//! its end.
//!
//! The decisions are those of [`mcr_core::guardrails::budget`]. The `keeper` shares them between the workers and stores
//! each change in the ledger before the note of the step that it belongs to. So a reservation is on the disk before the
//! request leaves, and a settlement with the record of the answer. `turn` has the steps of a worker. The `monitor`
//! decides when the usage of a running turn is read. Several threads, each a `reader`, read it and abort turns at a limit.

mod keeper;
mod monitor;
mod notices;
mod reader;
pub(super) mod turn;

pub use keeper::BudgetKeeper;
pub use monitor::{BudgetMonitor, HoldTurns};
pub use notices::BudgetNotices;
pub use reader::{BudgetReader, CallsProbe, UsageReading};
