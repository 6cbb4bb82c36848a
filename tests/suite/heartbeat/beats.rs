//! Runtime-behaviour §6.2, §6.4 and §6.5: the tasks of a beat, the meaning of its answer, and the follow-ups.

use std::time::Duration;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::delivery::reply::Silence;
use mission_control_runtime::heartbeat::answer::{BeatAnswer, read};
use mission_control_runtime::heartbeat::board;
use mission_control_runtime::heartbeat::follow_up::{self, Decision};
use mission_control_runtime::model::{AgentId, TaskId};
use serde_json::json;

use super::facts::{MINUTE, NOW, message, roster, task, task_with};

fn ids(tasks: &[mission_control_runtime::model::Task]) -> Vec<&str> {
    tasks.iter().map(|task| task.id.as_str()).collect()
}

#[test]
fn h_12_the_tasks_of_an_agent_are_its_own_in_progress_and_assigned_ones_newest_first() {
    let assigned = vec![
        task("assigned-old", "assigned", &["ben"], 90),
        task("blocked", "blocked", &["ben"], 1),
        task("progress-old", "in_progress", &["ben"], 50),
        task("review", "review", &["ben"], 1),
        task("archived", "archived", &["ben"], 1),
        task("progress-new", "in_progress", &["ben"], 5),
        task("assigned-new", "assigned", &["ben"], 2),
        task("unknown", "a status of a newer version", &["ben"], 1),
    ];
    let tasks = board::tracked(assigned, Vec::new(), false);
    assert_eq!(ids(&tasks), ["progress-new", "progress-old", "assigned-new", "assigned-old"]);
}

/// W-21: blocked tasks are tracked, after all others.
#[test]
fn h_12_the_orchestrator_tracks_all_of_them_stalest_first() {
    let own = vec![task("own", "assigned", &["lead"], 10), task("both", "assigned", &["lead"], 500)];
    let all = vec![
        task("review-new", "review", &["ben"], 1),
        task("review-old", "review", &["ben"], 30),
        task("blocked", "blocked", &["ben"], 9_000),
        task("progress-new", "in_progress", &["ben"], 1),
        task("progress-old", "in_progress", &["ben"], 20),
        task("both", "in_progress", &["lead"], 500),
        task("inbox", "inbox", &[], 1),
        task("done", "done", &["ben"], 1),
        task_with("chat", "in_progress", json!({"labels": ["system:orchestrator-chat"]})),
        task_with("paused", "blocked", json!({"blockedReason": "Paused by user (/stop)"})),
    ];
    let tasks = board::tracked(own, all, true);
    let expected = ["both", "progress-old", "progress-new", "review-old", "review-new", "own", "blocked"];
    assert_eq!(ids(&tasks), expected, "the later list wins, and neither the chat nor a paused task is work");
}

#[test]
fn h_13_the_focus_task_is_the_first_one() {
    assert!(board::tracked(Vec::new(), Vec::new(), true).is_empty());
    let tasks = board::tracked(vec![task("t1", "assigned", &["ben"], 1)], Vec::new(), false);
    assert_eq!(ids(&tasks)[..1], ["t1"]);
}

/// Reply, and its meaning for a prompt that named T1 (the focus task) and T2, and a beat that created T3.
#[test]
fn section_6_4_a_reply_is_posted_to_a_task_of_the_prompt_or_not_at_all() {
    let post = |task: &str, text: &str| BeatAnswer::Post(TaskId::new(task), text.to_owned());
    let quiet = BeatAnswer::Quiet;
    let none = |text: &str| BeatAnswer::NoTask(text.to_owned());
    let rows = [
        ("", quiet(Silence::Empty)),
        ("  \n ", quiet(Silence::Empty)),
        ("HEARTBEAT_OK", quiet(Silence::HeartbeatOk)),
        (" HEARTBEAT_OK \n", quiet(Silence::HeartbeatOk)),
        ("Loading context for heartbeat...\n\nHEARTBEAT_OK", quiet(Silence::HeartbeatOk)),
        ("Did some checks.\nHEARTBEAT_OK", quiet(Silence::HeartbeatOk)),
        ("HEARTBEAT_OK\n\nNothing to do.", quiet(Silence::HeartbeatOk)),
        ("NO_REPLY", quiet(Silence::NoReply)),
        ("NO_", quiet(Silence::NoReply)),
        ("No response from OpenClaw.", quiet(Silence::Placeholder)),
        ("@lead @ben No reply from agent.", quiet(Silence::Placeholder)),
        ("The build is green.", post("T1", "The build is green.")),
        ("Fixed.\nTask ID: T2", post("T2", "Fixed.\nTask ID: T2")),
        ("**Task ID:** T2\nFixed.", post("T2", "**Task ID:** T2\nFixed.")),
        ("task id: `T2`\nFixed.", post("T2", "task id: `T2`\nFixed.")),
        ("Task ID: T3\nCreated.", post("T3", "Task ID: T3\nCreated.")),
        ("Task ID: T2\nFixed.\nHEARTBEAT_OK", post("T2", "Task ID: T2\nFixed.")),
        ("About Task ID: T9 and Task ID: T2.", post("T2", "About Task ID: T9 and Task ID: T2.")),
        // W-20.
        ("Report mentions HEARTBEAT_OK inline.", post("T1", "Report mentions HEARTBEAT_OK inline.")),
        ("done Task ID: ZZ9", none("done Task ID: ZZ9")),
        ("Task ID:", post("T1", "Task ID:")),
    ];
    let listed = [TaskId::new("T1"), TaskId::new("T2")];
    for (text, expected) in rows {
        assert_eq!(read(Some(text), &listed, &["T3".to_owned()]), expected, "{text:?}");
    }
    assert_eq!(read(None, &listed, &[]), quiet(Silence::Empty));
    assert_eq!(read(Some("Text."), &[], &[]), none("Text."), "no focus task");
}

