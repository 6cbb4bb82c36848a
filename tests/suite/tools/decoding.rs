//! The decoding of arguments (http-and-tools §5.4–5.6, §9.6–9.9).

use mission_control_runtime::model::{Task, TaskId};
use mission_control_runtime::tools::table::{ROWS, ToolSpec, Type};
use mission_control_runtime::tools::{ToolErrorKind, ToolName, ToolRequest, decode};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::selection::arguments;

fn here() -> TaskId {
    TaskId::new("t-here")
}

fn read(name: &str, args: &Value) -> Result<ToolRequest, mission_control_runtime::tools::ToolError> {
    decode(name, &args.to_string(), Some(&here()))
}

/// The error for these arguments.
fn wrong(name: &str, args: &Value) -> (ToolErrorKind, String) {
    let error = read(name, args).expect_err(&format!("{name} {args}"));
    (error.kind, error.message)
}

/// The decoded request, in its canonical form.
fn understood(name: &str, args: &Value) -> Value {
    let request = read(name, args).unwrap_or_else(|error| panic!("{name} {args}: {error}"));
    assert_eq!(request.name().as_str(), name);
    serde_json::from_str(&request.arguments()).unwrap()
}

/// An empty text empties an existing document.
#[test]
fn an_update_may_empty_a_document() {
    let empty = json!({"documentId": "d1", "title": "T", "content": "", "type": "note"});
    assert_eq!(understood("document_upsert", &empty), empty);
    let nothing = json!({"documentId": "d1", "title": "T", "type": "note"});
    assert!(wrong("document_upsert", &nothing).1.starts_with("title, content, and type"));
}

fn merged(mut base: Value, over: &Value) -> Value {
    base.as_object_mut().unwrap().extend(over.as_object().unwrap().clone());
    base
}

#[test]
fn a_missing_field_is_named() {
    let rows = [
        ("task_status", json!({"taskId": " ", "status": "review"}), "taskId is required"),
        ("task_update", json!({"taskId": "", "title": "T"}), "taskId is required"),
        ("task_update", json!({"taskId": " \t ", "title": "T"}), "taskId is required"),
        (
            "task_update",
            json!({"taskId": "t"}),
            "At least one field (title, description, priority, labels, assignedAgentIds, assignedUserIds, status, dueDate) must be provided",
        ),
        ("task_update", json!({"taskId": "t", "blockedReason": "R"}), "At least one field"),
        ("task_update", json!({"taskId": "t", "title": null, "status": ""}), "At least one field"),
        ("task_create", json!({}), "title is required"),
        ("task_create", json!({"title": " "}), "title is required"),
        (
            "document_upsert",
            json!({}),
            "title, content, and type (deliverable|note|template|reference) are required",
        ),
        (
            "document_upsert",
            json!({"title": "T", "content": "", "type": "note"}),
            "title, content, and type (deliverable|note|template|reference) are required",
        ),
        (
            "document_upsert",
            json!({"title": "T", "content": "C", "type": "essay"}),
            "title, content, and type (deliverable|note|template|reference) are required",
        ),
        (
            "document_upsert",
            json!({"title": " ", "content": "C", "type": "note"}),
            "title, content, and type (deliverable|note|template|reference) are required",
        ),
        ("response_request", json!({"message": "M"}), "recipientSlugs is required"),
        (
            "response_request",
            json!({"recipientSlugs": [" ", "@"], "message": "M"}),
            "recipientSlugs is required",
        ),
        ("response_request", json!({"recipientSlugs": ["qa"]}), "message is required"),
        ("response_request", json!({"recipientSlugs": ["qa"], "message": " "}), "message is required"),
        ("task_load", json!({}), "taskId is required"),
        ("task_history", json!({}), "taskId is required"),
        ("task_assign", json!({"assigneeSlugs": ["qa"]}), "taskId is required"),
        ("task_assign", json!({"taskId": "t"}), "assigneeSlugs is required"),
        ("task_assign", json!({"taskId": "t", "assigneeSlugs": [" "]}), "assigneeSlugs is required"),
        ("task_message", json!({"taskId": "t"}), "taskId and content are required"),
        ("task_message", json!({"content": "C"}), "taskId and content are required"),
        ("task_get", json!({}), "taskId is required"),
        ("task_thread", json!({}), "taskId is required"),
        ("task_search", json!({}), "query is required"),
        ("task_search", json!({"query": "  "}), "query is required"),
        ("task_delete", json!({"taskId": "t", "reason": " "}), "taskId and reason are required"),
        ("task_delete", json!({"taskId": "", "reason": "R"}), ": taskId is required"),
        ("task_delete", json!({"taskId": "  ", "reason": "R"}), ": taskId is required"),
        ("task_delete", json!({"taskId": "t"}), "reason is required for archival"),
        ("task_delete", json!({"taskId": "t", "reason": "  "}), "reason is required for archival"),
        ("task_link_pr", json!({"prNumber": 7}), "taskId is required"),
        ("task_link_pr", json!({"taskId": "t"}), "prNumber is required and must be numeric"),
        (
            "task_link_pr",
            json!({"taskId": "t", "prNumber": "65"}),
            "prNumber is required and must be numeric",
        ),
        (
            "task_status",
            json!({"taskId": "t"}),
            "Invalid status: must be one of in_progress, review, done, blocked",
        ),
    ];
    for (name, args, words) in rows {
        let (kind, message) = wrong(name, &args);
        assert!(message.contains(words), "{name} {args}: {message}");
        let essay = args["type"] == "essay";
        assert_eq!(
            kind,
            if essay { ToolErrorKind::Invalid } else { ToolErrorKind::Malformed },
            "{name} {args}"
        );
    }
}

