//! The calls of the backend, one by one (http-and-tools §9.6–9.9).

use mission_control_runtime::convex::CallReason;
use mission_control_runtime::tools::{ToolErrorKind, ToolName};
use serde_json::{Value, json};

use super::{TestCaller, call, make, make_against, make_with, refusal, task, task_json};

fn lead() -> TestCaller {
    TestCaller::with_all_rights("in_progress")
}

fn worker() -> TestCaller {
    let mut who = TestCaller::with_all_rights("in_progress");
    who.leads = false;
    who.may_close = false;
    who
}

fn a_ref() -> Value {
    json!({"taskId": "t", "changedFields": ["title", "priority", "labels"]})
}

/// Tool and arguments, function and arguments, the function's answer, the agent's result.
type Row = (&'static str, Value, &'static str, Value, Value, Value);

/// One tool, one call: the request and the result.
fn check(rows: Vec<Row>) {
    for (name, args, function, sent, answer, expected) in rows {
        let made = make(&lead(), name, &args, vec![(function, answer)]);
        assert_eq!(made.asked, [(function.to_owned(), sent)], "{name} {args}");
        assert_eq!(made.output, expected, "{name} {args}");
        assert_eq!(made.refreshed, 0, "{name}");
    }
}

#[test]
fn changing_a_task_takes_one_call() {
    check(vec![
        (
            "task_status",
            json!({"taskId": " t ", "status": "review"}),
            "updateTaskStatusFromAgent",
            json!({"taskId": "t", "agentId": "a-me", "status": "review"}),
            json!({"taskId": "t", "status": "review", "updatedAt": 5.0, "changed": true}),
            json!({"success": true, "taskId": "t", "message": "The task is now review",
                "data": {"requestedStatus": "review", "status": "review", "changed": true, "updatedAt": 5}}),
        ),
        (
            "task_status",
            json!({"status": "blocked", "blockedReason": " key "}),
            "updateTaskStatusFromAgent",
            json!({"taskId": "t-here", "agentId": "a-me", "status": "blocked", "blockedReason": "key"}),
            json!({"taskId": "t-here", "status": "blocked", "updatedAt": 5.0, "changed": false}),
            json!({"success": true, "taskId": "t-here", "message": "The task already was blocked",
                "data": {"requestedStatus": "blocked", "status": "blocked", "changed": false, "updatedAt": 5}}),
        ),
        (
            "task_update",
            json!({"taskId": "t", "title": " T ", "priority": 2, "labels": ["a"]}),
            "updateTaskFromAgent",
            json!({"taskId": "t", "agentId": "a-me", "title": "T", "priority": 2.0, "labels": ["a"]}),
            a_ref(),
            json!({"success": true, "taskId": "t", "message": "Modified: title, priority, labels.",
                "data": {"changedFields": ["title", "priority", "labels"]}}),
        ),
        (
            "task_update",
            json!({"taskId": "t", "status": "blocked", "blockedReason": "R", "dueDate": 1_765_612_800_000_i64}),
            "updateTaskFromAgent",
            json!({"taskId": "t", "agentId": "a-me", "status": "blocked", "blockedReason": "R",
                "dueDate": 1_765_612_800_000_i64}),
            json!({"taskId": "t", "changedFields": []}),
            json!({"success": true, "taskId": "t", "message": "Nothing changed.", "data": {"changedFields": []}}),
        ),
        (
            "task_update",
            json!({"taskId": "t", "assignedUserIds": ["u", "v"]}),
            "updateTaskFromAgent",
            json!({"taskId": "t", "agentId": "a-me", "assignedUserIds": ["u", "v"]}),
            json!({"taskId": "t", "changedFields": ["assignedUserIds"]}),
            json!({"success": true, "taskId": "t", "message": "Modified: assignedUserIds.",
                "data": {"changedFields": ["assignedUserIds"]}}),
        ),
    ]);
}

