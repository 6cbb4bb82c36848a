//! Which tools each caller is offered (http-and-tools §5.1–5.3, §9.5).

use mission_control_runtime::model::{Task, ToolEndpoints};
use mission_control_runtime::tools::access::{ToolAccess, ToolRoute};
use mission_control_runtime::tools::table::{Audience, ROWS};
use mission_control_runtime::tools::{ToolError, offer, offer_by, offer_http, prepare};
use serde_json::{Value, json};

use super::{TestCaller, call, names, task};

const LEADERS: [&str; 8] = [
    "task_assign",
    "task_message",
    "task_list",
    "task_get",
    "task_thread",
    "task_search",
    "task_delete",
    "task_link_pr",
];

/// The seven inputs of §5.2.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "these are the seven inputs of §5.2")]
struct Inputs {
    create: bool,
    modify: bool,
    documents: bool,
    context: bool,
    mention: bool,
    done: bool,
    leads: bool,
}

impl Inputs {
    fn all() -> impl Iterator<Item = Self> {
        (0..128_u8).map(|bits| {
            let bit = |at: u8| bits & (1 << at) != 0;
            Self {
                create: bit(0),
                modify: bit(1),
                documents: bit(2),
                context: bit(3),
                mention: bit(4),
                done: bit(5),
                leads: bit(6),
            }
        })
    }

    fn caller(self) -> TestCaller {
        let mut who = TestCaller::without_rights();
        who.flags.can_create_tasks = self.create;
        who.flags.can_modify_task_status = self.modify;
        who.flags.can_create_documents = self.documents;
        who.flags.can_mention_agents = self.mention;
        who.flags.can_mark_done = self.done;
        who.task = self.context.then(|| task("review"));
        who.leads = self.leads;
        who.may_close = true;
        who
    }

    /// The table of §5.2, as an independent copy.
    fn expected(self) -> Vec<&'static str> {
        let mut tools = Vec::new();
        if self.context && self.modify {
            tools.extend(["task_status", "task_update"]);
        }
        if self.create {
            tools.push("task_create");
        }
        if self.documents {
            tools.push("document_upsert");
        }
        if self.documents || self.context {
            tools.push("document_list");
        }
        if self.context && self.mention {
            tools.push("response_request");
        }
        tools.extend(["get_agent_skills", "task_load"]);
        if self.context {
            tools.push("task_history");
        }
        if self.leads {
            tools.extend(LEADERS);
        }
        tools
    }
}

/// The words for a status in a tool's schema.
fn statuses(schema: &Value) -> Vec<&str> {
    schema["properties"]["status"]["enum"]
        .as_array()
        .unwrap()
        .iter()
        .map(|word| word.as_str().unwrap())
        .collect()
}

#[test]
fn every_combination_of_rights_gets_its_tools() {
    for inputs in Inputs::all() {
        let who = inputs.caller();
        let offered = offer(&who.caller());
        let expected = inputs.expected();
        assert_eq!(names(&offered), expected, "{inputs:?}");
        assert_eq!(offered.labels.len(), expected.len(), "{inputs:?}");
        for (name, label) in expected.iter().zip(&offered.labels) {
            assert!(label.ends_with(&format!("({name} tool)")), "{label}");
        }
        for row in &ROWS {
            assert_eq!(
                offered.has(row.name),
                expected.contains(&row.name.as_str()),
                "{inputs:?} {}",
                row.name
            );
            assert_eq!(offered.grants(row.name), expected.contains(&row.name.as_str()));
        }
        assert_eq!(offered.can_mark_done, inputs.done && inputs.context, "{inputs:?}");
        if let Some(tool) = offered.tools.iter().find(|tool| tool.name == "task_status") {
            let with = ["in_progress", "review", "done", "blocked"];
            let without = ["in_progress", "review", "blocked"];
            let expected: &[&str] = if inputs.done { &with } else { &without };
            assert_eq!(statuses(&tool.parameters), expected, "{inputs:?}");
        }
        if let Some(tool) = offered.tools.iter().find(|tool| tool.name == "task_update") {
            assert_eq!(statuses(&tool.parameters), ["in_progress", "review", "done", "blocked"]);
        }
    }
}

