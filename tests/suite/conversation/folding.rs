//! Folding through the program: one turn answers waiting notifications, also across kills.

#![allow(clippy::print_stdout, reason = "the seed is for people")]

use std::path::Path;
use std::time::Duration;

use mission_control_runtime::delivery::End;
use mission_control_runtime::demo::gateway::{Prompt, Thought};
use mission_control_runtime::ledger;
use serde_json::Value;

use super::processes::Stack;
use crate::support::dice::Dice;
use crate::support::program::private;
use crate::support::wait;

/// Answers with every word of the form `question-N` that the request has.
fn repeats(prompt: &Prompt) -> Thought {
    let words = prompt.text.split(|c: char| !(c.is_alphanumeric() || c == '-'));
    let mut seen: Vec<&str> = words.filter(|word| word.starts_with("question-")).collect();
    seen.sort_unstable();
    seen.dedup();
    Thought::say(format!("seen: {}", seen.join(" "))).after(Duration::from_millis(300))
}

fn ended(health: &Value, name: &str) -> u64 {
    health["delivery"]["ended"][name].as_u64().unwrap_or_default()
}

#[test]
fn messages_that_wait_are_answered_by_one_turn_that_has_all_their_texts() {
    let stack = Stack::new(&["ben"], repeats);
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "question-0");
    stack.begun();
    for number in 1..=5 {
        stack.board.person_says(&task, &format!("@ben question-{number}"));
    }
    assert_eq!(stack.ask("POST", "/nudge", ""), 202);
    stack.settled();
    let health = stack.until("the ends", |health| ended(health, "folded") == 4);
    assert_eq!(ended(&health, "answered"), 2);
    assert_eq!(stack.gateway().runs(), 2);
    let answer = stack.said_by("ben", &task).pop().unwrap();
    for number in 1..=5 {
        assert!(answer.contains(&format!("question-{number}")), "{number}: {answer}");
    }
    assert!(stack.undelivered().is_empty());
    let rows = stack.board.rows("notifications");
    let of_ben = rows.iter().filter(|row| row["recipientType"] == "agent").collect::<Vec<_>>();
    let why = |row: &Value| stack.command(["why", row["_id"].as_str().unwrap()]).1;
    let cover = of_ben[5]["_id"].as_str().unwrap();
    let told = why(of_ben[2]);
    assert!(told.contains("answered together with a later notification") && told.contains(cover), "{told}");
}

/// SIGKILL at random instants: every notification is settled once, and each text was in a turn that was answered.
#[test]
fn kills_lose_no_folded_text_and_post_no_answer_twice() {
    let seed = std::env::var("KILL_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("KILL_SEED={seed}");
    let mut dice = Dice(seed);
    let mut stack = Stack::new(&["ben", "ada"], repeats);
    let tasks: Vec<String> = (0..3).map(|_| stack.task("in_progress", &["ben", "ada"])).collect();
    for round in 0..6 {
        for (place, task) in tasks.iter().enumerate() {
            for slug in ["ben", "ada"] {
                stack.board.person_says(task, &format!("@{slug} question-{slug}-{place}-{round}"));
            }
        }
        stack.ask("POST", "/nudge", "");
        stack.works();
        std::thread::sleep(Duration::from_millis(dice.roll(500)));
        stack.kill_and_start();
    }
    stack.settled();
    wait::until("all marks", || stack.undelivered().is_empty());
    // Each process counts its own ends, so the ledger is asked.
    let folded = || {
        let deliveries = ledger::read(&private(Path::new(stack.state_dir()))).unwrap().deliveries;
        let folded = |end: &Option<End>| matches!(end, Some(End::Folded(_)));
        deliveries.iter().filter(|delivery| folded(&delivery.end)).count()
    };
    wait::until("folded rows", || folded() > 0);
    for (place, task) in tasks.iter().enumerate() {
        for slug in ["ben", "ada"] {
            let answers = stack.said_by(slug, task).join("\n");
            for round in 0..6 {
                let words = format!("question-{slug}-{place}-{round}");
                assert!(answers.contains(&words), "KILL_SEED={seed}: {words} is in no answer: {answers}");
            }
            let messages = stack.messages_of(slug, task);
            let mut sources: Vec<String> =
                messages.iter().map(|message| message["sourceNotificationId"].to_string()).collect();
            sources.sort_unstable();
            let before = sources.len();
            sources.dedup();
            assert_eq!(sources.len(), before, "KILL_SEED={seed}: one answer for each notification");
        }
    }
}
