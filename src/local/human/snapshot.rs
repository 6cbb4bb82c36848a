//! Everything that the page shows, in one question: what it would otherwise ask in ten.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{accounts, agents, board, documents, messages, secrets, skills};
use crate::local::call::{Answer, Call, value};
use crate::local::function::{ACCOUNT, Function};
use crate::local::rows::{Activity, Task};
use crate::local::rules::{reach, thread, upgrade};
use crate::local::store::{Doc, HAPPENED_TO, Id};
use crate::local::validate::{Is, may};

/// How much of a long thread, and of a long history, is shown.
const MESSAGES: usize = 200;
const ACTIVITIES: usize = 100;

pub(in crate::local) const FUNCTIONS: &[Function] = &[
    // The task comes from the address bar: whatever stands there is no error, there is just no such task.
    Function::query("board:snapshot", &[ACCOUNT, may("taskId", Is::Text)], snapshot),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wanted {
    task_id: Option<String>,
}

fn snapshot(call: &Call<'_>) -> Answer {
    let wanted: Wanted = call.args()?;
    // The lists have arguments of their own, and are wanted whole.
    let args = Map::new();
    let account = call.account.clone();
    let whole = Call { tx: call.tx, args: &args, account, options: call.options, vault: call.vault };
    let mut seen = json!({
        "account": accounts::get(&whole)?,
        "tasks": board::list(&whole)?,
        "agents": agents::list(&whole)?,
        "members": accounts::members(&whole)?,
        "typing": messages::list_typing(&whole)?,
        "skills": skills::list(&whole)?,
        "documents": documents::list(&whole)?,
        "runtime": value(&upgrade::runtime(call.tx, call.account_id())?)?,
        "providerKeys": secrets::list(&whole)?,
    });
    if let Some(task) = one_task(call, wanted.task_id.as_deref())? {
        seen["task"] = task;
    }
    Ok(seen)
}

/// A task with its thread and its history, if there is such a task.
fn one_task(call: &Call<'_>, id: Option<&str>) -> Result<Option<Value>, crate::local::Refusal> {
    let Some(id) = id.and_then(Id::<Task>::parse) else { return Ok(None) };
    let Some(task) = reach::own_task(call, &id)? else { return Ok(None) };
    let key = [Some(call.account_id().as_str()), Some("task"), Some(id.as_str())];
    let history = call.tx.find::<Activity>(HAPPENED_TO, &key).newest_first().limit(ACTIVITIES);
    let history: Vec<Doc<Activity>> = history.rows()?;
    let thread = thread::newest(call.tx, call.account_id(), &id, MESSAGES)?;
    Ok(Some(json!({"task": value(&task)?, "thread": value(&thread)?, "activities": value(&history)?})))
}
