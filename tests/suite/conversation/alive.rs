//! Working, waiting, stuck: the program's judgement of a turn whose connection is silent (openclaw-gateway
//! §11.7). The limit is ten seconds here; with the default of a quarter of an hour everything takes 90
//! times as long.

use std::time::{Duration, Instant};

use mission_control_runtime::demo::gateway::{Prompt, Thought};
use serde_json::{Value, json};

use super::processes::Stack;

const LIMIT: Duration = Duration::from_secs(10);
const LIMIT_OF_TURNS: (&str, &str) = ("OPENCLAW_REQUEST_TIMEOUT_MS", "10000");

fn stack(slugs: &[&str], mind: impl Fn(&Prompt) -> Thought + Send + Sync + 'static) -> Stack {
    Stack::set(slugs, mind, &[LIMIT_OF_TURNS])
}

/// How often the model has worked in this turn.
fn worked(prompt: &Prompt) -> usize {
    use mission_control_runtime::demo::gateway::Item;
    let items = prompt.transcript.iter().rev().map(|entry| &entry.item);
    items
        .take_while(|item| !matches!(item, Item::User(_)))
        .filter(|item| matches!(item, Item::ToolResult { .. }))
        .count()
}

/// An hour with a sign of life every four and a half minutes, 90 times as fast: the connection is silent for all that
/// time, and the turn is not aborted.
#[test]
fn a_long_turn_with_signs_of_life_is_not_aborted() {
    const STEPS: usize = 13;
    let step = Duration::from_secs(3);
    let stack = stack(&["ben"], move |prompt: &Prompt| {
        if worked(prompt) < STEPS { Thought::work("exec", step, "on it") } else { Thought::say("At last.") }
    });
    let task = stack.task("in_progress", &["ben"]);
    let began = Instant::now();
    stack.mention(&task, "ben", "take your time");
    assert_eq!(stack.answer_of("ben", &task), "At last.");
    assert!(began.elapsed() > 3 * LIMIT, "{:?}", began.elapsed());
    stack.settled();
    let health = stack.health();
    assert_eq!(health["delivery"]["ended"], json!({"answered": 1}), "{health}");
    assert_eq!((stack.gateway().posts(), &health["delivery"]["failed"]), (1, &json!(0)), "{health}");
}

fn turn_is(health: &Value, state: &str) -> bool {
    health["delivery"]["turns"].as_array().unwrap().iter().any(|turn| turn["state"] == state)
}

/// A turn without any sign of life is reported after the limit, aborted, and sent once more.
#[test]
fn a_stuck_turn_is_reported_aborted_and_sent_once_more() {
    let stack = stack(&["ben", "ada"], |prompt: &Prompt| {
        if prompt.text.contains(" try 1]") { Thought::hang() } else { Thought::say("Here I am.") }
    });
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "hello");
    stack.begun();
    let began = Instant::now();
    stack.until("a quiet turn", |health| turn_is(health, "quiet"));
    let health = stack.until("a stuck turn", |health| turn_is(health, "stuck"));
    assert!(began.elapsed() > LIMIT / 2, "{:?}", began.elapsed());
    assert_eq!(
        (&health["status"], &health["reasons"]),
        (&json!("degraded"), &json!(["stuck_turns"])),
        "{health}"
    );
    assert_eq!(stack.answer_of("ben", &task), "Here I am.");
    stack.settled();
    let health = stack.health();
    assert_eq!(
        (&health["status"], &health["delivery"]["turns"]),
        (&json!("healthy"), &json!([])),
        "{health}"
    );
    assert_eq!(stack.gateway().posts(), 2);
}

/// The second time it is given up, and a notice is in the thread.
#[test]
fn a_turn_stuck_twice_is_given_up() {
    let stack = stack(&["ben"], |_: &Prompt| Thought::hang());
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "hello");
    stack.settled();
    let health = stack.health();
    assert_eq!(health["delivery"]["ended"], json!({"dead": 1}), "{health}");
    let why = health["delivery"]["lastErrorMessage"].as_str().unwrap();
    assert!(why.contains("stuck for the second time"), "{why}");
    assert_eq!(stack.gateway().posts(), 2);
    let said = stack.said_by("ben", &task);
    assert!(said.len() == 1 && said[0].contains("the agent's turn showed no sign of life"), "{said:?}");
}

/// A turn that the gateway has not begun, because it is busy with others, waits; it is not stuck.
#[test]
fn a_queued_turn_is_not_stuck() {
    let slugs = ["ben", "ada"];
    let mind = |prompt: &Prompt| {
        if worked(prompt) < 5 {
            Thought::work("exec", Duration::from_secs(2), "on it")
        } else {
            Thought::say(format!("{} at last.", prompt.agent))
        }
    };
    let stack = Stack::played_with(&slugs, mind, |options| options.max_concurrent = 1, &[LIMIT_OF_TURNS]);
    let tasks = slugs.map(|slug| (slug, stack.task("in_progress", &[slug])));
    for (slug, task) in &tasks {
        stack.mention(task, slug, "hello");
    }
    stack.until("a waiting turn", |health| turn_is(health, "waiting"));
    for (slug, task) in &tasks {
        assert_eq!(stack.answer_of(slug, task), format!("{slug} at last."));
    }
    stack.settled();
    assert_eq!(stack.health()["delivery"]["ended"], json!({"answered": 2}));
    assert_eq!(stack.gateway().posts(), 2);
}