#[test]
fn creating_tasks_and_documents_takes_one_call() {
    check(vec![
        (
            "task_create",
            json!({"title": "T", "status": "assigned"}),
            "createTaskFromAgent",
            json!({"agentId": "a-me", "title": "T", "status": "inbox"}),
            json!({"taskId": "new"}),
            json!({"success": true, "taskId": "new"}),
        ),
        (
            "task_create",
            json!({"title": "T", "status": "in_progress", "assigneeSlugs": ["@Me", "eng", "ENG"],
                "priority": "high", "labels": ["x"], "description": "D", "dueDate": 1_765_612_800_000_i64}),
            "createTaskFromAgent",
            json!({"agentId": "a-me", "title": "T", "status": "inbox", "assignedAgentIds": ["a-eng"],
                "priority": 2.0, "labels": ["x"], "description": "D", "dueDate": 1_765_612_800_000_i64}),
            json!({"taskId": "new"}),
            json!({"success": true, "taskId": "new",
                "message": "You were not assigned: the orchestrator only assigns other agents"}),
        ),
        (
            "document_upsert",
            json!({"title": "T", "content": "C", "type": "note"}),
            "createDocumentFromAgent",
            json!({"agentId": "a-me", "taskId": "t-here", "title": "T", "content": "C", "type": "note"}),
            json!({"documentId": "d"}),
            json!({"success": true, "documentId": "d"}),
        ),
        (
            "document_list",
            json!({}),
            "listDocumentsForAgent",
            json!({}),
            json!({"documents": [{"_id": "d", "title": "T", "type": "note", "updatedAt": 5.0}]}),
            json!({"success": true,
                "data": {"documents": [{"_id": "d", "title": "T", "type": "note", "updatedAt": 5}]}}),
        ),
    ]);
}

#[test]
fn assigning_work_takes_one_call() {
    check(vec![
        (
            "response_request",
            json!({"recipientSlugs": ["qa", "@eng"], "message": "M"}),
            "createResponseRequestNotifications",
            json!({"requesterAgentId": "a-me", "taskId": "t-here", "recipientSlugs": ["qa", "eng"], "message": "M"}),
            json!({"notificationIds": ["n1", "n2"]}),
            json!({"success": true, "data": {"notificationIds": ["n1", "n2"]}}),
        ),
        (
            // An id in place of a slug is accepted, and is sent as the slug that the backend wants.
            "response_request",
            json!({"taskId": "t", "recipientSlugs": ["a-qa", "QA", "Eng"], "message": "M"}),
            "createResponseRequestNotifications",
            json!({"requesterAgentId": "a-me", "taskId": "t", "recipientSlugs": ["qa", "Eng"], "message": "M"}),
            json!({"notificationIds": ["n1", "n2"]}),
            json!({"success": true, "data": {"notificationIds": ["n1", "n2"]}}),
        ),
        (
            "get_agent_skills",
            json!({"agentId": "a-qa"}),
            "getAgentSkillsForTool",
            json!({"agentId": "a-me", "queryAgentId": "a-qa"}),
            json!([{"agentId": "qa", "skillIds": ["s"], "skillCount": 1.0, "lastUpdated": "2026-01-01"}]),
            json!({"success": true, "data": {"agents": [
                {"agentId": "qa", "skillIds": ["s"], "skillCount": 1, "lastUpdated": "2026-01-01"}]}}),
        ),
        (
            // D18: the answer's "agent id" is its slug.
            "get_agent_skills",
            json!({"agentId": "@QA"}),
            "getAgentSkillsForTool",
            json!({"agentId": "a-me", "queryAgentId": "a-qa"}),
            json!([]),
            json!({"success": true, "data": {"agents": []}}),
        ),
        (
            "task_assign",
            json!({"taskId": "t", "assigneeSlugs": ["QA", "me", "@qa"]}),
            "assignTaskFromAgent",
            json!({"taskId": "t", "agentId": "a-me", "assignedAgentIds": ["a-qa"]}),
            json!({"taskId": "t"}),
            json!({"success": true, "taskId": "t"}),
        ),
        (
            "task_message",
            json!({"taskId": "t", "content": " hi "}),
            "createTaskMessageForAgentTool",
            json!({"taskId": "t", "agentId": "a-me", "content": "hi"}),
            json!({"messageId": "m"}),
            json!({"success": true, "messageId": "m"}),
        ),
        (
            "task_delete",
            json!({"taskId": " t ", "reason": " R "}),
            "deleteTaskFromAgent",
            json!({"taskId": "t", "agentId": "a-me", "reason": "R"}),
            json!({"success": true}),
            json!({"success": true}),
        ),
        (
            "task_link_pr",
            json!({"taskId": "t", "prNumber": 99}),
            "linkTaskToPrForAgentTool",
            json!({"taskId": "t", "agentId": "a-me", "prNumber": 99}),
            json!({"success": true}),
            json!({"success": true, "data": {"taskId": "t", "prNumber": 99}}),
        ),
    ]);
}

