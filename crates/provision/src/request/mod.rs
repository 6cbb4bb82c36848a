//! One machine for an account, step by step, for the command line. Each step is written down before it begins. So the next
//! run continues after a crash at any instant, and no machine is paid for that is not written down.
//!
//! ```text
//! requested ──► creating ──► booting ──► online ──► destroying ──► gone
//!      └────────────┴───────────┴──► failed (step, reason)
//! ```

mod audit;
mod book;
mod entry;
mod steps;

pub use audit::{AuditFinding, FindingKind, audit};
pub use book::{BookError, EntryBook, FolderBook};
pub use entry::{EntryState, MachineEntry, Step};
pub use steps::{FirstReport, NotReported, OnTimeout, Provisioner, StepFailure, WantedMachine};
