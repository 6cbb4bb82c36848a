//! The effects of a message: backend-contract §2.12, §2.13, §2.23, §2.35, §5.4, §5.6, §8.

use mission_control_runtime::local::Options;
use serde_json::{Value, json};

use super::board::Board;
use super::seeds::refusal;

/// Dana, an orchestrator and two agents.
struct Crew {
    board: Board,
    lead: String,
    engineer: String,
    designer: String,
}

fn crew(options: Options) -> Crew {
    let board = Board::with(options);
    let lead = board.agent("lead", "Lead", "Orchestrator", json!({}));
    let engineer = board.agent("engineer", "Engineer", "Builds", json!({}));
    let designer = board.agent("designer", "Designer", "Draws", json!({}));
    board.set(json!({"orchestratorAgentId": lead}));
    Crew { board, lead, engineer, designer }
}

const MENTION: [&str; 1] = ["mention: Engineer mentioned you"];
const UPDATE: [&str; 1] = ["thread_update: Engineer replied"];
const NOTHING: [&str; 0] = [];

#[test]
fn an_agents_message_updates_the_task_and_adds_followers() {
    let Crew { board, lead, engineer, designer } = crew(Options::default());
    let task = board.task(json!({"status": "done"}));
    board.advance(5_000);
    let message = board.says(&engineer, &task, "@designer and @dana, see here");

    let now = 1_765_526_405_000.0;
    let row = board.row("tasks", &task);
    assert_eq!(
        (&row["status"], &row["updatedAt"], &row["lastMessageAt"]),
        (&json!("done"), &json!(now), &json!(now))
    );
    assert_eq!(board.followers(&task), [&engineer, &designer, "user_dana", &lead]);
    assert_eq!(board.notifications_of(&designer), MENTION);
    assert_eq!(board.notifications_of("user_dana"), MENTION);
    assert_eq!(board.notifications_of(&engineer), NOTHING);
    let notified = board.rows("notifications");
    assert_eq!(notified[0]["body"], "You were mentioned in task \"Fix login\"");
    assert_eq!((&notified[0]["messageId"], &notified[0]["taskId"]), (&json!(message), &json!(task)));

    let activity = board.rows("activities").pop().unwrap();
    assert_eq!(activity["type"], "message_created");
    assert_eq!((&activity["targetType"], &activity["targetId"]), (&json!("message"), &json!(message)));
    assert_eq!((&activity["targetName"], &activity["actorName"]), (&json!("Fix login"), &json!("Engineer")));
    assert_eq!(activity["meta"]["taskId"], json!(task));
    assert_eq!(activity["meta"]["mentionCount"].as_f64(), Some(2.0));
    assert_eq!(activity["meta"].get("hasAttachments"), None);

    let thread = board.look("messages:listByTask", json!({"taskId": task})).unwrap();
    assert_eq!((&thread[0]["authorType"], &thread[0]["authorName"]), (&json!("agent"), &json!("Engineer")));
    assert_eq!(thread[0].get("attachments"), None, "{thread}");
}

#[test]
fn a_persons_message_does_not_change_the_task() {
    let Crew { board, designer, .. } = crew(Options::default());
    let task = board.task(json!({}));
    board.person_says(&task, "@designer, look");
    let row = board.row("tasks", &task);
    assert_eq!((&row["updatedAt"], row.get("lastMessageAt")), (&json!(1.0), None));
    assert_eq!(board.followers(&task), ["user_dana", &designer], "the orchestrator does not start to follow");
    assert_eq!(board.notifications_of(&designer), ["mention: Dana Reyes mentioned you"]);
    let meta = board.rows("activities").pop().unwrap()["meta"].clone();
    assert_eq!((&meta["hasAttachments"], meta["mentionCount"].as_f64()), (&json!(false), Some(1.0)));
}

