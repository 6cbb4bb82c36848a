//! What is known about tasks outlives their deliveries: every act counts once, and what is not known is reported as such.

use super::damage::{files, lay_out};
use super::*;
use crate::support::forge::forge_story;
use mission_control_runtime::clock::{Clock as _, SystemClock};
use mission_control_runtime::ledger::{TASKS_MAX, task_facts};
use mission_control_runtime::model::TaskId;
use mission_control_runtime::ops::evidence::{FactsByTask, Mark, judge};

/// The end of a delivery to ben about a task, of this kind and with these acts.
fn ended(ledger: &Ledger, id: &str, task: &str, kind: &str, acts: &[Act], at: Millis, wait: Wait) {
    let row = json!({"_id": id, "accountId": "acc1", "type": kind, "recipientType": "agent", "recipientId": "ben",
        "taskId": task, "title": "T", "body": "B", "createdAt": at});
    let row: work::Work = serde_json::from_value::<Notification>(row).unwrap().into();
    let end = End::Answered(1);
    let seen = Act { created: Some(at), updated: Some(at), ..Act::new(ActKind::Seen).at(at) };
    let mut effects = ToolLog::default();
    for act in acts {
        effects.act(act.clone().at(at));
    }
    let stage = Stage::Ended(end.clone());
    let record =
        Record { tries: 1, title: task.to_owned(), seen: Some(seen), effects, stage, ..Record::default() };
    ledger.note(&Note::of(&row, at).record(&record).step(Step::Ended, "answered").ends(&end), wait).unwrap();
}

fn review() -> Act {
    serde_json::from_value(json!({"at": 0, "what": "status", "status": "review"})).unwrap()
}

/// Pushes closed deliveries out of the ledger by many others, which are about the task `other`.
fn push_out(ledger: &Ledger, name: &str, at: Millis) {
    for count in 0..KEPT_MAX + 200 {
        let wait = if count % 50 == 0 { Wait::ForDisk } else { Wait::Not };
        ended(ledger, &format!("{name}{count}"), "other", "mention", &[], at, wait);
    }
}

fn facts(home: &TempDir) -> FactsByTask {
    let folder = folder(home.path()).unwrap();
    task_facts(&folder, &AccountId::new("acc1"), None).unwrap()
}

fn marks(facts: &FactsByTask, task: &str) -> (Vec<&'static str>, bool) {
    let judgement = judge(&facts[&TaskId::new(task)]);
    (judgement.marks.iter().map(Mark::name).collect(), judgement.unknown.is_some())
}

/// The next millisecond: a ledger that was opened before began earlier.
fn now() -> Millis {
    let before = SystemClock.now();
    loop {
        let now = SystemClock.now();
        if now > before {
            return now;
        }
        thread::yield_now();
    }
}

#[test]
fn every_delivery_counts_once_before_and_after_its_row_is_removed() {
    let home = TempDir::new().unwrap();
    let (mut ledger, at) = (open(home.path()).ledger, now());
    let document =
        Act { id: Some("d1".to_owned()), text: Some("x".to_owned()), ..Act::new(ActKind::Document) };
    for (count, name) in ["a", "b", "c"].into_iter().enumerate() {
        ended(&ledger, name, "task", "mention", std::slice::from_ref(&document), at, Wait::ForDisk);
        push_out(&ledger, &format!("{name}-"), at);
        // A restart in between changes nothing.
        ledger.close();
        ledger = open(home.path()).ledger;
        let seen = facts(&home);
        let task = &seen[&TaskId::new("task")];
        let turns = u32::try_from(count).unwrap() + 1;
        assert_eq!((task.deliveries, task.turns, task.title.as_str()), (turns, turns, "task"));
        let documents = task.acts.iter().filter(|act| act.kind() == Some(ActKind::Document)).count();
        assert_eq!(documents, count + 1);
        let other = u32::try_from((count + 1) * (KEPT_MAX + 200)).unwrap();
        assert_eq!(seen[&TaskId::new("other")].deliveries, other);
        let folder = folder(home.path()).unwrap();
        let one = task_facts(&folder, &AccountId::new("acc1"), Some(&TaskId::new("task"))).unwrap();
        assert_eq!((one.len(), &one[&TaskId::new("task")]), (1, task));
        assert!(task_facts(&folder, &AccountId::new("acc2"), None).unwrap().is_empty(), "another account");
    }
    let rows = read(home.path()).unwrap().deliveries;
    assert!(rows.iter().all(|row| row.id.as_str() != "a"), "its row is gone");
}

