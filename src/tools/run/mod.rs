//! Carries a call out, and says what came of it.
//!
//! A call never fails its delivery: whatever goes wrong is a sentence for the agent. It goes in two steps, so that
//! whoever must know a call before it happens stands between them: [`prepare`] gives the request,
//! [`perform`] does it.

mod documents;
mod refusal;
mod status;
mod tasks;
mod team;

use std::cell::Cell;
use std::sync::Arc;

use log::debug;
use serde_json::{Value, json};

use crate::convex::{CallError, Ran as FunctionRan};
use crate::gateway::ToolCall;
use crate::mission::{
    DeleteTask, GetAgentSkills, GetTask, GetTaskHistory, LinkTaskToPr, ListDocuments, ListTasks, ListThread,
    LoadTask, Mission, PostMessageAsOrchestrator, Request, SearchTasks,
};
use crate::model::{Roster, Task, TaskId};
use crate::tools::table::Row;
use crate::tools::{Caller, Kind, Offer, Outcome, ToolError, ToolRequest, prepare, render};

/// What a call is carried out with.
pub struct Hands<'a> {
    /// The backend.
    pub mission: &'a Mission,
    /// Everybody, as last known.
    pub roster: &'a Roster,
    /// Everybody, asked anew; nothing if that fails. For a name that the roster does not have.
    pub refresh: &'a dyn Fn() -> Option<Arc<Roster>>,
}

/// A call that was made.
#[derive(Clone, Debug)]
pub struct Ran {
    /// For the agent: a JSON object as text.
    pub output: String,
    /// Whether it did what it was asked for.
    pub ok: bool,
    /// Whether agents may have been told of something: it is worth looking for new notifications at once.
    pub stirs: bool,
    /// Why it did not.
    pub error: Option<ToolError>,
}

/// A request that was carried out.
#[derive(Clone, Debug)]
pub struct Performed {
    /// What it brought.
    pub result: Result<Outcome, ToolError>,
    /// Whether agents may have been told of something.
    pub stirs: bool,
}

/// Makes a call, if the caller may.
pub fn run(call: &ToolCall, caller: &Caller<'_>, offer: &Offer, hands: &Hands<'_>) -> Ran {
    let performed = match prepare(call, caller, offer) {
        Ok(request) => perform(&request, caller, hands),
        Err(error) => Performed { result: Err(error), stirs: false },
    };
    if let Err(error) = &performed.result {
        // The name comes from the model.
        let name: String = call.name.chars().filter(|c| !c.is_control()).take(40).collect();
        debug!("{name} of agent {} brought nothing: {error}", caller.agent);
    }
    performed.into()
}

impl From<Performed> for Ran {
    fn from(performed: Performed) -> Self {
        let output = render(performed.result.as_ref());
        let error = performed.result.err();
        Self { output, ok: error.is_none(), stirs: performed.stirs, error }
    }
}

/// Carries out a request that the caller may make. Whether it may close *this* task is found out here.
pub fn perform(request: &ToolRequest, caller: &Caller<'_>, hands: &Hands<'_>) -> Performed {
    let job = Job { caller, hands, row: request.row(), stirred: Cell::new(false) };
    let result = job.perform(request);
    let stirs = result.as_ref().map_or_else(|_| job.stirred.get(), |done| done.stirs);
    Performed { result: result.map(|done| done.outcome), stirs }
}

/// What came of a request.
struct Done {
    outcome: Outcome,
    stirs: bool,
}

impl Done {
    /// Nobody is told of it.
    fn quiet(outcome: Outcome) -> Self {
        Self { outcome, stirs: false }
    }

    fn data(data: Value) -> Self {
        Self::quiet(Outcome { data: Some(data), ..Outcome::default() })
    }
}

/// One request on its way.
struct Job<'a> {
    caller: &'a Caller<'a>,
    hands: &'a Hands<'a>,
    row: &'static Row,
    /// Whether agents may have been told of something, although the request failed in the end.
    stirred: Cell<bool>,
}

