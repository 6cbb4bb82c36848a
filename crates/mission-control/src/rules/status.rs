//! Changes of a task's status (backend-contract §4.4–4.5). [`mcr_model`] contains the table, the requirements and the
//! paths of agents through the table. This module applies a step to the task and notifies its assignees.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::activity::{self, Actor, Target};
use super::assignees;
use super::follow::Party;
use super::{notify, reach, sessions};
use crate::Refusal;
use crate::answer::ensure;
use crate::call::Call;
use crate::rows::{Agent, Membership, Task};
use crate::store::{Doc, Id, StoreError};
use crate::validate::Is;
use mcr_model::{TaskStatus, Word, may_move, plan_for_agent, requirement};

/// The argument for a status.
pub(crate) const STATUS: Is =
    Is::OneOf(&["inbox", "assigned", "in_progress", "review", "done", "blocked", "archived"]);

/// The status of a task.
pub(crate) fn of(task: &Doc<Task>) -> Result<TaskStatus, StoreError> {
    let status = &task.row.status;
    status.parse().map_err(|()| StoreError::Fault(format!("task {}: no such status: {status}", task.id)))
}

/// For `#[serde(deserialize_with)]` on a status that was validated.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<TaskStatus, D::Error> {
    let word = Word::<TaskStatus>::deserialize(from)?;
    word.known().ok_or_else(|| serde::de::Error::custom("no such status"))
}

/// Like [`deserialize`], for an argument that may be absent.
pub(crate) fn deserialize_optional<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<TaskStatus>, D::Error> {
    deserialize(from).map(Some)
}

/// Whether a step is announced.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Announcement {
    /// Assignees are notified, and the activity log records the step.
    Full,
    /// An intermediate step: no notification, no activity.
    Silent,
}

/// Moves a task to a status on behalf of an agent, in as many steps as necessary (§2.15, §4.3). Returns whether the
/// status changed.
pub(crate) fn drive(
    call: &Call<'_>,
    agent: &Doc<Agent>,
    task: &mut Doc<Task>,
    to: TaskStatus,
    reason: Option<&str>,
) -> Result<bool, Refusal> {
    let steps = plan_for_agent(of(task)?, to).map_err(|why| Refusal::thrown(why.to_string()))?;
    for (at, &step) in steps.iter().enumerate() {
        let announcement = if at + 1 == steps.len() { Announcement::Full } else { Announcement::Silent };
        step_by_agent(call, agent, task, step, reason, announcement)?;
    }
    Ok(!steps.is_empty())
}

/// Makes one step on behalf of an agent (§4.4).
fn step_by_agent(
    call: &Call<'_>,
    agent: &Doc<Agent>,
    task: &mut Doc<Task>,
    to: TaskStatus,
    reason: Option<&str>,
    announcement: Announcement,
) -> Result<(), Refusal> {
    let from = of(task)?;
    if from == to {
        return Ok(());
    }
    if to == TaskStatus::Done {
        check_approval(call, agent)?;
    }
    step(call, task, from, to, reason)?;
    if announcement == Announcement::Full {
        notify_assignees(call, task, &agent.row.name, Some(&agent.id))?;
        let meta = meta(task, from, to, &[]);
        activity::record(
            call.tx,
            call.account_id(),
            "task_status_changed",
            &Actor::agent(agent),
            &Target::task(task),
            Some(meta),
        )?;
    }
    Ok(())
}

/// Refuses an agent that may not mark a task as done (§4.5). If the account has QA agents, only they may; otherwise
/// only the orchestrator may.
fn check_approval(call: &Call<'_>, agent: &Doc<Agent>) -> Result<(), Refusal> {
    let agents = reach::agents(call.tx, call.account_id())?;
    if agents.iter().any(|agent| reach::is_qa(&agent.row)) {
        ensure!(reach::is_qa(&agent.row), "Forbidden: QA must approve and mark tasks as done");
        return Ok(());
    }
    let is_set = call.account.row.settings.orchestrator_agent_id.is_some();
    ensure!(is_set, "Forbidden: Orchestrator must be set to mark tasks as done");
    reach::be_orchestrator(call, agent, "mark tasks as done")
}