#[test]
fn a_mark_outlives_the_deliveries_that_it_is_about() {
    let home = TempDir::new().unwrap();
    let (ledger, at) = (open(home.path()).ledger, now());
    ended(&ledger, "a", "task", "assignment", &[], at, Wait::ForDisk);
    ended(&ledger, "b", "task", "mention", &[review()], at + Duration::from_secs(1), Wait::ForDisk);
    assert_eq!(marks(&facts(&home), "task"), (vec!["no-effect"], false));
    push_out(&ledger, "c", at);
    assert_eq!(marks(&facts(&home), "task"), (vec!["no-effect"], false));
}

/// An agent may call over HTTP outside of its deliveries. The act is on the disk when the call returns, needs no row, and
/// counts once.
#[test]
fn an_act_without_a_delivery_counts() {
    let home = TempDir::new().unwrap();
    let (mut ledger, at) = (open(home.path()).ledger, now());
    let document = Act {
        task: Some(TaskId::new("task")),
        id: Some("d1".to_owned()),
        text: Some("x".to_owned()),
        ..Act::new(ActKind::Document).at(at)
    };
    ended(&ledger, "a", "task", "assignment", &[], at, Wait::ForDisk);
    ended(&ledger, "b", "task", "mention", &[review()], at, Wait::ForDisk);
    assert_eq!(marks(&facts(&home), "task"), (vec!["no-effect"], false));
    ledger.acted("ben", std::slice::from_ref(&document)).unwrap();
    for _ in 0..2 {
        let seen = facts(&home);
        let task = &seen[&TaskId::new("task")];
        let documents = task.acts.iter().filter(|act| act.kind() == Some(ActKind::Document)).count();
        assert_eq!((documents, task.deliveries), (1, 2));
        assert_eq!(marks(&seen, "task"), (vec![], false));
        // A restart finds all commits.
        ledger.close();
        ledger = open(home.path()).ledger;
    }
    assert_eq!(marks(&facts(&home), "task"), (vec![], false), "a restart after it is no gap");
    ledger.close();
    assert!(ledger.acted("ben", &[document]).is_err(), "a closed ledger says so");
}

/// An older version writes deliveries and removes rows without their acts. After it, earlier facts are unknown.
#[test]
fn after_an_older_version_earlier_facts_are_unknown() {
    let home = TempDir::new().unwrap();
    let change = |statement: &str| {
        let database = rusqlite::Connection::open(home.path().join("ledger.sqlite")).unwrap();
        database.execute_batch(statement).unwrap();
    };
    // Its commit is not counted in the table, and not in the row either.
    let uncounted = "UPDATE evidence SET commits = commits - 1";
    // It has written the ledger from the beginning.
    let first = "DROP TABLE evidence; DROP TABLE tasks";
    let changes = [(uncounted, Some("commit")), (uncounted, Some("none")), (first, None)];
    for (number, (statement, story)) in changes.into_iter().enumerate() {
        let task = format!("task{number}");
        let ledger = open(home.path()).ledger;
        let at = now();
        ended(&ledger, &format!("a{number}"), &task, "assignment", &[], at, Wait::ForDisk);
        ended(&ledger, &format!("b{number}"), &task, "mention", &[review()], at, Wait::ForDisk);
        assert_eq!(marks(&facts(&home), &task), (vec!["no-effect"], false), "{statement}");
        drop(ledger);
        drop(open(home.path()));
        assert_eq!(marks(&facts(&home), &task), (vec!["no-effect"], false), "a restart is no gap");
        change(statement);
        if let Some(kept) = story {
            forge_story(home.path(), &format!("b{number}"), |story| match kept {
                // A version that keeps fields that it does not know.
                "commit" => story["commit"] = json!(story["commit"].as_i64().unwrap() - 1),
                _ => drop(story.as_object_mut().unwrap().remove("commit")),
            });
        }
        drop(open(home.path()));
        assert_eq!(marks(&facts(&home), &task), (vec![], true), "{statement}");
    }
    change("DROP TABLE evidence; DROP TABLE tasks");
    assert_eq!(marks(&facts(&home), "task0"), (vec![], true), "read before this version has opened it");
}

