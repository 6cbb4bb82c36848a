//! A task moves on (backend-contract §4.4–4.5). The table, the requirements and the agents' ways through it stand in
//! [`mcr_model`]; here is what a step does to the task and to everybody on it.

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

/// An argument that is a status.
pub(crate) const STATUS: Is =
    Is::OneOf(&["inbox", "assigned", "in_progress", "review", "done", "blocked", "archived"]);

/// Where a task stands.
pub(crate) fn of(task: &Doc<Task>) -> Result<TaskStatus, StoreError> {
    let status = &task.row.status;
    status.parse().map_err(|()| StoreError::Fault(format!("task {}: no such status: {status}", task.id)))
}

/// For `#[serde(deserialize_with)]`: a status that was validated.
pub(crate) fn word<'de, D: Deserializer<'de>>(from: D) -> Result<TaskStatus, D::Error> {
    let word = Word::<TaskStatus>::deserialize(from)?;
    word.known().ok_or_else(|| serde::de::Error::custom("no such status"))
}

/// The same for an argument that may be absent.
pub(crate) fn maybe_word<'de, D: Deserializer<'de>>(from: D) -> Result<Option<TaskStatus>, D::Error> {
    word(from).map(Some)
}

/// Whether the world hears of a step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Voice {
    /// Everybody on the task is told, and it is written down.
    Loud,
    /// An intermediate step: neither.
    Silent,
}

/// An agent brings a task to a status, by as many steps as it takes (§2.15, §4.3); whether it moved at all.
pub(crate) fn drive(
    call: &Call<'_>,
    agent: &Doc<Agent>,
    task: &mut Doc<Task>,
    to: TaskStatus,
    reason: Option<&str>,
) -> Result<bool, Refusal> {
    let steps = plan_for_agent(of(task)?, to).map_err(|why| Refusal::thrown(why.to_string()))?;
    for (at, &step) in steps.iter().enumerate() {
        let voice = if at + 1 == steps.len() { Voice::Loud } else { Voice::Silent };
        step_by_agent(call, agent, task, step, reason, voice)?;
    }
    Ok(!steps.is_empty())
}

/// One step by an agent (§4.4).
fn step_by_agent(
    call: &Call<'_>,
    agent: &Doc<Agent>,
    task: &mut Doc<Task>,
    to: TaskStatus,
    reason: Option<&str>,
    voice: Voice,
) -> Result<(), Refusal> {
    let from = of(task)?;
    if from == to {
        return Ok(());
    }
    if to == TaskStatus::Done {
        may_approve(call, agent)?;
    }
    step(call, task, from, to, reason)?;
    if voice == Voice::Loud {
        tell_assigned(call, task, &agent.row.name, Some(&agent.id))?;
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

/// Who may mark a task as done (§4.5): where there is somebody for quality, only they; otherwise the orchestrator.
fn may_approve(call: &Call<'_>, agent: &Doc<Agent>) -> Result<(), Refusal> {
    let agents = reach::agents(call.tx, call.account_id())?;
    if agents.iter().any(|agent| reach::is_qa(&agent.row)) {
        ensure!(reach::is_qa(&agent.row), "Forbidden: QA must approve and mark tasks as done");
        return Ok(());
    }
    let is_set = call.account.row.settings.orchestrator_agent_id.is_some();
    ensure!(is_set, "Forbidden: Orchestrator must be set to mark tasks as done");
    reach::be_orchestrator(call, agent, "mark tasks as done")
}

/// A person moves a task (§8): one step of the table, without the rule of who approves. Whoever is on the task is
/// told, the person, too.
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
    tell_assigned(call, task, &person.user_name, None)?;
    record_by_person(call, person, task, from, &[])
}

/// Writes down that a person moved the task here; with further details.
pub(crate) fn record_by_person(
    call: &Call<'_>,
    person: &Membership,
    task: &Doc<Task>,
    from: TaskStatus,
    more: &[(&str, Value)],
) -> Result<(), Refusal> {
    let meta = meta(task, from, of(task)?, more);
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

/// The step itself: table, requirements, what changes.
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

/// The task stands there from now on, whatever the table says.
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

/// Everybody on the task learns where it stands now: its people, and those of its agents that still exist, without
/// the one that moved it.
pub(crate) fn tell_assigned(
    call: &Call<'_>,
    task: &Doc<Task>,
    changer: &str,
    without: Option<&Id<Agent>>,
) -> Result<(), StoreError> {
    let people = task.row.assigned_user_ids.iter().map(|id| Party::user(id));
    let mut told: Vec<Party> = people.collect();
    for id in task.row.assigned_agent_ids.iter().filter(|id| Some(*id) != without) {
        if call.tx.get(id)?.is_some() {
            told.push(Party::agent(id.as_str()));
        }
    }
    told.iter().try_for_each(|who| notify::status_change(call.tx, &call.account, task, who, changer))
}

/// `{oldStatus, newStatus, blockedReason?}` and what else there is to say.
fn meta(task: &Doc<Task>, from: TaskStatus, to: TaskStatus, more: &[(&str, Value)]) -> Value {
    let mut meta = Map::new();
    meta.insert("oldStatus".to_owned(), json!(from));
    meta.insert("newStatus".to_owned(), json!(to));
    let reason = task.row.blocked_reason.as_ref().filter(|_| to == TaskStatus::Blocked);
    meta.extend(reason.map(|reason| ("blockedReason".to_owned(), json!(reason))));
    meta.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    Value::Object(meta)
}
