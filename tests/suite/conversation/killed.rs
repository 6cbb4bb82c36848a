//! SIGKILL under load with tools: the program, and sometimes the gateway, at random instants. Every row is
//! answered once, and every effect happens once. The oracle is what the board and the model have seen.
//!
//! `KILLS` is the number of kills (`make test-kill`: 200, with five rows for each), `KILL_SEED` repeats a
//! run.

#![allow(clippy::print_stdout, reason = "the table is for people, and the seed repeats what failed")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mission_control_runtime::clock::{Clock as _, SystemClock};
use mission_control_runtime::delivery::journal::{RecordedStep, Step};
use mission_control_runtime::demo::load::{Load, Records};
use mission_control_runtime::ledger;
use serde_json::json;

use super::processes::Stack;
use crate::support::dice::Dice;
use crate::support::program::private;

/// The number of kills that `make test` has time for.
const KILLS: u64 = 8;
/// Rows for each kill.
const ROWS_PER_KILL: u64 = 5;
/// After this many kills of the program the gateway is killed.
const GATEWAY_LIVES: u64 = 12;
/// The agents. Two of ten are silent, so that retries of silence are hit often enough.
const AGENTS: usize = 40;
/// The longest life of a program after it has begun to work, in milliseconds.
const LIFE_MS: u64 = 350;

/// The duration of each turn.
const TURN: Duration = Duration::from_millis(30);

/// A kill this soon after the end of a delivery counts as a hit on it.
const JUST_ENDED: Duration = Duration::from_millis(50);

#[test]
fn every_row_ends_once_across_random_kills() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let kills = number("KILLS").unwrap_or(KILLS);
    let seed = number("KILL_SEED").unwrap_or_else(|| {
        u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
    });
    println!("KILL_SEED={seed}");
    let mut dice = Dice(seed);
    let names: Vec<String> = (0..AGENTS).map(|number| format!("a{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // A slightly slow disk, so that there is time between two steps.
    let mut stack = Stack::set(&names, Load { turn: TURN }, &[(ledger::SLOW_DISK, "10")]);
    for number in 0..kills * ROWS_PER_KILL {
        let name = names[usize::try_from(number).unwrap() % AGENTS];
        let task = stack.task("assigned", &[name]);
        if number % 3 == 0 {
            stack.board.notification(stack.agent(name), json!({"taskId": task}));
        } else {
            stack.board.person_says(&task, &format!("@{name}, number {number}"));
        }
    }
    stack.board.slow_down_by(Duration::from_millis(4));
    // The positions of deliveries at the kills. No person retries anything here, and a restart does not show
    // a position.
    let steps = Step::ALL.into_iter().filter(|step| !matches!(step, Step::Retried | Step::Restarted));
    let mut stood: BTreeMap<String, u32> = steps.map(|step| (step.name().to_owned(), 0)).collect();
    for kill in 1..=kills {
        stack.works();
        std::thread::sleep(Duration::from_millis(dice.roll(LIFE_MS)));
        stack.kill();
        let now = SystemClock.now();
        for delivery in ledger::read(&private(Path::new(stack.state_dir()))).unwrap().deliveries {
            // A delivery that ended earlier was not hit.
            let hit = delivery.closed.is_none_or(|at| now.since(at) < JUST_ENDED);
            let stands = |steps: &&RecordedStep| steps.step != Step::Restarted.name();
            if let Some(last) = delivery.steps.iter().rev().find(stands).filter(|_| hit) {
                *stood.entry(last.step.clone()).or_default() += 1;
            }
        }
        if kill % GATEWAY_LIVES == 0 {
            stack.restart_gateway();
        }
        stack.start();
    }
    stack.settled();

    let agents = names.iter().map(|name| (stack.agent(name).to_owned(), (*name).to_owned())).collect();
    let [notifications, messages, documents] =
        ["notifications", "messages", "documents"].map(|table| stack.board.rows(table));
    let records = Records {
        notifications: &notifications,
        messages: &messages,
        documents: &documents,
        markers: &stack.gateway().markers(),
        agents: &agents,
    };
    let tally = records.tally();
    println!("{kills} kills, {} rows; where deliveries under way stood at a kill:", tally.rows);
    for (step, times) in &stood {
        println!("  {step:<14} {times}");
    }
    assert!(
        tally.is_exact(),
        "{} of {}, seed {seed}:\n{}",
        tally.faults.len(),
        tally.rows,
        tally.faults.join("\n")
    );
    assert_eq!(tally.rows, kills * ROWS_PER_KILL);
    if kills >= 100 {
        // The note of a result usually reaches the disk together with the next step.
        let often = stood.iter().filter(|(step, _)| *step != Step::ToolResult.name());
        let rare: Vec<&String> = often.filter(|(_, times)| **times < 5).map(|(step, _)| step).collect();
        assert!(rare.is_empty(), "steps at which fewer than five deliveries were hit: {rare:?}");
    }
}
