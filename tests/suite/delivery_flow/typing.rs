//! The board shows "typing" for a row that is read and neither delivered nor ended. After any outcome of an
//! attempt no typing is shown; while the agent works it is.

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

use super::setup::Fixture;
use super::{CONTEXT, DELIVERED, ENDED, POST, READ};
use crate::support::direct::Fault;
use crate::support::work::{notification_of, work_of};

fn is_typing(row: &Value) -> bool {
    row.get("readAt").is_some() && row.get("deliveredAt").is_none() && row.get("deliveryEndedAt").is_none()
}

fn find(engine: &Engine, table: &str, id: &str) -> Value {
    engine.read_table(table).unwrap().into_iter().find(|row| row["_id"] == id).unwrap()
}

fn row_of(fixture: &Fixture, job: &Job) -> Value {
    fixture.team.board.row("notifications", job.work.id.as_str())
}

fn lost_answer() -> Fault {
    Fault::After(convex::CallClass::Ambiguous, convex::CallReason::LostAnswer)
}

fn refused() -> Fault {
    Fault::Before(convex::CallClass::Refused, convex::CallReason::Forbidden)
}

/// The case, its last outcome, the number of attempts, and its preparation.
type Row = (&'static str, &'static str, u32, fn(&Fixture) -> Job);

const ROWS: [Row; 19] = [
    ("answered", "answered", 1, |fixture| {
        fixture.gateway.says("Yes.");
        fixture.mention("@ben?")
    }),
    ("kept", "kept", 1, |fixture| {
        fixture.gateway.says("Yes.");
        fixture.task_less()
    }),
    ("silent", "silent", 1, |fixture| {
        fixture.gateway.says("HEARTBEAT_OK");
        fixture.mention("@ben?")
    }),
    ("silent once", "again", 1, |fixture| {
        fixture.gateway.says_nothing();
        fixture.mention("@ben?")
    }),
    ("unanswered", "unanswered", SILENCES_MAX, |fixture| {
        (0..SILENCES_MAX).for_each(|_| {
            fixture.gateway.says_nothing();
        });
        fixture.mention("@ben?")
    }),
    ("skipped", "skipped", 1, |fixture| {
        let job = fixture.mention("@ben?");
        fixture.team.board.edit("tasks", &fixture.task, json!({"status": "archived"}));
        job
    }),
    ("skipped after it was read", "skipped", 2, |fixture| {
        fixture.gateway.fails(Class::Transient, Why::Interrupted);
        let (board, task) = (fixture.team.board.engine.clone(), fixture.task.clone());
        fixture.gateway.meanwhile(move || {
            let mut row = find(&board, "tasks", &task);
            row["status"] = json!("archived");
            board.write_row("tasks", row).unwrap();
        });
        fixture.mention("@ben?")
    }),
    ("gone", "gone", UNKNOWN_MAX, |fixture| {
        fixture.backend.fail(CONTEXT, std::iter::repeat_n(Fault::Instead(Value::Null), 30));
        fixture.mention("@ben?")
    }),
    ("gone after it was read", "gone", 1 + UNKNOWN_MAX, |fixture| {
        fixture.gateway.fails(Class::Transient, Why::Interrupted);
        let unknown = std::iter::repeat_n(Fault::Instead(Value::Null), 30);
        fixture.backend.fail(CONTEXT, std::iter::once(Fault::Pass).chain(unknown));
        fixture.mention("@ben?")
    }),
    ("dead at once", "dead", 1, |fixture| {
        fixture.gateway.fails(Class::Refused, Why::TooLarge);
        fixture.mention("@ben?")
    }),
    ("dead after many attempts", "dead", 8, |fixture| {
        (0..8).for_each(|_| {
            fixture.gateway.fails(Class::Transient, Why::Interrupted);
        });
        fixture.mention("@ben?")
    }),
    ("rests", "again", 1, |fixture| {
        fixture.gateway.fails(Class::Transient, Why::ProviderTrouble);
        fixture.mention("@ben?")
    }),
    ("the gateway is away", "again", 1, |fixture| {
        fixture.gateway.fails(Class::Closed, Why::Unreachable);
        fixture.mention("@ben?")
    }),
    ("cut off", "again", 1, |fixture| {
        fixture.gateway.fails(Class::Lost, Why::Stopped);
        fixture.mention("@ben?")
    }),
    ("the answer of the first mark is lost", "again", 1, |fixture| {
        fixture.backend.fail(READ, [lost_answer()]);
        fixture.gateway.fails(Class::Transient, Why::Interrupted);
        fixture.mention("@ben?")
    }),
    ("the post is refused", "dead", 1, |fixture| {
        fixture.backend.fail(POST, [refused()]);
        fixture.gateway.says("Yes.");
        fixture.mention("@ben?")
    }),
    ("the mark is refused for a while", "again", 1, |fixture| {
        let hidden = Fault::Before(convex::CallClass::Refused, convex::CallReason::Unknown);
        fixture.backend.fail(DELIVERED, [hidden]);
        fixture.gateway.says("Yes.");
        fixture.mention("@ben?")
    }),
    ("the mark is refused for good", "answered", 1, |fixture| {
        fixture.backend.fail(DELIVERED, [refused(), refused()]);
        fixture.gateway.says("Yes.");
        fixture.mention("@ben?")
    }),
    ("it is dead, and its mark has to wait", "again", 1, |fixture| {
        let away = Fault::Before(convex::CallClass::Transient, convex::CallReason::Unreachable);
        fixture.backend.fail(DELIVERED, [away]);
        fixture.gateway.fails(Class::Refused, Why::TooLarge);
        fixture.mention("@ben?")
    }),
];