/// Each of these is refused with its sentence.
fn unacceptable(rows: &[(&str, Value, &str)]) {
    for (name, args, words) in rows {
        let (kind, message) = wrong(name, args);
        assert!(message.contains(words), "{name} {words:?}: {message}");
        assert_eq!(kind, ToolErrorKind::Invalid, "{name} {words:?}");
    }
}

fn long(chars: usize) -> String {
    "x".repeat(chars)
}

#[test]
fn an_invalid_status_is_refused_with_the_valid_ones() {
    let settable = "Invalid status: must be one of in_progress, review, done, blocked";
    unacceptable(&[
        ("task_status", json!({"status": "inbox"}), settable),
        ("task_status", json!({"status": "Review"}), settable),
        ("task_update", json!({"status": "archived"}), settable),
        ("task_status", json!({"status": "blocked"}), "blockedReason is required when status is blocked"),
        (
            "task_status",
            json!({"status": "blocked", "blockedReason": "  "}),
            "blockedReason is required when status is blocked",
        ),
        (
            "task_status",
            json!({"status": "blocked", "blockedReason": long(2001)}),
            "blockedReason must be at most 2000 characters",
        ),
        ("task_update", json!({"status": "blocked"}), "blockedReason is required when status is 'blocked'"),
        ("task_update", json!({"title": " "}), "title must not be blank"),
        ("task_update", json!({"title": long(2001)}), "Title too long (max 2000 characters)"),
        (
            "task_update",
            json!({"description": long(100_001)}),
            "Description too long (max 100000 characters)",
        ),
        ("task_update", json!({"priority": 6}), "priority must be between 1 (highest) and 5 (lowest)"),
        ("task_update", json!({"priority": 0}), "priority must be between 1 (highest) and 5 (lowest)"),
        ("task_update", json!({"labels": [Task::ORCHESTRATOR_CHAT]}), "system:orchestrator-chat is reserved"),
        ("task_update", json!({"dueDate": 1_765_526_400}), "dueDate must be in milliseconds since 1970"),
        ("task_update", json!({"dueDate": 1e300}), "dueDate must be in milliseconds since 1970"),
        (
            "task_create",
            json!({"title": "T", "priority": "urgent"}),
            "Invalid priority: use 1-5 or one of critical|high|medium|low|lowest",
        ),
        (
            "task_create",
            json!({"title": "T", "priority": 9}),
            "priority must be between 1 (highest) and 5 (lowest)",
        ),
        ("task_create", json!({"title": "T", "priority": "NaN"}), "priority must be between"),
        (
            "task_create",
            json!({"title": "T", "status": "archived"}),
            "Invalid status: must be inbox, assigned, in_progress, review, done, or blocked",
        ),
        (
            "task_create",
            json!({"title": "T", "status": "todo"}),
            "Invalid status: must be inbox, assigned, in_progress, review, done, or blocked",
        ),
        (
            "task_create",
            json!({"title": "T", "status": "blocked"}),
            "blockedReason is required when status is blocked",
        ),
        ("task_create", json!({"title": "T", "labels": ["a", " system:orchestrator-chat "]}), "reserved"),
        ("task_create", json!({"title": long(2001)}), "Title too long (max 2000 characters)"),
    ]);
}

