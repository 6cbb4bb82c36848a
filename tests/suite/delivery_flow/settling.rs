//! A turn whose answer was lost: what is looked for, what is adopted, and when it is sent again (openclaw-gateway §11.8).

use std::time::Duration;

use mission_control_runtime::clock::Clock as _;
use mission_control_runtime::delivery::cause::Cause;
use mission_control_runtime::delivery::retry::LOST_MAX;
use mission_control_runtime::delivery::{End, Job, Outcome, Sent, Stage, Trouble, UnknownFields, Unsettled};
use mission_control_runtime::gateway::history::{Running, Waiting};
use mission_control_runtime::gateway::{Class, GatewayError, Recovered, Reply, ToolCall, Why};
use mission_control_runtime::model::SessionKey;
use serde_json::{Value, json};

use super::setup::Office;
use super::{CONTEXT, DELIVERED, ENDED, POST, READ};

fn says(text: &str) -> Reply {
    Reply { text: Some(text.to_owned()), ..Reply::default() }
}

fn goes_on(last: u64) -> Recovered {
    let again_in = Duration::from_secs(5);
    Recovered::Running(Running { again_in, why: Waiting::GoesOn, last: Some(last) })
}

/// Somebody was mentioned, the turn was sent, and its answer was lost.
fn lost() -> (Office, Job) {
    let office = Office::new();
    let mut job = office.mention("@ben?");
    office.gateway.fails(Class::Lost, Why::LostAnswer);
    match office.outcome(&mut job) {
        Outcome::Again { pause, .. } => assert_eq!(pause, Some(Duration::ZERO), "it is looked for at once"),
        Outcome::Closed(end) => panic!("{end:?}"),
    }
    office.backend.take_names();
    (office, job)
}

/// An answer is adopted as if it had come on the usual way, and the agent is not asked again.
#[test]
fn what_is_found_is_adopted() {
    for found in [Recovered::Answered(says("Yes.")), Recovered::Elsewhere(says("Yes."))] {
        let (office, mut job) = lost();
        office.gateway.recovers(found);
        assert_eq!(office.deliver(&mut job), "answered");
        assert_eq!(office.backend.take_names(), [CONTEXT, READ, POST, DELIVERED]);
        assert_eq!(office.last_message()["content"], "Yes.");
        assert_eq!(office.gateway.take_seen().len(), 1);
        let looked = office.gateway.take_looked();
        let marker = format!("[n-{} try 1]", job.work.id);
        assert_eq!((looked.len(), &looked[0].marker, looked[0].again), (1, &marker, false));
        assert_eq!((looked[0].run.as_deref(), looked[0].failed), (Some("resp_0"), false));
        assert_eq!(looked[0].session.split(':').next(), Some("task"));
        assert_eq!((job.record.own_failures(), job.record.sent), (0, None));
    }
}

#[test]
fn calls_that_are_found_are_made_once() {
    let (office, mut job) = lost();
    let create = json!({"title": "Notes", "content": "…", "type": "note"}).to_string();
    let call = ToolCall { call_id: "m1".to_owned(), name: "document_upsert".to_owned(), arguments: create };
    office.gateway.recovers(Recovered::Calls(Reply { calls: vec![call], ..Reply::default() }));
    office.gateway.fails(Class::Lost, Why::LostAnswer);
    assert_eq!(office.deliver(&mut job), "again");
    // The turn with the results is lost, too: it is found by them, and the tool is not run again.
    office.gateway.recovers(Recovered::Answered(says("Written.")));
    assert_eq!(office.deliver(&mut job), "answered");
    let turns = office.gateway.take_seen();
    assert_eq!((turns.len(), turns[1].outputs[0].call_id.as_str()), (2, "m1"));
    let looked = office.gateway.take_looked();
    assert_eq!((looked[0].outputs, looked[1].outputs), (0, 1));
    assert_eq!(office.backend.args_of("createDocumentFromAgent").len(), 1);
    assert_eq!(office.last_message()["content"], "Written.");
}

