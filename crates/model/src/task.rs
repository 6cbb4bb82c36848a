//! Tasks (backend-contract §3.1).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::word::words;
use super::{AgentId, TaskId, UserId, Word, number};
use crate::clock::Millis;

words! {
    /// The status of a task.
    TaskStatus {
        /// Not assigned.
        Inbox = "inbox",
        /// Assigned, not started.
        Assigned = "assigned",
        /// Being worked on.
        InProgress = "in_progress",
        /// Finished by the assignee, not approved yet.
        Review = "review",
        /// Approved.
        Done = "done",
        /// Blocked. `blockedReason` has the reason.
        Blocked = "blocked",
        /// Permanently hidden.
        Archived = "archived",
    }
}

/// A task as every function returns it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: TaskId,
    /// Its title.
    pub title: String,
    /// Markdown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its status.
    pub status: Word<TaskStatus>,
    /// 1 is the highest, 5 the lowest. The backend accepts other values and fractions.
    #[serde(serialize_with = "number::plain")]
    pub priority: f64,
    /// The people assigned to it.
    #[serde(default)]
    pub assigned_user_ids: Vec<UserId>,
    /// The agents assigned to it. An agent may occur twice or be deleted.
    #[serde(default)]
    pub assigned_agent_ids: Vec<AgentId>,
    /// Free text, except for the reserved [`Task::ORCHESTRATOR_CHAT`].
    #[serde(default)]
    pub labels: Vec<String>,
    /// Its due date. Any client may set it to any value.
    #[serde(default, deserialize_with = "number::unchecked", skip_serializing_if = "Option::is_none")]
    pub due_date: Option<Millis>,
    /// Why it is blocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_reason: Option<String>,
    /// When it was archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived_at: Option<Millis>,
    /// The linked pull request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<TaskMetadata>,
    /// The id of the person or agent who created it.
    pub created_by: String,
    /// When it was created.
    pub created_at: Millis,
    /// When it last changed. Messages of people do not count (contract D23).
    pub updated_at: Millis,
    /// When an agent last posted a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_message_at: Option<Millis>,
}

impl Task {
    /// The label of the task that contains the chat with the orchestrator.
    pub const ORCHESTRATOR_CHAT: &'static str = "system:orchestrator-chat";

    /// Whether this task is the chat with the orchestrator.
    pub fn is_orchestrator_chat(&self) -> bool {
        self.labels.iter().any(|label| label == Self::ORCHESTRATOR_CHAT)
    }
}

/// Additional data of a task.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskMetadata {
    /// The pull request's number. The backend accepts fractions and any range.
    #[serde(
        default,
        deserialize_with = "number::unchecked",
        serialize_with = "number::optional_plain",
        skip_serializing_if = "Option::is_none"
    )]
    pub pr_number: Option<f64>,
}

/// A result of `searchTasksForAgentTool` (§2.24).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskHit {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: TaskId,
    /// Its title.
    pub title: String,
    /// Its status.
    pub status: Word<TaskStatus>,
    /// 1 is the highest.
    #[serde(serialize_with = "number::plain")]
    pub priority: f64,
    /// Why it is blocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_reason: Option<String>,
    /// The agents assigned to it.
    #[serde(default)]
    pub assigned_agent_ids: Vec<AgentId>,
    /// The people assigned to it.
    #[serde(default)]
    pub assigned_user_ids: Vec<UserId>,
    /// When it was created.
    pub created_at: Millis,
    /// When it last changed.
    pub updated_at: Millis,
    /// The sum of the matches: title 3, description 2, reason 1.
    #[serde(serialize_with = "number::plain")]
    pub relevance_score: f64,
}

/// An event in the history of a task (§2.26).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Activity {
    /// The event, such as `task_status_changed`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `user`, `agent` or `system`.
    pub actor_type: String,
    /// The id of the actor.
    pub actor_id: String,
    /// The name of the actor.
    pub actor_name: String,
    /// The kind of target, such as `task`.
    pub target_type: String,
    /// The id of the target.
    pub target_id: String,
    /// The name of the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_name: Option<String>,
    /// Free-form details.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<Value>,
    /// When it happened.
    pub created_at: Millis,
}