#[test]
fn reading_tasks_takes_one_call() {
    let thread = json!([{"messageId": "m", "authorType": "agent", "authorId": "a", "authorName": null,
        "content": "hi", "createdAt": 1.0}]);
    let history = json!({"task": task_json("review"), "messages": [], "activities": [],
        "meta": {"messageLimitApplied": 50.0, "activityLimitApplied": 40.0}});
    let shown = json!({"_id": "t-here", "title": "Here", "status": "review", "priority": 3, "createdBy": "u",
        "createdAt": 1, "updatedAt": 2, "labels": [], "assignedAgentIds": [], "assignedUserIds": []});
    check(vec![
        (
            "task_load",
            json!({"taskId": "t-here", "messageLimit": 12}),
            "loadTaskDetailsForAgentTool",
            json!({"agentId": "a-me", "taskId": "t-here", "messageLimit": 12}),
            json!({"task": task_json("review"), "thread": thread}),
            json!({"success": true, "data": {"task": shown, "thread": [{"messageId": "m", "authorType": "agent",
                "authorId": "a", "authorName": null, "content": "hi", "createdAt": 1}]}}),
        ),
        (
            "task_history",
            json!({"taskId": "t-here", "messageLimit": 50, "activityLimit": 40}),
            "getTaskHistoryForAgentTool",
            json!({"agentId": "a-me", "taskId": "t-here", "messageLimit": 50, "activityLimit": 40}),
            history,
            json!({"success": true, "data": {"task": shown, "messages": [], "activities": [],
                "meta": {"messageLimitApplied": 50, "activityLimitApplied": 40}}}),
        ),
        (
            "task_list",
            json!({"status": "review", "assigneeSlug": "@Eng", "limit": 5}),
            "listTasksForAgentTool",
            json!({"agentId": "a-me", "status": "review", "assigneeAgentId": "a-eng", "limit": 5}),
            json!([task_json("review")]),
            json!({"success": true, "data": {"tasks": [shown]}}),
        ),
        (
            "task_get",
            json!({"taskId": "t-here"}),
            "getTaskForAgentTool",
            json!({"agentId": "a-me", "taskId": "t-here"}),
            task_json("review"),
            json!({"success": true, "data": {"task": shown}}),
        ),
        (
            "task_thread",
            json!({"taskId": "t", "limit": 3}),
            "listTaskThreadForAgentTool",
            json!({"agentId": "a-me", "taskId": "t", "limit": 3}),
            json!([]),
            json!({"success": true, "data": {"thread": []}}),
        ),
        (
            "task_search",
            json!({"query": " login ", "limit": 5}),
            "searchTasksForAgentTool",
            json!({"agentId": "a-me", "query": "login", "limit": 5}),
            json!([]),
            json!({"success": true, "data": {"results": []}}),
        ),
    ]);
}

