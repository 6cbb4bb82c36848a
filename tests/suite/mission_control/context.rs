//! The context of a notification: backend-contract §2.8, §3.8, and the session keys of §6.

use mission_control_runtime::local::Options;
use mission_control_runtime::model::DeliveryContext;
use serde_json::{Value, json};

use super::board::Board;

fn context(board: &Board, notification: &str) -> Value {
    board.service("getNotificationForDelivery", json!({"notificationId": notification})).unwrap()
}

/// The example of §3.8: the test creates its rows and compares the complete response.
#[test]
fn a_context_has_the_fields_of_the_example() {
    let board = Board::new();
    let config = json!({
        "model": "minimax-m2.5", "temperature": 0.7, "maxTokens": 4096.0, "skillIds": ["kn710000000000000000000000000000"],
        "contextConfig": {"maxHistoryMessages": 50.0, "includeTaskContext": true, "includeTeamContext": true},
        "behaviorFlags": {
            "canCreateTasks": false, "canModifyTaskStatus": true, "canCreateDocuments": true,
            "canMentionAgents": true, "canReviewTasks": false, "canMarkDone": false,
        },
    });
    let lead = board.agent("squad-lead", "Squad Lead", "Orchestrator", json!({}));
    let engineer = board.agent(
        "engineer",
        "Engineer",
        "Full-stack engineer",
        json!({"icon": "Code2", "openclawConfig": config}),
    );
    let qa = board.agent("qa", "QA", "QA reviewer", json!({}));
    board.set(json!({"orchestratorAgentId": lead}));
    let task = board.task(json!({
        "title": "Fix login redirect", "description": "After SSO the user lands on /404.", "status": "in_progress",
        "assignedUserIds": ["user_dana"], "assignedAgentIds": [engineer], "labels": ["bug"], "metadata": {"prNumber": 65.0},
    }));
    let document = json!({
        "accountId": board.account, "type": "reference", "name": "Repository \u{2014} Primary", "content": "Clone path",
        "authorType": "user", "authorId": "user_dana", "createdAt": 1.0, "updatedAt": 1.0,
    });
    board.engine.write_row("documents", document).unwrap();
    let answer = board.says(&engineer, &task, "Reproduced on staging.");
    board.advance(1_000);
    let question = board.person_says(&task, "Does this also happen on mobile?");

    let listed = board.service("listUndeliveredNotifications", json!({})).unwrap();
    let waiting: Vec<_> =
        listed.as_array().unwrap().iter().filter(|row| row["recipientId"] == *engineer).collect();
    assert_eq!(waiting.len(), 1);
    let id = waiting[0]["_id"].as_str().unwrap();
    assert_eq!(
        (&waiting[0]["title"], &waiting[0]["type"]),
        (&json!("Dana Reyes replied"), &json!("thread_update"))
    );
    assert_eq!(waiting[0]["body"], "New message in task \"Fix login redirect\"");

    let mate = |id: &str, slug: &str, name: &str, role: &str| json!({"id": id, "slug": slug, "name": name, "role": role});
    let engineer_mate = mate(&engineer, "engineer", "Engineer", "Full-stack engineer");
    let expected = json!({
        "notification": waiting[0],
        "agent": board.row("agents", &engineer),
        "task": board.row("tasks", &task),
        "message": board.row("messages", &question),
        "thread": [
            {
                "messageId": answer, "authorType": "agent", "authorId": engineer, "authorName": "Engineer",
                "content": "Reproduced on staging.", "createdAt": 1_765_526_400_000.0,
            },
            {
                "messageId": question, "authorType": "user", "authorId": "user_dana", "authorName": "Dana Reyes",
                "content": "Does this also happen on mobile?", "createdAt": 1_765_526_401_000.0,
            },
        ],
        "sourceNotificationType": null,
        "orchestratorAgentId": lead,
        "primaryUserMention": {"id": "user_dana", "name": "Dana Reyes", "email": "dana@example.com"},
        "mentionableAgents": [
            engineer_mate, mate(&qa, "qa", "QA", "QA reviewer"), mate(&lead, "squad-lead", "Squad Lead", "Orchestrator"),
        ],
        "assignedAgents": [engineer_mate],
        "effectiveBehaviorFlags": config["behaviorFlags"],
        "deliverySessionKey": format!("task:{task}:agent:engineer:{}:v1", board.account),
        "repositoryDoc": {"title": "Repository \u{2014} Primary", "content": "Clone path"},
        "globalBriefingDoc": null,
        "taskOverview": null,
    });
    let given = context(&board, id);
    assert_eq!(given, expected);
    assert!(given.to_string().contains("\"priority\":3.0"), "whole numbers are floats");
    serde_json::from_value::<DeliveryContext>(given).unwrap();
}

