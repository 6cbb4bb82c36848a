//! What changed since the revision that a page shows.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::snapshot::{agent_line, runtime, skill_line};
use super::{accounts, columns, documents, messages, opened, secrets};
use crate::Refusal;
use crate::call::{Answer, Call, value};
use crate::rows::{Account, Activity, Agent, Document, Membership, Message, Skill, Task};
use crate::rules::{reach, thread};
use crate::store::{Doc, Id, Row, StoreError, Table, Touched};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChangesArgs {
    since: String,
    task_id: Option<String>,
}

/// The rows of each list that are new or changed, the ids of those that are gone, and every other part of the page that
/// differs; `{"anew": true}` where that is not known.
pub(super) fn changes(call: &Call<'_>) -> Answer {
    let asked: ChangesArgs = call.args()?;
    let Some(touched) = call.tx.since(&asked.since) else { return Ok(json!({"anew": true})) };
    let opened = asked.task_id.as_deref().and_then(Id::<Task>::parse);
    let mut difference = Difference { opened, ..Difference::default() };
    for row in &touched {
        difference.add(call, row)?;
    }
    difference.answer(call)
}

/// An answer in the making.
#[derive(Default)]
struct Difference {
    /// The task that the page has opened.
    opened: Option<Id<Task>>,
    lists: Map<String, Value>,
    gone: Vec<String>,
    /// The parts that come whole, and what reads them: once, whatever happened to them.
    parts: BTreeMap<&'static str, fn(&Call<'_>) -> Answer>,
    /// What is new of the opened task.
    of_task: Map<String, Value>,
    /// The opened task is no more.
    task_is_gone: bool,
}

impl Difference {
    /// Looks at a row that changed.
    fn add(&mut self, call: &Call<'_>, (table, id): &Touched) -> Result<(), Refusal> {
        match table {
            Table::Accounts if call.account_id() == id.as_str() => {
                self.parts.insert("account", accounts::get);
                // Both depend on what the account says.
                self.parts.insert("typing", messages::list_typing);
                self.parts.insert("counts", columns::counts);
            }
            Table::Notifications => drop(self.parts.insert("typing", messages::list_typing)),
            Table::Runtimes => drop(self.parts.insert("runtime", runtime)),
            Table::ProviderKeys => drop(self.parts.insert("providerKeys", secrets::list)),
            Table::Memberships => {
                self.line(call, "members", id, |row: &Membership| &row.account_id, |row| value(&row))?;
            }
            Table::Agents => {
                self.line(call, "agents", id, |row: &Agent| &row.account_id, |row| agent_line(call, row))?;
            }
            Table::Skills => self.line(call, "skills", id, |row: &Skill| &row.account_id, skill_line)?,
            Table::Tasks => self.task(call, id)?,
            Table::Messages => self.message(call, id)?,
            Table::Documents => self.document(call, id)?,
            Table::Activities => self.activity(call, id)?,
            Table::Accounts | Table::Subscriptions | Table::Sessions | Table::Uploads | Table::Storage => {}
        }
        Ok(())
    }

    /// A row of a list: its line, or that it is gone.
    fn line<R: Row>(
        &mut self,
        call: &Call<'_>,
        list: &str,
        id: &str,
        account: impl Fn(&R) -> &Id<Account>,
        line: impl Fn(Doc<R>) -> Answer,
    ) -> Result<(), Refusal> {
        match call.tx.get::<R>(&Id::new(id))? {
            None => self.gone.push(id.to_owned()),
            Some(row) if account(&row.row) == call.account_id() => push(&mut self.lists, list, line(row)?),
            Some(_) => {}
        }
        Ok(())
    }

    fn task(&mut self, call: &Call<'_>, id: &str) -> Result<(), Refusal> {
        self.parts.insert("counts", columns::counts);
        let is_open = self.opened.as_ref().is_some_and(|opened| *opened == *id);
        match reach::own_task(call, &Id::new(id))? {
            None => {
                self.gone.push(id.to_owned());
                self.task_is_gone |= is_open;
            }
            Some(task) => {
                if is_open && let Value::Object(shown) = opened::shown(task.clone())? {
                    self.of_task.extend(shown);
                }
                if reach::is_orchestrator_chat(&call.account, &task) {
                    self.gone.push(id.to_owned());
                } else {
                    push(&mut self.lists, "tasks", columns::card(task)?);
                }
            }
        }
        Ok(())
    }

    fn message(&mut self, call: &Call<'_>, id: &str) -> Result<(), StoreError> {
        let Some(opened) = &self.opened else { return Ok(()) };
        // A message goes only with its task.
        let Some(message) = call.tx.get::<Message>(&Id::new(id))? else { return Ok(()) };
        if message.row.task_id == *opened && message.row.account_id == *call.account_id() {
            for item in thread::items(call.tx, call.account_id(), vec![message])? {
                push(&mut self.of_task, "thread", json!(item));
            }
        }
        Ok(())
    }

    fn document(&mut self, call: &Call<'_>, id: &str) -> Result<(), Refusal> {
        self.parts.insert("special", documents::special);
        let document = call.tx.get::<Document>(&Id::new(id))?;
        let there = |document: &Doc<Document>| {
            document.row.deleted_at.is_none() && document.row.account_id == *call.account_id()
        };
        let document = document.filter(there);
        if let Some(opened) = &self.opened {
            match &document {
                Some(document) if document.row.task_id.as_ref() == Some(opened) => {
                    push(&mut self.of_task, "documents", documents::entry(document.clone())?);
                }
                Some(_) | None => push(&mut self.of_task, "gone", json!(id)),
            }
        }
        match document {
            Some(document) => push(&mut self.lists, "documents", documents::line(call, document)?),
            None => self.gone.push(id.to_owned()),
        }
        Ok(())
    }

    fn activity(&mut self, call: &Call<'_>, id: &str) -> Result<(), Refusal> {
        let Some(opened) = &self.opened else { return Ok(()) };
        // An activity goes only with its task.
        let Some(activity) = call.tx.get::<Activity>(&Id::new(id))? else { return Ok(()) };
        let row = &activity.row;
        let of_task = row.target_type == "task" && *opened == *row.target_id.as_str();
        if of_task && row.account_id == *call.account_id() {
            push(&mut self.of_task, "activities", value(&activity)?);
        }
        Ok(())
    }

    fn answer(self, call: &Call<'_>) -> Answer {
        let mut answer = self.lists;
        answer.insert("revision".to_owned(), json!(call.tx.revision()));
        for (name, read) in self.parts {
            answer.insert(name.to_owned(), read(call)?);
        }
        if !self.gone.is_empty() {
            answer.insert("gone".to_owned(), json!(self.gone));
        }
        if self.task_is_gone {
            answer.insert("task".to_owned(), Value::Null);
        } else if !self.of_task.is_empty() {
            answer.insert("task".to_owned(), self.of_task.into());
        }
        Ok(answer.into())
    }
}

fn push(lists: &mut Map<String, Value>, name: &str, row: Value) {
    let list = lists.entry(name).or_insert_with(|| json!([]));
    if let Some(list) = list.as_array_mut() {
        list.push(row);
    }
}
