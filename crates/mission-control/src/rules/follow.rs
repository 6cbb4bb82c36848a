//! The followers of a task (backend-contract §5.6).

use super::reach;
use crate::rows::{Account, Subscription, Task};
use crate::store::{Doc, FOLLOWERS, FOLLOWS, Id, StoreError, Tx};

/// Whether a party is a person or an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartyKind {
    /// A person.
    User,
    /// An agent.
    Agent,
}

impl PartyKind {
    /// The kind that a row names. Every word except `agent` means a person.
    pub(crate) fn of(word: &str) -> Self {
        if word == Self::Agent.word() { Self::Agent } else { Self::User }
    }

    /// The word for the kind in rows.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Agent => "agent",
        }
    }
}

/// A person or an agent that can follow tasks, be mentioned and be notified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Party {
    /// Whether this is a person or an agent.
    pub(crate) kind: PartyKind,
    /// The id of the person or agent.
    pub(crate) id: String,
}

impl Party {
    /// An agent.
    pub(crate) fn agent(id: &str) -> Self {
        Self { kind: PartyKind::Agent, id: id.to_owned() }
    }

    /// A person.
    pub(crate) fn user(id: &str) -> Self {
        Self { kind: PartyKind::User, id: id.to_owned() }
    }
}

/// Adds the party to the followers of the task, if it does not follow yet.
pub(crate) fn add(tx: &Tx<'_>, task: &Doc<Task>, party: &Party) -> Result<(), StoreError> {
    let key = [Some(task.id.as_str()), Some(party.kind.word()), Some(party.id.as_str())];
    if tx.find::<Subscription>(FOLLOWS, &key).first()?.is_some() {
        return Ok(());
    }
    let subscription = Subscription {
        account_id: task.row.account_id.clone(),
        task_id: task.id.clone(),
        subscriber_type: party.kind.word().to_owned(),
        subscriber_id: party.id.clone(),
        subscribed_at: tx.now(),
    };
    tx.insert(subscription).map(|_| ())
}

/// Removes the party from the followers of the task.
pub(crate) fn remove(tx: &Tx<'_>, task: &Id<Task>, party: &Party) -> Result<(), StoreError> {
    let key = [Some(task.as_str()), Some(party.kind.word()), Some(party.id.as_str())];
    tx.find::<Subscription>(FOLLOWS, &key).rows()?.iter().try_for_each(|row| tx.delete(&row.id))
}

/// The followers of the task, in the order in which they started to follow.
pub(crate) fn all(tx: &Tx<'_>, task: &Id<Task>) -> Result<Vec<Doc<Subscription>>, StoreError> {
    tx.find(FOLLOWERS, &[Some(task.as_str())]).rows()
}

/// Makes the orchestrator follow a task on which a person or an agent works. Does nothing if no orchestrator is set or
/// it was removed.
pub(crate) fn ensure_orchestrator(
    tx: &Tx<'_>,
    account: &Doc<Account>,
    task: &Doc<Task>,
) -> Result<(), StoreError> {
    match reach::orchestrator(tx, account)? {
        Some(agent) => add(tx, task, &Party::agent(agent.id.as_str())),
        None => Ok(()),
    }
}

/// Updates the followers after a change of assignees. Former assignees stop following, except the orchestrator; new
/// ones start.
pub(crate) fn sync(
    tx: &Tx<'_>,
    account: &Doc<Account>,
    task: &Doc<Task>,
    removed: &[Party],
    added: &[Party],
) -> Result<(), StoreError> {
    let orchestrator = account.row.settings.orchestrator_agent_id.as_ref();
    for party in removed.iter().filter(|party| orchestrator.is_none_or(|id| *id != *party.id)) {
        remove(tx, &task.id, party)?;
    }
    added.iter().try_for_each(|party| add(tx, task, party))?;
    ensure_orchestrator(tx, account, task)
}
