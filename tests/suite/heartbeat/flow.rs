//! Beats through their steps, against the embedded Mission Control.

use std::sync::Arc;
use std::time::Duration;

use mission_control_runtime::convex::{CallClass, CallReason};
use mission_control_runtime::delivery::policy::Skip;
use mission_control_runtime::delivery::reply::Silence;
use mission_control_runtime::delivery::{End, Outcome};
use mission_control_runtime::gateway::{Class, GatewayError, Why};
use mission_control_runtime::heartbeat::gate::BeatRules;
use mission_control_runtime::model::BeatMode;
use serde_json::json;

use super::world::{Process, World, calls, job_of, says};
use crate::support::beats::GATED;
use crate::support::direct::Fault;

const INTERVAL: Duration = Duration::from_mins(15);
const QUIET: End = End::Silent(Silence::HeartbeatOk);
const SAVED: End = End::Skipped(Skip::NothingNew);

/// The calls of an idle beat: one list, for the orchestrator two, and the report.
#[test]
fn an_idle_agent_stays_online_by_its_report_alone() {
    let world = World::new();
    let reports = ["listAssignedTasksForAgent", "updateAgentHeartbeat"];
    let of_lead = ["listAssignedTasksForAgent", "listTasksForOrchestratorHeartbeat", "updateAgentHeartbeat"];
    for (agent, expected) in [(&world.team.ben, &reports[..]), (&world.team.lead, &of_lead)] {
        assert_eq!(world.beats_once(agent), QUIET);
        assert_eq!(world.model.take_asked().len(), 1);
        world.pass(INTERVAL);
        world.backend.take_names();
        world.team.board.edit("agents", agent, json!({"status": "offline"}));
        assert_eq!(world.beats_once(agent), SAVED);
        assert_eq!(world.backend.take_names(), expected);
        assert!(world.model.take_asked().is_empty(), "no turn");
        let row = world.agent(agent);
        assert_eq!((&row["status"], row["lastHeartbeat"].is_number()), (&json!("online"), true));
    }
}

#[test]
fn a_change_in_the_second_after_a_saved_beat_is_worked_on_at_the_next_one() {
    let world = World::new();
    let ben = world.team.ben.clone();
    let task = world.task("in_progress", &[&ben], 30);
    assert_eq!((world.beats_once(&ben), world.beats_once(&ben)), (QUIET, SAVED));
    world.pass(Duration::from_secs(1));
    world.team.board.person_says(&task, "And now?");
    world.model.take_asked();
    world.model.does(|question| {
        assert!(question.contains("And now?"), "{question}");
        says("On it.")
    });
    world.pass(INTERVAL);
    assert_eq!(world.beats_once(&ben), End::Answered(1));
    assert_eq!(world.posted(&ben, &task), ["On it."]);
    assert_eq!(world.agent(&ben)["currentTaskId"], json!(task));
    world.model.does(|_| says("HEARTBEAT_OK"));
    assert_eq!(world.beats_once(&ben), QUIET, "after work the next beat is sent");
    assert_eq!(world.beats_once(&ben), SAVED);
}

#[test]
fn a_task_that_becomes_stale_is_looked_at() {
    let world = World::new();
    let ben = world.team.ben.clone();
    world.task("in_progress", &[&ben], 5);
    assert_eq!((world.beats_once(&ben), world.beats_once(&ben)), (QUIET, SAVED));
    world.pass(Duration::from_mins(10));
    assert_eq!((world.beats_once(&ben), world.beats_once(&ben)), (QUIET, SAVED));
}

