//! "Typing" is what the board shows of a row that is read and neither delivered nor ended. However an attempt comes out,
//! nobody types behind it; and while the agent is at work somebody does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mission_control_runtime::clock::Millis;
use mission_control_runtime::convex;
use mission_control_runtime::delivery::Job;
use mission_control_runtime::delivery::retry::{SILENCES_MAX, UNKNOWN_MAX};
use mission_control_runtime::gateway::{Class, Recovered, Reply, Why};
use mission_control_runtime::local::Engine;
use mission_control_runtime::model::Notification;
use serde_json::{Value, json};

use super::setup::Office;
use super::{CONTEXT, DELIVERED, ENDED, POST, READ};
use crate::support::direct::Fault;
use crate::support::work::{notification_of, work_of};

fn is_typing(row: &Value) -> bool {
    row.get("readAt").is_some() && row.get("deliveredAt").is_none() && row.get("deliveryEndedAt").is_none()
}

fn find(engine: &Engine, table: &str, id: &str) -> Value {
    engine.dig(table).unwrap().into_iter().find(|row| row["_id"] == id).unwrap()
}

fn row_of(office: &Office, job: &Job) -> Value {
    office.team.board.row("notifications", job.work.id.as_str())
}

fn lost_answer() -> Fault {
    Fault::After(convex::Class::Ambiguous, convex::Why::LostAnswer)
}

fn refused() -> Fault {
    Fault::Before(convex::Class::Refused, convex::Why::Forbidden)
}

/// What is tried, how it comes out at last, how often it is tried for that, and what prepares it.
type Row = (&'static str, &'static str, u32, fn(&Office) -> Job);

const ROWS: [Row; 19] = [
    ("answered", "answered", 1, |office| {
        office.gateway.says("Yes.");
        office.mention("@ben?")
    }),
    ("kept", "kept", 1, |office| {
        office.gateway.says("Yes.");
        office.task_less()
    }),
    ("silent", "silent", 1, |office| {
        office.gateway.says("HEARTBEAT_OK");
        office.mention("@ben?")
    }),
    ("silent once", "again", 1, |office| {
        office.gateway.says_nothing();
        office.mention("@ben?")
    }),
    ("unanswered", "unanswered", SILENCES_MAX, |office| {
        (0..SILENCES_MAX).for_each(|_| {
            office.gateway.says_nothing();
        });
        office.mention("@ben?")
    }),
    ("skipped", "skipped", 1, |office| {
        let job = office.mention("@ben?");
        office.team.board.edit("tasks", &office.task, json!({"status": "archived"}));
        job
    }),
    ("skipped after it was read", "skipped", 2, |office| {
        office.gateway.fails(Class::Transient, Why::Interrupted);
        let (board, task) = (office.team.board.engine.clone(), office.task.clone());
        office.gateway.meanwhile(move || {
            let mut row = find(&board, "tasks", &task);
            row["status"] = json!("archived");
            board.plant("tasks", row).unwrap();
        });
        office.mention("@ben?")
    }),
    ("gone", "gone", UNKNOWN_MAX, |office| {
        office.backend.fail(CONTEXT, std::iter::repeat_n(Fault::Instead(Value::Null), 30));
        office.mention("@ben?")
    }),
    ("gone after it was read", "gone", 1 + UNKNOWN_MAX, |office| {
        office.gateway.fails(Class::Transient, Why::Interrupted);
        let unknown = std::iter::repeat_n(Fault::Instead(Value::Null), 30);
        office.backend.fail(CONTEXT, std::iter::once(Fault::Pass).chain(unknown));
        office.mention("@ben?")
    }),
    ("dead at once", "dead", 1, |office| {
        office.gateway.fails(Class::Refused, Why::TooLarge);
        office.mention("@ben?")
    }),
    ("dead after many attempts", "dead", 8, |office| {
        (0..8).for_each(|_| {
            office.gateway.fails(Class::Transient, Why::Interrupted);
        });
        office.mention("@ben?")
    }),
    ("rests", "again", 1, |office| {
        office.gateway.fails(Class::Transient, Why::ProviderTrouble);
        office.mention("@ben?")
    }),
    ("the gateway is away", "again", 1, |office| {
        office.gateway.fails(Class::Closed, Why::Unreachable);
        office.mention("@ben?")
    }),
    ("cut off", "again", 1, |office| {
        office.gateway.fails(Class::Lost, Why::Stopped);
        office.mention("@ben?")
    }),
    ("the answer of the first mark is lost", "again", 1, |office| {
        office.backend.fail(READ, [lost_answer()]);
        office.gateway.fails(Class::Transient, Why::Interrupted);
        office.mention("@ben?")
    }),
    ("the post is refused", "dead", 1, |office| {
        office.backend.fail(POST, [refused()]);
        office.gateway.says("Yes.");
        office.mention("@ben?")
    }),
    ("the mark is refused for a while", "again", 1, |office| {
        let hidden = Fault::Before(convex::Class::Refused, convex::Why::Unknown);
        office.backend.fail(DELIVERED, [hidden]);
        office.gateway.says("Yes.");
        office.mention("@ben?")
    }),
    ("the mark is refused for good", "answered", 1, |office| {
        office.backend.fail(DELIVERED, [refused(), refused()]);
        office.gateway.says("Yes.");
        office.mention("@ben?")
    }),
    ("it is dead, and its mark has to wait", "again", 1, |office| {
        let away = Fault::Before(convex::Class::Transient, convex::Why::Unreachable);
        office.backend.fail(DELIVERED, [away]);
        office.gateway.fails(Class::Refused, Why::TooLarge);
        office.mention("@ben?")
    }),
];

