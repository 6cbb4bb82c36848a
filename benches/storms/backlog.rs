//! A person's row behind many rows that agents caused: the window of the backend shows the oldest rows only.

use std::thread;
use std::time::{Duration, Instant};

use mission_control_runtime::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use super::figures::Figures;
use super::world::{QUESTION, Runtime, TEAM, World, lock};
use super::{LOOK, Scale, end, limits, team, turns};

/// Measures the time until the person's row starts, and until its answer is stored.
pub(super) fn measure(scale: &Scale) {
    let world = World::new(team, scale.turn);
    let rows = fill(&world, scale.rows);
    world.thread("Question 0", &format!("@{}, {QUESTION}0?", TEAM[0]));
    let began = Instant::now();
    let runtime = Runtime::start(&world);
    let at = |of: &dyn Fn() -> Option<Instant>| {
        while began.elapsed() < scale.backlog {
            if let Some(at) = of() {
                return Some(at.saturating_duration_since(began));
            }
            thread::sleep(LOOK / 10);
        }
        None
    };
    let started = at(&|| lock(&world.seen.asked).get(&0).copied());
    let answered = at(&|| lock(&world.seen.answered).get(&0).copied());
    Figures::of(&world.seen, began.elapsed()).print(&format!("backlog of {rows} rows"));
    limits(&runtime);
    let show = |time: Option<Duration>| {
        time.map_or_else(
            || format!("not within {} s", scale.backlog.as_secs()),
            |time| format!("{:.1} s after the start of the service", time.as_secs_f64()),
        )
    };
    println!("  the row starts   {}", show(started));
    println!("  its answer       {}", show(answered));
    println!("  before it        {} turns; {} rows still wait", turns(&world.seen), world.waiting());
    end(&runtime);
}

/// Fills a thread in which each agent has mentioned all others, as a storm leaves it. Returns the number of rows.
fn fill(world: &World, rows: usize) -> usize {
    let task = world.person("tasks:create", json!({"title": "A name", "priority": 3, "labels": []}));
    let account = world.account();
    let mention = |agent: usize| json!({"type": "agent", "id": world.agents[agent], "name": format!("Agent {}", TEAM[agent]), "slug": TEAM[agent]});
    // A minute ago and later, so that every row is older than the person's.
    let mut now = SystemClock.now().0 as f64 - 60_000.0;
    let mut made = 0;
    for number in 0.. {
        let author = number % TEAM.len();
        let others = (0..TEAM.len()).filter(|agent| *agent != author);
        now += 1.0;
        let mentions: Vec<Value> = others.clone().map(mention).collect();
        let message = json!({"accountId": account, "taskId": task, "authorType": "agent", "authorId": world.agents[author],
            "content": team(TEAM[author], number as u64), "mentions": mentions, "createdAt": now});
        let message = world.engine.write_row("messages", message).unwrap();
        for other in others {
            if made == rows {
                return made;
            }
            let row = json!({"accountId": account, "type": "mention", "recipientType": "agent",
                "recipientId": world.agents[other], "taskId": task, "messageId": message, "createdAt": now,
                "title": format!("Agent {} mentioned you", TEAM[author]),
                "body": "You were mentioned in the task \"A name\""});
            world.engine.write_row("notifications", row).unwrap();
            made += 1;
        }
    }
    made
}
