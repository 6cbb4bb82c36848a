//! Fifty workers, three models, and a program that is killed at random instants: each finished model call that reports its
//! usage is charged exactly once, no turn starts at the limit, and each running turn overspends by at most one request.
//! A request of a model that reports no usage counts with the estimate of its texts, which is more than the others use.
//!
//! `BUDGET_KILLS` and `BUDGET_TURNS` set the numbers (`make test-budget`: 25 before the limit and 25 after it, 1,000 turns); `KILL_SEED` repeats a run.

#![allow(clippy::print_stdout, reason = "the figures are for people, and the seed repeats what failed")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mission_control_runtime::demo::gateway::{Prompt, Thought};
use mission_control_runtime::ledger;
use serde_json::Value;

use super::super::processes::Stack;
use super::{is_found, is_reached, scope, tokens};
use crate::support::dice::Dice;

/// The numbers that `make test` has time for.
const KILLS: u64 = 4;
const TURNS: u64 = 60;
const WORKERS: u64 = 50;
/// Each model request, and how many a turn has.
const REQUEST: u64 = 100;
const REQUESTS: u64 = 3;
/// The agents: every third has a model that reports no usage.
const AGENTS: u64 = 50;

/// The model calls one of the gateway's tools twice and then answers.
fn model(prompt: &Prompt) -> Thought {
    let rounds = prompt.text.matches("Tool:").count() + prompt.text.matches("again").count();
    let thought = if rounds > 0 && prompt.text.contains("last") {
        Thought::say(format!("{} answers.", prompt.agent))
    } else {
        let result = if rounds > 0 { "again last" } else { "again" };
        Thought::work("exec", Duration::from_millis(20), result)
    };
    let thought = thought.after(Duration::from_millis(20));
    let number: u64 = prompt.agent[1..].parse().unwrap();
    if is_unmetered(number) { thought.unmetered() } else { thought.costing(REQUEST - 10, 10) }
}

fn is_unmetered(agent: u64) -> bool {
    agent % 3 == 2
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

#[test]
fn the_books_agree_across_random_kills() {
    let (kills, turns) = (number("BUDGET_KILLS", KILLS), number("BUDGET_TURNS", TURNS));
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let seed = number("KILL_SEED", u64::try_from(millis).unwrap());
    println!("KILL_SEED={seed}");
    let mut dice = Dice(seed);
    let names: Vec<String> = (0..AGENTS).map(|number| format!("a{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let half = turns * REQUEST * REQUESTS / 2;
    let (limit, workers) = (half.to_string(), WORKERS.to_string());
    let variables = [
        ("BUDGET_DAILY_TOKENS", limit.as_str()),
        ("DELIVERY_MAX_CONCURRENT_SESSIONS", workers.as_str()),
        (ledger::SLOW_DISK, "5"),
    ];
    let mut stack = Stack::set(&names, model, &variables);
    let tasks: Vec<(String, &str)> = (0..turns)
        .map(|number| {
            let name = names[usize::try_from(number % AGENTS).unwrap()];
            let task = stack.task("assigned", &[name]);
            stack.board.person_says(&task, &format!("@{name}, number {number}"));
            (task, name)
        })
        .collect();
    assert_eq!(stack.ask("POST", "/nudge", ""), 202);
    for _ in 0..kills {
        std::thread::sleep(Duration::from_millis(dice.roll(400)));
        stack.kill_and_start();
    }
    stack.until("the limit", is_reached);
    stack.until("the end of all turns", |health| health["delivery"]["inFlight"] == 0 && settled(&stack));
    let spent_at_limit = books(&stack, "at the limit");
    let posts = stack.gateway().posts();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(stack.gateway().posts(), posts, "no turn starts at the limit");

    is_found(&stack);
    let (code, text) = stack.command(["budget", "raise", "1000000000"]);
    assert_eq!(code, Some(0), "{text}");
    for _ in 0..kills {
        std::thread::sleep(Duration::from_millis(dice.roll(400)));
        stack.kill_and_start();
    }
    stack.until("every answer", |_| {
        tasks
            .iter()
            .all(|(task, name)| stack.said_by(name, task).iter().any(|text| text.ends_with("answers.")))
    });
    stack.settled();
    stack.until("the end of all turns", |health| health["delivery"]["inFlight"] == 0 && settled(&stack));
    let spent = books(&stack, "at the end");
    // Each turn reserves the estimate of its texts, so no more of them run than fit into the budget, and one that runs alone.
    let estimated = scope(&stack, None)["estimatedTokens"].as_u64().unwrap();
    let unmetered = (0..turns).filter(|turn| is_unmetered(turn % AGENTS)).count() as u64;
    let request = estimated / (unmetered * REQUESTS);
    let running = WORKERS.min(half / request + 1);
    assert!(spent_at_limit <= half + running * request, "{spent_at_limit} of {half}, {request} a request");
    println!(
        "turns {turns}, kills {}, spent {spent}, limit {half}, requests of the model {}",
        2 * kills,
        stack.gateway().runs()
    );
    stack.stop();
}

/// Whether no turn is open any more.
fn settled(stack: &Stack) -> bool {
    let account = scope(stack, None);
    tokens(&account["running"]) == 0 && metered(&account) == stack.gateway().spent().all()
}

/// The part that models have reported.
fn metered(account: &Value) -> u64 {
    tokens(&account["spent"]) - account["estimatedTokens"].as_u64().unwrap()
}

/// Compares the books with those of the model. Returns what was spent.
fn books(stack: &Stack, when: &str) -> u64 {
    let account = scope(stack, None);
    assert_eq!(metered(&account), stack.gateway().spent().all(), "{when}: {account}");
    assert!(account["estimatedTokens"].as_u64().unwrap() > 0, "{account}");
    tokens(&account["spent"])
}
