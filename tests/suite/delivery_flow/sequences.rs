//! Sequences in which an effect was once lost or repeated. Each has several steps, or several sessions.

use std::sync::Arc;
use std::time::Duration;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::convex;
use mission_control_runtime::delivery::agent_limits::AgentLimitsConfig;
use mission_control_runtime::delivery::scheduler::{
    Effect, Event, PollIntervals, RecoveredState, Scheduler, SchedulerConfig,
};
use mission_control_runtime::delivery::{End, Outcome, Stage};
use mission_control_runtime::gateway::{Class, Recovered, Why};
use mission_control_runtime::local::Options;
use mission_control_runtime::model::Notification;
use serde_json::json;

use super::setup::Fixture;
use crate::support::direct::Fault;
use crate::support::work::{job_of, notification_of};

pub(crate) fn plan() -> SchedulerConfig {
    let intervals = PollIntervals {
        interval: Duration::from_secs(5),
        idle_interval: Duration::from_mins(1),
        backoff_base: Duration::from_secs(5),
        backoff_max: Duration::from_mins(5),
    };
    SchedulerConfig {
        workers: 2,
        list_limit: 50,
        calls_monthly: 900_000,
        intervals,
        fold_max: 1,
        agent_limits: AgentLimitsConfig::default(),
    }
}

fn arrives_meanwhile(fixture: &Arc<Fixture>) {
    let board = fixture.clone();
    fixture.gateway.meanwhile(move || drop(board.team.board.person_says(&board.task, "second")));
}

#[test]
fn a_reopened_row_is_not_taken_for_gone() {
    let fixture = Arc::new(Fixture::original());
    let mut job = fixture.update("first");
    fixture.gateway.says("About the first.");
    arrives_meanwhile(&fixture);
    fixture.gateway.fails(Class::Closed, Why::Unreachable);
    assert_eq!(fixture.deliver(&mut job), "again");
    assert!(job.record.reopened && fixture.is_delivered(&job));
    let now = Millis(1_000_000);
    let left = RecoveredState {
        open: vec![(job.work.clone(), job.record.clone(), None)],
        ..RecoveredState::default()
    };
    let mut dispatcher = Scheduler::with(plan(), left, now);
    dispatcher.on(None, now);
    dispatcher.on(Some(Event::Listed { list: 1, limit: 50, rows: vec![], malformed: 0, dice: 0.5 }), now);
    assert_eq!(dispatcher.state().known, 1, "{:?}", dispatcher.state().stats);
}

#[test]
fn a_repeated_call_has_its_own_grace_period() {
    let fixture = Fixture::of_the_lead(Options { original: true, ..Options::default() });
    let mut job = fixture.mention("@lead, make a task");
    let lost = || Fault::Before(convex::CallClass::Ambiguous, convex::CallReason::LostAnswer);
    fixture.backend.fail("createTaskFromAgent", [lost(), lost()]);
    fixture.gateway.calls(&[("task_create", &json!({"title": "T"}).to_string())]).says("Done.");
    assert_eq!(fixture.deliver(&mut job), "again");
    fixture.team.board.advance(15_000);
    let away = Fault::Before(convex::CallClass::Transient, convex::CallReason::Unreachable);
    fixture.backend.fail("listTasksForOrchestratorHeartbeat", [Fault::Pass, away]);
    match fixture.outcome(&mut job) {
        Outcome::Again { pause, .. } => assert!(pause.unwrap() < Duration::from_secs(15), "{pause:?}"),
        Outcome::Closed(end) => panic!("{end:?}"),
    }
    assert_eq!(fixture.backend.args_of("createTaskFromAgent").len(), 2);
    // The second call may be on its way: it was made three seconds ago.
    fixture.team.board.advance(3_000);
    fixture.deliver(&mut job);
    assert_eq!(fixture.backend.args_of("createTaskFromAgent").len(), 2);
}