/// A run that goes on is waited for, and that is no failure, however long it takes.
#[test]
fn a_run_that_goes_on_is_waited_for() {
    let (office, mut job) = lost();
    for last in 0..100 {
        office.gateway.recovers(goes_on(last));
        match office.outcome(&mut job) {
            Outcome::Again { pause, trouble } => {
                assert_eq!(pause, Some(Duration::from_secs(5)));
                assert!(trouble.to_string().contains("goes on without us"), "{trouble}");
            }
            Outcome::Closed(end) => panic!("{end:?}"),
        }
    }
    assert!(
        office.backend.take_names().iter().all(|name| name == ENDED),
        "looking costs the backend nothing"
    );
    assert_eq!(job.record.own_failures(), 0);
    office.gateway.is_away();
    assert_eq!(office.deliver(&mut job), "again");
    assert!(job.record.sent.is_some(), "and while the gateway is away it is not forgotten");
    office.gateway.recovers(Recovered::Answered(says("At last.")));
    assert_eq!(office.deliver(&mut job), "answered");
    assert_eq!(office.gateway.take_seen().len(), 1);
    let looked = office.gateway.take_looked();
    assert!(!looked[0].again && looked[1].again);
}

/// What the gateway has not taken, the agent was not asked: people who count are told so.
#[test]
fn what_nobody_took_was_not_asked() {
    let office = Office::new();
    let mut job = office.mention("@ben?");
    office.gateway.fails(Class::Closed, Why::Unreachable);
    assert_eq!(office.deliver(&mut job), "again");
    assert_eq!((job.record.tries, job.record.asked()), (1, 0));
    office.gateway.says("Yes.");
    assert_eq!(office.deliver(&mut job), "answered");
    assert_eq!((job.record.tries, job.record.asked()), (2, 1));
}

/// A gateway that runs for less time than the turn is old was restarted: so a wall clock that is set forward meanwhile
/// must not make the turn older.
#[test]
fn a_clock_that_is_set_makes_no_turn_older() {
    let (office, mut job) = lost();
    let sent = job.record.sent.as_mut().unwrap();
    sent.at = sent.at - Duration::from_hours(1);
    office.gateway.recovers(goes_on(1));
    assert_eq!(office.deliver(&mut job), "again");
    assert!(office.gateway.take_looked()[0].age < Duration::from_mins(30));
}

/// It has been quiet for longer than anybody waits.
fn quiet(job: &mut Job) {
    let sent = job.record.sent.as_mut().unwrap();
    let long_ago = sent.at - Duration::from_mins(20);
    sent.lost = Some(long_ago);
    sent.grown = Some((7, long_ago));
}

/// §11.7: without a sign of life it is stuck, which people are told, and where nobody can end it in the end given up.
#[test]
fn a_run_without_a_sign_of_life_is_stuck() {
    let (office, mut job) = lost();
    quiet(&mut job);
    office.gateway.recovers(goes_on(8));
    let outcome = office.outcome(&mut job);
    let waits = |outcome: &Outcome| {
        matches!(outcome, Outcome::Again { trouble: Trouble::Unsettled(Unsettled::Waiting { .. }), .. })
    };
    assert!(waits(&outcome), "the session has grown: {outcome:?}");
    let refused = || Err(GatewayError::new(Class::Refused, Why::NotOverSocket, None));
    for attempt in 1..=8 {
        quiet(&mut job);
        office.gateway.recovers(goes_on(7)).ends(refused());
        match office.outcome(&mut job) {
            Outcome::Again { trouble, .. } => assert!(trouble.to_string().contains("is stuck"), "{trouble}"),
            Outcome::Closed(End::Dead(why)) => {
                assert_eq!(attempt, 8);
                assert!(why.contains("is stuck"), "{why}");
            }
            Outcome::Closed(end) => panic!("{end:?}"),
        }
    }
    assert_eq!(office.gateway.take_seen().len(), 1);
}

/// §11.7: a stuck run is ended before the turn is sent again, with a word about it; a second time there is none.
#[test]
fn a_stuck_run_is_ended_and_the_turn_is_sent_once_more() {
    for ended in [true, false] {
        let (office, mut job) = lost();
        quiet(&mut job);
        office.gateway.recovers(goes_on(7)).ends(Ok(ended)).recovers(goes_on(7));
        match office.outcome(&mut job) {
            Outcome::Again { pause, .. } => assert_eq!(pause, Some(Duration::ZERO)),
            Outcome::Closed(end) => panic!("{end:?}"),
        }
        let [(session, run)] = &office.gateway.take_ended()[..] else { panic!("not ended once") };
        assert_eq!((session.split(':').next(), run.as_deref()), (Some("task"), Some("resp_0")));
        office.gateway.fails(Class::Lost, Why::LostAnswer);
        assert_eq!(office.deliver(&mut job), "again");
        let repeated = office.gateway.take_seen().pop().unwrap().message.unwrap();
        assert!(repeated.starts_with(&format!("[n-{} try 2]", job.work.id)), "{repeated}");
        assert!(repeated.contains("sent again"), "{repeated}");
        quiet(&mut job);
        office.gateway.recovers(goes_on(7)).ends(Ok(true)).recovers(goes_on(7));
        assert_eq!(office.deliver(&mut job), "dead");
        assert!(
            matches!(&job.record.stage, Stage::Ended(End::Dead(why)) if why.contains("stuck for the second time")),
            "{:?}",
            job.record.stage
        );
        assert_eq!(office.gateway.take_ended().len(), 1, "and it does not go on behind our back");
        assert!(office.gateway.take_seen().is_empty() && office.is_delivered(&job));
    }
}

