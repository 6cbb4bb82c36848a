//! The activity log: what happened in an account, and who did it (backend-contract §3.7).

use serde_json::Value;

use crate::rows::{Account, Activity, Agent, Membership, Task};
use crate::store::{Doc, Id, StoreError, Tx};

/// Who acted.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    /// `user`, `agent` or `system`.
    pub(crate) kind: &'static str,
    /// Their id.
    pub(crate) id: String,
    /// Their name.
    pub(crate) name: String,
}

impl Actor {
    /// An agent.
    pub(crate) fn agent(agent: &Doc<Agent>) -> Self {
        Self { kind: "agent", id: agent.id.to_string(), name: agent.row.name.clone() }
    }

    /// A person.
    pub(crate) fn person(member: &Membership) -> Self {
        Self { kind: "user", id: member.user_id.clone(), name: member.user_name.clone() }
    }

    /// The backend itself, for changes without an author.
    pub(crate) fn system() -> Self {
        Self { kind: "system", id: "system".to_owned(), name: "System".to_owned() }
    }
}

/// The object of an activity.
pub(crate) struct Target<'a> {
    /// `task`, `message`, `document`, `agent`, `account`, `membership`.
    pub(crate) kind: &'static str,
    /// Its id.
    pub(crate) id: &'a str,
    /// Its name, if it has one.
    pub(crate) name: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// A task.
    pub(crate) fn task(task: &'a Doc<Task>) -> Self {
        Self { kind: "task", id: task.id.as_str(), name: Some(&task.row.title) }
    }
}

/// Records that `actor` did `kind` to `target`.
pub(crate) fn record(
    tx: &Tx<'_>,
    account: &Id<Account>,
    kind: &str,
    actor: &Actor,
    target: &Target<'_>,
    meta: Option<Value>,
) -> Result<(), StoreError> {
    let activity = Activity {
        account_id: account.clone(),
        kind: kind.to_owned(),
        actor_type: actor.kind.to_owned(),
        actor_id: actor.id.clone(),
        actor_name: actor.name.clone(),
        target_type: target.kind.to_owned(),
        target_id: target.id.to_owned(),
        target_name: target.name.map(ToOwned::to_owned),
        meta,
        created_at: tx.now(),
    };
    tx.insert(activity).map(|_| ())
}