#[test]
fn missing_rows_are_null() {
    let board = Board::new();
    let engineer = board.agent("engineer", "Engineer", "Builds", json!({}));
    let task = board.task(json!({"assignedAgentIds": [engineer]}));
    let message = board.says(&engineer, &task, "x");
    let other_task = board.task(json!({}));
    let (foreign_task, foreign_message) =
        (board.foreign("tasks", &task), board.foreign("messages", &message));
    let gone_task = "kx000000000000000000000000000000";
    // Rule, fields of the notification, whether task, message and session are present.
    let rows = [
        ("a task and its message", json!({"taskId": task, "messageId": message}), [true, true, true]),
        ("no task", json!({}), [false, false, true]),
        ("a task that is gone", json!({"taskId": gone_task}), [false, false, true]),
        ("another account's task", json!({"taskId": foreign_task}), [false, false, true]),
        (
            "another account's message",
            json!({"taskId": task, "messageId": foreign_message}),
            [true, false, true],
        ),
        ("another task's message", json!({"taskId": other_task, "messageId": message}), [true, false, true]),
        ("a message without its task", json!({"messageId": message}), [false, true, true]),
        (
            "an agent that is gone",
            json!({"taskId": task, "recipientId": "js000000000000000000000000000000"}),
            [true, false, false],
        ),
        (
            "a person",
            json!({"taskId": task, "recipientType": "user", "recipientId": "user_dana"}),
            [true, false, false],
        ),
    ];
    for (rule, fields, [has_task, has_message, has_session]) in rows {
        let given = context(&board, &board.notification(&engineer, fields));
        assert_eq!(
            [given["task"].is_object(), given["message"].is_object()],
            [has_task, has_message],
            "{rule}"
        );
        assert_eq!(given.get("deliverySessionKey").is_some(), has_session, "{rule}");
        assert_eq!(given["agent"].is_object(), has_session, "{rule}");
        assert_eq!(
            given["thread"].as_array().unwrap().is_empty(),
            !has_task || rule.starts_with("another task"),
            "{rule}"
        );
        assert_eq!(given["effectiveBehaviorFlags"]["canModifyTaskStatus"], true, "{rule}");
        assert_eq!(given["mentionableAgents"].as_array().unwrap().len(), 1, "{rule}");
        let assigned = given["assignedAgents"].as_array().unwrap().len();
        assert_eq!(assigned, usize::from(has_task && !rule.starts_with("another task")), "{rule}");
        for (name, value) in given.as_object().unwrap() {
            let may_be_null = ![
                "notification",
                "thread",
                "mentionableAgents",
                "assignedAgents",
                "effectiveBehaviorFlags",
                "deliverySessionKey",
            ]
            .contains(&name.as_str());
            assert!(may_be_null || !value.is_null(), "{rule}: {name}");
        }
        assert_eq!(
            given.as_object().unwrap().len(),
            14 + usize::from(has_session),
            "{rule}: null, not absent"
        );
    }
    let ours = board.notification(&engineer, json!({}));
    for id in [board.foreign("notifications", &ours), "jn000000000000000000000000000000".to_owned()] {
        assert_eq!(context(&board, &id), Value::Null);
    }
}

