//! A turn whose answer was lost: what is looked for, what is adopted, and when it is sent again
//! (openclaw-gateway §11.8).

use std::time::Duration;

use mission_control_runtime::clock::Clock as _;
use mission_control_runtime::delivery::cause::Cause;
use mission_control_runtime::delivery::retry::LOST_MAX;
use mission_control_runtime::delivery::{End, Job, Outcome, Sent, Stage, Trouble, UnknownFields, Unsettled};
use mission_control_runtime::gateway::history::{Running, Waiting};
use mission_control_runtime::gateway::{Class, GatewayError, Recovered, Reply, ToolCall, Usage, Why};
use mission_control_runtime::model::SessionKey;
use serde_json::{Value, json};

use super::setup::Fixture;
use super::{CONTEXT, DELIVERED, ENDED, POST, READ};

fn says(text: &str) -> Reply {
    Reply { text: Some(text.to_owned()), ..Reply::default() }
}

fn goes_on(last: u64) -> Recovered {
    let again_in = Duration::from_secs(5);
    Recovered::Running(Running { again_in, why: Waiting::GoesOn, last: Some(last), promised: 0 })
}

/// An agent was mentioned, the turn was sent, and its answer was lost.
fn lost() -> (Fixture, Job) {
    let fixture = Fixture::new();
    let mut job = fixture.mention("@ben?");
    fixture.gateway.fails(Class::Lost, Why::LostAnswer);
    match fixture.outcome(&mut job) {
        Outcome::Again { pause, .. } => assert_eq!(pause, Some(Duration::ZERO), "it is looked for at once"),
        Outcome::Closed(end) => panic!("{end:?}"),
    }
    fixture.backend.take_names();
    (fixture, job)
}

/// A found answer is adopted like one that arrived normally, without another turn.
#[test]
fn a_found_answer_is_adopted() {
    for found in [Recovered::Answered(says("Yes.")), Recovered::Elsewhere(says("Yes."))] {
        let (fixture, mut job) = lost();
        fixture.gateway.recovers(found);
        assert_eq!(fixture.deliver(&mut job), "answered");
        assert_eq!(fixture.backend.take_names(), [CONTEXT, READ, POST, DELIVERED]);
        assert_eq!(fixture.last_message()["content"], "Yes.");
        assert_eq!(fixture.gateway.take_seen().len(), 1);
        let looked = fixture.gateway.take_looked();
        let marker = format!("[n-{} try 1]", job.work.id);
        assert_eq!((looked.len(), &looked[0].marker, looked[0].again), (1, &marker, false));
        assert_eq!((looked[0].run.as_deref(), looked[0].failed), (Some("resp_0"), false));
        assert_eq!(looked[0].session.split(':').next(), Some("task"));
        assert_eq!((job.record.own_failures(), job.record.sent), (0, None));
    }
}

/// An answer of a run that the gateway resumed without the turn's tools, and its cost.
fn without_tools(text: &str) -> Recovered {
    let usage = Usage { input_tokens: 5, output_tokens: 2, nano_dollars: 0 };
    Recovered::ToolsMissing(Reply { usage: Some(usage), ..says(text) })
}

/// The agent gets the question again, with its tools and with a note. What it said without them is posted nowhere.
#[test]
fn an_answer_without_the_tools_of_the_turn_is_no_answer() {
    let (fixture, mut job) = lost();
    fixture.gateway.recovers(without_tools("I lack the tools."));
    match fixture.outcome(&mut job) {
        Outcome::Again { trouble, pause } => {
            assert!(trouble.to_string().contains("resumed the turn without its tools"), "{trouble}");
            assert!(pause < Some(Duration::from_mins(1)), "{pause:?}");
        }
        Outcome::Closed(end) => panic!("{end:?}"),
    }
    assert!(fixture.backend.take_names().is_empty(), "nothing is posted");
    // The next process knows it, too.
    fixture.restart(&mut job);
    fixture.gateway.calls(&[("document_upsert", NOTES)]).says("Written.");
    assert_eq!(fixture.deliver(&mut job), "answered");
    assert!(fixture.gateway.take_looked().iter().all(|looked| looked.tools));
    let turns = fixture.gateway.take_seen();
    assert_eq!(turns.len(), 3);
    let told = |turn: usize| turns[turn].instructions.contains("# Interrupted turn");
    assert_eq!([told(0), told(1)], [false, true]);
    let question = turns[1].message.as_deref().unwrap();
    assert!(
        question.starts_with(&format!("[n-{} try 2]", job.work.id)) && question.contains("sent again"),
        "{question}"
    );
    assert!(!turns[1].tools.is_empty());
    assert_eq!(fixture.backend.args_of("createDocumentFromAgent").len(), 1);
    let said: Vec<Value> = fixture.messages_of_ben().into_iter().map(|row| row["content"].clone()).collect();
    assert_eq!(said, ["Written."]);
    assert_eq!((job.record.spent.output_tokens, job.record.tools_missing), (2, false), "both runs are paid");
}