#[test]
fn a_value_over_a_limit_is_refused_with_the_limit() {
    unacceptable(&[
        (
            "document_upsert",
            json!({"title": long(2001), "content": "C", "type": "note"}),
            "Title too long (max 2000 characters)",
        ),
        (
            "document_upsert",
            json!({"title": "T", "content": long(1_000_001), "type": "note"}),
            "Content too long (max 1000000 characters)",
        ),
        (
            "document_upsert",
            json!({"title": "T", "content": "ä".repeat(600_000), "type": "note"}),
            "about 1 MB in UTF-8",
        ),
        (
            "document_list",
            json!({"type": "essay"}),
            "Invalid type: must be deliverable, note, template, or reference",
        ),
        ("document_list", json!({"limit": 0}), "limit must be a whole number from 1 to 100"),
        ("document_list", json!({"limit": 1.5}), "limit must be a whole number from 1 to 100"),
        (
            "task_load",
            json!({"taskId": "t", "messageLimit": -1}),
            "messageLimit must be a whole number from 1 to 200",
        ),
        (
            "task_history",
            json!({"taskId": "t", "activityLimit": -1}),
            "activityLimit must be a whole number from 0 to 200",
        ),
        (
            "response_request",
            json!({"recipientSlugs": vec!["qa"; 11], "message": "M"}),
            "Too many recipients: max 10 allowed per request",
        ),
        (
            "response_request",
            json!({"recipientSlugs": ["qa"], "message": long(1001)}),
            "Message too long: max 1000 characters allowed",
        ),
        (
            "task_message",
            json!({"taskId": "t", "content": long(100_001)}),
            "Message content too long (max 100000 characters)",
        ),
        (
            "task_list",
            json!({"status": "todo"}),
            "Invalid status: must be inbox, assigned, in_progress, review, done, blocked, or archived",
        ),
        (
            "task_delete",
            json!({"taskId": "t", "reason": long(2001)}),
            "reason must be at most 2000 characters",
        ),
        ("task_link_pr", json!({"taskId": "t", "prNumber": 0}), "prNumber must be a positive whole number"),
        ("task_link_pr", json!({"taskId": "t", "prNumber": -7}), "prNumber must be a positive whole number"),
        ("task_link_pr", json!({"taskId": "t", "prNumber": 6.5}), "prNumber must be a positive whole number"),
        (
            "task_link_pr",
            json!({"taskId": "t", "prNumber": 1e12}),
            "prNumber must be a positive whole number",
        ),
    ]);
}

/// Each of these is decoded to this form.
fn understand(rows: &[(&str, Value, Value)]) {
    for (name, args, expected) in rows {
        assert_eq!(understood(name, args), *expected, "{name} {args}");
    }
}

