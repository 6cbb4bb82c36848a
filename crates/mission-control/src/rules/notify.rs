//! Who is told what (backend-contract §5.3–5.5).

use super::follow::{self, Party, PartyKind};
use super::reach;
use crate::call::Options;
use crate::rows::{Account, Agent, Message, Notification, Preferences, Task};
use crate::store::{Doc, Id, StoreError, THREAD, TOLD_OF_TASK, Tx, WAITING_OF_TASK};

/// After this long an unanswered request may be made again.
const ASK_AGAIN_AFTER_MS: f64 = 4.0 * 3_600_000.0;

/// What people can switch off.
#[derive(Clone, Copy)]
enum Switch {
    TaskUpdates,
    AgentActivity,
}

/// Whether somebody wants to be told: agents always, people as they have chosen for the account.
fn wanted(account: &Account, who: &Party, switch: Switch) -> bool {
    let chosen = |preferences: &Preferences| match switch {
        Switch::TaskUpdates => preferences.task_updates,
        Switch::AgentActivity => preferences.agent_activity,
    };
    who.kind == PartyKind::Agent || account.settings.notification_preferences.as_ref().is_none_or(chosen)
}

fn tell(
    tx: &Tx<'_>,
    task: &Doc<Task>,
    kind: &str,
    who: &Party,
    message: Option<&Id<Message>>,
    title: String,
    body: String,
) -> Result<Doc<Notification>, StoreError> {
    tx.insert(Notification {
        account_id: task.row.account_id.clone(),
        kind: kind.to_owned(),
        recipient_type: who.kind.word().to_owned(),
        recipient_id: who.id.clone(),
        task_id: Some(task.id.clone()),
        message_id: message.cloned(),
        title,
        body,
        created_at: tx.now(),
        ..Notification::default()
    })
}

/// They were put on a task.
pub(crate) fn assignment(
    tx: &Tx<'_>,
    account: &Doc<Account>,
    task: &Doc<Task>,
    who: &Party,
    assigner: &str,
) -> Result<(), StoreError> {
    if wanted(&account.row, who, Switch::TaskUpdates) {
        let (title, body) =
            (format!("{assigner} assigned you"), format!("You were assigned to task \"{}\"", task.row.title));
        tell(tx, task, "assignment", who, None, title, body)?;
    }
    Ok(())
}

/// A task changed its status (to the one it has now).
pub(crate) fn status_change(
    tx: &Tx<'_>,
    account: &Doc<Account>,
    task: &Doc<Task>,
    who: &Party,
    changer: &str,
) -> Result<(), StoreError> {
    if wanted(&account.row, who, Switch::TaskUpdates) {
        let status = &task.row.status;
        let title = format!("Task status changed to {status}");
        let body = format!("{changer} changed \"{}\" to {status}", task.row.title);
        tell(tx, task, "status_change", who, None, title, body)?;
    }
    Ok(())
}

/// They were named in a message.
pub(crate) fn mention(
    tx: &Tx<'_>,
    account: &Doc<Account>,
    task: &Doc<Task>,
    message: &Id<Message>,
    who: &Party,
    author: &str,
) -> Result<(), StoreError> {
    if wanted(&account.row, who, Switch::AgentActivity) {
        let (title, body) =
            (format!("{author} mentioned you"), format!("You were mentioned in task \"{}\"", task.row.title));
        tell(tx, task, "mention", who, Some(message), title, body)?;
    }
    Ok(())
}

/// What `thread_update` needs to know of a message.
pub(crate) struct Posted<'a> {
    /// The message.
    pub(crate) id: &'a Id<Message>,
    /// Who wrote it.
    pub(crate) author: &'a Party,
    /// Their name.
    pub(crate) author_name: &'a str,
    /// Everybody it names, told or not.
    pub(crate) mentioned: &'a [String],
    /// Whether at least one agent is told by name.
    pub(crate) names_agents: bool,
    /// Whether agents shall learn nothing of it.
    pub(crate) suppressed: bool,
    /// Whether the rules for the talk with the orchestrator hold.
    pub(crate) in_chat: bool,
}

