//! The loop brake through the program: agents that wake each other, a person who lets them continue, and restarts.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use mission_control_runtime::demo::gateway::{Prompt, Thought};
use serde_json::{Value, json};

use super::processes::Stack;

/// Ben and Ada mention each other in every answer.
fn each_other(prompt: &Prompt) -> Thought {
    let other = if prompt.agent == "ben" { "ada" } else { "ben" };
    Thought::say(format!("@{other}, your turn."))
}

/// Every agent mentions all others in every answer.
fn everyone(_: &Prompt) -> Thought {
    Thought::say("@all, what do you think?".to_owned())
}

/// The notices of the loop brake in a thread.
fn notices(stack: &Stack, task: &str) -> Vec<String> {
    let rows = stack.board.rows("messages").into_iter().filter(|row| row["taskId"] == *task);
    let texts = rows.map(|row| row["content"].as_str().unwrap().to_owned());
    texts.filter(|text| text.contains("Write here to let them continue")).collect()
}

/// How many answers of agents are in a thread.
fn said(stack: &Stack, task: &str) -> usize {
    stack.messages_of("ben", task).len() + stack.messages_of("ada", task).len() - notices(stack, task).len()
}

fn skipped(stack: &Stack) -> u64 {
    stack.health()["delivery"]["skipped"]["team-limit"].as_u64().unwrap_or_default()
}

#[test]
fn two_agents_that_mention_each_other_stop_until_a_person_writes() {
    let stack = Stack::new(&["ben", "ada"], each_other);
    let task = stack.task("in_progress", &["ben", "ada"]);
    stack.mention(&task, "ben", "begin");
    stack.settled();
    assert_eq!(stack.gateway().runs(), 1 + 12, "the answer to the person, and the hand-offs");
    assert_eq!(notices(&stack, &task).len(), 1);
    let health = stack.health();
    let guardrails = &health["delivery"]["guardrails"];
    assert_eq!((&guardrails["stoppedThreads"], &guardrails["teamStops"]), (&json!(1), &json!(1)), "{health}");
    assert_eq!(health["delivery"]["config"]["guardrails"]["teamDepthMax"], 12);
    assert_eq!(skipped(&stack), 1);

    // The person's message brings the stopped row back, and its own row starts as well.
    stack.board.advance(1);
    stack.mention(&task, "ben", "go on");
    stack.until("the second stop", |health| health["delivery"]["guardrails"]["teamStops"] == 2);
    stack.settled();
    let turns = stack.gateway().runs() - 13;
    assert!((1 + 12..=1 + 30).contains(&turns), "{turns} turns");
    assert_eq!(notices(&stack, &task).len(), 2, "one for each stop");
}

#[test]
fn a_message_to_a_team_of_five_ends_within_thirty_turns_of_agents() {
    let names = ["one", "two", "three", "four", "five"];
    let stack = Stack::new(&names, everyone);
    let task = stack.task("in_progress", &names);
    stack.board.person_says(&task, "@all, please begin");
    assert_eq!(stack.ask("POST", "/nudge", ""), 202);
    stack.until("the stop", |health| health["delivery"]["guardrails"]["teamStops"] == 1);
    stack.settled();
    assert_eq!(stack.gateway().runs(), 5 + 30, "each agent answers the person once");
    assert_eq!(notices(&stack, &task).len(), 1);
}

#[test]
fn kills_do_not_restart_the_count_and_post_no_second_notice() {
    let mut stack =
        Stack::new(&["ben", "ada"], |prompt: &Prompt| each_other(prompt).after(Duration::from_millis(60)));
    let task = stack.task("in_progress", &["ben", "ada"]);
    stack.mention(&task, "ben", "begin");
    for turns in [2, 5, 8, 11] {
        crate::support::wait::until("turns", || stack.gateway().runs() >= turns);
        stack.kill_and_start();
    }
    stack.until("the stop", |health| health["delivery"]["guardrails"]["stoppedThreads"] == 1);
    stack.settled();
    assert_eq!(said(&stack, &task), 1 + 12, "a killed process repeats turns, and they are not counted twice");
    assert_eq!(notices(&stack, &task).len(), 1);

    // The stopped row survives as well.
    stack.kill_and_start();
    stack.until("the stopped thread", |health| health["delivery"]["guardrails"]["stoppedThreads"] == 1);
    stack.board.advance(1);
    stack.mention(&task, "ada", "go on");
    crate::support::wait::until("more answers", || said(&stack, &task) > 13 + 2);
}

