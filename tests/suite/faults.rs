//! Broken calls of every writing function, through the compiled program over HTTP: no row is lost, none is doubled.
//!
//! `make test` plays a few jobs of all sorts at once; `make test-faults` plays the whole matrix and prints its table.

#![allow(clippy::print_stdout, reason = "the table is for people")]

/// The jobs and what the agents do.
mod sorts;
/// Backend, proxy, program and gateway of one run.
mod world;

use std::collections::HashMap;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use mission_control_runtime::ledger::DeliveryHistory;
use mission_control_runtime::local::Options;

use self::sorts::{SORTS, Sort, sort};
use self::world::{Outcome, World, play};
use crate::support::faulty::Break;
use crate::support::one_at_a_time;

const PLAIN: Options = Options { original: false, redact: false };
const REDACTED: Options = Options { original: false, redact: true };

/// Longer than a call is waited for.
const LATE: Duration = Duration::from_secs(40);

/// Each column of the matrix, and whether `make test` has time for it.
const COLUMNS: [(&str, Option<Break>, bool); 6] = [
    ("no fault", None, true),
    ("drop before", Some(Break::DropBefore), false),
    ("drop after", Some(Break::DropAfter), true),
    ("truncate", Some(Break::Truncate), true),
    ("request 40 s late", Some(Break::LateRequest(LATE)), false),
    ("answer 40 s late", Some(Break::LateAnswer(LATE)), false),
];

/// Jobs of each sort that `make test` has time for, and how many runs go on side by side in the whole matrix.
const FEW_JOBS: usize = 4;
const SIDE_BY_SIDE: usize = 8;

/// One run: these sorts of jobs, with this fault, at this backend.
struct Cell {
    sorts: Vec<&'static Sort>,
    column: usize,
    backend: Options,
}

impl Cell {
    fn name(&self) -> String {
        let sorts = if let [sort] = self.sorts[..] { sort.name } else { "all functions" };
        format!("{sorts:<42} {:<9}", if self.backend.redact { "redacted" } else { "plain" })
    }
}

/// What the answer to a request for a response is worth: the recipient answers before a slow repeat arrives.
#[test]
fn a_request_is_sent_once_although_its_answer_is_lost_and_the_repeat_is_slow() {
    let _turn = one_at_a_time();
    let requests = [sort("createResponseRequestNotifications")];
    let late = Break::LateRequest(Duration::from_secs(4));
    for breaks in [[Break::DropAfter, late], [Break::Truncate, late]] {
        let outcome = play(&requests, FEW_JOBS, PLAIN, &breaks);
        let counted =
            ["\"type\":\"response_request\"", "\"content\":\"Checked.\""].map(|row| outcome.count(row));
        assert_eq!(counted, [FEW_JOBS; 2], "requests and answers");
        assert_eq!(outcome.failures, Vec::<String>::new());
    }
}

/// The process is killed while it waits for the answer, and its successor asks about a request that has been delivered and
/// answered by then: the backend no longer lists it, and would create a second one.
#[test]
fn a_request_is_sent_once_although_the_process_dies_before_the_answer() {
    let _turn = one_at_a_time();
    let requests = [sort("createResponseRequestNotifications")];
    let mut world = World::new(&requests, FEW_JOBS, PLAIN, &[Break::LateAnswer(LATE)]);
    world.until_recorded("the requests are closed", |deliveries| {
        let closed = |delivery: &&DeliveryHistory| {
            delivery.work.name() == "response_request" && delivery.closed.is_some()
        };
        deliveries.iter().filter(closed).count() == FEW_JOBS
    });
    world.kill_and_start();
    let outcome = world.end();
    let counted = ["\"type\":\"response_request\"", "\"content\":\"Checked.\""].map(|row| outcome.count(row));
    assert_eq!(counted, [FEW_JOBS; 2], "requests and answers");
    assert_eq!(outcome.failures, Vec::<String>::new());
}

/// `FAULT_JOBS` says how many jobs of each sort there are; then each function and each fault has a run of its own.
#[test]
fn no_row_is_lost_or_doubled() {
    let _turn = one_at_a_time();
    let jobs = std::env::var("FAULT_JOBS").ok().and_then(|text| text.parse::<usize>().ok());
    let groups: Vec<Vec<&Sort>> = match jobs {
        None => vec![SORTS.iter().collect()],
        Some(_) => SORTS.iter().map(|sort| vec![sort]).collect(),
    };
    let mut cells = Vec::new();
    for (column, (_, _, quick)) in COLUMNS.iter().enumerate() {
        for backend in [PLAIN, REDACTED] {
            let groups = groups.iter().filter(|_| *quick || jobs.is_some()).cloned();
            cells.extend(groups.map(|sorts| Cell { sorts, column, backend }));
        }
    }
    let outcomes = side_by_side(&cells, jobs.unwrap_or(FEW_JOBS));
    let usual: HashMap<String, &Outcome> = cells
        .iter()
        .zip(&outcomes)
        .filter(|(cell, _)| COLUMNS[cell.column].1.is_none())
        .map(|(cell, outcome)| (cell.name(), outcome))
        .collect();
    let (mut wrong, mut totals) = (Vec::new(), [0; 4]);
    for (cell, outcome) in cells.iter().zip(&outcomes) {
        let (lost, doubled) = outcome.compared_with(usual[&cell.name()]);
        let reported = outcome.failures.len();
        let numbers = [outcome.broken, lost.len(), doubled.len(), reported];
        let line = format!(
            "{} {:<18} {:>4} broken {:>3} lost {:>3} doubled {:>3} reported as failed {:>6.1} s",
            cell.name(),
            COLUMNS[cell.column].0,
            outcome.broken,
            lost.len(),
            doubled.len(),
            reported,
            outcome.took.as_secs_f64()
        );
        println!("{line}");
        for (total, number) in totals.iter_mut().zip(numbers) {
            *total += number;
        }
        if numbers[1..] != [0; 3] {
            let reported = &outcome.failures;
            let some = [("lost", &lost), ("doubled", &doubled), ("reported", reported)].into_iter();
            let some =
                some.flat_map(|(what, rows)| rows.iter().take(4).map(move |row| [what, row].join(" ")));
            wrong.push([line.clone()].into_iter().chain(some).collect::<Vec<_>>().join("\n  "));
        }
        assert_eq!(outcome.broken > 0, COLUMNS[cell.column].1.is_some(), "{line}");
    }
    let [broken, lost, doubled, reported] = totals;
    println!(
        "{} runs: {broken} broken, {lost} lost, {doubled} doubled, {reported} reported as failed",
        cells.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Plays all of them, a few at once, and keeps their order.
fn side_by_side(cells: &[Cell], jobs: usize) -> Vec<Outcome> {
    let outcomes: Vec<Mutex<Option<Outcome>>> = cells.iter().map(|_| Mutex::default()).collect();
    let next = Mutex::new(cells.iter().zip(&outcomes));
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                loop {
                    let Some((cell, outcome)) = next.lock().unwrap().next() else { break };
                    let breaks: Vec<Break> = COLUMNS[cell.column].1.into_iter().collect();
                    *outcome.lock().unwrap() = Some(play(&cell.sorts, jobs, cell.backend, &breaks));
                }
            });
        }
    });
    outcomes.into_iter().map(|outcome| outcome.into_inner().unwrap().expect("it was played")).collect()
}
