//! Tasks: changing them and finding them (backend-contract §2.15–2.22, §2.24–2.26, §2.30, §2.31).

use serde::{Deserialize, Serialize};

use super::{Done, requests};
use mcr_model::clock::Millis;
use mcr_model::{Activity, AgentId, Task, TaskHit, TaskId, TaskStatus, ThreadItem, UserId, Word, number};

/// Moves a task on, by several steps if need be (§2.15).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateTaskStatus<'a> {
    /// Which.
    pub task_id: &'a TaskId,
    /// Who.
    pub agent_id: &'a AgentId,
    /// `in_progress`, `review`, `done` or `blocked`.
    pub status: TaskStatus,
    /// Why; with `blocked` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked_reason: Option<&'a str>,
    /// Only if it stands there now; otherwise nothing changes, and that is no error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_status: Option<TaskStatus>,
}

/// What became of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusChange {
    /// Which.
    pub task_id: TaskId,
    /// Where it stands now.
    pub status: Word<TaskStatus>,
    /// When it last changed.
    pub updated_at: Millis,
    /// Whether it moved.
    pub changed: bool,
}

/// Changes a task's fields; those left out stay (§2.16).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateTask<'a> {
    /// Which.
    pub task_id: &'a TaskId,
    /// Who.
    pub agent_id: &'a AgentId,
    /// The changes.
    #[serde(flatten)]
    pub changes: TaskChanges<'a>,
}

/// What may be changed.
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
    /// The new list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<&'a [String]>,
    /// The new list; nobody is told (contract D14).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_agent_ids: Option<&'a [AgentId]>,
    /// The new list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_user_ids: Option<&'a [UserId]>,
    /// `in_progress`, `review`, `done` or `blocked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<TaskStatus>,
    /// Why; counts only when moving into `blocked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked_reason: Option<&'a str>,
    /// When it should be finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_date: Option<Millis>,
}

/// Answers that name a task and what changed.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskRef {
    /// Which.
    pub task_id: TaskId,
    /// The fields that were supplied, changed or not; empty for calls that do not say.
    #[serde(default)]
    pub changed_fields: Vec<String>,
}

/// Creates a task (§2.17).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateTask<'a> {
    /// Who.
    pub agent_id: &'a AgentId,
    /// Up to 2,000 characters.
    pub title: &'a str,
    /// Up to 100,000 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'a str>,
    /// 1 to 5; 3 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<f64>,
    /// Free.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<&'a [String]>,
    /// When it should be finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_date: Option<Millis>,
    /// Where it begins; `inbox` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<TaskStatus>,
    /// Why; with `blocked` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked_reason: Option<&'a str>,
    /// Who is on it; the backend does not drop doubles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_agent_ids: Option<&'a [AgentId]>,
}

/// Adds agents to a task, as the orchestrator (§2.18).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AssignTask<'a> {
    /// Which.
    pub task_id: &'a TaskId,
    /// Who assigns.
    pub agent_id: &'a AgentId,
    /// Who comes to it; nobody is removed.
    pub assigned_agent_ids: &'a [AgentId],
}

/// Archives a task, as the orchestrator (§2.19).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteTask<'a> {
    /// Which.
    pub task_id: &'a TaskId,
    /// Who.
    pub agent_id: &'a AgentId,
    /// Up to 2,000 characters.
    pub reason: &'a str,
}

/// Ties a task to a pull request, as the orchestrator (§2.20).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkTaskToPr<'a> {
    /// Who.
    pub agent_id: &'a AgentId,
    /// Which.
    pub task_id: &'a TaskId,
    /// To which; not checked by the backend.
    pub pr_number: u32,
}

/// The newest tasks, as the orchestrator (§2.21).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListTasks<'a> {
    /// Who asks.
    pub agent_id: &'a AgentId,
    /// Only these. With an assignee and without a status old tasks are missed (contract D20).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<TaskStatus>,
    /// Only those of this agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignee_agent_id: Option<&'a AgentId>,
    /// Up to 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// One task, as the orchestrator (§2.22).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GetTask<'a> {
    /// Who asks.
    pub agent_id: &'a AgentId,
    /// Which.
    pub task_id: &'a TaskId,
}

/// Tasks by their words, as the orchestrator (§2.24).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SearchTasks<'a> {
    /// Who asks.
    pub agent_id: &'a AgentId,
    /// What to look for; blank finds nothing.
    pub query: &'a str,
    /// Up to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// A task with its thread (§2.25).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadTask<'a> {
    /// Who asks.
    pub agent_id: &'a AgentId,
    /// Which.
    pub task_id: &'a TaskId,
    /// 1 to 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_limit: Option<u32>,
}

/// A task with its thread.
#[derive(Clone, Debug, Deserialize)]
pub struct LoadedTask {
    /// The task.
    pub task: Task,
    /// Its newest messages, oldest first.
    pub thread: Vec<ThreadItem>,
}

/// A task with all that happened to it (§2.26).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GetTaskHistory<'a> {
    /// Who asks.
    pub agent_id: &'a AgentId,
    /// Which.
    pub task_id: &'a TaskId,
    /// 1 to 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_limit: Option<u32>,
    /// 0 to 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activity_limit: Option<u32>,
}

/// A task with all that happened to it.
#[derive(Clone, Debug, Deserialize)]
pub struct TaskHistory {
    /// The task.
    pub task: Task,
    /// Oldest first.
    pub messages: Vec<ThreadItem>,
    /// Newest first; of the task itself only.
    pub activities: Vec<Activity>,
    /// How much was looked for.
    #[serde(default)]
    pub meta: HistoryLimits,
}

/// How much of a history was looked for.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryLimits {
    /// Messages.
    #[serde(default, deserialize_with = "number::optional", skip_serializing_if = "Option::is_none")]
    pub message_limit_applied: Option<u32>,
    /// Activities.
    #[serde(default, deserialize_with = "number::optional", skip_serializing_if = "Option::is_none")]
    pub activity_limit_applied: Option<u32>,
}

/// The tasks an agent is on, last changed first (§2.30).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListAssignedTasks<'a> {
    /// Whose.
    pub agent_id: &'a AgentId,
    /// Whether `done` ones, too; archived and blocked ones are always there (contract D19).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include_done: Option<bool>,
    /// Up to 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// The tasks that stand somewhere, last changed first (§2.31). Made for the orchestrator's heartbeat; open to all.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListTasksByStatus<'a> {
    /// Where.
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
