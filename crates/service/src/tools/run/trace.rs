//! Looks for the effect of a call: a new row among the newest ones, or a task in the requested state.
//!
//! A new row belongs to the call if four things hold. The same agent created it. Its content is equal. It is newer
//! than everything known before the call. No other step created it. Several equal rows cannot be distinguished, so the
//! oldest is taken. An absent row counts only if the list shows everything since the call started.

use std::collections::BTreeSet;

use super::documents::written;
use super::settle::Doubt;
use super::tasks::{assigned, created_task};
use super::{Done, ToolRun};
use mcr_clients::convex::{CallError, CallReason};
use mcr_clients::mission::{ListDocuments, ListTasksByStatus, LoadTask, LoadedTask};
use mcr_core::tools::{Changes, DocumentContent, Draft, ToolOutcome, ToolRequest};
use mcr_model::clock::Millis;
use mcr_model::{
    AgentId, AuthorType, DocumentEntry, DocumentId, MessageId, Task, TaskId, TaskStatus, ThreadItem, limits,
};

/// The effect that was found.
pub(super) enum Trace {
    /// The call happened, with this result.
    Found(Done),
    /// The call did not happen, or a second run adds nothing.
    Absent,
    /// The outcome cannot be determined, for this reason.
    Unclear(String),
}

/// The lengths of the lists to request until one reaches back far enough. The flag says whether a shorter list proves
/// that it is complete.
type Pages = [(u32, bool); 2];
/// For threads and tasks. Mostly the first length suffices.
const ROWS: Pages = [(20, true), (limits::LIST_ROWS, true)];
/// For documents. The backend reads twice as many and then leaves out deleted ones. Of all documents it reads at most
/// this many, so there a short list proves nothing.
const DOCUMENTS_OF_TASK: Pages = [(50, true), (limits::SEARCH_ROWS, true)];
const DOCUMENTS: Pages = [(50, true), (limits::SEARCH_ROWS, false)];

/// All statuses, even those in which a new task is unlikely.
const EVERYWHERE: [TaskStatus; 7] = [
    TaskStatus::Inbox,
    TaskStatus::Assigned,
    TaskStatus::InProgress,
    TaskStatus::Review,
    TaskStatus::Done,
    TaskStatus::Blocked,
    TaskStatus::Archived,
];

/// The newest rows of a list.
struct Newest<T> {
    rows: Vec<T>,
    /// Whether `rows` has every row since the given time.
    complete: bool,
}

/// Reads the newest rows, ordered by `changed`, and more of them until they reach back to `since`. An answer that is
/// too large ends the reading.
fn newest<T>(
    since: Millis,
    pages: &Pages,
    changed: impl Fn(&T) -> Millis,
    read: impl Fn(u32) -> Result<Vec<T>, CallError>,
) -> Result<Newest<T>, CallError> {
    let mut newest = Newest { rows: Vec::new(), complete: false };
    for (limit, short_is_all) in pages {
        match read(*limit) {
            Err(error) if matches!(error.why, CallReason::AnswerTooLarge | CallReason::ResultTooLarge) => {
                break;
            }
            Err(error) => return Err(error),
            Ok(rows) => {
                let short = *short_is_all && rows.len() < *limit as usize;
                newest = Newest { complete: short || rows.iter().any(|row| changed(row) < since), rows };
            }
        }
        if newest.complete {
            break;
        }
    }
    Ok(newest)
}

/// How a row compares to the one that the call creates.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RowMatch {
    Same,
    /// The row was changed since, and may have been equal before.
    Perhaps,
    Other,
}

/// A row that the call may have created, by its age and id.
struct Candidate<'a> {
    id: &'a str,
    at: Millis,
    row_match: RowMatch,
}

/// The result of a comparison of all candidates.
enum Hits<'a> {
    /// The ids of equal rows, oldest first.
    Same(Vec<&'a str>),
    /// No row is equal.
    None(Trace),
}

