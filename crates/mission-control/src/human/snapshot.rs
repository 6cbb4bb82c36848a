//! The data of the page. The page first loads the frame and one window of each column. Later it loads more on demand,
//! and otherwise only what changed.
//!
//! Each response contains its revision. The page sends the revision back to request the changes since. If those are
//! no longer known, the page loads everything again.

use serde::Deserialize;
use serde_json::json;

use super::changes::changes;
use super::columns::{self, COLUMN_WINDOW};
use super::opened::{self, opened};
use super::{accounts, documents, messages, secrets};
use crate::call::{Answer, Call, value};
use crate::function::{ACCOUNT, Function};
use crate::rows::{Agent, Skill, Task};
use crate::rules::status::STATUS;
use crate::rules::{reach, upgrade};
use crate::store::{Doc, Id, SKILLS, StoreError, Table};
use crate::validate::{Arg, Is, may, need};

/// The task's id comes from the address bar, so any text is accepted. A text that is not an id means that the task
/// does not exist.
const ANY_TASK: Arg = need("taskId", Is::Text);

pub(crate) const FUNCTIONS: &[Function] = &[
    Function::query("board:snapshot", &[ACCOUNT, may("taskId", Is::Text)], snapshot),
    Function::query("board:changes", &[ACCOUNT, need("since", Is::Text), may("taskId", Is::Text)], changes),
    Function::query(
        "board:column",
        &[ACCOUNT, need("status", STATUS), may("after", Is::List(&Is::Number))],
        columns::column,
    ),
    Function::query(
        "board:search",
        &[ACCOUNT, need("words", Is::Text), may("limit", Is::Number)],
        columns::search,
    ),
    Function::query("board:task", &[ACCOUNT, ANY_TASK], opened::task),
    Function::query(
        "board:thread",
        &[ACCOUNT, ANY_TASK, need("before", Is::Id(Table::Messages))],
        opened::earlier,
    ),
    Function::query("board:documents", &[ACCOUNT, may("after", Is::List(&Is::Number))], documents::window),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SnapshotArgs {
    task_id: Option<String>,
}

/// The initial load.
fn snapshot(call: &Call<'_>) -> Answer {
    let args: SnapshotArgs = call.args()?;
    let columns = columns::windows(call, COLUMN_WINDOW)?;
    let mut page = json!({
        "revision": call.tx.revision(),
        "account": accounts::get(call)?,
        "agents": agents(call)?,
        "members": accounts::members(call)?,
        "typing": messages::list_typing(call)?,
        "skills": skills(call)?,
        "runtime": runtime(call)?,
        "providerKeys": secrets::list(call)?,
        "counts": columns.counts,
        "tasks": columns.tasks,
        "more": columns.more,
    });
    if let Some(id) = &args.task_id
        && let Some(task) = opened(call, id)?
    {
        page["task"] = task;
    }
    Ok(page)
}

/// The account's runtime, if it has one.
pub(super) fn runtime(call: &Call<'_>) -> Answer {
    value(&upgrade::runtime(call.tx, call.account_id())?)
}

fn agents(call: &Call<'_>) -> Answer {
    reach::agents(call.tx, call.account_id())?.into_iter().map(|agent| agent_line(call, agent)).collect()
}

/// An agent without its long texts, with the title of its current task.
pub(super) fn agent_line(call: &Call<'_>, mut agent: Doc<Agent>) -> Answer {
    agent.row.soul_content = None;
    agent.row.identity_content = None;
    let mut line = value(&agent)?;
    if let Some(title) = title_of(call, agent.row.current_task_id.as_ref())? {
        line["currentTaskTitle"] = json!(title);
    }
    Ok(line)
}

fn skills(call: &Call<'_>) -> Answer {
    let skills: Vec<Doc<Skill>> = call.tx.find(SKILLS, &[Some(call.account_id().as_str())]).rows()?;
    skills.into_iter().map(skill_line).collect()
}

/// A skill without its instructions.
pub(super) fn skill_line(mut skill: Doc<Skill>) -> Answer {
    skill.row.content_markdown = None;
    value(&skill)
}

/// The title of a task, for a line that mentions the task.
pub(super) fn title_of(call: &Call<'_>, task: Option<&Id<Task>>) -> Result<Option<String>, StoreError> {
    let Some(id) = task else { return Ok(None) };
    Ok(reach::own_task(call, id)?.map(|task| task.row.title))
}
