//! What a person writes and reads in threads, and the person's notifications (backend-contract §5.1, §8).

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::Refusal;
use crate::call::{Answer, Call, value};
use crate::function::{ACCOUNT, DataAccess, Function, Guard, Kind};
use crate::number;
use crate::rows::{Notification, Task};
use crate::rules::activity::{self, Actor, Target};
use crate::rules::follow::{self, Party};
use crate::rules::thread::{self, AuthorNames};
use crate::rules::{limit, post, reach};
use crate::store::{Doc, Id, NOTIFICATIONS_OF, StoreError, Table, UNDELIVERED};
use crate::validate::{Arg, Is, may, need};
use mcr_model::limits;

/// The task whose thread is meant.
const TASK: Arg = need("taskId", Is::Id(Table::Tasks));
/// The number of undelivered notifications in which typing is looked for.
const TYPING_ROWS: usize = 200;

/// The functions of this file.
pub(crate) const FUNCTIONS: &[Function] = &[
    Function {
        path: "messages:create",
        kind: Kind::Mutation,
        guard: Guard::Admin,
        access: DataAccess::Writes,
        args: &[ACCOUNT, TASK, need("content", Is::Text)],
        run: create,
    },
    Function {
        path: "messages:listByTask",
        kind: Kind::Query,
        guard: Guard::Admin,
        access: DataAccess::Reads,
        args: &[ACCOUNT, TASK, may("limit", Is::Number)],
        run: list_by_task,
    },
    Function {
        path: "tasks:openOrchestratorChat",
        kind: Kind::Mutation,
        guard: Guard::Admin,
        access: DataAccess::Writes,
        args: &[ACCOUNT],
        run: open_orchestrator_chat,
    },
    Function {
        path: "notifications:listTyping",
        kind: Kind::Query,
        guard: Guard::Admin,
        access: DataAccess::Reads,
        args: &[ACCOUNT],
        run: list_typing,
    },
    Function {
        path: "notifications:list",
        kind: Kind::Query,
        guard: Guard::Admin,
        access: DataAccess::Reads,
        args: &[ACCOUNT, may("limit", Is::Number)],
        run: list,
    },
];

/// Converts the requested number of rows of a list.
fn row_limit(requested: f64) -> Result<usize, Refusal> {
    limit::take(limit::at_most(requested, limits::LIST_ROWS.into()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HumanPostArgs {
    task_id: Id<Task>,
    content: String,
}

/// Posts a person's message in a thread and returns its id.
fn create(call: &Call<'_>) -> Answer {
    let args: HumanPostArgs = call.args()?;
    let person = reach::person(call)?;
    let task = reach::task(call, &args.task_id)?;
    value(&post::by_person(call, &person, &task, args.content)?)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HumanThreadArgs {
    task_id: Id<Task>,
    #[serde(default, deserialize_with = "number::optional")]
    limit: Option<f64>,
}

/// The newest messages, oldest first, in their stored form with their authors' names.
fn list_by_task(call: &Call<'_>) -> Answer {
    let args: HumanThreadArgs = call.args()?;
    let task = reach::task(call, &args.task_id)?;
    let limit = row_limit(args.limit.unwrap_or(f64::INFINITY))?;
    let mut names = AuthorNames::of(call.account_id());
    let messages = thread::newest_messages(call.tx, &task.id, None, limit)?;
    let with_author = messages.iter().map(|message| {
        let mut row = value(message)?;
        row["authorName"] = json!(names.author(call.tx, &message.row)?);
        Ok(row)
    });
    with_author.collect()
}

/// Returns the id of the task that is the chat with the orchestrator. Creates the task if it does not exist.
fn open_orchestrator_chat(call: &Call<'_>) -> Answer {
    let person = reach::person(call)?;
    let task = match orchestrator_chat(call)? {
        Some(task) => task,
        None => create_orchestrator_chat(call, &Actor::person(&person))?,
    };
    follow::add(call.tx, &task, &Party::user(&person.user_id))?;
    follow::ensure_orchestrator(call.tx, &call.account, &task)?;
    value(&task.id)
}

/// The task that the setting names, if it still exists.
fn orchestrator_chat(call: &Call<'_>) -> Result<Option<Doc<Task>>, StoreError> {
    let Some(id) = &call.account.row.settings.orchestrator_chat_task_id else { return Ok(None) };
    Ok(call.tx.get(id)?.filter(|task: &Doc<Task>| task.row.account_id == *call.account_id()))
}

fn create_orchestrator_chat(call: &Call<'_>, creator: &Actor) -> Result<Doc<Task>, Refusal> {
    let task = call.tx.insert(Task {
        account_id: call.account_id().clone(),
        title: "Orchestrator Chat".to_owned(),
        status: "inbox".to_owned(),
        priority: 3.0,
        labels: vec![mcr_model::Task::ORCHESTRATOR_CHAT.to_owned()],
        created_by: creator.id.clone(),
        created_at: call.now(),
        updated_at: call.now(),
        ..Task::default()
    })?;
    let mut account = call.account.clone();
    account.row.settings.orchestrator_chat_task_id = Some(task.id.clone());
    call.tx.put(&account)?;
    activity::record(call.tx, call.account_id(), "task_created", creator, &Target::task(&task), None)?;
    Ok(task)
}

/// Which agents are currently writing an answer, and in which task (§5.1). Empty while the runtime is offline.
pub(super) fn list_typing(call: &Call<'_>) -> Answer {
    if call.account.row.runtime_status == "offline" {
        return Ok(json!([]));
    }
    let key = [Some(call.account_id().as_str()), Some("agent"), None];
    let undelivered = call.tx.find::<Notification>(UNDELIVERED, &key).limit(TYPING_ROWS).rows()?;
    let mut seen = HashSet::new();
    let in_delivery = undelivered.into_iter().map(|undelivered| undelivered.row);
    let in_delivery = in_delivery.filter(|row| row.read_at.is_some() && row.delivery_ended_at.is_none());
    let pairs = in_delivery.map(|row| (row.recipient_id, row.task_id.map(|id| id.to_string())));
    let pairs = pairs.filter(|pair| seen.insert(pair.clone()));
    Ok(pairs.map(|(agent, task)| typing(&agent, task.as_deref())).collect())
}

fn typing(agent: &str, task: Option<&str>) -> Value {
    match task {
        Some(task) => json!({"agentId": agent, "taskId": task}),
        None => json!({"agentId": agent}),
    }
}

#[derive(Deserialize)]
struct HumanListingArgs {
    #[serde(default, deserialize_with = "number::optional")]
    limit: Option<f64>,
}

/// The person's notifications, newest first.
fn list(call: &Call<'_>) -> Answer {
    let args: HumanListingArgs = call.args()?;
    let person = reach::person(call)?;
    let limit = row_limit(args.limit.unwrap_or(50.0))?;
    let key = [Some(call.account_id().as_str()), Some(person.user_id.as_str())];
    value(&call.tx.find::<Notification>(NOTIFICATIONS_OF, &key).newest_first().limit(limit).rows()?)
}
