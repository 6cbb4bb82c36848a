//! Carries a call out, and says what came of it.
//!
//! A call never fails its delivery: whatever goes wrong is a sentence for the agent. It goes in two steps, so that
//! whoever must know a call before it happens stands between them: [`prepare`] gives the request,
//! [`perform`] does it. Where the answer of a writing call is lost, it says so, and [`settle()`] finds out what became
//! of it: by reading, and by making it where that does no harm or it certainly did not happen.

mod documents;
mod refusal;
mod settle;
mod status;
mod tasks;
mod team;
mod trace;

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use log::debug;
use serde_json::{Value, json};

use mcr_clients::convex::{CallClass, CallError, Ran as FunctionRan};
use mcr_clients::mission::catalog::Writes;
use mcr_clients::mission::{
    DeleteTask, GetAgentSkills, GetTask, GetTaskHistory, LinkTaskToPr, ListDocuments, ListTasks, ListThread,
    LoadTask, Mission, PostMessageAsOrchestrator, Request, SearchTasks,
};
use mcr_core::gateway::ToolCall;
use mcr_core::tools::table::{CallSpec, ToolSpec};
use mcr_core::tools::{Caller, Offer, ToolError, ToolErrorKind, ToolOutcome, ToolRequest, prepare, render};
use mcr_model::{MessageId, Roster, Task, TaskId};

pub use settle::{Doubt, GRACE, NotNow, settle, unsettled};

/// What a call is carried out with.
pub struct ToolBackend<'a> {
    /// The backend.
    pub mission: &'a Mission,
    /// Everybody, as last known.
    pub roster: &'a Roster,
    /// Everybody, asked anew; nothing if that fails. For a name that the roster does not have.
    pub refresh: &'a dyn Fn() -> Option<Arc<Roster>>,
}

/// A call that was made.
#[derive(Clone, Debug)]
pub struct ExecutedCall {
    /// For the agent: a JSON object as text.
    pub output: String,
    /// Whether it did what it was asked for.
    pub ok: bool,
    /// Whether agents may have been told of something: it is worth looking for new notifications at once.
    pub stirs: bool,
    /// Why it did not.
    pub error: Option<ToolError>,
    /// The rows that it made or wrote.
    pub made: Vec<String>,
    /// Whether it is not known what became of it: the answer was lost. Then it is to be settled.
    pub in_doubt: bool,
}

/// A request that was carried out.
#[derive(Clone, Debug)]
pub struct Performed {
    /// What it brought.
    pub result: Result<ToolOutcome, ToolError>,
    /// Whether agents may have been told of something.
    pub stirs: bool,
    /// The rows that it made or wrote: tasks, documents, messages, requests. No other call has made them.
    pub made: Vec<String>,
    /// Whether it is not known what became of it: the answer was lost. Then it is to be settled.
    pub in_doubt: bool,
}

impl Performed {
    fn refused(error: ToolError) -> Self {
        Self { result: Err(error), stirs: false, made: Vec::new(), in_doubt: false }
    }
}

/// Makes a call, if the caller may.
pub fn run(call: &ToolCall, caller: &Caller<'_>, offer: &Offer, backend: &ToolBackend<'_>) -> ExecutedCall {
    let performed = match prepare(call, caller, offer) {
        Ok(request) => perform(&request, caller, backend),
        Err(error) => Performed::refused(error),
    };
    if let Err(error) = &performed.result {
        // The name comes from the model.
        let name: String = call.name.chars().filter(|c| !c.is_control()).take(40).collect();
        debug!("{name} of agent {} brought nothing: {error}", caller.agent);
    }
    performed.into()
}

impl From<Performed> for ExecutedCall {
    fn from(performed: Performed) -> Self {
        let output = render(performed.result.as_ref());
        let Performed { result, stirs, made, in_doubt } = performed;
        let error = result.err();
        Self { output, ok: error.is_none(), stirs, error, made, in_doubt }
    }
}