#[test]
fn only_agents_with_permission_notify_mentioned_agents() {
    // Rule, the flag, suppressed, notifications of the designer and of the person, whether the designer follows.
    type Row<'a> = (&'a str, Value, Value, &'a [&'a str], &'a [&'a str], bool);
    let rows: &[Row<'_>] = &[
        ("may", json!(true), json!(false), &MENTION, &MENTION, true),
        ("may by default", Value::Null, Value::Null, &MENTION, &MENTION, true),
        ("may not", json!(false), json!(false), &NOTHING, &MENTION, false),
        ("suppressed", json!(true), json!(true), &NOTHING, &MENTION, false),
    ];
    for (rule, flag, suppress, designer_is_told, dana_is_told, follows) in rows {
        let Crew { board, engineer, designer, .. } = crew(Options::default());
        if !flag.is_null() {
            let config = json!({"model": "m", "temperature": 0.7, "skillIds": [], "behaviorFlags": {"canMentionAgents": flag}});
            board.edit("agents", &engineer, json!({"openclawConfig": config}));
        }
        let task = board.task(json!({}));
        let mut args = json!({"agentId": engineer, "taskId": task, "content": "@designer, @dana"});
        if !suppress.is_null() {
            args["suppressAgentNotifications"] = suppress.clone();
        }
        board.service("createMessageFromAgent", args).unwrap();
        assert_eq!(board.notifications_of(&designer), *designer_is_told, "{rule}");
        assert_eq!(board.notifications_of("user_dana"), *dana_is_told, "{rule}");
        assert_eq!(board.followers(&task).contains(&designer), *follows, "{rule}");
        let thread = board.look("messages:listByTask", json!({"taskId": task})).unwrap();
        assert_eq!(
            thread[0]["mentions"].as_array().unwrap().len(),
            2,
            "{rule}: the list is kept for the page"
        );
    }
}

/// A message of an agent, and the notifications that it leads to.
struct Case {
    rule: &'static str,
    task: Value,
    settings: Value,
    content: &'static str,
    suppressed: bool,
    /// Lead, designer, Dana.
    sent: [&'static [&'static str]; 3],
}

#[test]
fn followers_are_notified_by_the_rules_of_5_4() {
    let plain = || Case {
        rule: "everybody except the author (4)",
        task: json!({}),
        settings: json!({}),
        content: "hello",
        suppressed: false,
        sent: [&UPDATE, &UPDATE, &UPDATE],
    };
    let chat = json!({"labels": ["system:orchestrator-chat"]});
    let rows = [
        plain(),
        Case {
            rule: "1 the chat is for the orchestrator",
            task: chat.clone(),
            sent: [&UPDATE, &NOTHING, &UPDATE],
            ..plain()
        },
        Case {
            rule: "1 the chat without an orchestrator",
            task: chat.clone(),
            settings: json!({"orchestratorAgentId": null}),
            sent: [&NOTHING, &NOTHING, &UPDATE],
            ..plain()
        },
        Case {
            rule: "1 no mention in the chat",
            task: chat,
            content: "@all",
            sent: [&UPDATE, &NOTHING, &UPDATE],
            ..plain()
        },
        Case {
            rule: "2 done",
            task: json!({"status": "done"}),
            sent: [&NOTHING, &NOTHING, &UPDATE],
            ..plain()
        },
        Case {
            rule: "2 blocked",
            task: json!({"status": "blocked", "blockedReason": "x"}),
            sent: [&NOTHING, &NOTHING, &UPDATE],
            ..plain()
        },
        Case { rule: "2 but not archived", task: json!({"status": "archived"}), ..plain() },
        Case { rule: "2 suppressed", suppressed: true, sent: [&NOTHING, &NOTHING, &UPDATE], ..plain() },
        Case {
            rule: "3 and 5 an agent is mentioned",
            content: "@designer",
            sent: [&NOTHING, &MENTION, &UPDATE],
            ..plain()
        },
        Case {
            rule: "5 a person is mentioned",
            content: "@dana",
            sent: [&UPDATE, &UPDATE, &MENTION],
            ..plain()
        },
        Case {
            rule: "6 the person does not want to be notified",
            settings: json!({"notificationPreferences": {"taskUpdates": true, "agentActivity": false, "emailDigest": true, "memberUpdates": true}}),
            sent: [&UPDATE, &UPDATE, &NOTHING],
            ..plain()
        },
        Case {
            rule: "6 not even of a mention",
            content: "@dana",
            settings: json!({"notificationPreferences": {"taskUpdates": true, "agentActivity": false, "emailDigest": true, "memberUpdates": true}}),
            sent: [&UPDATE, &UPDATE, &NOTHING],
            ..plain()
        },
    ];
    for case in rows {
        check_notified(&case);
    }
}

