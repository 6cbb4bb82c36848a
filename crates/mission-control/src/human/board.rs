//! What a person sees of tasks: the board, one task, its documents and its activity.

use serde::Deserialize;
use serde_json::json;

use crate::call::{Answer, Call, value};
use crate::function::{ACCOUNT, Function};
use crate::number;
use crate::rows::{Activity, Document, Task};
use crate::rules::limit::{clamp, take};
use crate::rules::reach;
use crate::store::{DOCUMENTS_OF_TASK, Doc, HAPPENED, HAPPENED_TO, Id, TASKS, Table};
use crate::validate::{Arg, Is, may, need};

const TASK: Arg = need("taskId", Is::Id(Table::Tasks));
const LIMIT: Arg = may("limit", Is::Number);

pub(crate) const FUNCTIONS: &[Function] = &[
    Function::query("tasks:list", &[ACCOUNT], list),
    Function::query("tasks:get", &[ACCOUNT, TASK], get),
    Function::query("documents:listByTask", &[ACCOUNT, TASK], documents),
    Function::query("activities:listByTask", &[ACCOUNT, TASK, LIMIT], task_activities),
    Function::query("activities:list", &[ACCOUNT, LIMIT], account_activities),
];

/// All tasks of any status, in the order of their creation.
pub(super) fn list(call: &Call<'_>) -> Answer {
    let tasks: Vec<Doc<Task>> = call.tx.find(TASKS, &[Some(call.account_id().as_str())]).rows()?;
    value(&tasks)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TaskHistoryArgs {
    task_id: Id<Task>,
    #[serde(default, deserialize_with = "number::optional")]
    limit: Option<f64>,
}

fn get(call: &Call<'_>) -> Answer {
    let args: TaskHistoryArgs = call.args()?;
    value(&reach::own_task(call, &args.task_id)?)
}

/// The task's documents without deleted ones, last changed first.
fn documents(call: &Call<'_>) -> Answer {
    let args: TaskHistoryArgs = call.args()?;
    let Some(task) = reach::own_task(call, &args.task_id)? else { return Ok(json!([])) };
    let found = call.tx.find(DOCUMENTS_OF_TASK, &[Some(task.id.as_str())]).newest_first().rows()?;
    let kept = found.into_iter().filter(|document: &Doc<Document>| document.row.deleted_at.is_none());
    value(&kept.collect::<Vec<_>>())
}

/// The number of rows to return: 50 by default, at most 200.
fn row_limit(limit: Option<f64>) -> Result<usize, crate::Refusal> {
    take(clamp(limit.unwrap_or(50.0).floor(), 1.0, 200.0))
}

/// The activities of a task, newest first.
fn task_activities(call: &Call<'_>) -> Answer {
    let args: TaskHistoryArgs = call.args()?;
    let key = [Some(call.account_id().as_str()), Some("task"), Some(args.task_id.as_str())];
    let found = call.tx.find::<Activity>(HAPPENED_TO, &key).newest_first();
    value(&found.limit(row_limit(args.limit)?).rows()?)
}

#[derive(Deserialize)]
struct BoardArgs {
    #[serde(default, deserialize_with = "number::optional")]
    limit: Option<f64>,
}

/// The activities of the account, newest first.
fn account_activities(call: &Call<'_>) -> Answer {
    let args: BoardArgs = call.args()?;
    let found = call.tx.find::<Activity>(HAPPENED, &[Some(call.account_id().as_str())]).newest_first();
    value(&found.limit(row_limit(args.limit)?).rows()?)
}
