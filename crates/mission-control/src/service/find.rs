//! Agents list, read and search tasks (backend-contract §2.21, §2.22, §2.24–2.26, §2.30, §2.31).

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::call::{Answer, Call, value};
use crate::function::{ACCOUNT, Function, TOKEN};
use crate::number;
use crate::rows::{Activity, Agent, Task};
use crate::rules::limit::{at_most, clamp, slice, take};
use crate::rules::status::STATUS;
use crate::rules::{reach, thread};
use crate::store::{Doc, HAPPENED_TO, Id, StoreError, TASKS, TASKS_BY_STATUS, Table};
use crate::validate::{Arg, Is, may, need};
use mcr_model::TaskStatus;

const AGENT: Arg = need("agentId", Is::Id(Table::Agents));
const TASK: Arg = need("taskId", Is::Id(Table::Tasks));
const LIMIT: Arg = may("limit", Is::Number);

pub(crate) const FUNCTIONS: &[Function] = &[
    Function::service_read(
        "service/actions:listTasksForAgentTool",
        &[ACCOUNT, TOKEN, AGENT, may("status", STATUS), may("assigneeAgentId", Is::Id(Table::Agents)), LIMIT],
        list,
    ),
    Function::service_read("service/actions:getTaskForAgentTool", &[ACCOUNT, TOKEN, AGENT, TASK], get),
    Function::service_read(
        "service/actions:searchTasksForAgentTool",
        &[ACCOUNT, TOKEN, AGENT, need("query", Is::Text), LIMIT],
        search,
    ),
    Function::service_read(
        "service/actions:loadTaskDetailsForAgentTool",
        &[ACCOUNT, TOKEN, AGENT, TASK, may("messageLimit", Is::Number)],
        load,
    ),
    Function::service_read(
        "service/actions:getTaskHistoryForAgentTool",
        &[ACCOUNT, TOKEN, AGENT, TASK, may("messageLimit", Is::Number), may("activityLimit", Is::Number)],
        history,
    ),
    Function::service_read(
        "service/actions:listAssignedTasksForAgent",
        &[ACCOUNT, TOKEN, AGENT, may("includeDone", Is::Bool), LIMIT],
        assigned,
    ),
    Function::service_read(
        "service/actions:listTasksForOrchestratorHeartbeat",
        &[ACCOUNT, TOKEN, need("statuses", Is::List(&STATUS)), LIMIT],
        for_heartbeat,
    ),
];

/// The maximum number of tasks that a list reads or returns.
const MAX_ROWS: f64 = 200.0;

/// The arguments of a call for one task with part of its history.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TaskLookupArgs {
    agent_id: Id<Agent>,
    task_id: Id<Task>,
    #[serde(default, deserialize_with = "number::optional")]
    message_limit: Option<f64>,
    #[serde(default, deserialize_with = "number::optional")]
    activity_limit: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListTasksArgs {
    agent_id: Id<Agent>,
    status: Option<String>,
    assignee_agent_id: Option<Id<Agent>>,
    #[serde(default, deserialize_with = "number::optional")]
    limit: Option<f64>,
}

/// §2.21.
fn list(call: &Call<'_>) -> Answer {
    let args: ListTasksArgs = call.args()?;
    let agent = reach::agent(call, &args.agent_id)?;
    reach::be_orchestrator(call, &agent, "list tasks")?;
    let limit = at_most(args.limit.unwrap_or(50.0), MAX_ROWS);
    let matches_assignee = |task: &Doc<Task>| {
        args.assignee_agent_id.as_ref().is_none_or(|id| task.row.assigned_agent_ids.contains(id))
    };
    let mut tasks = if args.assignee_agent_id.is_some() && args.status.is_none() {
        // The original reads only the newest 29 tasks of each status (contract D20).
        let seen = call.options.original.then_some(29);
        let mut tasks = Vec::new();
        for status in TaskStatus::ALL {
            tasks.extend(newest(call, Some(status.as_str()), seen)?);
        }
        last_changed_first(&mut tasks);
        tasks
    } else {
        let read = take(at_most(limit * 10.0, MAX_ROWS))?;
        // The original also limits the rows before it filters by assignee (D20).
        let all = args.assignee_agent_id.is_some() && !call.options.original;
        newest(call, args.status.as_deref(), (!all).then_some(read))?
    };
    tasks.retain(matches_assignee);
    value(&slice(tasks, limit))
}