impl Doubt<'_> {
    fn hits<'a>(&self, candidates: impl Iterator<Item = Candidate<'a>>, complete: bool) -> Hits<'a> {
        let ours = |row: &Candidate<'_>| row.at >= self.since && !(self.is_known)(row.id);
        let (mut same, others): (Vec<_>, Vec<_>) =
            candidates.filter(ours).partition(|row| row.row_match == RowMatch::Same);
        if !same.is_empty() {
            same.sort_by_key(|row| row.at);
            return Hits::Same(same.into_iter().map(|row| row.id).collect());
        }
        Hits::None(match others.iter().find(|row| row.row_match == RowMatch::Perhaps) {
            Some(row) => Trace::Unclear(format!("{} may be the result, but was changed since", row.id)),
            None if complete => Trace::Absent,
            None => Trace::Unclear(TOO_MUCH.to_owned()),
        })
    }
}

pub(super) const TOO_MUCH: &str = "too many changes followed to read them all";

impl ToolRun<'_> {
    /// Looks for the effect of a request. If its object does not exist, neither does the effect.
    pub(super) fn trace(&self, request: &ToolRequest, doubt: &Doubt<'_>) -> Result<Trace, CallError> {
        let trace = match request {
            ToolRequest::TaskCreate(draft) => self.trace_task(draft, doubt),
            ToolRequest::DocumentUpsert(document) => match &document.document_id {
                None => self.trace_document(document, doubt),
                Some(id) => self.trace_rewritten(document, id, doubt),
            },
            ToolRequest::TaskMessage { task_id, content } => self.trace_message(task_id, content, doubt),
            ToolRequest::TaskUpdate { task_id, changes } => self.trace_update(task_id, changes),
            ToolRequest::TaskDelete { task_id, .. } => self.trace_archived(task_id),
            ToolRequest::ResponseRequest { task_id, recipient_slugs, message } => {
                self.trace_requests(task_id, recipient_slugs, message, doubt)
            }
            ToolRequest::TaskAssign { task_id, assignee_slugs } => {
                self.trace_assigned(task_id, assignee_slugs)
            }
            _ => Ok(Trace::Absent),
        };
        match trace {
            Err(error) if error.why == CallReason::NotFound => Ok(Trace::Absent),
            trace => trace,
        }
    }

    fn trace_task(&self, draft: &Draft, doubt: &Doubt<'_>) -> Result<Trace, CallError> {
        let named = self.assignees(&draft.assignee_slugs).ok();
        let agents = named.clone().map(|named| self.without_leader(named));
        let Newest { rows, complete } = newest(
            doubt.since,
            &ROWS,
            |task: &Task| task.updated_at,
            |limit| {
                self.backend.mission.ask(&ListTasksByStatus { statuses: &EVERYWHERE, limit: Some(limit) })
            },
        )?;
        let candidates = rows.iter().map(|task| {
            let row_match = self.compare(task, draft, agents.as_deref());
            Candidate { id: task.id.as_str(), at: task.created_at, row_match }
        });
        Ok(match doubt.hits(candidates, complete) {
            Hits::Same(ids) => {
                let (named, agents) = (named.unwrap_or_default(), agents.unwrap_or_default());
                Trace::Found(created_task(&TaskId::new(ids[0]), &named, &agents))
            }
            Hits::None(trace) => trace,
        })
    }

    /// Compares a task with the draft. An unchanged task still has all its initial values. Of a changed task only title
    /// and description are compared, because people change them least.
    fn compare(&self, task: &Task, draft: &Draft, agents: Option<&[AgentId]>) -> RowMatch {
        if task.created_by != self.caller.agent.as_str() {
            return RowMatch::Other;
        }
        let text = |text: Option<&String>| text.cloned().unwrap_or_default();
        let title = task.title == draft.title;
        let description = text(task.description.as_ref()) == text(draft.description.as_ref());
        if task.updated_at > task.created_at {
            return match (title, description) {
                (true, true) => RowMatch::Same,
                (true, false) => RowMatch::Perhaps,
                (false, true) if draft.description.is_some() => RowMatch::Perhaps,
                (false, _) => RowMatch::Other,
            };
        }
        // The backend may assign the agent that creates a task.
        let others = |ids: &[AgentId]| -> BTreeSet<AgentId> {
            ids.iter().filter(|id| *id != self.caller.agent).cloned().collect()
        };
        let same = title
            && description
            && same_number(task.priority, draft.priority.unwrap_or(Draft::PRIORITY))
            && task.labels == draft.labels
            && task.due_date == draft.due_date
            && agents.is_none_or(|agents| others(agents) == others(&task.assigned_agent_ids));
        if same { RowMatch::Same } else { RowMatch::Other }
    }

    /// Looks for a new document. The list shows neither author nor text, so several matching documents cannot be
    /// distinguished.
    fn trace_document(&self, document: &DocumentContent, doubt: &Doubt<'_>) -> Result<Trace, CallError> {
        let task_id = document.task_id.as_ref();
        let Newest { rows, complete } = self.documents(task_id, doubt.since)?;
        let candidates = rows.iter().map(|entry| {
            let fits = entry.title == document.title
                && entry.kind.as_ref().is_some_and(|kind| *kind == document.kind)
                && entry.task_id.as_ref() == task_id;
            let row_match = if fits { RowMatch::Same } else { RowMatch::Other };
            Candidate { id: entry.id.as_str(), at: entry.updated_at, row_match }
        });
        Ok(match doubt.hits(candidates, complete) {
            Hits::Same(ids) if ids.len() == 1 => Trace::Found(written(&DocumentId::new(ids[0]))),
            Hits::Same(ids) => Trace::Unclear(format!(
                "several documents may be the result ({})",
                ids[..ids.len().min(5)].join(", ")
            )),
            Hits::None(trace) => trace,
        })
    }

    /// Looks for an overwritten document. The list shows no text to compare. So a document with the right title that
    /// changed since was written by this call, unless another step wrote it too.
    fn trace_rewritten(
        &self,
        document: &DocumentContent,
        id: &DocumentId,
        doubt: &Doubt<'_>,
    ) -> Result<Trace, CallError> {
        if (doubt.is_known)(id.as_str()) {
            return Ok(Trace::Absent);
        }
        let Newest { rows, complete } = self.documents(document.task_id.as_ref(), doubt.since)?;
        let is_it = |entry: &DocumentEntry| {
            entry.id == *id
                && entry.updated_at > doubt.since
                && entry.title == document.title
                && entry.kind.as_ref().is_some_and(|kind| *kind == document.kind)
        };
        Ok(match rows.iter().any(is_it) {
            true => Trace::Found(written(id)),
            false if complete => Trace::Absent,
            false => Trace::Unclear(TOO_MUCH.to_owned()),
        })
    }

    fn documents(&self, task_id: Option<&TaskId>, since: Millis) -> Result<Newest<DocumentEntry>, CallError> {
        let pages = if task_id.is_some() { &DOCUMENTS_OF_TASK } else { &DOCUMENTS };
        newest(
            since,
            pages,
            |entry: &DocumentEntry| entry.updated_at,
            |limit| {
                // Not by type: the backend filters by type only after it has read the limited number of rows.
                let list = ListDocuments { task_id, kind: None, limit: Some(limit) };
                self.backend.mission.ask(&list).map(|found| found.documents)
            },
        )
    }

    fn trace_message(&self, task_id: &TaskId, content: &str, doubt: &Doubt<'_>) -> Result<Trace, CallError> {
        let Newest { rows, complete } = self.thread(task_id, doubt.since)?;
        let candidates = rows.iter().map(|item| {
            let same = wrote(item, self.caller.agent) && item.content == content;
            let row_match = if same { RowMatch::Same } else { RowMatch::Other };
            Candidate { id: item.message_id.as_str(), at: item.created_at, row_match }
        });
        Ok(match doubt.hits(candidates, complete) {
            Hits::Same(ids) => Trace::Found(Done::posted(&MessageId::new(ids[0]))),
            Hits::None(trace) => trace,
        })
    }

    fn thread(&self, task_id: &TaskId, since: Millis) -> Result<Newest<ThreadItem>, CallError> {
        let read = |limit| self.load(task_id, limit).map(|loaded| loaded.thread);
        newest(since, &ROWS, |item: &ThreadItem| item.created_at, read)
    }

    fn load(&self, task_id: &TaskId, messages: u32) -> Result<LoadedTask, CallError> {
        let request = LoadTask { agent_id: self.caller.agent, task_id, message_limit: Some(messages) };
        self.backend.mission.ask(&request)
    }

    /// Whether the task has the requested values. If not, the whole update runs again. Its steps that happened before
    /// change nothing the second time (contract D27).
    fn trace_update(&self, task_id: &TaskId, changes: &Changes) -> Result<Trace, CallError> {
        let wished = changes.assigned_agent_ids.as_deref();
        // The call itself explains a name that no agent has.
        let Ok(agents) = wished.map(|ids| self.new_assignees(ids)).transpose() else {
            return Ok(Trace::Absent);
        };
        let task = self.load(task_id, 1)?.task;
        let wanted = [
            ("title", changes.title.as_ref().map(|title| *title == task.title)),
            ("description", changes.description.as_ref().map(|text| Some(text) == task.description.as_ref())),
            ("priority", changes.priority.map(|priority| same_number(priority, task.priority))),
            ("labels", changes.labels.as_ref().map(|labels| *labels == task.labels)),
            ("assignedAgentIds", agents.as_ref().map(|ids| same_set(ids, &task.assigned_agent_ids))),
            (
                "assignedUserIds",
                changes.assigned_user_ids.as_ref().map(|ids| same_set(ids, &task.assigned_user_ids)),
            ),
            ("dueDate", changes.due_date.map(|due| Some(due) == task.due_date)),
            // The reason only counts when the status changes, so it is no further step to check.
            ("status", changes.status.map(|status| task.status == status)),
        ];
        if wanted.iter().any(|(_, is_so)| *is_so == Some(false)) {
            return Ok(Trace::Absent);
        }
        let fields: Vec<&str> =
            wanted.iter().filter(|(_, is_so)| is_so.is_some()).map(|(name, _)| *name).collect();
        let puts_agents = agents.is_some_and(|agents| !agents.is_empty());
        Ok(Trace::Found(self.updated(task_id, &fields, puts_agents, false)))
    }

    fn trace_archived(&self, task_id: &TaskId) -> Result<Trace, CallError> {
        let archived = self.load(task_id, 1)?.task.status == TaskStatus::Archived;
        Ok(if archived { Trace::Found(Done::quiet(ToolOutcome::default())) } else { Trace::Absent })
    }

    /// Agents on the task need no assignment; a second one would only add to the task's history.
    fn trace_assigned(&self, task_id: &TaskId, slugs: &[String]) -> Result<Trace, CallError> {
        // The call itself explains a name that no agent has.
        let Ok(agents) = self.assignees(slugs).map(|named| self.without_leader(named)) else {
            return Ok(Trace::Absent);
        };
        let on_it = self.load(task_id, 1)?.task.assigned_agent_ids;
        let is_so = !agents.is_empty() && agents.iter().all(|id| on_it.contains(id));
        Ok(if is_so { Trace::Found(assigned(task_id)) } else { Trace::Absent })
    }
}

fn wrote(item: &ThreadItem, agent: &AgentId) -> bool {
    item.author_type == AuthorType::Agent && item.author_id == agent.as_str()
}

fn same_number(one: f64, other: f64) -> bool {
    (one - other).abs() < f64::EPSILON
}

fn same_set<T: Ord>(one: &[T], other: &[T]) -> bool {
    one.iter().collect::<BTreeSet<_>>() == other.iter().collect::<BTreeSet<_>>()
}
