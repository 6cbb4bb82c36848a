//! The 34 service functions (backend-contract §2). Each has its smallest and its largest request, and an
//! answer as the platform renders it.

use std::sync::{Arc, Mutex};

use mission_control_runtime::clock::Millis;
use mission_control_runtime::convex::{Call, CallClass, CallError, Convex, FunctionKind};
use mission_control_runtime::mission::*;
use mission_control_runtime::model::*;
use mission_control_runtime::secret::Secret;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// A call as the backend received it.
#[derive(Clone, Debug)]
struct Seen {
    kind: FunctionKind,
    path: String,
    args: Value,
    may_repeat: bool,
}

/// A backend that records every call and always gives the same answer.
struct Recorder {
    answer: String,
    seen: Mutex<Vec<Seen>>,
}

impl Convex for Recorder {
    fn call(&self, call: &Call<'_>) -> Result<Box<RawValue>, CallError> {
        self.seen.lock().unwrap().push(Seen {
            kind: call.kind,
            path: call.path.to_owned(),
            args: serde_json::from_str(call.args.get()).unwrap(),
            may_repeat: call.may_repeat,
        });
        Ok(RawValue::from_string(self.answer.clone()).unwrap())
    }
}

/// Sends the request to a backend that answers `answer`. Returns the call it received and the decoded answer.
fn ask<R: Request>(request: &R, answer: &str) -> (Seen, Result<R::Answer, CallError>) {
    let recorder = Arc::new(Recorder { answer: answer.to_owned(), seen: Mutex::default() });
    let mission = Mission::new(recorder.clone(), AccountId::new("acc"), Secret::new("the-token"));
    let got = mission.ask(request);
    let seen = recorder.seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 1);
    (seen[0].clone(), got)
}

/// Sends the request and compares it with the name and the arguments of the contract. Returns the answer.
fn check<R: Request>(request: &R, name: &str, sent: Value, may_repeat: bool, answer: &Value) -> R::Answer {
    let (seen, got) = ask(request, &with_floats(answer));
    assert_eq!(seen.kind, FunctionKind::Action, "{name}");
    assert_eq!(seen.path, format!("service/actions:{name}"));
    let mut expected = sent;
    expected["accountId"] = json!("acc");
    expected["serviceToken"] = json!("the-token");
    assert_eq!(seen.args, expected, "{name}");
    assert_eq!(seen.may_repeat, may_repeat, "{name}");
    got.unwrap_or_else(|why| panic!("{name}: {why}"))
}

/// The JSON as the platform writes it: every number with a fraction, and an unknown field.
fn with_floats(value: &Value) -> String {
    fn walk(value: &Value) -> Value {
        match value {
            Value::Number(n) => json!(n.as_f64().unwrap()),
            Value::Array(items) => items.iter().map(walk).collect(),
            Value::Object(fields) => {
                let mut fields: serde_json::Map<_, _> =
                    fields.iter().map(|(k, v)| (k.clone(), walk(v))).collect();
                fields.insert("zzNew".into(), json!({"from": "tomorrow"}));
                Value::Object(fields)
            }
            other => other.clone(),
        }
    }
    walk(value).to_string()
}

fn a_task() -> Value {
    json!({"_id": "t", "accountId": "acc", "title": "T", "status": "review", "priority": 3, "assignedUserIds": [],
        "assignedAgentIds": ["a"], "labels": [], "createdBy": "u", "createdAt": 1, "updatedAt": 2})
}

fn a_thread() -> Value {
    json!([{"messageId": "m", "authorType": "agent", "authorId": "a", "authorName": "QA", "content": "hi",
        "createdAt": 1}])
}

#[test]
fn the_catalogue_has_each_function_once() {
    let mut paths: Vec<&str> = catalog::ALL.iter().map(|f| f.path).collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), 33);
    // A function that only reads may always be repeated.
    for function in catalog::ALL {
        assert!(function.writes == catalog::Writes::Yes || function.repeat == Repeat::Always, "{function:?}");
    }
    // §1.5 and D.2: never repeated blindly.
    let unsafe_ones = [
        "checkAndClearRestartRequested",
        "createTaskMessageForAgentTool",
        "createResponseRequestNotifications",
        "updateTaskFromAgent",
        "createTaskFromAgent",
        // A repeat does no harm, but each run adds an activity row.
        "assignTaskFromAgent",
        "deleteTaskFromAgent",
        "createDocumentFromAgent",
        "recordUpgradeResult",
    ];
    for function in catalog::ALL {
        let name = function.path.strip_prefix("service/actions:").unwrap();
        let expected = match name {
            "createMessageFromAgent" => Repeat::WithSourceNotification,
            name if unsafe_ones.contains(&name) => Repeat::Never,
            _ => Repeat::Always,
        };
        assert_eq!(function.repeat, expected, "{name}");
    }
}