/// The next request is lost, too. If it never arrived, the answer of the resumed run is found again, and is paid already.
#[test]
fn the_next_look_knows_which_answer_without_tools_is_paid() {
    let (fixture, mut job) = lost();
    fixture.gateway.recovers(without_tools("I lack the tools."));
    assert_eq!(fixture.deliver(&mut job), "again");
    // The next process knows it, too.
    fixture.restart(&mut job);
    fixture.gateway.fails(Class::Lost, Why::LostAnswer);
    assert_eq!(fixture.deliver(&mut job), "again");
    let again = Recovered::ToolsMissing(says("I lack the tools."));
    fixture.gateway.recovers(again).says("Yes.");
    assert_eq!(fixture.deliver(&mut job), "again");
    assert_eq!(fixture.deliver(&mut job), "answered");
    let looked = fixture.gateway.take_looked();
    let marker = format!("[n-{} try 1]", job.work.id);
    assert_eq!([&looked[0].earlier, &looked[1].earlier], [&None, &Some(marker)]);
    assert_eq!([looked[0].earlier_charged, looked[1].earlier_charged], [false, true]);
    assert_eq!(job.record.spent.output_tokens, 2);
}

/// The results of calls go back once more, and the tool does not run again.
#[test]
fn results_that_a_run_without_tools_has_read_go_back_again() {
    let fixture = Fixture::new();
    let mut job = fixture.mention("@ben?");
    fixture.gateway.calls(&[("document_upsert", NOTES)]).fails(Class::Lost, Why::LostAnswer);
    assert_eq!(fixture.deliver(&mut job), "again");
    fixture.gateway.recovers(without_tools("I lack the tools."));
    assert_eq!(fixture.deliver(&mut job), "again");
    fixture.gateway.has_question(Ok(Some(true))).says("Written.");
    assert_eq!(fixture.deliver(&mut job), "answered");
    let turns = fixture.gateway.take_seen();
    assert_eq!(turns.len(), 3);
    assert_eq!((&turns[2].outputs, turns[1].outputs.len()), (&turns[1].outputs, 1));
    assert!(turns[2].instructions.contains("# Interrupted turn"));
    assert_eq!(fixture.backend.args_of("createDocumentFromAgent").len(), 1);
    assert_eq!(fixture.last_message()["content"], "Written.");
}

/// A gateway that is restarted in each turn: the last answer is better than none.
#[test]
fn the_last_answer_without_tools_is_taken() {
    let (fixture, mut job) = lost();
    for _ in 0..LOST_MAX {
        fixture.gateway.recovers(without_tools("I lack the tools."));
        assert_eq!(fixture.deliver(&mut job), "again");
        fixture.gateway.fails(Class::Lost, Why::LostAnswer);
        assert_eq!(fixture.deliver(&mut job), "again");
    }
    fixture.gateway.recovers(without_tools("I still lack the tools."));
    assert_eq!(fixture.deliver(&mut job), "answered");
    assert_eq!(fixture.last_message()["content"], "I still lack the tools.");
    assert_eq!(fixture.messages_of_ben().len(), 1);
}

