//! What a person can do with tasks (backend-contract §8).

use serde::Deserialize;
use serde_json::{Value, json};

use crate::Refusal;
use crate::answer::ensure;
use crate::call::{Answer, Call};
use crate::function::{ACCOUNT, Function, done};
use crate::number;
use crate::rows::{Activity, Agent, Membership, Message, Notification, Subscription, Task};
use crate::rules::activity::{self, Actor, Target};
use crate::rules::fields::{self, Due, TaskChanges};
use crate::rules::status::{self, STATUS};
use crate::rules::{assignees, follow, reach, sessions};
use crate::store::{
    Doc, FOLLOWERS, HAPPENED_TO, Id, Index, NOTIFICATIONS_OF_TASK, Row, StoreError, THREAD, Table,
};
use crate::validate::{Arg, Is, may, need};
use mcr_model::{Assignees, TaskStatus};

const TASK: Arg = need("taskId", Is::Id(Table::Tasks));

pub(crate) const FUNCTIONS: &[Function] = &[
    Function::mutation(
        "tasks:create",
        &[
            ACCOUNT,
            need("title", Is::Text),
            may("description", Is::Text),
            may("priority", Is::Number),
            may("labels", Is::List(&Is::Text)),
            may("dueDate", Is::Number),
        ],
        create,
    ),
    Function::mutation(
        "tasks:update",
        &[
            ACCOUNT,
            TASK,
            may("title", Is::Text),
            may("description", Is::Text),
            may("priority", Is::Number),
            may("labels", Is::List(&Is::Text)),
            may("dueDate", Is::OrNull(&Is::Number)),
        ],
        update,
    ),
    Function::mutation(
        "tasks:assign",
        &[
            ACCOUNT,
            TASK,
            may("assignedUserIds", Is::List(&Is::Text)),
            may("assignedAgentIds", Is::List(&Is::Id(Table::Agents))),
        ],
        assign,
    ),
    Function::mutation(
        "tasks:updateStatus",
        &[ACCOUNT, TASK, need("status", STATUS), may("blockedReason", Is::Text)],
        update_status,
    ),
    Function::mutation("tasks:pauseAgents", &[ACCOUNT, TASK], pause),
    Function::mutation("tasks:reopen", &[ACCOUNT, TASK], reopen),
    Function::mutation("tasks:remove", &[ACCOUNT, TASK], remove),
];

/// The arguments of a call about one task.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TaskArgs {
    task_id: Id<Task>,
}

/// The person and the task of a call.
fn person_and_task(call: &Call<'_>, id: &Id<Task>) -> Result<(Membership, Doc<Task>), Refusal> {
    Ok((reach::person(call)?, reach::task(call, id)?))
}

