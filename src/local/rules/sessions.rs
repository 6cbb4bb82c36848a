//! Sessions of agents, and the keys that name them (backend-contract §6).

use crate::local::rows::{Account, Agent, Session, Task};
use crate::local::store::{Doc, Id, SESSIONS, SESSIONS_OF_TASK, StoreError, Tx};
use crate::model::{AccountId, SessionKey, TaskId};

/// The key of the agent's session on this task, or of its own one; a session is opened where none is open.
pub(in crate::local) fn ensure(
    tx: &Tx<'_>,
    account: &Id<Account>,
    agent: &Doc<Agent>,
    task: Option<&Id<Task>>,
) -> Result<String, StoreError> {
    let kind = if task.is_some() { "task" } else { "system" };
    let key = [Some(account.as_str()), Some(agent.id.as_str()), Some(kind), task.map(Id::as_str)];
    let rows = tx.find::<Session>(SESSIONS, &key).rows()?;
    if let Some(open) = rows.iter().find(|row| row.row.closed_at.is_none()) {
        return Ok(open.row.session_key.clone());
    }
    let generation = rows.iter().map(|row| row.row.generation).fold(0.0, f64::max) + 1.0;
    let session = Session {
        account_id: account.clone(),
        agent_id: agent.id.clone(),
        session_type: kind.to_owned(),
        task_id: task.cloned(),
        agent_slug: agent.row.slug.clone(),
        generation,
        session_key: spell(account, &agent.row.slug, task, generation),
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

/// Closes every open session of a task that was archived; the next one has a new generation.
pub(in crate::local) fn close_for(tx: &Tx<'_>, task: &Id<Task>) -> Result<(), StoreError> {
    for mut session in tx.find::<Session>(SESSIONS_OF_TASK, &[Some(task.as_str())]).rows()? {
        if session.row.closed_at.is_none() {
            session.row.closed_at = Some(tx.now());
            session.row.closed_reason = Some("task_archived".to_owned());
            tx.put(&session)?;
        }
    }
    Ok(())
}
