//! Notifications: who is notified of what (backend-contract §5.3–5.5).

use super::follow::{self, Party, PartyKind};
use super::reach;
use crate::call::Options;
use crate::rows::{Account, Agent, Message, Notification, Preferences, Task};
use crate::store::{Doc, Id, NOTIFIED_OF_TASK, StoreError, THREAD, Tx, WAITING_OF_TASK};

/// After this time, an unanswered request may be repeated.
const REPEAT_AFTER_MS: f64 = 4.0 * 3_600_000.0;

/// The notifications that people can switch off.
#[derive(Clone, Copy)]
enum Switch {
    TaskUpdates,
    AgentActivity,
}

/// Whether the party accepts the notification. Agents always do; people according to the preferences of the account.
fn wanted(account: &Account, party: &Party, switch: Switch) -> bool {
    let chosen = |preferences: &Preferences| match switch {
        Switch::TaskUpdates => preferences.task_updates,
        Switch::AgentActivity => preferences.agent_activity,
    };
    party.kind == PartyKind::Agent || account.settings.notification_preferences.as_ref().is_none_or(chosen)
}

fn insert(
    tx: &Tx<'_>,
    task: &Doc<Task>,
    kind: &str,
    party: &Party,
    message: Option<&Id<Message>>,
    title: String,
    body: String,
) -> Result<Doc<Notification>, StoreError> {
    tx.insert(Notification {
        account_id: task.row.account_id.clone(),
        kind: kind.to_owned(),
        recipient_type: party.kind.word().to_owned(),
        recipient_id: party.id.clone(),
        task_id: Some(task.id.clone()),
        message_id: message.cloned(),
        title,
        body,
        created_at: tx.now(),
        ..Notification::default()
    })
}

/// Notifies an assignee of the assignment.
pub(crate) fn assignment(
    tx: &Tx<'_>,
    account: &Doc<Account>,
    task: &Doc<Task>,
    party: &Party,
    assigner: &str,
) -> Result<(), StoreError> {
    if wanted(&account.row, party, Switch::TaskUpdates) {
        let (title, body) =
            (format!("{assigner} assigned you"), format!("You were assigned to task \"{}\"", task.row.title));
        insert(tx, task, "assignment", party, None, title, body)?;
    }
    Ok(())
}

/// Notifies the party that a task has changed to its current status.
pub(crate) fn status_change(
    tx: &Tx<'_>,
    account: &Doc<Account>,
    task: &Doc<Task>,
    party: &Party,
    changer: &str,
) -> Result<(), StoreError> {
    if wanted(&account.row, party, Switch::TaskUpdates) {
        let status = &task.row.status;
        let title = format!("Task status changed to {status}");
        let body = format!("{changer} changed \"{}\" to {status}", task.row.title);
        insert(tx, task, "status_change", party, None, title, body)?;
    }
    Ok(())
}

/// Notifies the party of a mention in a message.
pub(crate) fn mention(
    tx: &Tx<'_>,
    account: &Doc<Account>,
    task: &Doc<Task>,
    message: &Id<Message>,
    party: &Party,
    author: &str,
) -> Result<(), StoreError> {
    if wanted(&account.row, party, Switch::AgentActivity) {
        let (title, body) =
            (format!("{author} mentioned you"), format!("You were mentioned in task \"{}\"", task.row.title));
        insert(tx, task, "mention", party, Some(message), title, body)?;
    }
    Ok(())
}

/// The properties of a message that `thread_update` needs.
pub(crate) struct Posted<'a> {
    /// The message's id.
    pub(crate) id: &'a Id<Message>,
    /// The author of the message.
    pub(crate) author: &'a Party,
    /// The author's name.
    pub(crate) author_name: &'a str,
    /// The ids of all mentioned parties, notified or not.
    pub(crate) mentioned: &'a [String],
    /// Whether at least one agent is notified of a mention.
    pub(crate) names_agents: bool,
    /// Whether agents are not notified of this message.
    pub(crate) suppressed: bool,
    /// Whether the rules for the chat with the orchestrator apply.
    pub(crate) in_chat: bool,
}