#[test]
fn task_arguments_are_trimmed_mapped_and_completed() {
    understand(&[
        (
            "task_status",
            json!({"taskId": " t ", "status": "review"}),
            json!({"taskId": "t", "status": "review"}),
        ),
        (
            "task_status",
            json!({"status": "done", "blockedReason": "old"}),
            json!({"taskId": "t-here", "status": "done"}),
        ),
        (
            "task_status",
            json!({"taskId": null, "status": "review"}),
            json!({"taskId": "t-here", "status": "review"}),
        ),
        (
            "task_status",
            json!({"status": "blocked", "blockedReason": " no key "}),
            json!({"taskId": "t-here", "status": "blocked", "blockedReason": "no key"}),
        ),
        (
            "task_update",
            json!({"taskId": " t ", "title": " T ", "description": " D "}),
            json!({"taskId": "t", "title": "T", "description": "D"}),
        ),
        ("task_update", json!({"title": "T", "description": ""}), json!({"taskId": "t-here", "title": "T"})),
        ("task_update", json!({"priority": 2.5}), json!({"taskId": "t-here", "priority": 2.5})),
        ("task_update", json!({"priority": "HIGH"}), json!({"taskId": "t-here", "priority": 2.0})),
        (
            "task_update",
            json!({"dueDate": 1_765_612_800_000_i64}),
            json!({"taskId": "t-here", "dueDate": 1_765_612_800_000_i64}),
        ),
        (
            "task_update",
            json!({"assignedAgentIds": ["a", "@b", "a", " b ", "@"], "assignedUserIds": ["u", "u"]}),
            json!({"taskId": "t-here", "assignedAgentIds": ["a", "b"], "assignedUserIds": ["u"]}),
        ),
        ("task_update", json!({"labels": []}), json!({"taskId": "t-here", "labels": []})),
        (
            "task_create",
            json!({"title": " T ", "description": " D ", "labels": [" a ", "", "a"], "assigneeSlugs": [" @QA ", "@ @qa", "@@", "Eng"]}),
            json!({"title": "T", "description": "D", "labels": ["a"], "assigneeSlugs": ["qa", "eng"]}),
        ),
        (
            "task_create",
            json!({"title": "T", "status": "", "priority": "", "description": null}),
            json!({"title": "T"}),
        ),
        ("task_create", json!({"title": "T", "priority": "3"}), json!({"title": "T", "priority": 3.0})),
        (
            "task_create",
            json!({"title": "T", "priority": "Critical"}),
            json!({"title": "T", "priority": 1.0}),
        ),
        ("task_create", json!({"title": "T", "priority": "medium"}), json!({"title": "T", "priority": 3.0})),
        ("task_create", json!({"title": "T", "priority": "low"}), json!({"title": "T", "priority": 4.0})),
        ("task_create", json!({"title": "T", "priority": "lowest"}), json!({"title": "T", "priority": 5.0})),
    ]);
}