/// The account's newest tasks, or the newest of one status.
fn newest(call: &Call<'_>, status: Option<&str>, max: Option<usize>) -> Result<Vec<Doc<Task>>, StoreError> {
    let account = Some(call.account_id().as_str());
    let found = match status {
        Some(status) => call.tx.find(TASKS_BY_STATUS, &[account, Some(status)]),
        None => call.tx.find(TASKS, &[account]),
    };
    let found = found.newest_first();
    match max {
        Some(max) => found.limit(max).rows(),
        None => found.rows(),
    }
}

/// The sort is stable, like JavaScript's.
fn last_changed_first(tasks: &mut [Doc<Task>]) {
    tasks.sort_by(|one, other| other.row.updated_at.total_cmp(&one.row.updated_at));
}

/// §2.22.
fn get(call: &Call<'_>) -> Answer {
    let args: TaskLookupArgs = call.args()?;
    let agent = reach::agent(call, &args.agent_id)?;
    reach::be_orchestrator(call, &agent, "get tasks")?;
    value(&reach::own_task(call, &args.task_id)?)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SearchArgs {
    agent_id: Id<Agent>,
    query: String,
    #[serde(default, deserialize_with = "number::optional")]
    limit: Option<f64>,
}

/// A search result.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Hit {
    #[serde(rename = "_id")]
    id: Id<Task>,
    title: String,
    status: String,
    priority: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    blocked_reason: Option<String>,
    assigned_agent_ids: Vec<Id<Agent>>,
    assigned_user_ids: Vec<String>,
    created_at: f64,
    updated_at: f64,
    relevance_score: u8,
}

/// §2.24.
fn search(call: &Call<'_>) -> Answer {
    let args: SearchArgs = call.args()?;
    let agent = reach::agent(call, &args.agent_id)?;
    reach::be_orchestrator(call, &agent, "search tasks")?;
    let needle = args.query.trim().to_lowercase();
    if needle.is_empty() {
        return Ok(json!([]));
    }
    let tasks: Vec<Doc<Task>> = call.tx.find(TASKS, &[Some(call.account_id().as_str())]).rows()?;
    let hits = tasks.into_iter().map(|task| {
        let relevance_score = relevance(&task.row, &needle);
        let row = task.row;
        Hit {
            id: task.id,
            title: row.title,
            status: row.status,
            priority: row.priority,
            blocked_reason: row.blocked_reason,
            assigned_agent_ids: row.assigned_agent_ids,
            assigned_user_ids: row.assigned_user_ids,
            created_at: row.created_at,
            updated_at: row.updated_at,
            relevance_score,
        }
    });
    let mut hits: Vec<Hit> = hits.filter(|hit| hit.relevance_score > 0).collect();
    hits.sort_by_key(|hit| std::cmp::Reverse(hit.relevance_score));
    value(&slice(hits, at_most(args.limit.unwrap_or(20.0), 100.0)))
}

/// The sum of the matches: title 3, description 2, reason 1. `needle` is in lower case.
fn relevance(task: &Task, needle: &str) -> u8 {
    let in_text = |text: Option<&String>| text.is_some_and(|text| text.to_lowercase().contains(needle));
    let places = [
        (in_text(Some(&task.title)), 3),
        (in_text(task.description.as_ref()), 2),
        (in_text(task.blocked_reason.as_ref()), 1),
    ];
    places.into_iter().filter(|(found, _)| *found).map(|(_, score)| score).sum()
}