/// §5.3, with the two endpoints that the TypeScript runtime forgot (W34).
#[test]
fn without_client_tools_the_same_rights_offer_endpoints() {
    for inputs in Inputs::all() {
        let offered = offer_http(&inputs.caller().caller());
        assert!(offered.tools.is_empty());
        let endpoints: Vec<String> = inputs
            .expected()
            .iter()
            .map(|name| match *name {
                "document_upsert" => "document".to_owned(),
                name => name.replace('_', "-"),
            })
            .collect();
        assert_eq!(offered.labels.len(), endpoints.len());
        for (endpoint, label) in endpoints.iter().zip(&offered.labels) {
            assert!(label.contains(&format!("via HTTP (POST /agent/{endpoint}; ")), "{label}");
        }
        for row in &ROWS {
            assert!(!offered.has(row.name));
            assert_eq!(offered.grants(row.name), inputs.expected().contains(&row.name.as_str()));
        }
    }
}

/// A gateway that is too old for tools gets them all the same, so that its successor is recognized.
#[test]
fn a_gateway_too_old_for_tools_gets_both_and_no_route_offers_nothing() {
    let who = TestCaller::with_all_rights("review");
    let access = ToolAccess { endpoints: ToolEndpoints::Auto, client_tools: true };
    let both = offer_by(access.route(false), access, &who.caller());
    assert_eq!((names(&both), both.labels), (names(&offer(&who.caller())), offer_http(&who.caller()).labels));
    let access = ToolAccess { endpoints: ToolEndpoints::Off, client_tools: false };
    let none = offer_by(access.route(true), access, &who.caller());
    assert!(access.route(true) == ToolRoute::Nothing && none.labels.is_empty() && none.tools.is_empty());
}

/// D13: the flag, the backend's rule and the task must agree.
#[test]
fn done_is_offered_where_it_can_succeed() {
    for status in ["inbox", "assigned", "in_progress", "review", "done", "blocked", "archived"] {
        for (flag, may_close) in [(true, true), (true, false), (false, true), (false, false)] {
            let mut who = TestCaller::with_all_rights(status);
            who.flags.can_mark_done = flag;
            who.may_close = may_close;
            let expected = flag && may_close && status == "review";
            let offered = offer(&who.caller());
            assert_eq!(offered.can_mark_done, expected, "{status} {flag} {may_close}");
            let tool = offered.tools.iter().find(|tool| tool.name == "task_status").unwrap();
            assert_eq!(statuses(&tool.parameters).contains(&"done"), expected);
        }
    }
}

/// §5.1: only keywords that model providers accept.
#[test]
fn schemas_use_only_basic_keywords() {
    let who = TestCaller::with_all_rights("review");
    let offered = offer(&who.caller());
    assert_eq!(offered.tools.len(), 17);
    for tool in &offered.tools {
        let name = tool.name;
        assert!(tool.description.len() > 30, "{name}");
        let schema = tool.parameters.as_object().unwrap();
        for key in schema.keys() {
            assert!(["type", "properties", "required"].contains(&key.as_str()), "{name}: {key}");
        }
        assert_eq!(schema["type"], "object");
        let optional_only = ["task_list", "get_agent_skills", "document_list"].contains(&name);
        assert_eq!(schema.contains_key("required"), !optional_only, "{name}");
        let properties = schema["properties"].as_object().unwrap();
        for required in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
            assert!(properties.contains_key(required.as_str().unwrap()), "{name}");
        }
        for (field, is) in properties {
            for (key, value) in is.as_object().unwrap() {
                let plain = match key.as_str() {
                    "type" => ["string", "number", "array"].contains(&value.as_str().unwrap()),
                    "description" => value.as_str().unwrap().len() > 5,
                    "items" => *value == json!({"type": "string"}),
                    "enum" => value.as_array().unwrap().iter().all(Value::is_string),
                    "minimum" | "maximum" => (name, field.as_str()) == ("task_update", "priority"),
                    _ => false,
                };
                assert!(plain, "{name}.{field}: {key} {value}");
            }
        }
    }
}