#[test]
fn calls_of_the_runtime_itself() {
    let done = json!({"success": true});
    let report = RuntimeReport {
        droplet_id: "d".into(),
        ip_address: "i".into(),
        region: Some("r".into()),
        last_health_check: Some(Millis(1_765_526_400_000)),
        openclaw_version: Some("o".into()),
        runtime_service_version: Some("v".into()),
        last_upgrade_at: None,
        last_upgrade_status: None,
    };
    let online = UpdateRuntimeStatus { status: RuntimeStatus::Online, config: Some(&report) };
    let sent = json!({"status": "online", "config": {"dropletId": "d", "ipAddress": "i", "region": "r",
        "lastHealthCheck": 1_765_526_400_000_i64, "openclawVersion": "o", "runtimeServiceVersion": "v"}});
    assert!(check(&online, "updateRuntimeStatus", sent, true, &done).success);
    let offline = UpdateRuntimeStatus { status: RuntimeStatus::Offline, config: None };
    check(&offline, "updateRuntimeStatus", json!({"status": "offline"}), true, &done);

    let name = "checkAndClearRestartRequested";
    assert!(
        check(&CheckRestart {}, name, json!({}), false, &json!({"restartRequested": true})).restart_requested
    );

    let pending = json!({"targetOpenclawVersion": "1", "targetRuntimeVersion": "2", "initiatedAt": 5,
        "initiatedBy": "fleet-orchestrator", "strategy": "sideways"});
    let got = check(&GetPendingUpgrade {}, "getPendingUpgrade", json!({}), true, &pending).unwrap();
    assert_eq!((got.initiated_at, got.strategy.known()), (Millis(5), None));
    assert!(check(&GetPendingUpgrade {}, "getPendingUpgrade", json!({}), true, &Value::Null).is_none());

    let mut result = RecordUpgrade {
        status: UpgradeStatus::Failed,
        from_openclaw_version: "1",
        to_openclaw_version: "2",
        from_runtime_version: "3",
        to_runtime_version: "4",
        duration: None,
        error: None,
    };
    let least = json!({"status": "failed", "fromOpenclawVersion": "1", "toOpenclawVersion": "2",
        "fromRuntimeVersion": "3", "toRuntimeVersion": "4"});
    check(&result, "recordUpgradeResult", least.clone(), false, &Value::Null);
    (result.duration, result.error) = (Some(7), Some("why"));
    let mut most = least;
    (most["duration"], most["error"]) = (json!(7), json!("why"));
    check(&result, "recordUpgradeResult", most, false, &done);
}

