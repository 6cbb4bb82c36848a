//! The functions that keep a pool going (worker-pool C.3, C.5). The deployment runs them; a worker may call them on time.

use serde::Serialize;
use serde_json::Value;

use super::{PoolFunction, PoolRequest};
use crate::convex::FunctionKind;
use mcr_core::pool::scheduled::ScheduledCall;

/// Makes and ends workers.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct StartWorkers {}

/// Queues the push messages that are due.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct DispatchPushJobs {}

/// Deletes all machines and volumes of the app.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RunFlyCleanup {}

impl PoolRequest for StartWorkers {
    // A second run finds nothing more to do, but actions are never repeated blindly.
    const FUNCTION: PoolFunction =
        PoolFunction { name: "startWorkers", kind: FunctionKind::Action, may_repeat: false };
    type Answer = Value;
}

impl PoolRequest for DispatchPushJobs {
    const FUNCTION: PoolFunction =
        PoolFunction { name: "dispatchDuePushJobs", kind: FunctionKind::Mutation, may_repeat: false };
    type Answer = Value;
}

impl PoolRequest for RunFlyCleanup {
    const FUNCTION: PoolFunction =
        PoolFunction { name: "runFlyCleanup", kind: FunctionKind::Action, may_repeat: false };
    type Answer = Value;
}

impl super::PoolClient {
    /// Makes a call that is due.
    pub fn run_scheduled(
        &self,
        call: ScheduledCall,
        deadline: std::time::Duration,
    ) -> Result<Value, crate::convex::CallError> {
        match call {
            ScheduledCall::Reconcile => self.ask_within(deadline, &StartWorkers {}),
            ScheduledCall::Push => self.ask_within(deadline, &DispatchPushJobs {}),
            ScheduledCall::Cleanup => self.ask_within(deadline, &RunFlyCleanup {}),
        }
    }
}
