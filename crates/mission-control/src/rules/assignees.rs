//! Who is on a task, and what a change of that brings (backend-contract §2.16–2.18, §5.6, §8).

use super::follow::{self, Party};
use super::notify;
use crate::Refusal;
use crate::call::Call;
use crate::rows::{Agent, Task};
use crate::store::{Doc, Id, StoreError};
use mcr_model::Assignees;

/// Whether anybody is on it, as the workflow asks.
pub(crate) fn any(task: &Task) -> Assignees {
    if task.assigned_user_ids.is_empty() && task.assigned_agent_ids.is_empty() {
        Assignees::None
    } else {
        Assignees::Some
    }
}

/// Everybody on it, each once: people, then agents.
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

/// The account's agent of this id, if there is one.
pub(crate) fn own_agent(call: &Call<'_>, id: &Id<Agent>) -> Result<Option<Doc<Agent>>, StoreError> {
    Ok(call.tx.get(id)?.filter(|agent| agent.row.account_id == *call.account_id()))
}

/// Refuses agents that the account does not have: `Invalid agent: <id>`, then `tail`.
pub(crate) fn check_agents(call: &Call<'_>, ids: &[Id<Agent>], tail: &str) -> Result<(), Refusal> {
    for id in ids {
        if own_agent(call, id)?.is_none() {
            return Err(Refusal::thrown(format!("Invalid agent: {id}{tail}")));
        }
    }
    Ok(())
}

/// Refuses people that the account does not have.
pub(crate) fn check_users(call: &Call<'_>, ids: &[String]) -> Result<(), Refusal> {
    let members = super::reach::members(call.tx, call.account_id())?;
    let stranger = ids.iter().find(|id| !members.iter().any(|member| member.row.user_id == **id));
    stranger.map_or(Ok(()), |id| {
        Err(Refusal::thrown(format!("Invalid user: {id} is not a member of this account")))
    })
}

/// Puts other lists in the place of those that are given, and keeps the followers in step. Whoever is new on the task
/// comes back. The caller writes the task.
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
    let left: Vec<Party> = before.iter().filter(|party| !after.contains(party)).cloned().collect();
    let came: Vec<Party> = after.into_iter().filter(|party| !before.contains(party)).collect();
    follow::sync(call.tx, &call.account, task, &left, &came)?;
    Ok(came)
}

/// Tells everybody who is new on the task.
pub(crate) fn tell(
    call: &Call<'_>,
    task: &Doc<Task>,
    came: &[Party],
    assigner: &str,
) -> Result<(), StoreError> {
    came.iter().try_for_each(|who| notify::assignment(call.tx, &call.account, task, who, assigner))
}