#[test]
fn calls_about_agents() {
    let agent = json!([{"_id": "a", "name": "QA", "slug": "qa", "role": "QA", "status": "idle", "heartbeatInterval": 15,
        "createdAt": 1, "systemSessionKey": "system:agent:qa:acc:v1",
        "effectiveBehaviorFlags": {"canMarkDone": true}}]);
    let got = check(&ListAgents {}, "listAgents", json!({}), true, &agent);
    let qa = &got.agents[0];
    assert_eq!(qa.system_session_key, Some(SessionKey::for_system("qa", &AccountId::new("acc"), 1)));
    assert!(qa.effective_behavior_flags.unwrap().can_mark_done);
    let mut damaged = agent.clone();
    let rows = damaged.as_array_mut().unwrap();
    rows.extend([json!({"_id": "b", "name": "Half"}), json!("no agent"), json!({"_id": 7})]);
    let got = check(&ListAgents {}, "listAgents", json!({}), true, &damaged);
    let unreadable: Vec<(usize, Option<&str>)> =
        got.unreadable.iter().map(|row| (row.row, row.id.as_ref().map(AgentId::as_str))).collect();
    assert_eq!((got.agents.len(), unreadable), (1, vec![(2, Some("b")), (3, None), (4, None)]));
    assert!(got.unreadable[0].why.contains("slug"), "{:?}", got.unreadable);

    let profile = json!([{"_id": "a", "name": "QA", "slug": "qa", "role": "QA", "effectiveSoulContent": "S",
        "effectiveUserMd": "U", "effectiveIdentityContent": "I", "resolvedSkills": [{"_id": "s", "name": "n",
        "slug": "s"}]}]);
    let got = check(&ListAgentsForRuntime {}, "listAgentsForRuntime", json!({}), true, &profile);
    assert_eq!(got.0[0].as_ref().unwrap().resolved_skills[0].content_markdown, None);
    let mut half = profile.clone();
    half.as_array_mut().unwrap().insert(0, json!({"_id": "b", "name": "Broken"}));
    let got = check(&ListAgentsForRuntime {}, "listAgentsForRuntime", json!({}), true, &half);
    assert!(
        got.0[0].as_ref().unwrap_err().contains("slug") && got.0[1].is_ok(),
        "one row does not hide the others"
    );

    let name = "getOrchestratorAgentId";
    let got = check(&GetOrchestrator {}, name, json!({}), true, &json!({"orchestratorAgentId": null}));
    assert_eq!(got.orchestrator_agent_id, None);

    let (a, b, t) = (AgentId::new("a"), AgentId::new("b"), TaskId::new("t"));
    let skills = json!([{"agentId": "qa", "skillIds": ["s"], "skillCount": 1, "lastUpdated": "2026-01-01"}]);
    let name = "getAgentSkillsForTool";
    let all = GetAgentSkills { agent_id: &a, query_agent_id: None };
    assert_eq!(check(&all, name, json!({"agentId": "a"}), true, &skills)[0].agent_id, "qa");
    let one = GetAgentSkills { agent_id: &a, query_agent_id: Some(&b) };
    check(&one, name, json!({"agentId": "a", "queryAgentId": "b"}), true, &skills);

    let name = "updateAgentHeartbeat";
    let noted = json!({"success": true, "timestamp": 9});
    let idle = UpdateAgentHeartbeat { agent_id: &a, status: AgentStatus::Online, current_task_id: None };
    assert_eq!(
        check(&idle, name, json!({"agentId": "a", "status": "online"}), true, &noted).timestamp,
        Millis(9)
    );
    let busy = UpdateAgentHeartbeat { agent_id: &a, status: AgentStatus::Busy, current_task_id: Some(&t) };
    check(&busy, name, json!({"agentId": "a", "status": "busy", "currentTaskId": "t"}), true, &noted);
}

#[test]
fn calls_about_notifications() {
    let id = NotificationId::new("n");
    let row = json!([{"_id": "n", "accountId": "acc", "type": "mention", "recipientType": "agent", "recipientId": "a",
        "title": "t", "body": "b", "createdAt": 10}, {"_id": "n2", "type": 7}, null]);
    let got = check(
        &ListUndelivered { limit: 50 },
        "listUndeliveredNotifications",
        json!({"limit": 50}),
        true,
        &row,
    );
    assert_eq!((got.rows[0].created_at, &got.rows[0].task_id), (Millis(10), &None));
    assert_eq!((got.rows.len(), got.malformed.len()), (1, 2), "an unreadable row does not hide the others");

    let sent = json!({"notificationId": "n"});
    let done = json!({"success": true});
    let context = GetDeliveryContext { notification_id: &id };
    assert!(check(&context, "getNotificationForDelivery", sent.clone(), true, &Value::Null).is_none());
    check(&MarkRead { notification_id: &id }, "markNotificationRead", sent.clone(), true, &done);
    check(
        &MarkDeliveryEnded { notification_id: &id },
        "markNotificationDeliveryEnded",
        sent.clone(),
        true,
        &done,
    );
    check(&MarkDelivered { notification_id: &id }, "markNotificationDelivered", sent, true, &done);

    let (a, t, slugs) = (AgentId::new("a"), TaskId::new("t"), ["qa".to_owned()]);
    let ask =
        RequestResponses { requester_agent_id: &a, task_id: &t, recipient_slugs: &slugs, message: "please" };
    let sent = json!({"requesterAgentId": "a", "taskId": "t", "recipientSlugs": ["qa"], "message": "please"});
    let got =
        check(&ask, "createResponseRequestNotifications", sent, false, &json!({"notificationIds": ["n1"]}));
    assert_eq!(got.notification_ids, [NotificationId::new("n1")]);
}

