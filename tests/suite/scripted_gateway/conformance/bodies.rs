//! §3, §4 and §7: the refused bodies and the error messages.

use serde_json::{Value, json};

use super::super::*;

/// Every row is a 400 of the first format: the difference from a valid body, and the message.
fn check(target: &Target, rows: impl IntoIterator<Item = (Value, &'static str)>) {
    for (difference, sentence) in rows {
        let mut body = engineers("SAY no", difference.clone());
        body.as_object_mut().unwrap().retain(|_, value| *value != json!("(left out)"));
        let answer = target.body(&body.to_string());
        let expected = (400, "invalid_request_error".to_owned(), sentence.to_owned());
        assert_eq!(answer.refusal(), expected, "of {difference}");
    }
}

#[test]
fn explains_invalid_requests() {
    let target = Target::both();
    let missing = "model: Invalid input: expected string, received undefined";
    let rows = [
        ("", missing),
        ("{}", missing),
        ("[]", ": Invalid input: expected object, received array"),
        ("null", ": Invalid input: expected object, received null"),
        ("{\"model\":", "Unexpected end of JSON input"),
        ("<html>", "Unexpected token '<', \"<html>\" is not valid JSON"),
    ];
    for (body, sentence) in rows {
        let expected = (400, "invalid_request_error".to_owned(), sentence.to_owned());
        assert_eq!(target.body(body).refusal(), expected, "of {body:?}");
    }
}

#[test]
fn refuses_unknown_keys_everywhere() {
    let item = json!({"type": "message", "role": "user", "content": "x", "zip": 1});
    let result = json!({"type": "function_call_output", "call_id": "c", "output": "{}"});
    let mut extra = tool("a");
    extra["zip"] = json!(1);
    check(
        &Target::both(),
        [
            (json!({"foo": 1}), ": Unrecognized key: \"foo\""),
            (json!({"bar": 1, "foo": 1}), ": Unrecognized keys: \"bar\", \"foo\""),
            (json!({"function_call_output": result}), ": Unrecognized key: \"function_call_output\""),
            (json!({"input": [item]}), "input.0: Unrecognized key: \"zip\""),
            (json!({"tools": [extra]}), "tools.0: Unrecognized key: \"zip\""),
        ],
    );
}

#[test]
fn names_the_first_problem() {
    check(
        &Target::both(),
        [
            (json!({"model": 5}), "model: Invalid input: expected string, received number"),
            (json!({"input": "(left out)"}), "input: Invalid input"),
            (json!({"input": 5}), "input: Invalid input"),
            (json!({"input": [{"role": "user", "content": "x"}]}), "input: Invalid input"),
            (
                json!({"input": [{"type": "function_call_output", "call_id": "c", "output": {}}]}),
                "input: Invalid input",
            ),
            (json!({"stream": "yes"}), "stream: Invalid input: expected boolean, received string"),
            (json!({"max_output_tokens": 0}), "max_output_tokens: Too small: expected number to be >0"),
            (
                json!({"max_output_tokens": 1.5}),
                "max_output_tokens: Invalid input: expected int, received number",
            ),
            (json!({"temperature": 3}), "temperature: Too big: expected number to be <=2"),
            (json!({"temperature": "a"}), "temperature: Invalid input: expected number, received string"),
            (json!({"top_p": -1}), "top_p: Too small: expected number to be >=0"),
            (json!({"metadata": {"a": 1}}), "metadata.a: Invalid input: expected string, received number"),
            (json!({"metadata": []}), "metadata: Invalid input: expected record, received array"),
            (
                json!({"reasoning": {"effort": "max"}}),
                "reasoning.effort: Invalid option: expected one of \"low\"|\"medium\"|\"high\"",
            ),
            (
                json!({"text": {"format": {"type": "json"}}}),
                "text.format.type: Invalid input: expected \"text\"",
            ),
            (
                json!({"truncation": "no"}),
                "truncation: Invalid option: expected one of \"auto\"|\"disabled\"",
            ),
            (json!({"tool_choice": "some"}), "tool_choice: Invalid input"),
            (json!({"tools": {}}), "tools: Invalid input: expected array, received object"),
            (json!({"tools": [{"type": "function", "name": ""}]}), "tools.0.name: Tool name cannot be empty"),
            (
                json!({"tools": [{"type": "function", "function": {"name": "a"}}]}),
                "tools.0.name: Invalid input: expected string, received undefined",
            ),
        ],
    );
}

#[test]
fn requires_an_agent_and_a_message() {
    let missing = "Missing user message in `input`.";
    let which = "Multiple agents are configured, but this operation has no explicit owner. Select an agent explicitly; \
        CLI callers can pass --agent <id>, channels can add a binding, and ambient services can set their agentId target.";
    let unknown = "Invalid `model`. Use `openclaw` or `openclaw/<agentId>`.";
    check(
        &Target::both(),
        [
            (json!({"input": ""}), missing),
            (json!({"input": []}), missing),
            (json!({"input": [{"type": "message", "role": "system", "content": "x"}]}), missing),
            (json!({"model": "openclaw"}), which),
            (json!({"model": "openclaw/default"}), which),
            (json!({"model": "openclaw/nobody"}), "Unknown agent 'nobody'."),
            (json!({"model": "gpt-4"}), unknown),
            (json!({"model": "mock/mock-1"}), unknown),
            (json!({"tool_choice": "required"}), "invalid tool configuration"),
            (
                json!({"tools": [tool("a")], "tool_choice": {"type": "function", "name": "b"}}),
                "invalid tool configuration",
            ),
        ],
    );
}

#[test]
fn accepts_every_allowed_field() {
    let target = Target::both();
    let more = json!({
        "instructions": "Be short.", "tools": [tool("a")], "tool_choice": "auto", "text": {"format": {"type": "text"}},
        "max_output_tokens": 100, "max_tool_calls": 3, "temperature": 0.5, "top_p": 0.5, "metadata": {"a": "b"},
        "store": true, "previous_response_id": "resp_unknown", "reasoning": {"effort": "low", "summary": "auto"},
        "truncation": "auto",
    });
    let items = json!([
        {"type": "reasoning", "summary": "s"}, {"type": "item_reference", "id": "i"},
        {"type": "message", "id": "m", "status": "completed", "role": "user", "content": [{"type": "input_text", "text": "SAY yes"}]},
    ]);
    assert_eq!(target.turn(&fresh("all"), items, more).text(), "yes");
}