/// Notifies the followers of a thread of a new message, by the rules of §5.4.
pub(crate) fn thread_update(
    tx: &Tx<'_>,
    account: &Doc<Account>,
    task: &Doc<Task>,
    posted: &Posted<'_>,
    options: Options,
) -> Result<(), StoreError> {
    let orchestrator = account.row.settings.orchestrator_agent_id.as_ref().map(Id::as_str);
    let is_inactive = matches!(task.row.status.as_str(), "done" | "blocked");
    for row in follow::all(tx, &task.id)? {
        let party = Party { kind: PartyKind::of(&row.row.subscriber_type), id: row.row.subscriber_id };
        let is_orchestrator = orchestrator == Some(party.id.as_str());
        // In the chat with the orchestrator, only the orchestrator is notified. Mentions of others have no effect.
        let is_not_addressed = if posted.in_chat { !is_orchestrator } else { posted.names_agents };
        let agent_is_excluded =
            party.kind == PartyKind::Agent && (is_not_addressed || is_inactive || posted.suppressed);
        if agent_is_excluded
            || party == *posted.author
            || posted.mentioned.contains(&party.id)
            || !wanted(&account.row, &party, Switch::AgentActivity)
        {
            continue;
        }
        let title = format!("{} replied", posted.author_name);
        let body = format!("New message in task \"{}\"", task.row.title);
        if party.kind == PartyKind::Agent
            && merge_into_undelivered(tx, task, &party, posted.id, &title, &body, options)?
        {
            continue;
        }
        insert(tx, task, "thread_update", &party, Some(posted.id), title, body)?;
    }
    Ok(())
}

/// Adds the newer message to an agent's undelivered update of the same task, instead of creating a second row. The
/// original does so even if that row is being delivered, and thereby loses the message (contract D1).
fn merge_into_undelivered(
    tx: &Tx<'_>,
    task: &Doc<Task>,
    party: &Party,
    message: &Id<Message>,
    title: &str,
    body: &str,
    options: Options,
) -> Result<bool, StoreError> {
    let key = [Some(task.id.as_str()), Some(party.id.as_str()), Some("thread_update"), None];
    let rows = tx.find::<Notification>(WAITING_OF_TASK, &key).newest_first().rows()?;
    let in_delivery = |row: &Notification| row.read_at.is_some() && row.delivery_ended_at.is_none();
    let undelivered = rows.into_iter().find(|row| options.original || !in_delivery(&row.row));
    let Some(mut row) = undelivered else { return Ok(false) };
    row.row.message_id = Some(message.clone());
    title.clone_into(&mut row.row.title);
    body.clone_into(&mut row.row.body);
    row.row.created_at = tx.now();
    tx.put(&row)?;
    Ok(true)
}

/// Notifies an agent that another agent requests a response. Creates nothing while an earlier request is pending
/// (§5.5).
pub(crate) fn response_request(
    tx: &Tx<'_>,
    task: &Doc<Task>,
    recipient: &Doc<Agent>,
    requester: &str,
    message: &str,
) -> Result<Option<Doc<Notification>>, StoreError> {
    let key = [Some(task.id.as_str()), Some(recipient.id.as_str()), Some("response_request")];
    let newest = tx.find::<Notification>(NOTIFIED_OF_TASK, &key).newest_first().first()?;
    if let Some(earlier) = newest {
        let answered = answered_since(tx, task, recipient, earlier.row.created_at)?;
        let may_repeat =
            earlier.row.delivered_at.is_some() && tx.now() - earlier.row.created_at >= REPEAT_AFTER_MS;
        if !answered && !may_repeat {
            return Ok(None);
        }
    }
    let party = Party::agent(recipient.id.as_str());
    let title = format!("{requester} requested a response");
    insert(tx, task, "response_request", &party, None, title, message.to_owned()).map(Some)
}

/// Whether the agent has written in the task's thread after a point in time.
fn answered_since(tx: &Tx<'_>, task: &Doc<Task>, agent: &Doc<Agent>, since: f64) -> Result<bool, StoreError> {
    let thread = tx.find::<Message>(THREAD, &[Some(task.id.as_str())]).newest_first();
    thread.created_after(since.floor() - 1.0).any(|message| {
        let row = &message.row;
        row.author_type == "agent" && agent.id == *row.author_id.as_str() && row.created_at > since
    })
}

/// Notifies every person that the account's runtime went offline or came back, regardless of their preferences
/// (§2.1).
pub(crate) fn runtime(
    tx: &Tx<'_>,
    account: &Doc<Account>,
    title: &str,
    body: &str,
) -> Result<(), StoreError> {
    let mut notified: Vec<String> = Vec::new();
    for member in reach::members(tx, &account.id)? {
        if notified.contains(&member.row.user_id) {
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
        notified.push(member.row.user_id);
    }
    Ok(())
}