#[test]
fn no_typing_is_shown_after_any_outcome() {
    for (what, end, times, prepare) in ROWS {
        let fixture = Fixture::new();
        let mut job = prepare(&fixture);
        for _ in 1..times {
            assert_eq!(fixture.deliver(&mut job), "again", "{what}");
            assert!(!is_typing(&row_of(&fixture, &job)), "{what}: between two attempts");
        }
        assert_eq!(fixture.deliver(&mut job), end, "{what}");
        let row = row_of(&fixture, &job);
        assert!(!is_typing(&row), "{what}: {row}");
    }
}

#[test]
fn typing_is_shown_while_the_agent_works() {
    let fixture = Fixture::new();
    let mut job = fixture.mention("@ben?");
    let (engine, seen) = (fixture.team.board.engine.clone(), Arc::<AtomicBool>::default());
    let (id, shown) = (job.work.id.clone(), seen.clone());
    fixture.gateway.meanwhile(move || {
        shown.store(is_typing(&find(&engine, "notifications", id.as_str())), Ordering::SeqCst);
    });
    fixture.gateway.says("Yes.");
    assert_eq!(fixture.deliver(&mut job), "answered");
    assert!(seen.load(Ordering::SeqCst));
    assert!(!fixture.backend.take_names().contains(&ENDED.to_owned()), "what is delivered needs no end");
}

/// A row that another runtime started since it was listed is skipped: no turn is sent, and its marks
/// stay. If it is listed again with these marks, this runtime delivers it.
#[test]
fn a_row_started_by_another_runtime_is_skipped() {
    let rows = [
        (json!({"readAt": 20.0}), "again"),
        (json!({"readAt": 20.0, "deliveryEndedAt": 30.0}), "again"),
        (json!({"readAt": 20.0, "deliveredAt": 40.0}), "gone"),
        (json!({"deliveredAt": 40.0}), "gone"),
        (json!({"deliveryEndedAt": 30.0}), "answered"),
    ];
    for (marks, end) in rows {
        let fixture = Fixture::new();
        let mut job = fixture.mention("@ben?");
        fixture.team.board.edit("notifications", job.work.id.as_str(), marks.clone());
        fixture.gateway.says("Yes.");
        let before = row_of(&fixture, &job);
        assert_eq!(fixture.deliver(&mut job), end, "{marks}");
        if end == "answered" {
            continue;
        }
        assert_eq!(row_of(&fixture, &job), before, "{marks}");
        assert!(fixture.gateway.take_seen().is_empty(), "{marks}");
        if end == "again" {
            assert!(job.record.is_untouched(), "no attempt is counted");
            let row = Notification { read_at: Some(Millis(20)), ..notification_of(&job).clone() };
            job.work = work_of(&row);
            assert_eq!(fixture.deliver(&mut job), "answered", "{marks}");
        }
    }
}

/// A turn that was cut off here and whose row was settled elsewhere meanwhile has ended: its answer is not
/// posted.
#[test]
fn a_row_settled_elsewhere_has_ended() {
    let fixture = Fixture::new();
    let mut job = fixture.mention("@ben?");
    fixture.gateway.fails(Class::Lost, Why::Stopped);
    assert_eq!(fixture.deliver(&mut job), "again");
    fixture.team.board.edit("notifications", job.work.id.as_str(), json!({"deliveredAt": 40.0}));
    fixture
        .gateway
        .recovers(Recovered::Answered(Reply { text: Some("Yes.".to_owned()), ..Reply::default() }));
    assert_eq!(fixture.deliver(&mut job), "gone");
    assert!(fixture.messages_of_ben().is_empty());
}
