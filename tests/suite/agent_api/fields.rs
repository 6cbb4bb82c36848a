//! Request bodies (§4, §9.10): wrong types in every field, bodies that are not objects, unacceptable values.

use mission_control_runtime::tools::decode_call;
use mission_control_runtime::tools::table::{self, ROWS, Type};
use serde_json::{Value, json};

use super::{ENDPOINTS, Stand, TELLS};

/// An acceptable value of this type for a field.
fn good(name: &str, is: Type) -> Value {
    match is {
        Type::Texts => json!(["ada"]),
        Type::Number => json!(1_767_225_600_000_i64),
        Type::Count { .. } | Type::Range(..) | Type::Priority => json!(3),
        Type::OneOf(words) => json!(words[0]),
        Type::Text => json!(format!("{name}-of-nothing")),
    }
}

/// W3: every field of every endpoint with every wrong type. Nothing changes, and the next request is answered.
#[test]
fn every_wrong_type_is_a_400_naming_the_field() {
    let wrong = [json!(true), json!({"a": 1}), json!([1]), json!([["a"]]), json!(7), json!("words")];
    let mut stand = Stand::new();
    let mut calls = 0;
    for row in &ROWS {
        for field in row.fields {
            for value in &wrong {
                let fits = match field.is {
                    Type::Text | Type::OneOf(_) => value.is_string(),
                    Type::Number | Type::Count { .. } => value.is_number(),
                    Type::Range(..) | Type::Priority => value.is_number() || value.is_string(),
                    Type::Texts => false,
                };
                if fits {
                    continue;
                }
                // The clock advances, since each agent may send only so many calls at once.
                calls += 1;
                if calls % 18 == 0 {
                    stand = Stand::new();
                }
                let mut body: Value = json!({});
                for other in row.fields.iter().filter(|other| other.required) {
                    body[other.name] = good(other.name, other.is);
                }
                body[field.name] = value.clone();
                let refused = stand.post(row.endpoint, &stand.own("lead"), &body);
                assert_eq!(refused.status, 400, "{} {body}: {refused:?}", row.endpoint);
                assert!(refused.error().contains(field.name), "{} {body}: {refused:?}", row.endpoint);
                assert_eq!(refused.body["field"], field.name, "{refused:?}");
            }
        }
    }
    assert!(calls > 150, "{calls}");
    assert_eq!(stand.team.board.rows("tasks").len() + stand.team.board.rows("documents").len(), 0);
}

/// §2.6, step 8; §9.10: bodies that are not objects.
#[test]
fn non_object_bodies_are_400() {
    let bodies = ["", "  \n", "null", "[]", "5", "\"x\"", "{", "{} {}", "\u{feff}{}", "{\"taskId\":}"];
    let endpoints = ENDPOINTS.map(|(endpoint, _)| endpoint).into_iter().chain(TELLS);
    for (number, endpoint) in endpoints.enumerate() {
        let stand = Stand::new();
        let key = stand.own("lead");
        for body in bodies {
            let refused = stand.send(endpoint, &[("x-openclaw-session-key", &key)], body);
            assert_eq!(refused.status, 400, "{endpoint} {body:?}: {refused:?}");
            assert!(refused.error().starts_with("Invalid JSON body"), "{endpoint} {body:?}: {refused:?}");
        }
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        let refused = stand.send(endpoint, &[("x-openclaw-session-key", &key)], &deep);
        assert_eq!(refused.status, 400, "{number}");
    }
}

