//! Reads the rows that a call is about, with the errors of the contract (backend-contract §2: AGENT, TASK, ORCH).

use crate::Refusal;
use crate::answer::ensure;
use crate::call::Call;
use crate::rows::{Account, Agent, Membership, Task};
use crate::store::{AGENTS, Doc, Id, MEMBERS, StoreError, Tx};
use mcr_model::is_quality;

/// AGENT(x) of the contract.
pub(crate) fn agent(call: &Call<'_>, id: &Id<Agent>) -> Result<Doc<Agent>, Refusal> {
    let Some(agent) = call.tx.get(id)? else {
        return Err(Refusal::thrown("Not found: Agent does not exist"));
    };
    ensure!(agent.row.account_id == *call.account_id(), "Forbidden: Agent belongs to different account");
    Ok(agent)
}

/// TASK(t) of the contract.
pub(crate) fn task(call: &Call<'_>, id: &Id<Task>) -> Result<Doc<Task>, Refusal> {
    let Some(task) = call.tx.get(id)? else { return Err(Refusal::thrown("Not found: Task does not exist")) };
    ensure!(task.row.account_id == *call.account_id(), "Forbidden: Task belongs to different account");
    Ok(task)
}

/// The task if the account has it, for callers that do not refuse.
pub(crate) fn own_task(call: &Call<'_>, id: &Id<Task>) -> Result<Option<Doc<Task>>, StoreError> {
    Ok(call.tx.get(id)?.filter(|task: &Doc<Task>| task.row.account_id == *call.account_id()))
}

/// ORCH("…") of the contract. `what` completes "Only the orchestrator can …".
pub(crate) fn be_orchestrator(call: &Call<'_>, agent: &Doc<Agent>, what: &str) -> Result<(), Refusal> {
    let orchestrator = call.account.row.settings.orchestrator_agent_id.as_ref();
    ensure!(orchestrator == Some(&agent.id), "Forbidden: Only the orchestrator can {what}");
    Ok(())
}

/// The account's orchestrator, if it is set and still exists.
pub(crate) fn orchestrator(tx: &Tx<'_>, account: &Doc<Account>) -> Result<Option<Doc<Agent>>, StoreError> {
    let Some(id) = &account.row.settings.orchestrator_agent_id else { return Ok(None) };
    Ok(tx.get(id)?.filter(|agent: &Doc<Agent>| agent.row.account_id == account.id))
}

/// The account's agents, in the order of their creation.
pub(crate) fn agents(tx: &Tx<'_>, account: &Id<Account>) -> Result<Vec<Doc<Agent>>, StoreError> {
    tx.find(AGENTS, &[Some(account.as_str())]).rows()
}

/// The account's people, in the order in which they joined.
pub(crate) fn members(tx: &Tx<'_>, account: &Id<Account>) -> Result<Vec<Doc<Membership>>, StoreError> {
    tx.find(MEMBERS, &[Some(account.as_str())]).rows()
}

/// The person who acts. The embedded backend has one person: the account's first member.
pub(crate) fn person(call: &Call<'_>) -> Result<Membership, Refusal> {
    let first = call.tx.find::<Membership>(MEMBERS, &[Some(call.account_id().as_str())]).first()?;
    first
        .map(|member| member.row)
        .ok_or_else(|| Refusal::thrown("Forbidden: User is not a member of this account"))
}

/// The person who acts, if that person administers the account (backend-contract §8).
pub(crate) fn admin(call: &Call<'_>) -> Result<Membership, Refusal> {
    let person = person(call)?;
    ensure!(matches!(person.role.as_str(), "owner" | "admin"), "Forbidden: Admin or owner role required");
    Ok(person)
}

/// The label of the chat with the orchestrator.
const CHAT_LABEL: &str = mcr_model::Task::ORCHESTRATOR_CHAT;

/// Whether the task is the chat with the orchestrator (§3.1: by its label or by the setting).
pub(crate) fn is_orchestrator_chat(account: &Doc<Account>, task: &Doc<Task>) -> bool {
    let set = account.row.settings.orchestrator_chat_task_id.as_ref() == Some(&task.id);
    set || task.row.labels.iter().any(|label| label == CHAT_LABEL)
}

/// Whether the agent approves the work of others (§4.5).
pub(crate) fn is_qa(agent: &Agent) -> bool {
    is_quality(&agent.slug, &agent.role)
}