/// Reply, end, and what is posted to the focus task and to the other one.
#[test]
fn a_reply_is_posted_to_a_task_of_the_prompt_or_to_none() {
    let rows: [(&str, End, &[&str], &[&str]); 6] = [
        ("Done.", End::Answered(1), &["Done."], &[]),
        ("Task ID: OTHER\nDone.", End::Answered(1), &[], &["Task ID: OTHER\nDone."]),
        ("Task ID: taskZZ9\nDone.", End::Kept("Task ID: taskZZ9\nDone.".to_owned()), &[], &[]),
        ("No response from OpenClaw.", End::Silent(Silence::Placeholder), &[], &[]),
        ("NO_REPLY", End::Silent(Silence::NoReply), &[], &[]),
        ("", End::Silent(Silence::Empty), &[], &[]),
    ];
    for (reply, end, on_focus, on_other) in rows {
        let world = World::new();
        let ben = world.team.ben.clone();
        let focus = world.task("in_progress", &[&ben], 5);
        let other = world.task("assigned", &[&ben], 5);
        let named = |text: &str| text.replace("OTHER", &other);
        let words = named(reply);
        world.model.does(move |_| says(&words));
        assert_eq!(world.beats_once(&ben), end, "{reply}");
        assert_eq!(world.posted(&ben, &focus), on_focus.iter().map(|text| named(text)).collect::<Vec<_>>());
        assert_eq!(world.posted(&ben, &other), on_other.iter().map(|text| named(text)).collect::<Vec<_>>());
        let is_quiet = matches!(end, End::Silent(Silence::NoReply));
        let next = world.beats_once(&ben) == SAVED;
        assert_eq!(next, is_quiet, "{reply}: only words of the agent make a beat quiet");
    }
}

/// An agent that acts and then has nothing to report was not quiet.
#[test]
fn a_beat_with_tool_calls_is_not_quiet() {
    let world = World::new();
    let ada = world.team.ada.clone();
    let task = world.task("assigned", &[&ada], 5);
    let mut step = 0;
    world.model.does(move |_| {
        step += 1;
        if step == 1 { calls("task_status", &json!({"status": "in_progress"})) } else { says("HEARTBEAT_OK") }
    });
    assert_eq!(world.beats_once(&ada), QUIET);
    assert_eq!(
        world.team.board.row("tasks", &task)["status"],
        json!("in_progress"),
        "the focus task is the default"
    );
    assert_eq!((world.beats_once(&ada), world.beats_once(&ada)), (QUIET, SAVED));
    let total = world.parts.beats.total();
    assert_eq!(
        (total.prompted, total.worked, total.saved),
        (2, 1, 1),
        "prompted and did work are two figures"
    );
}

#[test]
fn waiting_events_are_shown_in_the_next_beat_once() {
    let world = World::new();
    let ben = world.team.ben.clone();
    assert_eq!((world.beats_once(&ben), world.beats_once(&ben)), (QUIET, SAVED));
    world.event("ben", "The nightly report is ready.");
    world.event("BEN", "Exec finished: ok");
    world.model.take_asked();
    assert_eq!(world.beats_once(&ben), QUIET);
    let asked = world.model.take_asked();
    assert!(asked[0].1.contains("The nightly report is ready.") && asked[0].1.contains("Exec finished: ok"));
    assert_eq!((world.waiting_events("ben"), world.beats_once(&ben)), (0, SAVED));
}

/// The model refuses the request, so the agent has not seen the events.
#[test]
fn events_of_a_failed_beat_are_shown_again() {
    let world = World::new();
    let ben = world.team.ben.clone();
    world.event("ben", "Look at this.");
    world.model.does(|_| Err(GatewayError::new(Class::Refused, Why::TooLarge, None)));
    assert!(matches!(world.beats_once(&ben), End::Missed(_)));
    assert_eq!(world.waiting_events("ben"), 1);
    world.model.take_asked();
    world.model.does(|_| says("HEARTBEAT_OK"));
    assert_eq!(world.beats_once(&ben), QUIET);
    assert!(world.model.take_asked()[0].1.contains("Look at this."));
}

/// Events that do not fit into one prompt come in the next one.
#[test]
fn many_large_events_are_shown_in_several_beats() {
    let world = World::new();
    let ben = world.team.ben.clone();
    for number in 0..12 {
        world.event("ben", &format!("event {number} {}", "x".repeat(4_000)));
    }
    let mut beats = 0;
    let mut asked = Vec::new();
    while world.waiting_events("ben") > 0 {
        beats += 1;
        assert!(matches!(world.beats_once(&ben), End::Silent(_)));
        asked.extend(world.model.take_asked());
    }
    assert_eq!(beats, 2);
    for number in 0..12 {
        let shown =
            asked.iter().filter(|(_, question)| question.contains(&format!("event {number} x"))).count();
        assert_eq!(shown, 1, "event {number}");
    }
    assert!(asked[0].1.contains("further events are not shown here"));
}

