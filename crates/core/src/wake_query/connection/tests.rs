//! Connections to a backend that sends each message of the protocol.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn begin() -> (SyncSession, WakeConnection, [String; 2]) {
    let mut session = SyncSession::new("session".to_owned());
    let args = json!({"accountId": "a", "serviceToken": "t"});
    let (connection, messages) = session.begin("service/wake:changed", args, 0);
    (session, connection, messages)
}

fn version(query_set: u32, ts: u64) -> Value {
    json!({"querySet": query_set, "identity": 0, "ts": Timestamp(ts)})
}

#[expect(clippy::needless_pass_by_value, reason = "tests write the values in place")]
fn transition(from: Value, to: Value, modifications: Value) -> String {
    json!({"type": "Transition", "startVersion": from, "endVersion": to, "modifications": modifications})
        .to_string()
}

#[expect(clippy::needless_pass_by_value, reason = "tests write the values in place")]
fn updated(value: Value) -> Value {
    json!([{"type": "QueryUpdated", "queryId": 0, "value": value, "logLines": [], "journal": null}])
}

#[test]
fn the_first_messages_are_as_the_protocol_has_them() {
    let (mut session, mut connection, [connect, subscribe]) = begin();
    let connect: Value = serde_json::from_str(&connect).unwrap();
    assert_eq!(
        connect,
        json!({"type": "Connect", "sessionId": "session", "connectionCount": 0,
            "lastCloseReason": "InitialConnect", "clientTs": 0})
    );
    let subscribe: Value = serde_json::from_str(&subscribe).unwrap();
    assert_eq!(
        subscribe,
        json!({"type": "ModifyQuerySet", "baseVersion": 0, "newVersion": 1, "modifications": [
            {"type": "Add", "queryId": 0, "udfPath": "service/wake:changed",
             "args": [{"accountId": "a", "serviceToken": "t"}]}]})
    );
    connection.receive(&transition(version(0, 0), version(1, 70), updated(json!(1.0)))).unwrap();
    session.ended(&connection, "30 s of silence");
    let (_, [connect, _]) = session.begin("m:f", json!({}), 5);
    let connect: Value = serde_json::from_str(&connect).unwrap();
    assert_eq!(
        connect,
        json!({"type": "Connect", "sessionId": "session", "connectionCount": 1,
            "lastCloseReason": "30 s of silence", "maxObservedTimestamp": "RgAAAAAAAAA=", "clientTs": 5})
    );
}

