//! Tasks (backend-contract §3.1).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::word::words;
use super::{AgentId, TaskId, UserId, Word, number};
use crate::clock::Millis;

words! {
    /// Where a task stands.
    TaskStatus {
        /// Written down, nobody is on it.
        Inbox = "inbox",
        /// Given to somebody who has not begun.
        Assigned = "assigned",
        /// Being worked on.
        InProgress = "in_progress",
        /// Finished in the worker's eyes; somebody else looks.
        Review = "review",
        /// Approved.
        Done = "done",
        /// Cannot go on; `blockedReason` says why.
        Blocked = "blocked",
        /// Out of sight for good.
        Archived = "archived",
    }
}

/// A task, as every function returns it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: TaskId,
    /// What it is called.
    pub title: String,
    /// Markdown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where it stands.
    pub status: Word<TaskStatus>,
    /// 1 is the highest, 5 the lowest; the backend does not keep it in range, nor whole.
    #[serde(serialize_with = "number::plain")]
    pub priority: f64,
    /// People.
    #[serde(default)]
    pub assigned_user_ids: Vec<UserId>,
    /// Agents; may name one twice, or a deleted one.
    #[serde(default)]
    pub assigned_agent_ids: Vec<AgentId>,
    /// Free, except for the reserved [`Task::ORCHESTRATOR_CHAT`].
    #[serde(default)]
    pub labels: Vec<String>,
    /// When it should be finished; set by anybody to anything.
    #[serde(default, deserialize_with = "number::unchecked", skip_serializing_if = "Option::is_none")]
    pub due_date: Option<Millis>,
    /// Why it is blocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_reason: Option<String>,
    /// Since when it is archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived_at: Option<Millis>,
    /// The pull request it is linked to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<TaskMetadata>,
    /// A person's id or an agent's.
    pub created_by: String,
    /// When it was made.
    pub created_at: Millis,
    /// When it last changed; messages of people do not count (contract D23).
    pub updated_at: Millis,
    /// When an agent last wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_message_at: Option<Millis>,
}

impl Task {
    /// The label of the task that carries the talk with the orchestrator.
    pub const ORCHESTRATOR_CHAT: &'static str = "system:orchestrator-chat";

    /// Whether this is the talk with the orchestrator.
    pub fn is_orchestrator_chat(&self) -> bool {
        self.labels.iter().any(|label| label == Self::ORCHESTRATOR_CHAT)
    }
}

/// What is attached to a task.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskMetadata {
    /// The pull request; neither whole nor in range by the backend's doing.
    #[serde(
        default,
        deserialize_with = "number::unchecked",
        serialize_with = "number::optional_plain",
        skip_serializing_if = "Option::is_none"
    )]
    pub pr_number: Option<f64>,
}

/// A find of `searchTasksForAgentTool` (§2.24).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskHit {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: TaskId,
    /// What it is called.
    pub title: String,
    /// Where it stands.
    pub status: Word<TaskStatus>,
    /// 1 is the highest.
    #[serde(serialize_with = "number::plain")]
    pub priority: f64,
    /// Why it is blocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_reason: Option<String>,
    /// Agents on it.
    #[serde(default)]
    pub assigned_agent_ids: Vec<AgentId>,
    /// People on it.
    #[serde(default)]
    pub assigned_user_ids: Vec<UserId>,
    /// When it was made.
    pub created_at: Millis,
    /// When it last changed.
    pub updated_at: Millis,
    /// Title 3, description 2, reason 1, added up.
    #[serde(serialize_with = "number::plain")]
    pub relevance_score: f64,
}

/// Something that happened to a task (§2.26).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Activity {
    /// Such as `task_status_changed`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `user`, `agent` or `system`.
    pub actor_type: String,
    /// Whose doing.
    pub actor_id: String,
    /// Their name.
    pub actor_name: String,
    /// Such as `task`.
    pub target_type: String,
    /// To whom or what.
    pub target_id: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_name: Option<String>,
    /// Details, free in form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<Value>,
    /// When.
    pub created_at: Millis,
}
