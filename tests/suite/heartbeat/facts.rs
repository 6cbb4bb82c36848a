//! Agents, tasks and messages for the tests of beats.

use mission_control_runtime::clock::Millis;
use mission_control_runtime::heartbeat::board::TrackedTask;
use mission_control_runtime::model::zone::Day;
use mission_control_runtime::model::{Agent, LocalTime, Roster, Task, ThreadItem};
use serde_json::{Value, json};

/// The current time in these tests, a Monday.
pub(super) const NOW: Millis = Millis(1_764_493_200_000);

pub(super) const MINUTE: i64 = 60_000;

pub(super) fn agent(slug: &str) -> Agent {
    agent_with(slug, json!({}))
}

#[expect(clippy::needless_pass_by_value, reason = "tests write the fields in place")]
pub(super) fn agent_with(slug: &str, more: Value) -> Agent {
    let mut row = json!({"_id": slug, "name": slug.to_uppercase(), "slug": slug, "role": "Engineer", "status": "online",
        "systemSessionKey": format!("system:agent:{slug}:acc:v1")});
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(row).unwrap()
}

pub(super) fn roster(slugs: &[&str]) -> Roster {
    Roster::new(slugs.iter().map(|slug| agent(slug)).collect(), None)
}

/// A task of these assignees, changed this many minutes ago.
pub(super) fn task(id: &str, status: &str, assignees: &[&str], minutes_ago: i64) -> Task {
    let changed = NOW.0 - minutes_ago * MINUTE;
    task_with(id, status, json!({"assignedAgentIds": assignees, "updatedAt": changed}))
}

#[expect(clippy::needless_pass_by_value, reason = "tests write the fields in place")]
pub(super) fn task_with(id: &str, status: &str, more: Value) -> Task {
    let mut row = json!({"_id": id, "title": format!("Title of {id}"), "status": status, "priority": 3, "createdBy": "u1",
        "createdAt": 1, "updatedAt": 0});
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(row).unwrap()
}

pub(super) fn message(author: &str, is_agent: bool, content: &str, at: i64) -> ThreadItem {
    let kind = if is_agent { "agent" } else { "user" };
    let row = json!({"messageId": format!("m{at}"), "authorType": kind, "authorId": author, "content": content,
        "createdAt": at});
    serde_json::from_value(row).unwrap()
}

pub(super) fn tracked(task: Task, thread: Vec<ThreadItem>) -> TrackedTask {
    TrackedTask { task, thread: Some(thread) }
}

pub(super) fn local(day: i64, hour: u16) -> LocalTime {
    LocalTime { day: Day(day), minute: hour * 60 }
}
