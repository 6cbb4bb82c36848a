//! §11.3: the history of a session.

use serde_json::{Value, json};

use super::super::*;

#[test]
fn finds_a_turn_by_run_and_text() {
    let target = Target::both();
    let session = fresh("history");
    let answer = target.events(&session, "[n-101 try 1] SAY done", json!({}));
    let run = answer.response()["id"].clone();
    let history = target.history(&session, "").json();
    assert_eq!((&history["hasMore"], &history["messages"]), (&json!(false), &history["items"]));
    let [user, said] = history["items"].as_array().unwrap().as_slice() else { panic!("{history}") };
    assert_eq!((&user["role"], &user["content"]), (&json!("user"), &json!("[n-101 try 1] SAY done")));
    assert!(user["idempotencyKey"].as_str().unwrap().ends_with(":user"));
    assert_eq!((&user["__openclaw"]["seq"], &user["__openclaw"]["runId"]), (&json!(1), &Value::Null));
    assert_eq!((&said["role"], &said["stopReason"]), (&json!("assistant"), &json!("stop")));
    assert_eq!(said["content"], json!([{"type": "text", "text": "done"}]));
    assert_eq!((&said["__openclaw"]["runId"], &said["__openclaw"]["seq"]), (&run, &json!(2)));
    assert!(said["timestamp"].is_i64() && said["usage"]["totalTokens"].is_u64());
}

#[test]
fn lists_calls_with_their_results() {
    let target = Target::both();
    let session = fresh("history");
    let answer = target.turn(&session, "CALL a {\"taskId\":\"t-1\"}", json!({"tools": [tool("a")]}));
    let run = answer.response()["id"].clone();
    let items = target.history(&session, "").json()["items"].clone();
    let (called, result) = (&items[1], &items[2]);
    assert_eq!((&called["stopReason"], &called["__openclaw"]["runId"]), (&json!("toolUse"), &run));
    let block = &called["content"][0];
    assert_eq!(
        (&block["type"], &block["name"], &block["arguments"]),
        (&json!("toolCall"), &json!("a"), &json!({"taskId": "t-1"}))
    );
    assert_eq!(
        (&result["role"], &result["toolCallId"], &result["toolName"]),
        (&json!("toolResult"), &block["id"], &json!("a"))
    );
    let text: Value = serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(
        text,
        json!({"status": "pending", "tool": "a", "message": "Tool execution delegated to client"})
    );

    target.turn(&session, json!([output(&answer.calls()[0], "{\"ok\":true}")]), json!({}));
    let items = target.history(&session, "").json()["items"].clone();
    let id = answer.calls()[0]["call_id"].as_str().unwrap().to_owned();
    assert_eq!(items[3]["content"], json!(format!("Tool:{id}: {{\"ok\":true}}")));
}

#[test]
fn silence_leaves_two_empty_items() {
    let target = Target::both();
    let session = fresh("history");
    target.turn(&session, "EMPTY", json!({}));
    let items = target.history(&session, "").json()["items"].clone();
    assert_eq!(items.as_array().unwrap().len(), 3, "{items}");
    for item in [&items[1], &items[2]] {
        assert_eq!((&item["content"], &item["stopReason"]), (&json!([]), &json!("stop")));
    }
}

