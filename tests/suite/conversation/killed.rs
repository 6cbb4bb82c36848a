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
use mission_control_runtime::demo::gateway::{Item, Prompt, Thought, marker};
use mission_control_runtime::ledger;
use serde_json::{Value, json};

use super::processes::Stack;
use crate::support::dice::Dice;
use crate::support::program::private;

/// The number of kills that `make test` has time for.
const KILLS: u64 = 8;
/// Rows for each kill.
const ROWS_PER_KILL: u64 = 5;
/// After this many kills of the program the gateway is killed.
const GATEWAY_LIVES: u64 = 12;
/// The agents; the behaviour of each depends on its number.
const AGENTS: usize = 40;
/// The longest life of a program after it has begun to work, in milliseconds.
const LIFE_MS: u64 = 350;

/// A kill this soon after the end of a delivery counts as a hit on it.
const JUST_ENDED: Duration = Duration::from_millis(50);

/// The behaviour of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// It answers.
    Answers,
    /// It writes a document first.
    Writes,
    /// It works in three rounds.
    Works,
    /// It writes more than one message holds.
    TellsAll,
    /// It replies with silence, every time.
    SaysNothing,
}

/// How many agents of ten have which behaviour.
fn way_of(slug: &str) -> Way {
    let number: usize = slug.trim_start_matches('a').parse().unwrap();
    match number % 10 {
        0..=1 => Way::Answers,
        3..=4 => Way::Writes,
        5..=7 => Way::Works,
        8 => Way::TellsAll,
        _ => Way::SaysNothing,
    }
}

/// The row of a turn: the last marker in its session.
fn row_of(prompt: &Prompt) -> String {
    let said = prompt.transcript.iter().rev().find_map(|entry| match &entry.item {
        Item::User(text) => marker(text).filter(|word| word.starts_with("n-")).map(str::to_owned),
        Item::Assistant { .. } | Item::ToolResult { .. } => None,
    });
    said.unwrap_or_default()
}

/// How many rounds of results this row has had.
fn rounds(prompt: &Prompt, row: &str) -> usize {
    let texts = prompt.transcript.iter().rev().filter_map(|entry| match &entry.item {
        Item::User(text) => Some(text),
        Item::Assistant { .. } | Item::ToolResult { .. } => None,
    });
    texts.take_while(|text| marker(text) != Some(row)).count()
}

fn play(prompt: &Prompt) -> Thought {
    let row = row_of(prompt);
    let paper = |name: &str| {
        ("document_upsert", json!({"title": format!("{row} {name}"), "content": "…", "type": "note"}))
    };
    let speaks = || Thought::say(format!("{} on {row}", prompt.agent));
    let way = way_of(&prompt.agent);
    let thought = match (way, rounds(prompt, &row)) {
        _ if prompt.tools.is_empty() && way != Way::SaysNothing => speaks(),
        (Way::SaysNothing, _) => Thought::nothing(),
        (Way::TellsAll, _) => Thought::say(format!("{}\n\n{}", "x".repeat(60_000), "y".repeat(60_000))),
        (Way::Writes | Way::Works, 0) => Thought::calls([paper("one"), paper("two")]),
        (Way::Works, 1) => Thought::calls([("get_agent_skills", json!({})), paper("three")]),
        (Way::Works, 2) => Thought::calls([paper("four")]),
        _ => speaks(),
    };
    thought.after(Duration::from_millis(30))
}

fn papers(way: Way) -> usize {
    match way {
        Way::Writes => 2,
        Way::Works => 4,
        Way::Answers | Way::TellsAll | Way::SaysNothing => 0,
    }
}

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
    let mut stack = Stack::set(&names, play, &[(ledger::SLOW_DISK, "10")]);
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

    let notifications = stack.board.rows("notifications");
    let (messages, documents) = (stack.board.rows("messages"), stack.board.rows("documents"));
    let markers = stack.gateway().markers();
    let (mut rows, mut hit_too_often, mut wrong) = (0, 0, Vec::new());
    for row in notifications.iter().filter(|row| row["recipientType"] == "agent") {
        rows += 1;
        let id = row["_id"].as_str().unwrap();
        let slug = names.iter().find(|name| row["recipientId"] == stack.agent(name)).unwrap();
        let way = way_of(slug);
        let own: Vec<&Value> = messages
            .iter()
            .filter(|message| message["taskId"] == row["taskId"] && message["authorId"] == row["recipientId"])
            .collect();
        let keyed = own.iter().filter(|message| message["sourceNotificationId"] == id).count();
        let titles: Vec<&str> = documents
            .iter()
            .map(|paper| paper["title"].as_str().unwrap())
            .filter(|title| title.starts_with(&format!("n-{id} ")))
            .collect();
        let written = titles.len();
        let answers = markers.get(&format!("n-{id}")).map_or(0, |marks| marks.answers);
        // A turn that the gateway resumed by itself had no tools, and could not do everything.
        let resumed = written < papers(way) && own.len() == 1;
        // However often a crash of the runtime hits a turn, it is held against no row.
        let given_up =
            keyed == 0 && own.len() == 1 && own[0]["content"].as_str().unwrap().contains("will be no answer");
        if given_up && way != Way::SaysNothing {
            hit_too_often += 1;
            continue;
        }
        let right = match way {
            Way::SaysNothing => keyed == 0 && own.len() == 1,
            Way::TellsAll => keyed == 1 && own.len() == if resumed { 1 } else { 2 },
            Way::Answers | Way::Writes | Way::Works => keyed == 1 && own.len() == 1,
        };
        let papers = written == papers(way) || resumed;
        if !right || !papers || (way != Way::SaysNothing && answers > 1) || row.get("deliveredAt").is_none() {
            wrong.push(format!(
                "{slug} {way:?} {id}: {} messages ({keyed} keyed), {titles:?}, {answers} answers",
                own.len()
            ));
        }
    }
    let titles: std::collections::HashSet<&str> =
        documents.iter().map(|paper| paper["title"].as_str().unwrap()).collect();
    println!(
        "{kills} kills, {rows} rows, {hit_too_often} given up; where deliveries under way stood at a kill:"
    );
    for (step, times) in &stood {
        println!("  {step:<14} {times}");
    }
    assert!(wrong.is_empty(), "{} of {rows}, seed {seed}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(titles.len(), documents.len(), "no document was made twice");
    assert_eq!(hit_too_often, 0, "of {rows} rows given up");
    assert_eq!(u64::try_from(rows).unwrap(), kills * ROWS_PER_KILL);
    if kills >= 100 {
        // The note of a result usually reaches the disk together with the next step.
        let often = stood.iter().filter(|(step, _)| *step != Step::ToolResult.name());
        let rare: Vec<&String> = often.filter(|(_, times)| **times < 5).map(|(step, _)| step).collect();
        assert!(rare.is_empty(), "steps at which fewer than five deliveries were hit: {rare:?}");
    }
}