#[test]
fn an_answer_after_a_half_posted_one_is_not_swallowed() {
    let fixture = Arc::new(Fixture::original());
    let mut job = fixture.update("first");
    let part = |n: u32| format!("{n}{}", "x".repeat(60_000));
    fixture.gateway.says(&[part(0), part(1)].join("\n\n"));
    arrives_meanwhile(&fixture);
    fixture.gateway.says("About the second.");
    let refused = Fault::Before(convex::CallClass::Refused, convex::CallReason::Forbidden);
    fixture.backend.fail("createMessageFromAgent", [Fault::Pass, refused]);
    assert_eq!(fixture.deliver(&mut job), "again");
    assert_eq!(fixture.deliver(&mut job), "answered");
    let said: Vec<String> = fixture
        .messages_of_ben()
        .iter()
        .map(|message| message["content"].as_str().unwrap().chars().take(20).collect())
        .collect();
    assert!(said.iter().any(|text| text == "About the second."), "{said:?}");
}

#[test]
fn an_unknown_outcome_is_not_repeated_when_the_turn_is_sent_again() {
    let fixture = Arc::new(Fixture::original());
    let mut job = fixture.mention("@ben, write it down");
    let ledger = json!({"title": "one", "content": "…", "type": "note"}).to_string();
    let board = fixture.clone();
    fixture.gateway.meanwhile(move || {
        let twin = json!({"agentId": board.team.ada, "title": "one", "content": "other", "type": "note",
            "taskId": board.task});
        board.team.board.service("createDocumentFromAgent", twin).unwrap();
    });
    let lost = Fault::After(convex::CallClass::Ambiguous, convex::CallReason::LostAnswer);
    fixture.backend.fail("createDocumentFromAgent", [lost]);
    fixture.gateway.calls(&[("document_upsert", &ledger)]).fails(Class::Lost, Why::LostAnswer);
    assert_eq!(fixture.deliver(&mut job), "again");
    fixture.gateway.recovers(Recovered::Absent { marker_seen: true });
    assert_eq!(fixture.deliver(&mut job), "again");
    fixture.gateway.calls(&[("document_upsert", &ledger)]).says("Done.");
    assert_eq!(fixture.deliver(&mut job), "answered");
    assert_eq!(fixture.backend.args_of("createDocumentFromAgent").len(), 1);
}

#[test]
fn a_dead_row_that_cannot_be_marked_is_not_restarted_after_an_hour() {
    let fixture = Fixture::original();
    let row = notification_of(&fixture.mention("@ben?")).clone();
    let mut now = Millis(1_000_000);
    let mut dispatcher = Scheduler::with(plan(), RecoveredState::default(), now);
    let mut list = 0;
    let mut listed = |dispatcher: &mut Scheduler, now: Millis, rows: Vec<_>| {
        let mut effects = dispatcher.on(None, now);
        assert!(effects.iter().any(|effect| matches!(effect, Effect::List { .. })), "{effects:?}");
        list += 1;
        effects.extend(
            dispatcher.on(Some(Event::Listed { list, limit: 50, rows, malformed: 0, dice: 0.5 }), now),
        );
        effects.into_iter().find_map(|effect| match effect {
            Effect::Start(job) => Some(job),
            _ => None,
        })
    };
    assert!(listed(&mut dispatcher, now, vec![]).is_none());
    now = now + Duration::from_mins(2);
    let mut job = listed(&mut dispatcher, now, vec![row.clone()]).expect("it begins");
    let dead = End::Dead("unknown outcome".to_owned());
    job.record.stage = Stage::Ended(dead.clone());
    dispatcher.on(Some(Event::Finished(job, Outcome::Closed(dead.clone()))), now);
    now = now + Duration::from_mins(2);
    assert!(listed(&mut dispatcher, now, vec![row.clone()]).is_none());
    now = now + Duration::from_mins(61);
    if let Some(job) = listed(&mut dispatcher, now, vec![row]) {
        assert_eq!(job.record.stage, Stage::Ended(dead), "only its mark may be tried again");
    }
}

