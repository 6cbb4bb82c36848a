//! Two programs on one account, as on two machines: with one board and one gateway, and separate state
//! directories.

#![allow(clippy::print_stdout, reason = "figures for whoever runs the tests with --nocapture")]

pub(super) use mission_control_runtime::delivery::service::STAND_BACK;
use mission_control_runtime::demo::gateway::{Prompt, Thought};
use mission_control_runtime::ledger::{Ledger, Options};
use mission_control_runtime::model::{AccountId, LedgerSync};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use super::processes::Stack;
use crate::support::board::agent;
use crate::support::program::{Running, private};

/// The setup's number of workers.
const WORKERS: u64 = 20;

const SLUGS: [&str; 5] = ["one", "two", "three", "four", "five"];

fn slow(prompt: &Prompt) -> Thought {
    Thought::say(format!("{} answers.", prompt.agent)).after(Duration::from_millis(800))
}

/// Fifty tracks.
fn tasks(stack: &Stack) -> Vec<(&'static str, String)> {
    let task = |n: usize| (SLUGS[n % 5], stack.task("in_progress", &[SLUGS[n % 5]]));
    (0..50).map(task).collect()
}

/// This many rows, evenly over the tracks.
fn load(stack: &Stack, tasks: &[(&str, String)], rows: usize) {
    for n in 0..rows {
        let (slug, task) = &tasks[n % tasks.len()];
        stack.board.person_says(task, &format!("@{slug}, number {n}"));
    }
}

/// Checks that the account was never offline, and that no agent was removed from the board.
fn nobody_went_offline(stack: &Stack) {
    assert_ne!(stack.account()["runtimeStatus"], "offline");
    let rows = stack.board.rows("activities");
    let offline: Vec<&Value> = rows.iter().filter(|row| row["meta"]["newStatus"] == "offline").collect();
    assert!(offline.is_empty(), "{offline:?}");
    assert!(stack.board.rows("agents").iter().all(|agent| agent["status"] != "offline"));
}

/// How many messages are in the threads twice, and how many turns were sent twice, by the books of the
/// backend and of the gateway.
pub(super) fn doubled(stack: &Stack) -> (u64, u64) {
    let mut posts: HashMap<String, u64> = HashMap::new();
    for row in stack.board.rows("messages").iter().filter(|row| row["authorType"] == "agent") {
        let source = row["sourceNotificationId"].as_str().expect("every answer names its row");
        *posts.entry(source.to_owned()).or_default() += 1;
    }
    let posts = posts.values().map(|count| count - 1).sum();
    let turns = stack.gateway().markers().values().map(|marks| marks.posts.saturating_sub(1)).sum();
    (posts, turns)
}

/// Whether `/health` names another runtime. A process that is stopping does not answer any more.
fn says_foreign(address: &str) -> bool {
    let answer = agent().get(format!("http://{address}/health")).call();
    let body = answer.and_then(|mut answer| answer.body_mut().read_to_string()).unwrap_or_default();
    body.contains("\"foreign_instance\"")
}

fn is_typing(row: &Value) -> bool {
    row.get("readAt").is_some() && row.get("deliveredAt").is_none() && row.get("deliveryEndedAt").is_none()
}

/// On one machine the lock detects the second program at once, and the error does not suggest a second state
/// directory.
#[test]
fn a_second_program_with_the_same_state_directory_is_refused() {
    let stack = Stack::new(&["one"], slow);
    let port = stack.address().rsplit(':').next().unwrap();
    for port in ["0", port] {
        let (code, log) =
            stack.another_with(&[("STATE_DIR", stack.state_dir()), ("HEALTH_PORT", port)]).end();
        assert_eq!(code, Some(4), "a supervisor is not to try again: {log}");
        let words = format!("already runs on STATE_DIR {}; stop it.", stack.state_dir());
        assert!(log.contains(&words) && log.contains("A second STATE_DIR would not help"), "{log}");
        assert!(!log.contains("Listening"), "no port opens that would close at once: {log}");
    }
    nobody_went_offline(&stack);
}

/// A command holds the ledger for a moment. A program that stops because of another runtime is not restarted,
/// so the start waits for the ledger.
#[test]
fn a_start_waits_for_a_command_that_holds_the_ledger() {
    let mut stack = Stack::new(&["one"], slow);
    stack.kill();
    let options = Options::new(AccountId::new(&stack.board.account), LedgerSync::Full);
    let held = Ledger::open(&private(Path::new(stack.state_dir())), &options).unwrap();
    let mut started = stack.another_with(&[("STATE_DIR", stack.state_dir())]);
    started.wait_for_log("Another process has the ledger");
    drop(held);
    started.address();
}