#[test]
fn other_arguments_are_trimmed_cut_and_completed() {
    understand(&[
        (
            "document_upsert",
            json!({"title": " T ", "content": " C ", "type": "note"}),
            json!({"taskId": "t-here", "title": "T", "content": " C ", "type": "note"}),
        ),
        (
            "document_upsert",
            json!({"documentId": "d", "title": "T", "content": "C", "type": "note"}),
            json!({"documentId": "d", "title": "T", "content": "C", "type": "note"}),
        ),
        (
            "document_upsert",
            json!({"documentId": "d", "taskId": "t", "title": "T", "content": "C", "type": "note"}),
            json!({"documentId": "d", "taskId": "t", "title": "T", "content": "C", "type": "note"}),
        ),
        ("document_list", json!({"taskId": " ", "limit": 500}), json!({"limit": 100})),
        ("document_list", json!({"type": "note", "limit": 3.0}), json!({"type": "note", "limit": 3})),
        (
            "response_request",
            json!({"recipientSlugs": ["qa", " @Eng"], "message": " M "}),
            json!({"taskId": "t-here", "recipientSlugs": ["qa", "Eng"], "message": "M"}),
        ),
        ("get_agent_skills", json!({"agentId": ""}), json!({})),
        ("task_load", json!({"taskId": "t", "messageLimit": 12}), json!({"taskId": "t", "messageLimit": 12})),
        (
            "task_history",
            json!({"taskId": "t", "messageLimit": 1e9, "activityLimit": 0}),
            json!({"taskId": "t", "messageLimit": 200, "activityLimit": 0}),
        ),
        (
            "task_list",
            json!({"status": "archived", "assigneeSlug": " @QA "}),
            json!({"status": "archived", "assigneeSlug": "qa"}),
        ),
        ("task_search", json!({"query": " login "}), json!({"query": "login"})),
        // An unknown field costs a reading call only a filter.
        ("task_search", json!({"query": "login", "status": "done"}), json!({"query": "login"})),
        ("task_delete", json!({"taskId": " t ", "reason": " R "}), json!({"taskId": "t", "reason": "R"})),
        ("task_link_pr", json!({"taskId": "t", "prNumber": 65.0}), json!({"taskId": "t", "prNumber": 65})),
    ]);
}

/// A writing call must not execute a request that it understands in part.
#[test]
fn an_unknown_field_of_a_writing_tool_is_refused() {
    for row in &ROWS {
        let args = merged(arguments(row.name.as_str()), &json!({"task_id": "t"}));
        if row.writes {
            let (kind, message) = wrong(row.name.as_str(), &args);
            assert_eq!(kind, ToolErrorKind::Malformed);
            assert!(message.starts_with("Unknown field: task_id. "), "{message}");
            assert!(row.fields.iter().all(|field| message.contains(field.name)), "{message}");
            assert!(
                read(row.name.as_str(), &merged(arguments(row.name.as_str()), &json!({"note": null})))
                    .is_ok()
            );
        } else {
            assert!(read(row.name.as_str(), &args).is_ok(), "{}", row.name);
        }
    }
}

#[test]
fn non_objects_are_refused_with_a_hint() {
    for row in &ROWS {
        for text in ["null", "[]", "5", "\"x\"", "true", "{", "{\"taskId\":}", "nonsense", "{} {}"] {
            let error = decode(row.name.as_str(), text, Some(&here())).unwrap_err();
            assert_eq!(error.kind, ToolErrorKind::Malformed);
            assert!(error.message.starts_with("Invalid JSON arguments"), "{}: {error}", row.name);
            assert!(error.message.contains(row.fields[0].name), "{}: {error}", row.name);
        }
        // No text counts as an empty object.
        for blank in ["", "  \n"] {
            assert_eq!(
                decode(row.name.as_str(), blank, None),
                decode(row.name.as_str(), "{}", None),
                "{}",
                row.name
            );
        }
    }
}

/// Values of every type except this one.
fn others(is: Type) -> Vec<Value> {
    let all = [json!(true), json!(7), json!("x"), json!(["x"]), json!([7]), json!([["x"]]), json!({"a": 1})];
    let fits = |value: &Value| match is {
        Type::Text | Type::OneOf(_) => value.is_string(),
        Type::Number | Type::Count { .. } => value.is_number(),
        Type::Range(..) | Type::Priority => value.is_number() || value.is_string(),
        Type::Texts => *value == json!(["x"]),
    };
    all.into_iter().filter(|value| !fits(value)).collect()
}