#[test]
fn only_another_value_is_news() {
    let (_, mut connection, _) = begin();
    let rows: [(Value, Value, Value, bool); 6] = [
        (version(0, 0), version(1, 10), updated(json!(1_700_000_000_000.0)), true),
        (version(1, 10), version(1, 11), json!([]), false),
        (version(1, 11), version(1, 12), updated(json!(1_700_000_000_000.0)), false),
        (version(1, 12), version(1, 13), updated(json!(1_700_000_000_001.0)), true),
        (version(1, 13), version(1, 14), json!([{"type": "QueryUpdated", "queryId": 9, "value": 5}]), false),
        (version(1, 14), version(1, 15), updated(json!(0.0)), true),
    ];
    for (from, to, modifications, expected) in rows {
        assert_eq!(connection.receive(r#"{"type":"Ping"}"#), Ok(false));
        let message = transition(from, to, modifications);
        assert_eq!(connection.receive(&message), Ok(expected), "{message}");
        assert!(connection.has_value());
    }
    assert_eq!(connection.receive(r#"{"type":"Future","new":1}"#), Ok(false), "an unknown message");
}

#[test]
fn a_doubled_or_lost_transition_is_a_version_gap() {
    let first = transition(version(0, 0), version(1, 10), updated(json!(1.0)));
    let (_, mut connection, _) = begin();
    connection.receive(&first).unwrap();
    assert_eq!(connection.receive(&first), Err(WakeEnd::VersionGap), "doubled");
    let (_, mut connection, _) = begin();
    let later = transition(version(1, 10), version(1, 11), updated(json!(2.0)));
    assert_eq!(connection.receive(&later), Err(WakeEnd::VersionGap), "the first one is lost");
}

#[test]
fn each_error_of_the_server_ends_the_connection_with_its_name() {
    let failed = json!([{"type": "QueryFailed", "queryId": 0, "errorMessage": "[Request ID: 1] Server Error",
        "logLines": [], "journal": null}]);
    let of = |modifications| transition(version(0, 0), version(1, 1), modifications);
    let rows = [
        (json!({"type": "FatalError", "error": "bad"}).to_string(), WakeEnd::Fatal("bad".to_owned())),
        (
            json!({"type": "AuthError", "error": "no", "baseVersion": 0, "authUpdateAttempted": false})
                .to_string(),
            WakeEnd::Auth("no".to_owned()),
        ),
        (of(failed), WakeEnd::Failed("[Request ID: 1] Server Error".to_owned(), None)),
        (of(json!([{"type": "QueryRemoved", "queryId": 0}])), WakeEnd::Removed),
        (of(updated(json!("1"))), WakeEnd::NotANumber("\"1\"".to_owned())),
        (of(updated(json!(null))), WakeEnd::NotANumber("null".to_owned())),
        (
            of(updated(json!({"$float": "AAAAAAAA+H8="}))),
            WakeEnd::NotANumber(r#"{"$float":"AAAAAAAA+H8="}"#.to_owned()),
        ),
    ];
    for (message, expected) in rows {
        assert_eq!(begin().1.receive(&message), Err(expected), "{message}");
    }
    for message in ["", "{", "[]", "1", r#"{"type":"Transition"}"#, r#"{"type":"FatalError"}"#] {
        let end = begin().1.receive(message);
        assert!(matches!(end, Err(WakeEnd::Malformed(_))), "{message}: {end:?}");
    }
}

fn parts(whole: &str, count: usize) -> Vec<String> {
    let size = whole.len().div_ceil(count);
    let chunks: Vec<&str> =
        whole.as_bytes().chunks(size).map(|part| std::str::from_utf8(part).unwrap()).collect();
    let total = chunks.len();
    let numbered = chunks.into_iter().enumerate();
    numbered
        .map(|(number, chunk)| {
            json!({"type": "TransitionChunk", "chunk": chunk, "partNumber": number, "totalParts": total,
                "transitionId": "x"})
            .to_string()
        })
        .collect()
}

#[test]
fn a_transition_in_parts_counts_when_it_is_whole() {
    let whole = transition(version(0, 0), version(1, 10), updated(json!(1.0)));
    for count in [1, 2, 7] {
        let (_, mut connection, _) = begin();
        let parts = parts(&whole, count);
        let (last, before) = parts.split_last().unwrap();
        for part in before {
            assert_eq!(connection.receive(part), Ok(false));
            assert_eq!(connection.receive(r#"{"type":"Ping"}"#), Ok(false));
        }
        assert_eq!(connection.receive(last), Ok(true));
    }
}

#[test]
fn wrong_parts_end_the_connection() {
    let whole = transition(version(0, 0), version(1, 10), updated(json!(1.0)));
    let three = parts(&whole, 3);
    let other_id = three[1].replace("\"x\"", "\"y\"");
    let fatal = parts(r#"{"type":"Ping"}"#, 1);
    let huge = json!({"type": "TransitionChunk", "chunk": "x".repeat(TRANSITION_BYTES_MAX + 1),
        "partNumber": 0, "totalParts": 2, "transitionId": "x"})
    .to_string();
    let none = json!({"type": "TransitionChunk", "chunk": "", "partNumber": 0, "totalParts": 0,
        "transitionId": "x"})
    .to_string();
    let rows: [&[&String]; 7] = [
        &[&three[1]],
        &[&three[0], &three[2]],
        &[&three[0], &three[0]],
        &[&three[0], &other_id],
        &[&fatal[0]],
        &[&huge],
        &[&none],
    ];
    for (row, messages) in rows.into_iter().enumerate() {
        let (_, mut connection, _) = begin();
        let (last, before) = messages.split_last().unwrap();
        for message in before {
            assert_eq!(connection.receive(message), Ok(false));
        }
        assert!(matches!(connection.receive(last), Err(WakeEnd::Malformed(_))), "row {row}");
    }
    let (_, mut connection, _) = begin();
    connection.receive(&three[0]).unwrap();
    assert!(matches!(connection.receive(&whole), Err(WakeEnd::Malformed(_))), "a message between the parts");
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in ".{0,200}") {
        let _ = begin().1.receive(&text);
    }
}
