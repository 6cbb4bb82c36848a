//! Evidence through the program: `evidence`, `why TASK` and the operator API show the status of a task beside what the
//! ledger knows, with a running service and without one.

use std::sync::{Arc, Mutex};

use mission_control_runtime::demo::gateway::{Prompt, Thought};
use serde_json::{Value, json};

use super::operator::as_operator;
use super::over_http::{post, way};
use super::processes::Stack;

const WEEK: &str = "/evidence/604800";

fn paper() -> Value {
    json!({"title": "Login", "content": "# Login\n\nThe form has two fields.", "type": "deliverable"})
}

/// Moves the task to review and says so. Ada has written a document before.
fn ready(prompt: &Prompt) -> Thought {
    if prompt.outputs().next().is_some() {
        return Thought::say("Done, please review.");
    }
    let review = ("task_status", json!({"status": "review"}));
    match prompt.agent.as_str() {
        "ada" => Thought::calls([("document_upsert", paper()), review]),
        _ => Thought::calls([review]),
    }
}

/// The same over HTTP.
fn ready_over_http(prompt: &Prompt) -> Thought {
    let (base, headers) = way(&prompt.instructions);
    let call = |endpoint: &str, body: &Value| {
        assert_eq!(post(&format!("{base}/agent/{endpoint}"), &headers, body).0, 200, "{endpoint}");
    };
    if prompt.agent == "ada" {
        call("document", &paper());
    }
    call("task-status", &json!({"status": "review"}));
    Thought::say("Done, please review.")
}

/// Assigns a task to the agent and waits for its answer.
fn assigned(stack: &Stack, slug: &str) -> String {
    let task = stack.task("assigned", &[slug]);
    stack.board.notification(stack.agent(slug), json!({"taskId": task, "createdAt": 2.0}));
    assert_eq!(stack.ask("POST", "/nudge", ""), 202);
    stack.answer_of(slug, &task);
    // Until its end is recorded, the agent counts as at work.
    stack.until("the record of the end", |_| {
        let (_, report) = as_operator(stack, "GET", WEEK, "");
        report["tasks"] != 0 && report["unknown"] == 0 && stack.undelivered().is_empty()
    });
    task
}

