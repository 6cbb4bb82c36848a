//! The part of `/health` about the gateway that the runtime runs itself.

use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use mcr_core::gateway_child::ChildState;
use mcr_model::clock::Millis;

/// The state of the gateway's process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChildHealth {
    /// The state in one word.
    pub state: ChildState,
    /// The number of the process; none if none runs.
    pub pid: Option<i32>,
    /// When the process was started, with the keys of that time.
    pub started_at: Option<Millis>,
    /// Whether an earlier runtime has started it.
    pub adopted: bool,
    /// How often the gateway was started again.
    pub restarts: u64,
    /// How the last process ended.
    pub last_end: Option<String>,
    /// Why the gateway is not ready, redacted.
    pub reason: Option<String>,
    /// The version that its program prints.
    pub version: Option<String>,
}

/// The state of the gateway's process, written by its supervisor.
#[derive(Debug, Default)]
pub struct ChildStatus(Mutex<ChildHealth>);

impl ChildStatus {
    /// The present state.
    pub fn now(&self) -> ChildHealth {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut ChildHealth)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
