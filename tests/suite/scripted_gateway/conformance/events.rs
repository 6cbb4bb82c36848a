//! §6: events, their order and contents. §5: the same turn as one body.

use serde_json::{Value, json};

use super::super::*;

const BEGIN: [&str; 4] = ["created", "in_progress", "output_item.added", "content_part.added"];

fn names(middle: &[&str]) -> Vec<String> {
    BEGIN.iter().chain(middle).map(|name| (*name).to_owned()).chain([String::new()]).collect()
}

/// The event names. Consecutive deltas count once.
fn in_order(answer: &Answer) -> Vec<String> {
    let mut names = answer.names();
    names.dedup_by(|one, other| one == "output_text.delta" && one == other);
    names
}

#[test]
fn streams_a_text_as_nine_kinds_of_events() {
    let target = Target::both();
    let answer = target.events(&fresh("text"), "SAY hello there friend", json!({}));
    let end = ["output_text.delta", "output_text.done", "content_part.done", "output_item.done", "completed"];
    assert_eq!(in_order(&answer), names(&end));
    let events = answer.events();
    let created = &events[0].1["response"];
    let id = created["id"].as_str().unwrap();
    assert!(id.starts_with("resp_") && id.len() == 41, "{id}");
    assert_eq!((&created["status"], &created["output"]), (&json!("in_progress"), &json!([])));
    let message = events[2].1["item"]["id"].clone();
    assert_eq!(
        events[2].1,
        json!({"type": "response.output_item.added", "output_index": 0, "item":
        {"type": "message", "id": message, "role": "assistant", "content": [], "status": "in_progress"}})
    );
    assert_eq!(
        events[3].1,
        json!({"type": "response.content_part.added", "item_id": message, "output_index": 0,
        "content_index": 0, "part": {"type": "output_text", "text": ""}})
    );
    let deltas = events.iter().filter(|(name, _)| name == "response.output_text.delta");
    let said: String = deltas.map(|(_, data)| data["delta"].as_str().unwrap()).collect();
    assert_eq!(said, "hello there friend");
    let at = |name: &str| events.iter().find(|(given, _)| given == name).unwrap().1.clone();
    assert_eq!(at("response.output_text.done")["text"], "hello there friend");
    let item = json!({"type": "message", "id": message, "role": "assistant",
        "content": [{"type": "output_text", "text": said}], "phase": "final_answer", "status": "completed"});
    assert_eq!(
        at("response.output_item.done"),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item})
    );
    let response = answer.response();
    assert_eq!((&response["id"], &response["output"]), (&json!(id), &json!([item])));
    assert_eq!(events.last().unwrap(), &(String::new(), json!("[DONE]")));
}

#[test]
fn one_body_has_the_contents_of_the_events() {
    let target = Target::both();
    let response = target.turn(&fresh("body"), "SAY hi there", json!({})).response();
    let Value::Object(map) = &response else { panic!("{response}") };
    let mut keys: Vec<&str> = map.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["created_at", "id", "model", "object", "output", "status", "usage"]);
    assert_eq!((&response["object"], &response["model"]), (&json!("response"), &json!("openclaw/engineer")));
    assert!(response["output"][0]["id"].as_str().unwrap().starts_with("msg_"));
    let usage = &response["usage"];
    let count = |name: &str| usage[name].as_u64().unwrap();
    assert_eq!(count("total_tokens"), count("input_tokens") + count("output_tokens"));
    assert!(count("input_tokens") > 0 && count("output_tokens") > 0);
    assert_eq!(usage["input_tokens_details"], json!({"cached_tokens": 0, "cache_write_tokens": 0}));
    assert_eq!(usage["output_tokens_details"], json!({"reasoning_tokens": 0}));
}

#[test]
fn calls_follow_an_empty_commentary() {
    let target = Target::both();
    let tools = json!({"tools": [tool("a"), tool("b")]});
    let answer = target.events(&fresh("calls"), "CALL a {\"x\":1} CALL b {}", tools.clone());
    let end = [
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "output_item.done",
        "output_item.added",
        "output_item.done",
        "completed",
    ];
    assert_eq!(in_order(&answer), names(&end));
    let events = answer.events();
    let (added, done) = (&events[7].1, &events[8].1);
    assert_eq!((&added["output_index"], &done["output_index"]), (&json!(1), &json!(1)));
    assert_eq!((&added["item"]["status"], &done["item"]["status"]), (&Value::Null, &json!("completed")));
    assert_eq!((&added["item"]["name"], &added["item"]["arguments"]), (&json!("a"), &json!("{\"x\":1}")));
    let output = answer.response()["output"].clone();
    assert_eq!((&output[0]["phase"], &output[0]["content"][0]["text"]), (&json!("commentary"), &json!("")));
    assert_eq!((&output[1], answer.calls().len()), (&done["item"], 2));

    let answer = target.events(&fresh("calls"), "PREAMBLE CALL a {}", tools);
    let output = answer.response()["output"].clone();
    assert!(!output[0]["content"][0]["text"].as_str().unwrap().is_empty(), "{output}");
    assert_eq!(
        (&output[0]["phase"], in_order(&answer)[4].as_str()),
        (&json!("commentary"), "output_text.delta")
    );
}

#[test]
fn streams_words_immediately() {
    let target = Target::both();
    let headers = [target.bearer(), ("x-openclaw-session-key", fresh("drip"))];
    let body = engineers("DRIP 1500 SAY one two three", json!({"stream": true})).to_string();
    let mut seen = Vec::new();
    for line in lines(target.start(PATH, &headers, &body).unwrap()) {
        if line.starts_with("data: ") && line.contains("output_text.delta") {
            seen.push(Instant::now());
        }
    }
    assert_eq!(seen.len(), 3);
    assert!(seen[2] - seen[0] >= Duration::from_millis(500), "{:?}", seen[2] - seen[0]);
}

#[test]
fn a_text_cut_at_its_limit_is_incomplete() {
    let target = Target::both();
    let response = target.turn(&fresh("limit"), "LENGTH SAY a b c", json!({})).response();
    assert_eq!(
        (&response["status"], &response["incomplete_details"]),
        (&json!("incomplete"), &json!({"reason": "max_output_tokens"}))
    );
    let text = response["output"][0]["content"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("a b c\n\n⚠️ Reply truncated at the model's output token limit. "), "{text}");
    assert_eq!(response["output"][0]["status"], "incomplete");

    let answer = target.events(&fresh("limit"), "LENGTH SAY a b c", json!({}));
    assert_eq!(in_order(&answer)[8], "incomplete");
    let response = answer.response();
    assert_eq!(
        (&response["output"][0]["content"][0]["text"], &response["status"]),
        (&json!("a b c"), &json!("incomplete"))
    );
}