fn report(stack: &Stack) -> Value {
    let (code, said) = stack.command(["evidence", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    serde_json::from_str(&said).unwrap()
}

/// The marked tasks, each with its marks.
fn marked(report: &Value) -> Vec<(&str, Vec<&str>)> {
    let tasks = report["marked"].as_array().unwrap().iter();
    tasks
        .map(|task| {
            let marks = task["marks"].as_array().unwrap().iter();
            (task["task"].as_str().unwrap(), marks.map(|mark| mark["name"].as_str().unwrap()).collect())
        })
        .collect()
}

fn shows_who_worked(mut stack: Stack) {
    let (without, with) = (assigned(&stack, "ben"), assigned(&stack, "ada"));
    let expected = vec![(&*without, vec!["no-effect"])];
    for step in ["running", "killed", "stopped"] {
        match step {
            "killed" => {
                stack.kill_and_start();
                stack.until("the roster", |health| health["agentSync"]["agents"] == 2);
            }
            "stopped" => drop(stack.stop()),
            _ => {}
        }
        let report = report(&stack);
        assert_eq!(marked(&report), expected, "{step}: {report}");
        assert_eq!((&report["tasks"], &report["unknown"]), (&json!(2), &json!(0)), "{step}");
        assert_eq!(report["note"].is_string(), step == "stopped", "{report}");
        let task = &report["marked"][0];
        assert_eq!(
            (&task["status"], &task["by"], &task["effects"]),
            (&json!("review"), &json!("ben"), &json!([]))
        );

        let (code, said) = stack.command(["evidence", "--since", "1h"]);
        assert!(code == Some(0) && said.contains("1 of 2 tasks since "), "{step}: {said}");
        assert!(said.contains(&format!("{without}  “Fix login”")) && !said.contains(&with), "{step}: {said}");
        let (_, why) = stack.command(["why", &without]);
        for words in [
            "status    review, set by ben",
            "effects   none",
            "mark      no-effect: ben called the task ready",
        ] {
            assert!(why.contains(words), "{step}: {words}: {why}");
        }
        let (_, why) = stack.command(["why", &with]);
        assert!(
            why.contains("effects   document ") && why.contains(" by ada") && !why.contains("mark "),
            "{step}: {why}"
        );
    }
}

#[test]
fn a_task_without_work_is_marked_and_an_honest_one_is_not() {
    shows_who_worked(Stack::new(&["ben", "ada"], ready));
}

#[test]
fn calls_over_http_count_as_well() {
    shows_who_worked(Stack::set(
        &["ben", "ada"],
        ready_over_http,
        &[("OPENCLAW_CLIENT_TOOLS_ENABLED", "false"), ("AGENT_API_TOKENS", "on")],
    ));
}

/// A call after the end of the delivery belongs to none, and is an effect all the same.
#[test]
fn a_call_outside_of_deliveries_counts() {
    let briefing: Arc<Mutex<String>> = Arc::default();
    let recorder = briefing.clone();
    let mind = move |prompt: &Prompt| {
        recorder.lock().unwrap().clone_from(&prompt.instructions);
        ready_over_http(prompt)
    };
    let variables = [("OPENCLAW_CLIENT_TOOLS_ENABLED", "false"), ("AGENT_API_TOKENS", "on")];
    let mut stack = Stack::set(&["ben"], mind, &variables);
    let task = assigned(&stack, "ben");
    assert_eq!(marked(&report(&stack)).len(), 1);
    let (base, headers) = way(&briefing.lock().unwrap());
    assert_eq!(post(&format!("{base}/agent/document"), &headers, &paper()).0, 200);
    assert_eq!(marked(&report(&stack)), []);
    stack.kill_and_start();
    assert_eq!(marked(&report(&stack)), []);
    let (_, why) = stack.command(["why", &task]);
    assert!(why.contains("effects   document ") && why.contains(" by ben"), "{why}");
}

#[test]
fn without_the_policy_facts_are_shown_and_no_task_is_marked() {
    let stack = Stack::set(&["ben"], ready, &[("DONE_POLICY", "off")]);
    let task = assigned(&stack, "ben");
    let (code, said) = stack.command(["evidence"]);
    assert!(
        code == Some(0) && said.starts_with("DONE_POLICY is off: no task is marked.\n0 of 1 task "),
        "{said}"
    );
    let (_, why) = stack.command(["why", &task]);
    assert!(why.contains("status    review, set by ben") && !why.contains("mark "), "{why}");
}

/// A person who closes the task takes over the responsibility. The agent's own claim is no longer the status.
#[test]
fn a_status_that_a_person_set_is_not_marked() {
    let stack = Stack::new(&["ben"], ready);
    let task = assigned(&stack, "ben");
    assert_eq!(marked(&report(&stack)).len(), 1);
    stack.board.person("tasks:updateStatus", json!({"taskId": task, "status": "done"})).unwrap();
    assert_eq!(stack.ask("POST", "/nudge", ""), 202);
    // The assigned agent is notified of the change, and the context shows the new status.
    stack.until("the notification", |_| marked(&report(&stack)).is_empty());
    let (_, why) = stack.command(["why", &task]);
    assert!(why.contains("status    done, not set by an agent"), "{why}");
}

/// The page repeats its request. Without a change the ledger is not read again.
#[test]
fn the_report_is_built_again_only_after_a_change() {
    let stack = Stack::new(&["ben", "ada"], ready);
    assigned(&stack, "ben");
    stack.settled();
    let report = || as_operator(&stack, "GET", WEEK, "").1;
    let first = report();
    stack.until("a later moment", |health| health["timestamp"].as_i64() > first["since"].as_i64());
    assert_eq!(report(), first, "with the same begin");
    let (_, hour) = as_operator(&stack, "GET", "/evidence/3600", "");
    assert!(hour["since"].as_i64() > first["since"].as_i64(), "another time is another report");
    assigned(&stack, "ada");
    let later = report();
    assert_eq!((&first["tasks"], &later["tasks"]), (&json!(1), &json!(2)));
    assert!(later["since"].as_i64() > first["since"].as_i64());
}

#[test]
fn the_operator_api_has_the_report_and_refuses_other_paths() {
    let stack = Stack::new(&["ben"], ready);
    let task = assigned(&stack, "ben");
    let (status, report) = as_operator(&stack, "GET", WEEK, "");
    assert_eq!((status, marked(&report)), (200, vec![(&*task, vec!["no-effect"])]));
    assert_eq!(stack.ask("GET", WEEK, ""), 401, "without the token");
    for path in ["/evidence", "/evidence/7d", "/evidence/-1", "/evidence/1/x"] {
        assert_eq!(as_operator(&stack, "GET", path, "").0, 404, "{path}");
    }
    // A span that reaches back before the clock's start.
    assert_eq!(as_operator(&stack, "GET", "/evidence/18446744073709551615", "").0, 200);
}
