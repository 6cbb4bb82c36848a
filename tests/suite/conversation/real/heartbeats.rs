//! Heartbeats with a real gateway: an agent without news is quiet, an agent with an event acts with its tools, and its
//! session has the questions of the runtime only.

use std::fs;

use mission_control_runtime::demo::gateway::Release;
use serde_json::{Value, json};

use super::super::processes::Stack;
use super::super::wakes::tell;
use super::{AGENTS, heard};

/// The health once so many heartbeats were sent, and none is running.
fn ended(stack: &Stack, prompted: u64) -> Value {
    let health = stack.until("the end of a heartbeat", |health| {
        let heartbeat = &health["heartbeat"];
        heartbeat["beats"]["prompted"] == prompted && heartbeat["agents"][0]["nextAt"].is_number()
    });
    health["heartbeat"].clone()
}

#[test]
fn a_quiet_answer_and_one_with_a_call_and_no_second_heartbeat() {
    let place = tempfile::tempdir().unwrap();
    let checklist = place.path().join("checklist.md");
    fs::write(&checklist, "SAY HEARTBEAT_OK\n").unwrap();
    let variables = [
        ("HEARTBEAT_MODE", "gated"),
        ("HEARTBEAT_CHECKLIST", checklist.to_str().unwrap()),
        ("AGENT_API_TOKENS", "false"),
    ];
    let mut stack = Stack::both_with(Release::V2026_9_6, &AGENTS, &["engineer"], &variables);
    let heartbeat = ended(&stack, 1);
    assert_eq!((&heartbeat["beats"]["didWork"], &heartbeat["beats"]["failed"]), (&json!(0), &json!(0)));
    assert!(heartbeat["beats"]["tokens"].as_u64() > Some(0), "{heartbeat}");
    let row = stack.board.row("agents", stack.agent("engineer"));
    assert_eq!((&row["status"], row["lastHeartbeat"].is_number()), (&json!("online"), true));

    let task = stack.task("in_progress", &["engineer"]);
    let own = format!("system:agent:engineer:{}:v1", stack.board.account);
    let call = json!({"taskId": task, "status": "review"});
    tell(&stack, "wake", &own, &json!({"text": format!("CALL task_status {call}")}));
    let heartbeat = ended(&stack, 2);
    assert_eq!((&heartbeat["beats"]["didWork"], &heartbeat["beats"]["failed"]), (&json!(1), &json!(0)));
    assert_eq!(stack.board.row("tasks", &task)["status"], "review");
    // The answer to the results has no directive.
    let said = stack.said_by("engineer", &task);
    assert!(said.len() == 1 && said[0].contains("\"success\":true"), "{said:?}");

    let items = stack.history_of(&own.replace("system:agent:engineer", "agent:engineer:system"));
    let questions = heard(&items);
    assert_eq!(questions.len(), 3, "two questions and the results of one call: {items:?}");
    let of_heartbeats = questions.iter().filter(|text| text.contains("Heartbeat. Current time:")).count();
    assert_eq!(of_heartbeats, 2, "{items:?}");
    stack.stop();
}
