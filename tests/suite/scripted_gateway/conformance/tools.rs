//! §3 and §5: tools, calls and their results.

use serde_json::json;

use super::super::*;

fn is_call_id(id: &str) -> bool {
    id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[test]
fn calls_keep_their_order_with_ids_of_the_gateway() {
    let target = Target::both();
    let tools = json!({"tools": [tool("task_status"), tool("task_note")]});
    let asked = "PREAMBLE CALL task_status {\"taskId\":\"t-1\"} CALL task_note {\"a\":2}";
    let session = fresh("calls");
    let answer = target.turn(&session, asked, tools.clone());
    let calls = answer.calls();
    let named: Vec<_> = calls
        .iter()
        .map(|call| (call["name"].as_str().unwrap(), call["arguments"].as_str().unwrap()))
        .collect();
    assert_eq!(named, [("task_status", "{\"taskId\":\"t-1\"}"), ("task_note", "{\"a\":2}")]);
    for call in &calls {
        assert!(is_call_id(call["call_id"].as_str().unwrap()), "{call}");
        assert!(call["id"].as_str().unwrap().starts_with("call_"), "{call}");
    }
    assert_ne!(calls[0]["call_id"], calls[1]["call_id"]);
    // Without events the text before the calls is omitted.
    assert_eq!((answer.response()["output"].as_array().unwrap().len(), answer.text().as_str()), (2, ""));

    let results = json!([output(&calls[0], "{\"ok\":true}"), output(&calls[1], "R1")]);
    let (one, two) = (calls[0]["call_id"].as_str().unwrap(), calls[1]["call_id"].as_str().unwrap());
    let shown = format!(
        "[Chat messages since your last reply - for context]\nTool:{one}: {{\"ok\":true}}\n\n\
        [Current message - respond to this]\nTool:{two}: R1"
    );
    assert_eq!(target.turn(&session, results, tools).text(), format!("ECHO: {shown}"));
}

#[test]
fn a_single_result_is_shown_with_its_id() {
    let target = Target::both();
    for (text, shown) in [("{\"ok\":1}", "Tool:x: {\"ok\":1}"), ("", "Tool:x:")] {
        let item = json!([{"type": "function_call_output", "call_id": "x", "output": text}]);
        assert_eq!(target.turn(&fresh("one"), item, json!({})).text().trim_end(), format!("ECHO: {shown}"));
    }
}

#[test]
fn accepts_a_message_after_an_unanswered_call() {
    let target = Target::both();
    let session = fresh("unanswered");
    let answer = target.turn(&session, "CALL task_status {}", json!({"tools": [tool("task_status")]}));
    assert_eq!(answer.calls().len(), 1);
    assert_eq!(target.turn(&session, "SAY on we go", json!({})).text(), "on we go");
}

#[test]
fn tools_apply_to_one_request_only() {
    let target = Target::both();
    let session = fresh("once");
    let call = "CALL task_status {}";
    assert_eq!(target.turn(&session, call, json!({"tools": [tool("task_status")]})).calls().len(), 1);
    assert!(target.turn(&session, call, json!({})).calls().is_empty());
    let none = json!({"tools": [tool("task_status")], "tool_choice": "none"});
    assert!(target.turn(&session, call, none).calls().is_empty());
}

#[test]
fn a_clashing_tool_name_is_a_failed_response() {
    let target = Target::both();
    let expected = (400, "invalid_request_error".to_owned(), "invalid tool configuration".to_owned());
    let rows = [json!([tool("session_status")]), json!([tool("read")]), json!([tool("a"), tool("a")])];
    for tools in rows {
        let more = json!({"tools": tools});
        assert_eq!(target.turn(&fresh("clash"), "SAY no", more.clone()).failure(), expected);
        let events = target.events(&fresh("clash"), "SAY no", more);
        assert_eq!(events.failure(), (200, expected.1.clone(), expected.2.clone()));
    }
}

#[test]
fn a_missing_required_call_is_a_502() {
    let target = Target::both();
    let rows = [
        (json!("required"), "tool_choice=required was not satisfied by the agent response"),
        (
            json!({"type": "function", "name": "a"}),
            "tool_choice required a a tool call, but the agent did not produce one",
        ),
        (
            json!({"type": "function", "function": {"name": "a"}}),
            "tool_choice required a a tool call, but the agent did not produce one",
        ),
    ];
    for (choice, sentence) in rows {
        let more = json!({"tools": [tool("a"), tool("b")], "tool_choice": choice});
        let failure = target.turn(&fresh("must"), "SAY no", more.clone()).failure();
        assert_eq!(failure, (502, "api_error".to_owned(), sentence.to_owned()));
        let events = target.events(&fresh("must"), "SAY no", more.clone());
        assert_eq!(events.failure(), (200, "api_error".to_owned(), sentence.to_owned()));
        assert!(!events.names().contains(&"output_text.delta".to_owned()));
        assert_eq!(target.turn(&fresh("must"), "CALL a {}", more).calls().len(), 1);
    }
}
