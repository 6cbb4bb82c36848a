//! A person stops the work on a task, with the dashboard's button or with `/stop` in the thread.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use mission_control_runtime::demo::gateway::{Fault, Prompt, Release, Thought};
use serde_json::{Value, json};

use super::over_http::{post, way};
use super::processes::House;
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
fn pause(house: &House, task: &str) {
    assert_eq!(house.board.person("tasks:pauseAgents", json!({"taskId": task})).unwrap()["paused"], true);
    assert_eq!(house.ask("POST", "/nudge", ""), 202);
}

/// Writes `/stop` in the thread.
fn say_stop(house: &House, task: &str) {
    house.board.pass(1);
    house.board.person_says(task, "/stop");
    assert_eq!(house.ask("POST", "/nudge", ""), 202);
}

fn at_work(house: &House, count: usize) {
    house.until("the turns", |_| house.gateway().in_flight() == count);
}

fn ended(house: &House, name: &str, count: u64) -> Value {
    house.until(name, |health| health["delivery"]["ended"][name] == count)
}

#[test]
fn a_stop_ends_the_turns_on_its_task_and_no_others() {
    for stop in [pause, say_stop] {
        let house = House::new(&["ben", "ada", "carl"], endless);
        let task = house.task("in_progress", &["ben"]);
        let other = house.task("in_progress", &["carl"]);
        house.mention(&task, "ben", "work on it");
        house.mention(&task, "ada", "help");
        house.mention(&other, "carl", "work on this");
        at_work(&house, 3);
        stop(&house, &task);
        let health = ended(&house, "stopped", 2);
        at_work(&house, 1);
        house.until("the rest", |health| health["delivery"]["waiting"] == 1);
        assert_eq!((&health["delivery"]["dead"], health["delivery"]["ended"].get("dead")), (&json!(0), None));
        assert!(house.said_by("ben", &task).is_empty() && house.said_by("ada", &task).is_empty());
        assert_eq!(house.gateway().posts(), 3, "nothing is sent again");
        let id = house
            .board
            .rows("notifications")
            .iter()
            .find(|row| row["recipientId"] == house.agent("ben"))
            .unwrap()["_id"]
            .as_str()
            .unwrap()
            .to_owned();
        let (_, why) = house.command(["why", &id]);
        assert!(why.contains("a person stopped the work on this task"), "{why}");
    }
}

/// A stop has its own count, which exists from the start.
#[test]
fn a_stop_has_its_own_count() {
    let house = House::new(&["ben"], endless);
    let count = |house: &House| figures(house).value("delivery_ended_total", &[("outcome", "stopped")]);
    assert_eq!(count(&house), Some(0.0));
    let task = house.task("in_progress", &["ben"]);
    house.mention(&task, "ben", "work on it");
    at_work(&house, 1);
    pause(&house, &task);
    house.until("the figures", |_| count(&house) == Some(1.0));
    let page = figures(&house);
    let outcomes = page.label("delivery_attempt_duration_seconds", "outcome");
    assert!(outcomes.contains("stopped") && !outcomes.contains("other"), "{outcomes:?}");
}

/// A question after the stop is answered, and the earlier stop does not count any more.
#[test]
fn a_mention_after_the_stop_is_answered() {
    for stop in [pause, say_stop] {
        let house = House::new(&["ben"], endless);
        let task = house.task("in_progress", &["ben"]);
        house.mention(&task, "ben", "work on it");
        at_work(&house, 1);
        stop(&house, &task);
        ended(&house, "stopped", 1);
        house.board.pass(1);
        house.mention(&task, "ben", "SAY where are you?");
        assert_eq!(house.answer_of("ben", &task), "ben answers.");
        house.settled();
        assert_eq!(house.gateway().posts(), 2);
    }
}

/// The backend folds `/stop` into the row of the running turn: the turn ends once, and `/stop` itself starts
/// no agent.
#[test]
fn a_stop_folded_into_the_running_row_ends_it() {
    let house = House::new(&["ben"], endless);
    let task = house.task("in_progress", &["ben"]);
    house.mention(&task, "ben", "SAY hello");
    house.answer_of("ben", &task);
    house.settled();
    house.board.person_says(&task, "and now the long work");
    assert_eq!(house.ask("POST", "/nudge", ""), 202);
    at_work(&house, 1);
    let running = house.undelivered().len();
    say_stop(&house, &task);
    ended(&house, "stopped", 1);
    house.settled();
    assert_eq!((running, house.gateway().posts(), house.gateway().in_flight()), (1, 2, 0));
    let ends = &house.health()["delivery"]["ended"];
    assert_eq!(ends, &json!({"answered": 1, "stopped": 1}), "one named outcome each");
}

/// The answer has calls and arrives at the moment of the stop: they are not made.
#[test]
fn calls_that_arrive_with_the_stop_are_not_made() {
    let house = House::new(&["ben"], |prompt: &Prompt| {
        if prompt.outputs().next().is_some() {
            return Thought::say("Done.");
        }
        Thought::call("document_upsert", &json!({"title": "Late", "content": "…", "type": "note"}))
    });
    house.faults().next(Fault::StallAfter);
    let task = house.task("in_progress", &["ben"]);
    house.mention(&task, "ben", "write");
    house.until("the turn", |health| {
        health["delivery"]["turns"].as_array().is_some_and(|turns| !turns.is_empty())
    });
    pause(&house, &task);
    ended(&house, "stopped", 1);
    house.faults().release();
    house.settled();
    assert!(house.board.rows("documents").is_empty());
    assert_eq!((house.gateway().posts(), house.said_by("ben", &task).len()), (1, 0));
}

