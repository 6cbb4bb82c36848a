//! The result and the permitted callers of each endpoint (§4), on a backend that states its reasons and on one that hides
//! them.

use mission_control_runtime::local::Options;
use serde_json::{Value, json};

use super::{ENDPOINTS, Plan, Stand};

fn both() -> [Stand; 2] {
    [false, true].map(|redact| {
        Stand::with(Plan { options: Options { redact, ..Options::default() }, ..Plan::default() })
    })
}

/// The field names of an object.
fn names(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// §4.1–4.17: one successful call of each, and its effect on the board.
#[test]
fn every_endpoint_works_and_replies_in_its_format() {
    for stand in both() {
        let board = &stand.team.board;
        let (key, task) = stand.ben_at("assigned");
        let lead = stand.own("lead");

        let moved = stand.done("task-status", &key, &json!({"taskId": task, "status": "review"}));
        for (field, value) in [
            ("taskId", json!(task)),
            ("requestedStatus", json!("review")),
            ("status", json!("review")),
            ("changed", json!(true)),
        ] {
            assert_eq!(moved[field], value, "{moved}");
        }
        assert!(moved["updatedAt"].is_number() && moved["durationMs"].is_u64(), "{moved}");
        let again = stand.done("task-status", &key, &json!({"status": "review"}));
        assert_eq!(again["changed"], false, "the session's own task, and it was there");

        let changes = json!({"taskId": task, "title": " Fix it ", "priority": "high", "labels": ["a"]});
        let updated = stand.done("task-update", &key, &changes);
        assert_eq!(updated["changedFields"], json!(["title", "priority", "labels"]), "{updated}");
        assert!(updated["durationMs"].is_u64() && updated["taskId"] == json!(task));
        assert_eq!(board.row("tasks", &task)["title"], "Fix it");

        let created =
            stand.done("task-create", &stand.own("ada"), &json!({"title": "New", "status": "in_progress"}));
        let new = board.row("tasks", created["taskId"].as_str().unwrap());
        assert_eq!((&new["title"], &new["assignedAgentIds"]), (&json!("New"), &json!([stand.team.ada])));
        assert!(!names(&created).contains(&"data"));

        let paper = json!({"title": "Notes", "content": "…", "type": "note", "taskId": task});
        let written = stand.done("document", &key, &paper);
        let document = written["documentId"].as_str().unwrap();
        assert_eq!(board.row("documents", document)["content"], "…");
        let listed = stand.done("document-list", &key, &json!({"taskId": task, "limit": 5}));
        assert_eq!(listed["data"]["documents"][0]["_id"], document, "{listed}");

        let ask = json!({"recipientSlugs": ["@ada"], "message": "Look."});
        let asked = stand.done("response-request", &key, &ask);
        assert_eq!(asked["notificationIds"].as_array().unwrap().len(), 1, "{asked}");
        let asked = stand.done("response-request", &key, &ask);
        assert_eq!(asked["notificationIds"], json!([]));
        assert!(asked["message"].as_str().unwrap().contains("not answered yet: 1 of 1"), "W32: {asked}");

        let loaded = stand.done("task-load", &key, &json!({"taskId": task}));
        assert_eq!(loaded["data"]["task"]["_id"], json!(task));
        assert!(loaded["data"]["thread"].is_array());
        let history = stand.done("task-history", &key, &json!({"taskId": task, "activityLimit": 3}));
        assert_eq!(history["data"]["meta"]["activityLimitApplied"].as_f64(), Some(3.0), "{history}");
        for who in [json!({}), json!({"agentId": "ada"}), json!({"agentId": stand.team.ada})] {
            let skills = stand.done("get-agent-skills", &key, &who);
            assert!(!skills["data"]["agents"].as_array().unwrap().is_empty(), "W33: {skills}");
        }

        let assigned = stand.done("task-assign", &lead, &json!({"taskId": task, "assigneeSlugs": ["@ADA"]}));
        assert_eq!(assigned["taskId"], json!(task));
        let posted = stand.done("task-message", &lead, &json!({"taskId": task, "content": " Hello. "}));
        let message = board.row("messages", posted["messageId"].as_str().unwrap());
        assert_eq!(message["content"], "Hello.");
        let tasks = stand.done("task-list", &lead, &json!({"status": "review", "assigneeSlug": "@Ben"}));
        assert_eq!(tasks["data"]["tasks"][0]["_id"], json!(task), "{tasks}");
        assert_eq!(
            stand.done("task-get", &lead, &json!({"taskId": task}))["data"]["task"]["_id"],
            json!(task)
        );
        let thread = stand.done("task-thread", &lead, &json!({"taskId": task}));
        assert_eq!(thread["data"]["thread"][0]["content"], "Hello.");
        let found = stand.done("task-search", &lead, &json!({"query": "fix IT"}));
        assert_eq!(found["data"]["results"][0]["_id"], json!(task));
        let linked = stand.done("task-link-pr", &lead, &json!({"taskId": task, "prNumber": 65}));
        assert_eq!(linked["data"], json!({"taskId": task, "prNumber": 65}));
        let deleted = stand.done("task-delete", &lead, &json!({"taskId": task, "reason": "a twin"}));
        assert_eq!(names(&deleted), ["success"]);
        assert_eq!(board.row("tasks", &task)["status"], "archived");
    }
}

/// §4: the eight endpoints of the orchestrator refuse others in their own words, with any body (§2.6: step 7 before 8).
#[test]
fn only_the_orchestrator_may_call_its_endpoints() {
    let words = |endpoint: &str| match endpoint {
        "task-assign" => "Forbidden: Only the orchestrator can assign agents",
        "task-message" => "Forbidden: Only the orchestrator can post task messages",
        "task-list" => "Forbidden: Only the orchestrator can list tasks",
        "task-get" => "Forbidden: Only the orchestrator can get tasks",
        "task-thread" => "Forbidden: Only the orchestrator can read task threads",
        "task-search" => "Forbidden: Only the orchestrator can search tasks",
        "task-delete" => "Forbidden: Only the orchestrator can delete tasks",
        "task-link-pr" => "Forbidden: Only the orchestrator can link tasks to PRs",
        other => panic!("{other}"),
    };
    for stand in both() {
        let key = stand.own("ada");
        for (endpoint, _) in ENDPOINTS.iter().filter(|(_, leads)| *leads) {
            for body in ["{}", "no JSON"] {
                let answer = stand.send(endpoint, &[("x-openclaw-session-key", &key)], body);
                assert_eq!((answer.status, answer.error()), (403, words(endpoint)), "{body}");
            }
        }
    }
    // The present orchestrator counts, not the one at the time the roster was read.
    let stand = Stand::new();
    stand.done("task-list", &stand.own("lead"), &json!({}));
    stand.team.board.set(json!({"orchestratorAgentId": stand.team.ada}));
    stand.done("task-list", &stand.own("ada"), &json!({}));
    assert_eq!(stand.post("task-list", &stand.own("lead"), &json!({})).status, 403);
}

/// §9.3, the last two rows: the orchestrator assigns work and does not take it.
#[test]
fn tasks_of_the_orchestrator_start_unassigned_in_the_inbox() {
    for stand in both() {
        let lead = stand.own("lead");
        for (slugs, status, agents) in [
            (json!(["lead", "ada"]), "assigned", json!([stand.team.ada])),
            (json!(["lead"]), "inbox", json!([])),
        ] {
            let body = json!({"title": "Plan", "status": "assigned", "assigneeSlugs": slugs});
            let created = stand.done("task-create", &lead, &body);
            let row = stand.team.board.row("tasks", created["taskId"].as_str().unwrap());
            assert_eq!((&row["status"], &row["assignedAgentIds"]), (&json!(status), &agents), "{slugs}");
        }
        let body = json!({"title": "Plan", "assigneeSlugs": ["ben"]});
        let refused = stand.post("task-create", &stand.own("ada"), &body);
        let words = "Forbidden: Only the orchestrator can assign agents during task creation";
        assert_eq!((refused.status, refused.error()), (403, words));
    }
}

/// W10, W-31: the checks of a tool call apply to the named task.
#[test]
fn refuses_to_close_tasks_without_permission() {
    for stand in both() {
        let (key, task) = stand.ben_at("review");
        for endpoint in ["task-status", "task-update"] {
            let refused = stand.post(endpoint, &key, &json!({"taskId": task, "status": "done"}));
            assert_eq!(refused.status, 403, "{refused:?}");
            assert!(
                refused.error().starts_with("Forbidden: Not allowed to mark tasks as done"),
                "{refused:?}"
            );
        }
        assert_eq!(stand.team.board.row("tasks", &task)["status"], "review");
        let born_done =
            stand.post("task-create", &stand.own("ada"), &json!({"title": "x", "status": "done"}));
        assert_eq!(born_done.status, 403, "{born_done:?}");
    }
}

/// Each refusal has its status, whether the backend states its reasons or hides them.
#[test]
fn each_refusal_has_its_status() {
    for stand in both() {
        let (key, task) = stand.ben_at("inbox");
        let lead = stand.own("lead");
        let nowhere = crate::support::team::missing_id(&task);
        let rows = [
            ("task-create", &stand.own("ben"), json!({"title": "x"}), [403, 403]),
            ("task-status", &key, json!({"status": "review"}), [409, 409]),
            ("task-get", &lead, json!({"taskId": nowhere}), [404, 404]),
            ("task-load", &key, json!({"taskId": nowhere}), [404, 500]),
            ("task-message", &lead, json!({"taskId": nowhere, "content": "x"}), [404, 500]),
            ("task-assign", &lead, json!({"taskId": task, "assigneeSlugs": ["nobody"]}), [422, 422]),
            ("task-list", &lead, json!({"assigneeSlug": "nobody"}), [422, 422]),
            ("get-agent-skills", &key, json!({"agentId": "nobody"}), [404, 404]),
        ];
        let redacted = usize::from(stand.post("task-load", &key, &json!({"taskId": nowhere})).status == 500);
        for (endpoint, key, body, statuses) in rows {
            let refused = stand.post(endpoint, key, &body);
            assert_eq!(refused.status, statuses[redacted], "{endpoint} {body}: {refused:?}");
            assert!(!refused.error().is_empty() && !refused.error().contains("Request ID"), "{refused:?}");
        }
    }
}

/// A text that is not an id: the error names the field and does not contain the backend's validation message.
#[test]
fn names_the_field_with_an_invalid_id() {
    let [stand, hiding] = both();
    let lead = stand.own("lead");
    for (endpoint, field, body) in [
        ("task-status", "taskId", json!({"taskId": "nope", "status": "review"})),
        ("task-get", "taskId", json!({"taskId": "nope"})),
        ("task-thread", "taskId", json!({"taskId": "nope"})),
        ("task-load", "taskId", json!({"taskId": "nope"})),
        ("task-message", "taskId", json!({"taskId": "nope", "content": "x"})),
        ("task-delete", "taskId", json!({"taskId": "nope", "reason": "x"})),
        ("document", "taskId", json!({"title": "x", "content": "y", "type": "note", "taskId": "nope"})),
    ] {
        let refused = stand.post(endpoint, &lead, &body);
        assert_eq!((refused.status, &refused.body["field"]), (422, &json!(field)), "{endpoint}: {refused:?}");
        let words = format!("Mission Control does not accept this value for {field}. Check that ");
        assert!(refused.error().starts_with(&words), "{endpoint}: {refused:?}");
        let refused = hiding.post(endpoint, &hiding.own("lead"), &body);
        assert_eq!(refused.status, 500, "{endpoint}: {refused:?}");
        assert!(refused.error().contains("without a reason. Check that "), "{endpoint}: {refused:?}");
    }
}

/// Present permissions count: the roster is read again before a refusal.
#[test]
fn a_granted_permission_applies_immediately() {
    let stand = Stand::new();
    let ben = stand.own("ben");
    stand.done("get-agent-skills", &ben, &json!({}));
    stand.team.flag(&stand.team.ben, "canCreateTasks", true);
    stand.hands.pass(5_000);
    stand.done("task-create", &ben, &json!({"title": "Mine"}));
    // An agent that is refused repeatedly does not cause a new read each time.
    stand.team.flag(&stand.team.ada, "canCreateTasks", false);
    stand.team.flag(&stand.team.ben, "canCreateDocuments", false);
    let listed = || stand.team.board.rows("documents").len();
    let paper = json!({"title": "x", "content": "y", "type": "note"});
    assert_eq!((stand.post("document", &ben, &paper).status, listed()), (403, 0));
}
