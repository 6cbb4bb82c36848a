//! Stopped rows: which of them are kept, and what starts them again.

use std::sync::Arc;

use mission_control_runtime::delivery::policy::Skip;
use mission_control_runtime::delivery::stopped_rows::{StopHistory, StoppedRow, StoppedRows, THREADS_MAX};
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

/// The history of these stopped rows, which ended in this order.
fn history(rows: &[StoppedRow]) -> StopHistory {
    let mut history = StopHistory::default();
    for (at, (work, record)) in (1..).zip(rows) {
        history.take(work, record, Some((Millis(at), &End::Skipped(Skip::TeamLimit))));
    }
    history
}

#[test]
fn after_a_restart_covered_rows_stay_covered() {
    let rows = [("1", "a"), ("2", "a"), ("3", "b")].map(|(id, agent)| stopped(id, agent, "mention", "t", 10));
    let mut threads = Threads::default();
    let mut seen = stopped("4", "c", "mention", "t", 20).1;
    seen.team.as_mut().unwrap().stop = None;
    threads.recall(rows[0].0.notification().unwrap(), seen.team.as_ref().unwrap());

    // The process ended before any row started.
    let waiting = history(&rows).waiting();
    assert_eq!(ids(&waiting), ["1", "2", "3"]);
    let (kept, due) = StoppedRows::recovered(waiting, &threads);
    assert_eq!(ids(&due), ["2", "3"], "the last row of each agent and type");
    assert!(kept.threads().is_empty());

    // Row 2 had started again: it waits for its turn, or has had it.
    let resumed = rows[1].1.resumed();
    let answered = Record { team: Some(TeamTurn::at(start(20))), ..resumed.clone() };
    let end = End::Answered(1);
    for (record, closed) in [(resumed, None), (answered, Some((Millis(9), &end)))] {
        let mut later = history(&[rows[0].clone(), rows[2].clone()]);
        later.take(&rows[1].0, &record, closed);
        assert_eq!(ids(&later.waiting()), ["3"]);
    }

    // A turn of the same count came before the stop.
    let mut earlier = history(&rows);
    let before = Record { team: Some(TeamTurn::at(start(10))), ..Record::default() };
    earlier.take(&rows[1].0, &before, Some((Millis(0), &end)));
    assert_eq!(ids(&earlier.waiting()), ["1", "2", "3"]);
}

#[test]
fn a_covered_row_leads_to_the_row_that_covers_it() {
    let mut rows = StoppedRows::default();
    for id in ["1", "2", "3"] {
        keep(&mut rows, stopped(id, "a", "mention", "t", 10));
    }
    for id in ["1", "2"] {
        assert_eq!(rows.cover_of(&WorkId::new(id)), Some(&WorkId::new("3")));
    }
    assert_eq!(rows.cover_of(&WorkId::new("3")), None);
    rows.retry(&WorkId::new("3")).unwrap();
    assert_eq!(rows.cover_of(&WorkId::new("1")), None, "its cover has started again");
}

#[test]
fn a_new_stop_moves_its_thread_to_the_end_and_threads_without_rows_take_no_place() {
    let mut rows = StoppedRows::default();
    for number in 0..THREADS_MAX {
        rows.resume(&TaskId::new(format!("quiet {number}")), start(5));
    }
    for (id, task) in [("1", "old"), ("2", "other"), ("3", "old")] {
        keep(&mut rows, stopped(id, "a", "mention", task, 10));
    }
    for number in 0..THREADS_MAX {
        rows.resume(&TaskId::new(format!("another {number}")), start(5));
    }
    let shown: Vec<_> = rows.threads().into_iter().map(|thread| thread.task).collect();
    assert_eq!(shown, [TaskId::new("other"), TaskId::new("old")]);
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
