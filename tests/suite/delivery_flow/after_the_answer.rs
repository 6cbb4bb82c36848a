//! Failures after the outcome is known: a full disk when a note is due, and calls after the answer that are
//! refused or lost.

use std::sync::Arc;
use std::time::Duration;

use mission_control_runtime::clock::Clock as _;
use mission_control_runtime::convex::{Class, Why};
use mission_control_runtime::delivery::scheduler::{Effect, Event, RecoveredState, Scheduler};
use mission_control_runtime::delivery::{Job, Outcome, Record};
use mission_control_runtime::gateway::{self, Recovered};
use mission_control_runtime::local::Options;
use mission_control_runtime::model::Notification;
use serde_json::Value;

use super::sequences::plan;
use super::setup::Office;
use super::{ADVANCE, CONTEXT, DELIVERED, POST};
use crate::support::direct::Fault;
use crate::support::work::{job_of, notification_of};

const LOST: (Class, Why) = (Class::Ambiguous, Why::LostAnswer);

/// Delivers until it ends; returns the outcome, and how often it paused.
fn to_the_end(office: &Office, job: &mut Job) -> (&'static str, usize) {
    for rests in 0..100 {
        match office.deliver(job) {
            "again" => office.team.board.pass(20_000),
            end => return (end, rests),
        }
    }
    panic!("it never ends")
}

/// A delivery whose answer can only be found in part, while the disk is full: it is given up, with a notice
/// for people.
fn given_up_on_a_full_disk() -> (Arc<Office>, Job) {
    let office = Arc::new(Office::original());
    let mut job = office.mention("@ben?");
    let full = office.clone();
    office.gateway.meanwhile(move || full.paper.refuse(true));
    office.gateway.fails(gateway::Class::Lost, gateway::Why::LostAnswer);
    assert_eq!(office.deliver(&mut job), "again");
    office.gateway.recovers(Recovered::Cut);
    (office, job)
}

fn notes(office: &Office) -> usize {
    let messages = office.messages_of_ben();
    assert!(messages.iter().all(|row| row["content"].as_str().unwrap().contains("there will be no answer")));
    messages.len()
}

/// The state of the next process after a crash, without any note on disk since the disk was full.
fn crash(office: &Office, job: &Job) -> Job {
    let mut left = office.paper.crash(0).pop().expect("its first step was written");
    left.record.recalled(office.team.board.clock().now());
    let row = left.work.notification().expect("a notification").clone();
    let now: Value = office.team.board.row("notifications", job.work.id.as_str());
    let row = Notification { read_at: serde_json::from_value(now["readAt"].clone()).unwrap(), ..row };
    job_of(&row, left.record)
}

#[test]
fn a_full_disk_does_not_suppress_the_notice() {
    let (office, mut job) = given_up_on_a_full_disk();
    assert_eq!(office.deliver(&mut job), "dead");
    assert_eq!(notes(&office), 1);
    assert!(office.is_delivered(&job));
}

/// A second failure at each of the following calls, and a crash after it that loses the note.
#[test]
fn the_notice_is_posted_once_despite_further_failures_on_a_full_disk() {
    let away = Fault::Before(Class::Transient, Why::Unreachable);
    for (function, fault) in [
        (POST, Fault::Before(LOST.0, LOST.1)),
        (POST, Fault::After(LOST.0, LOST.1)),
        (POST, away.clone()),
        (DELIVERED, away.clone()),
        (DELIVERED, Fault::After(Class::Transient, Why::LostAnswer)),
    ] {
        for (crashes, room) in [(false, false), (true, false), (true, true)] {
            let (office, mut job) = given_up_on_a_full_disk();
            office.backend.fail(function, [fault.clone()]);
            assert_eq!(office.deliver(&mut job), "again", "{function} {fault:?}");
            office.team.board.pass(20_000);
            if crashes {
                office.paper.refuse(!room);
                job = crash(&office, &job);
                office.gateway.recovers(Recovered::Cut);
            }
            let (end, _) = to_the_end(&office, &mut job);
            assert_eq!(end, "dead", "{function} {fault:?} {crashes} {room}");
            assert_eq!(notes(&office), 1, "{function} {fault:?} {crashes} {room}");
            assert!(office.is_delivered(&job));
        }
    }
}

