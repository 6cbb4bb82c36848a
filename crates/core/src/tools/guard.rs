//! Decides which caller may make which call, before any effect. One rule needs a reading: a task may be
//! closed only from certain states. The runner of the call therefore reads the task first and calls
//! [`may_close`].

use super::table::{Audience, ToolSpec};
use super::{Caller, ToolError, ToolRequest};
use mcr_model::TaskStatus::{self, Done, Review};
use mcr_model::{BehaviorFlags, Task, TaskId, Word};

/// The backend's words, also used for an agent without the flag.
const NO_CLOSING: &str = "Forbidden: Not allowed to mark tasks as done";

/// Whether the caller's rights allow the row, independent of the subject of the conversation.
pub(super) fn entitled(audience: Audience, caller: &Caller<'_>) -> bool {
    match audience {
        Audience::Everyone | Audience::OnTask | Audience::WritersOrOnTask => true,
        Audience::Modifiers => caller.flags.can_modify_task_status,
        Audience::Creators => caller.flags.can_create_tasks,
        Audience::Writers => caller.flags.can_create_documents,
        Audience::Askers => caller.flags.can_mention_agents,
        Audience::Leader => caller.leads,
    }
}

/// Whether the row makes sense in this conversation.
pub(super) fn in_place(audience: Audience, caller: &Caller<'_>) -> bool {
    match audience {
        Audience::Everyone | Audience::Creators | Audience::Writers | Audience::Leader => true,
        Audience::Modifiers | Audience::Askers | Audience::OnTask => caller.task.is_some(),
        Audience::WritersOrOnTask => caller.flags.can_create_documents || caller.task.is_some(),
    }
}

/// Whether the caller may close the task of the conversation in its present state. Then `done` is among the
/// offered words. The agent's flag, the backend's rule and the task's status must all agree (contract D13).
pub(super) fn can_mark_done(caller: &Caller<'_>) -> bool {
    may_mark_done(caller.task.and_then(|task| task.status.known()), caller.flags, caller.may_close)
}

/// Whether an agent may set a task of this status to done now (P-8). Both the agent's flag and the backend's
/// rule ([`Roster::may_close`]) must allow it; the backend does not know the flag (contract §4.5, D13).
///
/// [`Roster::may_close`]: mcr_model::Roster::may_close
pub fn may_mark_done(status: Option<TaskStatus>, flags: BehaviorFlags, backend_lets: bool) -> bool {
    status == Some(TaskStatus::Review) && flags.can_mark_done && backend_lets
}

/// Whether the caller may make this request, as far as that is known without reading a task.
pub fn rights(request: &ToolRequest, caller: &Caller<'_>) -> Result<(), ToolError> {
    if closes(request).is_some() {
        may_ever_close(caller)?;
    }
    let row = request.row();
    if !entitled(row.audience, caller) {
        return Err(ToolError::forbidden(row.refusal));
    }
    match request {
        ToolRequest::TaskCreate(draft) => {
            if !draft.assignee_slugs.is_empty() && !caller.leads {
                return Err(ToolError::forbidden(
                    "Forbidden: Only the orchestrator can assign agents during task creation",
                ));
            }
            // A task that is created as done was never reviewed.
            if draft.status == Some(Done) && !caller.flags.can_mark_done && !caller.leads {
                return Err(ToolError::forbidden(&format!(
                    "{NO_CLOSING}, so you cannot create a task with status done: omit the status"
                )));
            }
            Ok(())
        }
        ToolRequest::TaskDelete { task_id, .. } if is_the_chat(caller, task_id) => {
            Err(ToolError::forbidden("Forbidden: The orchestrator chat cannot be archived"))
        }
        ToolRequest::TaskUpdate { task_id, changes }
            if changes.labels.is_some() && is_the_chat(caller, task_id) =>
        {
            Err(ToolError::forbidden(
                "Forbidden: The labels of the orchestrator chat cannot be changed: omit labels",
            ))
        }
        _ => Ok(()),
    }
}

/// The task that the request closes, if it closes one.
pub fn closes(request: &ToolRequest) -> Option<&TaskId> {
    match request {
        ToolRequest::TaskStatus { task_id, status: Done, .. } => Some(task_id),
        ToolRequest::TaskUpdate { task_id, changes } if changes.status == Some(Done) => Some(task_id),
        _ => None,
    }
}

/// Whether the caller may close this task in its present state. A task that is done already stays done.
pub fn may_close(caller: &Caller<'_>, now: &Word<TaskStatus>) -> Result<(), ToolError> {
    may_ever_close(caller)?;
    if *now == Review || *now == Done {
        return Ok(());
    }
    Err(ToolError::forbidden(&format!(
        "Forbidden: Task must be in review before marking done (it is {now} now: set it to review and wait \
         for the review)"
    )))
}

fn may_ever_close(caller: &Caller<'_>) -> Result<(), ToolError> {
    if !caller.flags.can_mark_done {
        return Err(ToolError::forbidden(NO_CLOSING));
    }
    if !caller.may_close {
        return Err(ToolError::forbidden(&format!(
            "{NO_CLOSING}: only quality agents may or, if there are none, the orchestrator. Leave the task \
             in review and ask one of them"
        )));
    }
    Ok(())
}

/// The answer to a call of an existing tool that the caller has the right to, but was not offered.
pub(super) fn not_offered(row: &ToolSpec, caller: &Caller<'_>) -> ToolError {
    let why = if in_place(row.audience, caller) {
        "it is not offered in this conversation"
    } else {
        "this conversation has no task"
    };
    ToolError::forbidden(&format!("Forbidden: {} is not available here: {why}", row.name))
}

fn is_the_chat(caller: &Caller<'_>, id: &TaskId) -> bool {
    caller.task.is_some_and(|task: &Task| task.id == *id && task.is_orchestrator_chat())
}