/// Carries out a request that the caller may make. Whether it may close *this* task is found out here.
pub fn perform(request: &ToolRequest, caller: &Caller<'_>, backend: &ToolBackend<'_>) -> Performed {
    ToolRun::new(request, caller, backend).carry_out(request)
}

/// What an agent should hear of a call of the backend that failed, made for this tool or endpoint.
pub fn refused(error: &CallError, call: CallSpec) -> ToolError {
    refusal::of(error, call)
}

/// What came of a request.
struct Done {
    outcome: ToolOutcome,
    stirs: bool,
    /// The rows that it made or wrote.
    made: Vec<String>,
}

impl Done {
    /// Nobody is told of it.
    fn quiet(outcome: ToolOutcome) -> Self {
        Self { outcome, stirs: false, made: Vec::new() }
    }

    /// Agents may be told of it.
    fn stirring(outcome: ToolOutcome) -> Self {
        Self { stirs: true, ..Self::quiet(outcome) }
    }

    fn posted(id: &MessageId) -> Self {
        let outcome = ToolOutcome { message_id: Some(id.to_string()), ..ToolOutcome::default() };
        Self { made: vec![id.to_string()], ..Self::stirring(outcome) }
    }

    fn data(data: Value) -> Self {
        Self::quiet(ToolOutcome { data: Some(data), ..ToolOutcome::default() })
    }
}

impl From<Done> for Performed {
    fn from(done: Done) -> Self {
        let Done { outcome, stirs, made } = done;
        Self { result: Ok(outcome), stirs, made, in_doubt: false }
    }
}

/// One request on its way.
struct ToolRun<'a> {
    caller: &'a Caller<'a>,
    backend: &'a ToolBackend<'a>,
    row: &'static ToolSpec,
    /// Whether this is not the first time, or may not be: then what is there already is no news.
    again: bool,
    /// Whether agents may have been told of something, although the request failed in the end.
    stirred: Cell<bool>,
    /// Whether a writing call may have happened whose answer was lost.
    lost: Cell<bool>,
    /// The last failure of a call.
    failed: RefCell<Option<CallError>>,
}

impl<'a> ToolRun<'a> {
    fn new(request: &ToolRequest, caller: &'a Caller<'a>, backend: &'a ToolBackend<'a>) -> Self {
        Self {
            caller,
            backend,
            row: request.row(),
            again: false,
            stirred: Cell::new(false),
            lost: Cell::new(false),
            failed: RefCell::new(None),
        }
    }
}

impl ToolRun<'_> {
    fn carry_out(&self, request: &ToolRequest) -> Performed {
        match self.perform(request) {
            Ok(done) => done.into(),
            Err(error) => Performed {
                stirs: self.stirred.get(),
                in_doubt: self.lost.get(),
                ..Performed::refused(error)
            },
        }
    }

    /// Asks, and notes what a failure means.
    fn call<R: Request>(&self, request: &R) -> Result<R::Answer, CallError> {
        self.backend.mission.ask(request).inspect_err(|error| {
            let may_have_run = error.ran != FunctionRan::No;
            let lost = match error.class {
                CallClass::Ambiguous => true,
                CallClass::Transient => may_have_run,
                CallClass::Refused | CallClass::Gone => false,
            };
            self.stirred.set(self.stirred.get() || self.row.writes && may_have_run);
            self.lost.set(self.lost.get() || R::FUNCTION.writes == Writes::Yes && lost);
            self.failed.replace(Some(error.clone()));
        })
    }

    fn ask<R: Request>(&self, request: &R) -> Result<R::Answer, ToolError> {
        self.call(request).map_err(|error| self.refused(&error))
    }

    fn refused(&self, error: &CallError) -> ToolError {
        refusal::of(error, self.row.call())
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
                Ok(Done::posted(&self.ask(&request)?.message_id))
            }
            ToolRequest::TaskDelete { task_id, reason } => {
                self.ask(&DeleteTask { task_id, agent_id: self.caller.agent, reason })?;
                Ok(Done::quiet(ToolOutcome::default()))
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
                let none = || ToolError::new(ToolErrorKind::NotFound, "Not found: Task does not exist");
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