#[test]
fn found_calls_are_made_once() {
    let (fixture, mut job) = lost();
    let create = json!({"title": "Notes", "content": "…", "type": "note"}).to_string();
    let call = ToolCall { call_id: "m1".to_owned(), name: "document_upsert".to_owned(), arguments: create };
    fixture.gateway.recovers(Recovered::Calls(Reply { calls: vec![call], ..Reply::default() }));
    fixture.gateway.fails(Class::Lost, Why::LostAnswer);
    assert_eq!(fixture.deliver(&mut job), "again");
    // The turn with the results is lost too: the results identify it, and the tool does not run again.
    fixture.gateway.recovers(Recovered::Answered(says("Written.")));
    assert_eq!(fixture.deliver(&mut job), "answered");
    let turns = fixture.gateway.take_seen();
    assert_eq!((turns.len(), turns[1].outputs[0].call_id.as_str()), (2, "m1"));
    let looked = fixture.gateway.take_looked();
    assert_eq!((looked[0].outputs, looked[1].outputs), (0, 1));
    assert_eq!(fixture.backend.args_of("createDocumentFromAgent").len(), 1);
    assert_eq!(fixture.last_message()["content"], "Written.");
}

const NOTES: &str = r#"{"title":"Notes","content":"…","type":"note"}"#;

/// An agent has called a tool, and the gateway did not accept the results.
fn results_left() -> (Fixture, Job) {
    let fixture = Fixture::new();
    let mut job = fixture.mention("@ben?");
    fixture.gateway.calls(&[("document_upsert", NOTES)]).fails(Class::Closed, Why::Draining);
    assert_eq!(fixture.deliver(&mut job), "again");
    assert!(fixture.gateway.take_searched().is_empty(), "nothing is read between calls and results");
    assert_eq!(fixture.gateway.take_seen().len(), 2);
    (fixture, job)
}

/// A session that was reset, or that an update of the gateway restored, has lost the question. The agent gets it again, and the
/// call that it repeats has its result from the record.
#[test]
fn results_of_a_question_that_the_session_has_lost_begin_again() {
    let (fixture, mut job) = results_left();
    let away = GatewayError::new(Class::Closed, Why::Unreachable, None);
    fixture.gateway.has_question(Err(away)).has_question(Ok(Some(false)));
    assert_eq!(fixture.deliver(&mut job), "again");
    assert!(matches!(job.record.stage, Stage::Working(_)), "an unreachable gateway has lost nothing");
    match fixture.outcome(&mut job) {
        Outcome::Again { trouble, .. } => assert!(trouble.to_string().contains("no longer has"), "{trouble}"),
        Outcome::Closed(end) => panic!("{end:?}"),
    }
    let marker = format!("[n-{} try 1]", job.work.id);
    assert_eq!(fixture.gateway.take_searched(), [marker.clone(), marker]);
    assert!(fixture.gateway.take_seen().is_empty());
    fixture.gateway.calls(&[("document_upsert", NOTES)]).says("Written.");
    assert_eq!(fixture.deliver(&mut job), "answered");
    let turns = fixture.gateway.take_seen();
    let question = turns[0].message.as_deref().unwrap();
    assert!(question.contains(" try 2]") && question.contains("is sent again"), "{question}");
    assert_eq!((turns.len(), turns[1].outputs.len()), (2, 1));
    assert_eq!(fixture.backend.args_of("createDocumentFromAgent").len(), 1);
    assert_eq!(fixture.last_message()["content"], "Written.");
}

#[test]
fn results_of_a_question_that_the_session_may_have_are_sent() {
    for found in [Some(true), None] {
        let (fixture, mut job) = results_left();
        fixture.gateway.has_question(Ok(found)).says("Written.");
        assert_eq!(fixture.deliver(&mut job), "answered");
        assert_eq!(fixture.gateway.take_searched().len(), 1);
        assert_eq!(fixture.gateway.take_seen()[0].outputs.len(), 1, "{found:?}");
    }
}

