//! The orchestrator's follow-ups: asks the assignees of stale tasks for an answer, without a turn of the model
//! (runtime-behaviour §6.5).

use std::time::Duration;

use crate::delivery::reply::{self, AgentReply};
use mcr_model::clock::Millis;
use mcr_model::{AgentId, AuthorType, Roster, Task, TaskStatus, ThreadItem, limits, visible};

/// How many requests one beat sends, including those that the agent sends itself (H-23).
pub const REQUESTS_MAX: usize = 3;

/// The backend sends no second request within this time, unless the recipient has answered (contract §5.5).
pub const COOLDOWN: Duration = Duration::from_hours(4);

/// After this time without an answer a task is stale (H-27).
const STALE_AFTER: Duration = Duration::from_mins(15);
const BLOCKED_STALE_AFTER: Duration = Duration::from_hours(24);

/// Whether the assignees of a task are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The task is stale for this long.
    Stale(Duration),
    /// An assignee has answered recently, or the task has changed recently.
    NotStale,
    /// No agent is assigned.
    NoAssignees,
    /// Tasks of this status have no follow-ups.
    UnsupportedStatus,
}

/// After how long a task of this status is stale; none if it never is.
pub fn stale_after(status: Option<TaskStatus>) -> Option<Duration> {
    match status? {
        TaskStatus::InProgress | TaskStatus::Review | TaskStatus::Assigned => Some(STALE_AFTER),
        TaskStatus::Blocked => Some(BLOCKED_STALE_AFTER),
        TaskStatus::Inbox | TaskStatus::Done | TaskStatus::Archived => None,
    }
}

/// When an assignee last answered in the thread (H-25). Control words and placeholders are no answers.
pub fn last_reply(thread: &[ThreadItem], assignees: &[AgentId]) -> Option<Millis> {
    let is_reply = |item: &&ThreadItem| {
        item.author_type == AuthorType::Agent
            && assignees.iter().any(|id| id.as_str() == item.author_id)
            && matches!(reply::read(Some(&item.content)), AgentReply::Text(_))
    };
    thread.iter().filter(is_reply).map(|item| item.created_at).max()
}

/// Whether the assignees of a task are asked now (H-26). A message of a person does not change the task (contract D23),
/// so the thread decides where it was read.
pub fn decide(task: &Task, thread: Option<&[ThreadItem]>, now: Millis) -> Decision {
    let Some(after) = stale_after(task.status.known()) else { return Decision::UnsupportedStatus };
    if task.assigned_agent_ids.is_empty() {
        return Decision::NoAssignees;
    }
    let elapsed = now.since(reference(task, thread));
    if elapsed >= after { Decision::Stale(elapsed) } else { Decision::NotStale }
}

/// The moment from which the staleness of a task counts.
fn reference(task: &Task, thread: Option<&[ThreadItem]>) -> Millis {
    let replied = thread.and_then(|thread| last_reply(thread, &task.assigned_agent_ids));
    let changed = [task.updated_at, task.created_at].into_iter().find(|at| *at > Millis::default());
    replied.or(changed).unwrap_or_default()
}

/// Whether the task is stale, for any agent that it concerns.
pub fn is_stale(task: &Task, thread: Option<&[ThreadItem]>, now: Millis) -> bool {
    stale_after(task.status.known()).is_some_and(|after| now.since(reference(task, thread)) >= after)
}

/// The slugs of the assignees to ask: each once, without the orchestrator itself (H-28).
pub fn recipients(task: &Task, roster: &Roster, orchestrator: &AgentId) -> Vec<String> {
    let mut slugs: Vec<String> = Vec::new();
    for id in task.assigned_agent_ids.iter().filter(|id| *id != orchestrator) {
        let slug = roster.agent(id).map(|agent| agent.slug.trim().to_owned());
        if let Some(slug) = slug.filter(|slug| !slug.is_empty() && !slugs.contains(slug)) {
            slugs.push(slug);
        }
    }
    slugs.truncate(limits::REQUEST_RECIPIENTS);
    slugs
}

/// The text of a request (H-29).
pub fn message(task: &Task, stale_for: Duration) -> String {
    let minutes = (stale_for.as_secs() / 60).max(1);
    let minutes = if minutes == 1 { "1 minute".to_owned() } else { format!("{minutes} minutes") };
    format!(
        "No update on \"{}\" for about {minutes}. Please reply in the thread with your progress, or with what \
         blocks you.",
        visible::title(&task.title)
    )
}
