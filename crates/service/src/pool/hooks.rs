//! What other parts of a worker do at the borders of its work: restore and save conversations, prepare the gateway.

use std::sync::Arc;

use mcr_core::pool::lane::LaneEnd;
use mcr_core::pool::resting::OwnedConversation;
use mcr_model::{ConversationId, WorkerId};

/// Called by the lanes. Every function has a default that does nothing.
pub trait WorkerHooks: Send + Sync {
    /// Before the gateway is used for the first time. An error ends the start.
    fn before_start(&self) -> Result<(), String> {
        Ok(())
    }

    /// Before the first turn of a conversation that this process has not served before. `agent` is its agent, if known. An
    /// error postpones the claim or the turn, with this reason.
    fn conversation_begins(
        &self,
        _worker: &WorkerId,
        _conversation: &ConversationId,
        _agent: Option<&str>,
    ) -> Result<(), String> {
        Ok(())
    }

    /// Between two jobs of a worker id, while no turn of its conversation runs.
    fn between_jobs(&self, _owned: &OwnedConversation) {}

    /// A worker id ends. No turn of its conversation runs, and none follows under this id.
    fn id_ends(&self, _owned: &OwnedConversation, _why: LaneEnd) {}
}

/// Hooks that do nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHooks;

impl WorkerHooks for NoHooks {}

/// The hooks as the lanes share them.
pub type SharedHooks = Arc<dyn WorkerHooks>;
