//! A person stops the work on a task, with the dashboard's button or with `/stop` in the thread.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use mission_control_runtime::demo::gateway::{Fault, Prompt, Release, Thought};
use serde_json::{Value, json};

use super::over_http::{post, way};
use super::processes::Stack;
use super::status_endpoints::figures;

/// Agents whose turns never end by themselves, unless the message to answer contains `SAY`.
fn endless(prompt: &Prompt) -> Thought {
    if says(prompt) { Thought::say(format!("{} answers.", prompt.agent)) } else { Thought::hang() }
}

/// Whether the message to answer contains it, not only the thread before.
fn says(prompt: &Prompt) -> bool {
    let read = prompt.as_read();
    read.rsplit_once("message to answer>>").is_some_and(|(_, message)| message.contains("SAY"))
}

/// Presses the dashboard's button.
fn pause(stack: &Stack, task: &str) {
    assert_eq!(stack.board.person("tasks:pauseAgents", json!({"taskId": task})).unwrap()["paused"], true);
    assert_eq!(stack.ask("POST", "/nudge", ""), 202);
}

/// Writes `/stop` in the thread.
fn say_stop(stack: &Stack, task: &str) {
    stack.board.advance(1);
    stack.board.person_says(task, "/stop");
    assert_eq!(stack.ask("POST", "/nudge", ""), 202);
}

fn at_work(stack: &Stack, count: usize) {
    stack.until("the turns", |_| stack.gateway().in_flight() == count);
}

fn ended(stack: &Stack, name: &str, count: u64) -> Value {
    stack.until(name, |health| health["delivery"]["ended"][name] == count)
}

#[test]
fn a_stop_ends_the_turns_on_its_task_and_no_others() {
    for stop in [pause, say_stop] {
        let stack = Stack::new(&["ben", "ada", "carl"], endless);
        let task = stack.task("in_progress", &["ben"]);
        let other = stack.task("in_progress", &["carl"]);
        stack.mention(&task, "ben", "work on it");
        stack.mention(&task, "ada", "help");
        stack.mention(&other, "carl", "work on this");
        at_work(&stack, 3);
        stop(&stack, &task);
        let health = ended(&stack, "stopped", 2);
        at_work(&stack, 1);
        stack.until("the rest", |health| health["delivery"]["waiting"] == 1);
        assert_eq!((&health["delivery"]["dead"], health["delivery"]["ended"].get("dead")), (&json!(0), None));
        assert!(stack.said_by("ben", &task).is_empty() && stack.said_by("ada", &task).is_empty());
        assert_eq!(stack.gateway().posts(), 3, "nothing is sent again");
        let id = stack
            .board
            .rows("notifications")
            .iter()
            .find(|row| row["recipientId"] == stack.agent("ben"))
            .unwrap()["_id"]
            .as_str()
            .unwrap()
            .to_owned();
        let (_, why) = stack.command(["why", &id]);
        assert!(why.contains("a person stopped the work on this task"), "{why}");
    }
}

/// A stop has its own count, which exists from the start.
#[test]
fn a_stop_has_its_own_count() {
    let stack = Stack::new(&["ben"], endless);
    let count = |stack: &Stack| figures(stack).value("delivery_ended_total", &[("outcome", "stopped")]);
    assert_eq!(count(&stack), Some(0.0));
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "work on it");
    at_work(&stack, 1);
    pause(&stack, &task);
    stack.until("the figures", |_| count(&stack) == Some(1.0));
    let page = figures(&stack);
    let outcomes = page.label("delivery_attempt_duration_seconds", "outcome");
    assert!(outcomes.contains("stopped") && !outcomes.contains("other"), "{outcomes:?}");
}

