//! A person drops a dead letter while Mission Control still lists the row, so its mark is retried: before that, during it and
//! after it, with a mark that succeeds or fails, and with a restart at each place. It stays dropped.

use std::sync::Arc;

use mission_control_runtime::clock::{Clock as _, Millis};
use mission_control_runtime::convex;
use mission_control_runtime::delivery::journal::{Journal as _, Wait};
use mission_control_runtime::delivery::operator_requests::{OperatorReply, OperatorRequest, ReplyTo};
use mission_control_runtime::delivery::scheduler::{
    Effect, Event, OperatorEffect, RecoveredState, Scheduler,
};
use mission_control_runtime::delivery::{ClosedWork, End, Job, Record, Stage, dead_letters};
use mission_control_runtime::files::{Access, Folder};
use mission_control_runtime::ledger::{Closed, Ledger, Opened, Options};
use mission_control_runtime::model::{AccountId, LedgerSync, Notification};
use tempfile::TempDir;

use super::sequences::plan;
use super::setup::Fixture;
use crate::support::direct::Fault;
use crate::support::work::notification_of;

#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    Before,
    During,
    After,
}

fn open(home: &TempDir) -> Opened {
    let folder = Arc::new(Folder::make(home.path(), Access::Owner).unwrap());
    Ledger::open(&folder, &Options::new(AccountId::new("acc1"), LedgerSync::Full)).unwrap()
}

/// What the next process finds of the row: how it ended, and no dead letter.
fn assert_dropped(home: &TempDir, case: &str) {
    let opened = open(home);
    let ends: Vec<&str> = opened.closed.iter().map(|closed| closed.end.name()).collect();
    assert_eq!((opened.dead.len(), opened.open.len(), ends), (0, 0, vec!["dropped"]), "{case}");
}

struct Process {
    ledger: Ledger,
    scheduler: Scheduler,
    now: Millis,
    /// A list that was asked for and has not come back.
    asked: Option<(u64, u32)>,
}

impl Process {
    fn start(home: &TempDir) -> Self {
        let Opened { ledger, closed, dead, .. } = open(home);
        let closed = closed.into_iter().map(|closed| {
            let Closed { id, end, unmarked, .. } = closed;
            (id, ClosedWork { end, unmarked })
        });
        let closed = closed.collect();
        let now = Millis(1_000_000);
        let left = RecoveredState { closed, dead, ..RecoveredState::default() };
        Self { ledger, scheduler: Scheduler::with(plan(), left, now), now, asked: None }
    }

    /// The backend lists the row until its mark is retried.
    fn listed(&mut self, row: &Notification) -> Box<Job> {
        for _ in 0..10 {
            self.now = self.now + std::time::Duration::from_mins(5);
            let effects = self.scheduler.on(None, self.now);
            if let Some(job) = self.take(effects) {
                return job;
            }
            if let Some((list, limit)) = self.asked.take() {
                let listed = Event::Listed { list, limit, rows: vec![row.clone()], malformed: 0, dice: 0.5 };
                let effects = self.scheduler.on(Some(listed), self.now);
                if let Some(job) = self.take(effects) {
                    return job;
                }
            }
        }
        panic!("its mark is not retried")
    }

    /// Notes which list is asked for; the job that starts.
    fn take(&mut self, effects: Vec<Effect>) -> Option<Box<Job>> {
        let mut started = None;
        for effect in effects {
            match effect {
                Effect::List { list, limit } => self.asked = Some((list, limit)),
                Effect::Start(job) => started = Some(job),
                _ => {}
            }
        }
        started
    }

    /// A person drops it, and the service notes that.
    fn drop(&mut self, job: &Job) {
        let (tell, told) = std::sync::mpsc::channel();
        let reply_to = ReplyTo::new(move |answer| tell.send(answer).unwrap());
        let ask = Event::Asked(OperatorRequest::Drop(job.work.id.clone()), reply_to);
        for effect in self.scheduler.on(Some(ask), self.now) {
            match effect {
                Effect::Operator(OperatorEffect::Dropped(dead, why)) => {
                    let ((work, record), end) = (&*dead, End::Dropped(why));
                    let note = dead_letters::dropped(work, record, &end, self.now);
                    self.ledger.note(&note, Wait::ForDisk).unwrap();
                }
                Effect::Operator(OperatorEffect::Tell(reply_to, answer)) => reply_to.tell(answer),
                Effect::List { list, limit } => self.asked = Some((list, limit)),
                _ => {}
            }
        }
        let answer = told.try_recv().unwrap();
        assert!(matches!(answer, OperatorReply::Decided(_)), "{answer:?}");
    }

    /// A worker retries the mark.
    fn deliver(&mut self, mut job: Box<Job>, fixture: &Fixture) {
        let outcome = fixture.outcome_through(&mut job, Arc::new(fixture.backend.clone()), &self.ledger);
        self.scheduler.on(Some(Event::Finished(job, outcome)), self.now);
    }
}

#[test]
fn a_dropped_dead_letter_stays_dropped_whatever_its_mark_does() {
    for when in [When::Before, When::During, When::After] {
        for fails in [false, true] {
            for restarts_at_once in [false, true] {
                let case = format!("{when:?}, fails: {fails}, restart at once: {restarts_at_once}");
                let (fixture, home) = (Fixture::original(), TempDir::new().unwrap());
                let first = fixture.mention("@ben?");
                let (dead, at) = (End::Dead("no".to_owned()), fixture.team.board.clock().now());
                let record = Record { stage: Stage::Ended(dead.clone()), ..Record::default() };
                let note = dead_letters::dropped(&first.work, &record, &dead, at);
                open(&home).ledger.note(&note, Wait::ForDisk).unwrap();
                if fails {
                    let away = Fault::Before(convex::CallClass::Transient, convex::CallReason::Unreachable);
                    fixture.backend.fail("markNotificationDelivered", [away]);
                }

                let mut process = Process::start(&home);
                assert_eq!(process.scheduler.state().dead, 1);
                if when == When::Before {
                    process.drop(&first);
                }
                let job = process.listed(notification_of(&first));
                if when == When::During {
                    process.drop(&job);
                }
                if when == When::After || !restarts_at_once {
                    process.deliver(job, &fixture);
                }
                if when == When::After {
                    process.drop(&first);
                }
                assert_eq!(process.scheduler.state().dead, 0, "{case}");
                drop(process);
                assert_dropped(&home, &case);

                // The next process retries the mark once more.
                let mut process = Process::start(&home);
                let job = process.listed(notification_of(&first));
                process.deliver(job, &fixture);
                assert_eq!(process.scheduler.state().dead, 0, "{case}");
                // A mark that was not tried before fails now.
                let is_tried = when == When::After || !restarts_at_once;
                assert_eq!(fixture.is_delivered(&first), !fails || is_tried, "{case}");
                drop(process);
                assert_dropped(&home, &case);
            }
        }
    }
}