/// The results were sent, and neither they nor the question are there after the loss.
#[test]
fn lost_results_of_a_lost_question_begin_again() {
    let (fixture, mut job) = results_left();
    fixture.gateway.fails(Class::Lost, Why::LostAnswer);
    assert_eq!(fixture.deliver(&mut job), "again");
    fixture.gateway.recovers(Recovered::Absent { marker_seen: false }).has_question(Ok(Some(false)));
    assert_eq!(fixture.deliver(&mut job), "again");
    assert_eq!(fixture.deliver(&mut job), "again");
    fixture.gateway.says("Nothing to write.");
    assert_eq!(fixture.deliver(&mut job), "answered");
    assert!(fixture.gateway.take_seen()[1].message.as_deref().unwrap().contains(" try 2]"));
}

/// An active run is awaited, which is no failure, whatever its duration.
#[test]
fn an_active_run_is_awaited() {
    let (fixture, mut job) = lost();
    for last in 0..100 {
        fixture.gateway.recovers(goes_on(last));
        match fixture.outcome(&mut job) {
            Outcome::Again { pause, trouble } => {
                assert_eq!(pause, Some(Duration::from_secs(5)));
                assert!(trouble.to_string().contains("continues without its connection"), "{trouble}");
            }
            Outcome::Closed(end) => panic!("{end:?}"),
        }
    }
    assert!(
        fixture.backend.take_names().iter().all(|name| name == ENDED),
        "looking costs the backend nothing"
    );
    assert_eq!(job.record.own_failures(), 0);
    fixture.gateway.is_away();
    assert_eq!(fixture.deliver(&mut job), "again");
    assert!(job.record.sent.is_some(), "and while the gateway is away it is not forgotten");
    fixture.gateway.recovers(Recovered::Answered(says("At last.")));
    assert_eq!(fixture.deliver(&mut job), "answered");
    assert_eq!(fixture.gateway.take_seen().len(), 1);
    let looked = fixture.gateway.take_looked();
    assert!(!looked[0].again && looked[1].again);
}

/// A turn that the gateway did not accept is not counted as one.
#[test]
fn a_turn_the_gateway_did_not_accept_is_not_counted() {
    let fixture = Fixture::new();
    let mut job = fixture.mention("@ben?");
    fixture.gateway.fails(Class::Closed, Why::Unreachable);
    assert_eq!(fixture.deliver(&mut job), "again");
    assert_eq!((job.record.tries, job.record.asked()), (1, 0));
    fixture.gateway.says("Yes.");
    assert_eq!(fixture.deliver(&mut job), "answered");
    assert_eq!((job.record.tries, job.record.asked()), (2, 1));
}

/// A gateway with an uptime shorter than the turn's age was restarted. A wall clock that is set forward must
/// not make the turn older.
#[test]
fn a_changed_clock_makes_no_turn_older() {
    let (fixture, mut job) = lost();
    let sent = job.record.sent.as_mut().unwrap();
    sent.at = sent.at - Duration::from_hours(1);
    fixture.gateway.recovers(goes_on(1));
    assert_eq!(fixture.deliver(&mut job), "again");
    assert!(fixture.gateway.take_looked()[0].age < Duration::from_mins(30));
}

/// No sign of life for longer than the limit.
fn quiet(job: &mut Job) {
    let sent = job.record.sent.as_mut().unwrap();
    let long_ago = sent.at - Duration::from_mins(20);
    sent.lost = Some(long_ago);
    sent.grown = Some((7, long_ago));
}

/// §11.7: without a sign of life the run is stuck, which people can see. If it cannot be aborted, the row is
/// given up in the end.
#[test]
fn a_run_without_a_sign_of_life_is_stuck() {
    let (fixture, mut job) = lost();
    quiet(&mut job);
    fixture.gateway.recovers(goes_on(8));
    let outcome = fixture.outcome(&mut job);
    let waits = |outcome: &Outcome| {
        matches!(outcome, Outcome::Again { trouble: Trouble::Unsettled(Unsettled::Waiting { .. }), .. })
    };
    assert!(waits(&outcome), "the session has grown: {outcome:?}");
    let refused = || Err(GatewayError::new(Class::Refused, Why::NotOverSocket, None));
    for attempt in 1..=8 {
        quiet(&mut job);
        fixture.gateway.recovers(goes_on(7)).ends(refused());
        match fixture.outcome(&mut job) {
            Outcome::Again { trouble, .. } => assert!(trouble.to_string().contains("is stuck"), "{trouble}"),
            Outcome::Closed(End::Dead(why)) => {
                assert_eq!(attempt, 8);
                assert!(why.contains("is stuck"), "{why}");
            }
            Outcome::Closed(end) => panic!("{end:?}"),
        }
    }
    assert_eq!(fixture.gateway.take_seen().len(), 1);
}

