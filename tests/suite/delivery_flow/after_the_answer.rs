//! Failures after the outcome is known: a full disk when a note is due, and calls after the answer that are
//! refused or lost.

use std::sync::Arc;
use std::time::Duration;

use mission_control_runtime::clock::Clock as _;
use mission_control_runtime::convex::{CallClass, CallReason};
use mission_control_runtime::delivery::scheduler::{Effect, Event, RecoveredState, Scheduler};
use mission_control_runtime::delivery::{Job, Outcome, Record};
use mission_control_runtime::gateway::{self, Recovered};
use mission_control_runtime::local::Options;
use mission_control_runtime::model::Notification;
use serde_json::{Value, json};

use super::sequences::plan;
use super::setup::Fixture;
use super::{ADVANCE, CONTEXT, DELIVERED, POST};
use crate::support::direct::Fault;
use crate::support::work::{job_of, notification_of};

const LOST: (CallClass, CallReason) = (CallClass::Ambiguous, CallReason::LostAnswer);

/// Delivers until it ends; returns the outcome, and how often it paused.
fn to_the_end(fixture: &Fixture, job: &mut Job) -> (&'static str, usize) {
    for rests in 0..100 {
        match fixture.deliver(job) {
            "again" => fixture.team.board.advance(20_000),
            end => return (end, rests),
        }
    }
    panic!("it never ends")
}

/// A delivery whose answer can only be found in part, while the disk is full: it is given up, with a notice
/// for people.
fn given_up_on_a_full_disk() -> (Arc<Fixture>, Job) {
    let fixture = Arc::new(Fixture::original());
    let mut job = fixture.mention("@ben?");
    let full = fixture.clone();
    fixture.gateway.meanwhile(move || full.ledger.refuse(true));
    fixture.gateway.fails(gateway::Class::Lost, gateway::Why::LostAnswer);
    assert_eq!(fixture.deliver(&mut job), "again");
    fixture.gateway.recovers(Recovered::Cut);
    (fixture, job)
}

fn notes(fixture: &Fixture) -> usize {
    let messages = fixture.messages_of_ben();
    assert!(messages.iter().all(|row| row["content"].as_str().unwrap().contains("there will be no answer")));
    messages.len()
}

/// The state of the next process after a crash, without any note on disk since the disk was full.
fn crash(fixture: &Fixture, job: &Job) -> Job {
    let mut left = fixture.ledger.crash(0).pop().expect("its first step was written");
    left.record.recalled(fixture.team.board.clock().now());
    let row = left.work.notification().expect("a notification").clone();
    let now: Value = fixture.team.board.row("notifications", job.work.id.as_str());
    let row = Notification { read_at: serde_json::from_value(now["readAt"].clone()).unwrap(), ..row };
    job_of(&row, left.record)
}

/// A restart between the answer and its post, and a message that is folded into the row meanwhile. The tools of the
/// first delivery do not count as work of the second one: the silence there is no answer to the person.
#[test]
fn the_delivery_after_a_moved_one_starts_with_an_empty_tool_log() {
    let fixture = Fixture::new();
    let mut job = fixture.update("Please write it down.");
    let paper = json!({"title": "Notes", "content": "…", "type": "note"}).to_string();
    fixture.gateway.calls(&[("document_upsert", &paper)]).says("It is written down.");
    fixture.backend.fail(POST, [Fault::Before(CallClass::Transient, CallReason::Unreachable)]);
    assert_eq!(fixture.deliver(&mut job), "again");
    fixture.restart(&mut job);
    fixture.team.board.person_says(&fixture.task, "And what is in it?");
    assert_eq!(fixture.deliver(&mut job), "again", "the row has moved");
    assert_eq!(fixture.messages_of_ben().len(), 1);
    fixture.gateway.says("");
    assert_eq!(fixture.deliver(&mut job), "again", "the agent is asked once more");
    fixture.gateway.says("Notes.");
    assert_eq!(fixture.deliver(&mut job), "answered");
    assert_eq!(fixture.messages_of_ben().len(), 2);
}

#[test]
fn a_full_disk_does_not_suppress_the_notice() {
    let (fixture, mut job) = given_up_on_a_full_disk();
    assert_eq!(fixture.deliver(&mut job), "dead");
    assert_eq!(notes(&fixture), 1);
    assert!(fixture.is_delivered(&job));
}

