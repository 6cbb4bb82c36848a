//! The events of sessions as signs of life of silent turns (openclaw-gateway §11.7, §12.4). The limit of silence is five
//! seconds, and the turns take longer.

use std::time::Duration;

use mission_control_runtime::demo::gateway::{Item, Options, Prompt, Release, Thought};
use serde_json::json;

use super::processes::Stack;

const STEPS: usize = 10;

/// Works in silence for twice the limit, with an item in the history every second.
fn works(prompt: &Prompt) -> Thought {
    let items = prompt.transcript.iter().rev().map(|entry| &entry.item);
    let done = items
        .take_while(|item| !matches!(item, Item::User(_)))
        .filter(|item| matches!(item, Item::ToolResult { .. }))
        .count();
    if done < STEPS {
        Thought::work("exec", Duration::from_secs(1), "on it")
    } else {
        Thought::say(format!("{} is done.", prompt.agent))
    }
}

fn stack(slugs: &[&str], change: impl FnOnce(&mut Options)) -> Stack {
    Stack::played_with(slugs, works, change, &[("OPENCLAW_REQUEST_TIMEOUT_MS", "5000")])
}

/// Each agent gets a message, answers it in one turn, and none of the turns counts as stuck.
fn all_are_answered(stack: &Stack, slugs: &[&str]) {
    let tasks: Vec<_> = slugs.iter().map(|slug| (slug, stack.task("in_progress", &[slug]))).collect();
    for (slug, task) in &tasks {
        stack.mention(task, slug, "take your time");
    }
    for (slug, task) in &tasks {
        assert_eq!(stack.answer_of(slug, task), format!("{slug} is done."));
    }
    stack.settled();
    let health = stack.health();
    assert_eq!(health["delivery"]["ended"], json!({"answered": slugs.len()}), "{health}");
    assert_eq!((stack.gateway().posts(), &health["delivery"]["failed"]), (slugs.len() as u64, &json!(0)));
}

/// Without a readable history only the events show that the turns live. All of them come over one connection, which ends
/// with the last turn.
#[test]
fn events_keep_turns_alive_whose_history_cannot_be_read() {
    let slugs = ["ben", "ada", "eve"];
    for release in [Release::V2026_5_28, Release::V2026_9_6] {
        let stack = stack(&slugs, |options| options.release = release);
        stack.faults().hide_history();
        all_are_answered(&stack, &slugs);
        assert_eq!(stack.gateway().most_followers(), 1, "{release:?}");
        stack.until("the end of the connection", |_| stack.gateway().followers() == 0);
    }
}

/// A lost connection is opened again, also in the middle of a turn.
#[test]
fn a_follower_that_loses_its_connection_follows_again() {
    let stack = stack(&["ben"], |_| {});
    stack.faults().lose_followers(1);
    stack.faults().hide_history();
    all_are_answered(&stack, &["ben"]);
    assert_eq!(stack.faults().followers_to_lose(), 0);
}

/// Where sessions cannot be followed, the history is read as before.
#[test]
fn refused_subscriptions_and_closed_sockets_leave_the_reading() {
    let slugs = ["ben", "ada"];
    let stacks = [
        ("refused", stack(&slugs, |_| {})),
        ("no WebSocket", stack(&slugs, |options| options.sockets = false)),
        ("too old", stack(&slugs, |options| options.release = Release::V2026_3_24)),
    ];
    for (name, stack) in &stacks {
        if *name == "refused" {
            stack.faults().refuse_followers();
        }
        all_are_answered(stack, &slugs);
        assert_eq!(stack.gateway().most_followers(), 0, "{name}");
    }
}