/// §12.3: a run that repeats its calls is ended also if another process sent its turn.
#[test]
fn a_lost_turn_that_repeats_its_calls_is_ended() {
    let (fixture, mut job) = lost();
    let again_in = Duration::from_secs(5);
    let running =
        |promised| Recovered::Running(Running { again_in, why: Waiting::GoesOn, last: Some(7), promised });
    fixture.gateway.recovers(running(32));
    assert_eq!(fixture.deliver(&mut job), "again", "the limit");
    fixture.gateway.recovers(running(33)).ends(Ok(true));
    match fixture.outcome(&mut job) {
        Outcome::Closed(End::Dead(why)) => assert!(why.contains("33 tool calls in one turn"), "{why}"),
        other => panic!("{other:?}"),
    }
    let ended = fixture.gateway.take_ended();
    assert_eq!(ended.iter().map(|(_, run)| run.as_deref()).collect::<Vec<_>>(), [Some("resp_0")]);
    assert!(fixture.last_message()["content"].as_str().unwrap().contains("repeated tool calls"));
    assert_eq!(fixture.gateway.take_seen().len(), 1);
}

/// §11.7: a stuck run is aborted before the turn is sent again, with a remark; there is no second repetition.
#[test]
fn a_stuck_run_is_aborted_and_the_turn_is_sent_once_more() {
    for ended in [true, false] {
        let (fixture, mut job) = lost();
        quiet(&mut job);
        fixture.gateway.recovers(goes_on(7)).ends(Ok(ended)).recovers(goes_on(7));
        match fixture.outcome(&mut job) {
            Outcome::Again { pause, .. } => assert_eq!(pause, Some(Duration::ZERO)),
            Outcome::Closed(end) => panic!("{end:?}"),
        }
        let [(session, run)] = &fixture.gateway.take_ended()[..] else { panic!("not ended once") };
        assert_eq!((session.split(':').next(), run.as_deref()), (Some("task"), Some("resp_0")));
        fixture.gateway.fails(Class::Lost, Why::LostAnswer);
        assert_eq!(fixture.deliver(&mut job), "again");
        let repeated = fixture.gateway.take_seen().pop().unwrap().message.unwrap();
        assert!(repeated.starts_with(&format!("[n-{} try 2]", job.work.id)), "{repeated}");
        assert!(repeated.contains("sent again"), "{repeated}");
        quiet(&mut job);
        fixture.gateway.recovers(goes_on(7)).ends(Ok(true)).recovers(goes_on(7));
        assert_eq!(fixture.deliver(&mut job), "dead");
        assert!(
            matches!(&job.record.stage, Stage::Ended(End::Dead(why)) if why.contains("stuck for the second time")),
            "{:?}",
            job.record.stage
        );
        assert_eq!(fixture.gateway.take_ended().len(), 1, "and it does not go on behind our back");
        assert!(fixture.gateway.take_seen().is_empty() && fixture.is_delivered(&job));
    }
}

/// An answer at the moment of the abort is adopted; a gateway that is unavailable at that moment is awaited.
#[test]
fn a_stuck_run_may_answer_at_the_last_moment() {
    let (fixture, mut job) = lost();
    quiet(&mut job);
    fixture.gateway.recovers(goes_on(7));
    fixture.gateway.ends(Err(GatewayError::new(Class::Closed, Why::Unreachable, None)));
    assert_eq!(fixture.deliver(&mut job), "again");
    assert!(job.record.sent.is_some() && job.record.own_failures() == 0 && job.record.parted.is_none());
    // The run was aborted, and then the gateway was unavailable: continuing the same attempt is no second
    // abort.
    fixture.gateway.recovers(goes_on(7)).ends(Ok(true)).is_away();
    assert_eq!(fixture.deliver(&mut job), "again");
    fixture.gateway.recovers(goes_on(7)).ends(Ok(false)).recovers(Recovered::Answered(says("There.")));
    assert_eq!(fixture.deliver(&mut job), "answered");
    assert_eq!(
        (fixture.last_message()["content"].clone(), fixture.gateway.take_seen().len()),
        (json!("There."), 1)
    );
}