#[test]
fn calls_about_threads() {
    let (a, t, n, s) = (AgentId::new("a"), TaskId::new("t"), NotificationId::new("n"), StorageId::new("s"));
    let id = json!({"messageId": "m"});
    let name = "createMessageFromAgent";
    let mut post = PostMessage {
        task_id: &t,
        agent_id: &a,
        content: "hi",
        suppress_agent_notifications: None,
        attachments: &[],
        source_notification_id: None,
    };
    let least = json!({"taskId": "t", "agentId": "a", "content": "hi"});
    assert_eq!(check(&post, name, least.clone(), false, &id).message_id, MessageId::new("m"));
    let files =
        [Attachment { storage_id: s.clone(), name: "f".into(), mime: "text/csv".into(), size_bytes: 5 }];
    (post.suppress_agent_notifications, post.attachments, post.source_notification_id) =
        (Some(false), &files, Some(&n));
    let mut most = least;
    most["suppressAgentNotifications"] = json!(false);
    most["attachments"] = json!([{"storageId": "s", "name": "f", "type": "text/csv", "size": 5}]);
    most["sourceNotificationId"] = json!("n");
    // With the notification's key it may be repeated, without it never.
    check(&post, name, most, true, &id);

    let chat = PostMessageAsOrchestrator { agent_id: &a, task_id: &t, content: "hi" };
    let sent = json!({"taskId": "t", "agentId": "a", "content": "hi"});
    check(&chat, "createTaskMessageForAgentTool", sent, false, &id);

    let name = "listTaskThreadForAgentTool";
    let list = ListThread { agent_id: &a, task_id: &t, limit: None };
    check(&list, name, json!({"taskId": "t", "agentId": "a"}), true, &a_thread());
    let list = ListThread { limit: Some(5), ..list };
    let got = check(&list, name, json!({"taskId": "t", "agentId": "a", "limit": 5}), true, &a_thread());
    assert_eq!(got[0].author_type, AuthorType::Agent);
}

