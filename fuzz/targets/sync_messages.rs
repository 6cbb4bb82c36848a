//! The input is what a backend sends to the subscriber of the wake query: one message per line.

use mission_control_runtime::wake_query::connection::{SyncSession, WakeConnection, WakeEnd};
use serde_json::{Value, json};

use super::pieces::dice_of;

/// Checks that the messages are read as specified.
pub(crate) fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let messages: Vec<&str> = text.lines().collect();
    let (news, end) = played(&messages);
    assert!(news <= messages.len(), "a message has one value at most");
    assert_eq!(played(&messages), (news, end.clone()), "the same messages have the same result");

    let (fewer, early) = played(&messages[..messages.len() / 2]);
    assert!(fewer <= news, "further messages do not retract a value");
    assert!(early.is_none() || early == end, "nothing follows the end of a connection");

    let mut dice = dice_of(bytes);
    let mut in_parts = Vec::new();
    for (number, message) in messages.iter().enumerate() {
        let is_transition =
            serde_json::from_str::<Value>(message).is_ok_and(|message| message["type"] == "Transition");
        if is_transition {
            let at = dice.index(message.len());
            let at = (at..=message.len()).find(|at| message.is_char_boundary(*at)).unwrap_or_default();
            let (one, other) = message.split_at(at);
            in_parts.extend([part(number, 0, one), part(number, 1, other)]);
        } else {
            in_parts.push((*message).to_owned());
        }
    }
    let again = played(&in_parts.iter().map(String::as_str).collect::<Vec<_>>());
    let are_comparable = !text.contains("TransitionChunk") && !matches!(end, Some(WakeEnd::Malformed(_)));
    if are_comparable {
        assert_eq!(again, (news, end), "a transition in parts is the same transition");
    }
}

fn part(transition: usize, number: u32, chunk: &str) -> String {
    json!({"type": "TransitionChunk", "chunk": chunk, "partNumber": number, "totalParts": 2,
        "transitionId": transition.to_string()})
    .to_string()
}

/// The number of new values, and the end of the connection, if the messages cause it.
fn played(messages: &[&str]) -> (usize, Option<WakeEnd>) {
    let (mut connection, _): (WakeConnection, _) =
        SyncSession::new("session".to_owned()).begin("service/wake:changed", json!({}), 0);
    let mut news = 0;
    for message in messages {
        match connection.receive(message) {
            Ok(is_new) => {
                news += usize::from(is_new);
                assert!(!is_new || connection.has_value());
            }
            Err(end) => return (news, Some(end)),
        }
    }
    (news, None)
}