/// Which calls notify agents, so that the next list should come at once.
#[test]
fn calls_report_whether_they_notify_agents() {
    let moved = |changed| json!({"taskId": "t", "status": "review", "updatedAt": 5.0, "changed": changed});
    let task_ref = || json!({"taskId": "t"});
    let asked = |ids: Value| json!({"notificationIds": ids});
    let status = json!({"taskId": "t", "status": "review"});
    let ask = json!({"recipientSlugs": ["qa"], "message": "M"});
    let rows = [
        (lead(), "task_status", status.clone(), "updateTaskStatusFromAgent", moved(true), true),
        (lead(), "task_status", status, "updateTaskStatusFromAgent", moved(false), false),
        (lead(), "task_update", json!({"title": "T"}), "updateTaskFromAgent", a_ref(), true),
        (lead(), "task_create", json!({"title": "T"}), "createTaskFromAgent", task_ref(), false),
        (
            lead(),
            "task_create",
            json!({"title": "T", "status": "assigned"}),
            "createTaskFromAgent",
            task_ref(),
            false,
        ),
        (
            worker(),
            "task_create",
            json!({"title": "T", "status": "assigned"}),
            "createTaskFromAgent",
            task_ref(),
            true,
        ),
        (
            lead(),
            "task_create",
            json!({"title": "T", "assigneeSlugs": ["qa"]}),
            "createTaskFromAgent",
            task_ref(),
            true,
        ),
        (
            lead(),
            "task_create",
            json!({"title": "T", "assigneeSlugs": ["me"]}),
            "createTaskFromAgent",
            task_ref(),
            false,
        ),
        (
            lead(),
            "task_assign",
            json!({"taskId": "t", "assigneeSlugs": ["qa"]}),
            "assignTaskFromAgent",
            task_ref(),
            true,
        ),
        (
            lead(),
            "task_message",
            json!({"taskId": "t", "content": "C"}),
            "createTaskMessageForAgentTool",
            json!({"messageId": "m"}),
            true,
        ),
        (
            lead(),
            "response_request",
            ask.clone(),
            "createResponseRequestNotifications",
            asked(json!(["n"])),
            true,
        ),
        (lead(), "response_request", ask, "createResponseRequestNotifications", asked(json!([])), false),
        (lead(), "task_list", json!({}), "listTasksForAgentTool", json!([]), false),
        (
            lead(),
            "task_delete",
            json!({"taskId": "t", "reason": "R"}),
            "deleteTaskFromAgent",
            json!({"success": true}),
            false,
        ),
    ];
    for (who, name, args, function, answer, may_notify) in rows {
        let made = make(&who, name, &args, vec![(function, answer)]);
        assert!(made.ran.ok, "{}", made.output);
        assert_eq!(made.ran.may_notify, may_notify, "{name} {args}");
    }
}

#[test]
fn a_call_known_to_fail_is_not_sent() {
    let rows = [
        (worker(), "task_search", json!({}), "query is required"),
        (worker(), "task_search", json!({"query": "q"}), "Forbidden: Only the orchestrator can search tasks"),
        (
            worker(),
            "task_create",
            json!({"title": "T", "assigneeSlugs": ["qa"]}),
            "Forbidden: Only the orchestrator can assign agents during task creation",
        ),
        (
            lead(),
            "task_create",
            json!({"title": "T", "assigneeSlugs": ["Nix", "qa", "@nox"]}),
            "Unknown assignee slugs: nix, nox. The agents are: me, qa, eng",
        ),
        (
            lead(),
            "task_assign",
            json!({"taskId": "t", "assigneeSlugs": ["nix"]}),
            "Unknown assignee slugs: nix",
        ),
        (
            lead(),
            "task_assign",
            json!({"taskId": "t", "assigneeSlugs": ["me"]}),
            "No agent is left to assign",
        ),
        (lead(), "task_list", json!({"assigneeSlug": "nix"}), "Unknown assignee slug: nix"),
        (lead(), "task_update", json!({"assignedAgentIds": ["a-qa", "a-nix"]}), "Invalid agent: a-nix"),
        (lead(), "get_agent_skills", json!({"agentId": "nix"}), "Not found: Target agent does not exist"),
        (
            lead(),
            "response_request",
            json!({"recipientSlugs": ["nix"], "message": "M"}),
            "Unknown recipient slugs: nix",
        ),
        (
            lead(),
            "response_request",
            json!({"recipientSlugs": ["ME"], "message": "M"}),
            "No valid recipients after filtering",
        ),
        (lead(), "task_nonsense", json!({}), "Unknown tool: task_nonsense"),
    ];
    for (who, name, args, words) in rows {
        let made = make(&who, name, &args, Vec::new());
        assert!(made.error().starts_with(words), "{name} {args}: {}", made.error());
        assert!(made.asked.is_empty() && !made.ran.may_notify);
        // D34: a name that is missing in the roster is searched once in a fresh one.
        let missing = args.to_string().to_lowercase().contains("nix");
        assert_eq!(made.refreshed, usize::from(missing), "{name} {args}");
    }
}