/// What it answers in the moment of its end is taken; a gateway that is away at that moment is waited for.
#[test]
fn a_stuck_run_may_answer_at_the_last_moment() {
    let (office, mut job) = lost();
    quiet(&mut job);
    office.gateway.recovers(goes_on(7));
    office.gateway.ends(Err(GatewayError::new(Class::Closed, Why::Unreachable, None)));
    assert_eq!(office.deliver(&mut job), "again");
    assert!(job.record.sent.is_some() && job.record.own_failures() == 0 && job.record.parted.is_none());
    // It was ended, and then the gateway was away: the same attempt again is no second time.
    office.gateway.recovers(goes_on(7)).ends(Ok(true)).is_away();
    assert_eq!(office.deliver(&mut job), "again");
    office.gateway.recovers(goes_on(7)).ends(Ok(false)).recovers(Recovered::Answered(says("There.")));
    assert_eq!(office.deliver(&mut job), "answered");
    assert_eq!(
        (office.last_message()["content"].clone(), office.gateway.take_seen().len()),
        (json!("There."), 1)
    );
}

/// A turn that the gateway resumed is ended under whatever name it runs. What is only not to be read is not ended.
#[test]
fn only_what_runs_is_ended() {
    let stands = |why| {
        let again_in = Duration::from_secs(5);
        Recovered::Running(Running { again_in, why, last: Some(7) })
    };
    let (office, mut job) = lost();
    quiet(&mut job);
    office.gateway.recovers(stands(Waiting::Resuming)).ends(Ok(true)).recovers(Recovered::Silent);
    assert_eq!(office.deliver(&mut job), "again");
    assert_eq!(
        (office.gateway.take_ended()[0].1.as_deref(), job.record.failures.of(Cause::Silence)),
        (None, 1)
    );

    let (office, mut job) = lost();
    quiet(&mut job);
    office.gateway.recovers(stands(Waiting::Fetching));
    assert_eq!(office.deliver(&mut job), "dead");
    assert!(matches!(&job.record.stage, Stage::Ended(End::Dead(why)) if why.contains("but cut")));

    let (office, mut job) = lost();
    quiet(&mut job);
    office.gateway.recovers(stands(Waiting::Unreadable));
    assert_eq!(office.deliver(&mut job), "again");
    assert!(job.record.sent.is_some() && office.gateway.take_ended().is_empty());
}

/// Only what is nowhere to be found is sent again; with a word about it if the agent may have seen it.
#[test]
fn what_is_absent_is_sent_again() {
    for marker_seen in [true, false] {
        let (office, mut job) = lost();
        office.gateway.recovers(Recovered::Absent { marker_seen });
        match office.outcome(&mut job) {
            Outcome::Again { pause, .. } => assert_eq!(pause, Some(Duration::ZERO), "early is better"),
            Outcome::Closed(end) => panic!("{end:?}"),
        }
        assert_eq!((job.record.failures.of(Cause::LostAnswer), job.record.own_failures()), (1, 1));
        office.gateway.fails(Class::Lost, Why::LostAnswer);
        assert_eq!(office.deliver(&mut job), "again");
        let repeated = office.gateway.take_seen().pop().unwrap().message.unwrap();
        assert!(repeated.starts_with(&format!("[n-{} try 2]", job.work.id)), "{repeated}");
        assert_eq!(repeated.contains("sent again"), marker_seen, "{repeated}");
        office.gateway.recovers(Recovered::Answered(says("Yes.")));
        assert_eq!(office.deliver(&mut job), "answered");
        let earlier = office.gateway.take_looked().pop().unwrap().earlier;
        assert_eq!(earlier, marker_seen.then(|| format!("[n-{} try 1]", job.work.id)));
    }

    let (office, mut job) = lost();
    for attempt in 0..=LOST_MAX {
        office.gateway.recovers(Recovered::Absent { marker_seen: true });
        let end = office.deliver(&mut job);
        assert_eq!(end, if attempt < LOST_MAX { "again" } else { "dead" });
        if attempt < LOST_MAX {
            office.gateway.fails(Class::Lost, Why::LostAnswer);
            assert_eq!(office.deliver(&mut job), "again");
        }
    }
    assert_eq!(office.gateway.take_seen().len(), 1 + LOST_MAX as usize);

    // Meanwhile the agent need not hear of it any more.
    let (office, mut job) = lost();
    office.gateway.recovers(Recovered::Absent { marker_seen: false });
    assert_eq!(office.deliver(&mut job), "again");
    office.team.board.edit("tasks", &office.task, json!({"status": "archived"}));
    assert_eq!(office.deliver(&mut job), "skipped");
    // But what it has answered is not thrown away.
    let (office, mut job) = lost();
    office.gateway.recovers(Recovered::Answered(says("Yes.")));
    office.team.board.edit("tasks", &office.task, json!({"status": "archived"}));
    assert_eq!(office.deliver(&mut job), "answered");
}