/// A thread went on: whoever follows it is told, by the rules of §5.4.
pub(crate) fn thread_update(
    tx: &Tx<'_>,
    account: &Doc<Account>,
    task: &Doc<Task>,
    posted: &Posted<'_>,
    options: Options,
) -> Result<(), StoreError> {
    let orchestrator = account.row.settings.orchestrator_agent_id.as_ref().map(Id::as_str);
    let asleep = matches!(task.row.status.as_str(), "done" | "blocked");
    for row in follow::all(tx, &task.id)? {
        let who = Party { kind: PartyKind::of(&row.row.subscriber_type), id: row.row.subscriber_id };
        let is_orchestrator = orchestrator == Some(who.id.as_str());
        // In the talk with the orchestrator only the orchestrator is told, and a mention of others changes nothing.
        let by_place = if posted.in_chat { !is_orchestrator } else { posted.names_agents };
        let agent_is_left_out = who.kind == PartyKind::Agent && (by_place || asleep || posted.suppressed);
        if agent_is_left_out
            || who == *posted.author
            || posted.mentioned.contains(&who.id)
            || !wanted(&account.row, &who, Switch::AgentActivity)
        {
            continue;
        }
        let title = format!("{} replied", posted.author_name);
        let body = format!("New message in task \"{}\"", task.row.title);
        if who.kind == PartyKind::Agent
            && fold_into_waiting(tx, task, &who, posted.id, &title, &body, options)?
        {
            continue;
        }
        tell(tx, task, "thread_update", &who, Some(posted.id), title, body)?;
    }
    Ok(())
}

/// An agent's undelivered update of the same task takes the newer message in, instead of a second row. The original
/// does so even to a row that is being worked on, and thereby swallows the message (contract D1).
fn fold_into_waiting(
    tx: &Tx<'_>,
    task: &Doc<Task>,
    who: &Party,
    message: &Id<Message>,
    title: &str,
    body: &str,
    options: Options,
) -> Result<bool, StoreError> {
    let key = [Some(task.id.as_str()), Some(who.id.as_str()), Some("thread_update"), None];
    let rows = tx.find::<Notification>(WAITING_OF_TASK, &key).newest_first().rows()?;
    let at_work = |row: &Notification| row.read_at.is_some() && row.delivery_ended_at.is_none();
    let waiting = rows.into_iter().find(|row| options.original || !at_work(&row.row));
    let Some(mut row) = waiting else { return Ok(false) };
    row.row.message_id = Some(message.clone());
    title.clone_into(&mut row.row.title);
    body.clone_into(&mut row.row.body);
    row.row.created_at = tx.now();
    tx.put(&row)?;
    Ok(true)
}

/// Another agent wants an answer; nothing is created while an earlier request waits (§5.5).
pub(crate) fn response_request(
    tx: &Tx<'_>,
    task: &Doc<Task>,
    recipient: &Doc<Agent>,
    requester: &str,
    message: &str,
) -> Result<Option<Doc<Notification>>, StoreError> {
    let key = [Some(task.id.as_str()), Some(recipient.id.as_str()), Some("response_request")];
    let newest = tx.find::<Notification>(TOLD_OF_TASK, &key).newest_first().first()?;
    if let Some(asked) = newest {
        let answered = answered_since(tx, task, recipient, asked.row.created_at)?;
        let cooled =
            asked.row.delivered_at.is_some() && tx.now() - asked.row.created_at >= ASK_AGAIN_AFTER_MS;
        if !answered && !cooled {
            return Ok(None);
        }
    }
    let who = Party::agent(recipient.id.as_str());
    let title = format!("{requester} requested a response");
    tell(tx, task, "response_request", &who, None, title, message.to_owned()).map(Some)
}

/// Whether the agent has written in the task's thread after an instant.
fn answered_since(tx: &Tx<'_>, task: &Doc<Task>, agent: &Doc<Agent>, since: f64) -> Result<bool, StoreError> {
    let thread = tx.find::<Message>(THREAD, &[Some(task.id.as_str())]).newest_first();
    thread.created_after(since.floor() - 1.0).any(|message| {
        let row = &message.row;
        row.author_type == "agent" && agent.id == *row.author_id.as_str() && row.created_at > since
    })
}

/// The account's runtime came or went: every person is told, whatever they have chosen (§2.1).
pub(crate) fn runtime(
    tx: &Tx<'_>,
    account: &Doc<Account>,
    title: &str,
    body: &str,
) -> Result<(), StoreError> {
    let mut told: Vec<String> = Vec::new();
    for member in reach::members(tx, &account.id)? {
        if told.contains(&member.row.user_id) {
            continue;
        }
        tx.insert(Notification {
            account_id: account.id.clone(),
            kind: "status_change".to_owned(),
            recipient_type: "user".to_owned(),
            recipient_id: member.row.user_id.clone(),
            title: title.to_owned(),
            body: body.to_owned(),
            created_at: tx.now(),
            ..Notification::default()
        })?;
        told.push(member.row.user_id);
    }
    Ok(())
}