/// A name that cannot be checked is not reported as certainly unknown.
#[test]
fn an_unreadable_roster_proves_no_name_unknown() {
    let rows = [
        ("task_assign", json!({"taskId": "t", "assigneeSlugs": ["nix", "qa"]})),
        ("task_list", json!({"assigneeSlug": "nix"})),
        ("get_agent_skills", json!({"agentId": "nix"})),
        ("response_request", json!({"recipientSlugs": ["nix"], "message": "M"})),
    ];
    for (name, args) in rows {
        let made = make_with(&lead(), &call(name, &args.to_string()), Vec::new(), None, || None);
        assert!(made.error().contains("nix (not in the last known list"), "{}", made.error());
        assert_eq!(made.ran.error.unwrap().kind, ToolErrorKind::Unavailable, "{name}");
    }
}

/// D21: the backend does not ask an agent again that has not answered; the caller is informed.
#[test]
fn recipients_who_were_asked_before_are_reported() {
    let rows = [
        (
            json!(["qa", "eng"]),
            json!([]),
            "No new request was sent. Already asked about this task and not answered yet: 2 of 2",
        ),
        (
            json!(["qa", "eng", "me"]),
            json!(["n"]),
            "Not all requests were sent. Already asked about this task and not answered yet: 1 of 2",
        ),
    ];
    for (slugs, ids, words) in rows {
        let args = json!({"recipientSlugs": slugs, "message": "M"});
        let answer = ("createResponseRequestNotifications", json!({"notificationIds": ids}));
        let made = make(&lead(), "response_request", &args, vec![answer]);
        assert!(made.ran.ok);
        assert!(made.output["message"].as_str().unwrap().starts_with(words), "{}", made.output);
        assert_eq!(made.output["data"]["notificationIds"], ids);
    }
}

/// D17: an overwritten document keeps its task.
#[test]
fn an_overwritten_document_keeps_its_task() {
    let listed = |id: &str, task: Option<&str>| {
        let mut entry = json!({"_id": id, "title": "T", "updatedAt": 1.0});
        if let Some(task) = task {
            entry["taskId"] = json!(task);
        }
        json!({"documents": [entry]})
    };
    let args = json!({"documentId": "d", "title": "T", "content": "C", "type": "note"});
    let (list, write) = ("listDocumentsForAgent", "createDocumentFromAgent");
    for task in [Some("t-its-own"), None] {
        let answers = vec![(list, listed("d", task)), (write, json!({"documentId": "d"}))];
        let made = make(&lead(), "document_upsert", &args, answers);
        assert_eq!(made.functions(), [list, write]);
        assert_eq!(made.asked[1].1.get("taskId").and_then(Value::as_str), task);
        assert_eq!(made.output, json!({"success": true, "documentId": "d"}));
    }
    // A named task is used as it is.
    let mut named = args.clone();
    named["taskId"] = json!("t-other");
    let made = make(&lead(), "document_upsert", &named, vec![(write, json!({"documentId": "d"}))]);
    assert_eq!(made.functions(), [write]);
    // If the document is not found, nothing is written.
    let made = make(&lead(), "document_upsert", &args, vec![(list, listed("other", Some("t")))]);
    assert_eq!(made.functions(), [list, list]);
    assert_eq!(made.asked[1].1["taskId"], "t-here");
    assert!(made.error().starts_with("taskId is required for this document"), "{}", made.error());
}