/// A process that crashes cannot record the number of its last commit, but its rows have it.
#[test]
fn a_crash_loses_no_facts() {
    let home = TempDir::new().unwrap();
    let place = home.path().join("state");
    let (ledger, at) = (open(&place).ledger, now());
    ended(&ledger, "a", "task", "assignment", &[], at, Wait::ForDisk);
    ended(&ledger, "b", "task", "mention", &[review()], at, Wait::ForDisk);
    let crashed = home.path().join("crashed");
    lay_out(&files(&place), &crashed);
    let of_crash = || task_facts(&folder(&crashed).unwrap(), &AccountId::new("acc1"), None).unwrap();
    for _ in 0..2 {
        drop(open(&crashed));
        assert_eq!(marks(&of_crash(), "task"), (vec!["no-effect"], false));
    }
}

#[test]
fn facts_that_cannot_be_read_are_unknown() {
    let home = TempDir::new().unwrap();
    let (ledger, at) = (open(home.path()).ledger, now());
    ended(&ledger, "a", "task", "assignment", &[], at, Wait::ForDisk);
    push_out(&ledger, "c", at);
    ended(&ledger, "b", "task", "mention", &[review()], at, Wait::ForDisk);
    assert_eq!(marks(&facts(&home), "task"), (vec!["no-effect"], false));
    ledger.close();
    now();
    for text in ["", "{}x", r#"{"acts":[{"at":"yesterday"}]}"#] {
        let database = rusqlite::Connection::open(home.path().join("ledger.sqlite")).unwrap();
        database.execute("UPDATE tasks SET facts = ? WHERE task = 'task'", [text]).unwrap();
        assert_eq!(marks(&facts(&home), "task"), (vec![], true), "{text}");
    }
}

/// Beyond the limit the tasks without activity leave first. They are unknown from then on, and nothing else is.
#[test]
fn ten_thousand_tasks_are_kept_and_not_more() {
    let home = TempDir::new().unwrap();
    let (ledger, start) = (open(home.path()).ledger, now());
    let tasks = usize::try_from(TASKS_MAX).unwrap() + KEPT_MAX + 1_000;
    for count in 0..tasks {
        let (wait, at) = (
            if count % 50 == 0 { Wait::ForDisk } else { Wait::Not },
            start + Duration::from_millis(count as u64),
        );
        ended(&ledger, &format!("n{count}"), &format!("t{count}"), "assignment", &[], at, wait);
    }
    for _ in 0..100 {
        ended(&ledger, "n", "last", "mention", &[], start, Wait::ForDisk);
    }
    let seen = facts(&home);
    let limit = usize::try_from(TASKS_MAX).unwrap() + KEPT_MAX + 200;
    assert!((tasks - 1_100..=limit).contains(&seen.len()), "{}", seen.len());
    assert!(!seen.contains_key(&TaskId::new("t0")));
    let late = start + Duration::from_mins(5);
    ended(&ledger, "again", "t0", "mention", &[review()], start, Wait::ForDisk);
    ended(&ledger, "z", "new", "assignment", &[], late, Wait::ForDisk);
    ended(&ledger, "zz", "new", "mention", &[review()], late, Wait::ForDisk);
    let seen = facts(&home);
    assert_eq!((marks(&seen, "t0"), marks(&seen, "new")), ((vec![], true), (vec!["no-effect"], false)));
}
