//! Tasks: finding and changing them (backend-contract §2.15–2.22, §2.24–2.26, §2.30, §2.31).

use serde::{Deserialize, Serialize};

use super::{Done, requests};
use mcr_model::clock::Millis;
use mcr_model::{Activity, AgentId, Task, TaskHit, TaskId, TaskStatus, ThreadItem, UserId, Word, number};

/// Moves a task to a status, through intermediate statuses if necessary (§2.15).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateTaskStatus<'a> {
    /// The task.
    pub task_id: &'a TaskId,
    /// The acting agent.
    pub agent_id: &'a AgentId,
    /// `in_progress`, `review`, `done` or `blocked`.
    pub status: TaskStatus,
    /// The reason. Only with `blocked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked_reason: Option<&'a str>,
    /// Moves the task only if this is its status now. Otherwise nothing changes, and that is no error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_status: Option<TaskStatus>,
}

/// The answer to [`UpdateTaskStatus`].
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusChange {
    /// The task.
    pub task_id: TaskId,
    /// Its status now.
    pub status: Word<TaskStatus>,
    /// When the task last changed.
    pub updated_at: Millis,
    /// Whether the status changed.
    pub changed: bool,
}

/// Changes a task's fields. Omitted fields stay as they are (§2.16).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateTask<'a> {
    /// The task.
    pub task_id: &'a TaskId,
    /// The acting agent.
    pub agent_id: &'a AgentId,
    /// The changes.
    #[serde(flatten)]
    pub changes: TaskChanges<'a>,
}

/// The fields that can be changed.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskChanges<'a> {
    /// Up to 2,000 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<&'a str>,
    /// Up to 100,000 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'a str>,
    /// 1 to 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<f64>,
    /// Replaces the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<&'a [String]>,
    /// Replaces the list. No agent is notified (contract D14).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_agent_ids: Option<&'a [AgentId]>,
    /// Replaces the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_user_ids: Option<&'a [UserId]>,
    /// `in_progress`, `review`, `done` or `blocked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<TaskStatus>,
    /// The reason. Counts only with a change to `blocked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked_reason: Option<&'a str>,
    /// The due date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_date: Option<Millis>,
}

/// An answer that names a task and its changes.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskRef {
    /// The task.
    pub task_id: TaskId,
    /// The supplied fields, changed or not. Empty for calls that do not report them.
    #[serde(default)]
    pub changed_fields: Vec<String>,
}

/// Creates a task (§2.17).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateTask<'a> {
    /// The acting agent.
    pub agent_id: &'a AgentId,
    /// Up to 2,000 characters.
    pub title: &'a str,
    /// Up to 100,000 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'a str>,
    /// 1 to 5. The default is 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<f64>,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<&'a [String]>,
    /// The due date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_date: Option<Millis>,
    /// The first status. The default is `inbox`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<TaskStatus>,
    /// The reason. Only with `blocked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked_reason: Option<&'a str>,
    /// The assigned agents. The backend does not remove duplicates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_agent_ids: Option<&'a [AgentId]>,
}

/// Adds agents to a task, as the orchestrator (§2.18).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AssignTask<'a> {
    /// The task.
    pub task_id: &'a TaskId,
    /// The acting agent.
    pub agent_id: &'a AgentId,
    /// The agents to add. No assigned agent is removed.
    pub assigned_agent_ids: &'a [AgentId],
}

/// Archives a task, as the orchestrator (§2.19).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteTask<'a> {
    /// The task.
    pub task_id: &'a TaskId,
    /// The acting agent.
    pub agent_id: &'a AgentId,
    /// Up to 2,000 characters.
    pub reason: &'a str,
}

/// Links a task to a pull request, as the orchestrator (§2.20).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkTaskToPr<'a> {
    /// The acting agent.
    pub agent_id: &'a AgentId,
    /// The task.
    pub task_id: &'a TaskId,
    /// The number of the pull request, which the backend does not check.
    pub pr_number: u32,
}