fn check_notified(case: &Case) {
    let Crew { board, lead, engineer, designer } = crew(Options::default());
    let mut settings = json!({"orchestratorAgentId": lead});
    settings.as_object_mut().unwrap().extend(case.settings.as_object().unwrap().clone());
    settings.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    board.edit("accounts", &board.account, json!({"settings": settings}));
    let task = board.task(case.task.clone());
    board.follows(&task, "user", "user_dana");
    for agent in [&lead, &engineer, &designer] {
        board.follows(&task, "agent", agent);
    }
    let args = json!({
        "agentId": engineer, "taskId": task, "content": case.content,
        "suppressAgentNotifications": case.suppressed,
    });
    board.service("createMessageFromAgent", args).unwrap();
    let sent = [&*lead, &*designer, "user_dana"].map(|id| board.notifications_of(id));
    assert_eq!(sent, case.sent, "{}", case.rule);
    assert_eq!(board.notifications_of(&engineer), NOTHING, "{}", case.rule);
}

#[test]
fn in_the_chat_a_persons_message_reaches_the_orchestrator() {
    let Crew { board, lead, designer, .. } = crew(Options::default());
    let chat = board.person("tasks:openOrchestratorChat", json!({})).unwrap();
    assert_eq!(
        board.person("tasks:openOrchestratorChat", json!({})).unwrap(),
        chat,
        "the chat exists already"
    );
    let task = board.row("tasks", chat.as_str().unwrap());
    assert_eq!((&task["title"], &task["status"]), (&json!("Orchestrator Chat"), &json!("inbox")));
    assert_eq!(task["labels"], json!(["system:orchestrator-chat"]));
    assert_eq!(board.row("accounts", &board.account)["settings"]["orchestratorChatTaskId"], chat);
    let chat = chat.as_str().unwrap();
    assert_eq!(board.followers(chat), ["user_dana", &lead]);
    board.follows(chat, "agent", &designer);

    board.person_says(chat, "what is going on?");
    assert_eq!(board.notifications_of(&lead), ["thread_update: Dana Reyes replied"]);
    assert_eq!(board.notifications_of(&designer), NOTHING);
    // Rule 3 excepts the orchestrator in its chat. It is notified although the message mentions another agent.
    board.person_says(chat, "ask @designer");
    assert_eq!(board.notifications_of(&designer), ["mention: Dana Reyes mentioned you"]);
    assert_eq!(board.notifications_of(&lead), ["thread_update: Dana Reyes replied"], "and in the same row");

    // Without an orchestrator, the chat is an ordinary task for people.
    board.edit("accounts", &board.account, json!({"settings": {"orchestratorChatTaskId": chat}}));
    board.person_says(chat, "anybody?");
    assert_eq!(board.notifications_of(&designer).len(), 2);
}

#[test]
fn an_agents_undelivered_update_takes_the_newer_message() {
    // Original or not, the state of the undelivered row, the number of rows afterwards.
    let rows = [
        ("new", false, json!({}), 1),
        ("in progress: mended (D1)", false, json!({"readAt": 2.0}), 2),
        ("in progress: as the original does it", true, json!({"readAt": 2.0}), 1),
        ("failed attempt", false, json!({"readAt": 2.0, "deliveryEndedAt": 3.0}), 1),
        ("delivered", false, json!({"readAt": 2.0, "deliveredAt": 3.0}), 2),
    ];
    for (rule, original, state, count) in rows {
        let Crew { board, engineer, .. } = crew(Options { original, ..Options::default() });
        let task = board.task(json!({}));
        board.follows(&task, "agent", &engineer);
        board.follows(&task, "user", "user_dana");
        let lead = board.rows("agents")[0]["_id"].as_str().unwrap().to_owned();
        board.person_says(&task, "first");
        let waiting = board.rows("notifications").pop().unwrap();
        let id = waiting["_id"].as_str().unwrap();
        board.edit("notifications", id, state.clone());
        board.advance(1_000);
        let message = board.says(&lead, &task, "second");

        let rows = board.rows("notifications");
        let of_engineer: Vec<_> = rows.iter().filter(|row| row["recipientId"] == *engineer).collect();
        assert_eq!(of_engineer.len(), count, "{rule}");
        let newest = of_engineer.last().unwrap();
        assert_eq!(newest["messageId"], *message, "{rule}");
        assert_eq!(newest["title"], "Lead replied", "{rule}");
        assert_eq!(newest["createdAt"], json!(1_765_526_401_000.0), "{rule}");
        if count == 1 {
            assert_eq!(newest["_id"], id, "{rule}: the row keeps its id");
            assert_eq!(newest.get("readAt"), state.get("readAt"), "{rule}: and its state");
            assert_eq!(newest.get("deliveryEndedAt"), state.get("deliveryEndedAt"), "{rule}");
        }
        board.says(&lead, &task, "third");
        assert_eq!(board.notifications_of("user_dana").len(), 2, "{rule}: people get every update");
    }
}