/// A turn that the gateway resumed is aborted under any id. A run that only cannot be read is not aborted.
#[test]
fn only_an_active_run_is_aborted() {
    let stands = |why| {
        let again_in = Duration::from_secs(5);
        Recovered::Running(Running { again_in, why, last: Some(7), promised: 0 })
    };
    let (fixture, mut job) = lost();
    quiet(&mut job);
    fixture.gateway.recovers(stands(Waiting::Resuming)).ends(Ok(true)).recovers(Recovered::Silent);
    assert_eq!(fixture.deliver(&mut job), "again");
    assert_eq!(
        (fixture.gateway.take_ended()[0].1.as_deref(), job.record.failures.of(Cause::Silence)),
        (None, 1)
    );

    let (fixture, mut job) = lost();
    quiet(&mut job);
    fixture.gateway.recovers(stands(Waiting::Fetching));
    assert_eq!(fixture.deliver(&mut job), "dead");
    assert!(matches!(&job.record.stage, Stage::Ended(End::Dead(why)) if why.contains("is incomplete")));

    let (fixture, mut job) = lost();
    quiet(&mut job);
    fixture.gateway.recovers(stands(Waiting::Unreadable));
    assert_eq!(fixture.deliver(&mut job), "again");
    assert!(job.record.sent.is_some() && fixture.gateway.take_ended().is_empty());
}

/// Only a turn without any trace is sent again; with a remark if the agent may have seen it.
#[test]
fn an_absent_turn_is_sent_again() {
    for marker_seen in [true, false] {
        let (fixture, mut job) = lost();
        fixture.gateway.recovers(Recovered::Absent { marker_seen });
        match fixture.outcome(&mut job) {
            Outcome::Again { pause, .. } => assert_eq!(pause, Some(Duration::ZERO), "early is better"),
            Outcome::Closed(end) => panic!("{end:?}"),
        }
        assert_eq!((job.record.failures.of(Cause::LostAnswer), job.record.own_failures()), (1, 1));
        fixture.gateway.fails(Class::Lost, Why::LostAnswer);
        assert_eq!(fixture.deliver(&mut job), "again");
        let repeated = fixture.gateway.take_seen().pop().unwrap().message.unwrap();
        assert!(repeated.starts_with(&format!("[n-{} try 2]", job.work.id)), "{repeated}");
        assert_eq!(repeated.contains("sent again"), marker_seen, "{repeated}");
        fixture.gateway.recovers(Recovered::Answered(says("Yes.")));
        assert_eq!(fixture.deliver(&mut job), "answered");
        let earlier = fixture.gateway.take_looked().pop().unwrap().earlier;
        assert_eq!(earlier, marker_seen.then(|| format!("[n-{} try 1]", job.work.id)));
    }

    let (fixture, mut job) = lost();
    for attempt in 0..=LOST_MAX {
        fixture.gateway.recovers(Recovered::Absent { marker_seen: true });
        let end = fixture.deliver(&mut job);
        assert_eq!(end, if attempt < LOST_MAX { "again" } else { "dead" });
        if attempt < LOST_MAX {
            fixture.gateway.fails(Class::Lost, Why::LostAnswer);
            assert_eq!(fixture.deliver(&mut job), "again");
        }
    }
    assert_eq!(fixture.gateway.take_seen().len(), 1 + LOST_MAX as usize);

    // Meanwhile the row no longer concerns the agent.
    let (fixture, mut job) = lost();
    fixture.gateway.recovers(Recovered::Absent { marker_seen: false });
    assert_eq!(fixture.deliver(&mut job), "again");
    fixture.team.board.edit("tasks", &fixture.task, json!({"status": "archived"}));
    assert_eq!(fixture.deliver(&mut job), "skipped");
    // But an existing answer is not discarded.
    let (fixture, mut job) = lost();
    fixture.gateway.recovers(Recovered::Answered(says("Yes.")));
    fixture.team.board.edit("tasks", &fixture.task, json!({"status": "archived"}));
    assert_eq!(fixture.deliver(&mut job), "answered");
}

