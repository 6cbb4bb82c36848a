//! §9: the release that the reference product pinned.

use mission_control_runtime::demo::gateway::{Prompt, Release, Thought};
use serde_json::json;

use super::super::*;

fn old() -> Target {
    Target::ours(Options { release: Release::V2026_2_19, ..options() }, Directives)
}

#[test]
fn probes_and_histories_return_the_page() {
    let target = old();
    for path in ["/health", "/readyz", "/startupz", "/v1/models", "/sessions/agent:qa:x/history", "/nothing"]
    {
        let page = target.get(path, &[target.bearer()]);
        assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"), "{path}");
    }
    let config = target.get("/__openclaw/control-ui-config.json", &[]).json();
    assert!(config.get("serverVersion").is_none());
}

#[test]
fn accepts_nested_tools_and_never_offers_them() {
    let target = Target::ours(Options { release: Release::V2026_2_19, ..options() }, |prompt: &Prompt| {
        Thought::say(format!("{} tools", prompt.tools.len()))
    });
    let flat = target.turn("x", "CALL a {}", json!({"tools": [tool("a")]}));
    let sentence = "tools.0.function: Invalid input: expected object, received undefined";
    assert_eq!(flat.refusal(), (400, "invalid_request_error".into(), sentence.into()));
    let nested =
        json!({"type": "function", "function": {"name": "read", "description": "d", "parameters": {}}});
    assert_eq!(target.turn("x", "CALL read {}", json!({"tools": [nested]})).text(), "0 tools");
}

#[test]
fn accepts_every_key_and_model() {
    let target = old();
    for key in ["task:T1:agent:engineer:acc:v1", "main", "cron:1", "agent:nobody:x"] {
        assert_eq!(target.turn(key, "SAY hi", json!({})).text(), "hi", "{key}");
    }
    for model in ["openclaw", "openclaw/nobody", "gpt-4"] {
        assert_eq!(target.turn("x", "SAY hi", json!({"model": model})).text(), "hi", "{model}");
    }
    let item = json!([{"type": "message", "id": "m", "role": "user", "content": "x"}]);
    assert_eq!(target.turn("x", item, json!({})).refusal().2, "input.0: Unrecognized key: \"id\"");
}

/// The answer if the provider is silent.
const HANG: &str = "Request timed out before a response was generated. Please try again, or increase \
    `agents.defaults.timeoutSeconds` in your config.";

#[test]
fn silence_and_errors_are_texts() {
    let target = Target::ours(
        Options { release: Release::V2026_2_19, run_timeout: Duration::from_millis(30), ..options() },
        Directives,
    );
    let rows = [
        ("EMPTY", "No response from OpenClaw."),
        ("SAY NO_REPLY", "No response from OpenClaw."),
        ("SAY Done. NO_REPLY", "No response from OpenClaw."),
        ("SAY HEARTBEAT_OK", "HEARTBEAT_OK"),
        ("FAIL 400 bad", "400 bad"),
        ("FAIL 500 boom", "500 boom"),
        ("HANG", HANG),
    ];
    for (asked, said) in rows {
        let answer = target.turn(&fresh("old"), asked, json!({}));
        assert_eq!(answer.text(), said, "{asked}");
        assert!(answer.response()["output"][0].get("phase").is_none());
        assert_eq!(target.events(&fresh("old"), asked, json!({})).text(), said, "{asked}");
    }
}

#[test]
fn a_single_result_is_plain_text_and_an_empty_one_is_missing() {
    let target = old();
    let item = |text: &str| json!([{"type": "function_call_output", "call_id": "x", "output": text}]);
    assert_eq!(target.turn("x", item("R0"), json!({})).text(), "ECHO: R0");
    assert_eq!(target.turn("x", item(""), json!({})).refusal().2, "Missing user message in `input`.");
}

#[test]
fn a_disconnect_stops_nothing() {
    let target = old();
    let body = engineers("[n-1 try 1] DELAY 400 SAY done", json!({"stream": true})).to_string();
    let headers = [target.bearer(), ("x-openclaw-session-key", "x".to_owned())];
    drop(target.start(PATH, &headers, &body).unwrap());
    until("the answer", || target.gateway().observations().marks("n-1").answers == 1);
}
