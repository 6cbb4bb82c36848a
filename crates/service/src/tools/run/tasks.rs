//! Creates tasks, changes their fields and assigns agents.

use serde::Serialize;
use serde_json::json;

use super::status::with_sentence;
use super::{Done, ToolRun};
use mcr_clients::convex::CallClass;
use mcr_clients::mission::{AssignTask, CreateTask, TaskChanges, UpdateTask};
use mcr_core::tools::{Changes, Draft, ToolError, ToolOutcome, guard};
use mcr_model::TaskStatus::{self, Assigned, InProgress, Inbox};
use mcr_model::{AgentId, Task, TaskId};

/// The initial status of a task: the requested one, except for the orchestrator. The orchestrator does not work on
/// tasks itself, but the backend would assign it to a task in `assigned` or `in_progress` (§6.2). Once agents are
/// assigned, the task becomes `assigned`.
fn beginning(asked: Option<TaskStatus>, leads: bool) -> Option<TaskStatus> {
    match asked {
        Some(Assigned | InProgress) if leads => Some(Inbox),
        other => other,
    }
}

/// The result of a new task.
pub(super) fn created_task(id: &TaskId, named: &[AgentId], agents: &[AgentId]) -> Done {
    let message = (agents.len() < named.len())
        .then(|| "You were not assigned: the orchestrator only assigns other agents".to_owned());
    let outcome = ToolOutcome { task_id: Some(id.to_string()), message, ..ToolOutcome::default() };
    Done { made: vec![id.to_string()], ..Done::notifying(outcome) }
}

/// The result of an assignment.
pub(super) fn assigned(id: &TaskId) -> Done {
    Done::notifying(ToolOutcome { task_id: Some(id.to_string()), ..ToolOutcome::default() })
}