/// A definite refusal differs: nothing depends on the note.
#[test]
fn a_refused_notice_ends_the_delivery() {
    let (office, mut job) = given_up_on_a_full_disk();
    office.backend.fail(POST, [Fault::Before(Class::Refused, Why::Forbidden)]);
    assert_eq!(office.deliver(&mut job), "dead");
    assert_eq!(notes(&office), 0);
    assert!(office.is_delivered(&job));
}

/// The failures of a call, permanent or once.
fn troubles() -> Vec<Vec<Fault>> {
    let for_ever = |class, why| vec![Fault::Before(class, why); 60];
    vec![
        for_ever(Class::Refused, Why::Forbidden),
        for_ever(Class::Refused, Why::Unknown),
        for_ever(Class::Gone, Why::NotFound),
        for_ever(LOST.0, LOST.1),
        vec![Fault::Before(Class::Transient, Why::Unreachable); 2],
        vec![Fault::Before(LOST.0, LOST.1)],
        vec![Fault::After(LOST.0, LOST.1)],
        vec![Fault::After(Class::Transient, Why::LostAnswer)],
    ]
}

/// Each call after the answer, with each of its failures: the row is answered, with one message, by one turn.
#[test]
fn a_failure_after_the_answer_leaves_the_row_answered() {
    for options in [Options::default(), Options { original: false, redact: true }] {
        for (function, row) in
            [(CONTEXT, "update"), (DELIVERED, "update"), (DELIVERED, "mention"), (ADVANCE, "assignment")]
        {
            for trouble in troubles() {
                let office = Office::on(options);
                let mut job = match row {
                    "assignment" => office.assignment(),
                    "mention" => office.mention("@ben?"),
                    _ => office.update("And now?"),
                };
                // The first read of the context is not after the answer.
                let first = (function == CONTEXT).then_some(Fault::Pass);
                office.backend.fail(function, first.into_iter().chain(trouble.clone()));
                office.gateway.says("Yes.");
                let what = format!("{row}, {function}: {:?}", trouble[0]);
                let (end, _) = to_the_end(&office, &mut job);
                assert_eq!(end, "answered", "{what}");
                let said: Vec<Value> =
                    office.messages_of_ben().iter().map(|row| row["content"].clone()).collect();
                assert_eq!((said, office.gateway.take_seen().len()), (vec!["Yes.".into()], 1), "{what}");
                let marked = function != DELIVERED || trouble.len() < 10;
                assert_eq!(office.is_delivered(&job), marked, "{what}");
            }
        }
    }
}

/// The backend continues to list a row whose mark it refuses. The agent is not asked again, and the mark is
/// retried after a while.
#[test]
fn an_answered_row_that_cannot_be_marked_is_not_restarted() {
    let office = Office::original();
    let row = notification_of(&office.mention("@ben?")).clone();
    office.backend.fail(DELIVERED, [Fault::Before(Class::Refused, Why::Forbidden)]);
    office.gateway.says("Yes.");
    let mut now = office.team.board.clock().now();
    let mut dispatcher = Scheduler::with(plan(), RecoveredState::default(), now);
    let mut starts = 0;
    for (list, minutes) in (1..).zip([0, 1, 1, 1, 59, 1, 1]) {
        now = now + Duration::from_mins(minutes);
        let rows =
            if office.is_delivered(&job_of(&row, Record::default())) { vec![] } else { vec![row.clone()] };
        dispatcher.on(None, now);
        let effects = dispatcher.on(Some(Event::Listed { list, limit: 50, rows, spoilt: 0, dice: 0.5 }), now);
        for effect in effects {
            let Effect::Start(mut job) = effect else { continue };
            starts += 1;
            let outcome = office.outcome(&mut job);
            assert!(matches!(&outcome, Outcome::Closed(end) if end.name() == "answered"), "{outcome:?}");
            dispatcher.on(Some(Event::Finished(job, outcome)), now);
        }
    }
    assert_eq!((starts, office.gateway.take_seen().len(), office.messages_of_ben().len()), (2, 1, 1));
    assert!(office.is_delivered(&job_of(&row, Record::default())));
}