#[test]
fn h_26_and_h_27_a_task_is_stale_after_its_last_reply_or_change() {
    let reply = |minutes: i64| vec![message("ben", true, "Done so far.", NOW.0 - minutes * MINUTE)];
    let minutes = |minutes| Decision::Stale(Duration::from_mins(minutes));
    let rows = [
        ("assigned", vec!["ben"], 16, vec![], minutes(16)),
        ("assigned", vec!["ben"], 15, vec![], minutes(15)),
        ("assigned", vec!["ben"], 14, vec![], Decision::NotStale),
        ("in_progress", vec!["ben"], 90, reply(10), Decision::NotStale),
        ("in_progress", vec!["ben"], 1, reply(20), minutes(20)),
        ("review", vec!["ben"], 16, vec![], minutes(16)),
        ("blocked", vec![], 9_000, vec![], Decision::NoAssignees),
        ("blocked", vec!["ben"], 23 * 60, vec![], Decision::NotStale),
        ("blocked", vec!["ben"], 24 * 60, vec![], minutes(24 * 60)),
        ("done", vec!["ben"], 9_000, vec![], Decision::UnsupportedStatus),
        ("a newer status", vec!["ben"], 9_000, vec![], Decision::UnsupportedStatus),
        // The clock of the backend is ahead.
        ("review", vec!["ben"], -5, vec![], Decision::NotStale),
    ];
    for (status, assignees, minutes_ago, thread, expected) in rows {
        let task = task("t1", status, &assignees, minutes_ago);
        assert_eq!(
            follow_up::decide(&task, Some(&thread), NOW),
            expected,
            "{status} {minutes_ago} {thread:?}"
        );
    }
    let never_changed =
        task_with("t1", "review", json!({"assignedAgentIds": ["ben"], "updatedAt": 0, "createdAt": NOW}));
    assert_eq!(
        follow_up::decide(&never_changed, None, NOW),
        Decision::NotStale,
        "the time of creation counts"
    );
}

#[test]
fn h_25_only_words_of_an_assignee_are_a_reply() {
    let ben = [AgentId::new("ben")];
    let rows = [
        (
            vec![
                message("ben", true, "A real one.", 4_000),
                message("ben", true, "No response from OpenClaw.", 5_000),
            ],
            Some(4_000),
        ),
        (vec![message("ben", true, "HEARTBEAT_OK", 5_000)], None),
        (vec![message("ada", true, "Of another agent.", 5_000)], None),
        (vec![message("ben", false, "Of a person with this id.", 5_000)], None),
        (vec![message("ben", true, "One.", 3_000), message("ben", true, "Two.", 6_000)], Some(6_000)),
        (vec![], None),
    ];
    for (thread, expected) in rows {
        assert_eq!(follow_up::last_reply(&thread, &ben), expected.map(Millis), "{thread:?}");
    }
}

#[test]
fn h_28_the_assignees_are_asked_once_each_and_the_orchestrator_never() {
    let team = roster(&["ben", "ada", "lead"]);
    let slugs = |assignees: &[&str]| {
        follow_up::recipients(&task("t1", "review", assignees, 20), &team, &AgentId::new("lead"))
    };
    assert_eq!(slugs(&["ben", "lead", "ada", "ben", "deleted"]), ["ben", "ada"]);
    assert!(slugs(&["lead"]).is_empty());
}

#[test]
fn h_29_the_request_names_the_minutes_and_the_task() {
    let task = task_with("t1", "review", json!({"title": "Ship\nthe \"thing\""}));
    for (seconds, minutes) in [(30, "1 minute"), (119, "1 minute"), (16 * 60, "16 minutes")] {
        let text = follow_up::message(&task, Duration::from_secs(seconds));
        assert!(text.contains(&format!("about {minutes}.")) && text.contains("Ship the"), "{text}");
        assert!(text.len() < 1_000);
    }
}
