//! A person stops the work on a task while an agent's heartbeat is about it.
//!
//! | the stop comes | what happens |
//! |---|---|
//! | before the question is asked | the question does not name the task |
//! | while the turn runs | the list of notifications ends the turn (`task_stops`) |
//! | while no process runs | the next process ends the turn before it does anything else |
//! | after the answer has arrived | the answer is posted |
//! | twice | the heartbeat ends once |

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use mission_control_runtime::clock::Clock as _;
use mission_control_runtime::delivery::reply::Silence;
use mission_control_runtime::delivery::{End, Outcome};
use mission_control_runtime::gateway::{Class, GatewayError, Why};
use serde_json::json;

use super::world::{Process, World, calls, job_of, says};

const QUIET: End = End::Silent(Silence::HeartbeatOk);

/// A person stops the work on the task: with the button, or with a word in the thread.
type StopWork = fn(&World, &str);

const STOPS: [StopWork; 2] = [
    |world, task| drop(world.team.board.person("tasks:pauseAgents", json!({"taskId": task})).unwrap()),
    |world, task| {
        world.pass(Duration::from_millis(5));
        world.team.board.person_says(task, "/stop");
    },
];

#[test]
fn a_stop_between_two_attempts_ends_the_heartbeat() {
    for stop in STOPS {
        let world = World::new();
        let ben = world.team.ben.clone();
        let task = world.task("in_progress", &[&ben], 5);
        let other = world.task("assigned", &[&ben], 5);
        world.event("ben", "Look at this.");
        world.model.does(|_| Err(GatewayError::new(Class::Transient, Why::Internal, None)));
        let mut job = world.beat(&ben);
        let first = world.attempt(&mut job, &Process::stopping_at(None));
        assert!(matches!(first, Outcome::Again { .. }), "{first:?}");
        world.model.take_asked();
        stop(&world, &task);
        stop(&world, &task);
        world.model.does(|_| says("Done."));
        assert_eq!(world.run(&mut job), End::Stopped);
        assert!(world.model.take_asked().is_empty(), "nothing is sent after the stop");
        assert!(world.posted(&ben, &task).is_empty() && world.posted(&ben, &other).is_empty());
        assert_eq!(world.agent(&ben)["status"], json!("online"), "a stop is no failure");
        assert_eq!((world.parts.beats.total().failed, world.parts.beats.total().last_error), (0, None));
        assert_eq!(world.waiting_events("ben"), 1, "the agent may not have worked on it");

        world.model.does(|_| says("HEARTBEAT_OK"));
        assert_eq!(world.beats_once(&ben), QUIET, "the next heartbeat takes its place");
        let asked = world.model.take_asked();
        assert!(asked[0].1.contains(&other) && asked[0].1.contains("Look at this."), "{}", asked[0].1);
        assert_eq!(world.waiting_events("ben"), 0);
    }
}

#[test]
fn a_stop_of_another_task_changes_nothing() {
    let world = World::new();
    let (ben, ada) = (world.team.ben.clone(), world.team.ada.clone());
    let task = world.task("in_progress", &[&ben], 5);
    let other = world.task("in_progress", &[&ada], 5);
    world.model.does(|_| Err(GatewayError::new(Class::Transient, Why::Internal, None)));
    let mut job = world.beat(&ben);
    assert!(matches!(world.attempt(&mut job, &Process::stopping_at(None)), Outcome::Again { .. }));
    STOPS[0](&world, &other);
    world.model.does(|_| says("Done."));
    assert_eq!(world.run(&mut job), End::Answered(1));
    assert_eq!(world.posted(&ben, &task), ["Done."]);
}

/// The process ends at any instant, a person stops the work, and the next process continues: an answer that had arrived is
/// posted once, any other work ends without an effect, and no turn is sent after the stop.
#[test]
fn a_stop_while_no_process_runs_counts_wherever_the_process_ended() {
    let run = |stop_at: Option<usize>, stop_work: StopWork| -> (usize, End) {
        let mut world = World::new();
        let ben = world.team.ben.clone();
        let task = world.task("in_progress", &[&ben], 5);
        let mut step = 0;
        world.model.does(move |_| {
            step += 1;
            let note = json!({"title": "A note", "content": "…", "type": "note"});
            if step == 1 { calls("document_upsert", &note) } else { says("Done.") }
        });
        let mut job = world.beat(&ben);
        let process = Process::stopping_at(stop_at);
        let first = catch_unwind(AssertUnwindSafe(|| world.attempt(&mut job, &process)));
        if let (Ok(Outcome::Closed(end)), false) = (first, process.is_stopped()) {
            return (process.instants(), end);
        }
        let place = format!("stopped at {stop_at:?}");
        let (turns, documents) = (world.model.take_asked().len(), world.team.board.rows("documents").len());
        stop_work(&world, &task);
        let Some(left) = world.ledger.crash(usize::MAX).pop() else {
            assert_eq!(turns, 0, "{place}: a question is recorded before it is sent");
            return (process.instants(), End::Gone);
        };
        world.restart();
        let mut record = left.record;
        record.recalled(world.team.board.clock().now());
        let end = world.run(&mut job_of(left.work, record));
        let posted = world.posted(&ben, &task);
        match &end {
            End::Answered(1) => assert_eq!(posted, ["Done."], "{place}"),
            End::Stopped => assert!(posted.is_empty(), "{place}: {posted:?}"),
            other => panic!("{place}: {other:?}"),
        }
        assert!(world.model.take_asked().is_empty(), "{place}: no turn is sent after the stop");
        assert!(documents <= 1 && world.team.board.rows("documents").len() == documents, "{place}");
        (process.instants(), end)
    };
    for stop_work in STOPS {
        let (instants, end) = run(None, stop_work);
        assert!(instants > 15 && end == End::Answered(1), "{instants} {end:?}");
        let ends: Vec<End> = (0..instants).map(|at| run(Some(at), stop_work).1).collect();
        for expected in [End::Gone, End::Stopped, End::Answered(1)] {
            assert!(ends.contains(&expected), "{expected:?} is not among {ends:?}");
        }
    }
}