#[test]
fn a_beat_uses_the_agent_as_the_roster_has_it_now() {
    let world = World::new();
    let ben = world.team.ben.clone();
    assert_eq!((world.beats_once(&ben), world.beats_once(&ben)), (QUIET, SAVED));
    let before = world.model.take_asked()[0].0.clone();
    let sessions = world.team.board.rows("agentRuntimeSessions");
    let own = sessions.iter().find(|row| row["agentId"] == json!(ben)).unwrap();
    let closed = json!({"closedAt": 1, "closedReason": "rotated"});
    world.team.board.edit("agentRuntimeSessions", own["_id"].as_str().unwrap(), closed);
    world.sync();
    assert_eq!(world.beats_once(&ben), QUIET, "a new session is another input");
    let after = world.model.take_asked()[0].0.clone();
    assert!(before != after && after.ends_with(":v2"), "{before} {after}");
}

#[test]
fn a_deleted_agent_has_no_beat() {
    let world = World::new();
    let job = world.beat("agent0000unknown");
    assert_eq!(world.run(&mut job.clone()), End::Skipped(Skip::NoAgent));
    assert!(world.model.take_asked().is_empty() && world.backend.take_names().is_empty());
}

/// Without its tasks a beat would find nothing to do, and the next one would be saved.
#[test]
fn a_beat_whose_tasks_cannot_be_read_is_tried_again() {
    let world = World::new();
    let ben = world.team.ben.clone();
    world.task("in_progress", &[&ben], 5);
    let away = || Fault::Before(CallClass::Transient, CallReason::Unreachable);
    world.backend.fail("listAssignedTasksForAgent", [away(), away()]);
    world.backend.fail("loadTaskDetailsForAgentTool", [away()]);
    assert_eq!(world.beats_once(&ben), QUIET);
    let asked = world.model.take_asked();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].1.contains("Focus Task ID:"), "{}", asked[0].1);
}

/// W-22: the board shows the failure, and no person has to decide about it.
#[test]
fn a_failing_beat_is_reported_and_the_next_one_is_tried() {
    let world = World::new();
    let ben = world.team.ben.clone();
    world.model.does(|_| Err(GatewayError::new(Class::Refused, Why::TooLarge, None)));
    for _ in 0..2 {
        assert!(matches!(world.beats_once(&ben), End::Missed(_)));
        assert_eq!(world.agent(&ben)["status"], json!("error"));
    }
    assert_eq!(world.parts.beats.total().failed, 2);
    assert!(world.parts.beats.total().last_error.is_some());
    world.model.does(|_| says("HEARTBEAT_OK"));
    assert_eq!(world.beats_once(&ben), QUIET);
    assert_eq!(world.agent(&ben)["status"], json!("online"));
    assert_eq!(world.parts.beats.total().last_error, None);
}

/// W-8: the pauses grow, and the beat ends.
#[test]
fn a_failing_beat_is_retried_with_growing_pauses() {
    let world = World::new();
    let mut job = world.beat(&world.team.ben);
    world.model.does(|_| Err(GatewayError::new(Class::Transient, Why::Internal, None)));
    let mut pauses = Vec::new();
    let end = loop {
        match world.attempt(&mut job, &Process::stopping_at(None)) {
            Outcome::Again { pause, .. } => pauses.push(pause.unwrap()),
            Outcome::Closed(end) => break end,
        }
    };
    assert!(matches!(end, End::Missed(_)) && pauses.len() == 7, "{end:?} {pauses:?}");
    assert!(pauses.is_sorted(), "{pauses:?}");
}

