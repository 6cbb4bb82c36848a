//! The changes since the revision that a page shows.

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

/// The new and changed rows of each list, the ids of removed rows, and all other parts of the page that differ.
/// Returns `{"anew": true}` if the changes are unknown.
pub(super) fn changes(call: &Call<'_>) -> Answer {
    let args: ChangesArgs = call.args()?;
    let Some(touched) = call.tx.since(&args.since) else { return Ok(json!({"anew": true})) };
    let open_task = args.task_id.as_deref().and_then(Id::<Task>::parse);
    let mut difference = Difference { open_task, ..Difference::default() };
    for row in &touched {
        difference.add(call, row)?;
    }
    difference.answer(call)
}

/// A response while it is collected.
#[derive(Default)]
struct Difference {
    /// The task that is open on the page.
    open_task: Option<Id<Task>>,
    lists: Map<String, Value>,
    gone: Vec<String>,
    /// The parts that are sent completely, with the function that reads them. Each is read once.
    parts: BTreeMap<&'static str, fn(&Call<'_>) -> Answer>,
    /// The changes of the open task.
    task_changes: Map<String, Value>,
    /// Whether the open task was removed.
    task_is_gone: bool,
}

impl Difference {
    /// Adds a changed row to the response.
    fn add(&mut self, call: &Call<'_>, (table, id): &Touched) -> Result<(), Refusal> {
        match table {
            Table::Accounts if call.account_id() == id.as_str() => {
                self.parts.insert("account", accounts::get);
                // Both depend on the account's row.
                self.parts.insert("typing", messages::list_typing);
                self.parts.insert("counts", columns::counts);
            }
            Table::Notifications => drop(self.parts.insert("typing", messages::list_typing)),
            Table::Runtimes => drop(self.parts.insert("runtime", runtime)),
            Table::ProviderKeys => drop(self.parts.insert("providerKeys", secrets::list)),
            Table::Memberships => {
                self.add_line(call, "members", id, |row: &Membership| &row.account_id, |row| value(&row))?;
            }
            Table::Agents => {
                self.add_line(
                    call,
                    "agents",
                    id,
                    |row: &Agent| &row.account_id,
                    |row| agent_line(call, row),
                )?;
            }
            Table::Skills => self.add_line(call, "skills", id, |row: &Skill| &row.account_id, skill_line)?,
            Table::Tasks => self.add_task(call, id)?,
            Table::Messages => self.add_message(call, id)?,
            Table::Documents => self.add_document(call, id)?,
            Table::Activities => self.add_activity(call, id)?,
            // Another account, or a table that pages do not show.
            _ => {}
        }
        Ok(())
    }

    /// Adds the line of a list's row, or the fact that it was removed.
    fn add_line<R: Row>(
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

    fn add_task(&mut self, call: &Call<'_>, id: &str) -> Result<(), Refusal> {
        self.parts.insert("counts", columns::counts);
        let is_open = self.open_task.as_ref().is_some_and(|open| *open == *id);
        match reach::own_task(call, &Id::new(id))? {
            None => {
                self.gone.push(id.to_owned());
                self.task_is_gone |= is_open;
            }
            Some(task) => {
                if is_open && let Value::Object(shown) = opened::shown(task.clone())? {
                    self.task_changes.extend(shown);
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

    fn add_message(&mut self, call: &Call<'_>, id: &str) -> Result<(), StoreError> {
        let Some(open_task) = &self.open_task else { return Ok(()) };
        // Messages are only removed together with their task.
        let Some(message) = call.tx.get::<Message>(&Id::new(id))? else { return Ok(()) };
        if message.row.task_id == *open_task && message.row.account_id == *call.account_id() {
            for item in thread::items(call.tx, call.account_id(), vec![message])? {
                push(&mut self.task_changes, "thread", json!(item));
            }
        }
        Ok(())
    }

    fn add_document(&mut self, call: &Call<'_>, id: &str) -> Result<(), Refusal> {
        self.parts.insert("special", documents::special);
        let document = call.tx.get::<Document>(&Id::new(id))?;
        let is_visible = |document: &Doc<Document>| {
            document.row.deleted_at.is_none() && document.row.account_id == *call.account_id()
        };
        let document = document.filter(is_visible);
        if let Some(open_task) = &self.open_task {
            match &document {
                Some(document) if document.row.task_id.as_ref() == Some(open_task) => {
                    push(&mut self.task_changes, "documents", documents::entry(document.clone())?);
                }
                Some(_) | None => push(&mut self.task_changes, "gone", json!(id)),
            }
        }
        match document {
            Some(document) => push(&mut self.lists, "documents", documents::line(call, document)?),
            None => self.gone.push(id.to_owned()),
        }
        Ok(())
    }

    fn add_activity(&mut self, call: &Call<'_>, id: &str) -> Result<(), Refusal> {
        let Some(open_task) = &self.open_task else { return Ok(()) };
        // Activities are only removed together with their task.
        let Some(activity) = call.tx.get::<Activity>(&Id::new(id))? else { return Ok(()) };
        let row = &activity.row;
        let is_of_open_task = row.target_type == "task" && *open_task == *row.target_id.as_str();
        if is_of_open_task && row.account_id == *call.account_id() {
            push(&mut self.task_changes, "activities", value(&activity)?);
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
        } else if !self.task_changes.is_empty() {
            answer.insert("task".to_owned(), self.task_changes.into());
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