#[test]
fn calls_that_change_tasks() {
    let (a, t) = (AgentId::new("a"), TaskId::new("t"));
    let by = json!({"taskId": "t", "agentId": "a"});
    let with = |more: Value| {
        let mut sent = by.clone();
        sent.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        sent
    };
    let done = json!({"success": true});
    let id = json!({"taskId": "t"});

    let name = "updateTaskStatusFromAgent";
    let moved = json!({"success": true, "taskId": "t", "requestedStatus": "review", "status": "review",
        "updatedAt": 7, "changed": true});
    let review = UpdateTaskStatus {
        task_id: &t,
        agent_id: &a,
        status: TaskStatus::Review,
        blocked_reason: None,
        expected_status: None,
    };
    assert!(check(&review, name, with(json!({"status": "review"})), true, &moved).changed);
    let blocked = UpdateTaskStatus {
        status: TaskStatus::Blocked,
        blocked_reason: Some("why"),
        expected_status: Some(TaskStatus::Assigned),
        ..review
    };
    let sent = with(json!({"status": "blocked", "blockedReason": "why", "expectedStatus": "assigned"}));
    check(&blocked, name, sent, true, &moved);

    let name = "updateTaskFromAgent";
    let none = UpdateTask { task_id: &t, agent_id: &a, changes: TaskChanges::default() };
    check(&none, name, by.clone(), false, &json!({"taskId": "t", "changedFields": []}));
    let (labels, agents, people) = (["l".to_owned()], [a.clone()], [UserId::new("u")]);
    let changes = TaskChanges {
        title: Some("T"),
        description: Some("D"),
        priority: Some(2.0),
        labels: Some(&labels),
        assigned_agent_ids: Some(&agents),
        assigned_user_ids: Some(&people),
        status: Some(TaskStatus::Blocked),
        blocked_reason: Some("why"),
        due_date: Some(Millis(9)),
    };
    let most = with(json!({"title": "T", "description": "D", "priority": 2.0, "labels": ["l"],
        "assignedAgentIds": ["a"], "assignedUserIds": ["u"], "status": "blocked", "blockedReason": "why",
        "dueDate": 9}));
    let answer = json!({"taskId": "t", "changedFields": ["title"]});
    let got = check(&UpdateTask { task_id: &t, agent_id: &a, changes }, name, most, false, &answer);
    assert_eq!(got.changed_fields, ["title"]);

    let name = "createTaskFromAgent";
    let least = CreateTask {
        agent_id: &a,
        title: "T",
        description: None,
        priority: None,
        labels: None,
        due_date: None,
        status: None,
        blocked_reason: None,
        assigned_agent_ids: None,
    };
    assert_eq!(check(&least, name, json!({"agentId": "a", "title": "T"}), false, &id).task_id, t);
    let most = CreateTask {
        description: Some("D"),
        priority: Some(1.0),
        labels: Some(&labels),
        due_date: Some(Millis(9)),
        status: Some(TaskStatus::Inbox),
        blocked_reason: Some("why"),
        assigned_agent_ids: Some(&agents),
        ..least
    };
    let sent = json!({"agentId": "a", "title": "T", "description": "D", "priority": 1.0, "labels": ["l"],
        "dueDate": 9, "status": "inbox", "blockedReason": "why", "assignedAgentIds": ["a"]});
    check(&most, name, sent, false, &id);

    let assign = AssignTask { task_id: &t, agent_id: &a, assigned_agent_ids: &agents };
    check(&assign, "assignTaskFromAgent", with(json!({"assignedAgentIds": ["a"]})), false, &id);
    let delete = DeleteTask { task_id: &t, agent_id: &a, reason: "old" };
    check(&delete, "deleteTaskFromAgent", with(json!({"reason": "old"})), false, &done);
    let link = LinkTaskToPr { task_id: &t, agent_id: &a, pr_number: 65 };
    check(&link, "linkTaskToPrForAgentTool", with(json!({"prNumber": 65})), true, &done);
}

#[test]
fn calls_that_find_tasks() {
    let (a, t) = (AgentId::new("a"), TaskId::new("t"));
    let tasks = json!([a_task()]);

    let name = "listTasksForAgentTool";
    let list = ListTasks { agent_id: &a, status: None, assignee_agent_id: None, limit: None };
    assert_eq!(check(&list, name, json!({"agentId": "a"}), true, &tasks)[0].status, TaskStatus::Review);
    let list =
        ListTasks { status: Some(TaskStatus::Done), assignee_agent_id: Some(&a), limit: Some(200), ..list };
    let sent = json!({"agentId": "a", "status": "done", "assigneeAgentId": "a", "limit": 200});
    check(&list, name, sent, true, &tasks);

    let by = json!({"agentId": "a", "taskId": "t"});
    let get = GetTask { agent_id: &a, task_id: &t };
    assert!(check(&get, "getTaskForAgentTool", by.clone(), true, &Value::Null).is_none());
    assert!(check(&get, "getTaskForAgentTool", by.clone(), true, &a_task()).is_some());

    let name = "searchTasksForAgentTool";
    let hits = json!([{"_id": "t", "title": "T", "status": "blocked", "priority": 3, "blockedReason": "why",
        "assignedAgentIds": [], "assignedUserIds": [], "createdAt": 1, "updatedAt": 2, "relevanceScore": 5}]);
    let search = SearchTasks { agent_id: &a, query: "login", limit: None };
    let sent = json!({"agentId": "a", "query": "login"});
    assert_eq!(check(&search, name, sent, true, &hits)[0].blocked_reason.as_deref(), Some("why"));
    let search = SearchTasks { limit: Some(3), ..search };
    check(&search, name, json!({"agentId": "a", "query": "login", "limit": 3}), true, &hits);

    let name = "loadTaskDetailsForAgentTool";
    let loaded = json!({"task": a_task(), "thread": a_thread()});
    let load = LoadTask { agent_id: &a, task_id: &t, message_limit: None };
    assert_eq!(check(&load, name, by.clone(), true, &loaded).thread.len(), 1);
    let load = LoadTask { message_limit: Some(8), ..load };
    check(&load, name, json!({"agentId": "a", "taskId": "t", "messageLimit": 8}), true, &loaded);

    let name = "getTaskHistoryForAgentTool";
    let history = json!({"task": a_task(), "messages": a_thread(), "meta": {"messageLimitApplied": 1},
        "activities": [{"type": "task_created", "actorType": "user", "actorId": "u", "actorName": "Dana",
        "targetType": "task", "targetId": "t", "meta": {"any": 1}, "createdAt": 1}]});
    let load = GetTaskHistory { agent_id: &a, task_id: &t, message_limit: None, activity_limit: None };
    assert_eq!(check(&load, name, by, true, &history).activities[0].actor_name, "Dana");
    let load = GetTaskHistory { message_limit: Some(1), activity_limit: Some(0), ..load };
    let sent = json!({"agentId": "a", "taskId": "t", "messageLimit": 1, "activityLimit": 0});
    check(&load, name, sent, true, &history);

    let name = "listAssignedTasksForAgent";
    let list = ListAssignedTasks { agent_id: &a, include_done: None, limit: None };
    check(&list, name, json!({"agentId": "a"}), true, &tasks);
    let list = ListAssignedTasks { include_done: Some(false), limit: Some(12), ..list };
    check(&list, name, json!({"agentId": "a", "includeDone": false, "limit": 12}), true, &tasks);

    let name = "listTasksForOrchestratorHeartbeat";
    let list = ListTasksByStatus { statuses: &[TaskStatus::InProgress, TaskStatus::Review], limit: None };
    check(&list, name, json!({"statuses": ["in_progress", "review"]}), true, &tasks);
    let list = ListTasksByStatus { limit: Some(200), ..list };
    check(&list, name, json!({"statuses": ["in_progress", "review"], "limit": 200}), true, &tasks);
}

