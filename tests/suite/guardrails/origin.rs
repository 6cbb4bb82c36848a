//! Who caused a row: the author of its message, else the name in its texts.

use mission_control_runtime::guardrails::origin::{Origin, name_in, origin};
use mission_control_runtime::model::{AuthorType, Notification, Team, Word};
use serde_json::json;

use super::Played;

fn row(kind: &str, title: &str, body: &str) -> Notification {
    let row = json!({"_id": "n", "type": kind, "recipientType": "agent", "recipientId": "a", "taskId": "t",
        "title": title, "body": body, "createdAt": 1});
    serde_json::from_value(row).unwrap()
}

#[test]
fn the_texts_of_each_type_name_the_author() {
    let rows = [
        ("mention", "Dana Reyes mentioned you", "", Some("Dana Reyes")),
        ("thread_update", "Dana replied", "", Some("Dana")),
        ("assignment", "Dana assigned you", "", Some("Dana")),
        ("response_request", "Writer requested a response", "please", Some("Writer")),
        ("status_change", "Task status changed to done", "Dana changed \"A \\ B\" to done", Some("Dana")),
        (
            "status_change",
            "Task status changed to done",
            "Dana changed \"He changed \"it\"\" to done",
            Some("Dana"),
        ),
        ("status_change", "Task status changed to done", "", None),
        ("mention", " mentioned you", "", None),
        ("mention", "something else", "", None),
        ("renamed", "Dana mentioned you", "", None),
        ("member_added", "Added to X", "Dana added you to the workspace", None),
    ];
    for (kind, title, body, expected) in rows {
        assert_eq!(name_in(&row(kind, title, body)), expected, "{kind}: {title} / {body}");
    }
}

#[test]
fn only_a_certain_person_is_a_person() {
    let mut context = Played::new().context("a", None);
    assert_eq!(origin(&context), Origin::Person, "the author of the message");
    let message = context.message.as_mut().unwrap();
    message.author_type = Word::Unknown("robot".to_owned());
    assert_eq!(origin(&context), Origin::Agent, "an unknown author");
    context.message.as_mut().unwrap().author_type = Word::Known(AuthorType::Agent);
    assert_eq!(origin(&context), Origin::Agent);

    context.message = None;
    let rows = [
        (row("assignment", "Dana assigned you", ""), Origin::Person),
        (row("assignment", "B assigned you", ""), Origin::Agent),
        (row("assignment", "b assigned you", ""), Origin::Agent),
        (row("assignment", "assigned you", ""), Origin::Agent),
        (row("status_change", "Task status changed to done", "Dana changed \"x\" to done"), Origin::Person),
        (row("status_change", "Task status changed to done", "C changed \"x\" to done"), Origin::Agent),
        (row("status_change", "Task status changed to done", ""), Origin::Agent),
        // Only agents request responses.
        (row("response_request", "Dana requested a response", ""), Origin::Agent),
        (row("renamed", "Dana assigned you", ""), Origin::Agent),
    ];
    for (row, expected) in rows {
        context.notification = row;
        assert_eq!(origin(&context), expected, "{:?}", context.notification);
    }
    context.mentionable_agents = Team::default();
    context.notification = row("assignment", "Dana assigned you", "");
    assert_eq!(origin(&context), Origin::Agent, "without the agents' names nothing is certain");
}