/// Lists the newest tasks, as the orchestrator (§2.21).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListTasks<'a> {
    /// The acting agent.
    pub agent_id: &'a AgentId,
    /// Only tasks with this status. With an assignee and without a status, old tasks are missed (contract
    /// D20).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<TaskStatus>,
    /// Only tasks of this agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignee_agent_id: Option<&'a AgentId>,
    /// Up to 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Returns one task, as the orchestrator (§2.22).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GetTask<'a> {
    /// The acting agent.
    pub agent_id: &'a AgentId,
    /// The task.
    pub task_id: &'a TaskId,
}

/// Searches tasks by their words, as the orchestrator (§2.24).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SearchTasks<'a> {
    /// The acting agent.
    pub agent_id: &'a AgentId,
    /// The words to search for. Blank text finds nothing.
    pub query: &'a str,
    /// Up to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Returns a task with its thread (§2.25).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadTask<'a> {
    /// The acting agent.
    pub agent_id: &'a AgentId,
    /// The task.
    pub task_id: &'a TaskId,
    /// 1 to 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_limit: Option<u32>,
}

/// The answer to [`LoadTask`].
#[derive(Clone, Debug, Deserialize)]
pub struct LoadedTask {
    /// The task.
    pub task: Task,
    /// Its newest messages, oldest first.
    pub thread: Vec<ThreadItem>,
}

/// Returns a task with its messages and activities (§2.26).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GetTaskHistory<'a> {
    /// The acting agent.
    pub agent_id: &'a AgentId,
    /// The task.
    pub task_id: &'a TaskId,
    /// 1 to 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_limit: Option<u32>,
    /// 0 to 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activity_limit: Option<u32>,
}

/// The answer to [`GetTaskHistory`].
#[derive(Clone, Debug, Deserialize)]
pub struct TaskHistory {
    /// The task.
    pub task: Task,
    /// Oldest first.
    pub messages: Vec<ThreadItem>,
    /// Newest first. Activities of the task itself only.
    pub activities: Vec<Activity>,
    /// The limits that the backend applied.
    #[serde(default)]
    pub meta: HistoryLimits,
}

/// The limits that the backend applied to a history.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryLimits {
    /// For messages.
    #[serde(default, deserialize_with = "number::optional", skip_serializing_if = "Option::is_none")]
    pub message_limit_applied: Option<u32>,
    /// For activities.
    #[serde(default, deserialize_with = "number::optional", skip_serializing_if = "Option::is_none")]
    pub activity_limit_applied: Option<u32>,
}

/// Lists the tasks assigned to an agent, last changed first (§2.30).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListAssignedTasks<'a> {
    /// The agent.
    pub agent_id: &'a AgentId,
    /// Whether to include `done` tasks. Archived and blocked tasks are always included (contract D19).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include_done: Option<bool>,
    /// Up to 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Lists the tasks with these statuses, last changed first (§2.31). Made for the orchestrator's heartbeat;
/// open to all.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListTasksByStatus<'a> {
    /// The statuses.
    pub statuses: &'a [TaskStatus],
    /// Up to 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

requests! {
    UpdateTaskStatus<'_>: UPDATE_TASK_STATUS -> StatusChange;
    UpdateTask<'_>: UPDATE_TASK -> TaskRef;
    CreateTask<'_>: CREATE_TASK -> TaskRef;
    AssignTask<'_>: ASSIGN_TASK -> TaskRef;
    DeleteTask<'_>: DELETE_TASK -> Done;
    LinkTaskToPr<'_>: LINK_TASK_TO_PR -> Done;
    ListTasks<'_>: LIST_TASKS -> Vec<Task>;
    GetTask<'_>: GET_TASK -> Option<Task>;
    SearchTasks<'_>: SEARCH_TASKS -> Vec<TaskHit>;
    LoadTask<'_>: LOAD_TASK -> LoadedTask;
    GetTaskHistory<'_>: GET_TASK_HISTORY -> TaskHistory;
    ListAssignedTasks<'_>: LIST_ASSIGNED_TASKS -> Vec<Task>;
    ListTasksByStatus<'_>: LIST_TASKS_BY_STATUS -> Vec<Task>;
}