#[test]
fn calls_about_documents() {
    let (a, t, d) = (AgentId::new("a"), TaskId::new("t"), DocumentId::new("d"));
    let name = "createDocumentFromAgent";
    let id = json!({"documentId": "d"});
    let write = WriteDocument {
        agent_id: &a,
        document_id: None,
        task_id: None,
        title: "T",
        content: "C",
        kind: DocumentType::Note,
    };
    let least = json!({"agentId": "a", "title": "T", "content": "C", "type": "note"});
    assert_eq!(check(&write, name, least.clone(), false, &id).document_id, d);
    let write = WriteDocument { document_id: Some(&d), task_id: Some(&t), ..write };
    let mut most = least;
    (most["documentId"], most["taskId"]) = (json!("d"), json!("t"));
    check(&write, name, most, false, &id);

    let name = "listDocumentsForAgent";
    let list = json!({"documents": [{"_id": "d", "title": "T", "updatedAt": 5},
        {"_id": "e", "title": "U", "type": "poem", "taskId": "t", "updatedAt": 6}]});
    let got = check(&ListDocuments::default(), name, json!({}), true, &list).documents;
    assert_eq!((got[0].kind.is_none(), got[1].updated_at), (true, Millis(6)));
    let some = ListDocuments { task_id: Some(&t), kind: Some(DocumentType::Reference), limit: Some(100) };
    check(&some, name, json!({"taskId": "t", "type": "reference", "limit": 100}), true, &list);
}

/// An answer that does not fit is never guessed. For a call that reads it is a refusal. For a call that
/// wrote, only the backend knows what happened.
#[test]
fn an_answer_that_does_not_fit_names_the_function_and_the_field() {
    let rows = ["null", "[]", r#"{"orchestratorAgentId": 5}"#, r#""text""#];
    for answer in rows {
        let why = ask(&GetOrchestrator {}, answer).1.unwrap_err();
        assert_eq!(why.class, CallClass::Refused, "{answer}");
        assert!(why.sentence.contains("service/actions:getOrchestratorAgentId"), "{why}");
    }
    let (a, t) = (AgentId::new("a"), TaskId::new("t"));
    let post = PostMessageAsOrchestrator { agent_id: &a, task_id: &t, content: "hi" };
    let why = ask(&post, r#"{"messageId": 7}"#).1.unwrap_err();
    assert_eq!(why.class, CallClass::Ambiguous);
    let missing = ask(&CheckRestart {}, "{}").1.unwrap_err();
    assert!(missing.sentence.contains("restartRequested"), "{missing}");
}