/// The backend receives a call of a killed runtime between the first lists of the next one.
#[test]
fn a_late_call_of_a_killed_runtime_does_not_end_the_next_one() {
    let mut stack = Stack::set(&SLUGS, slow, &[(STAND_BACK, "1000"), ("FOLD_MAX", "1")]);
    stack.kill();
    let tasks = tasks(&stack);
    load(&stack, &tasks, 30);
    let rows = stack.undelivered();
    let mut next = stack.another_with(&[(STAND_BACK, "1000"), ("FOLD_MAX", "1")]);
    let address = next.address();
    let until = Instant::now() + Duration::from_mins(4);
    let mut late = rows.iter().map(|row| row["_id"].as_str().unwrap());
    while !says_foreign(&address) && !next.has_ended() {
        assert!(Instant::now() < until, "no call is seen between two lists");
        if let Some(id) = late.next() {
            stack.board.service("markNotificationRead", json!({"notificationId": id})).unwrap();
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    if next.has_ended() {
        let (code, log) = next.end();
        panic!("it has left with {code:?}: {log}");
    }
    next.wait_for_log("delivery continues");
    stack.take(next, address);
    stack.settled();
    assert_eq!(doubled(&stack), (0, 0));
    assert_eq!(stack.health()["delivery"]["ended"], json!({"answered": 30}));
    assert!(stack.health()["delivery"]["foreignInstance"].is_null());
}

#[test]
fn the_second_program_stops_without_a_turn_or_disturbance() {
    let stack = Stack::set(&SLUGS, slow, &[(STAND_BACK, "1000"), ("FOLD_MAX", "1")]);
    let tasks = tasks(&stack);
    load(&stack, &tasks, 200);
    stack.begun();
    let mut other = stack.another();
    let address = other.address();
    let line = other.wait_for_log("Another runtime works on this account");
    assert!(line.contains("Stop one of the two"), "{line}");
    let (code, log) = other.end();
    assert_eq!(code, Some(4), "{log}");
    assert!(!log.contains("answered"), "it has delivered nothing: {log}");
    nobody_went_offline(&stack);
    stack.settled();
    assert_eq!(doubled(&stack), (0, 0));
    assert_eq!(stack.health()["delivery"]["ended"], json!({"answered": 200}));
    assert!(std::net::TcpStream::connect(address).is_err(), "it has gone");
}

/// An established program never notices the other one, so this test starts two at the same instant.
#[test]
fn of_two_programs_started_together_one_stays() {
    let mut stack = Stack::set(&SLUGS, slow, &[("DELIVERY_INTERVAL", "2000"), (STAND_BACK, "4000")]);
    stack.kill();
    let tasks = tasks(&stack);
    load(&stack, &tasks, 200);
    let (mut one, mut two) = (stack.another(), stack.another());
    let (here, there) = (one.address(), two.address());
    let until = Instant::now() + Duration::from_mins(4);
    let mut more = 0;
    let (stays, address, left) = loop {
        match (one.has_ended(), two.has_ended()) {
            (false, true) => break (one, here, two),
            (true, false) => break (two, there, one),
            (ended, _) => assert!(!ended, "nobody stays"),
        }
        assert!(Instant::now() < until, "both stay");
        // Without rows neither program can be seen.
        std::thread::sleep(Duration::from_millis(500));
        load(&stack, &tasks[more % 50..], 1);
        more += 1;
    };
    let (code, log) = left.end();
    assert_eq!(code, Some(4), "{log}");
    stack.take(stays, address);
    nobody_went_offline(&stack);
    stack.settled();
    let (posts, turns) = doubled(&stack);
    println!("two together: {turns} turns and {posts} messages twice; {more} rows until one had left");
    assert_eq!(posts, 0, "no message stands twice");
    assert!(turns <= 2 * WORKERS, "{turns} turns were made twice");
    assert!(
        stack
            .board
            .rows("notifications")
            .iter()
            .all(|row| row["recipientType"] != "agent" || row.get("deliveredAt").is_some())
    );
    assert!(!stack.board.rows("notifications").iter().any(is_typing));
    assert!(stack.health()["delivery"]["foreignInstance"].is_null());
}

/// Two programs on an empty board see each other with the first rows. Until the decision `/health` reports
/// it.
#[test]
fn of_two_idle_programs_one_stays() {
    let mut stack = Stack::set(&SLUGS, slow, &[(STAND_BACK, "2000")]);
    let mut other = stack.another();
    let address = other.address();
    other.wait_for_log("The roster has changed");
    let tasks = tasks(&stack);
    load(&stack, &tasks, 100);
    let until = Instant::now() + Duration::from_mins(4);
    let (mut seen, mut more, mut first) = (false, 0, stack.give());
    let here = stack.address().to_owned();
    let (stays, address, left): (Running, String, Running) = loop {
        match (first.has_ended(), other.has_ended()) {
            (false, true) => break (first, here, other),
            (true, false) => break (other, address, first),
            (ended, _) => assert!(!ended, "nobody stays"),
        }
        seen |= says_foreign(&here) || says_foreign(&address);
        assert!(Instant::now() < until, "both stay");
        std::thread::sleep(Duration::from_millis(500));
        load(&stack, &tasks[more % 50..], 1);
        more += 1;
    };
    assert!(seen, "/health says so");
    let (code, log) = left.end();
    assert_eq!(code, Some(4), "{log}");
    stack.take(stays, address);
    nobody_went_offline(&stack);
    stack.settled();
    let (posts, turns) = doubled(&stack);
    println!("two idle ones: {turns} turns and {posts} messages twice");
    assert_eq!(posts, 0, "no message stands twice");
    assert!(turns <= 2 * WORKERS, "{turns} turns were made twice");
}
