//! §4 and §1: the session of a turn, and the model's input.

use std::thread;

use serde_json::json;

use super::super::*;

fn user_texts(target: &Target, session: &str) -> Vec<String> {
    let history = target.history(session, "").json();
    let items = history["items"].as_array().unwrap().iter().filter(|item| item["role"] == "user");
    items.map(|item| item["content"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn session_keys_ignore_case() {
    let target = Target::both();
    let session = fresh("Task:T1:Acc");
    target.turn(&session, "SAY one", json!({}));
    target.turn(&session.to_uppercase(), "SAY two", json!({}));
    assert_eq!(user_texts(&target, &session.to_lowercase()), ["SAY one", "SAY two"]);
    assert_eq!(target.history(&session, "").json()["sessionKey"], json!(session.to_lowercase()));
}

#[test]
fn a_user_selects_a_session_unless_a_key_does() {
    let target = Target::both();
    let name = fresh("U").replace(':', "-");
    target.body(&engineers("SAY one", json!({"user": name})).to_string());
    let session = format!("agent:engineer:openresponses-user:{}", name.to_lowercase());
    assert_eq!(user_texts(&target, &session), ["SAY one"]);
    let other = fresh("key");
    target.turn(&other, "SAY two", json!({"user": name}));
    assert_eq!((user_texts(&target, &session).len(), user_texts(&target, &other).len()), (1, 1));
}

#[test]
fn a_previous_response_selects_its_session() {
    let target = Target::both();
    let first = target.body(&engineers("SAY one", json!({})).to_string());
    let id = first.response()["id"].clone();
    let second = target.body(&engineers("SAY two", json!({"previous_response_id": id})).to_string());
    assert_eq!(second.text(), "two");
}

#[test]
fn a_key_without_an_agent_is_an_internal_error() {
    let target = Target::both();
    let rows = [
        "task:T1:agent:engineer:acc:v1",
        "system:agent:engineer:acc:v1",
        "custom",
        "main",
        "agent:nobody:x",
        "agent:engineer",
    ];
    for key in rows {
        assert_eq!(target.turn(key, "SAY no", json!({})).failure(), internal_error(500), "{key}");
    }
    assert_eq!(target.events("custom", "SAY no", json!({})).failure(), internal_error(200));
}

#[test]
fn refuses_reserved_keys() {
    let target = Target::both();
    for key in
        ["subagent:x", "cron:1", "acp:x", "harness:x", "agent:engineer:cron:x", "Agent:engineer:SubAgent:x"]
    {
        let sentence = "`x-openclaw-session-key` cannot use reserved internal session namespaces.";
        let expected = (400, "invalid_request_error".to_owned(), sentence.to_owned());
        assert_eq!(target.turn(key, "SAY no", json!({})).refusal(), expected, "{key}");
    }
}

#[test]
fn the_key_overrides_the_agent_and_the_model_is_echoed() {
    let target = Target::both();
    let session = fresh("acc").replace("engineer", "qa");
    let answer = target.turn(&session, "SAY as qa", json!({}));
    assert_eq!((answer.text().as_str(), &answer.response()["model"]), ("as qa", &json!("openclaw/engineer")));
    assert_eq!(user_texts(&target, &session), ["SAY as qa"]);
    let headers = [target.bearer(), ("x-openclaw-agent-id", "qa".to_owned())];
    let answer = target.send(PATH, &headers, &engineers("SAY hi", json!({})).to_string()).unwrap();
    assert_eq!((answer.text().as_str(), &answer.response()["model"]), ("hi", &json!("openclaw/engineer")));
    let headers = [target.bearer(), ("x-openclaw-agent-id", "nobody".to_owned())];
    let answer = target.send(PATH, &headers, &engineers("SAY hi", json!({})).to_string()).unwrap();
    assert_eq!(answer.refusal().2, "Unknown agent 'nobody'.");
}

#[test]
fn earlier_items_become_the_context() {
    let target = Target::both();
    let message = |role: &str, text: &str| json!({"type": "message", "role": role, "content": text});
    let session = fresh("items");
    let items = json!([
        message("system", "Be short."), message("user", "one"), message("assistant", "two"),
        {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "q"},
        {"type": "function_call_output", "call_id": "q", "output": "r"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "SAY three"}, {"type": "input_text", "text": "more"}]},
    ]);
    assert_eq!(target.turn(&session, items, json!({})).text(), "three");
    assert_eq!(
        user_texts(&target, &session),
        ["[Chat messages since your last reply - for context]\nUser: one\nAssistant: two\n\
        Assistant: tool_call id=q name=f arguments={}\nTool:q: r\n\n[Current message - respond to this]\nUser: SAY three\nmore"]
    );
    let session = fresh("items");
    let answer =
        target.turn(&session, json!([message("user", "SAY mine"), message("assistant", "yours")]), json!({}));
    assert_eq!(
        (answer.text().as_str(), user_texts(&target, &session)),
        ("mine", vec!["SAY mine".to_owned()])
    );
}

#[test]
fn a_known_session_serializes_its_turns() {
    let target = Target::both();
    let session = fresh("serial");
    target.turn(&session, "SAY zero", json!({}));
    let (to, key) = (&target, session.as_str());
    thread::scope(|scope| {
        let turn = |text: &'static str| scope.spawn(move || to.turn(key, text, json!({})).text());
        let first = turn("DELAY 700 SAY one");
        match &target.ours {
            Some(_) => until("the first turn", || target.gateway().observations().runs() == 2),
            // A real gateway shows nothing of a turn that it has just accepted, so only time orders the two.
            None => thread::sleep(Duration::from_millis(300)),
        }
        let second = turn("SAY two");
        assert_eq!((first.join().unwrap().as_str(), second.join().unwrap().as_str()), ("one", "two"));
    });
    assert_eq!(user_texts(&target, &session), ["SAY zero", "DELAY 700 SAY one", "SAY two"]);
}

#[test]
fn an_abandoned_text_is_shown_to_the_next_turn() {
    let target = Target::both();
    let session = fresh("given-up");
    target.turn(&session, "SAY zero", json!({}));
    let headers = [target.bearer(), ("x-openclaw-session-key", session.clone())];
    let body = engineers("[n-1 try 1] DELAY 6000", json!({"stream": true})).to_string();
    let response = target.start(PATH, &headers, &body).unwrap();
    // Four events arrive at once, then nothing while the model thinks.
    assert!(lines(response).any(|line| line == "event: response.content_part.added"));
    thread::sleep(Duration::from_millis(1200));
    let texts = user_texts(&target, &session);
    assert!(texts == ["SAY zero", "[n-1 try 1] DELAY 6000"] || texts == ["SAY zero"], "{texts:?}");
    if texts.len() == 2 {
        let said = target.turn(&session, "[n-1 try 2] now", json!({})).text();
        let (header, rest) = said.split_once('\n').unwrap();
        assert!(header.starts_with("ECHO: [Queued user message from a previous active turn;"), "{said}");
        assert_eq!(rest, "[n-1 try 1] DELAY 6000\n\n[n-1 try 2] now");
        assert_eq!(user_texts(&target, &session), ["SAY zero", "[n-1 try 2] now"]);
    }
}
