//! What is counted for a row, and what begins a turn: only what really happened.

use std::time::Duration;

use mission_control_runtime::convex;
use mission_control_runtime::delivery::{End, Outcome, Stage};

use super::setup::Fixture;
use super::{DELIVERED, POST};
use crate::support::direct::Fault;

/// While the record of a turn cannot be written, the turn is not sent, and the agent is not counted as asked.
#[test]
fn a_full_disk_counts_no_turn() {
    let fixture = Fixture::new();
    let mut job = fixture.mention("@ben?");
    fixture.ledger.refuse(true);
    for _ in 0..5 {
        assert_eq!(fixture.deliver(&mut job), "again");
    }
    assert_eq!(
        (job.record.asked(), fixture.gateway.take_seen().len()),
        (0, 0),
        "asked, and turns that were sent"
    );
    fixture.ledger.refuse(false);
    fixture.gateway.says("Yes.");
    assert_eq!(fixture.deliver(&mut job), "answered");
    let turns = fixture.gateway.take_seen();
    assert_eq!((job.record.asked(), turns.len()), (1, 1));
    assert!(turns[0].message.as_deref().unwrap().contains("try 1]"), "{:?}", turns[0].message);
}

/// Two outages of the backend in one delivery, with progress between them: the second one begins with a short
/// pause.
#[test]
fn a_past_outage_of_the_backend_lengthens_no_later_pause() {
    let fixture = Fixture::new();
    let mut job = fixture.mention("@ben, the whole plan");
    let away = || Fault::Before(convex::CallClass::Transient, convex::CallReason::Unreachable);
    fixture.backend.fail(POST, std::iter::repeat_n(away(), 8).chain([Fault::Pass, away()]));
    fixture.gateway.says(&format!("{}\n\n{}", "a".repeat(90_000), "b".repeat(90_000)));
    let mut pauses = Vec::new();
    while let Outcome::Again { pause: Some(pause), .. } = fixture.outcome(&mut job) {
        pauses.push(pause);
    }
    assert_eq!((pauses.len(), fixture.messages_of_ben().len()), (9, 2));
    assert!(pauses[7] > Duration::from_secs(200) && pauses[8] <= Duration::from_secs(4), "{pauses:?}");
}

/// Only the mark was missing, and then a later message appears in the row. It needs a turn. Whether one may
/// begin is the dispatcher's decision: the breaker may be open, or the agent paused.
#[test]
fn a_missing_mark_starts_no_turn() {
    let fixture = Fixture::original();
    let mut job = fixture.update("first");
    let away = Fault::Before(convex::CallClass::Transient, convex::CallReason::Unreachable);
    fixture.backend.fail(DELIVERED, [away]);
    fixture.gateway.says("About the first.");
    assert_eq!(fixture.deliver(&mut job), "again");
    assert!(matches!(job.record.stage, Stage::Ended(End::Answered(1))));
    fixture.team.board.person_says(&fixture.task, "second");
    fixture.gateway.take_seen();
    fixture.gateway.says("About the second.");
    match fixture.outcome(&mut job) {
        Outcome::Again { pause, .. } => assert_eq!(pause, Some(Duration::ZERO)),
        closed @ Outcome::Closed(_) => panic!("{closed:?}"),
    }
    assert_eq!(fixture.gateway.take_seen().len(), 0, "turns that were sent");
    assert!(fixture.is_delivered(&job));
    assert_eq!(fixture.deliver(&mut job), "answered");
    assert_eq!(fixture.gateway.take_seen().len(), 1);
    assert_eq!(fixture.messages_of_ben().len(), 2);
}