/// An old gateway cannot abort a run: its late answer is not posted, and the row is not begun again.
#[test]
fn a_run_that_cannot_be_aborted_is_left_alone() {
    let house = House::played(
        &["ben"],
        |_: &Prompt| Thought::say("too late").after(std::time::Duration::from_secs(3)),
        |options| options.release = Release::V2026_2_19,
    );
    let task = house.task("in_progress", &["ben"]);
    house.mention(&task, "ben", "work on it");
    at_work(&house, 1);
    pause(&house, &task);
    ended(&house, "stopped", 1);
    at_work(&house, 0);
    house.settled();
    assert_eq!((house.gateway().posts(), house.said_by("ben", &task).len()), (1, 0));
    assert_eq!(house.health()["delivery"]["ended"]["stopped"], 1);
}

/// The stop comes while the service is down: the next process aborts the earlier run, and begins nothing.
#[test]
fn a_stop_while_the_service_is_down_counts() {
    for stop in [
        (|house: &House, task: &str| {
            house.board.person("tasks:pauseAgents", json!({"taskId": task})).unwrap();
        }) as fn(&House, &str),
        |house, task| {
            house.board.pass(1);
            house.board.person_says(task, "/stop");
        },
    ] {
        let mut house = House::new(&["ben", "ada"], endless);
        let task = house.task("in_progress", &["ben"]);
        house.mention(&task, "ben", "work on it");
        house.mention(&task, "ada", "help");
        at_work(&house, 2);
        house.kill();
        stop(&house, &task);
        house.start();
        ended(&house, "stopped", 2);
        house.settled();
        assert_eq!((house.gateway().posts(), house.gateway().in_flight()), (2, 0));
        assert!(house.said_by("ben", &task).is_empty() && house.said_by("ada", &task).is_empty());
    }
}

/// Calls over HTTP after the stop are refused with a sentence, also by the next process. Calls in a later
/// turn are not.
#[test]
fn calls_over_http_after_the_stop_are_refused() {
    let told: Arc<Mutex<HashMap<String, String>>> = Arc::default();
    let ears = told.clone();
    let mind = move |prompt: &Prompt| {
        ears.lock().unwrap().insert(prompt.agent.clone(), prompt.instructions.clone());
        if says(prompt) {
            let paper = json!({"title": "Later", "content": "…", "type": "note"});
            let (base, headers) = way(&prompt.instructions);
            let (status, _) = post(&format!("{base}/agent/document"), &headers, &paper);
            return Thought::say(format!("{status}"));
        }
        Thought::hang()
    };
    for stop in [pause, say_stop] {
        told.lock().unwrap().clear();
        let mut house = House::set(&["ben"], mind.clone(), &[("OPENCLAW_CLIENT_TOOLS_ENABLED", "false")]);
        let task = house.task("in_progress", &["ben"]);
        house.mention(&task, "ben", "work on it");
        house.until("the turn", |_| told.lock().unwrap().contains_key("ben"));
        let call = |house: &House, endpoint: &str, body: &Value| {
            let (_, headers) = way(&told.lock().unwrap()["ben"]);
            post(&format!("http://{}/agent/{endpoint}", house.address()), &headers, body)
        };
        let paper = json!({"title": "Early", "content": "…", "type": "note"});
        assert_eq!(call(&house, "document", &paper).0, 200);
        stop(&house, &task);
        ended(&house, "stopped", 1);
        for life in ["the same process", "the next one"] {
            for (endpoint, body) in [
                ("document", paper.clone()),
                ("task-status", json!({"status": "review"})),
                ("task-history", json!({})),
            ] {
                let (status, answer) = call(&house, endpoint, &body);
                let error = answer["error"].as_str().unwrap_or_default();
                assert!(
                    status == 409 && error.contains("a person stopped the work on this task"),
                    "{life}: {status} {answer}"
                );
                assert!(error.contains("End your turn now"), "{answer}");
            }
            house.kill_and_start();
            house.until("the start", |health| health["agentSync"]["agents"] == 1);
        }
        assert_eq!(house.board.rows("documents").len(), 1);
        house.board.pass(1);
        house.mention(&task, "ben", "SAY how many");
        assert_eq!(house.answer_of("ben", &task), "200");
        assert_eq!(house.board.rows("documents").len(), 2);
    }
}

/// Turns that end in the moment of the stop: each is answered with a message, or stopped without one.
#[test]
fn a_turn_that_ends_at_the_same_moment_has_one_outcome() {
    const TASKS: usize = 12;
    let house = House::new(&["ben"], |prompt: &Prompt| {
        Thought::say(format!("{} answers.", prompt.agent)).after(std::time::Duration::from_millis(150))
    });
    let tasks: Vec<String> = (0..TASKS).map(|_| house.task("in_progress", &["ben"])).collect();
    for task in &tasks {
        house.mention(task, "ben", "a short one");
        house.works();
        pause(&house, task);
    }
    house.settled();
    let health = house.health();
    let of = |name: &str| health["delivery"]["ended"][name].as_u64().unwrap_or_default();
    let skips = health["delivery"]["skipped"]["quiet-task"].as_u64().unwrap_or_default();
    assert_eq!(of("answered") + of("stopped"), TASKS as u64, "{health}");
    assert_eq!((of("skipped"), of("dead"), of("unanswered")), (skips, 0, 0), "{health}");
    let said: usize = tasks.iter().map(|task| house.said_by("ben", task).len()).sum();
    assert_eq!(said as u64, of("answered"), "{health}");
}