/// W-20: the answer to the post is lost; the message stands once.
#[test]
fn a_post_whose_answer_was_lost_is_found_in_the_thread() {
    for fault in [
        Fault::After(CallClass::Ambiguous, CallReason::LostAnswer),
        Fault::Before(CallClass::Ambiguous, CallReason::LostAnswer),
    ] {
        let world = World::new();
        let ben = world.team.ben.clone();
        let task = world.task("in_progress", &[&ben], 5);
        world.model.does(|_| says("Half of it is done."));
        world.backend.fail("createMessageFromAgent", [fault.clone()]);
        assert_eq!(world.beats_once(&ben), End::Answered(1), "{fault:?}");
        assert_eq!(world.posted(&ben, &task), ["Half of it is done."], "{fault:?}");
        assert_eq!(world.model.take_asked().len(), 1, "one turn");
    }
}

/// The same words in the next beat are another message.
#[test]
fn the_same_report_in_two_beats_stands_twice() {
    let world = World::new();
    let ben = world.team.ben.clone();
    let task = world.task("in_progress", &[&ben], 5);
    world.model.does(|_| says("Still compiling."));
    assert_eq!(world.beats_once(&ben), End::Answered(1));
    world.pass(INTERVAL);
    let lost = Fault::After(CallClass::Ambiguous, CallReason::LostAnswer);
    world.backend.fail("createMessageFromAgent", [lost]);
    assert_eq!(world.beats_once(&ben), End::Answered(1));
    assert_eq!(world.posted(&ben, &task), ["Still compiling.", "Still compiling."]);
}

/// H-23, W-21: fresh tasks do not use up the requests, and a saved beat sends them too.
#[test]
fn the_orchestrator_follows_up_on_stale_tasks_without_a_turn() {
    let world = World::new();
    let (lead, ben, ada) = (world.team.lead.clone(), world.team.ben.clone(), world.team.ada.clone());
    for _ in 0..3 {
        world.task("in_progress", &[&ben], 5);
    }
    assert_eq!((world.beats_once(&lead), world.beats_once(&lead)), (QUIET, SAVED));
    assert!(world.requested().is_empty());
    let stale: Vec<String> = (0..5).map(|number| world.task("review", &[&ada, &lead], 60 - number)).collect();
    assert_eq!(world.beats_once(&lead), QUIET);
    assert_eq!(world.requested(), stale[..3], "three requests for each beat, stalest first");
    assert_eq!(world.beats_once(&lead), SAVED);
    assert_eq!(world.requested(), stale, "the saved beat sends the rest, and none twice");
    assert_eq!(world.beats_once(&lead), SAVED);
    assert_eq!((world.requested().len(), world.parts.beats.total().follow_ups), (5, 5));
    assert_eq!(world.model.take_asked().len(), 2);
}

/// H-23: the agent's own requests count.
#[test]
fn requests_of_the_agent_itself_leave_fewer_follow_ups() {
    let world = World::new();
    let (lead, ben) = (world.team.lead.clone(), world.team.ben.clone());
    let stale: Vec<String> = (0..4).map(|number| world.task("in_progress", &[&ben], 60 - number)).collect();
    let (mut step, task) = (0, stale[3].clone());
    world.model.does(move |_| {
        step += 1;
        let request = json!({"taskId": task, "recipientSlugs": ["ben"], "message": "How far is it?"});
        if step == 1 { calls("response_request", &request) } else { says("HEARTBEAT_OK") }
    });
    assert_eq!(world.beats_once(&lead), QUIET);
    let expected = [&stale[3..], &stale[..2]].concat();
    assert_eq!(world.requested(), expected, "one by the agent and two follow-ups");
}

#[test]
fn other_agents_and_agents_without_the_permission_send_no_follow_ups() {
    let world = World::new();
    let (lead, ben) = (world.team.lead.clone(), world.team.ben.clone());
    world.task("in_progress", &[&ben], 60);
    assert_eq!(world.beats_once(&ben), QUIET);
    world.team.flag(&lead, "canMentionAgents", false);
    world.sync();
    assert_eq!(world.beats_once(&lead), QUIET);
    assert!(world.requested().is_empty());
}