/// The gateway's report about a failed run decides, and an unknown outcome is never repeated.
#[test]
fn every_other_verdict_has_its_outcome() {
    for marker_seen in [true, false] {
        let (fixture, mut job) = lost();
        fixture.gateway.recovers(Recovered::Failed { why: Why::Internal, marker_seen });
        assert_eq!(fixture.deliver(&mut job), "again");
        assert_eq!((job.record.failures.of(Cause::Internal), job.record.own_failures()), (1, 1));
        fixture.gateway.says("Yes.");
        assert_eq!(fixture.deliver(&mut job), "answered");
        let second = fixture.gateway.take_seen()[1].message.clone().unwrap();
        assert_eq!(second.contains("sent again"), marker_seen, "{second}");
    }

    let (fixture, mut job) = lost();
    fixture.gateway.recovers(Recovered::Silent);
    assert_eq!(fixture.deliver(&mut job), "again");
    assert_eq!((job.record.own_failures(), job.record.failures.of(Cause::Silence)), (1, 1));
    assert_eq!(job.record.sent, None);

    for (verdict, words) in
        [(Recovered::Cut, "the answer is incomplete"), (Recovered::Unknown, "unknown outcome")]
    {
        let (fixture, mut job) = lost();
        fixture.gateway.recovers(verdict);
        assert_eq!(fixture.deliver(&mut job), "dead");
        assert!(matches!(&job.record.stage, Stage::Ended(End::Dead(why)) if why.contains(words)));
        assert_eq!(fixture.gateway.take_seen().len(), 1);
        let notes = fixture.messages_of_ben();
        assert_eq!(notes.len(), 1);
        assert!(
            notes[0]["content"].as_str().unwrap().starts_with("*(Automatic note: there will be no answer ")
        );
        assert!(fixture.is_delivered(&job));
    }

    // `internal error` is the gateway's own report; all else concerns the connection.
    let fixture = Fixture::new();
    let mut job = fixture.mention("@ben?");
    fixture.gateway.fails(Class::Lost, Why::Internal);
    assert_eq!(fixture.deliver(&mut job), "again");
    fixture.gateway.recovers(Recovered::Answered(says("Yes.")));
    assert_eq!(fixture.deliver(&mut job), "answered");
    assert!(fixture.gateway.take_looked()[0].failed);
}

/// A process that finds the note of a turn sent by an earlier process settles it first; the note survives
/// storage.
#[test]
fn a_note_of_an_earlier_process_is_settled_first() {
    let fixture = Fixture::new();
    let mut job = fixture.mention("@ben?");
    let sent = Sent {
        session: SessionKey::new("task:t1:agent:ben:acc:v1"),
        agent: "ben".to_owned(),
        attempt: 3,
        run: None,
        at: fixture.team.board.clock().now() - Duration::from_mins(1),
        lost: None,
        silent: false,
        failed: false,
        spoke: false,
        looked: None,
        grown: Some((7, fixture.team.board.clock().now())),
        without_tools: false,
        interrupted: true,
        extra: UnknownFields::default(),
    };
    let kept: Value = serde_json::to_value(&sent).unwrap();
    job.record.sent = Some(serde_json::from_value(kept).unwrap());
    assert_eq!(job.record.sent.as_ref(), Some(&sent));
    fixture.gateway.recovers(goes_on(1));
    assert_eq!(fixture.deliver(&mut job), "again");
    assert!(fixture.backend.take_names().is_empty());
    fixture.gateway.recovers(Recovered::Answered(says("Yes.")));
    assert_eq!(fixture.deliver(&mut job), "answered");
    let looked = fixture.gateway.take_looked();
    assert_eq!(looked[0].marker, format!("[n-{} try 3]", job.work.id));
    assert_eq!(looked[0].session, "task:t1:agent:ben:acc:v1", "where it was sent, wherever that is now");
    assert!(looked[0].age >= Duration::from_mins(1), "there is only the wall clock to tell it by");
    assert!(fixture.gateway.take_seen().is_empty());
}
