//! Runs a tool call and returns its result.
//!
//! A call never fails its delivery: every error becomes a message for the agent. A call has two steps, so that the
//! ledger can record it in between: [`prepare`] validates the request, [`perform`] runs it. If the answer of a writing
//! call is lost, the result says so. Then [`settle()`] determines the outcome by reading. It runs the call again only
//! if that does no harm or the call certainly did not happen.

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
use mcr_core::delivery::acts::Act;
use mcr_core::gateway::ToolCall;
use mcr_core::tools::table::{CallSpec, ToolSpec};
use mcr_core::tools::{Caller, Offer, ToolError, ToolErrorKind, ToolOutcome, ToolRequest, prepare, render};
use mcr_model::{MessageId, Roster, Task, TaskId};

pub use settle::{Doubt, GRACE, NotNow, settle, unsettled};

/// What a call needs to run.
pub struct ToolBackend<'a> {
    /// The backend.
    pub mission: &'a Mission,
    /// The roster as last fetched.
    pub roster: &'a Roster,
    /// Fetches the roster again, for a name that it does not have; none if that fails.
    pub refresh: &'a dyn Fn() -> Option<Arc<Roster>>,
}

/// The result of a call, rendered for the agent.
#[derive(Clone, Debug)]
pub struct ExecutedCall {
    /// A JSON object as text, for the agent.
    pub output: String,
    /// Whether the call succeeded.
    pub ok: bool,
    /// Whether the call may have caused notifications, so that a list now finds them early.
    pub may_notify: bool,
    /// Why the call failed, if it did.
    pub error: Option<ToolError>,
    /// The ids of rows that the call created or wrote.
    pub made: Vec<String>,
    /// What the call has done to tasks, for the record.
    pub acts: Vec<Act>,
    /// Whether the outcome is unknown because the answer was lost. Then the caller must settle it.
    pub in_doubt: bool,
}

/// The result of a request.
#[derive(Clone, Debug)]
pub struct Performed {
    /// The outcome or the error.
    pub result: Result<ToolOutcome, ToolError>,
    /// Whether the request may have caused notifications.
    pub may_notify: bool,
    /// The ids of rows that it created or wrote: tasks, documents, messages, requests. No other call made them.
    pub made: Vec<String>,
    /// What the call has done to tasks, for the record.
    pub acts: Vec<Act>,
    /// Whether the outcome is unknown because the answer was lost. Then the caller must settle it.
    pub in_doubt: bool,
}

impl Performed {
    fn refused(error: ToolError) -> Self {
        Self { result: Err(error), may_notify: false, made: Vec::new(), acts: Vec::new(), in_doubt: false }
    }

    /// Adds the acts of the request. A call in doubt has none until it is settled.
    fn with_acts(self, request: &ToolRequest, backend: &ToolBackend<'_>) -> Self {
        let acts = match &self.result {
            Ok(outcome) => Act::of_call(request, outcome, backend.roster.has_quality()),
            Err(_) if self.in_doubt => Vec::new(),
            Err(error) => Act::of_failure(request, error.kind).into_iter().collect(),
        };
        Self { acts, ..self }
    }
}

/// Validates and runs a call.
pub fn run(call: &ToolCall, caller: &Caller<'_>, offer: &Offer, backend: &ToolBackend<'_>) -> ExecutedCall {
    let performed = match prepare(call, caller, offer) {
        Ok(request) => perform(&request, caller, backend),
        Err(error) => Performed::refused(error),
    };
    if let Err(error) = &performed.result {
        // The name comes from the model.
        let name: String = call.name.chars().filter(|c| !c.is_control()).take(40).collect();
        debug!(agent:% = caller.agent, tool = name, error:%; "Tool call failed");
    }
    performed.into()
}

impl From<Performed> for ExecutedCall {
    fn from(performed: Performed) -> Self {
        let output = render(performed.result.as_ref());
        let Performed { result, may_notify, made, acts, in_doubt } = performed;
        let error = result.err();
        Self { output, ok: error.is_none(), may_notify, error, made, acts, in_doubt }
    }
}

/// Runs a request that the caller's rights allow. Whether the caller may close *this* task is checked here.
pub fn perform(request: &ToolRequest, caller: &Caller<'_>, backend: &ToolBackend<'_>) -> Performed {
    ToolRun::new(request, caller, backend).carry_out(request).with_acts(request, backend)
}

/// The tool error for a failed call of the backend on behalf of this tool or endpoint.
pub fn refused(error: &CallError, call: CallSpec) -> ToolError {
    refusal::of(error, call)
}

/// The result of a successful request.
struct Done {
    outcome: ToolOutcome,
    may_notify: bool,
    /// The ids of rows that it created or wrote.
    made: Vec<String>,
}

impl Done {
    /// A result that causes no notifications.
    fn quiet(outcome: ToolOutcome) -> Self {
        Self { outcome, may_notify: false, made: Vec::new() }
    }

    /// A result that may cause notifications.
    fn notifying(outcome: ToolOutcome) -> Self {
        Self { may_notify: true, ..Self::quiet(outcome) }
    }

    fn posted(id: &MessageId) -> Self {
        let outcome = ToolOutcome { message_id: Some(id.to_string()), ..ToolOutcome::default() };
        Self { made: vec![id.to_string()], ..Self::notifying(outcome) }
    }

    fn data(data: Value) -> Self {
        Self::quiet(ToolOutcome { data: Some(data), ..ToolOutcome::default() })
    }
}

impl From<Done> for Performed {
    fn from(done: Done) -> Self {
        let Done { outcome, may_notify, made } = done;
        Self { result: Ok(outcome), may_notify, made, acts: Vec::new(), in_doubt: false }
    }
}

/// One running request.
struct ToolRun<'a> {
    caller: &'a Caller<'a>,
    backend: &'a ToolBackend<'a>,
    row: &'static ToolSpec,
    /// Whether the request may have run before. Then a state that already holds may be its own effect.
    again: bool,
    /// Whether the request may have caused notifications, even if it failed.
    may_notify: Cell<bool>,
    /// Whether the answer of a writing call was lost, so that the call may have run.
    lost: Cell<bool>,
    /// The last error of a call of the backend.
    failed: RefCell<Option<CallError>>,
}

impl<'a> ToolRun<'a> {
    fn new(request: &ToolRequest, caller: &'a Caller<'a>, backend: &'a ToolBackend<'a>) -> Self {
        Self {
            caller,
            backend,
            row: request.row(),
            again: false,
            may_notify: Cell::new(false),
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
                may_notify: self.may_notify.get(),
                in_doubt: self.lost.get(),
                ..Performed::refused(error)
            },
        }
    }

    /// Calls the backend, and records what a failure means for the request.
    fn call<R: Request>(&self, request: &R) -> Result<R::Answer, CallError> {
        self.backend.mission.ask(request).inspect_err(|error| {
            let may_have_run = error.ran != FunctionRan::No;
            let lost = match error.class {
                CallClass::Ambiguous => true,
                CallClass::Transient => may_have_run,
                CallClass::Refused | CallClass::Gone => false,
            };
            self.may_notify.set(self.may_notify.get() || self.row.writes && may_have_run);
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

    /// The task, read now.
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
            ToolRequest::DocumentUpsert(document) => self.write_document(document),
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
                // The backend answers an unknown id without an error. For an agent it is a wrong id.
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
            // Writing requests are handled above.
            _ => Value::Null,
        })
    }
}
