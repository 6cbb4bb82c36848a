//! What a person writes and reads in threads, and what they are told (backend-contract §5.1, §8).

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

/// In which task's thread.
const TASK: Arg = need("taskId", Is::Id(Table::Tasks));
/// Among how many undelivered notifications typing is looked for.
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

/// How many rows of a list the person gets.
fn rows(wanted: f64) -> Result<usize, Refusal> {
    limit::take(limit::at_most(wanted, limits::LIST_ROWS.into()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HumanPostArgs {
    task_id: Id<Task>,
    content: String,
}

/// The person writes in a thread; the message's id.
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

/// The newest messages, oldest first, as they are stored, with their authors' names.
fn list_by_task(call: &Call<'_>) -> Answer {
    let args: HumanThreadArgs = call.args()?;
    let task = reach::task(call, &args.task_id)?;
    let limit = rows(args.limit.unwrap_or(f64::INFINITY))?;
    let mut names = AuthorNames::of(call.account_id());
    let messages = thread::newest_messages(call.tx, &task.id, None, limit)?;
    let with_author = messages.iter().map(|message| {
        let mut row = value(message)?;
        row["authorName"] = json!(names.author(call.tx, &message.row)?);
        Ok(row)
    });
    with_author.collect()
}

/// The task that carries the talk with the orchestrator, made where there is none; its id.
fn open_orchestrator_chat(call: &Call<'_>) -> Answer {
    let person = reach::person(call)?;
    let task = match orchestrator_chat(call)? {
        Some(task) => task,
        None => make_orchestrator_chat(call, &Actor::person(&person))?,
    };
    follow::add(call.tx, &task, &Party::user(&person.user_id))?;
    follow::ensure_orchestrator(call.tx, &call.account, &task)?;
    value(&task.id)
}

/// The task that the setting names, if it is still there.
fn orchestrator_chat(call: &Call<'_>) -> Result<Option<Doc<Task>>, StoreError> {
    let Some(id) = &call.account.row.settings.orchestrator_chat_task_id else { return Ok(None) };
    Ok(call.tx.get(id)?.filter(|task: &Doc<Task>| task.row.account_id == *call.account_id()))
}

fn make_orchestrator_chat(call: &Call<'_>, maker: &Actor) -> Result<Doc<Task>, Refusal> {
    let task = call.tx.insert(Task {
        account_id: call.account_id().clone(),
        title: "Orchestrator Chat".to_owned(),
        status: "inbox".to_owned(),
        priority: 3.0,
        labels: vec![mcr_model::Task::ORCHESTRATOR_CHAT.to_owned()],
        created_by: maker.id.clone(),
        created_at: call.now(),
        updated_at: call.now(),
        ..Task::default()
    })?;
    let mut account = call.account.clone();
    account.row.settings.orchestrator_chat_task_id = Some(task.id.clone());
    call.tx.put(&account)?;
    activity::record(call.tx, call.account_id(), "task_created", maker, &Target::task(&task), None)?;
    Ok(task)
}

/// Which agents are writing an answer right now, and where (§5.1); nobody while the runtime is away.
pub(super) fn list_typing(call: &Call<'_>) -> Answer {
    if call.account.row.runtime_status == "offline" {
        return Ok(json!([]));
    }
    let key = [Some(call.account_id().as_str()), Some("agent"), None];
    let waiting = call.tx.find::<Notification>(UNDELIVERED, &key).limit(TYPING_ROWS).rows()?;
    let mut seen = HashSet::new();
    let at_work = waiting.into_iter().map(|waiting| waiting.row);
    let at_work = at_work.filter(|row| row.read_at.is_some() && row.delivery_ended_at.is_none());
    let places = at_work.map(|row| (row.recipient_id, row.task_id.map(|id| id.to_string())));
    let places = places.filter(|place| seen.insert(place.clone()));
    Ok(places.map(|(agent, task)| typing(&agent, task.as_deref())).collect())
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

/// What the person is told, the newest first.
fn list(call: &Call<'_>) -> Answer {
    let args: HumanListingArgs = call.args()?;
    let person = reach::person(call)?;
    let limit = rows(args.limit.unwrap_or(50.0))?;
    let key = [Some(call.account_id().as_str()), Some(person.user_id.as_str())];
    value(&call.tx.find::<Notification>(NOTIFICATIONS_OF, &key).newest_first().limit(limit).rows()?)
}