#[test]
fn a_retry_brings_a_stopped_row_back() {
    let stack = Stack::set(&["ben", "ada"], each_other, &[("TEAM_TURNS_MAX", "3")]);
    let task = stack.task("in_progress", &["ben", "ada"]);
    stack.mention(&task, "ben", "begin");
    stack.until("the stop", |health| health["delivery"]["guardrails"]["teamStops"] == 1);
    stack.settled();
    assert_eq!(stack.gateway().runs(), 1 + 3);
    let row = stack.board.rows("notifications").into_iter().rfind(|row| row["type"] == "mention").unwrap();
    let id = row["_id"].as_str().unwrap();
    let (_, why) = stack.command(["why", id]);
    assert!(
        why.contains("have reached the limit of turns or hand-offs")
            && why.contains(&format!("dead retry {id}")),
        "{why}"
    );
    let (code, done) = stack.command(["dead", "retry", id]);
    assert_eq!(code, Some(0), "{done}");
    stack.until("the second stop", |health| health["delivery"]["guardrails"]["teamStops"] == 2);
    stack.settled();
    assert_eq!(stack.gateway().runs(), 1 + 3 + 3, "the retried row is the first of three");
}

/// The ledger keeps rows that a later row covers as they ended.
#[test]
fn a_restart_starts_no_row_that_a_later_one_covers() {
    static FINISH: AtomicBool = AtomicBool::new(false);
    let names = ["one", "two", "three", "four", "five"];
    let mind = |prompt: &Prompt| {
        if FINISH.load(Ordering::Relaxed) { Thought::say("Done.".to_owned()) } else { everyone(prompt) }
    };
    let mut stack = Stack::set(&names, mind, &[("TEAM_TURNS_MAX", "10"), ("TEAM_DEPTH_MAX", "0")]);
    let task = stack.task("in_progress", &names);
    stack.board.person_says(&task, "@all, please begin");
    assert_eq!(stack.ask("POST", "/nudge", ""), 202);
    stack.until("the stop", |health| health["delivery"]["guardrails"]["teamStops"] == 1);
    stack.settled();
    let (_, status) = stack.command(["status"]);
    assert!(status.contains("1 thread waits for a person's message"), "{status}");
    FINISH.store(true, Ordering::Relaxed);
    stack.board.advance(1);
    stack.mention(&task, "one", "thank you, finish please");
    stack.until("the end of the stop", |health| health["delivery"]["guardrails"]["stoppedThreads"] == 0);
    stack.settled();
    let turns = stack.gateway().runs();
    stack.kill_and_start();
    stack.until("the start", |health| health["agentSync"]["agents"] == 5);
    stack.settled();
    assert_eq!(stack.gateway().runs(), turns, "no person has written since");
}

/// Five agents hand over in turn. Each fifth writes a new document.
#[test]
fn an_honest_collaboration_of_200_turns_is_not_stopped() {
    static TURNS: AtomicU64 = AtomicU64::new(0);
    let names = ["one", "two", "three", "four", "five"];
    let stack = Stack::new(&names, move |prompt: &Prompt| {
        if prompt.outputs().next().is_none() {
            let turn = TURNS.fetch_add(1, Ordering::Relaxed);
            if turn % 5 == 4 {
                let document = json!({"title": format!("Chapter {turn}"), "content": format!("It is turn {turn}."), "type": "note"});
                return Thought::call("document_upsert", &document);
            }
        }
        let at = names.iter().position(|name| *name == prompt.agent).unwrap();
        if TURNS.load(Ordering::Relaxed) > 200 {
            return Thought::say("Done.".to_owned());
        }
        Thought::say(format!("@{}, your part.", names[(at + 1) % 5]))
    });
    let task = stack.task("in_progress", &names);
    stack.mention(&task, "one", "begin");
    crate::support::wait::until("200 turns", || TURNS.load(Ordering::Relaxed) > 200);
    stack.settled();
    assert_eq!((skipped(&stack), notices(&stack, &task).len()), (0, 0), "{}", stack.health());
}

/// Two agents move the task to review and back.
#[test]
fn a_status_to_and_fro_is_no_progress() {
    let stack = Stack::new(&["ben", "ada"], |prompt: &Prompt| {
        let (status, other) = if prompt.agent == "ben" { ("review", "ada") } else { ("in_progress", "ben") };
        if prompt.outputs().next().is_none() && prompt.offers("task_status") {
            return Thought::call("task_status", &json!({"status": status}));
        }
        Thought::say(format!("@{other}, it is {status} now."))
    });
    let task = stack.task("in_progress", &["ben", "ada"]);
    stack.mention(&task, "ben", "begin");
    stack.until("the stop", |health| health["delivery"]["guardrails"]["teamStops"] == 1);
    stack.settled();
    let agents: Vec<Value> =
        stack.board.rows("messages").into_iter().filter(|row| row["authorType"] == "agent").collect();
    assert!(agents.len() <= 1 + 30 + 6 + 1, "one status was new: {}", agents.len());
    assert_eq!(notices(&stack, &task).len(), 1);
}
