//! The assignees of a task, and the effects of changing them (backend-contract §2.16–2.18, §5.6, §8).

use super::follow::{self, Party};
use super::notify;
use crate::Refusal;
use crate::call::Call;
use crate::rows::{Agent, Task};
use crate::store::{Doc, Id, StoreError};
use mcr_model::Assignees;

/// Whether the task has an assignee, as the workflow requires it.
pub(crate) fn any(task: &Task) -> Assignees {
    if task.assigned_user_ids.is_empty() && task.assigned_agent_ids.is_empty() {
        Assignees::None
    } else {
        Assignees::Some
    }
}

/// All assignees without duplicates: people, then agents.
pub(crate) fn all(task: &Task) -> Vec<Party> {
    let people = task.assigned_user_ids.iter().map(|id| Party::user(id));
    let agents = task.assigned_agent_ids.iter().map(|id| Party::agent(id.as_str()));
    let mut all = Vec::new();
    for party in people.chain(agents) {
        if !all.contains(&party) {
            all.push(party);
        }
    }
    all
}

/// The account's agent with this id, if it exists.
pub(crate) fn own_agent(call: &Call<'_>, id: &Id<Agent>) -> Result<Option<Doc<Agent>>, StoreError> {
    Ok(call.tx.get(id)?.filter(|agent| agent.row.account_id == *call.account_id()))
}

/// Refuses agents of other accounts with `Invalid agent: <id>`, then `tail`.
pub(crate) fn check_agents(call: &Call<'_>, ids: &[Id<Agent>], tail: &str) -> Result<(), Refusal> {
    for id in ids {
        if own_agent(call, id)?.is_none() {
            return Err(Refusal::thrown(format!("Invalid agent: {id}{tail}")));
        }
    }
    Ok(())
}

/// Refuses people who are not members of the account.
pub(crate) fn check_users(call: &Call<'_>, ids: &[String]) -> Result<(), Refusal> {
    let members = super::reach::members(call.tx, call.account_id())?;
    let unknown = ids.iter().find(|id| !members.iter().any(|member| member.row.user_id == **id));
    unknown.map_or(Ok(()), |id| {
        Err(Refusal::thrown(format!("Invalid user: {id} is not a member of this account")))
    })
}

/// Replaces the assignee lists that are given, and updates the followers. Returns the new assignees. The caller
/// writes the task.
pub(crate) fn replace(
    call: &Call<'_>,
    task: &mut Doc<Task>,
    users: Option<Vec<String>>,
    agents: Option<Vec<Id<Agent>>>,
) -> Result<Vec<Party>, StoreError> {
    let before = all(&task.row);
    if let Some(users) = users {
        task.row.assigned_user_ids = users;
    }
    if let Some(agents) = agents {
        task.row.assigned_agent_ids = agents;
    }
    let after = all(&task.row);
    let removed: Vec<Party> = before.iter().filter(|party| !after.contains(party)).cloned().collect();
    let added: Vec<Party> = after.into_iter().filter(|party| !before.contains(party)).collect();
    follow::sync(call.tx, &call.account, task, &removed, &added)?;
    Ok(added)
}

/// Notifies the new assignees.
pub(crate) fn notify_added(
    call: &Call<'_>,
    task: &Doc<Task>,
    added: &[Party],
    assigner: &str,
) -> Result<(), StoreError> {
    added.iter().try_for_each(|party| notify::assignment(call.tx, &call.account, task, party, assigner))
}
