//! Stopped rows: which of them are kept, and what starts them again.

use std::sync::Arc;

use mission_control_runtime::delivery::policy::Skip;
use mission_control_runtime::delivery::stopped_rows::{StoppedRow, StoppedRows, THREADS_MAX};
use mission_control_runtime::delivery::{End, Record, Stage};
use mission_control_runtime::guardrails::team::Threads;
use mission_control_runtime::guardrails::{CountStart, TeamLimit, TeamStop, TeamTurn};
use mission_control_runtime::model::clock::Millis;
use mission_control_runtime::model::{Notification, TaskId};
use mission_control_runtime::work::WorkId;
use serde_json::json;

fn start(message_at: i64) -> CountStart {
    CountStart { message_at: Millis(message_at), retries: 0 }
}

/// A row that was stopped when the thread was counted from there.
fn stopped(id: &str, agent: &str, kind: &str, task: &str, at: i64) -> StoppedRow {
    let row: Notification = serde_json::from_value(json!({"_id": id, "type": kind, "recipientType": "agent",
        "recipientId": agent, "taskId": task, "title": "", "body": "", "createdAt": 1}))
    .unwrap();
    let stop = Some(TeamStop { limit: TeamLimit::Turns, turns: 30, is_first: false });
    let team = Some(TeamTurn { stop, ..TeamTurn::at(start(at)) });
    let stage = Stage::Ended(End::Skipped(Skip::TeamLimit));
    (Arc::new(row.into()), Record { team, stage, title: "Task".to_owned(), ..Record::default() })
}

fn ids(rows: &[StoppedRow]) -> Vec<&str> {
    rows.iter().map(|(work, _)| work.id.as_str()).collect()
}

fn keep(rows: &mut StoppedRows, row: StoppedRow) -> bool {
    rows.insert(row.0, row.1).is_none()
}

#[test]
fn the_last_row_of_each_agent_and_type_starts_again_after_a_person_s_word() {
    let mut rows = StoppedRows::default();
    for (id, agent, kind) in
        [("1", "a", "mention"), ("2", "b", "mention"), ("3", "a", "mention"), ("4", "a", "response_request")]
    {
        assert!(keep(&mut rows, stopped(id, agent, kind, "t", 10)));
    }
    let shown = rows.threads();
    assert_eq!((shown.len(), shown[0].rows.clone()), (1, ["2", "3", "4"].map(str::to_owned).to_vec()));
    assert_eq!((shown[0].title.as_str(), shown[0].turns), ("Task", 30));
    let task = TaskId::new("t");
    assert!(rows.resume(&task, start(10)).is_empty(), "that word came before the stop");
    assert!(rows.resume(&TaskId::new("another"), start(20)).is_empty());
    assert_eq!(ids(&rows.resume(&task, start(20))), ["2", "3", "4"]);
    assert!(rows.resume(&task, start(20)).is_empty() && rows.threads().is_empty(), "a row is taken out once");
}

#[test]
fn a_row_that_ends_after_the_word_starts_again_at_once() {
    let mut rows = StoppedRows::default();
    let task = TaskId::new("t");
    assert!(rows.resume(&task, start(20)).is_empty());
    assert!(!keep(&mut rows, stopped("late", "a", "mention", "t", 10)));
    assert!(keep(&mut rows, stopped("new", "a", "mention", "t", 20)), "it was stopped after the word");
}

#[test]
fn a_retry_takes_one_row() {
    let mut rows = StoppedRows::default();
    keep(&mut rows, stopped("1", "a", "mention", "t", 10));
    keep(&mut rows, stopped("2", "b", "mention", "t", 10));
    assert!(rows.retry(&WorkId::new("3")).is_none());
    assert_eq!(rows.retry(&WorkId::new("1")).unwrap().0.id.as_str(), "1");
    assert!(rows.retry(&WorkId::new("1")).is_none());
    assert_eq!(rows.threads()[0].rows, ["2"]);
    // The others follow when the count of the thread has started again.
    assert_eq!(ids(&rows.resume(&TaskId::new("t"), start(10).after_retry())), ["2"]);
}

#[test]
fn after_a_restart_rows_with_a_later_word_start_and_the_others_wait() {
    let mut threads = Threads::default();
    // A delivery has seen the word and recorded it; then the process ended.
    let (work, mut record) = stopped("seen", "c", "mention", "spoken", 10);
    record.team = Some(TeamTurn::at(start(20)));
    threads.recall(work.notification().unwrap(), record.team.as_ref().unwrap());
    let left = vec![stopped("1", "a", "mention", "spoken", 10), stopped("2", "a", "mention", "quiet", 10)];
    for (work, record) in &left {
        threads.recall(work.notification().unwrap(), record.team.as_ref().unwrap());
    }
    let (rows, due) = StoppedRows::recovered(left, &threads);
    assert_eq!(ids(&due), ["1"]);
    assert_eq!(rows.threads()[0].task, TaskId::new("quiet"));
}

#[test]
fn a_row_starts_again_from_the_beginning() {
    let (_, record) = stopped("1", "a", "mention", "t", 10);
    for again in [record.resumed(), record.retried()] {
        assert_eq!(again.stage, Stage::Fresh);
        assert!(again.reopened && again.team.unwrap().stop.is_none());
    }
    assert!(record.retried().team.unwrap().is_retried && !record.resumed().team.unwrap().is_retried);
}

#[test]
fn the_memory_for_stopped_threads_is_bounded() {
    let mut rows = StoppedRows::default();
    for number in 0..THREADS_MAX + 5 {
        keep(&mut rows, stopped(&number.to_string(), "a", "mention", &format!("t{number}"), 10));
    }
    let shown = rows.threads();
    assert_eq!((shown.len(), shown[0].task.as_str()), (THREADS_MAX, "t5"));
}
