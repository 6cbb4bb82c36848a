//! The tasks that a beat is about: which ones, and in which order (runtime-behaviour §6.2).

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::delivery::policy;
use mcr_model::{Task, TaskId, TaskStatus, ThreadItem};

/// How many tasks a beat names. The rest is counted.
pub const LISTED_MAX: usize = 12;

/// How many threads a beat reads at most.
pub const THREADS_MAX: usize = 25;

/// The statuses that the orchestrator tracks, by rank. Other agents track only their own tasks in progress and assigned
/// ones.
pub const TRACKED_STATUSES: [TaskStatus; 4] =
    [TaskStatus::InProgress, TaskStatus::Review, TaskStatus::Assigned, TaskStatus::Blocked];

/// A task, and its thread if that was read.
#[derive(Clone, Debug)]
pub struct TrackedTask {
    /// The task.
    pub task: Task,
    /// The newest messages of its thread, oldest first. None if the thread was not read.
    pub thread: Option<Vec<ThreadItem>>,
}

impl From<Task> for TrackedTask {
    fn from(task: Task) -> Self {
        Self { task, thread: None }
    }
}

/// The rank of a status; none if the beat is not about such tasks.
///
/// The orchestrator also tracks blocked tasks, after all others. The TypeScript runtime announced them and never listed
/// them (W-21).
fn rank(status: Option<TaskStatus>, leads: bool) -> Option<usize> {
    let is_own = |status: TaskStatus| matches!(status, TaskStatus::InProgress | TaskStatus::Assigned);
    let status = status.filter(|status| leads || is_own(*status))?;
    TRACKED_STATUSES.iter().position(|tracked| *tracked == status)
}

/// The tasks of a beat in their order: of both lists, without duplicates (the later list wins), filtered by status, and
/// sorted by rank. Within a rank an agent's newest task comes first, and the orchestrator's oldest. The chat with the
/// orchestrator and tasks that a person has paused are no work.
pub fn tracked(assigned: Vec<Task>, all: Vec<Task>, leads: bool) -> Vec<Task> {
    let mut tasks: BTreeMap<TaskId, Task> = BTreeMap::new();
    for task in assigned.into_iter().chain(all) {
        tasks.insert(task.id.clone(), task);
    }
    let is_work = |task: &Task| !task.is_orchestrator_chat() && !policy::is_paused(task);
    let mut ranked: Vec<(usize, Task)> = tasks
        .into_values()
        .filter(is_work)
        .filter_map(|task| Some((rank(task.status.known(), leads)?, task)))
        .collect();
    if leads {
        ranked.sort_by_key(|(rank, task)| (*rank, task.updated_at));
    } else {
        ranked.sort_by_key(|(rank, task)| (*rank, Reverse(task.updated_at)));
    }
    ranked.into_iter().map(|(_, task)| task).collect()
}
