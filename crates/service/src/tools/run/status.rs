//! Changes the status of a task, and explains a refused change. In production the backend gives no reason, but the
//! task can be read and compared with the workflow.

use serde_json::json;

use super::{Done, ToolRun};
use mcr_clients::convex::{CallError, CallReason};
use mcr_clients::mission::UpdateTaskStatus;
use mcr_core::tools::{ToolError, ToolErrorKind, ToolOutcome, guard};
use mcr_model::TaskStatus::{self, InProgress};
use mcr_model::{Assignees, Task, TaskId, WorkflowError, plan_for_agent, requirement};

impl ToolRun<'_> {
    pub(super) fn set_status(
        &self,
        task_id: &TaskId,
        status: TaskStatus,
        blocked_reason: Option<&str>,
    ) -> Result<Done, ToolError> {
        if status == TaskStatus::Done {
            // Read now: an earlier call of this turn may have moved the task, or it may be another task than the
            // conversation's.
            guard::may_close(self.caller, &self.look(task_id)?.status)?;
        }
        let agent_id = self.caller.agent;
        let request = UpdateTaskStatus { task_id, agent_id, status, blocked_reason, expected_status: None };
        let moved = self.call(&request).map_err(|error| self.why_not(&error, task_id, Some(status)))?;
        // In a repeated call, the first run may have set the status.
        let changed = moved.changed || self.again;
        let words = if changed { "is now" } else { "already was" };
        let outcome = ToolOutcome {
            task_id: Some(task_id.to_string()),
            message: Some(format!("The task {words} {}", moved.status)),
            data: Some(json!({
                "requestedStatus": status, "status": moved.status, "changed": changed,
                "updatedAt": moved.updated_at,
            })),
            ..ToolOutcome::default()
        };
        Ok(Done { may_notify: changed, ..Done::quiet(outcome) })
    }

    /// The refusal, with a reason from the task itself if the backend gives none.
    pub(super) fn why_not(
        &self,
        error: &CallError,
        task_id: &TaskId,
        target: Option<TaskStatus>,
    ) -> ToolError {
        let plain = self.refused(error);
        if error.why != CallReason::Unknown {
            return plain;
        }
        match self.look(task_id) {
            Ok(task) => target
                .and_then(|target| workflow_conflict(&task, target))
                .unwrap_or_else(|| with_sentence(&plain, &format!("The task is {} now", task.status))),
            Err(seen) if matches!(seen.kind, ToolErrorKind::Refused | ToolErrorKind::NotFound) => {
                with_sentence(&plain, "The task could not be read either: check its id")
            }
            Err(_) => plain,
        }
    }
}

/// The error with one more sentence.
pub(super) fn with_sentence(error: &ToolError, more: &str) -> ToolError {
    let message = format!("{}. {more}", error.message.trim_end_matches('.'));
    ToolError {
        field: error.field,
        not_before: error.not_before,
        late: error.late,
        ..ToolError::new(error.kind, &message)
    }
}

/// The error if the workflow does not allow the change (contract §4).
fn workflow_conflict(task: &Task, target: TaskStatus) -> Option<ToolError> {
    let now = task.status.known()?;
    let steps = match plan_for_agent(now, target) {
        Ok(steps) => steps,
        Err(reason) => {
            let kind = match reason {
                WorkflowError::NotInReview => ToolErrorKind::Forbidden,
                WorkflowError::NotForAgents | WorkflowError::NoPath(..) => ToolErrorKind::Conflict,
            };
            return Some(ToolError::new(kind, &reason.to_string()));
        }
    };
    let somebody = !task.assigned_agent_ids.is_empty() || !task.assigned_user_ids.is_empty();
    let assignees = if somebody { Assignees::Some } else { Assignees::None };
    let wanting = steps.contains(&InProgress).then(|| requirement(InProgress, assignees, ""))??;
    Some(ToolError::new(ToolErrorKind::Conflict, &format!("Invalid status change: {wanting}")))
}
