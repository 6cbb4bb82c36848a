//! What the record of a heartbeat has in addition to that of other deliveries.

use serde::{Deserialize, Serialize};

use super::UnknownFields;
use mcr_model::TaskId;
use mcr_model::clock::Millis;

/// The beat's own part of a record. It is written before the turn is sent: after a crash, the next process knows which
/// tasks the prompt named, and which events it showed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BeatRecord {
    /// The digest of the inputs that the prompt was made from.
    pub digest: String,
    /// When these inputs were read, by the system's clock.
    pub at: Millis,
    /// The tasks that the prompt names, the focus task first.
    pub tasks: Vec<TaskId>,
    /// The number of the last event in the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<u64>,
    /// The task that the answer goes to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<TaskId>,
    /// The tasks whose assignees this beat has asked, or was about to ask.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<TaskId>,
    /// How many requests for a response the agent has sent in its turn.
    #[serde(skip_serializing_if = "is_zero")]
    pub requests: u32,
    /// Whether the agent acted with its tools.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub acted: bool,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: UnknownFields,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}