#[test]
fn long_texts_are_cut_and_short_ones_are_not() {
    let board = Board::new();
    let engineer = board.agent("engineer", "Engineer", "Builds", json!({}));
    // The stored text, the text in the thread.
    let rows = [
        ("x".repeat(2_000), "x".repeat(2_000)),
        ("x".repeat(2_001), format!("{}…", "x".repeat(2_000))),
        (format!("{}   y", "x".repeat(1_999)), format!("{}…", "x".repeat(1_999))),
        (format!("{}  ", "x".repeat(1_999)), format!("{}…", "x".repeat(1_999))),
        (format!("{} ", "x".repeat(1_999)), format!("{} ", "x".repeat(1_999))),
        ("😀".repeat(1_000), "😀".repeat(1_000)),
        (format!("x{}", "😀".repeat(1_000)), format!("x{}…", "😀".repeat(999))),
        ("é".repeat(2_001), format!("{}…", "é".repeat(2_000))),
    ];
    for (written, shown) in rows {
        let task = board.task(json!({}));
        let message = board.says(&engineer, &task, &written);
        let given =
            context(&board, &board.notification(&engineer, json!({"taskId": task, "messageId": message})));
        assert_eq!(given["thread"][0]["content"], *shown);
        assert_eq!(given["message"]["content"], *written, "the message itself is never cut");
    }
    let task = board.task(json!({}));
    for number in 0..60 {
        board.says(&engineer, &task, &number.to_string());
    }
    let given = context(&board, &board.notification(&engineer, json!({"taskId": task})));
    let thread = given["thread"].as_array().unwrap();
    assert_eq!(
        (thread.len(), &thread[0]["content"], &thread[49]["content"]),
        (50, &json!("10"), &json!("59"))
    );
}

#[test]
fn the_contact_person_wrote_last_or_created_the_task() {
    let board = Board::new();
    let engineer = board.agent("engineer", "Engineer", "Builds", json!({}));
    board.member("user_ann", "Ann", "ann@example.com");
    let by = |task: &str, author: &str| {
        let row = json!({"accountId": board.account, "taskId": task, "authorType": "user", "authorId": author, "content": "x", "mentions": [], "createdAt": 1.0});
        board.engine.write_row("messages", row).unwrap();
    };
    // Rule, creator of the task, authors, expected person.
    let rows: &[(&str, &str, &[&str], Value)] = &[
        ("no message", "user_ann", &[], json!("user_ann")),
        ("the last one", "user_dana", &["user_dana", "user_ann"], json!("user_ann")),
        ("an agent created it", &engineer, &[], Value::Null),
        ("a former member created it", "user_gone", &[], Value::Null),
        ("a former member wrote last", "user_dana", &["user_dana", "user_gone"], Value::Null),
    ];
    for (rule, maker, authors, expected) in rows {
        let task = board.task(json!({"createdBy": maker}));
        for author in *authors {
            by(&task, author);
        }
        board.says(&engineer, &task, "agents do not count");
        let given = context(&board, &board.notification(&engineer, json!({"taskId": task})));
        let id = given["primaryUserMention"].get("id").cloned().unwrap_or_default();
        assert_eq!(id, *expected, "{rule}");
    }
    let given = context(&board, &board.notification(&engineer, json!({})));
    assert_eq!(given["primaryUserMention"], Value::Null, "no task");
}

#[test]
fn the_context_names_the_type_of_the_source_notification() {
    let board = Board::new();
    let engineer = board.agent("engineer", "Engineer", "Builds", json!({}));
    let task = board.task(json!({}));
    let cause = board.notification(&engineer, json!({"taskId": task, "type": "response_request"}));
    let args = json!({"agentId": engineer, "taskId": task, "content": "yes", "sourceNotificationId": cause});
    let message = board.service("createMessageFromAgent", args).unwrap()["messageId"].clone();
    let given =
        context(&board, &board.notification(&engineer, json!({"taskId": task, "messageId": message})));
    assert_eq!(given["sourceNotificationType"], "response_request");
}

