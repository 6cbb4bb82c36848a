//! Agents change tasks (backend-contract §2.15, §2.16).
//!
//! The original runs each step of a path, and the fields, in separate transactions. So a refused call can leave half
//! of a change (contract D27). Here a call is one transaction. The order of the parts is the same, because it decides
//! which error is returned.

use serde::Deserialize;
use serde_json::json;

use crate::Refusal;
use crate::answer::ensure;
use crate::call::{Answer, Call};
use crate::function::{ACCOUNT, Function, TOKEN};
use crate::number;
use crate::rows::{Agent, Task};
use crate::rules::activity::{self, Actor, Target};
use crate::rules::fields::{self, Due, TaskChanges};
use crate::rules::follow::Party;
use crate::rules::status::{self, STATUS};
use crate::rules::{assignees, flags, reach};
use crate::store::{Doc, Id, Table};
use crate::validate::{Is, may, need};
use mcr_model::{Assignees, TaskStatus, limits, plan_for_agent};

pub(crate) const FUNCTIONS: &[Function] = &[
    Function::service_write(
        "service/actions:updateTaskStatusFromAgent",
        &[
            ACCOUNT,
            TOKEN,
            need("taskId", Is::Id(Table::Tasks)),
            need("agentId", Is::Id(Table::Agents)),
            need("status", STATUS),
            may("blockedReason", Is::Text),
            may("expectedStatus", STATUS),
        ],
        update_status,
    ),
    Function::service_write(
        "service/actions:updateTaskFromAgent",
        &[
            ACCOUNT,
            TOKEN,
            need("taskId", Is::Id(Table::Tasks)),
            need("agentId", Is::Id(Table::Agents)),
            may("title", Is::Text),
            may("description", Is::Text),
            may("priority", Is::Number),
            may("labels", Is::List(&Is::Text)),
            may("assignedAgentIds", Is::List(&Is::Id(Table::Agents))),
            may("assignedUserIds", Is::List(&Is::Text)),
            may("status", STATUS),
            may("blockedReason", Is::Text),
            may("dueDate", Is::Number),
        ],
        update,
    ),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServiceStatusArgs {
    task_id: Id<Task>,
    agent_id: Id<Agent>,
    #[serde(deserialize_with = "status::deserialize")]
    status: TaskStatus,
    blocked_reason: Option<String>,
    #[serde(default, deserialize_with = "status::deserialize_optional")]
    expected_status: Option<TaskStatus>,
}

/// §2.15.
fn update_status(call: &Call<'_>) -> Answer {
    let args: ServiceStatusArgs = call.args()?;
    check_target(args.status)?;
    let agent = reach::agent(call, &args.agent_id)?;
    ensure!(
        flags::allows(&call.account.row, &agent.row, "canModifyTaskStatus"),
        "Forbidden: Agent is not allowed to modify task status"
    );
    let mut task = reach::task(call, &args.task_id)?;
    let current = status::of(&task)?;
    let changed = if args.expected_status.is_some_and(|expected| expected != current) {
        false
    } else {
        status::drive(call, &agent, &mut task, args.status, args.blocked_reason.as_deref())?
    };
    Ok(json!({
        "success": true,
        "taskId": task.id,
        "requestedStatus": args.status,
        "status": task.row.status,
        "updatedAt": task.row.updated_at,
        "changed": changed,
    }))
}

/// Agents can request four of the seven statuses. The planner supplies the error.
fn check_target(to: TaskStatus) -> Result<(), Refusal> {
    plan_for_agent(to, to).map(|_| ()).map_err(|why| Refusal::thrown(why.to_string()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServiceUpdateArgs {
    task_id: Id<Task>,
    agent_id: Id<Agent>,
    title: Option<String>,
    description: Option<String>,
    #[serde(default, deserialize_with = "number::optional")]
    priority: Option<f64>,
    labels: Option<Vec<String>>,
    assigned_agent_ids: Option<Vec<Id<Agent>>>,
    assigned_user_ids: Option<Vec<String>>,
    #[serde(default, deserialize_with = "status::deserialize_optional")]
    status: Option<TaskStatus>,
    blocked_reason: Option<String>,
    #[serde(default, deserialize_with = "number::finite")]
    due_date: Option<f64>,
}

/// §2.16.
fn update(call: &Call<'_>) -> Answer {
    let args: ServiceUpdateArgs = call.args()?;
    let reason = args.blocked_reason;
    check_reason(reason.as_deref())?;
    let agent = reach::agent(call, &args.agent_id)?;
    ensure!(
        flags::allows(&call.account.row, &agent.row, "canModifyTaskStatus"),
        "Forbidden: Agent is not allowed to modify tasks"
    );
    fields::check_lengths(args.title.as_deref(), args.description.as_deref())?;
    let mut task = reach::task(call, &args.task_id)?;
    let changes = TaskChanges {
        title: args.title,
        description: args.description,
        priority: args.priority,
        labels: args.labels,
        agents: args.assigned_agent_ids,
        users: args.assigned_user_ids,
        due: args.due_date.map(Due::On),
    };
    fields::check_priority(changes.priority)?;
    if let Some(to) = args.status {
        check_target(to)?;
        let explained = reason.as_deref().is_some_and(|reason| !reason.trim().is_empty());
        ensure!(to != TaskStatus::Blocked || explained, "blockedReason is required when status is 'blocked'");
    }

    let mut changed_fields = changes.names();
    // A task that starts needs its assignees first.
    let starts = args.status == Some(TaskStatus::InProgress) && status::of(&task)? != TaskStatus::InProgress;
    let fields_first = changes.assigns() && starts;
    let mut changes = Some(changes);
    if fields_first {
        changes.take().map_or(Ok(()), |first| set_fields(call, &agent, &mut task, first))?;
    }
    let status_changed = match args.status {
        Some(to) => status::drive(call, &agent, &mut task, to, reason.as_deref())?,
        None => false,
    };
    changes.map_or(Ok(()), |then| set_fields(call, &agent, &mut task, then))?;
    if status_changed {
        changed_fields.push("status");
    }
    Ok(json!({"taskId": task.id, "changedFields": changed_fields}))
}

/// Changes the fields. The original does not notify agents that become assignees. Here they are notified (contract
/// D14), except the agent that made the change.
fn set_fields(
    call: &Call<'_>,
    agent: &Doc<Agent>,
    task: &mut Doc<Task>,
    changes: TaskChanges,
) -> Result<(), Refusal> {
    let names = changes.names();
    if names.is_empty() {
        return Ok(());
    }
    let mut added = changes.apply(call, task)?;
    let status = &task.row.status;
    let needs_assignee = matches!(status::of(task)?, TaskStatus::Assigned | TaskStatus::InProgress);
    ensure!(
        !needs_assignee || assignees::any(&task.row) == Assignees::Some,
        "Invalid assignees: status '{status}' requires at least one assignee"
    );
    if !call.options.original {
        added.retain(|party| *party != Party::agent(agent.id.as_str()));
        assignees::notify_added(call, task, &added, &agent.row.name)?;
    }
    activity::record(
        call.tx,
        call.account_id(),
        "task_updated",
        &Actor::agent(agent),
        &Target::task(task),
        Some(json!({"changedFields": names})),
    )?;
    Ok(())
}

/// Refuses a blocked reason that is too long.
pub(super) fn check_reason(reason: Option<&str>) -> Result<(), Refusal> {
    let fits = reason.is_none_or(|reason| limits::chars(reason) <= limits::REASON_CHARS);
    ensure!(fits, "blockedReason must be at most 2000 characters");
    Ok(())
}