#[test]
fn results_return_to_the_session_that_called() {
    let fixture = Fixture::original();
    let mut job = fixture.mention("@ben?");
    fixture.gateway.calls(&[("get_agent_skills", "{}")]).fails(Class::Closed, Why::Unreachable);
    assert_eq!(fixture.deliver(&mut job), "again");
    let gone = json!({"agentId": fixture.team.lead, "taskId": fixture.task, "reason": "done"});
    fixture.team.board.service("deleteTaskFromAgent", gone).unwrap();
    fixture.gateway.says("Done.");
    assert_eq!(fixture.deliver(&mut job), "answered");
    let sessions: Vec<String> = fixture.gateway.take_seen().into_iter().map(|turn| turn.session).collect();
    assert!(sessions.windows(2).all(|pair| pair[0] == pair[1]), "{sessions:?}");
}

#[test]
fn a_full_disk_repeats_no_effect() {
    let fixture = Arc::new(Fixture::on(Options { original: true, ..Options::default() }));
    let mut job = fixture.mention("@ben, write it down");
    let (row, fresh) = (notification_of(&job).clone(), job.record.clone());
    fixture.ledger.refuse(true);
    let ledger = json!({"title": "one", "content": "…", "type": "note"}).to_string();
    fixture.gateway.calls(&[("document_upsert", &ledger)]).says("Done.");
    assert_eq!(fixture.deliver(&mut job), "again");
    assert!(fixture.gateway.take_seen().is_empty() && job.record.sent.is_none(), "not even a turn is sent");
    // The process dies, and the next one has what is on disk.
    assert!(fixture.ledger.crash(0).is_empty());
    let now = fixture.team.board.row("notifications", row.id.as_str());
    let row = Notification { read_at: serde_json::from_value(now["readAt"].clone()).unwrap(), ..row };
    let mut job = job_of(&row, fresh);
    fixture.ledger.refuse(false);
    assert_eq!(fixture.deliver(&mut job), "answered");
    assert_eq!(fixture.team.board.rows("documents").len(), 1);
}

/// The disk fills up in the middle: a call that changes the board waits until it can be recorded.
#[test]
fn a_disk_that_fills_up_in_the_middle_repeats_no_effect() {
    let fixture = Arc::new(Fixture::original());
    let mut job = fixture.mention("@ben, write it down");
    let ledger = json!({"title": "one", "content": "…", "type": "note"}).to_string();
    fixture.gateway.calls(&[("document_upsert", &ledger)]).says("Done.");
    let full = fixture.clone();
    fixture.gateway.meanwhile(move || full.ledger.refuse(true));
    for _ in 0..3 {
        assert_eq!(fixture.deliver(&mut job), "again");
        assert!(fixture.team.board.rows("documents").is_empty());
    }
    fixture.ledger.refuse(false);
    assert_eq!(fixture.deliver(&mut job), "answered");
    assert_eq!((fixture.team.board.rows("documents").len(), fixture.gateway.take_seen().len()), (1, 2));
}

/// Openclaw-gateway §7: after a refused key the gateway fails every turn of that agent internally; its rows
/// are not to blame.
#[test]
fn a_cool_down_of_the_provider_key_counts_against_no_row() {
    let fixture = Fixture::original();
    let (mut first, mut other) = (fixture.mention("@ben?"), fixture.assignment());
    fixture.gateway.fails(Class::Transient, Why::ProviderRefused);
    assert_eq!(fixture.deliver(&mut first), "again");
    fixture.gateway.fails(Class::Transient, Why::Internal);
    match fixture.outcome(&mut other) {
        Outcome::Again { pause, .. } => assert!(pause.unwrap() >= Duration::from_mins(1), "{pause:?}"),
        Outcome::Closed(end) => panic!("{end:?}"),
    }
    assert_eq!((other.record.own_failures(), other.record.failures.of_provider()), (0, 1));
}