#[test]
fn a_notification_is_answered_once() {
    let Crew { board, engineer, lead, .. } = crew(Options::default());
    let task = board.task(json!({}));
    let other = board.task(json!({}));
    let notification = board.notification(&engineer, json!({"taskId": task}));
    let say = |agent: &str, task: &str, content: &str| {
        let args = json!({"agentId": agent, "taskId": task, "content": content, "sourceNotificationId": notification});
        board.service("createMessageFromAgent", args).unwrap()["messageId"].clone()
    };
    let first = say(&engineer, &task, "done");
    let changes = board.engine.wait_for_change(0, std::time::Duration::ZERO);
    assert_eq!(say(&engineer, &task, "done, differently"), first);
    assert_eq!(say(&lead, &other, "@all, whatever"), first, "even on another task, by another agent (D2)");
    assert_eq!(board.engine.wait_for_change(0, std::time::Duration::ZERO), changes, "no other row changes");
    let messages = board.rows("messages");
    assert_eq!((messages.len(), &messages[0]["sourceNotificationId"]), (1, &json!(notification)));
}

#[test]
fn only_registered_uploads_of_allowed_types_are_attached() {
    let Crew { board, engineer, .. } = crew(Options::default());
    let task = board.task(json!({}));
    let file = |mime: &str, size: f64| {
        board.engine.write_row("_storage", json!({"contentType": mime, "size": size})).unwrap()
    };
    let register = |file: &str| {
        let args = json!({"agentId": engineer, "taskId": task, "storageId": file});
        board.service("registerMessageUploadFromAgent", args)
    };
    let attach = |file: &str, name: &str| {
        let offered =
            json!([{"storageId": file, "name": name, "type": "image/png", "size": 1, "url": "http://x"}]);
        let args = json!({"agentId": engineer, "taskId": task, "content": "here", "attachments": offered});
        board.service("createMessageFromAgent", args)
    };
    let wrong =
        "type or size not allowed (max 20MB, allowed types: images, PDF, .doc/.docx, .txt, .csv, .json)";
    let rows = [
        ("image/webp", 1.0, "a", ""),
        ("application/pdf", 20_971_520.0, "a.pdf", ""),
        ("application/json", 9.0, "a.json", ""),
        ("application/octet-stream", 9.0, "a.DOCX", ""),
        ("application/octet-stream", 9.0, "a.exe", wrong),
        ("application/octet-stream", 9.0, "pdf", wrong),
        ("text/html", 9.0, "a.txt", wrong),
        ("image/png", 0.0, "a.png", wrong),
        ("image/png", 20_971_521.0, "a.png", wrong),
        ("", 9.0, "a.png", "missing content type on upload"),
    ];
    for (mime, size, name, why) in rows {
        let id = file(mime, size);
        assert_eq!(
            refusal(attach(&id, name)),
            format!("Attachment \"{name}\": upload not registered for this task")
        );
        let upload = register(&id).unwrap();
        assert_eq!(register(&id).unwrap(), upload, "once");
        match attach(&id, name) {
            Ok(posted) => {
                let message = board.row("messages", posted["messageId"].as_str().unwrap());
                let stored = json!([{"storageId": id, "name": name, "type": mime, "size": size}]);
                assert_eq!((message["attachments"].clone(), why), (stored, ""), "{mime} {name}");
            }
            refused => assert_eq!(refusal(refused), format!("Attachment \"{name}\": {why}"), "{mime}"),
        }
    }
    let gone = "kg000000000000000000000000000000";
    assert_eq!(refusal(register(gone)), "Not found: Upload does not exist in storage");
    let row = json!({"accountId": board.account, "taskId": task, "storageId": gone, "createdByType": "agent", "createdBy": engineer, "createdAt": 1.0});
    board.engine.write_row("messageUploads", row).unwrap();
    let text = "Attachment \"x\": file not found in storage (upload may have failed)";
    assert_eq!(refusal(attach(gone, "x")), text);
}

