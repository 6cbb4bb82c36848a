//! Work of the test kind: it is scheduled together with notifications, and each of its effects happens exactly once
//! although the process is stopped at every note and every call.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mission_control_runtime::clock::{Clock as _, Millis};
use mission_control_runtime::convex::{Call, CallError, Convex};
use mission_control_runtime::delivery::journal::{Journal, JournalError, Note, Wait};
use mission_control_runtime::delivery::scheduler::{Effect, Event, RecoveredState, Scheduler};
use mission_control_runtime::delivery::{End, Job, Outcome, PendingAnswer, Record, Stage, Trouble};
use mission_control_runtime::ledger::MemoryLedger;
use mission_control_runtime::model::TaskId;
use mission_control_runtime::work::{TestWork, Work, WorkId};
use serde_json::json;
use serde_json::value::RawValue;

use super::sequences::plan;
use super::setup::Fixture;
use crate::support::direct::Direct;

const MESSAGES: [&str; 3] = ["one", "two", "three"];

fn work(fixture: &Fixture) -> Arc<Work> {
    let test = TestWork {
        id: WorkId::new("w1"),
        agent: fixture.ben.clone(),
        task: TaskId::new(fixture.task.as_str()),
        messages: MESSAGES.map(str::to_owned).into(),
        created_at: fixture.team.board.clock().now(),
    };
    Arc::new(test.into())
}

/// A process that stops at one instant: before or after a note or a call.
struct Process {
    instants: AtomicUsize,
    stops_at: Option<usize>,
    backend: Direct,
    ledger: Arc<MemoryLedger>,
}

impl Process {
    /// The next instant, without a line in the log if it is the last one. A stopped process does nothing more.
    fn instant(&self) {
        let number = self.instants.fetch_add(1, Ordering::SeqCst);
        if self.stops_at.is_some_and(|at| number >= at) {
            resume_unwind(Box::new("the process stops"));
        }
    }

    fn is_stopped(&self) -> bool {
        self.stops_at.is_some_and(|at| self.instants.load(Ordering::SeqCst) > at)
    }
}

impl Convex for Process {
    fn call(&self, call: &Call<'_>) -> Result<Box<RawValue>, CallError> {
        self.instant();
        let answer = self.backend.call(call);
        self.instant();
        answer
    }
}

impl Journal for Process {
    fn note(&self, note: &Note<'_>, wait: Wait) -> Result<(), JournalError> {
        self.instant();
        let noted = self.ledger.note(note, wait);
        // After an unawaited note the process reaches its next instant in any case.
        if wait == Wait::ForDisk {
            self.instant();
        }
        noted
    }
}

/// Works on the job until it ends or the process stops. Returns whether it ended, and the number of instants.
fn live(
    fixture: &Fixture,
    job: &mut Job,
    stops_at: Option<usize>,
    ledger: &Arc<MemoryLedger>,
) -> (bool, usize) {
    let (backend, ledger) = (fixture.backend.clone(), ledger.clone());
    let process = Arc::new(Process { instants: AtomicUsize::new(0), stops_at, backend, ledger });
    for _ in 0..30 {
        let attempt = AssertUnwindSafe(|| fixture.outcome_through(job, process.clone(), &*process));
        let ended = match catch_unwind(attempt) {
            Ok(Outcome::Again { pause: Some(pause), .. }) => {
                fixture.team.board.advance(i64::try_from(pause.as_millis()).unwrap());
                None
            }
            Ok(Outcome::Again { pause: None, .. }) | Err(_) => None,
            Ok(Outcome::Closed(end)) => Some(end),
        };
        if process.is_stopped() {
            return (false, process.instants.load(Ordering::SeqCst));
        }
        if let Some(end) = ended {
            assert_eq!(end, End::Answered(MESSAGES.len()));
            return (true, process.instants.load(Ordering::SeqCst));
        }
    }
    panic!("it comes to no end: {:?}", job.record);
}

