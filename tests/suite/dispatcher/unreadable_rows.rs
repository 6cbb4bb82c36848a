//! Rows of the ledger that are not understood: what waits behind them, and what becomes of them.

use std::time::Duration;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::delivery::ledger_row::{RowText, UnreadableRow};
use mission_control_runtime::delivery::operator_requests::{OperatorReply, OperatorRequest, Place, Refused};
use mission_control_runtime::delivery::scheduler::{Effect, Event, RecoveredState, Scheduler};
use mission_control_runtime::delivery::{End, Job, Outcome, Record, Stage};
use mission_control_runtime::model::TaskId;
use mission_control_runtime::work::WorkId;

use super::world::{World, answered, row, sent};

const MINUTE: Duration = Duration::from_mins(1);

/// A row of agent `agent` and this task, with this record.
fn unreadable(id: &str, task: &str, record: &str, closed: Option<&End>) -> UnreadableRow {
    let end = closed.map(|end| serde_json::to_string(end).unwrap());
    let closed = closed.map(|_| Millis(7));
    let text = RowText { id, work: "{}", record, closed, end: end.as_deref() };
    let why = text.read().unwrap_err();
    UnreadableRow {
        subject: Some(("agent".to_owned(), Some(TaskId::new(task)))),
        ..UnreadableRow::new(&text, why)
    }
}

const NEWER: &str = r#"{"form":3,"record":{}}"#;
const DAMAGED: &str = r#"{"form":0,"record":{}}"#;

fn left(rows: Vec<UnreadableRow>) -> RecoveredState {
    RecoveredState { unreadable: rows, ..RecoveredState::default() }
}

fn place_of(world: &mut World, id: &str) -> Place {
    let OperatorReply::Rows(pending, _) = world.ask(OperatorRequest::Look) else { panic!("no rows") };
    pending.into_iter().find(|row| row.work.id.as_str() == id).map(|row| row.place).expect("it is known")
}

#[test]
fn a_track_waits_behind_an_open_row_of_a_newer_version() {
    let mut world = World::recovered(4, Vec::new(), left(vec![unreadable("n1", "t1", NEWER, None)]));
    for (track, id) in [("t1", "n1"), ("t1", "a"), ("t2", "b")] {
        world.arrive(track, "mention", id);
    }
    world.run_for(10 * MINUTE);
    assert_eq!(world.started(), ["b"], "another track goes on");
    assert_eq!(place_of(&mut world, "a"), Place::BehindUnreadable(WorkId::new("n1")));
    let state = world.dispatcher.state();
    let [sentence] = &state.unreadable[..] else { panic!("{:?}", state.unreadable) };
    assert!(
        sentence.contains("task t1 waits behind it") && sentence.contains("`dead drop n1`"),
        "{sentence}"
    );
    let refused = world.ask(OperatorRequest::Retry(WorkId::new("n1")));
    assert!(matches!(refused, OperatorReply::Refused(Refused::Unreadable)), "{refused:?}");
    let dropped = world.ask(OperatorRequest::Drop(WorkId::new("n1")));
    assert!(matches!(dropped, OperatorReply::Decided(_)), "{dropped:?}");
    world.run_for(10 * MINUTE);
    assert!(world.started().contains(&"a".to_owned()), "{:?}", world.started());
    assert!(world.dispatcher.state().unreadable.is_empty());
}

#[test]
fn results_and_turns_under_way_do_not_wait_behind_it() {
    let rows = vec![unreadable("n1", "t1", NEWER, None), unreadable("n2", "t2", NEWER, None)];
    let open = vec![
        (row("t1", "mention", "posts", Millis(0)), answered()),
        (row("t1", "mention", "waits", Millis(0)), Record::default()),
        (row("t2", "mention", "settles", Millis(0)), Record { sent: Some(sent()), ..Record::default() }),
    ];
    let mut world = World::recovered(4, open, left(rows));
    world.run_for(10 * MINUTE);
    let mut started = world.started();
    started.sort();
    started.dedup();
    assert_eq!(started, ["posts", "settles"]);
}

#[test]
fn a_closed_row_blocks_no_track() {
    let answered = End::Answered(1);
    let mut world =
        World::recovered(4, Vec::new(), left(vec![unreadable("n1", "t1", NEWER, Some(&answered))]));
    world.arrive("t1", "mention", "n1");
    world.arrive("t1", "mention", "a");
    world.run_for(10 * MINUTE);
    assert_eq!(world.started(), ["n1", "a"], "the mark of the listed row, and the later one");
    assert!(world.dispatcher.state().unreadable.is_empty());
}

