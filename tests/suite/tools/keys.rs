//! Equal calls have one key; different calls never share one.

use mission_control_runtime::model::TaskId;
use mission_control_runtime::tools::{ToolRequest, decode};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::selection::arguments;

fn read(tool: &str, text: &str) -> ToolRequest {
    decode(tool, text, Some(&TaskId::new("t-here"))).unwrap_or_else(|why| panic!("{tool} {text}: {why}"))
}

fn key(tool: &str, args: &Value) -> String {
    read(tool, &args.to_string()).key()
}

#[test]
fn equal_calls_have_equal_keys() {
    let here = json!("t-here");
    let rows = [
        (
            "task_status",
            json!({"taskId": here, "status": "review"}),
            json!({"status": " review ", "blockedReason": null}),
        ),
        (
            "task_status",
            json!({"status": "review"}),
            json!({"status": "review", "blockedReason": "means nothing here"}),
        ),
        (
            "task_update",
            json!({"priority": 2}),
            json!({"taskId": "t-here", "priority": "High", "description": " "}),
        ),
        ("task_update", json!({"priority": 2.0}), json!({"priority": "2"})),
        (
            "task_update",
            json!({"labels": ["a", "b"]}),
            json!({"labels": [" a", "b", "a", ""], "title": null}),
        ),
        ("task_update", json!({"dueDate": 1_765_612_800_000_i64}), json!({"dueDate": 1_765_612_800_000.7})),
        (
            "task_create",
            json!({"title": "T"}),
            json!({"title": " T\n", "priority": "medium", "status": "inbox", "labels": [], "assigneeSlugs": []}),
        ),
        (
            "task_create",
            json!({"title": "T", "assigneeSlugs": ["eng", "qa"]}),
            json!({"assigneeSlugs": ["@QA", " @eng ", "qa"], "title": "T"}),
        ),
        (
            "task_assign",
            json!({"taskId": here, "assigneeSlugs": ["eng", "qa"]}),
            json!({"taskId": here, "assigneeSlugs": ["@QA", "eng", "ENG"]}),
        ),
        (
            "response_request",
            json!({"recipientSlugs": ["qa", "eng"], "message": "M"}),
            json!({"taskId": here, "recipientSlugs": ["@Eng", "QA"], "message": " M "}),
        ),
        (
            "document_upsert",
            json!({"title": "T", "content": "C", "type": "note"}),
            json!({"taskId": here, "documentId": "", "title": "T ", "content": "C", "type": " note"}),
        ),
        (
            "task_message",
            json!({"taskId": here, "content": "C"}),
            json!({"content": "C\n", "taskId": " t-here "}),
        ),
        ("task_link_pr", json!({"taskId": here, "prNumber": 65}), json!({"prNumber": 65.0, "taskId": here})),
        ("task_delete", json!({"taskId": here, "reason": "R"}), json!({"reason": " R", "taskId": here})),
    ];
    for (tool, one, other) in rows {
        assert_eq!(key(tool, &one), key(tool, &other), "{tool}");
    }
}

#[test]
fn different_calls_have_different_keys() {
    let here = json!("t-here");
    let rows = [
        ("task_status", json!({"status": "review"}), json!({"status": "done"})),
        ("task_status", json!({"status": "review"}), json!({"taskId": "t-other", "status": "review"})),
        ("task_update", json!({"title": "a"}), json!({"title": "A"})),
        ("task_update", json!({"assignedAgentIds": []}), json!({"assignedUserIds": []})),
        ("task_create", json!({"title": "T"}), json!({"title": "T", "priority": 4})),
        ("task_create", json!({"title": "T"}), json!({"title": "T", "status": "assigned"})),
        // The text is the document, including its blanks.
        (
            "document_upsert",
            json!({"title": "T", "content": "C", "type": "note"}),
            json!({"title": "T", "content": "C\n", "type": "note"}),
        ),
        (
            "document_upsert",
            json!({"title": "T", "content": "C", "type": "note"}),
            json!({"documentId": "d", "title": "T", "content": "C", "type": "note"}),
        ),
        (
            "task_message",
            json!({"taskId": here, "content": "a  b"}),
            json!({"taskId": here, "content": "a b"}),
        ),
    ];
    for (tool, one, other) in rows {
        assert_ne!(key(tool, &one), key(tool, &other), "{tool}");
    }
    assert!(key("task_delete", &json!({"taskId": here, "reason": "R"})).starts_with("task_delete {"));
}

/// A note is invalid if another program wrote it, or an older version in another form.
#[test]
fn a_note_is_read_unchanged_or_not_at_all() {
    let request = read("task_create", r#"{"title":"T"}"#);
    assert_eq!(ToolRequest::noted("task_create", &request.arguments()), Some(request));
    for (name, arguments) in [
        ("task_create", r#"{"title":" T"}"#),
        ("task_create", r#"{"title":"T"} "#),
        ("task_create", "{}"),
        ("task_make", r#"{"title":"T"}"#),
        // There is no conversation any more whose task could be the default.
        ("task_status", r#"{"status":"review"}"#),
    ] {
        assert_eq!(ToolRequest::noted(name, arguments), None, "{name} {arguments}");
    }
}

const WRITING: [&str; 9] = [
    "task_status",
    "task_update",
    "task_create",
    "document_upsert",
    "response_request",
    "task_assign",
    "task_message",
    "task_delete",
    "task_link_pr",
];

/// The fields in another order, with other blanks, and absent fields as `null`.
fn written_otherwise(args: &Value, turn: usize, blank: &str) -> String {
    let mut fields: Vec<String> = args
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| format!("{blank}\"{name}\"{blank}:{blank}{value}{blank}"))
        .collect();
    let len = fields.len();
    fields.rotate_left(turn % len.max(1));
    fields.push("\"taskId\":\"t-here\"".to_owned());
    format!("{blank}{{{}}}{blank}", fields.join(","))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// The key, and the request read from its note, do not depend on the form of the call.
    #[test]
    fn the_key_does_not_depend_on_the_spelling_of_a_call(
        at in 0..WRITING.len(),
        texts in prop::collection::vec("[a-zA-Z@é\"\\\\ \n]{0,8}x", 5),
        number in 1_u32..5,
        turn in 0_usize..8,
        blank in "[ \t\n]{0,3}",
    ) {
        let tool = WRITING[at];
        let mut args = arguments(tool);
        for (name, text) in ["title", "description", "content", "message", "reason"].into_iter().zip(&texts) {
            if tool == "task_update" && name == "title" || args.get(name).is_some() {
                args[name] = json!(text);
            }
        }
        for name in ["priority", "prNumber"] {
            if args.get(name).is_some() || tool == "task_update" && name == "priority" {
                args[name] = json!(number);
            }
        }
        args["taskId"] = json!("t-here");
        if tool == "task_create" {
            args.as_object_mut().unwrap().remove("taskId");
        }
        let plain = read(tool, &args.to_string());
        args.as_object_mut().unwrap().remove("taskId");
        let otherwise = written_otherwise(&args, turn, &blank);
        let otherwise = if tool == "task_create" { otherwise.replace(",\"taskId\":\"t-here\"", "") } else { otherwise };
        let other = read(tool, &otherwise);
        prop_assert_eq!(plain.key(), other.key());
        prop_assert_eq!(plain.arguments(), other.arguments());
        prop_assert_eq!(ToolRequest::noted(tool, &plain.arguments()), Some(other));
    }
}
