//! Sequences in which something was once lost, or done twice: each of them goes through several steps, or several rooms.

use std::sync::Arc;
use std::time::Duration;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::convex;
use mission_control_runtime::delivery::scheduler::{
    Effect, Event, PollIntervals, RecoveredState, Scheduler, SchedulerConfig,
};
use mission_control_runtime::delivery::{End, Outcome, Stage};
use mission_control_runtime::gateway::{Class, Recovered, Why};
use mission_control_runtime::local::Options;
use mission_control_runtime::model::Notification;
use serde_json::json;

use super::setup::Office;
use crate::support::direct::Fault;
use crate::support::work::{job_of, notification_of};

pub(crate) fn plan() -> SchedulerConfig {
    let rhythm = PollIntervals {
        interval: Duration::from_secs(5),
        idle_interval: Duration::from_mins(1),
        backoff_base: Duration::from_secs(5),
        backoff_max: Duration::from_mins(5),
    };
    SchedulerConfig { workers: 2, list_limit: 50, rhythm }
}

fn arrives_meanwhile(office: &Arc<Office>) {
    let board = office.clone();
    office.gateway.meanwhile(move || drop(board.team.board.person_says(&board.task, "second")));
}

#[test]
fn a_reopened_row_is_not_taken_for_gone() {
    let office = Arc::new(Office::original());
    let mut job = office.update("first");
    office.gateway.says("About the first.");
    arrives_meanwhile(&office);
    office.gateway.fails(Class::Closed, Why::Unreachable);
    assert_eq!(office.deliver(&mut job), "again");
    assert!(job.record.reopened && office.is_delivered(&job));
    let now = Millis(1_000_000);
    let left = RecoveredState {
        open: vec![(job.work.clone(), job.record.clone(), None)],
        ..RecoveredState::default()
    };
    let mut dispatcher = Scheduler::with(plan(), left, now);
    dispatcher.on(None, now);
    dispatcher.on(Some(Event::Listed { list: 1, limit: 50, rows: vec![], spoilt: 0, dice: 0.5 }), now);
    assert_eq!(dispatcher.standing().known, 1, "{:?}", dispatcher.standing().stats);
}

#[test]
fn a_call_that_was_made_again_has_its_own_grace() {
    let office = Office::of_the_lead(Options { original: true, ..Options::default() });
    let mut job = office.mention("@lead, make a task");
    let lost = || Fault::Before(convex::Class::Ambiguous, convex::Why::LostAnswer);
    office.backend.fail("createTaskFromAgent", [lost(), lost()]);
    office.gateway.calls(&[("task_create", &json!({"title": "T"}).to_string())]).says("Done.");
    assert_eq!(office.deliver(&mut job), "again");
    office.team.board.pass(15_000);
    let away = Fault::Before(convex::Class::Transient, convex::Why::Unreachable);
    office.backend.fail("listTasksForOrchestratorHeartbeat", [Fault::Pass, away]);
    match office.outcome(&mut job) {
        Outcome::Again { pause, .. } => assert!(pause.unwrap() < Duration::from_secs(15), "{pause:?}"),
        Outcome::Closed(end) => panic!("{end:?}"),
    }
    assert_eq!(office.backend.args_of("createTaskFromAgent").len(), 2);
    // The second one may be on its way: it was made three seconds ago.
    office.team.board.pass(3_000);
    office.deliver(&mut job);
    assert_eq!(office.backend.args_of("createTaskFromAgent").len(), 2);
}

#[test]
fn an_answer_behind_one_that_was_half_posted_is_not_swallowed() {
    let office = Arc::new(Office::original());
    let mut job = office.update("first");
    let part = |n: u32| format!("{n}{}", "x".repeat(60_000));
    office.gateway.says(&[part(0), part(1)].join("\n\n"));
    arrives_meanwhile(&office);
    office.gateway.says("About the second.");
    let refused = Fault::Before(convex::Class::Refused, convex::Why::Forbidden);
    office.backend.fail("createMessageFromAgent", [Fault::Pass, refused]);
    assert_eq!(office.deliver(&mut job), "again");
    assert_eq!(office.deliver(&mut job), "answered");
    let said: Vec<String> = office
        .messages_of_ben()
        .iter()
        .map(|message| message["content"].as_str().unwrap().chars().take(20).collect())
        .collect();
    assert!(said.iter().any(|text| text == "About the second."), "{said:?}");
}

#[test]
fn what_is_not_known_is_not_done_again_when_the_turn_is_sent_again() {
    let office = Arc::new(Office::original());
    let mut job = office.mention("@ben, write it down");
    let paper = json!({"title": "one", "content": "…", "type": "note"}).to_string();
    let board = office.clone();
    office.gateway.meanwhile(move || {
        let twin = json!({"agentId": board.team.ada, "title": "one", "content": "other", "type": "note",
            "taskId": board.task});
        board.team.board.service("createDocumentFromAgent", twin).unwrap();
    });
    let lost = Fault::After(convex::Class::Ambiguous, convex::Why::LostAnswer);
    office.backend.fail("createDocumentFromAgent", [lost]);
    office.gateway.calls(&[("document_upsert", &paper)]).fails(Class::Lost, Why::LostAnswer);
    assert_eq!(office.deliver(&mut job), "again");
    office.gateway.recovers(Recovered::Absent { marker_seen: true });
    assert_eq!(office.deliver(&mut job), "again");
    office.gateway.calls(&[("document_upsert", &paper)]).says("Done.");
    assert_eq!(office.deliver(&mut job), "answered");
    assert_eq!(office.backend.args_of("createDocumentFromAgent").len(), 1);
}