/// Lists a row until it starts.
fn started(scheduler: &mut Scheduler, id: &str, now: &mut Millis) -> Option<Box<Job>> {
    for _ in 0..3 {
        *now = *now + 5 * MINUTE;
        for effect in scheduler.on(None, *now) {
            let (list, limit) = match effect {
                Effect::List { list, limit } => (list, limit),
                Effect::Start(job) => return Some(job),
                _ => continue,
            };
            let rows = vec![row("t1", "mention", id, Millis(1))];
            for effect in
                scheduler.on(Some(Event::Listed { list, limit, rows, malformed: 0, dice: 0.5 }), *now)
            {
                if let Effect::Start(job) = effect {
                    return Some(job);
                }
            }
        }
    }
    None
}

/// A damaged row is not begun again. Once it is listed, people are told in its thread, once.
#[test]
fn a_damaged_row_ends_with_a_line_in_its_thread() {
    let plan = crate::delivery_flow::plan();
    let mut now = Millis(1_000_000);
    let mut scheduler = Scheduler::with(plan, left(vec![unreadable("n1", "t1", DAMAGED, None)]), now);
    let job = started(&mut scheduler, "n1", &mut now).expect("it is brought to its end");
    let Stage::Notice(notice) = &job.record.stage else { panic!("{:?}", job.record.stage) };
    assert!(notice.line.contains("this mention is damaged"), "{notice:?}");
    let End::Dead(why) = notice.end.clone() else { panic!("{notice:?}") };
    assert!(why.contains("damaged") && !job.record.is_closed, "its end is recorded");
    let dead = End::Dead(why);
    let record = Record { stage: Stage::Ended(dead.clone()), ..job.record.clone() };
    scheduler.on(Some(Event::Finished(Box::new(Job { record, ..*job }), Outcome::Closed(dead))), now);
    assert_eq!(scheduler.state().dead, 1);
    assert!(started(&mut scheduler, "n1", &mut now).is_none(), "it is refused for an hour");
}

#[test]
fn a_damaged_row_that_was_closed_is_only_marked() {
    for end in [End::Answered(1), End::Dead("no".to_owned())] {
        let plan = crate::delivery_flow::plan();
        let mut now = Millis(1_000_000);
        let mut scheduler =
            Scheduler::with(plan, left(vec![unreadable("n1", "t1", DAMAGED, Some(&end))]), now);
        let job = started(&mut scheduler, "n1", &mut now).expect("its mark is missing");
        assert_eq!((&job.record.stage, job.record.is_closed), (&Stage::Ended(end), true));
    }
}

/// A turn of either row may still run, so closing one of them frees nothing.
#[test]
fn a_track_waits_until_each_of_its_rows_is_closed() {
    for first in ["n1", "n2"] {
        let rows = ["n1", "n2"].map(|id| unreadable(id, "t1", NEWER, None));
        let mut world = World::recovered(4, Vec::new(), left(rows.into()));
        world.arrive("t1", "mention", "a");
        let second = if first == "n1" { "n2" } else { "n1" };
        world.ask(OperatorRequest::Drop(WorkId::new(first)));
        world.run_for(10 * MINUTE);
        assert_eq!(world.started(), Vec::<String>::new(), "{first}");
        assert_eq!(place_of(&mut world, "a"), Place::BehindUnreadable(WorkId::new(second)));
        world.ask(OperatorRequest::Drop(WorkId::new(second)));
        world.run_for(10 * MINUTE);
        assert_eq!(world.started(), ["a"], "{first}");
    }
}

/// A person closed the row, or a newer version did, and the process ended before the mark. A row that no longer existed
/// needs none.
#[test]
fn a_closed_row_of_a_newer_version_that_is_still_listed_is_only_marked() {
    for (end, settled) in [(End::Dropped("no".to_owned()), &["n1"][..]), (End::Gone, &[])] {
        let rows = vec![unreadable("n1", "t1", NEWER, Some(&end))];
        let mut world = World::recovered(4, Vec::new(), left(rows));
        world.arrive("t1", "mention", "n1");
        world.run_for(10 * MINUTE);
        assert_eq!(world.settled, settled, "{end:?}");
        assert_eq!(world.starts.len(), settled.len(), "{end:?}");
        assert!(world.dispatcher.state().unreadable.is_empty());
    }
}