/// What the gateway says of a failed run decides, and what nobody can tell is never repeated.
#[test]
fn every_other_verdict_has_its_end() {
    for marker_seen in [true, false] {
        let (office, mut job) = lost();
        office.gateway.recovers(Recovered::Failed { why: Why::Internal, marker_seen });
        assert_eq!(office.deliver(&mut job), "again");
        assert_eq!((job.record.failures.of(Cause::Internal), job.record.own_failures()), (1, 1));
        office.gateway.says("Yes.");
        assert_eq!(office.deliver(&mut job), "answered");
        let second = office.gateway.take_seen()[1].message.clone().unwrap();
        assert_eq!(second.contains("sent again"), marker_seen, "{second}");
    }

    let (office, mut job) = lost();
    office.gateway.recovers(Recovered::Silent);
    assert_eq!(office.deliver(&mut job), "again");
    assert_eq!((job.record.own_failures(), job.record.failures.of(Cause::Silence)), (1, 1));
    assert_eq!(job.record.sent, None);

    for (verdict, words) in
        [(Recovered::Cut, "answer found, but cut"), (Recovered::Unknown, "unknown outcome")]
    {
        let (office, mut job) = lost();
        office.gateway.recovers(verdict);
        assert_eq!(office.deliver(&mut job), "dead");
        assert!(matches!(&job.record.stage, Stage::Ended(End::Dead(why)) if why.contains(words)));
        assert_eq!(office.gateway.take_seen().len(), 1);
        let notes = office.messages_of_ben();
        assert_eq!(notes.len(), 1);
        assert!(
            notes[0]["content"].as_str().unwrap().starts_with("*(Automatic note: there will be no answer ")
        );
        assert!(office.is_delivered(&job));
    }

    // `internal error` is the gateway's own word; all else is about the way between us.
    let office = Office::new();
    let mut job = office.mention("@ben?");
    office.gateway.fails(Class::Lost, Why::Internal);
    assert_eq!(office.deliver(&mut job), "again");
    office.gateway.recovers(Recovered::Answered(says("Yes.")));
    assert_eq!(office.deliver(&mut job), "answered");
    assert!(office.gateway.take_looked()[0].failed);
}

/// Whoever finds the note of a turn that was sent in another life settles it first; the note outlives a file.
#[test]
fn a_note_of_another_life_is_settled_first() {
    let office = Office::new();
    let mut job = office.mention("@ben?");
    let sent = Sent {
        session: SessionKey::new("task:t1:agent:ben:acc:v1"),
        agent: "ben".to_owned(),
        attempt: 3,
        run: None,
        at: office.team.board.clock().now() - Duration::from_mins(1),
        lost: None,
        silent: false,
        failed: false,
        spoke: false,
        looked: None,
        grown: Some((7, office.team.board.clock().now())),
        interrupted: true,
        extra: UnknownFields::default(),
    };
    let kept: Value = serde_json::to_value(&sent).unwrap();
    job.record.sent = Some(serde_json::from_value(kept).unwrap());
    assert_eq!(job.record.sent.as_ref(), Some(&sent));
    office.gateway.recovers(goes_on(1));
    assert_eq!(office.deliver(&mut job), "again");
    assert!(office.backend.take_names().is_empty());
    office.gateway.recovers(Recovered::Answered(says("Yes.")));
    assert_eq!(office.deliver(&mut job), "answered");
    let looked = office.gateway.take_looked();
    assert_eq!(looked[0].marker, format!("[n-{} try 3]", job.work.id));
    assert_eq!(looked[0].session, "task:t1:agent:ben:acc:v1", "where it was sent, wherever that is now");
    assert!(looked[0].age >= Duration::from_mins(1), "there is only the wall clock to tell it by");
    assert!(office.gateway.take_seen().is_empty());
}