/// The fields of §5.5, as an independent copy; `*` is required.
#[test]
fn every_tool_has_its_fields() {
    let rows = [
        ("task_status", "taskId* status* blockedReason"),
        (
            "task_update",
            "taskId* title description priority labels assignedAgentIds assignedUserIds status blockedReason dueDate",
        ),
        ("task_create", "title* description priority labels status blockedReason dueDate assigneeSlugs"),
        ("document_upsert", "documentId taskId title* content* type*"),
        ("document_list", "taskId type limit"),
        ("response_request", "taskId recipientSlugs* message*"),
        ("get_agent_skills", "agentId"),
        ("task_load", "taskId* messageLimit"),
        ("task_history", "taskId* messageLimit activityLimit"),
        ("task_assign", "taskId* assigneeSlugs*"),
        ("task_message", "taskId* content*"),
        ("task_list", "status assigneeSlug limit"),
        ("task_get", "taskId*"),
        ("task_thread", "taskId* limit"),
        ("task_search", "query* limit"),
        ("task_delete", "taskId* reason*"),
        ("task_link_pr", "taskId* prNumber*"),
    ];
    assert_eq!(ROWS.len(), rows.len());
    for (row, (name, fields)) in ROWS.iter().zip(rows) {
        assert_eq!(row.name.as_str(), name);
        let spelled: Vec<String> = row
            .fields
            .iter()
            .map(|field| format!("{}{}", field.name, if field.required { "*" } else { "" }))
            .collect();
        assert_eq!(spelled.join(" "), fields, "{name}");
    }
}

/// Arguments that every tool accepts.
pub(super) fn arguments(name: &str) -> Value {
    match name {
        "task_status" => json!({"taskId": "t", "status": "review"}),
        "task_update" => json!({"taskId": "t", "title": "T"}),
        "task_create" => json!({"title": "T"}),
        "document_upsert" => json!({"title": "T", "content": "C", "type": "note"}),
        "document_list" | "get_agent_skills" | "task_list" => json!({}),
        "response_request" => json!({"recipientSlugs": ["qa"], "message": "M"}),
        "task_load" | "task_history" | "task_get" | "task_thread" => json!({"taskId": "t"}),
        "task_assign" => json!({"taskId": "t", "assigneeSlugs": ["qa"]}),
        "task_message" => json!({"taskId": "t", "content": "C"}),
        "task_search" => json!({"query": "Q"}),
        "task_delete" => json!({"taskId": "t", "reason": "R"}),
        "task_link_pr" => json!({"taskId": "t", "prNumber": 7}),
        other => panic!("{other} has no arguments"),
    }
}

fn prepared(who: &TestCaller, name: &str) -> Result<(), ToolError> {
    let caller = who.caller();
    prepare(&call(name, &arguments(name).to_string()), &caller, &offer(&caller)).map(|_| ())
}

/// W24: a tool that was not offered does not run, and the agent gets the reason.
#[test]
fn only_offered_tools_run() {
    for inputs in Inputs::all() {
        let who = inputs.caller();
        for row in &ROWS {
            let expected = inputs.expected().contains(&row.name.as_str());
            let answer = prepared(&who, row.name.as_str());
            assert_eq!(answer.is_ok(), expected, "{inputs:?} {}: {answer:?}", row.name);
            if row.audience == Audience::Leader && !inputs.leads {
                assert!(answer.unwrap_err().message.starts_with("Forbidden: Only the orchestrator can "));
            }
        }
    }
}