/// §2.25.
fn load(call: &Call<'_>) -> Answer {
    let args: TaskLookupArgs = call.args()?;
    reach::agent(call, &args.agent_id)?;
    let task = reach::task(call, &args.task_id)?;
    let messages = clamp(args.message_limit.unwrap_or(10.0), 1.0, MAX_ROWS);
    let thread = thread::newest(call.tx, call.account_id(), &task.id, take(messages)?)?;
    Ok(json!({"task": value(&task)?, "thread": value(&thread)?}))
}

/// An activity in a history.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ActivityView {
    #[serde(rename = "type")]
    kind: String,
    actor_type: String,
    actor_id: String,
    actor_name: String,
    target_type: String,
    target_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<Value>,
    created_at: f64,
}

impl From<Activity> for ActivityView {
    fn from(row: Activity) -> Self {
        Self {
            kind: row.kind,
            actor_type: row.actor_type,
            actor_id: row.actor_id,
            actor_name: row.actor_name,
            target_type: row.target_type,
            target_id: row.target_id,
            target_name: row.target_name,
            meta: row.meta,
            created_at: row.created_at,
        }
    }
}

/// §2.26.
fn history(call: &Call<'_>) -> Answer {
    let args: TaskLookupArgs = call.args()?;
    reach::agent(call, &args.agent_id)?;
    let task = reach::task(call, &args.task_id)?;
    let message_limit = clamp(args.message_limit.unwrap_or(25.0), 1.0, MAX_ROWS);
    let activity_limit = clamp(args.activity_limit.unwrap_or(30.0), 0.0, MAX_ROWS);
    let thread = thread::newest(call.tx, call.account_id(), &task.id, take(message_limit)?)?;
    let activities = activities_of(call, &task.id, take(activity_limit)?)?;
    let activities: Vec<ActivityView> = activities.into_iter().map(|activity| activity.row.into()).collect();
    Ok(json!({
        "task": value(&task)?,
        "messages": value(&thread)?,
        "activities": value(&activities)?,
        "meta": {"messageLimitApplied": message_limit, "activityLimitApplied": activity_limit},
    }))
}

/// The activities of a task, newest first.
fn activities_of(call: &Call<'_>, task: &Id<Task>, max: usize) -> Result<Vec<Doc<Activity>>, StoreError> {
    let key = [Some(call.account_id().as_str()), Some("task"), Some(task.as_str())];
    call.tx.find(HAPPENED_TO, &key).newest_first().limit(max).rows()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AssignedArgs {
    agent_id: Id<Agent>,
    #[serde(default)]
    include_done: bool,
    #[serde(default, deserialize_with = "number::optional")]
    limit: Option<f64>,
}

/// §2.30. Includes archived and blocked tasks (D19).
fn assigned(call: &Call<'_>) -> Answer {
    let args: AssignedArgs = call.args()?;
    let agent = reach::agent(call, &args.agent_id)?;
    let mut tasks: Vec<Doc<Task>> = call.tx.find(TASKS, &[Some(call.account_id().as_str())]).rows()?;
    tasks.retain(|task| {
        let needle = args.include_done || task.row.status != TaskStatus::Done.as_str();
        needle && task.row.assigned_agent_ids.contains(&agent.id)
    });
    last_changed_first(&mut tasks);
    value(&slice(tasks, at_most(args.limit.unwrap_or(50.0), MAX_ROWS)))
}

#[derive(Deserialize)]
struct HeartbeatArgs {
    statuses: Vec<String>,
    #[serde(default, deserialize_with = "number::optional")]
    limit: Option<f64>,
}

/// §2.31.
fn for_heartbeat(call: &Call<'_>) -> Answer {
    let args: HeartbeatArgs = call.args()?;
    let limit = at_most(args.limit.unwrap_or(50.0), MAX_ROWS);
    let mut tasks = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for status in &args.statuses {
        if !seen.contains(&status.as_str()) {
            seen.push(status);
            tasks.extend(newest(call, Some(status), Some(take(limit)?))?);
        }
    }
    last_changed_first(&mut tasks);
    value(&slice(tasks, limit))
}