#[test]
fn what_is_dead_and_cannot_be_marked_does_not_begin_anew_after_an_hour() {
    let office = Office::original();
    let row = notification_of(&office.mention("@ben?")).clone();
    let mut now = Millis(1_000_000);
    let mut dispatcher = Scheduler::with(plan(), RecoveredState::default(), now);
    let mut list = 0;
    let mut listed = |dispatcher: &mut Scheduler, now: Millis, rows: Vec<_>| {
        let mut effects = dispatcher.on(None, now);
        assert!(effects.iter().any(|effect| matches!(effect, Effect::List { .. })), "{effects:?}");
        list += 1;
        effects
            .extend(dispatcher.on(Some(Event::Listed { list, limit: 50, rows, spoilt: 0, dice: 0.5 }), now));
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
fn results_go_back_to_the_session_that_called() {
    let office = Office::original();
    let mut job = office.mention("@ben?");
    office.gateway.calls(&[("get_agent_skills", "{}")]).fails(Class::Closed, Why::Unreachable);
    assert_eq!(office.deliver(&mut job), "again");
    let gone = json!({"agentId": office.team.lead, "taskId": office.task, "reason": "done"});
    office.team.board.service("deleteTaskFromAgent", gone).unwrap();
    office.gateway.says("Done.");
    assert_eq!(office.deliver(&mut job), "answered");
    let sessions: Vec<String> = office.gateway.take_seen().into_iter().map(|turn| turn.session).collect();
    assert!(sessions.windows(2).all(|pair| pair[0] == pair[1]), "{sessions:?}");
}

#[test]
fn a_full_disk_repeats_no_effect() {
    let office = Arc::new(Office::on(Options { original: true, ..Options::default() }));
    let mut job = office.mention("@ben, write it down");
    let (row, fresh) = (notification_of(&job).clone(), job.record.clone());
    office.paper.refuse(true);
    let paper = json!({"title": "one", "content": "…", "type": "note"}).to_string();
    office.gateway.calls(&[("document_upsert", &paper)]).says("Done.");
    assert_eq!(office.deliver(&mut job), "again");
    assert!(office.gateway.take_seen().is_empty() && job.record.sent.is_none(), "not even a turn is sent");
    // The process dies, and the next one has what the disk has.
    assert!(office.paper.crash(0).is_empty());
    let now = office.team.board.row("notifications", row.id.as_str());
    let row = Notification { read_at: serde_json::from_value(now["readAt"].clone()).unwrap(), ..row };
    let mut job = job_of(&row, fresh);
    office.paper.refuse(false);
    assert_eq!(office.deliver(&mut job), "answered");
    assert_eq!(office.team.board.rows("documents").len(), 1);
}

/// The disk fills up in the middle: a call that changes the board waits until it can be noted.
#[test]
fn a_disk_that_fills_up_in_the_middle_repeats_no_effect() {
    let office = Arc::new(Office::original());
    let mut job = office.mention("@ben, write it down");
    let paper = json!({"title": "one", "content": "…", "type": "note"}).to_string();
    office.gateway.calls(&[("document_upsert", &paper)]).says("Done.");
    let full = office.clone();
    office.gateway.meanwhile(move || full.paper.refuse(true));
    for _ in 0..3 {
        assert_eq!(office.deliver(&mut job), "again");
        assert!(office.team.board.rows("documents").is_empty());
    }
    office.paper.refuse(false);
    assert_eq!(office.deliver(&mut job), "answered");
    assert_eq!((office.team.board.rows("documents").len(), office.gateway.take_seen().len()), (1, 2));
}

/// Openclaw-gateway §7: after a refused key the gateway fails every turn of that agent inside; that is no fault of its rows.
#[test]
fn while_an_agents_key_cools_down_its_rows_are_not_blamed() {
    let office = Office::original();
    let (mut first, mut other) = (office.mention("@ben?"), office.assignment());
    office.gateway.fails(Class::Transient, Why::ProviderRefused);
    assert_eq!(office.deliver(&mut first), "again");
    office.gateway.fails(Class::Transient, Why::Internal);
    match office.outcome(&mut other) {
        Outcome::Again { pause, .. } => assert!(pause.unwrap() >= Duration::from_mins(1), "{pause:?}"),
        Outcome::Closed(end) => panic!("{end:?}"),
    }
    assert_eq!((other.record.own_failures(), other.record.failures.of_provider()), (0, 1));
}