/// The silent reply is hidden. Its two items keep their numbers.
#[test]
fn hides_the_silent_reply() {
    let target = Target::both();
    let session = fresh("history");
    let failed = target.events(&session, "SAY NO_REPLY", json!({}));
    assert!(failed.response()["usage"]["output_tokens"].as_u64().unwrap() > 0, "it cost something");
    for query in ["", "?limit=1"] {
        let items = target.history(&session, query).json()["items"].clone();
        assert_eq!(items.as_array().unwrap().len(), 1, "{items}");
        assert_eq!((&items[0]["role"], &items[0]["content"]), (&json!("user"), &json!("SAY NO_REPLY")));
    }
    target.turn(&session, "SAY one", json!({}));
    let items = target.history(&session, "").json()["items"].clone();
    let seqs: Vec<u64> =
        items.as_array().unwrap().iter().map(|item| item["__openclaw"]["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, [1, 4, 5]);
}

#[test]
fn pages_start_at_the_end() {
    let target = Target::both();
    let session = fresh("pages");
    for number in 0..3 {
        target.turn(&session, format!("SAY {number}"), json!({}));
    }
    let page = |query: &str| {
        let page = target.history(&session, query).json();
        let items = page["items"].as_array().unwrap().iter();
        let seqs: Vec<u64> = items.map(|item| item["__openclaw"]["seq"].as_u64().unwrap()).collect();
        (seqs, page["hasMore"] == true, page["nextCursor"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(page(""), (vec![1, 2, 3, 4, 5, 6], false, String::new()));
    assert_eq!(page("?limit=2"), (vec![5, 6], true, "5".to_owned()));
    assert_eq!(page("?limit=2&cursor=5"), (vec![3, 4], true, "3".to_owned()));
    assert_eq!(page("?cursor=seq:3"), (vec![1, 2], false, String::new()));
    assert_eq!(page("?limit=5000&since=9"), (vec![1, 2, 3, 4, 5, 6], false, String::new()));
    for (query, name) in [("?limit=0", "limit"), ("?limit=x", "limit"), ("?cursor=x", "cursor")] {
        let expected =
            (400, "invalid_request_error".to_owned(), format!("{name} must be a positive integer"));
        assert_eq!(target.history(&session, query).refusal(), expected);
    }
}

#[test]
fn missing_sessions_are_404() {
    let target = Target::both();
    let session = fresh("never");
    for key in [session.clone(), session.replace("engineer", "nobody")] {
        let answer = target.history(&key, "");
        let error = json!({"type": "not_found", "message": format!("Session not found: {key}")});
        assert_eq!((answer.status, answer.json()), (404, json!({"ok": false, "error": error})));
    }
    let answer = target.history("task:x", "");
    assert_eq!((answer.status, answer.body.as_str()), (500, "Internal Server Error"));
}

#[test]
fn truncates_long_texts() {
    let target = Target::both();
    let session = fresh("long");
    target.turn(&session, format!("SAY ok\n{}", "x".repeat(9_000)), json!({}));
    let item = target.history(&session, "").json()["items"][0].clone();
    let text = item["content"].as_str().unwrap();
    assert!(text.starts_with("SAY ok\nxxx") && text.ends_with("...(truncated)..."), "{}", text.len());
    assert!(text.len() < 8_100, "{}", text.len());
    assert_eq!(
        (&item["__openclaw"]["truncated"], &item["__openclaw"]["reason"]),
        (&json!(true), &json!("display-cap"))
    );
}

#[test]
fn streams_new_entries() {
    let target = Target::both();
    let session = fresh("stream");
    target.turn(&session, "SAY one", json!({}));
    let accept = ("Accept", "text/event-stream".to_owned());
    let request = target.client.get(format!("{}/sessions/{session}/history", target.url));
    let request = [target.bearer(), accept]
        .into_iter()
        .fold(request, |request, (name, value)| request.header(name, value));
    let mut lines = lines(request.call().unwrap());
    let mut next = || {
        let name = lines.by_ref().find_map(|line| line.strip_prefix("event: ").map(str::to_owned)).unwrap();
        let data = lines.by_ref().find_map(|line| line.strip_prefix("data: ").map(str::to_owned)).unwrap();
        (name, serde_json::from_str::<Value>(&data).unwrap())
    };
    let (name, data) = next();
    assert_eq!((name.as_str(), data["items"].as_array().unwrap().len()), ("history", 2));
    target.turn(&session, "CALL a {}", json!({"tools": [tool("a")]}));
    target.turn(&session, "SAY two", json!({}));
    let mut seen = Vec::new();
    while seen.last() != Some(&7) {
        let (name, data) = next();
        if name == "message" {
            assert_eq!(
                (&data["sessionKey"], &data["messageId"]),
                (&json!(session), &data["message"]["__openclaw"]["id"])
            );
            seen.push(data["messageSeq"].as_u64().unwrap());
        }
    }
    // The placeholder result of the call is not streamed.
    assert_eq!(seen, [3, 4, 6, 7]);
}