#[test]
fn teammates_are_ordered_by_slug() {
    let board = Board::new();
    for (slug, name) in [
        ("zoe", "A"),
        ("Émile", "B"),
        ("eva", "C"),
        ("", "Frieda"),
        ("e-2", "D"),
        ("e2", "E"),
        ("E_2", "F"),
        ("adam", "G"),
        ("EMIL", "H"),
    ] {
        board.agent(slug, name, "x", json!({}));
    }
    let zoe = board.rows("agents")[0]["_id"].as_str().unwrap().to_owned();
    let given = context(&board, &board.notification(&zoe, json!({})));
    let names: Vec<_> =
        given["mentionableAgents"].as_array().unwrap().iter().map(|mate| mate["name"].clone()).collect();
    assert_eq!(names, ["G", "F", "D", "E", "H", "B", "C", "Frieda", "A"]);
}

#[test]
fn the_context_contains_reference_documents() {
    let repository = "Repository \u{2014} Primary";
    for original in [false, true] {
        let board = Board::with(Options { original, ..Options::default() });
        let engineer = board.agent("engineer", "Engineer", "Builds", json!({}));
        let chat = board.person("tasks:openOrchestratorChat", json!({})).unwrap();
        let task = board.task(json!({}));
        let document = |fields: Value| {
            let mut row = json!({
                "accountId": board.account, "type": "reference", "authorType": "user", "authorId": "user_dana",
                "createdAt": 1.0, "updatedAt": 1.0,
            });
            row.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            board.engine.write_row("documents", row).unwrap()
        };
        document(json!({"title": "Repository - Primary", "content": "a hyphen is no dash"}));
        document(json!({"title": repository, "type": "note", "content": "another type"}));
        document(json!({"title": repository, "content": "deleted", "deletedAt": 2.0}));
        document(json!({"name": repository, "content": format!("{} y", "x".repeat(50_000))}));
        document(json!({"title": repository, "content": "a later one"}));
        document(json!({"title": "Account Briefing", "content": "who we are"}));
        let of_task = context(&board, &board.notification(&engineer, json!({"taskId": task})));
        let content = if original { "deleted".to_owned() } else { format!("{}…", "x".repeat(50_000)) };
        assert_eq!(
            of_task["repositoryDoc"],
            json!({"title": repository, "content": content}),
            "{original} (D24)"
        );
        assert_eq!(of_task["globalBriefingDoc"], Value::Null);
        let of_chat = context(&board, &board.notification(&engineer, json!({"taskId": chat})));
        assert_eq!(
            of_chat["globalBriefingDoc"],
            json!({"title": "Account Briefing", "content": "who we are"})
        );
        let of_none = context(&board, &board.notification(&engineer, json!({})));
        assert_eq!(of_none["globalBriefingDoc"], Value::Null);
    }
}

