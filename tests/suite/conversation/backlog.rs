//! A person's message behind thousands of rows that agents have caused: how long it waits, and what that costs.

#![allow(clippy::print_stdout, reason = "the figures are for people")]

use std::time::{Duration, Instant};

use mission_control_runtime::demo::gateway::{Prompt, Thought};
use serde_json::json;

use super::processes::Stack;
use crate::support::board;

/// The number of rows: more than a list shows. `BACKLOG_ROWS` changes it.
const ROWS: u64 = 600;

/// The longest wait. It takes four seconds; the counts below are the sharper bounds.
const LIMIT: Duration = Duration::from_mins(2);

/// The agents and tasks that the rows are about.
const AGENTS: [&str; 5] = ["one", "two", "three", "four", "five"];
const TASKS: usize = 10;

fn answers(_: &Prompt) -> Thought {
    Thought::say("I have read all of it.".to_owned()).after(Duration::from_millis(300))
}

#[test]
fn a_person_behind_a_backlog_of_agents_is_answered_within_two_minutes() {
    let rows = std::env::var("BACKLOG_ROWS").ok().and_then(|text| text.parse().ok()).unwrap_or(ROWS);
    let stack = Stack::new(&AGENTS, answers);
    let tasks: Vec<(String, String)> = (0..TASKS)
        .map(|_| {
            let task = stack.task("in_progress", &AGENTS);
            let message = stack.board.engine.write_row(
                "messages",
                json!({"accountId": stack.board.account, "taskId": task, "authorType": "agent",
                    "authorId": stack.agent("one"), "content": "@all, what do you think?", "mentions": [],
                    "createdAt": 2.0}),
            );
            (task, message.unwrap())
        })
        .collect();
    // Older than the message of the person, by the board's clock.
    for number in 0..rows {
        let place = usize::try_from(number).unwrap();
        let (task, message) = &tasks[place % TASKS];
        let agent = stack.agent(AGENTS[1 + place / TASKS % (AGENTS.len() - 1)]);
        stack.board.notification(
            agent,
            json!({"type": "mention", "taskId": task, "messageId": message, "title": "one mentioned you",
                "body": "You were mentioned", "createdAt": 10 + number}),
        );
    }
    let task = stack.task("in_progress", &AGENTS);
    let began = Instant::now();
    stack.mention(&task, "two", "are you there?");
    while stack.said_by("two", &task).is_empty() && began.elapsed() < LIMIT {
        std::thread::sleep(Duration::from_millis(50));
    }
    let waited = began.elapsed();
    let health = stack.health();
    let url = format!("http://{}/metrics", stack.address());
    let figures = board::agent().get(&url).call().unwrap().body_mut().read_to_string().unwrap();
    println!("{rows} rows: answered after {:.1} s; {} turns", waited.as_secs_f64(), stack.gateway().runs());
    println!("ended {}, lists {}", health["delivery"]["ended"], health["delivery"]["lists"]);
    let families = ["backend_calls_total", "delivery_origin_reads_total"];
    let lines = figures.lines().filter(|line| families.iter().any(|name| line.starts_with(name)));
    lines.for_each(|line| println!("{line}"));
    assert!(waited < LIMIT, "{waited:?}");
    // A turn answers up to twenty rows of an agent and a task. The list shows the rows of each in several parts.
    let tracks = u64::try_from(TASKS * (AGENTS.len() - 1)).unwrap();
    let most = 2 * tracks * (rows / tracks).div_ceil(20) + 1;
    let runs = stack.gateway().runs();
    assert!(runs <= most, "{runs} turns, {most} are enough for all rows");
    let count = |family: &str| {
        let lines = figures.lines().filter(|line| line.starts_with(family));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum::<u64>()
    };
    // Each row is read once to learn who caused it; the answers make further rows.
    let reads = count("delivery_origin_reads_total");
    assert!(reads <= rows * 3 / 2, "{reads} reads");
    let contexts = count("backend_calls_total{function=\"getNotificationForDelivery\"");
    assert!(contexts <= 3 * rows, "{contexts} contexts");
    let lists = count("backend_calls_total{function=\"listUndeliveredNotifications\"");
    // While people and agents write there are four a second.
    let polls = 4 * waited.as_secs();
    assert!(lists <= 40 + rows / 50 + polls, "{lists} lists");
}
