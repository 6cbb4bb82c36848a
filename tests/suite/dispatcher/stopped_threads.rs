//! Rows that the loop brake has stopped: they start again after a person's word, once each.

use std::time::Duration;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::delivery::dead_letters::{RESUMED_STEP, RETRIED_STEP};
use mission_control_runtime::delivery::operator_requests::{OperatorReply, OperatorRequest, Refused};
use mission_control_runtime::delivery::policy::Skip;
use mission_control_runtime::delivery::scheduler::{Effect, Event, OperatorEffect, RecoveredState};
use mission_control_runtime::delivery::stopped_rows::{StoppedRow, StoppedRows};
use mission_control_runtime::delivery::{End, Job, Notice, Outcome, Record, Stage, Trouble};
use mission_control_runtime::guardrails::team::Threads;
use mission_control_runtime::guardrails::{CountStart, TeamLimit, TeamStop, TeamTurn};
use mission_control_runtime::model::TaskId;
use mission_control_runtime::work::WorkId;

use super::world::{World, row};
use crate::support::work::work_of;

fn start(message_at: i64) -> CountStart {
    CountStart { message_at: Millis(message_at), retries: 0 }
}

fn record(is_first: bool) -> Record {
    let stop = Some(TeamStop { limit: TeamLimit::Turns, turns: 30, is_first });
    let team = Some(TeamTurn { stop, ..TeamTurn::at(start(10)) });
    Record { team, stage: Stage::Ended(End::Skipped(Skip::TeamLimit)), ..Record::default() }
}

fn stopped(id: &str, kind: &str) -> StoppedRow {
    (work_of(&row("t1", kind, id, Millis(1))), record(false))
}

/// A dispatcher that an earlier process has left these rows.
fn after(rows: Vec<StoppedRow>) -> World {
    let (stopped, due) = StoppedRows::recovered(rows, &Threads::default());
    assert!(due.is_empty());
    World::recovered(4, Vec::new(), RecoveredState { stopped, ..RecoveredState::default() })
}

/// What an event starts, and which rows it records as started again.
fn effects_of(world: &mut World, event: Event) -> (Vec<Job>, Vec<(String, &'static str)>) {
    let now = world.now();
    let (mut starts, mut again) = (Vec::new(), Vec::new());
    for effect in world.dispatcher.on(Some(event), now) {
        match effect {
            Effect::Start(job) => starts.push(*job),
            Effect::Operator(OperatorEffect::Reopen(row, words)) => again.push((row.0.id.to_string(), words)),
            _ => {}
        }
    }
    (starts, again)
}

fn resumed(at: i64) -> Event {
    Event::ThreadResumed(TaskId::new("t1"), start(at))
}

#[test]
fn stopped_rows_start_again_after_a_later_word_and_once() {
    let mut world = after(vec![stopped("a", "mention"), stopped("b", "assignment")]);
    assert_eq!(world.dispatcher.state().stopped[0].rows, ["a", "b"]);
    let (starts, again) = effects_of(&mut world, resumed(10));
    assert!(starts.is_empty() && again.is_empty(), "the stop came after that word");
    let (starts, again) = effects_of(&mut world, resumed(20));
    assert_eq!(
        again,
        [("a".to_owned(), RESUMED_STEP), ("b".to_owned(), RESUMED_STEP)],
        "recorded before they start"
    );
    // Both are of one track, so the second one waits.
    assert_eq!((starts.len(), starts[0].work.id.as_str(), starts[0].record.reopened), (1, "a", true));
    assert!(world.dispatcher.state().stopped.is_empty());
    let (starts, again) = effects_of(&mut world, resumed(30));
    assert!(starts.is_empty() && again.is_empty());
}

#[test]
fn a_row_that_is_still_being_marked_when_a_person_writes_starts_again_afterwards() {
    let mut world = after(vec![stopped("a", "mention")]);
    let (mut starts, _) = effects_of(&mut world, resumed(20));
    let job = starts.remove(0);
    // The row is stopped again, and the next word comes before its end.
    effects_of(&mut world, resumed(30));
    let late = Box::new(Job { record: record(true), ..job });
    let (starts, again) =
        effects_of(&mut world, Event::Finished(late, Outcome::Closed(End::Skipped(Skip::TeamLimit))));
    assert_eq!((starts.len(), again.len()), (1, 1));
    assert_eq!(world.dispatcher.state().stats.team_stops, 1, "the first stop of a count is counted");
}

#[test]
fn a_retry_of_a_covered_row_starts_the_row_that_covers_it() {
    let mut world = after(vec![stopped("a", "mention"), stopped("b", "mention")]);
    let retried = world.ask(OperatorRequest::Retry(WorkId::new("a")));
    assert!(matches!(retried, OperatorReply::Decided("the agent is asked once more")), "{retried:?}");
    assert_eq!(world.started(), ["b"]);
    let again = world.ask(OperatorRequest::Retry(WorkId::new("a")));
    assert!(matches!(again, OperatorReply::Refused(Refused::NotDead)), "{again:?}");
}

#[test]
fn a_resting_notice_is_tried_again_as_soon_as_its_thread_continues() {
    let mut world = after(vec![stopped("a", "mention")]);
    let (mut starts, _) = effects_of(&mut world, resumed(20));
    let job = starts.remove(0);
    let notice = Notice::new("stopped".to_owned(), End::Skipped(Skip::TeamLimit));
    let late = Box::new(Job { record: Record { stage: Stage::Notice(notice), ..record(true) }, ..job });
    let rest = Outcome::Again { trouble: Trouble::Undecided, pause: Some(Duration::from_mins(1)) };
    assert!(effects_of(&mut world, Event::Finished(late, rest)).0.is_empty());
    let other = Event::ThreadResumed(TaskId::new("t2"), start(30));
    assert!(effects_of(&mut world, other).0.is_empty(), "another thread");
    let (starts, _) = effects_of(&mut world, resumed(30));
    assert_eq!(starts.len(), 1);
    assert_eq!(starts[0].record.stop_of_notice(), Some(start(10)));
}

#[test]
fn a_retry_starts_a_stopped_row_and_a_drop_does_not_know_it() {
    let mut world = after(vec![stopped("a", "mention")]);
    let id = WorkId::new("a");
    let dropped = world.ask(OperatorRequest::Drop(id.clone()));
    assert!(matches!(dropped, OperatorReply::Refused(Refused::NotDead)), "{dropped:?}");
    let retried = world.ask(OperatorRequest::Retry(id.clone()));
    assert!(matches!(retried, OperatorReply::Decided("the agent is asked once more")), "{retried:?}");
    assert_eq!(world.started(), ["a"]);
    assert!(RETRIED_STEP != RESUMED_STEP && world.dispatcher.state().stopped.is_empty());
}
