//! Latency: from the model to the thread, from one agent to the next, and next to a slow session. It also measures the
//! memory with fifty turns in flight.

use std::thread;
use std::time::{Duration, Instant};

use super::Options;
use super::bursts::{TRACKS, WORKERS, complain};
use super::observations::{Load, Observations, Pace, seconds};
use super::process::{Behind, Carrier, Runtime, Setting};
use super::table::{Table, Target, share_of};

/// The number of turns during the measurement of memory.
const HELD: Duration = Duration::from_secs(3);
/// The number of rows that wait for the slow session from the start.
const SLOW_ROWS: usize = 20;
const ARRIVALS: Duration = Duration::from_millis(20);

/// Milliseconds between two timestamps of the doubles.
fn between(from: u64, to: u64) -> f64 {
    seconds(to.saturating_sub(from)) * 1e3
}

/// Settled rows only.
pub(crate) fn waits(
    observations: &Observations,
    of: impl Fn(&super::observations::Entry) -> (u64, u64),
) -> Vec<f64> {
    let settled = observations.rows.iter().filter(|row| row.delivered > 0);
    settled.map(of).map(|(from, to)| between(from, to)).collect()
}

/// One row after the other, without other work.
pub(crate) fn one_by_one(table: &mut Table, behind: &Behind, options: &Options) {
    let name = "model done to reply stored, p50";
    behind.reset();
    behind.pace(Pace { millis: 20, slow: None });
    let state = options.folder();
    let mut runtime = Runtime::start(behind, state.path(), Setting::default());
    for number in 0..options.singles {
        behind.load(Load { first_task: number % TRACKS, ..Load::mentions(1, 1) });
        runtime.go(1);
        if behind.delivered(number + 1, options.patience) <= number {
            let why = format!("row {} was not settled:\n{}", number + 1, runtime.last_words());
            return table.missing(name, Target::AtMost(1.0), &why);
        }
    }
    let observations = behind.observations();
    complain(table, "one by one", &observations);
    let stored = waits(&observations, |row| (row.done, row.stored));
    let begun = waits(&observations, |row| (row.created, row.turn));
    table.add("model done to reply stored, p99", "ms", vec![share_of(stored.clone(), 0.99)], Target::None);
    table.add(name, "ms", vec![share_of(stored, 0.5)], Target::AtMost(1.0));
    table.add("row and nudge to turn, p50", "ms", vec![share_of(begun, 0.5)], Target::None);
}

/// A conversation of five agents: each answer mentions the next. Nothing nudges the program.
pub(crate) fn chain(table: &mut Table, behind: &Behind, options: &Options) {
    let (name, target) = ("one agent's post to the next one's turn, p50", Target::AtMost(5.0));
    behind.reset();
    behind.pace(Pace { millis: 20, slow: None });
    let state = options.folder();
    let mut runtime = Runtime::start(behind, state.path(), Setting::default());
    behind.load(Load { hops: options.hops, ..Load::mentions(1, 1) });
    runtime.go(1);
    let came = behind.delivered(options.hops + 1, options.patience);
    let observations = behind.observations();
    complain(table, "chain", &observations);
    if came < options.hops + 1 {
        let why = format!("{came} of {} answers in {:?}", options.hops + 1, options.patience);
        table.note(format!("chain: {why}:\n{}", runtime.last_words()));
    }
    let begun = observations.rows.iter().skip(1).filter(|row| row.turn > 0);
    let hops: Vec<f64> = begun.map(|row| between(row.created, row.turn)).collect();
    if hops.is_empty() {
        return table.missing(name, target, "no agent heard of another");
    }
    table.add(name, "ms", vec![share_of(hops.clone(), 0.5)], target);
    table.add("the same, the longest", "ms", vec![share_of(hops, 1.0)], Target::None);
}

/// Memory while every worker waits for an agent.
pub(crate) fn held(table: &mut Table, behind: &Behind, options: &Options) {
    let (name, target) = ("memory, 50 turns in flight", Target::AtMost(16.0));
    let mut figures = Vec::new();
    for _ in 0..options.runs {
        behind.reset();
        behind.pace(Pace { millis: u64::try_from(HELD.as_millis()).unwrap_or(u64::MAX), slow: None });
        let state = options.folder();
        let setting = Setting { workers: Some(WORKERS), ..Setting::default() };
        let mut runtime = Runtime::start(behind, state.path(), setting);
        behind.load(Load::mentions(WORKERS, TRACKS));
        runtime.go(WORKERS);
        let flying = behind.in_flight(WORKERS, options.patience);
        if flying < WORKERS {
            let why = format!("only {flying} turns in flight:\n{}", runtime.last_words());
            return table.missing(name, target, &why);
        }
        thread::sleep(Duration::from_millis(300));
        figures.push(runtime.process().memory());
        behind.delivered(WORKERS, HELD + options.patience);
    }
    table.add(name, "MiB", figures, target);
}

/// One session is slow, and many rows wait for it. The other sessions must not be affected.
pub(crate) fn beside_a_slow_one(table: &mut Table, behind: &Behind, options: &Options) {
    let slow = options.slow;
    let (name, target) = (format!("beside turns of {slow:?}: row to reply, p99"), Target::AtMost(0.3));
    behind.reset();
    behind.pace(Pace { millis: 50, slow: Some((0, u64::try_from(slow.as_millis()).unwrap_or(u64::MAX))) });
    let state = options.folder();
    let mut runtime = Runtime::start(behind, state.path(), Setting::default());
    behind.load(Load::mentions(SLOW_ROWS, 1));
    runtime.go(SLOW_ROWS);
    if behind.in_flight(1, options.patience) == 0 {
        let why = format!("the slow turn never began:\n{}", runtime.last_words());
        return table.missing(&name, target, &why);
    }
    let until = Instant::now() + slow.mul_f64(1.2);
    let (mut count, mut next) = (0, Instant::now());
    while Instant::now() < until {
        behind.load(Load { first_task: 1 + count % (TRACKS - 1), ..Load::mentions(1, 1) });
        runtime.go(1);
        count += 1;
        next += ARRIVALS;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    thread::sleep(Duration::from_secs(2));
    let observations = behind.observations();
    complain(table, "beside a slow session", &observations);
    let others = || observations.rows.iter().filter(|row| row.task != 0);
    let lost = others().filter(|row| row.stored == 0).count();
    if lost > 0 {
        table.note(format!("{name}: {lost} of {count} rows had no reply two seconds after the last came"));
    }
    // A row without a reply counts with the maximum.
    let wait = |row: &super::observations::Entry| match row.stored {
        0 => f64::INFINITY,
        stored => seconds(stored.saturating_sub(row.created)),
    };
    let waits: Vec<f64> = others().map(wait).collect();
    table.add(&name, "s", vec![share_of(waits.clone(), 0.99)], target);
    table.add("the same, p50", "s", vec![share_of(waits, 0.5)], Target::None);
}