/// §4.1–4.16: missing values (400) and unacceptable values (422).
#[test]
fn field_errors_have_the_words_of_the_tools() {
    let long = |chars: usize| "x".repeat(chars);
    let slugs: Vec<String> = (0..11).map(|number| format!("a{number}")).collect();
    let rows: Vec<(&str, Value, u16, &str)> = vec![
        ("task-status", json!({}), 400, "taskId is required"),
        ("task-status", json!({"taskId": " ", "status": "review"}), 400, "taskId is required"),
        ("task-status", json!({"taskId": "t"}), 400, "Invalid status: must be one of"),
        ("task-status", json!({"taskId": "t", "status": "inbox"}), 422, "Invalid status"),
        ("task-status", json!({"taskId": "t", "status": "blocked"}), 422, "blockedReason is required"),
        (
            "task-status",
            json!({"taskId": "t", "status": "blocked", "blockedReason": long(2001)}),
            422,
            "2000",
        ),
        ("task-update", json!({"title": "x"}), 400, "taskId is required"),
        ("task-update", json!({"taskId": "t"}), 400, "At least one field (title, description"),
        ("task-update", json!({"taskId": "t", "blockedReason": "x"}), 400, "At least one field"),
        ("task-update", json!({"taskId": "t", "title": null}), 400, "At least one field"),
        ("task-update", json!({"taskId": "t", "priority": 6}), 422, "priority must be between 1"),
        ("task-update", json!({"taskId": "t", "priority": 0}), 422, "priority must be between 1"),
        ("task-update", json!({"taskId": "t", "status": "nowhere"}), 422, "Invalid status"),
        ("task-update", json!({"taskId": "t", "titel": "x"}), 400, "Unknown field: titel"),
        ("task-create", json!({"title": "  "}), 400, "title is required"),
        ("task-create", json!({"title": "x", "status": "archived"}), 422, "Invalid status"),
        ("task-create", json!({"title": "x", "status": "blocked"}), 422, "blockedReason is required"),
        ("task-create", json!({"title": long(2001)}), 422, "Title too long"),
        ("task-assign", json!({"assigneeSlugs": ["ada"]}), 400, "taskId is required"),
        (
            "task-assign",
            json!({"taskId": "t", "assigneeSlugs": [" ", "@"]}),
            400,
            "assigneeSlugs is required",
        ),
        ("response-request", json!({"recipientSlugs": ["ada"], "message": "x"}), 400, "taskId is required"),
        ("response-request", json!({"taskId": "t", "message": "x"}), 400, "recipientSlugs is required"),
        ("response-request", json!({"taskId": "t", "recipientSlugs": ["ada"]}), 400, "message is required"),
        (
            "response-request",
            json!({"taskId": "t", "recipientSlugs": slugs, "message": "x"}),
            422,
            "Too many",
        ),
        (
            "response-request",
            json!({"taskId": "t", "recipientSlugs": ["ada"], "message": long(1001)}),
            422,
            "Message too long: max 1000 characters allowed",
        ),
        ("document", json!({"title": "x", "type": "note"}), 400, "title, content, and type"),
        ("document", json!({"title": "x", "content": "", "type": "note"}), 400, "title, content, and type"),
        ("document", json!({"title": "x", "content": "y", "type": "novel"}), 422, "title, content, and type"),
        (
            "document",
            json!({"title": "x", "content": long(1_000_001), "type": "note"}),
            422,
            "Content too long",
        ),
        ("document-list", json!({"type": "novel"}), 422, "Invalid type: must be deliverable"),
        ("document-list", json!({"limit": 0}), 422, "limit must be a whole number"),
        ("task-message", json!({"taskId": "t"}), 400, "taskId and content are required"),
        ("task-list", json!({"status": "nowhere"}), 422, "Invalid status: must be inbox"),
        ("task-get", json!({}), 400, "taskId is required"),
        ("task-thread", json!({}), 400, "taskId is required"),
        ("task-search", json!({"query": " "}), 400, "query is required"),
        ("task-load", json!({}), 400, "taskId is required"),
        ("task-history", json!({}), 400, "taskId is required"),
        ("task-delete", json!({"taskId": "t"}), 400, "taskId and reason are required"),
        ("task-link-pr", json!({"taskId": "t"}), 400, "prNumber is required and must be numeric"),
        ("task-link-pr", json!({"taskId": "t", "prNumber": 0}), 422, "positive whole number"),
        ("task-link-pr", json!({"taskId": "t", "prNumber": 1.5}), 422, "positive whole number"),
    ];
    let mut stand = Stand::new();
    for (number, (endpoint, body, status, words)) in rows.iter().enumerate() {
        if number % 18 == 17 {
            stand = Stand::new();
        }
        let refused = stand.post(endpoint, &stand.own("lead"), body);
        // A tool call receives the same words.
        let tool = table::endpoint(endpoint).unwrap().name;
        let error = decode_call(tool, &body.to_string(), None).expect_err(endpoint);
        assert_eq!(refused.error(), error.message, "{endpoint} {body}");
        let body: String = body.to_string().chars().take(80).collect();
        assert_eq!(refused.status, *status, "{endpoint} {body}: {refused:?}");
        assert!(refused.error().contains(words), "{endpoint} {body}: {refused:?}");
    }
}

/// 415 for unreadable encodings. Every usual content type is accepted, also a missing one.
#[test]
fn accepts_plain_json_with_any_usual_content_type() {
    let stand = Stand::new();
    let key = stand.own("ben");
    let rows = [
        ("Content-Type", "application/json", 200),
        ("Content-Type", "application/json; charset=UTF-8", 200),
        ("Content-Type", "application/vnd.api+json", 200),
        ("Content-Type", "text/plain;charset=utf-8", 200),
        ("Content-Type", "application/x-www-form-urlencoded", 200),
        ("Content-Type", "multipart/form-data; boundary=x", 415),
        ("Content-Type", "text/html", 415),
        ("Content-Type", "application/json; charset=utf-16", 415),
        ("Content-Encoding", "identity", 200),
        ("Content-Encoding", "gzip", 415),
    ];
    for (name, value, status) in rows {
        let headers = [("x-openclaw-session-key", key.as_str()), (name, value)];
        let answer = stand.send("document-list", &headers, "{}");
        assert_eq!(answer.status, status, "{name}: {value}: {answer:?}");
    }
}
