//! Every crash point, and every lost answer, of a turn that answers several waiting rows. The dispatcher is the real one; it
//! starts again from the ledger after each crash. The oracle is what the backend and the model have seen.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use mission_control_runtime::clock::Clock as _;
use mission_control_runtime::delivery::agent_limits::AgentLimitsConfig;
use mission_control_runtime::delivery::deliver::deliver;
use mission_control_runtime::delivery::deps::DeliveryDeps;
use mission_control_runtime::delivery::scheduler::{
    Effect, Event, PollIntervals, RecoveredState, Scheduler, SchedulerConfig,
};
use mission_control_runtime::delivery::{ClosedWork, End, Record};
use mission_control_runtime::gateway::{Reply, ToolCall};
use mission_control_runtime::ledger::MemoryLedger;
use mission_control_runtime::local::Options;
use mission_control_runtime::model::Notification;
use mission_control_runtime::work::{Work, WorkId};
use serde_json::{Value, json};

use super::crashing_process::{Failure, Model, ProcessRun, ScheduledFailure, Script, with_deps};
use super::setup::Fixture;

/// The words of the waiting messages.
const WORDS: [&str; 3] = ["first words", "second words", "third words"];

fn says_one_thing(_: &Fixture, step: usize) -> Reply {
    Reply { text: Some(format!("Answer {step}.")), ..Reply::default() }
}

fn writes_first(_: &Fixture, step: usize) -> Reply {
    if step > 0 {
        return Reply { text: Some("Written.".to_owned()), ..Reply::default() };
    }
    let arguments = json!({"title": "one", "content": "text", "type": "note"}).to_string();
    let call = ToolCall { call_id: "paper".to_owned(), name: "document_upsert".to_owned(), arguments };
    Reply { calls: vec![call], ..Reply::default() }
}

/// Three rows of one track that one turn answers.
struct Case {
    name: &'static str,
    /// Whether the first two messages are of an agent.
    by_agent: bool,
    script: Script,
    turns: usize,
    documents: usize,
}

const CASES: [Case; 3] = [
    Case { name: "three of a person", by_agent: false, script: says_one_thing, turns: 1, documents: 0 },
    Case { name: "two of an agent", by_agent: true, script: says_one_thing, turns: 1, documents: 0 },
    Case { name: "a round of tools", by_agent: false, script: writes_first, turns: 2, documents: 1 },
];

const PLAIN: Options = Options { original: true, redact: false };

struct Run {
    fixture: Arc<Fixture>,
    model: Model,
    ledger: Arc<MemoryLedger>,
    /// Calls of the first process.
    calls: usize,
}

/// Runs the case. Each process but the last one has a failure; after a crash, `survive` unawaited notes are on the disk.
fn run(case: &Case, failures: &[ScheduledFailure], survive: usize) -> Run {
    let fixture = Arc::new(Fixture::on(PLAIN));
    for (place, words) in WORDS.iter().enumerate() {
        let words = format!("@ben {words}");
        fixture.team.board.advance(1_000);
        if case.by_agent && place < 2 {
            fixture.team.board.says(&fixture.team.ada, &fixture.task, &words);
        } else {
            fixture.team.board.person_says(&fixture.task, &words);
        }
    }
    let (model, ledger) = (Model::new(case.script, None), Arc::new(MemoryLedger::default()));
    let mut failures = failures.iter().copied();
    let mut calls = None;
    loop {
        let scheduled = failures.next();
        let process = ProcessRun::new(scheduled, None);
        let ended = works(&fixture, &model, &ledger, &process, survive);
        calls.get_or_insert_with(|| process.calls());
        if ended {
            break;
        }
        assert!(scheduled.is_some(), "{}: the last process must not die", case.name);
    }
    // The notes of an orderly end are all written.
    ledger.crash(usize::MAX);
    Run { fixture, model, ledger, calls: calls.unwrap_or_default() }
}

/// One process works until no row is left. Returns whether it lived that long.
fn works(
    fixture: &Arc<Fixture>,
    model: &Model,
    ledger: &Arc<MemoryLedger>,
    process: &Arc<ProcessRun>,
    survive: usize,
) -> bool {
    let now = fixture.team.board.clock().now();
    let left = ledger.crash(survive);
    let mut open: Vec<(Arc<Work>, Record)> = left.into_iter().map(|left| (left.work, left.record)).collect();
    for (_, record) in &mut open {
        record.recalled(now);
    }
    let closed: HashMap<WorkId, ClosedWork> =
        ledger.closed().into_iter().map(|(id, end)| (id, ClosedWork { end, unmarked: false })).collect();
    with_deps((fixture, model, ledger, process), &mut open, |deps, open| {
        let open = open.iter().map(|(work, record)| (work.clone(), record.clone(), None)).collect();
        let left = RecoveredState { open, closed, ..RecoveredState::default() };
        dispatch(fixture, process, left, deps)
    })
}