#[test]
fn a_caller_without_rights_gets_the_reason() {
    let nobody = TestCaller::without_rights();
    let on_task = TestCaller { task: Some(task("in_progress")), ..TestCaller::without_rights() };
    let free = TestCaller { task: None, ..TestCaller::with_all_rights("review") };
    let rows = [
        (&on_task, "task_status", "Forbidden: Agent is not allowed to modify task status"),
        (&on_task, "task_update", "Forbidden: Agent is not allowed to modify tasks"),
        (&nobody, "task_create", "Forbidden: Agent is not allowed to create tasks"),
        (&nobody, "document_upsert", "Forbidden: Agent is not allowed to create documents"),
        (&on_task, "response_request", "Forbidden: Agent may not request responses"),
        (&nobody, "task_history", "task_history is not available here: this conversation has no task"),
        (&nobody, "document_list", "document_list is not available here: this conversation has no task"),
        (&free, "task_status", "task_status is not available here: this conversation has no task"),
        (&nobody, "task_assign", "Forbidden: Only the orchestrator can assign agents"),
        (&nobody, "task_message", "Forbidden: Only the orchestrator can post task messages"),
        (&nobody, "task_list", "Forbidden: Only the orchestrator can list tasks"),
        (&nobody, "task_get", "Forbidden: Only the orchestrator can get tasks"),
        (&nobody, "task_thread", "Forbidden: Only the orchestrator can read task threads"),
        (&nobody, "task_search", "Forbidden: Only the orchestrator can search tasks"),
        (&nobody, "task_delete", "Forbidden: Only the orchestrator can delete/archive tasks"),
        (&nobody, "task_link_pr", "Forbidden: Only the orchestrator can link tasks to PRs"),
    ];
    for (who, name, words) in rows {
        let error = prepared(who, name).unwrap_err();
        assert!(error.message.contains(words), "{name}: {error}");
    }
}

#[test]
fn an_unknown_tool_is_refused_with_the_offered_ones() {
    let who = TestCaller::without_rights();
    let caller = who.caller();
    let error = prepare(&call("task_destroy", "{}"), &caller, &offer(&caller)).unwrap_err();
    assert_eq!(error.message, "Unknown tool: task_destroy (available tools: get_agent_skills, task_load)");
    let error = prepare(&call("task_destroy", "{}"), &caller, &offer_http(&caller)).unwrap_err();
    assert_eq!(error.message, "Unknown tool: task_destroy (no tools are available here)");
    // If tools are switched off, none runs.
    let error = prepare(&call("task_load", r#"{"taskId":"t"}"#), &caller, &offer_http(&caller)).unwrap_err();
    assert!(error.message.contains("not offered in this conversation"), "{error}");
}

/// D25: the conversation with the orchestrator keeps its label and its place.
#[test]
fn the_orchestrators_conversation_keeps_its_label_and_place() {
    let mut who = TestCaller::with_all_rights("in_progress");
    who.task.as_mut().unwrap().labels = vec![Task::ORCHESTRATOR_CHAT.to_owned()];
    let caller = who.caller();
    let rows = [
        ("task_delete", json!({"taskId": "t-here", "reason": "R"}), Some("cannot be archived")),
        ("task_delete", json!({"taskId": "t-other", "reason": "R"}), None),
        ("task_update", json!({"taskId": "t-here", "labels": []}), Some("labels of the orchestrator chat")),
        ("task_update", json!({"taskId": "t-here", "title": "T"}), None),
    ];
    for (name, args, words) in rows {
        let answer = prepare(&call(name, &args.to_string()), &caller, &offer(&caller));
        match words {
            Some(words) => assert!(answer.unwrap_err().message.contains(words), "{args}"),
            None => assert!(answer.is_ok(), "{args}"),
        }
    }
}
