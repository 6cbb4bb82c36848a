//! A task's thread as readers get it (backend-contract §3.4). The delivery context, the tools, the history and the
//! page all get the same items.

use std::collections::HashMap;

use serde::Serialize;

use super::reach;
use crate::rows::{Account, Agent, Message, Task};
use crate::store::{Doc, Id, StoreError, THREAD, Tx};

/// A message as a thread shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ThreadItem {
    /// The message's id.
    pub(crate) message_id: Id<Message>,
    /// `user` or `agent`.
    pub(crate) author_type: String,
    /// The id of a person or an agent.
    pub(crate) author_id: String,
    /// The author's current name. `null`, never absent, if the account no longer knows the author.
    pub(crate) author_name: Option<String>,
    /// Markdown, complete.
    pub(crate) content: String,
    /// The time of creation.
    pub(crate) created_at: f64,
}

/// The newest `limit` messages of the task, oldest first.
pub(crate) fn newest(
    tx: &Tx<'_>,
    account: &Id<Account>,
    task: &Id<Task>,
    limit: usize,
) -> Result<Vec<ThreadItem>, StoreError> {
    items(tx, account, newest_messages(tx, task, None, limit)?)
}

/// Messages as a thread shows them.
pub(crate) fn items(
    tx: &Tx<'_>,
    account: &Id<Account>,
    messages: Vec<Doc<Message>>,
) -> Result<Vec<ThreadItem>, StoreError> {
    let mut names = AuthorNames::of(account);
    let items = messages.into_iter().map(|message| {
        let author_name = names.author(tx, &message.row)?;
        let Message { author_type, author_id, content, created_at, .. } = message.row;
        Ok(ThreadItem { message_id: message.id, author_type, author_id, author_name, content, created_at })
    });
    items.collect()
}

/// The newest `limit` messages of the task, or the newest before a point in time, oldest first.
pub(crate) fn newest_messages(
    tx: &Tx<'_>,
    task: &Id<Task>,
    before: Option<f64>,
    limit: usize,
) -> Result<Vec<Doc<Message>>, StoreError> {
    let mut found = tx.find(THREAD, &[Some(task.as_str())]).newest_first().limit(limit);
    if let Some(instant) = before {
        found = found.created_before(instant);
    }
    let mut messages = found.rows()?;
    messages.reverse();
    Ok(messages)
}

/// The current names of authors in an account. Each name is looked up once.
pub(crate) struct AuthorNames<'a> {
    account: &'a Id<Account>,
    people: Option<HashMap<String, String>>,
    agents: HashMap<String, Option<String>>,
}

impl<'a> AuthorNames<'a> {
    /// An empty cache.
    pub(crate) fn of(account: &'a Id<Account>) -> Self {
        Self { account, people: None, agents: HashMap::new() }
    }

    /// The name of a message's author, if the account still knows the author.
    pub(crate) fn author(&mut self, tx: &Tx<'_>, message: &Message) -> Result<Option<String>, StoreError> {
        if message.author_type == "agent" {
            self.agent(tx, &message.author_id)
        } else {
            self.person(tx, &message.author_id)
        }
    }

    fn agent(&mut self, tx: &Tx<'_>, id: &str) -> Result<Option<String>, StoreError> {
        if let Some(known) = self.agents.get(id) {
            return Ok(known.clone());
        }
        let agent = tx.get::<Agent>(&Id::new(id))?.filter(|agent| agent.row.account_id == *self.account);
        let name = agent.map(|agent| agent.row.name);
        self.agents.insert(id.to_owned(), name.clone());
        Ok(name)
    }

    fn person(&mut self, tx: &Tx<'_>, id: &str) -> Result<Option<String>, StoreError> {
        let people = match &mut self.people {
            Some(people) => people,
            none => {
                let members = reach::members(tx, self.account)?.into_iter();
                none.insert(members.map(|member| (member.row.user_id, member.row.user_name)).collect())
            }
        };
        Ok(people.get(id).cloned())
    }
}