impl Job<'_> {
    fn ask<R: Request>(&self, request: &R) -> Result<R::Answer, ToolError> {
        self.hands.mission.ask(request).map_err(|error| self.refused(&error))
    }

    fn refused(&self, error: &CallError) -> ToolError {
        if self.row.writes && error.ran != FunctionRan::No {
            self.stirred.set(true);
        }
        refusal::of(error, self.row)
    }

    /// The task as it stands now.
    fn look(&self, task_id: &TaskId) -> Result<Task, ToolError> {
        let request = LoadTask { agent_id: self.caller.agent, task_id, message_limit: Some(1) };
        self.ask(&request).map(|loaded| loaded.task)
    }

    fn perform(&self, request: &ToolRequest) -> Result<Done, ToolError> {
        match request {
            ToolRequest::TaskStatus { task_id, status, blocked_reason } => {
                self.set_status(task_id, *status, blocked_reason.as_deref())
            }
            ToolRequest::TaskUpdate { task_id, changes } => self.update(task_id, changes),
            ToolRequest::TaskCreate(draft) => self.create(draft),
            ToolRequest::TaskAssign { task_id, assignee_slugs } => self.assign(task_id, assignee_slugs),
            ToolRequest::DocumentUpsert(paper) => self.write_document(paper),
            ToolRequest::ResponseRequest { task_id, recipient_slugs, message } => {
                self.request_responses(task_id, recipient_slugs, message)
            }
            ToolRequest::TaskMessage { task_id, content } => {
                let request = PostMessageAsOrchestrator { agent_id: self.caller.agent, task_id, content };
                let message_id = Some(self.ask(&request)?.message_id.to_string());
                Ok(Done { outcome: Outcome { message_id, ..Outcome::default() }, stirs: true })
            }
            ToolRequest::TaskDelete { task_id, reason } => {
                self.ask(&DeleteTask { task_id, agent_id: self.caller.agent, reason })?;
                Ok(Done::quiet(Outcome::default()))
            }
            ToolRequest::TaskLinkPr { task_id, pr_number } => {
                self.ask(&LinkTaskToPr { agent_id: self.caller.agent, task_id, pr_number: *pr_number })?;
                Ok(Done::data(json!({"taskId": task_id, "prNumber": pr_number})))
            }
            reading => self.read(reading).map(Done::data),
        }
    }

    fn read(&self, request: &ToolRequest) -> Result<Value, ToolError> {
        let agent_id = self.caller.agent;
        Ok(match request {
            ToolRequest::DocumentList { task_id, kind, limit } => {
                let list = ListDocuments { task_id: task_id.as_ref(), kind: *kind, limit: *limit };
                json!({"documents": self.ask(&list)?.documents})
            }
            ToolRequest::GetAgentSkills { agent_id: whose } => {
                let whose = whose.as_deref().map(|name| self.one_agent(name)).transpose()?;
                let request = GetAgentSkills { agent_id, query_agent_id: whose.as_ref() };
                json!({"agents": self.ask(&request)?})
            }
            ToolRequest::TaskLoad { task_id, message_limit } => {
                let loaded = self.ask(&LoadTask { agent_id, task_id, message_limit: *message_limit })?;
                json!({"task": loaded.task, "thread": loaded.thread})
            }
            ToolRequest::TaskHistory { task_id, message_limit, activity_limit } => {
                let (message_limit, activity_limit) = (*message_limit, *activity_limit);
                let history =
                    self.ask(&GetTaskHistory { agent_id, task_id, message_limit, activity_limit })?;
                json!({
                    "task": history.task, "messages": history.messages, "activities": history.activities,
                    "meta": history.meta,
                })
            }
            ToolRequest::TaskList { status, assignee_slug, limit } => {
                let whose = assignee_slug.as_deref().map(|slug| self.one_assignee(slug)).transpose()?;
                let (status, limit) = (*status, *limit);
                let list = ListTasks { agent_id, status, assignee_agent_id: whose.as_ref(), limit };
                json!({"tasks": self.ask(&list)?})
            }
            ToolRequest::TaskGet { task_id } => {
                // For the backend no task is an answer, too; for an agent it is a wrong id.
                let task = self.ask(&GetTask { agent_id, task_id })?;
                let none = || ToolError::new(Kind::NotFound, "Not found: Task does not exist");
                json!({"task": task.ok_or_else(none)?})
            }
            ToolRequest::TaskThread { task_id, limit } => {
                json!({"thread": self.ask(&ListThread { agent_id, task_id, limit: *limit })?})
            }
            ToolRequest::TaskSearch { query, limit } => {
                json!({"results": self.ask(&SearchTasks { agent_id, query, limit: *limit })?})
            }
            // Those that write are carried out above.
            _ => Value::Null,
        })
    }
}
