//! Claims and leases (worker-pool B.2, 1, 2 and 4 to 7).

use serde::{Deserialize, Serialize};

use super::requests;
use mcr_model::clock::Millis;
use mcr_model::{ClaimedJob, ConversationId, HydrationBundle, JobId, LeaseId, WorkerId};

/// Asks whether the worker must stop.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GetControlState<'a> {
    /// The worker.
    pub worker_id: &'a WorkerId,
}

/// Whether the worker must stop.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ControlState {
    /// True also for a worker that the backend does not know.
    pub should_stop: bool,
}

/// Claims the next message.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim<'a> {
    /// The worker.
    pub worker_id: &'a WorkerId,
    /// Only of this conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<&'a ConversationId>,
}

/// Asks for everything about a claimed message.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hydrate<'a> {
    /// The message.
    pub message_id: &'a JobId,
    /// The workspace whose history is wanted.
    pub workspace_id: &'a str,
}

/// The lease of a worker on a message.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldLease<'a> {
    /// The worker.
    pub worker_id: &'a WorkerId,
    /// The message.
    pub message_id: &'a JobId,
    /// The lease.
    pub lease_id: &'a LeaseId,
}

/// Renews the lease. The answer `false` means that it is lost.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RenewLease<'a> {
    /// The lease.
    #[serde(flatten)]
    pub lease: HeldLease<'a>,
}

/// Ends the message well. The answer `false` means that the lease is lost, or that the message was completed before.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Complete<'a> {
    /// The lease.
    #[serde(flatten)]
    pub lease: HeldLease<'a>,
}

/// Reports a failed attempt.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fail<'a> {
    /// The lease.
    #[serde(flatten)]
    pub lease: HeldLease<'a>,
    /// Why it failed.
    pub error_message: &'a str,
}

/// What becomes of a message after a failed attempt. Without the lease, nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failed {
    /// Another attempt follows.
    pub requeued: bool,
    /// It was the last attempt.
    pub dead_lettered: bool,
    /// When the next attempt is due.
    pub next_scheduled_for: Option<Millis>,
}

requests! {
    GetControlState<'_>: CONTROL_STATE -> ControlState;
    // None if no message is due for this worker.
    Claim<'_>: CLAIM -> Option<ClaimedJob>;
    // None if the message is not in work, or its conversation or agent is missing.
    Hydrate<'_>: HYDRATE -> Option<HydrationBundle>;
    RenewLease<'_>: HEARTBEAT -> bool;
    Complete<'_>: COMPLETE -> bool;
    Fail<'_>: FAIL -> Failed;
}
