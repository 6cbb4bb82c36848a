//! Who follows which task (backend-contract §5.6).

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
    /// The kind that a row names; every word but `agent` means a person.
    pub(crate) fn of(word: &str) -> Self {
        if word == Self::Agent.word() { Self::Agent } else { Self::User }
    }

    /// Its word in rows.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Agent => "agent",
        }
    }
}

/// Somebody who can follow, mention or be told: a person or an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Party {
    /// A person or an agent.
    pub(crate) kind: PartyKind,
    /// Their id.
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

/// The party follows the task from now on, if it did not before.
pub(crate) fn add(tx: &Tx<'_>, task: &Doc<Task>, who: &Party) -> Result<(), StoreError> {
    let key = [Some(task.id.as_str()), Some(who.kind.word()), Some(who.id.as_str())];
    if tx.find::<Subscription>(FOLLOWS, &key).first()?.is_some() {
        return Ok(());
    }
    let subscription = Subscription {
        account_id: task.row.account_id.clone(),
        task_id: task.id.clone(),
        subscriber_type: who.kind.word().to_owned(),
        subscriber_id: who.id.clone(),
        subscribed_at: tx.now(),
    };
    tx.insert(subscription).map(|_| ())
}

/// The party no longer follows the task.
pub(crate) fn remove(tx: &Tx<'_>, task: &Id<Task>, who: &Party) -> Result<(), StoreError> {
    let key = [Some(task.as_str()), Some(who.kind.word()), Some(who.id.as_str())];
    tx.find::<Subscription>(FOLLOWS, &key).rows()?.iter().try_for_each(|row| tx.delete(&row.id))
}

/// Everybody who follows the task, in the order in which they began.
pub(crate) fn all(tx: &Tx<'_>, task: &Id<Task>) -> Result<Vec<Doc<Subscription>>, StoreError> {
    tx.find(FOLLOWERS, &[Some(task.as_str())]).rows()
}

/// The orchestrator follows every task that somebody works on; nobody, where none is set or it is gone.
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

/// After a change of who is on the task: those who left stop following (but the orchestrator), those who came begin.
pub(crate) fn sync(
    tx: &Tx<'_>,
    account: &Doc<Account>,
    task: &Doc<Task>,
    left: &[Party],
    came: &[Party],
) -> Result<(), StoreError> {
    let orchestrator = account.row.settings.orchestrator_agent_id.as_ref();
    for party in left.iter().filter(|party| orchestrator.is_none_or(|id| *id != *party.id)) {
        remove(tx, &task.id, party)?;
    }
    came.iter().try_for_each(|party| add(tx, task, party))?;
    ensure_orchestrator(tx, account, task)
}