/// D14: agents that the orchestrator adds by an update are notified, by an assignment before it.
#[test]
fn an_update_by_the_orchestrator_assigns_the_added_agents() {
    let (look, assign, update) =
        ("loadTaskDetailsForAgentTool", "assignTaskFromAgent", "updateTaskFromAgent");
    let mut stands = task_json("inbox");
    stands["assignedAgentIds"] = json!(["a-qa"]);
    let answers = || {
        vec![
            (look, json!({"task": stands, "thread": []})),
            (assign, json!({"taskId": "t-here"})),
            (update, json!({"taskId": "t-here", "changedFields": ["assignedAgentIds"]})),
        ]
    };
    // A slug in place of an id is accepted.
    let made = make(&lead(), "task_update", &json!({"assignedAgentIds": ["a-qa", "eng", "a-me"]}), answers());
    assert_eq!(made.functions(), [look, assign, update]);
    assert_eq!(made.asked[1].1["assignedAgentIds"], json!(["a-eng"]));
    assert_eq!(made.asked[2].1["assignedAgentIds"], json!(["a-qa", "a-eng", "a-me"]));
    assert!(made.output["message"].as_str().unwrap().contains("left the inbox"), "{}", made.output);
    // No new agent, so no notification.
    let made = make(&lead(), "task_update", &json!({"assignedAgentIds": ["a-qa"]}), answers());
    assert_eq!(made.functions(), [look, update]);
    let made = make(&lead(), "task_update", &json!({"assignedAgentIds": []}), answers());
    assert_eq!(made.functions(), [update]);
    // Other agents cannot assign; they are told which tool notifies.
    let made = make(&worker(), "task_update", &json!({"assignedAgentIds": ["a-eng"]}), answers());
    assert_eq!(made.functions(), [update]);
    assert!(made.output["message"].as_str().unwrap().contains("use response_request"), "{}", made.output);
}

#[test]
fn an_unknown_task_is_an_error() {
    let made = make(&lead(), "task_get", &json!({"taskId": "t"}), vec![("getTaskForAgentTool", Value::Null)]);
    assert_eq!(made.error(), "Not found: Task does not exist");
    assert_eq!(made.ran.error.unwrap().kind, ToolErrorKind::NotFound);
}

/// The backend's message, where it has one, and the kind that determines the HTTP status.
#[test]
fn a_refusal_keeps_its_message_and_gets_a_kind() {
    let rows = [
        (CallReason::Forbidden, "Forbidden: Agent belongs to different account", ToolErrorKind::Forbidden),
        (CallReason::NotFound, "Not found: Task does not exist", ToolErrorKind::NotFound),
        (
            CallReason::Invalid,
            "Invalid transition: Cannot move from 'inbox' to 'review'",
            ToolErrorKind::Conflict,
        ),
        (
            CallReason::Invalid,
            "Invalid status change: Cannot move to 'in_progress' without at least one assignee",
            ToolErrorKind::Invalid,
        ),
        (CallReason::FunctionFailed, "Network error", ToolErrorKind::Refused),
    ];
    for (why, words, kind) in rows {
        let call = call("task_status", r#"{"taskId":"t","status":"review"}"#);
        let made = make_against(&worker(), &call, Vec::new(), Some(refusal(why, words)));
        assert_eq!(made.error(), words);
        assert_eq!(made.ran.error.as_ref().unwrap().kind, kind, "{words}");
    }
}

#[test]
fn malformed_calls_fail_only_themselves() {
    let mut who = lead();
    who.task = Some(task("review"));
    for row in &mission_control_runtime::tools::table::ROWS {
        for text in ["null", "[]", "5", "\"x\"", "{\"taskId\":{}}", "{"] {
            let answers = vec![
                ("listDocumentsForAgent", json!({"documents": []})),
                ("listTasksForAgentTool", json!([])),
                ("getAgentSkillsForTool", json!([])),
            ];
            let made = make_against(&who, &call(row.name.as_str(), text), answers, None);
            let reads =
                ["get_agent_skills", "task_list"].contains(&row.name.as_str()) && text.starts_with("{\"");
            assert!(
                reads || row.name == ToolName::TaskSearch || made.asked.is_empty(),
                "{} {text}",
                row.name
            );
            assert_eq!(made.ran.ok, reads, "{} {text}: {}", row.name, made.output);
        }
    }
}
