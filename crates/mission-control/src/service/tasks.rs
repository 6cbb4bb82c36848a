//! Agents create, assign, archive and link tasks (backend-contract §2.17–2.20).

use serde::Deserialize;
use serde_json::json;

use super::task_status::check_reason;
use crate::Refusal;
use crate::answer::ensure;
use crate::call::{Answer, Call};
use crate::function::{ACCOUNT, Function, TOKEN, done};
use crate::number;
use crate::rows::{Agent, Task, TaskMetadata};
use crate::rules::activity::{self, Actor, Target};
use crate::rules::follow::{self, Party};
use crate::rules::status::{self, STATUS};
use crate::rules::{assignees, fields, flags, notify, reach};
use crate::store::{Doc, Id, Table};
use crate::validate::{Is, may, need};
use mcr_model::{Assignees, TaskStatus, limits, requirement};

pub(crate) const FUNCTIONS: &[Function] = &[
    Function::service_write(
        "service/actions:createTaskFromAgent",
        &[
            ACCOUNT,
            TOKEN,
            need("agentId", Is::Id(Table::Agents)),
            need("title", Is::Text),
            may("description", Is::Text),
            may("priority", Is::Number),
            may("labels", Is::List(&Is::Text)),
            may("dueDate", Is::Number),
            may("status", STATUS),
            may("blockedReason", Is::Text),
            may("assignedAgentIds", Is::List(&Is::Id(Table::Agents))),
        ],
        create,
    ),
    Function::service_write(
        "service/actions:assignTaskFromAgent",
        &[
            ACCOUNT,
            TOKEN,
            need("taskId", Is::Id(Table::Tasks)),
            need("agentId", Is::Id(Table::Agents)),
            need("assignedAgentIds", Is::List(&Is::Id(Table::Agents))),
        ],
        assign,
    ),
    Function::service_write(
        "service/actions:deleteTaskFromAgent",
        &[
            ACCOUNT,
            TOKEN,
            need("taskId", Is::Id(Table::Tasks)),
            need("agentId", Is::Id(Table::Agents)),
            need("reason", Is::Text),
        ],
        delete,
    ),
    Function::service_write(
        "service/actions:linkTaskToPrForAgentTool",
        &[
            ACCOUNT,
            TOKEN,
            need("agentId", Is::Id(Table::Agents)),
            need("taskId", Is::Id(Table::Tasks)),
            need("prNumber", Is::Number),
        ],
        link,
    ),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServiceCreateArgs {
    agent_id: Id<Agent>,
    title: String,
    description: Option<String>,
    #[serde(default, deserialize_with = "number::finite")]
    priority: Option<f64>,
    #[serde(default)]
    labels: Vec<String>,
    #[serde(default, deserialize_with = "number::finite")]
    due_date: Option<f64>,
    #[serde(default, deserialize_with = "status::deserialize_optional")]
    status: Option<TaskStatus>,
    blocked_reason: Option<String>,
    #[serde(default)]
    assigned_agent_ids: Vec<Id<Agent>>,
}

/// §2.17. Like the original, it accepts any status, any priority and duplicate agents (D26).
fn create(call: &Call<'_>) -> Answer {
    let args: ServiceCreateArgs = call.args()?;
    check_reason(args.blocked_reason.as_deref())?;
    let creator = reach::agent(call, &args.agent_id)?;
    ensure!(
        flags::allows(&call.account.row, &creator.row, "canCreateTasks"),
        "Forbidden: Agent is not allowed to create tasks"
    );
    fields::check_lengths(Some(&args.title), args.description.as_deref())?;
    fields::check_labels(args.labels.iter().map(String::as_str))?;
    assignees::check_agents(call, &args.assigned_agent_ids, "")?;

    let mut assigned = args.assigned_agent_ids;
    let status = match args.status.unwrap_or(TaskStatus::Inbox) {
        TaskStatus::Inbox if !assigned.is_empty() => TaskStatus::Assigned,
        requested => requested,
    };
    if matches!(status, TaskStatus::Assigned | TaskStatus::InProgress) && assigned.is_empty() {
        assigned.push(creator.id.clone());
    }
    let somebody = if assigned.is_empty() { Assignees::None } else { Assignees::Some };
    if let Some(unmet) = requirement(status, somebody, args.blocked_reason.as_deref().unwrap_or_default()) {
        return Err(Refusal::thrown(format!("Invalid status at creation: {unmet}")));
    }

    let task = call.tx.insert(Task {
        account_id: call.account_id().clone(),
        title: args.title,
        description: args.description,
        status: status.as_str().to_owned(),
        priority: args.priority.unwrap_or(fields::DEFAULT_PRIORITY),
        assigned_agent_ids: assigned,
        labels: args.labels,
        due_date: args.due_date,
        blocked_reason: args.blocked_reason.filter(|_| status == TaskStatus::Blocked),
        created_by: creator.id.to_string(),
        created_at: call.now(),
        updated_at: call.now(),
        ..Task::default()
    })?;
    record(call, &creator, &task, "task_created", None)?;
    follow::ensure_orchestrator(call.tx, &call.account, &task)?;
    for id in &task.row.assigned_agent_ids {
        let party = Party::agent(id.as_str());
        follow::add(call.tx, &task, &party)?;
        notify::assignment(call.tx, &call.account, &task, &party, &creator.row.name)?;
    }
    Ok(json!({"taskId": task.id}))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServiceAssignArgs {
    task_id: Id<Task>,
    agent_id: Id<Agent>,
    assigned_agent_ids: Vec<Id<Agent>>,
}

/// §2.18. Only adds assignees. A task from the inbox starts immediately.
fn assign(call: &Call<'_>) -> Answer {
    let args: ServiceAssignArgs = call.args()?;
    let agent = reach::agent(call, &args.agent_id)?;
    reach::be_orchestrator(call, &agent, "assign agents")?;
    let mut task = reach::task(call, &args.task_id)?;
    let before = &task.row.assigned_agent_ids;
    let mut union: Vec<Id<Agent>> = Vec::new();
    for id in before.iter().chain(&args.assigned_agent_ids) {
        if !union.contains(id) {
            union.push(id.clone());
        }
    }
    // As in the original, a removed agent that is still an assignee blocks every further assignment.
    assignees::check_agents(call, &union, "")?;
    let added: Vec<Id<Agent>> = union.iter().filter(|id| !before.contains(id)).cloned().collect();

    let from = status::of(&task)?;
    let to = match from {
        TaskStatus::Inbox if !union.is_empty() => TaskStatus::InProgress,
        TaskStatus::Inbox if !task.row.assigned_user_ids.is_empty() => TaskStatus::Assigned,
        unmoved => unmoved,
    };
    task.row.assigned_agent_ids = union;
    to.as_str().clone_into(&mut task.row.status);
    task.row.updated_at = call.now();
    call.tx.put(&task)?;
    for id in &added {
        let party = Party::agent(id.as_str());
        notify::assignment(call.tx, &call.account, &task, &party, &agent.row.name)?;
        follow::add(call.tx, &task, &party)?;
    }
    follow::ensure_orchestrator(call.tx, &call.account, &task)?;
    record(call, &agent, &task, "task_updated", Some(json!({"assignedAgentIds": added})))?;
    if to != from {
        let meta = json!({"oldStatus": from, "newStatus": to, "reason": "auto_assignment"});
        record(call, &agent, &task, "task_status_changed", Some(meta))?;
    }
    Ok(json!({"taskId": task.id}))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeleteArgs {
    task_id: Id<Task>,
    agent_id: Id<Agent>,
    reason: String,
}

/// §2.19: archives the task from any status. No data is deleted.
fn delete(call: &Call<'_>) -> Answer {
    let args: DeleteArgs = call.args()?;
    let agent = reach::agent(call, &args.agent_id)?;
    reach::be_orchestrator(call, &agent, "archive/delete tasks")?;
    let fits = limits::chars(&args.reason) <= limits::REASON_CHARS;
    ensure!(fits, "reason must be at most 2000 characters");
    let mut task = reach::task(call, &args.task_id)?;
    let from = status::of(&task)?;
    task.row.archived_at = Some(call.now());
    status::set(call, &mut task, TaskStatus::Archived)?;
    let meta = json!({
        "oldStatus": from, "newStatus": "archived", "reason": args.reason, "action": "task_deleted",
    });
    record(call, &agent, &task, "task_status_changed", Some(meta))?;
    done()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LinkArgs {
    agent_id: Id<Agent>,
    task_id: Id<Task>,
    #[serde(deserialize_with = "number::finite")]
    pr_number: Option<f64>,
}

/// §2.20, without the pull request itself: the embedded backend makes no requests to other services.
fn link(call: &Call<'_>) -> Answer {
    let args: LinkArgs = call.args()?;
    let agent = reach::agent(call, &args.agent_id)?;
    reach::be_orchestrator(call, &agent, "link tasks to PRs")?;
    let mut task = reach::task(call, &args.task_id)?;
    task.row.metadata = Some(TaskMetadata { pr_number: args.pr_number });
    task.row.updated_at = call.now();
    call.tx.put(&task)?;
    done()
}

fn record(
    call: &Call<'_>,
    agent: &Doc<Agent>,
    task: &Doc<Task>,
    kind: &str,
    meta: Option<serde_json::Value>,
) -> Result<(), Refusal> {
    let (actor, target) = (Actor::agent(agent), Target::task(task));
    activity::record(call.tx, call.account_id(), kind, &actor, &target, meta)?;
    Ok(())
}
