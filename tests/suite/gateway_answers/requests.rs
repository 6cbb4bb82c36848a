//! The request as sent (spec §1 to §4), and redaction of secrets in answers.

use std::sync::Arc;

use mission_control_runtime::clock::Pulse;
use mission_control_runtime::gateway::client::{GatewayEndpoint, GatewayLimits};
use mission_control_runtime::gateway::{Class, Gateway, Input, ToolOutput, Turn, Why};
use mission_control_runtime::model::{BaseUrl, SessionKey};
use mission_control_runtime::redact::Redactor;
use mission_control_runtime::secret::Secret;
use mission_control_runtime::wire::Stop;
use serde_json::{Value, json};

use super::{PATIENT, SESSION, TOKEN, ask, client, endpoint_with, roots, said, tool};
use crate::support::log_capture;
use crate::support::scripted_http::{Move, ScriptedHttp, answer, answer_with};

#[test]
fn a_request_has_the_headers_and_body_of_the_contract() {
    let server = ScriptedHttp::start([Move::Send(said("hi"))]);
    ask(&client(&server.url())).0.unwrap();
    let seen = server.seen().remove(0);
    let head = seen.head.to_lowercase();
    assert!(head.starts_with("post /v1/responses http/1.1\r\n"), "{head}");
    for header in [
        "content-type: application/json",
        "accept: text/event-stream",
        "x-openclaw-agent-id: engineer",
        "x-openclaw-session-key: agent:engineer:task:t1:acc0unt:v1",
        &format!("authorization: bearer {TOKEN}"),
        &format!("content-length: {}", seen.body.len()),
    ] {
        assert!(head.lines().any(|line| line == header), "{header} in {head}");
    }
    for header in ["accept-encoding:", "transfer-encoding:", "expect:", "cookie:"] {
        assert!(!head.lines().any(|line| line.starts_with(header)), "{header} in {head}");
    }
    let body: Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!(
        body,
        json!({"model": "openclaw/engineer", "input": "[n-1 try 1] hi", "instructions": "Be brief.", "stream": true,
            "tools": [{"type": "function", "name": "task_status", "description": "Moves a task.",
                "parameters": {"type": "object", "properties": {"taskId": {"type": "string"}}}}]})
    );
}

/// §1.3, §3: results are sent as items, with tools and instructions again.
#[test]
fn tool_results_are_sent_as_items() {
    let server = ScriptedHttp::start([Move::Send(said("hi"))]);
    let session = SessionKey::new(SESSION);
    let tool = tool();
    let outputs = [ToolOutput { call_id: "cf7".to_owned(), output: "{\"ok\":true}".to_owned() }];
    let turn = Turn {
        session: &session,
        agent: "Engineer",
        instructions: "Be brief.",
        input: Input::Outputs(&outputs),
        tools: &[&tool],
        pulse: &Pulse::new(),
    };
    client(&server.url()).turn(&turn, &mut |_| {}).unwrap();
    let body: Value = serde_json::from_str(&server.seen()[0].body).unwrap();
    assert_eq!(
        body["input"],
        json!([{"type": "function_call_output", "call_id": "cf7", "output": "{\"ok\":true}"}])
    );
    assert_eq!((&body["model"], &body["instructions"]), (&json!("openclaw/engineer"), &json!("Be brief.")));
    assert_eq!(body["tools"][0]["name"], "task_status");
}

#[test]
fn a_missing_token_is_omitted_and_an_invalid_one_is_reported() {
    let with = |url: &str, token: Option<Secret>| {
        let base = BaseUrl::parse(url).unwrap();
        GatewayEndpoint::new(base, token, roots(), Arc::default(), PATIENT).client(&Stop::new())
    };
    let server = ScriptedHttp::start([Move::Send(said("hi"))]);
    for token in [None, Some(Secret::new(""))] {
        ask(&with(&server.url(), token)).0.unwrap();
    }
    assert!(server.seen().iter().all(|seen| !seen.head.to_lowercase().contains("authorization")));
    let error = ask(&with(&server.url(), Some(Secret::new("tok\r\nen")))).0.unwrap_err();
    assert_eq!((error.class, error.why), (Class::Closed, Why::TokenRefused));
    assert!(!format!("{error:?}").contains("tok\r"));
    assert_eq!(server.seen().len(), 2);
}

#[test]
fn an_impossible_agent_name_is_refused_locally() {
    let server = ScriptedHttp::start([Move::Send(said("hi"))]);
    let session = SessionKey::new(SESSION);
    for agent in ["", "a:b", "a/b", "ü", "a\r\nx: y"] {
        let turn = Turn {
            session: &session,
            agent,
            instructions: "",
            input: Input::Message("hi"),
            tools: &[],
            pulse: &Pulse::new(),
        };
        let error = client(&server.url()).turn(&turn, &mut |_| {}).unwrap_err();
        assert_eq!((error.class, error.why), (Class::Refused, Why::UnknownAgent), "{agent:?}");
    }
    assert_eq!(server.connections(), 0);
}

/// A gateway or a proxy may quote the request.
#[test]
fn secrets_in_answers_are_redacted() {
    log_capture::begin();
    let key = "agent:engineer:task:t1:acc0unt:v1";
    let provider = concat!("sk", "-proj-c4narya1b2c3d4e5f6g7h8");
    let words = format!(
        "Authorization: Bearer {TOKEN} for {key} with {provider} and {SESSION} {}",
        "x ".repeat(4000)
    );
    let shapes = [
        json!({"error": {"message": words, "type": "invalid_request_error"}}).to_string(),
        json!({"object": "response", "id": "resp_1", "status": "failed", "error": {"code": "api_error", "message": words}})
            .to_string(),
        words.clone(),
    ];
    for status in [200, 400, 401, 500, 503] {
        for body in &shapes {
            let server = ScriptedHttp::start([Move::Send(answer_with(
                status,
                "Content-Type: text/plain\r\n",
                body.as_bytes(),
            ))]);
            let error = ask(&client(&server.url())).0.unwrap_err();
            assert!(error.sentence.chars().count() < 600, "{}", error.sentence);
            let texts = [error.to_string(), format!("{error:?}"), log_capture::lines().join("\n")];
            for (text, canary) in
                texts.iter().flat_map(|text| [TOKEN, key, provider, SESSION].map(|c| (text, c)))
            {
                let ours = text.lines().filter(|line| !line.contains(" ureq"));
                assert!(ours.into_iter().all(|line| !line.contains(canary)), "{canary} in {text}");
            }
        }
    }
    let version = format!(r#"{{"ok":true,"version":"2026.9.6 {TOKEN}","failing":["{key}"],"ready":false}}"#);
    let server = ScriptedHttp::start([Move::Send(answer(503, &version))]);
    let endpoint = endpoint_with(&server.url(), GatewayLimits::new(PATIENT));
    let gateway = endpoint.client(&Stop::new());
    let text = format!("{:?}", gateway.probe());
    assert!(!text.contains(TOKEN) && !text.contains(key), "{text}");
    for text in [
        format!("{endpoint:?}"),
        format!("{gateway:?}"),
        format!("{:?}", Redactor::new(&[Secret::new(TOKEN)])),
    ] {
        assert!(!text.contains(TOKEN), "{text}");
    }
}