#[test]
fn nobody_types_behind_any_end() {
    for (what, end, times, prepare) in ROWS {
        let office = Office::new();
        let mut job = prepare(&office);
        for _ in 1..times {
            assert_eq!(office.deliver(&mut job), "again", "{what}");
            assert!(!is_typing(&row_of(&office, &job)), "{what}: between two attempts");
        }
        assert_eq!(office.deliver(&mut job), end, "{what}");
        let row = row_of(&office, &job);
        assert!(!is_typing(&row), "{what}: {row}");
    }
}

#[test]
fn somebody_types_while_the_agent_is_at_work() {
    let office = Office::new();
    let mut job = office.mention("@ben?");
    let (engine, seen) = (office.team.board.engine.clone(), Arc::<AtomicBool>::default());
    let (id, told) = (job.work.id.clone(), seen.clone());
    office.gateway.meanwhile(move || {
        told.store(is_typing(&find(&engine, "notifications", id.as_str())), Ordering::SeqCst);
    });
    office.gateway.says("Yes.");
    assert_eq!(office.deliver(&mut job), "answered");
    assert!(seen.load(Ordering::SeqCst));
    assert!(!office.backend.take_names().contains(&ENDED.to_owned()), "what is delivered needs no end");
}

/// A row that another runtime has begun since it was listed is left alone: nothing is said to the agent, and its marks
/// stay as they are. Once it is listed with them it is ours, if it is still there.
#[test]
fn a_row_that_somebody_else_has_begun_is_left_to_them() {
    let rows = [
        (json!({"readAt": 20.0}), "again"),
        (json!({"readAt": 20.0, "deliveryEndedAt": 30.0}), "again"),
        (json!({"readAt": 20.0, "deliveredAt": 40.0}), "gone"),
        (json!({"deliveredAt": 40.0}), "gone"),
        (json!({"deliveryEndedAt": 30.0}), "answered"),
    ];
    for (marks, end) in rows {
        let office = Office::new();
        let mut job = office.mention("@ben?");
        office.team.board.edit("notifications", job.work.id.as_str(), marks.clone());
        office.gateway.says("Yes.");
        let before = row_of(&office, &job);
        assert_eq!(office.deliver(&mut job), end, "{marks}");
        if end == "answered" {
            continue;
        }
        assert_eq!(row_of(&office, &job), before, "{marks}");
        assert!(office.gateway.take_seen().is_empty(), "{marks}");
        if end == "again" {
            assert!(job.record.is_untouched(), "no attempt is counted");
            let row = Notification { read_at: Some(Millis(20)), ..notification_of(&job).clone() };
            job.work = work_of(&row);
            assert_eq!(office.deliver(&mut job), "answered", "{marks}");
        }
    }
}

/// A turn that was cut off here and was settled by somebody else meanwhile is over: its answer is posted by nobody.
#[test]
fn what_somebody_else_has_settled_is_over() {
    let office = Office::new();
    let mut job = office.mention("@ben?");
    office.gateway.fails(Class::Lost, Why::Stopped);
    assert_eq!(office.deliver(&mut job), "again");
    office.team.board.edit("notifications", job.work.id.as_str(), json!({"deliveredAt": 40.0}));
    office.gateway.recovers(Recovered::Answered(Reply { text: Some("Yes.".to_owned()), ..Reply::default() }));
    assert_eq!(office.deliver(&mut job), "gone");
    assert!(office.messages_of_ben().is_empty());
}
