//! The tools of the agents: http-and-tools §5, §6, §9.5–9.9, and the requirements of backend-contract §10 for
//! a client.

use std::sync::{Arc, Mutex};

use mission_control_runtime::convex::{Call, CallClass, CallError, CallReason, Convex};
use mission_control_runtime::gateway::ToolCall;
use mission_control_runtime::mission::Mission;
use mission_control_runtime::model::{AccountId, AgentId, BehaviorFlags, Roster, Task};
use mission_control_runtime::secret::Secret;
use mission_control_runtime::tools::run::{ExecutedCall, ToolBackend, run};
use mission_control_runtime::tools::{Caller, Offer, offer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Fields of all types, with valid and invalid values.
mod decoding;
/// The effects of calls on a real board.
mod effects;
/// Which agents may close which tasks.
mod gates;
/// When two calls are equal.
mod keys;
/// Which tools each caller is offered.
mod selection;
/// Calls against a backend that records them.
mod sending;
/// Calls with an unknown outcome.
mod settling;
/// Backends that give no reasons, are unavailable, or lose an answer.
mod silence;

/// A caller of tools.
#[derive(Clone)]
struct TestCaller {
    agent: AgentId,
    task: Option<Task>,
    flags: BehaviorFlags,
    leads: bool,
    may_close: bool,
}

impl TestCaller {
    /// A caller without rights and without a task.
    fn without_rights() -> Self {
        let flags = BehaviorFlags {
            can_create_tasks: false,
            can_modify_task_status: false,
            can_create_documents: false,
            can_mention_agents: false,
            can_review_tasks: false,
            can_mark_done: false,
        };
        Self { agent: AgentId::new("a-me"), task: None, flags, leads: false, may_close: false }
    }

    /// A caller with all rights, in a conversation about a task in this status.
    fn with_all_rights(status: &str) -> Self {
        let flags = BehaviorFlags {
            can_create_tasks: true,
            can_modify_task_status: true,
            can_create_documents: true,
            can_mention_agents: true,
            can_review_tasks: true,
            can_mark_done: true,
        };
        let task = Some(task(status));
        Self { agent: AgentId::new("a-me"), task, flags, leads: true, may_close: true }
    }

    fn caller(&self) -> Caller<'_> {
        let Self { agent, task, flags, leads, may_close } = self;
        Caller { agent, task: task.as_ref(), flags: *flags, leads: *leads, may_close: *may_close }
    }
}

/// A task in the backend's form.
fn task_json(status: &str) -> Value {
    json!({"_id": "t-here", "title": "Here", "status": status, "priority": 3.0, "createdBy": "u", "createdAt": 1.0,
        "updatedAt": 2.0})
}

fn task(status: &str) -> Task {
    serde_json::from_value(task_json(status)).unwrap()
}

fn call(name: &str, arguments: &str) -> ToolCall {
    ToolCall { call_id: "c1".to_owned(), name: name.to_owned(), arguments: arguments.to_owned() }
}

/// A backend that records its calls and returns prepared answers.
struct RecordingBackend {
    answers: Vec<(&'static str, Value)>,
    /// The failure of every function without a prepared answer.
    trouble: Option<CallError>,
    asked: Mutex<Vec<(String, Value)>>,
}

impl Convex for RecordingBackend {
    fn call(&self, call: &Call<'_>) -> Result<Box<RawValue>, CallError> {
        let name = call.path.strip_prefix("service/actions:").unwrap();
        let args = serde_json::from_str(call.args.get()).unwrap();
        self.asked.lock().unwrap().push((name.to_owned(), args));
        match self.answers.iter().find(|(function, _)| *function == name) {
            Some((_, answer)) => Ok(RawValue::from_string(answer.to_string()).unwrap()),
            None => Err(self.trouble.clone().unwrap_or_else(|| panic!("{name} was asked"))),
        }
    }
}

/// The result of a call against a [`RecordingBackend`].
struct Made {
    ran: ExecutedCall,
    output: Value,
    /// The called functions, with their arguments except account and token.
    asked: Vec<(String, Value)>,
    /// How often the roster was read again.
    refreshed: usize,
}

impl Made {
    fn error(&self) -> &str {
        self.output["error"].as_str().unwrap_or_else(|| panic!("it went well: {}", self.output))
    }

    fn functions(&self) -> Vec<&str> {
        self.asked.iter().map(|(name, _)| name.as_str()).collect()
    }
}

/// Agents `me` (the orchestrator), `qa` and `eng`.
fn roster() -> Roster {
    let agent = |id: &str, slug: &str| {
        serde_json::from_value(
            json!({"_id": id, "name": slug, "slug": slug, "role": "Engineer", "status": "online"}),
        )
        .unwrap()
    };
    let agents = vec![agent("a-me", "me"), agent("a-qa", "qa"), agent("a-eng", "eng")];
    Roster::new(agents, Some(AgentId::new("a-me")))
}

/// Makes a call against a backend with these answers.
fn make(who: &TestCaller, name: &str, arguments: &Value, answers: Vec<(&'static str, Value)>) -> Made {
    make_against(who, &call(name, &arguments.to_string()), answers, None)
}

fn make_against(
    who: &TestCaller,
    call: &ToolCall,
    answers: Vec<(&'static str, Value)>,
    trouble: Option<CallError>,
) -> Made {
    make_with(who, call, answers, trouble, || Some(Arc::new(roster())))
}

/// Like [`make`], with another function to read the roster again.
fn make_with(
    who: &TestCaller,
    call: &ToolCall,
    answers: Vec<(&'static str, Value)>,
    trouble: Option<CallError>,
    fresh: impl Fn() -> Option<Arc<Roster>>,
) -> Made {
    let backend = Arc::new(RecordingBackend { answers, trouble, asked: Mutex::default() });
    let mission = Mission::new(backend.clone(), AccountId::new("acc"), Secret::new("the-token"));
    let caller = who.caller();
    let refreshed = Mutex::new(0);
    let refresh = || {
        *refreshed.lock().unwrap() += 1;
        fresh()
    };
    let hands = ToolBackend { mission: &mission, roster: &roster(), refresh: &refresh };
    let ran = run(call, &caller, &offer(&caller), &hands);
    let output: Value = serde_json::from_str(&ran.output).unwrap();
    assert_eq!(output["success"], json!(ran.ok), "{output}");
    assert_eq!(ran.error.as_ref().map(|error| json!(error.message)), output.get("error").cloned());
    assert!(!ran.output.contains("the-token"), "{output}");
    let mut asked = backend.asked.lock().unwrap().clone();
    for (_, args) in &mut asked {
        let args = args.as_object_mut().unwrap();
        assert_eq!(args.remove("accountId"), Some(json!("acc")));
        assert_eq!(args.remove("serviceToken"), Some(json!("the-token")));
    }
    let refreshed = *refreshed.lock().unwrap();
    Made { ran, output, asked, refreshed }
}

/// A refusal by the backend, in its own words.
fn refusal(why: CallReason, words: &str) -> CallError {
    let class = if why == CallReason::NotFound { CallClass::Gone } else { CallClass::Refused };
    CallError { literal: Some(words.into()), ..CallError::new(class, why, "", "a sentence for operators") }
}

/// The names of the offered tools.
fn names(offer: &Offer) -> Vec<&'static str> {
    offer.tools.iter().map(|tool| tool.name).collect()
}