fn dispatch(fixture: &Fixture, process: &ProcessRun, left: RecoveredState, deps: &DeliveryDeps<'_>) -> bool {
    let board = &fixture.team.board;
    let intervals = PollIntervals {
        interval: Duration::from_secs(1),
        idle_interval: Duration::from_secs(5),
        backoff_base: Duration::from_secs(1),
        backoff_max: Duration::from_secs(5),
    };
    let agent_limits = AgentLimitsConfig::default();
    let plan = SchedulerConfig {
        workers: 2,
        list_limit: 50,
        calls_monthly: 900_000,
        intervals,
        fold_max: 20,
        agent_limits,
    };
    let mut scheduler = Scheduler::with(plan, left, board.clock().now());
    let mut events: VecDeque<Event> = VecDeque::from([Event::AgentNames(["Ada"].into_iter().collect())]);
    for _ in 0..2_000 {
        let effects = scheduler.on(events.pop_front(), board.clock().now());
        for effect in effects {
            match effect {
                Effect::List { list, limit } => {
                    let rows = waiting(fixture);
                    events.push_back(Event::Listed { list, limit, rows, malformed: 0, dice: 0.5 });
                }
                Effect::Start(mut job) => {
                    let outcome = catch_unwind(AssertUnwindSafe(|| deliver(&mut job, deps)));
                    match outcome {
                        Ok(outcome) if !process.is_over() => events.push_back(Event::Finished(job, outcome)),
                        Ok(_) | Err(_) => return false,
                    }
                }
                Effect::Probe => events.push_back(Event::Probed(None)),
                Effect::Leave => panic!("there is no other runtime"),
                Effect::Forget(_) | Effect::Operator(_) => {}
            }
        }
        if events.is_empty() {
            if waiting(fixture).is_empty() && scheduler.state().known == 0 {
                return true;
            }
            let now = board.clock().now();
            let next = scheduler.wake_at(now).unwrap_or(now + Duration::from_secs(1));
            board.advance((next.0 - now.0).max(1));
        }
    }
    panic!("it comes to no end: {:?}", scheduler.state());
}

/// The rows for Ben that are not marked.
fn waiting(fixture: &Fixture) -> Vec<Notification> {
    let rows = fixture.team.board.service("listUndeliveredNotifications", json!({"limit": 50})).unwrap();
    let rows = rows.as_array().unwrap().iter().filter(|row| row["recipientId"] == json!(fixture.ben));
    rows.map(|row| serde_json::from_value(row.clone()).unwrap()).collect()
}

impl Run {
    /// Each text was in an answered turn, one answer is in the thread, and each row has ended once. Returns how many rows
    /// ended as folded.
    fn is_right(&self, what: &str, case: &Case) -> usize {
        let (paid, wrong) = self.model.turns();
        assert!(wrong.is_empty() && paid <= case.turns, "{what}: {paid} turns, {wrong:?}");
        let heard = self.model.heard();
        for words in WORDS {
            assert!(heard.contains(words), "{what}: {words} was in no answered turn");
        }
        let posted = self.fixture.messages_of_ben();
        let posted: Vec<&Value> = posted.iter().map(|row| &row["content"]).collect();
        assert_eq!(json!(posted), json!(self.model.said()), "{what}");
        assert_eq!(posted.len(), 1, "{what}: one answer");
        assert_eq!(self.fixture.team.board.rows("documents").len(), case.documents, "{what}");
        let rows = self.fixture.team.board.rows("notifications").into_iter();
        let rows: Vec<Value> = rows.filter(|row| row["recipientId"] == json!(self.fixture.ben)).collect();
        assert_eq!(rows.len(), WORDS.len(), "{what}");
        assert!(rows.iter().all(|row| row["deliveredAt"].is_number()), "{what}: {rows:?}");
        let ends = self.ledger.closed();
        let folded = |id: &WorkId, cover: &WorkId| id != cover && ends.contains_key(cover);
        let folded = ends.iter().filter(|(id, end)| matches!(end, End::Folded(cover) if folded(id, cover)));
        let folded = folded.count();
        let answered = ends.values().filter(|end| matches!(end, End::Answered(1))).count();
        assert!(answered <= 1 && folded <= 2, "{what}: {ends:?}");
        folded
    }
}

#[test]
fn no_text_is_lost_and_nothing_is_answered_twice_at_every_crash_point_and_lost_answer() {
    let mut points = 0;
    for case in &CASES {
        let whole = run(case, &[], 0);
        assert_eq!(whole.is_right(case.name, case), 2, "{}", case.name);
        assert!(whole.calls > 8, "{}: {} calls", case.name, whole.calls);
        for at in 0..whole.calls {
            for failure in Failure::ALL {
                for survive in [0, 1, 2, usize::MAX] {
                    let scheduled = ScheduledFailure { at, failure };
                    let what = format!("{}, {scheduled:?}, {survive} unwaited notes survive", case.name);
                    let folded = run(case, &[scheduled], survive).is_right(&what, case);
                    assert_eq!(folded, 2, "{what}");
                    points += 1;
                    if matches!(failure, Failure::AnswerLost | Failure::CallLost) {
                        break;
                    }
                }
            }
        }
    }
    assert!(points > 250, "{points} points");
}

/// An evenly spread part of all pairs; a failing pair prints itself.
#[test]
fn no_text_is_lost_across_two_crashes() {
    const EVERY: usize = 7;
    let mut pairs = 0;
    for case in &CASES {
        let calls = run(case, &[], 0).calls;
        for at in 0..calls {
            for second_at in 0..calls {
                for second in Failure::ALL {
                    pairs += 1;
                    if pairs % EVERY != 0 {
                        continue;
                    }
                    let failure = if pairs % 2 == 0 { Failure::DiesBefore } else { Failure::DiesAfter };
                    let failures = [
                        ScheduledFailure { at, failure },
                        ScheduledFailure { at: second_at, failure: second },
                    ];
                    let survive = [0, 1, usize::MAX][pairs % 3];
                    let what = format!("{}, {failures:?}, {survive} unwaited notes survive", case.name);
                    run(case, &failures, survive).is_right(&what, case);
                }
            }
        }
    }
    assert!(pairs / EVERY > 100, "{pairs} pairs");
}