/// A question after the stop is answered, and the earlier stop does not count any more.
#[test]
fn a_mention_after_the_stop_is_answered() {
    for stop in [pause, say_stop] {
        let stack = Stack::new(&["ben"], endless);
        let task = stack.task("in_progress", &["ben"]);
        stack.mention(&task, "ben", "work on it");
        at_work(&stack, 1);
        stop(&stack, &task);
        ended(&stack, "stopped", 1);
        stack.board.advance(1);
        stack.mention(&task, "ben", "SAY where are you?");
        assert_eq!(stack.answer_of("ben", &task), "ben answers.");
        stack.settled();
        assert_eq!(stack.gateway().posts(), 2);
    }
}

/// The backend folds `/stop` into the row of the running turn: the turn ends once, and `/stop` itself starts
/// no agent.
#[test]
fn a_stop_folded_into_the_running_row_ends_it() {
    let stack = Stack::new(&["ben"], endless);
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "SAY hello");
    stack.answer_of("ben", &task);
    stack.settled();
    stack.board.person_says(&task, "and now the long work");
    assert_eq!(stack.ask("POST", "/nudge", ""), 202);
    at_work(&stack, 1);
    let running = stack.undelivered().len();
    say_stop(&stack, &task);
    ended(&stack, "stopped", 1);
    stack.settled();
    assert_eq!((running, stack.gateway().posts(), stack.gateway().in_flight()), (1, 2, 0));
    let ends = &stack.health()["delivery"]["ended"];
    assert_eq!(ends, &json!({"answered": 1, "stopped": 1}), "one named outcome each");
}

/// The answer has calls and arrives at the moment of the stop: they are not made.
#[test]
fn calls_that_arrive_with_the_stop_are_not_made() {
    let stack = Stack::new(&["ben"], |prompt: &Prompt| {
        if prompt.outputs().next().is_some() {
            return Thought::say("Done.");
        }
        Thought::call("document_upsert", &json!({"title": "Late", "content": "…", "type": "note"}))
    });
    stack.faults().next(Fault::StallAfter);
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "write");
    stack.until("the turn", |health| {
        health["delivery"]["turns"].as_array().is_some_and(|turns| !turns.is_empty())
    });
    pause(&stack, &task);
    ended(&stack, "stopped", 1);
    stack.faults().release();
    stack.settled();
    assert!(stack.board.rows("documents").is_empty());
    assert_eq!((stack.gateway().posts(), stack.said_by("ben", &task).len()), (1, 0));
}

/// An old gateway cannot abort a run: its late answer is not posted, and the row is not begun again.
#[test]
fn a_run_that_cannot_be_aborted_is_left_alone() {
    let stack = Stack::played(
        &["ben"],
        |_: &Prompt| Thought::say("too late").after(std::time::Duration::from_secs(3)),
        |options| options.release = Release::V2026_2_19,
    );
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "work on it");
    at_work(&stack, 1);
    pause(&stack, &task);
    ended(&stack, "stopped", 1);
    at_work(&stack, 0);
    stack.settled();
    assert_eq!((stack.gateway().posts(), stack.said_by("ben", &task).len()), (1, 0));
    assert_eq!(stack.health()["delivery"]["ended"]["stopped"], 1);
}

/// The stop comes while the service is down: the next process aborts the earlier run, and begins nothing.
#[test]
fn a_stop_while_the_service_is_down_counts() {
    for stop in [
        (|stack: &Stack, task: &str| {
            stack.board.person("tasks:pauseAgents", json!({"taskId": task})).unwrap();
        }) as fn(&Stack, &str),
        |stack, task| {
            stack.board.advance(1);
            stack.board.person_says(task, "/stop");
        },
    ] {
        let mut stack = Stack::new(&["ben", "ada"], endless);
        let task = stack.task("in_progress", &["ben"]);
        stack.mention(&task, "ben", "work on it");
        stack.mention(&task, "ada", "help");
        at_work(&stack, 2);
        stack.kill();
        stop(&stack, &task);
        stack.start();
        ended(&stack, "stopped", 2);
        stack.settled();
        assert_eq!((stack.gateway().posts(), stack.gateway().in_flight()), (2, 0));
        assert!(stack.said_by("ben", &task).is_empty() && stack.said_by("ada", &task).is_empty());
    }
}

