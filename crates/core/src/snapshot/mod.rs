//! Snapshots of an agent's state: the form of the archive, what stays out of it, and when one is made (worker-pool B.9).
//!
//! A snapshot is a gzip tar archive of two folders: the state of the gateway (`.clawdbot`) and the workspace. [`tar`] has
//! the form of its headers, and refuses what must not be restored. [`SnapshotExcludes`] keeps secrets and caches out.
//! [`SnapshotSchedule`] says when the next one is due.

mod excludes;
mod schedule;
pub mod tar;

pub use excludes::{Excluded, SnapshotExcludes};
pub use schedule::SnapshotSchedule;

/// The folder of the gateway's state in an archive.
pub const STATE_ROOT: &str = ".clawdbot";

/// The folder of the workspace in an archive.
pub const WORKSPACE_ROOT: &str = "workspace";