/// Moves a task on behalf of a person (§8): one step of the table, without the approval rule. All assignees are
/// notified, including the person.
pub(crate) fn move_by_person(
    call: &Call<'_>,
    person: &Membership,
    task: &mut Doc<Task>,
    to: TaskStatus,
    reason: Option<&str>,
) -> Result<(), Refusal> {
    let from = of(task)?;
    if to == TaskStatus::Archived {
        task.row.archived_at = Some(call.now());
    }
    step(call, task, from, to, reason)?;
    notify_assignees(call, task, &person.user_name, None)?;
    record_by_person(call, person, task, from, &[])
}

/// Records in the activity log that a person changed the status, with further details.
pub(crate) fn record_by_person(
    call: &Call<'_>,
    person: &Membership,
    task: &Doc<Task>,
    from: TaskStatus,
    details: &[(&str, Value)],
) -> Result<(), Refusal> {
    let meta = meta(task, from, of(task)?, details);
    activity::record(
        call.tx,
        call.account_id(),
        "task_status_changed",
        &Actor::person(person),
        &Target::task(task),
        Some(meta),
    )?;
    Ok(())
}

/// Makes one step: checks the table and the requirements, then changes the task.
fn step(
    call: &Call<'_>,
    task: &mut Doc<Task>,
    from: TaskStatus,
    to: TaskStatus,
    reason: Option<&str>,
) -> Result<(), Refusal> {
    ensure!(may_move(from, to), "Invalid transition: Cannot move from '{from}' to '{to}'");
    if let Some(unmet) = requirement(to, assignees::any(&task.row), reason.unwrap_or_default()) {
        return Err(Refusal::thrown(format!("Invalid status change: {unmet}")));
    }
    if to == TaskStatus::Blocked {
        task.row.blocked_reason = reason.map(ToOwned::to_owned);
    } else if from == TaskStatus::Blocked {
        task.row.blocked_reason = None;
    }
    set(call, task, to)?;
    Ok(())
}

/// Sets the status without checking the table.
pub(crate) fn set(call: &Call<'_>, task: &mut Doc<Task>, to: TaskStatus) -> Result<(), StoreError> {
    to.as_str().clone_into(&mut task.row.status);
    task.row.updated_at = call.now();
    call.tx.put(task)?;
    match to {
        TaskStatus::Archived => sessions::close_of_task(call.tx, &task.id, "task_archived"),
        TaskStatus::Inbox
        | TaskStatus::Assigned
        | TaskStatus::InProgress
        | TaskStatus::Review
        | TaskStatus::Done
        | TaskStatus::Blocked => Ok(()),
    }
}

/// Notifies the assignees of the new status: people, and agents that still exist, except the agent that changed it.
pub(crate) fn notify_assignees(
    call: &Call<'_>,
    task: &Doc<Task>,
    changer: &str,
    without: Option<&Id<Agent>>,
) -> Result<(), StoreError> {
    let people = task.row.assigned_user_ids.iter().map(|id| Party::user(id));
    let mut recipients: Vec<Party> = people.collect();
    for id in task.row.assigned_agent_ids.iter().filter(|id| Some(*id) != without) {
        if call.tx.get(id)?.is_some() {
            recipients.push(Party::agent(id.as_str()));
        }
    }
    recipients
        .iter()
        .try_for_each(|party| notify::status_change(call.tx, &call.account, task, party, changer))
}

/// `{oldStatus, newStatus, blockedReason?}` and the further details.
fn meta(task: &Doc<Task>, from: TaskStatus, to: TaskStatus, details: &[(&str, Value)]) -> Value {
    let mut meta = Map::new();
    meta.insert("oldStatus".to_owned(), json!(from));
    meta.insert("newStatus".to_owned(), json!(to));
    let reason = task.row.blocked_reason.as_ref().filter(|_| to == TaskStatus::Blocked);
    meta.extend(reason.map(|reason| ("blockedReason".to_owned(), json!(reason))));
    meta.extend(details.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    Value::Object(meta)
}