#[test]
fn messages_are_refused_in_order() {
    let Crew { board, lead, engineer, .. } = crew(Options::default());
    let task = board.task(json!({}));
    let (foreign_agent, foreign_task) = (board.foreign("agents", &engineer), board.foreign("tasks", &task));
    let (no_agent, no_task) = ("js000000000000000000000000000000", "kx000000000000000000000000000000");
    let long = "é".repeat(100_001);
    let rows: &[(&str, &str, &str, &str, &str)] = &[
        ("createMessageFromAgent", no_agent, no_task, "x", "Not found: Agent does not exist"),
        (
            "createMessageFromAgent",
            &foreign_agent,
            no_task,
            "x",
            "Forbidden: Agent belongs to different account",
        ),
        ("createMessageFromAgent", &engineer, no_task, &long, "Not found: Task does not exist"),
        (
            "createMessageFromAgent",
            &engineer,
            &foreign_task,
            &long,
            "Forbidden: Task belongs to different account",
        ),
        (
            "createMessageFromAgent",
            &engineer,
            &task,
            &long,
            "Message content too long (max 100000 characters)",
        ),
        ("createTaskMessageForAgentTool", no_agent, no_task, "x", "Not found: Agent does not exist"),
        (
            "createTaskMessageForAgentTool",
            &engineer,
            no_task,
            "x",
            "Forbidden: Only the orchestrator can post task messages",
        ),
        ("createTaskMessageForAgentTool", &lead, no_task, "x", "Not found: Task does not exist"),
        (
            "createTaskMessageForAgentTool",
            &lead,
            &task,
            &long,
            "Message content too long (max 100000 characters)",
        ),
    ];
    for (name, agent, task, content, expected) in rows {
        let args = json!({"agentId": agent, "taskId": task, "content": content});
        assert_eq!(refusal(board.service(name, args)), *expected, "{name}");
    }
    let by_person = |task: &str, content: &str| {
        refusal(board.person("messages:create", json!({"taskId": task, "content": content})))
    };
    assert_eq!(by_person(no_task, "x"), "Not found: Task does not exist");
    assert_eq!(by_person(&task, &long), "Message content too long (max 100000 characters)");
    assert_eq!(board.rows("messages").len(), 0);
    board.says(&engineer, &task, "");
    board.says(&engineer, &task, &"😀".repeat(50_000));
    board
        .service("createTaskMessageForAgentTool", json!({"agentId": lead, "taskId": task, "content": "x"}))
        .unwrap();
    assert_eq!(
        board.rows("messages").len(),
        3,
        "empty messages and messages of exactly the limit are accepted"
    );
}

#[test]
fn a_thread_returns_its_newest_messages() {
    let Crew { board, lead, engineer, .. } = crew(Options::default());
    let task = board.task(json!({}));
    for number in 0..60 {
        board.says(&engineer, &task, &number.to_string());
    }
    board.person_says(&task, "person");
    let gone = json!({"accountId": board.account, "taskId": task, "authorType": "user", "authorId": "user_gone", "content": "gone", "mentions": [], "createdAt": 1.0});
    board.engine.write_row("messages", gone).unwrap();
    let read = |limit: Value| {
        let mut args = json!({"agentId": lead, "taskId": task});
        if !limit.is_null() {
            args["limit"] = limit;
        }
        board.service("listTaskThreadForAgentTool", args)
    };
    for (limit, count) in [(Value::Null, 50), (json!(0), 0), (json!(3), 3), (json!(1000), 62)] {
        assert_eq!(read(limit.clone()).unwrap().as_array().unwrap().len(), count, "{limit}");
    }
    let last = read(json!(3)).unwrap();
    assert_eq!(last[0]["content"], "59");
    assert_eq!(last[0]["authorName"], "Engineer");
    assert_eq!((&last[1]["authorName"], &last[1]["authorId"]), (&json!("Dana Reyes"), &json!("user_dana")));
    assert_eq!((&last[2]["content"], &last[2]["authorName"]), (&json!("gone"), &Value::Null));
    assert!(last[2].as_object().unwrap().contains_key("authorName"), "null, not absent");
    for limit in [json!(-1), json!(1.5)] {
        assert!(read(limit).unwrap_err().contains("must be a non-negative integer"));
    }
    let foreign = board.foreign("tasks", &task);
    for task in [&foreign, "kx000000000000000000000000000000"] {
        let args = json!({"agentId": lead, "taskId": task, "limit": -1});
        assert_eq!(board.service("listTaskThreadForAgentTool", args).unwrap(), json!([]));
    }
    let args = json!({"agentId": engineer, "taskId": task});
    assert_eq!(
        refusal(board.service("listTaskThreadForAgentTool", args)),
        "Forbidden: Only the orchestrator can read threads"
    );
}
