//! A summary of the board for the chat with the orchestrator (backend-contract §3.8).

use serde::Serialize;

use crate::rows::{Account, Agent, Task};
use crate::store::{Doc, Id, StoreError, TASKS_BY_STATUS, Tx};

/// The open statuses, in the order of the summary.
const OPEN: [&str; 5] = ["inbox", "assigned", "in_progress", "review", "blocked"];
/// The number of tasks of each status that are read.
const READ_LIMIT: usize = 100;
/// The number of tasks of each status that are listed.
const LISTED_LIMIT: usize = 3;

/// The number of tasks of each status, and the first ones of each.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Overview {
    totals: Vec<Total>,
    top_tasks: Vec<Top>,
}

#[derive(Debug, Serialize)]
struct Total {
    status: &'static str,
    count: usize,
}

#[derive(Debug, Serialize)]
struct Top {
    status: &'static str,
    tasks: Vec<Digest>,
}

/// A task in one line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Digest {
    task_id: Id<Task>,
    title: String,
    status: String,
    priority: f64,
    assigned_agent_ids: Vec<Id<Agent>>,
    assigned_user_ids: Vec<String>,
}

/// For every open status: the number of tasks, and the most urgent ones, the newest first among equals.
pub(crate) fn of(tx: &Tx<'_>, account: &Id<Account>) -> Result<Overview, StoreError> {
    let mut overview = Overview { totals: Vec::new(), top_tasks: Vec::new() };
    for status in OPEN {
        let key = [Some(account.as_str()), Some(status)];
        let mut tasks: Vec<Doc<Task>> =
            tx.find(TASKS_BY_STATUS, &key).newest_first().limit(READ_LIMIT).rows()?;
        tasks.retain(|task| !task.row.labels.iter().any(|label| label == mcr_model::Task::ORCHESTRATOR_CHAT));
        overview.totals.push(Total { status, count: tasks.len() });
        tasks.sort_by(|one, other| {
            let by_urgency = one.row.priority.total_cmp(&other.row.priority);
            by_urgency.then(other.row.created_at.total_cmp(&one.row.created_at))
        });
        let tasks = tasks.into_iter().take(LISTED_LIMIT).map(digest).collect();
        overview.top_tasks.push(Top { status, tasks });
    }
    Ok(overview)
}

fn digest(task: Doc<Task>) -> Digest {
    let Task { title, status, priority, assigned_agent_ids, assigned_user_ids, .. } = task.row;
    Digest { task_id: task.id, title, status, priority, assigned_agent_ids, assigned_user_ids }
}
