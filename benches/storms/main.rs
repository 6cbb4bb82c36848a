//! Storms: agents that wake each other without end, and people who ask in the meantime.
//!
//! | part | storm |
//! |---|---|
//! | `pair` | two agents mention each other in one thread |
//! | `team` | each of five agents mentions `@all` in one thread |
//! | `backlog` | a person's row behind rows that agents caused, all of them in one thread |
//!
//! Mission Control is the embedded one, the gateway the scripted one; the program under test runs with its default
//! settings, without heartbeats, and is observed from outside. `cargo bench --bench storms -- NAME…` measures only the named parts. `BENCH_PROGRAM` names
//! another build to measure. Each of these variables changes one value: `BENCH_STORM_SECONDS`, `BENCH_QUESTIONS`,
//! `BENCH_TURN_MS`, `BENCH_BACKLOG_ROWS` and `BENCH_BACKLOG_SECONDS`.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_precision_loss,
    reason = "a benchmark prints figures and panics on errors"
)]

mod backlog;
mod figures;
mod world;

use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use figures::{Figures, Waits};
use world::{Observations, QUESTION, Runtime, Storm, TEAM, World, lock};

/// No turn of the storm in this time means that the storm is over.
const QUIET: Duration = Duration::from_secs(8);

/// The pause between two looks, and the least between two questions.
const LOOK: Duration = Duration::from_millis(100);

/// The durations and amounts.
pub(crate) struct Scale {
    /// How long a storm is observed.
    storm: Duration,
    /// How many questions people ask, evenly over that time.
    questions: usize,
    /// The duration of a turn.
    turn: Duration,
    /// The rows in front of the person's.
    rows: usize,
    /// How long the person's row is awaited.
    backlog: Duration,
}

impl Scale {
    fn read() -> Self {
        let or = |name: &str, usual: usize| {
            std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
        };
        let seconds = |name, usual| Duration::from_secs(or(name, usual) as u64);
        Self {
            storm: seconds("BENCH_STORM_SECONDS", 60),
            questions: or("BENCH_QUESTIONS", 40),
            turn: Duration::from_millis(or("BENCH_TURN_MS", 20) as u64),
            rows: or("BENCH_BACKLOG_ROWS", 35_000),
            backlog: seconds("BENCH_BACKLOG_SECONDS", 300),
        }
    }
}

fn main() {
    // Cargo passes `--bench`.
    let only: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wants = |name: &str| only.is_empty() || only.iter().any(|only| only == name);
    let scale = Scale::read();
    println!(
        "{}\n{} cores; a turn takes {} ms; {} questions in {} s\n",
        world::version(),
        thread::available_parallelism().map_or(1, usize::from),
        scale.turn.as_millis(),
        scale.questions,
        scale.storm.as_secs(),
    );
    if wants("pair") {
        storm("pair", "@ada @ben, please agree on a name.", pair, &scale);
    }
    if wants("team") {
        storm("team", "@all, please agree on a name.", team, &scale);
    }
    if wants("backlog") {
        backlog::measure(&scale);
    }
}

fn pair(slug: &str, number: u64) -> String {
    let other = if slug == TEAM[0] { TEAM[1] } else { TEAM[0] };
    format!("@{other}, what do you think of name {number}?")
}

fn team(_: &str, number: u64) -> String {
    format!("@all, what do you think of name {number}?")
}

/// A person's question in a task of its own.
fn ask(world: &World, runtime: &Runtime, number: usize) -> Instant {
    let slug = TEAM[number % 2];
    let began = Instant::now();
    world.thread(&format!("Question {number}"), &format!("@{slug}, {QUESTION}{number}?"));
    runtime.nudge();
    began
}

/// Observes a storm, while people ask.
fn storm(name: &str, first: &str, answer: Storm, scale: &Scale) {
    let world = World::new(answer, scale.turn);
    let runtime = Runtime::start(&world);
    await_roster(&runtime);
    let began = Instant::now();
    world.thread("A name", first);
    runtime.nudge();
    let pause = (scale.storm / u32::try_from(scale.questions.max(1)).unwrap()).max(LOOK);
    let mut questions: Vec<Instant> = Vec::new();
    let mut first_minute = None;
    // The last questions have as long as the first ones had.
    let until = began + scale.storm * 3 / 2;
    loop {
        let now = Instant::now();
        if questions.len() < scale.questions && now >= began + pause * u32::try_from(questions.len()).unwrap()
        {
            questions.push(ask(&world, &runtime, questions.len()));
        }
        if first_minute.is_none() && now >= began + scale.storm {
            first_minute = Some(Figures::of(&world.seen, began.elapsed()));
        }
        let is_answered = lock(&world.seen.answered).len() == questions.len();
        let is_over = questions.len() == scale.questions && is_answered && first_minute.is_some();
        if is_over || now >= until {
            break;
        }
        thread::sleep(LOOK / 10);
    }
    let figures = first_minute.unwrap_or_else(|| Figures::of(&world.seen, began.elapsed()));
    let quiet = world.quiet();
    let waits = Waits::of(&questions, &lock(&world.seen.answered), Instant::now());
    figures.print(name);
    limits(&runtime);
    if quiet >= QUIET {
        let calm_after = began.elapsed().saturating_sub(quiet);
        println!("  quiet after      {} turns, {:.1} s", turns(&world.seen), calm_after.as_secs_f64());
    } else {
        println!(
            "  quiet after      never: {} turns in {:.0} s",
            turns(&world.seen),
            began.elapsed().as_secs_f64()
        );
    }
    println!("  rows waiting     {}", world.waiting());
    waits.print();
    end(&runtime);
}

fn turns(seen: &Observations) -> u64 {
    seen.turns.load(std::sync::atomic::Ordering::Relaxed)
}

/// The limits of the runtime: each variable with its value, and whether that is the default.
fn limits(runtime: &Runtime) {
    let health = runtime.health();
    let guardrails = health["guardrails"].as_object().into_iter().flatten();
    let shown = guardrails.filter_map(|(name, one)| {
        let given = if one["isDefault"] == true { "" } else { " (set)" };
        Some(format!("{name}={}{given}", one["value"].as_str()?))
    });
    println!("  limits           {}", shown.collect::<Vec<_>>().join(" "));
}

/// Waits until the runtime knows the agents.
fn await_roster(runtime: &Runtime) {
    let until = Instant::now() + Duration::from_secs(20);
    while runtime.health()["agentSync"]["agents"] != TEAM.len() {
        assert!(Instant::now() < until, "no roster:\n{}", runtime.last_lines());
        thread::sleep(LOOK);
    }
}

/// What `/health` says at the end.
fn end(runtime: &Runtime) {
    let health = runtime.health();
    let show = |value: &Value| value.to_string();
    println!(
        "  /health          {} {}, ended {}\n",
        show(&health["status"]),
        show(&health["reasons"]),
        show(&health["delivery"]["ended"])
    );
}