/// A second failure at each of the following calls, and a crash after it that loses the note.
#[test]
fn the_notice_is_posted_once_despite_further_failures_on_a_full_disk() {
    let away = Fault::Before(CallClass::Transient, CallReason::Unreachable);
    for (function, fault) in [
        (POST, Fault::Before(LOST.0, LOST.1)),
        (POST, Fault::After(LOST.0, LOST.1)),
        (POST, away.clone()),
        (DELIVERED, away.clone()),
        (DELIVERED, Fault::After(CallClass::Transient, CallReason::LostAnswer)),
    ] {
        for (crashes, room) in [(false, false), (true, false), (true, true)] {
            let (fixture, mut job) = given_up_on_a_full_disk();
            fixture.backend.fail(function, [fault.clone()]);
            assert_eq!(fixture.deliver(&mut job), "again", "{function} {fault:?}");
            fixture.team.board.advance(20_000);
            if crashes {
                fixture.ledger.refuse(!room);
                job = crash(&fixture, &job);
                fixture.gateway.recovers(Recovered::Cut);
            }
            let (end, _) = to_the_end(&fixture, &mut job);
            assert_eq!(end, "dead", "{function} {fault:?} {crashes} {room}");
            assert_eq!(notes(&fixture), 1, "{function} {fault:?} {crashes} {room}");
            assert!(fixture.is_delivered(&job));
        }
    }
}

/// A definite refusal differs: nothing depends on the note.
#[test]
fn a_refused_notice_ends_the_delivery() {
    let (fixture, mut job) = given_up_on_a_full_disk();
    fixture.backend.fail(POST, [Fault::Before(CallClass::Refused, CallReason::Forbidden)]);
    assert_eq!(fixture.deliver(&mut job), "dead");
    assert_eq!(notes(&fixture), 0);
    assert!(fixture.is_delivered(&job));
}

/// The failures of a call, permanent or once.
fn troubles() -> Vec<Vec<Fault>> {
    let for_ever = |class, why| vec![Fault::Before(class, why); 60];
    vec![
        for_ever(CallClass::Refused, CallReason::Forbidden),
        for_ever(CallClass::Refused, CallReason::Unknown),
        for_ever(CallClass::Gone, CallReason::NotFound),
        for_ever(LOST.0, LOST.1),
        vec![Fault::Before(CallClass::Transient, CallReason::Unreachable); 2],
        vec![Fault::Before(LOST.0, LOST.1)],
        vec![Fault::After(LOST.0, LOST.1)],
        vec![Fault::After(CallClass::Transient, CallReason::LostAnswer)],
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
                let fixture = Fixture::on(options);
                let mut job = match row {
                    "assignment" => fixture.assignment(),
                    "mention" => fixture.mention("@ben?"),
                    _ => fixture.update("And now?"),
                };
                // The first read of the context is not after the answer.
                let first = (function == CONTEXT).then_some(Fault::Pass);
                fixture.backend.fail(function, first.into_iter().chain(trouble.clone()));
                fixture.gateway.says("Yes.");
                let what = format!("{row}, {function}: {:?}", trouble[0]);
                let (end, _) = to_the_end(&fixture, &mut job);
                assert_eq!(end, "answered", "{what}");
                let said: Vec<Value> =
                    fixture.messages_of_ben().iter().map(|row| row["content"].clone()).collect();
                assert_eq!((said, fixture.gateway.take_seen().len()), (vec!["Yes.".into()], 1), "{what}");
                let marked = function != DELIVERED || trouble.len() < 10;
                assert_eq!(fixture.is_delivered(&job), marked, "{what}");
            }
        }
    }
}

/// The backend continues to list a row whose mark it refuses. The agent is not asked again, and the mark is
/// retried after a while.
#[test]
fn an_answered_row_that_cannot_be_marked_is_not_restarted() {
    let fixture = Fixture::original();
    let row = notification_of(&fixture.mention("@ben?")).clone();
    fixture.backend.fail(DELIVERED, [Fault::Before(CallClass::Refused, CallReason::Forbidden)]);
    fixture.gateway.says("Yes.");
    let mut now = fixture.team.board.clock().now();
    let mut dispatcher = Scheduler::with(plan(), RecoveredState::default(), now);
    let mut starts = 0;
    for (list, minutes) in (1..).zip([0, 1, 1, 1, 59, 1, 1]) {
        now = now + Duration::from_mins(minutes);
        let rows =
            if fixture.is_delivered(&job_of(&row, Record::default())) { vec![] } else { vec![row.clone()] };
        dispatcher.on(None, now);
        let effects =
            dispatcher.on(Some(Event::Listed { list, limit: 50, rows, malformed: 0, dice: 0.5 }), now);
        for effect in effects {
            let Effect::Start(mut job) = effect else { continue };
            starts += 1;
            let outcome = fixture.outcome(&mut job);
            assert!(matches!(&outcome, Outcome::Closed(end) if end.name() == "answered"), "{outcome:?}");
            dispatcher.on(Some(Event::Finished(job, outcome)), now);
        }
    }
    assert_eq!((starts, fixture.gateway.take_seen().len(), fixture.messages_of_ben().len()), (2, 1, 1));
    assert!(fixture.is_delivered(&job_of(&row, Record::default())));
}