#[test]
fn the_chat_contains_an_overview_of_the_board() {
    let board = Board::new();
    let engineer = board.agent("engineer", "Engineer", "Builds", json!({}));
    let chat = board.person("tasks:openOrchestratorChat", json!({})).unwrap();
    for (title, status, priority, made) in [
        ("b", "review", 2.0, 1.0),
        ("c", "review", 2.0, 9.0),
        ("d", "review", 5.0, 9.0),
        ("a", "review", 1.0, 1.0),
        ("done", "done", 1.0, 1.0),
        ("away", "archived", 1.0, 1.0),
    ] {
        board.task(json!({"title": title, "status": status, "priority": priority, "createdAt": made}));
    }
    for _ in 0..101 {
        board.task(json!({"status": "blocked"}));
    }
    board.task(json!({"status": "blocked", "labels": ["system:orchestrator-chat"]}));
    let last = board.task(
        json!({"status": "assigned", "assignedAgentIds": [engineer], "assignedUserIds": ["user_dana"]}),
    );
    let overview =
        context(&board, &board.notification(&engineer, json!({"taskId": chat})))["taskOverview"].clone();
    let totals = json!([
        {"status": "inbox", "count": 0.0}, {"status": "assigned", "count": 1.0}, {"status": "in_progress", "count": 0.0},
        {"status": "review", "count": 4.0}, {"status": "blocked", "count": 99.0},
    ]);
    assert_eq!(overview["totals"], totals, "one of the newest 100 is the chat");
    let titles = |at: usize| {
        let tasks = overview["topTasks"][at]["tasks"].as_array().unwrap().iter();
        tasks.map(|task| task["title"].as_str().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((titles(0).len(), titles(3)), (0, vec!["a", "c", "b"]));
    assert_eq!(
        overview["topTasks"][1],
        json!({"status": "assigned", "tasks": [{
            "taskId": last, "title": "Fix login", "status": "assigned", "priority": 3.0, "assignedAgentIds": [engineer],
            "assignedUserIds": ["user_dana"],
        }]})
    );
}

/// §6: the events, and the key afterwards.
#[test]
fn sessions_are_opened_kept_and_renewed() {
    let board = Board::new();
    let lead = board.agent("lead", "Lead", "Leads", json!({}));
    let engineer = board.agent("engineer", "Engineer", "Builds", json!({}));
    board.set(json!({"orchestratorAgentId": lead}));
    let task = board.task(json!({"status": "in_progress", "assignedAgentIds": [engineer]}));
    let account = board.account.clone();
    let key = |agent: &str, task: Option<&str>| {
        let fields = task.map_or_else(|| json!({}), |task| json!({"taskId": task}));
        context(&board, &board.notification(agent, fields))["deliverySessionKey"].as_str().unwrap().to_owned()
    };
    let of_task = |slug: &str, generation: u32| format!("task:{task}:agent:{slug}:{account}:v{generation}");
    assert_eq!(key(&engineer, Some(&task)), of_task("engineer", 1), "opened by the first context");
    assert_eq!(key(&engineer, Some(&task)), of_task("engineer", 1), "kept");
    assert_eq!(key(&lead, Some(&task)), of_task("lead", 1), "each agent has one");
    assert_eq!(key(&engineer, None), format!("system:agent:engineer:{account}:v1"), "without a task");
    let listed = board.service("listAgents", json!({})).unwrap();
    assert_eq!(listed[1]["systemSessionKey"], key(&engineer, None), "equal to the key in the list");

    board.edit("tasks", &task, json!({"status": "done"}));
    assert_eq!(key(&engineer, Some(&task)), of_task("engineer", 1), "done does not close the session");
    let args = json!({"agentId": lead, "taskId": task, "reason": "over"});
    board.service("deleteTaskFromAgent", args).unwrap();
    let closed =
        board.rows("agentRuntimeSessions").into_iter().filter(|row| row["closedReason"] == "task_archived");
    assert_eq!(closed.count(), 2);
    assert_eq!(key(&engineer, Some(&task)), of_task("engineer", 2), "a new generation after archiving");
    assert_eq!(key(&engineer, Some(&task)), of_task("engineer", 2), "kept");
    assert_eq!(key(&engineer, None), format!("system:agent:engineer:{account}:v1"), "never closed");

    board.edit("agents", &engineer, json!({"slug": "builder"}));
    assert_eq!(key(&engineer, Some(&task)), of_task("engineer", 2), "the row keeps its slug");
    let other = board.task(json!({}));
    assert_eq!(key(&engineer, Some(&other)), format!("task:{other}:agent:builder:{account}:v1"));
}