/// Calls over HTTP after the stop are refused with a sentence, also by the next process. Calls in a later
/// turn are not.
#[test]
fn calls_over_http_after_the_stop_are_refused() {
    let briefings: Arc<Mutex<HashMap<String, String>>> = Arc::default();
    let recorder = briefings.clone();
    let mind = move |prompt: &Prompt| {
        recorder.lock().unwrap().insert(prompt.agent.clone(), prompt.instructions.clone());
        if says(prompt) {
            let paper = json!({"title": "Later", "content": "…", "type": "note"});
            let (base, headers) = way(&prompt.instructions);
            let (status, _) = post(&format!("{base}/agent/document"), &headers, &paper);
            return Thought::say(format!("{status}"));
        }
        Thought::hang()
    };
    for stop in [pause, say_stop] {
        briefings.lock().unwrap().clear();
        let mut stack = Stack::set(&["ben"], mind.clone(), &[("OPENCLAW_CLIENT_TOOLS_ENABLED", "false")]);
        let task = stack.task("in_progress", &["ben"]);
        stack.mention(&task, "ben", "work on it");
        stack.until("the turn", |_| briefings.lock().unwrap().contains_key("ben"));
        let call = |stack: &Stack, endpoint: &str, body: &Value| {
            let (_, headers) = way(&briefings.lock().unwrap()["ben"]);
            post(&format!("http://{}/agent/{endpoint}", stack.address()), &headers, body)
        };
        let paper = json!({"title": "Early", "content": "…", "type": "note"});
        assert_eq!(call(&stack, "document", &paper).0, 200);
        stop(&stack, &task);
        ended(&stack, "stopped", 1);
        for life in ["the same process", "the next one"] {
            for (endpoint, body) in [
                ("document", paper.clone()),
                ("task-status", json!({"status": "review"})),
                ("task-history", json!({})),
            ] {
                let (status, answer) = call(&stack, endpoint, &body);
                let error = answer["error"].as_str().unwrap_or_default();
                assert!(
                    status == 409 && error.contains("a person stopped the work on this task"),
                    "{life}: {status} {answer}"
                );
                assert!(error.contains("End your turn now"), "{answer}");
            }
            stack.kill_and_start();
            stack.until("the start", |health| health["agentSync"]["agents"] == 1);
        }
        assert_eq!(stack.board.rows("documents").len(), 1);
        stack.board.advance(1);
        stack.mention(&task, "ben", "SAY how many");
        assert_eq!(stack.answer_of("ben", &task), "200");
        assert_eq!(stack.board.rows("documents").len(), 2);
    }
}

/// Turns that end in the moment of the stop: each is answered with a message, or stopped without one.
#[test]
fn a_turn_that_ends_at_the_same_moment_has_one_outcome() {
    const TASKS: usize = 12;
    let stack = Stack::new(&["ben"], |prompt: &Prompt| {
        Thought::say(format!("{} answers.", prompt.agent)).after(std::time::Duration::from_millis(150))
    });
    let tasks: Vec<String> = (0..TASKS).map(|_| stack.task("in_progress", &["ben"])).collect();
    for task in &tasks {
        stack.mention(task, "ben", "a short one");
        stack.works();
        pause(&stack, task);
    }
    stack.settled();
    let health = stack.health();
    let of = |name: &str| health["delivery"]["ended"][name].as_u64().unwrap_or_default();
    let skips = health["delivery"]["skipped"]["quiet-task"].as_u64().unwrap_or_default();
    assert_eq!(of("answered") + of("stopped"), TASKS as u64, "{health}");
    assert_eq!((of("skipped"), of("dead"), of("unanswered")), (skips, 0, 0), "{health}");
    let said: usize = tasks.iter().map(|task| stack.said_by("ben", task).len()).sum();
    assert_eq!(said as u64, of("answered"), "{health}");
}