fn record(
    call: &Call<'_>,
    person: &Membership,
    task: &Doc<Task>,
    kind: &str,
    meta: Option<Value>,
) -> Result<(), StoreError> {
    let (actor, target) = (Actor::person(person), Target::task(task));
    activity::record(call.tx, call.account_id(), kind, &actor, &target, meta)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HumanCreateArgs {
    title: String,
    description: Option<String>,
    #[serde(default, deserialize_with = "number::finite")]
    priority: Option<f64>,
    #[serde(default)]
    labels: Vec<String>,
    #[serde(default, deserialize_with = "number::finite")]
    due_date: Option<f64>,
}

/// Creates a task without assignees, so no notification is sent. The orchestrator follows the task.
fn create(call: &Call<'_>) -> Answer {
    let args: HumanCreateArgs = call.args()?;
    let person = reach::person(call)?;
    fields::check_lengths(Some(&args.title), args.description.as_deref())?;
    fields::check_priority(args.priority)?;
    fields::check_labels_of_people(call, &args.labels)?;
    fields::check_labels(args.labels.iter().map(String::as_str))?;
    let task = call.tx.insert(Task {
        account_id: call.account_id().clone(),
        title: args.title,
        description: args.description,
        status: TaskStatus::Inbox.as_str().to_owned(),
        priority: args.priority.unwrap_or(fields::DEFAULT_PRIORITY),
        labels: args.labels,
        due_date: args.due_date,
        created_by: person.user_id.clone(),
        created_at: call.now(),
        updated_at: call.now(),
        ..Task::default()
    })?;
    record(call, &person, &task, "task_created", None)?;
    follow::ensure_orchestrator(call.tx, &call.account, &task)?;
    Ok(json!(task.id))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HumanUpdateArgs {
    task_id: Id<Task>,
    title: Option<String>,
    description: Option<String>,
    #[serde(default, deserialize_with = "number::optional")]
    priority: Option<f64>,
    labels: Option<Vec<String>>,
    #[serde(default, deserialize_with = "number::finite")]
    due_date: Option<f64>,
}

/// Changes the given fields. `dueDate: null` removes the date.
fn update(call: &Call<'_>) -> Answer {
    let args: HumanUpdateArgs = call.args()?;
    let (person, mut task) = person_and_task(call, &args.task_id)?;
    fields::check_lengths(args.title.as_deref(), args.description.as_deref())?;
    fields::check_priority(args.priority)?;
    fields::check_labels_of_people(call, args.labels.as_deref().unwrap_or_default())?;
    let changes = TaskChanges {
        title: args.title,
        description: args.description,
        priority: args.priority,
        labels: args.labels,
        due: call.args.contains_key("dueDate").then(|| args.due_date.map_or(Due::Whenever, Due::On)),
        ..TaskChanges::default()
    };
    let names = changes.names();
    if !names.is_empty() {
        changes.apply(call, &mut task)?;
        record(call, &person, &task, "task_updated", Some(json!({"changedFields": names})))?;
    }
    done()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HumanAssignArgs {
    task_id: Id<Task>,
    assigned_user_ids: Option<Vec<String>>,
    assigned_agent_ids: Option<Vec<Id<Agent>>>,
}

/// Replaces the given lists of assignees. A task leaves the inbox with its first assignee and returns to it without
/// any.
fn assign(call: &Call<'_>) -> Answer {
    let args: HumanAssignArgs = call.args()?;
    let (person, mut task) = person_and_task(call, &args.task_id)?;
    let agents = args.assigned_agent_ids.as_deref().unwrap_or_default();
    assignees::check_agents(call, agents, " does not belong to account")?;
    assignees::check_users(call, args.assigned_user_ids.as_deref().unwrap_or_default())?;
    let given = [
        (args.assigned_user_ids.is_some(), "assignedUserIds"),
        (args.assigned_agent_ids.is_some(), "assignedAgentIds"),
    ];
    let names: Vec<&str> = given.into_iter().filter(|(given, _)| *given).map(|(_, name)| name).collect();

    let added = assignees::replace(call, &mut task, args.assigned_user_ids, args.assigned_agent_ids)?;
    let from = status::of(&task)?;
    let to = match (from, assignees::any(&task.row)) {
        (TaskStatus::Inbox, Assignees::Some) => TaskStatus::Assigned,
        (TaskStatus::Assigned, Assignees::None) => TaskStatus::Inbox,
        (unmoved, Assignees::Some | Assignees::None) => unmoved,
    };
    to.as_str().clone_into(&mut task.row.status);
    task.row.updated_at = call.now();
    call.tx.put(&task)?;
    assignees::notify_added(call, &task, &added, &person.user_name)?;
    record(call, &person, &task, "task_updated", Some(json!({"changedFields": names})))?;
    if to != from {
        status::record_by_person(call, &person, &task, from, &[("reason", json!("auto_assignment"))])?;
    }
    done()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HumanStatusArgs {
    task_id: Id<Task>,
    #[serde(deserialize_with = "status::deserialize")]
    status: TaskStatus,
    blocked_reason: Option<String>,
}

fn update_status(call: &Call<'_>) -> Answer {
    let args: HumanStatusArgs = call.args()?;
    let (person, mut task) = person_and_task(call, &args.task_id)?;
    status::move_by_person(call, &person, &mut task, args.status, args.blocked_reason.as_deref())?;
    done()
}

/// `/stop`: blocks the task. Its assigned agents become idle.
fn pause(call: &Call<'_>) -> Answer {
    let args: TaskArgs = call.args()?;
    let (person, mut task) = person_and_task(call, &args.task_id)?;
    match status::of(&task)? {
        TaskStatus::Blocked => return Ok(json!({"paused": false})),
        TaskStatus::Assigned | TaskStatus::InProgress | TaskStatus::Review => {}
        TaskStatus::Inbox | TaskStatus::Done | TaskStatus::Archived => {
            return Err(Refusal::thrown(
                "Task can only be paused when status is Assigned, In progress, or Review",
            ));
        }
    }
    let reason = Some("Paused by user (/stop)");
    status::move_by_person(call, &person, &mut task, TaskStatus::Blocked, reason)?;
    for id in &task.row.assigned_agent_ids {
        let Some(mut agent) = assignees::own_agent(call, id)? else { continue };
        let before = std::mem::replace(&mut agent.row.status, "idle".to_owned());
        agent.row.current_task_id = None;
        agent.row.last_heartbeat = Some(call.now());
        call.tx.put(&agent)?;
        if before != "idle" {
            let target = Target { kind: "agent", id: agent.id.as_str(), name: Some(&agent.row.name) };
            let meta = json!({"oldStatus": before, "newStatus": "idle"});
            let (account, actor) = (call.account_id(), Actor::person(&person));
            activity::record(call.tx, account, "agent_status_changed", &actor, &target, Some(meta))?;
        }
    }
    Ok(json!({"paused": true}))
}

/// Moves the task from `done` to `review`, without a notification.
fn reopen(call: &Call<'_>) -> Answer {
    let args: TaskArgs = call.args()?;
    let (person, mut task) = person_and_task(call, &args.task_id)?;
    let from = status::of(&task)?;
    ensure!(from == TaskStatus::Done, "Invalid operation: Can only reopen done tasks");
    status::set(call, &mut task, TaskStatus::Review)?;
    status::record_by_person(call, &person, &task, from, &[("reopened", json!(true))])?;
    done()
}

/// Deletes the task with its thread and all rows that refer to it. Its documents stay.
fn remove(call: &Call<'_>) -> Answer {
    let args: TaskArgs = call.args()?;
    let (_, task) = person_and_task(call, &args.task_id)?;
    let id = Some(task.id.as_str());
    clear::<Message>(call, THREAD, &[id])?;
    clear::<Subscription>(call, FOLLOWERS, &[id])?;
    clear::<Notification>(call, NOTIFICATIONS_OF_TASK, &[id])?;
    let happened = [Some(call.account_id().as_str()), Some("task"), id];
    clear::<Activity>(call, HAPPENED_TO, &happened)?;
    if !call.options.original {
        sessions::close_of_task(call.tx, &task.id, "task_removed")?;
    }
    call.tx.delete(&task.id)?;
    done()
}

/// Deletes every row that matches the index.
pub(super) fn clear<R: Row>(call: &Call<'_>, index: Index, key: &[Option<&str>]) -> Result<(), StoreError> {
    call.tx.find::<R>(index, key).rows()?.iter().try_for_each(|row| call.tx.delete(&row.id))
}