/// W3: a value of a wrong type ends no delivery; the sentence names the field and its type.
#[test]
fn every_field_of_every_tool_is_checked_against_its_type() {
    let mut checked = 0;
    for row in &ROWS {
        for field in row.fields {
            for value in others(field.is) {
                let args = merged(arguments(row.name.as_str()), &json!({field.name: value}));
                let error = read(row.name.as_str(), &args).expect_err(&args.to_string());
                assert_eq!(
                    (error.kind, error.field),
                    (ToolErrorKind::Malformed, Some(field.name)),
                    "{}: {error}",
                    row.name
                );
                assert!(
                    error.message.starts_with(field.name) && error.message.contains("must be"),
                    "{error}"
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 200, "{checked}");
    let (_, message) = wrong("task_create", &json!({"title": 5}));
    assert_eq!(message, "title must be a string, not a number");
    let (_, message) = wrong("task_assign", &json!({"taskId": "t", "assigneeSlugs": "qa"}));
    assert_eq!(message, "assigneeSlugs must be an array of strings, not a string");
}

/// Rows accept what their schema offers, and a request is fully described by name and arguments.
#[test]
fn a_request_round_trips_through_name_and_arguments() {
    let again = |request: &ToolRequest| decode(request.name().as_str(), &request.arguments(), None).unwrap();
    for row in &ROWS {
        let mut full = arguments(row.name.as_str());
        for field in row.fields {
            full[field.name] = sample(row, field.name, field.is);
        }
        for args in [arguments(row.name.as_str()), full] {
            let request = read(row.name.as_str(), &args).unwrap();
            assert_eq!(again(&request), request, "{args}");
            assert_eq!(request.writes(), row.writes);
            assert_eq!(again(&request).arguments(), request.arguments());
            let noted = ToolRequest::noted(request.name().as_str(), &request.arguments());
            assert_eq!(noted.as_ref().map(ToolRequest::key), Some(request.key()));
            assert_eq!(noted, Some(request));
        }
    }
    let once =
        |row: &&ToolSpec| !read(row.name.as_str(), &arguments(row.name.as_str())).unwrap().may_repeat();
    let once: Vec<&str> = ROWS.iter().filter(once).map(|row| row.name.as_str()).collect();
    assert_eq!(
        once,
        ["task_update", "task_create", "document_upsert", "response_request", "task_message", "task_delete"]
    );
    let reading: Vec<&str> = ROWS.iter().filter(|row| !row.writes).map(|row| row.name.as_str()).collect();
    assert_eq!(
        reading,
        [
            "document_list",
            "get_agent_skills",
            "task_load",
            "task_history",
            "task_list",
            "task_get",
            "task_thread",
            "task_search"
        ]
    );
}

fn sample(row: &ToolSpec, name: &str, is: Type) -> Value {
    match is {
        Type::Text => json!("some text"),
        Type::Number if name == "dueDate" => json!(1_765_612_800_000_i64),
        Type::Number | Type::Range(..) | Type::Priority => json!(3),
        Type::Count { most, .. } => json!(most),
        Type::Texts => json!(["one", "two"]),
        Type::OneOf(words) if row.name == ToolName::DocumentUpsert => json!(words[0]),
        Type::OneOf(words) => json!(words[words.len() - 1]),
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z@ _]{0,12}".prop_map(Value::from),
        Just(json!("review")),
        Just(json!("blocked")),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| prop::collection::vec(inner, 0..4).prop_map(Value::from))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Any arguments are decoded or refused, and a decoded request decodes to itself.
    #[test]
    fn any_arguments_are_decoded_or_refused(at in 0..17_usize, values in prop::collection::vec(any_json(), 12)) {
        let row = &ROWS[at];
        let mut args = arguments(row.name.as_str());
        for (field, value) in row.fields.iter().zip(values) {
            args[field.name] = value;
        }
        if let Ok(request) = read(row.name.as_str(), &args) {
            prop_assert_eq!(decode(row.name.as_str(), &request.arguments(), None).unwrap(), request);
        }
    }

    #[test]
    fn any_text_is_decoded_or_refused(text in "\\PC{0,60}") {
        for row in &ROWS {
            let _ = decode(row.name.as_str(), &text, None);
        }
    }
}
