//! Sessions of agents, and the keys that name them (backend-contract §6).

use crate::rows::{Account, Agent, Session, Task};
use crate::store::{
    Doc, Id, SESSIONS, SESSIONS_OF_AGENT, SESSIONS_OF_SLUG, SESSIONS_OF_TASK, StoreError, Tx,
};
use mcr_model::{AccountId, SessionKey, TaskId};

/// The key of the agent's session on this task, or of its main session. Opens a session if none is open.
///
/// A key contains the agent's slug. Therefore its generation is new among all sessions with this slug, including
/// those of other agents. An agent that takes over a slug must not get the key of its previous owner, because agents
/// authenticate with the key.
pub(crate) fn ensure(
    tx: &Tx<'_>,
    account: &Id<Account>,
    agent: &Doc<Agent>,
    task: Option<&Id<Task>>,
) -> Result<String, StoreError> {
    let kind = if task.is_some() { "task" } else { "system" };
    let (of, task_id, slug) = (Some(account.as_str()), task.map(Id::as_str), agent.row.slug.as_str());
    let own = tx.find::<Session>(SESSIONS, &[of, Some(agent.id.as_str()), Some(kind), task_id]).rows()?;
    if let Some(open) = own.iter().find(|row| row.row.closed_at.is_none()) {
        return Ok(open.row.session_key.clone());
    }
    let same_slug = tx.find::<Session>(SESSIONS_OF_SLUG, &[of, Some(kind), task_id, Some(slug)]).rows()?;
    let generation = own.iter().chain(&same_slug).map(|row| row.row.generation).fold(0.0, f64::max) + 1.0;
    let session = Session {
        account_id: account.clone(),
        agent_id: agent.id.clone(),
        session_type: kind.to_owned(),
        task_id: task.cloned(),
        agent_slug: slug.to_owned(),
        generation,
        session_key: spell(account, slug, task, generation),
        opened_at: tx.now(),
        ..Session::default()
    };
    Ok(tx.insert(session)?.row.session_key)
}

fn spell(account: &Id<Account>, slug: &str, task: Option<&Id<Task>>, generation: f64) -> String {
    let account = AccountId::new(account.as_str());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counted up from 1 by ones")]
    let generation = generation as u32;
    let key = match task {
        Some(task) => SessionKey::for_task(&TaskId::new(task.as_str()), slug, &account, generation),
        None => SessionKey::for_system(slug, &account, generation),
    };
    key.expose().to_owned()
}

/// Closes every open session of a task that is removed or archived. The next session has a new generation.
pub(crate) fn close_of_task(tx: &Tx<'_>, task: &Id<Task>, reason: &str) -> Result<(), StoreError> {
    close(tx, tx.find(SESSIONS_OF_TASK, &[Some(task.as_str())]).rows()?, reason)
}

/// Closes every open session of an agent that is removed or has a new slug.
pub(crate) fn close_of_agent(tx: &Tx<'_>, agent: &Doc<Agent>, reason: &str) -> Result<(), StoreError> {
    let key = [Some(agent.row.account_id.as_str()), Some(agent.id.as_str())];
    close(tx, tx.find(SESSIONS_OF_AGENT, &key).rows()?, reason)
}

fn close(tx: &Tx<'_>, sessions: Vec<Doc<Session>>, reason: &str) -> Result<(), StoreError> {
    for mut session in sessions.into_iter().filter(|session| session.row.closed_at.is_none()) {
        session.row.closed_at = Some(tx.now());
        session.row.closed_reason = Some(reason.to_owned());
        tx.put(&session)?;
    }
    Ok(())
}