impl ToolRun<'_> {
    /// The list without the orchestrator, if the orchestrator is the caller (§6.4).
    pub(super) fn without_leader(&self, ids: Vec<AgentId>) -> Vec<AgentId> {
        ids.into_iter().filter(|id| !(self.caller.leads && id == self.caller.agent)).collect()
    }

    pub(super) fn create(&self, draft: &Draft) -> Result<Done, ToolError> {
        let named = self.assignees(&draft.assignee_slugs)?;
        let agents = self.without_leader(named.clone());
        let status = beginning(draft.status, self.caller.leads);
        let request = CreateTask {
            agent_id: self.caller.agent,
            title: &draft.title,
            description: draft.description.as_deref(),
            priority: draft.priority,
            labels: (!draft.labels.is_empty()).then_some(&draft.labels),
            due_date: draft.due_date,
            status,
            blocked_reason: draft.blocked_reason.as_deref(),
            assigned_agent_ids: (!agents.is_empty()).then_some(&agents),
        };
        let created = self.ask(&request)?;
        let itself = agents.is_empty() && matches!(status, Some(Assigned | InProgress));
        Ok(Done {
            may_notify: itself || !agents.is_empty(),
            ..created_task(&created.task_id, &named, &agents)
        })
    }

    pub(super) fn assign(&self, task_id: &TaskId, slugs: &[String]) -> Result<Done, ToolError> {
        let agents = self.without_leader(self.assignees(slugs)?);
        if agents.is_empty() {
            let words = "No agent is left to assign: the orchestrator cannot be assigned. Name other agents";
            return Err(ToolError::invalid("assigneeSlugs", words));
        }
        self.ask(&AssignTask { task_id, agent_id: self.caller.agent, assigned_agent_ids: &agents })?;
        Ok(assigned(task_id))
    }

    /// Changes fields. The backend does not notify agents that an update adds to a task (contract D14). A later
    /// assignment does not notify them either. So for the orchestrator, new agents are assigned first.
    pub(super) fn update(&self, task_id: &TaskId, changes: &Changes) -> Result<Done, ToolError> {
        let agents = changes.assigned_agent_ids.as_deref().map(|ids| self.new_assignees(ids)).transpose()?;
        let closes = changes.status == Some(TaskStatus::Done);
        let tells = self.caller.leads && agents.as_ref().is_some_and(|agents| !agents.is_empty());
        let before = (closes || tells).then(|| self.look(task_id)).transpose()?;
        if let (true, Some(task)) = (closes, &before) {
            guard::may_close(self.caller, &task.status)?;
        }
        let notified = match (tells, &before, &agents) {
            (true, Some(task), Some(agents)) => self.assign_new(task, agents)?,
            _ => 0,
        };
        let request = UpdateTask {
            task_id,
            agent_id: self.caller.agent,
            changes: TaskChanges {
                title: changes.title.as_deref(),
                description: changes.description.as_deref(),
                priority: changes.priority,
                labels: changes.labels.as_deref(),
                assigned_agent_ids: agents.as_deref(),
                assigned_user_ids: changes.assigned_user_ids.as_deref(),
                status: changes.status,
                blocked_reason: changes.blocked_reason.as_deref(),
                due_date: changes.due_date,
            },
        };
        let updated = self.call(&request).map_err(|error| {
            let plain = self.why_not(&error, task_id, changes.status);
            // If the backend cannot be asked, the task cannot be read either.
            let moved = changes.status.is_some() && error.class != CallClass::Transient;
            let plain = if moved { self.with_where_it_stands(&plain, task_id) } else { plain };
            match notified {
                0 => plain,
                _ => with_sentence(&plain, "The new agents were assigned and notified anyway"),
            }
        })?;
        let left_inbox = notified > 0 && before.is_some_and(|task| task.status == Inbox);
        let puts_agents = agents.is_some_and(|agents| !agents.is_empty());
        Ok(self.updated(task_id, &updated.changed_fields, puts_agents, left_inbox))
    }

    /// The result of an update.
    pub(super) fn updated(
        &self,
        task_id: &TaskId,
        changed: &[impl AsRef<str> + Serialize],
        puts_agents: bool,
        left_inbox: bool,
    ) -> Done {
        let mut message = if changed.is_empty() {
            "Nothing changed.".to_owned()
        } else {
            let names: Vec<&str> = changed.iter().map(AsRef::as_ref).collect();
            format!("Modified: {}.", names.join(", "))
        };
        if puts_agents && !self.caller.leads {
            message.push_str(if self.caller.flags.can_mention_agents {
                " This tool does not notify new assignees: use response_request."
            } else {
                " This tool does not notify new assignees: ask the orchestrator to notify them."
            });
        } else if left_inbox {
            message.push_str(" The task left the inbox because agents were assigned.");
        }
        let outcome = ToolOutcome {
            task_id: Some(task_id.to_string()),
            message: Some(message),
            data: Some(json!({"changedFields": changed})),
            ..ToolOutcome::default()
        };
        Done::notifying(outcome)
    }

    /// Assigns the agents that are not on the task yet; returns how many.
    fn assign_new(&self, task: &Task, agents: &[AgentId]) -> Result<usize, ToolError> {
        let new = |id: &&AgentId| !task.assigned_agent_ids.contains(id) && *id != self.caller.agent;
        let added: Vec<AgentId> = agents.iter().filter(new).cloned().collect();
        if !added.is_empty() {
            let agent_id = self.caller.agent;
            self.ask(&AssignTask { task_id: &task.id, agent_id, assigned_agent_ids: &added })?;
            self.may_notify.set(true);
        }
        Ok(added.len())
    }

    /// Adds the task's status to the error: an update has several steps, and the first may have happened (contract
    /// D27).
    fn with_where_it_stands(&self, error: &ToolError, task_id: &TaskId) -> ToolError {
        let Ok(task) = self.look(task_id) else { return error.clone() };
        with_sentence(
            error,
            &format!("Part of the change may have happened: the task is {} now", task.status),
        )
    }
}
