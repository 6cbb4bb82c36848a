//! Restarts and upgrades that people request in Mission Control.
//!
//! ```text
//!  accept ─► drain ─► run ─► arm ═► confirm ─► done      ═► the process ends, and its supervisor starts the next one
//!    │         │       │      ║        │
//!    └─────────┴───────┴──────╨────────┴─► roll_back ═► done
//! ```
//!
//! * **accept**: the request is stored. Each request id is accepted once.
//! * **drain**: no new turn begins, and running turns may finish. Only here a request can be cancelled.
//! * **run**: `UPGRADE_COMMAND` installs the version. The count of its starts is stored before.
//! * **arm**: the process is about to end, or has ended.
//! * **confirm**: the new version runs on trial.
//! * **roll back**: the command installs the version before.
//!
//! [`UpgradeMachine`] decides. The caller stores [`UpgradeMemory`] before it carries out the effects of an event. So a
//! crash at any moment leads to the next step of the same request, and no request ends two processes.

mod machine;
mod memory;
mod report;
mod trial;
mod version;

#[cfg(test)]
mod tests;

pub use machine::{
    Moment, ServiceSigns, UpgradeAction, UpgradeEffect, UpgradeEvent, UpgradeMachine, UpgradeSetup,
};
pub use memory::{Installed, Quarantined, Report, RequestedOperation, UpgradeMemory, UpgradeOutcome};
pub use memory::{OperationKind, OutcomeKind, Step};
pub use report::{Delivered, InstallerResult};
pub use version::{is_release, is_version};