#[test]
fn outside_the_active_hours_agents_stay_online_and_only_a_wake_is_sent() {
    let hours = Some("22:00-06:00".parse().unwrap());
    let world = World::with(BeatRules { mode: BeatMode::Always, active_hours: hours, ..GATED });
    let (lead, ben) = (world.team.lead.clone(), world.team.ben.clone());
    world.task("in_progress", &[&ben], 60);
    assert_eq!(world.beats_once(&lead), End::Skipped(Skip::InactiveHours), "the board's clock shows 8:00");
    assert_eq!(world.agent(&lead)["status"], json!("online"));
    assert!(world.requested().is_empty(), "a request would wake an agent");
    assert_eq!(world.run(&mut world.beat_with(&lead, true)), QUIET);
}

/// A beat that is lost with its process after any step is continued: no effect is missing, and none is doubled.
#[test]
fn each_effect_of_a_beat_happens_once_although_the_process_stops_anywhere() {
    let run = |stops: &[usize], survive: usize| -> usize {
        let mut world = World::new();
        let (lead, ben) = (world.team.lead.clone(), world.team.ben.clone());
        let stale: Vec<String> =
            (0..4).map(|number| world.task("in_progress", &[&ben], 60 - number)).collect();
        world.event("lead", "The build has failed.");
        let words = format!("Task ID: {}\nThe build is repaired.", stale[1]);
        let said = words.clone();
        world.model.does(move |_| says(&said));
        let mut job = world.beat(&lead);
        let mut first = None;
        for stop in stops.iter().copied().map(Some).chain([None]) {
            let process = Process::stopping_at(stop);
            let ended = live(&world, &mut job, &process);
            first.get_or_insert_with(|| process.instants());
            if ended {
                break;
            }
            let left = world.ledger.crash(survive).pop();
            world.restart();
            // The schedule offers a new beat if the ledger does not know this one.
            job = match left {
                Some(left) => {
                    let mut record = left.record;
                    record.recalled(mission_control_runtime::clock::Clock::now(&world.team.board.clock()));
                    job_of(left.work, record)
                }
                None => world.beat(&lead),
            };
        }
        let place = format!("stops {stops:?}, {survive} notes survive");
        assert_eq!(world.posted(&lead, &stale[1]), [words], "{place}");
        // The posted update has just changed the second task, so that one is not stale any more.
        let due = [&stale[..1], &stale[2..]].concat();
        let requested = world.requested();
        assert!(requested.iter().all(|task| due.contains(task)), "{place}: {requested:?}");
        assert!(
            requested.is_sorted_by_key(|task| due.iter().position(|due| due == task)),
            "{place}: {requested:?}"
        );
        // A request that was only about to be sent when the process stopped counts, and is sent at the next beat.
        assert!(requested.len() >= 3 - stops.len(), "{place}: {requested:?}");
        assert_eq!(world.waiting_events("lead"), 0, "{place}");
        let asked = world.model.take_asked();
        assert_eq!(asked.len(), 1, "{place}: one turn is paid for");
        assert!(asked[0].1.contains("The build has failed."), "{place}");
        assert_eq!(world.agent(&lead)["status"], json!("online"), "{place}");
        first.unwrap()
    };
    let instants = run(&[], usize::MAX);
    assert!(instants > 20, "{instants}");
    for survive in [0, 1, usize::MAX] {
        for stop in 0..instants {
            run(&[stop], survive);
            run(&[stop, stop / 2], survive);
        }
    }
}

/// Works on the beat until it ends or the process stops. Returns whether it ended.
fn live(world: &World, job: &mut mission_control_runtime::delivery::Job, process: &Arc<Process>) -> bool {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    for _ in 0..60 {
        match catch_unwind(AssertUnwindSafe(|| world.attempt(job, process))) {
            Ok(Outcome::Closed(_)) if !process.is_stopped() => return true,
            _ if process.is_stopped() => return false,
            Ok(Outcome::Again { pause, .. }) => world.pass(pause.unwrap_or(Duration::from_secs(1))),
            Ok(Outcome::Closed(_)) | Err(_) => {}
        }
    }
    panic!("it comes to no end: {:?}", job.record);
}