/// Runs one process after another until one ends the work. Of the unawaited notes, `survive` ones survive each stop.
/// Returns how many instants the first process had.
fn run(stops: &[usize], survive: usize) -> usize {
    let (fixture, ledger) = (Fixture::original(), Arc::new(MemoryLedger::default()));
    let work = work(&fixture);
    let mut job = Job::new(0, work.clone(), Record::default());
    let mut first = None;
    for stop in stops.iter().copied().map(Some).chain([None]) {
        let (ended, instants) = live(&fixture, &mut job, stop, &ledger);
        first.get_or_insert(instants);
        if ended {
            break;
        }
        let left = ledger.crash(survive).pop();
        // The source offers again what the ledger does not know.
        let (work, mut record) =
            left.map_or_else(|| (work.clone(), Record::default()), |left| (left.work, left.record));
        record.recalled(fixture.team.board.clock().now());
        job = Job::new(1, work, record);
    }
    let posted: Vec<String> =
        fixture.messages_of_ben().iter().map(|row| row["content"].as_str().unwrap().to_owned()).collect();
    assert_eq!(posted, MESSAGES, "stops {stops:?}, {survive} notes survive");
    first.unwrap()
}

#[test]
fn each_effect_happens_once_although_the_process_stops_at_any_note_or_call() {
    let instants = run(&[], usize::MAX);
    assert!(instants > 4 * MESSAGES.len(), "each message has a note and a call: {instants}");
    for survive in [0, 1, usize::MAX] {
        for stop in 0..instants {
            run(&[stop], survive);
            run(&[stop, stop / 2], survive);
        }
    }
}

/// The same agent wrote the same text before: that message is not taken for this work's own.
#[test]
fn an_older_message_is_not_taken_for_one_in_doubt() {
    let (fixture, ledger) = (Fixture::original(), Arc::new(MemoryLedger::default()));
    for content in MESSAGES {
        let message = json!({"taskId": fixture.task, "agentId": fixture.ben, "content": content});
        fixture.team.board.service("createMessageFromAgent", message).unwrap();
    }
    fixture.team.board.advance(3_600_000);
    let in_doubt = PendingAnswer {
        doubt: Some(fixture.team.board.clock().now()),
        ..PendingAnswer::new(MESSAGES.map(str::to_owned).into(), false)
    };
    let record = Record { stage: Stage::Answered(in_doubt), ..Record::default() };
    let mut job = Job::new(0, work(&fixture), record);
    assert!(live(&fixture, &mut job, None, &ledger).0);
    let posted = fixture.messages_of_ben();
    let posted: Vec<&str> = posted.iter().map(|row| row["content"].as_str().unwrap()).collect();
    assert_eq!(posted, [MESSAGES, MESSAGES].concat());
}

fn started(effects: Vec<Effect>) -> Option<Box<Job>> {
    effects.into_iter().find_map(|effect| match effect {
        Effect::Start(job) => Some(job),
        _ => None,
    })
}

#[test]
fn offered_work_is_scheduled_and_no_list_withdraws_it() {
    let fixture = Fixture::original();
    let mut now = Millis(1_000_000);
    let mut scheduler = Scheduler::with(plan(), RecoveredState::default(), now);
    let mut list = 0;
    let mut empty_list = |scheduler: &mut Scheduler, now: Millis| {
        scheduler.on(None, now);
        list += 1;
        scheduler.on(Some(Event::Listed { list, limit: 50, rows: vec![], malformed: 0, dice: 0.5 }), now)
    };
    empty_list(&mut scheduler, now);
    let offer = || Some(Event::Offered(work(&fixture)));
    let job = started(scheduler.on(offer(), now)).expect("it starts");
    assert!(started(scheduler.on(offer(), now)).is_none(), "it runs already");
    let pause = Some(Duration::from_hours(1));
    let outcome = Outcome::Again { trouble: Trouble::NoContext, pause };
    scheduler.on(Some(Event::Finished(job, outcome)), now);
    for _ in 0..3 {
        now = now + Duration::from_mins(2);
        empty_list(&mut scheduler, now);
        assert_eq!(scheduler.state().known, 1, "a list says nothing of work that is not listed");
    }
    now = now + Duration::from_hours(1);
    let job = started(scheduler.on(None, now)).expect("its pause is over");
    scheduler.on(Some(Event::Finished(job, Outcome::Closed(End::Answered(3)))), now);
    assert_eq!((scheduler.state().known, scheduler.state().stats.of("answered")), (0, 1));
}
