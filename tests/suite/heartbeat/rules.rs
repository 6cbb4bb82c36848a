//! The rules H-1 to H-30 of runtime-behaviour §6: a table for those that pure functions decide, and tests for the others.

use std::collections::BTreeMap;
use std::time::Duration;

use mission_control_runtime::delivery::reply::Silence;
use mission_control_runtime::heartbeat::answer::{BeatAnswer, read};
use mission_control_runtime::heartbeat::board;
use mission_control_runtime::heartbeat::follow_up::{self, Decision};
use mission_control_runtime::heartbeat::schedule::{BeatSchedule, Interval, Recalled};
use mission_control_runtime::model::{AgentId, Task, TaskId, ThreadItem};
use mission_control_runtime::work::WorkId;
use serde_json::{Value, json};

use super::facts::{MINUTE, NOW, message, roster, task, task_with};
use crate::support::rules::{RuleRow, RuleTest, check_covered, check_rows};

/// The rules that only the steps of a beat show.
const TESTS: [RuleTest; 15] = [
    ("H-7", "looked up at each heartbeat (W-17)", "a_beat_uses_the_agent_as_the_roster_has_it_now"),
    ("H-8", "the workers of deliveries (W-19)", "heartbeats_have_the_worker_limit_of_deliveries"),
    ("H-9", "the roster names the orchestrator", "an_idle_agent_stays_online_by_its_report_alone"),
    ("H-10", "retried, never as an empty list", "a_beat_whose_tasks_cannot_be_read_is_tried_again"),
    (
        "H-14",
        "the threads of 25 tasks",
        "a_change_in_the_second_after_a_saved_beat_is_worked_on_at_the_next_one",
    ),
    ("H-15", "rules are instructions", "each_item_of_section_6_3_is_in_the_question_that_needs_it"),
    ("H-16", "as specified", "a_beat_with_tool_calls_is_not_quiet"),
    ("H-18", "settled by reading (W-20)", "a_post_whose_answer_was_lost_is_found_in_the_thread"),
    ("H-19", "without a turn", "the_orchestrator_follows_up_on_stale_tasks_without_a_turn"),
    ("H-20", "as specified", "a_reply_is_posted_to_a_task_of_the_prompt_or_to_none"),
    ("H-21", "counts of sent, saved and failed ones", "a_beat_with_tool_calls_is_not_quiet"),
    ("H-22", "the status `error` (W-22)", "a_failing_beat_is_reported_and_the_next_one_is_tried"),
    ("H-23", "as specified", "requests_of_the_agent_itself_leave_fewer_follow_ups"),
    ("H-24", "stale ones only (W-21)", "the_orchestrator_follows_up_on_stale_tasks_without_a_turn"),
    ("H-30", "as specified", "the_orchestrator_follows_up_on_stale_tasks_without_a_turn"),
];

fn rows() -> Vec<RuleRow> {
    let mut rows = schedule_rows();
    rows.extend(task_rows());
    rows.extend(answer_rows());
    rows.extend(follow_up_rows());
    rows
}

fn schedule_rows() -> Vec<RuleRow> {
    vec![
        // The minutes in Mission Control; the seconds of the interval, and whether they are a correction.
        ("H-1", json!(null), json!([300, false])),
        ("H-1", json!("15"), json!([900, false])),
        ("H-1", json!("1"), json!([60, false])),
        ("H-1", json!("2.5"), json!([150, false])),
        ("H-1", json!("1440"), json!([86_400, false])),
        ("H-1", json!("0"), json!([60, true])),
        ("H-1", json!("0.99"), json!([60, true])),
        ("H-1", json!("-5"), json!([60, true])),
        ("H-1", json!("1e9"), json!([86_400, true])),
        ("H-1", json!("inf"), json!([86_400, true])),
        ("H-1", json!("-inf"), json!([60, true])),
        ("H-1", json!("NaN"), json!([300, true])),
        // The seconds of the interval, the number of agents, the dice; the first delays in milliseconds.
        ("H-2", json!([900, 1, 1.0]), json!([0])),
        ("H-2", json!([900, 4, 0.0]), json!([0, 30_000, 60_000, 90_000])),
        ("H-2", json!([900, 2, 1.0]), json!([2_000, 62_000])),
        ("H-2", json!([900, 3, 0.5]), json!([1_000, 41_000, 81_000])),
        ("H-2", json!([60, 2, 0.0]), json!([0, 12_000])),
        ("H-2", json!([100, 4, 0.0]), json!([0, 10_000, 20_000, 30_000])),
        // Steps by their minutes; the seconds until each agent's next heartbeat at the last step. The interval counts from
        // the beginning of a heartbeat, so that its length causes no drift.
        ("H-3", json!([[0, "roster", {"a": 15}], [0, "begin"], [2, "end"]]), json!({"a": 780})),
        ("H-3", json!([[0, "roster", {"a": 15}], [0, "begin"], [40, "end"]]), json!({"a": 0})),
        ("H-3", json!([[0, "roster", {"a": 15}], [0, "begin"], [9, "look"]]), json!({})),
        // The dice show a half, so a random delay is 1 second.
        (
            "H-4",
            json!([[0, "roster", {"a": 15}], [5, "roster", {"a": 15, "b": 15}]]),
            json!({"a": 0, "b": 1}),
        ),
        (
            "H-4",
            json!([[0, "roster", {"a": 15}], [0, "begin"], [0, "end"], [5, "roster", {"a": 15}]]),
            json!({"a": 600}),
        ),
        (
            "H-4",
            json!([[0, "roster", {"a": 15}], [0, "begin"], [0, "end"], [5, "roster", {"a": 10}]]),
            json!({"a": 300}),
        ),
        (
            "H-4",
            json!([[0, "roster", {"a": 15}], [0, "begin"], [0, "end"], [5, "roster", {"a": 3}]]),
            json!({"a": 1}),
        ),
        ("H-5", json!([[0, "roster", {"a": 15, "b": 15}], [0, "roster", {"b": 15}]]), json!({"b": 61})),
        (
            "H-5",
            json!([[0, "roster", {"a": 15}], [0, "begin"], [1, "roster", {"b": 15}], [2, "end"]]),
            json!({"b": 0}),
        ),
        // A stop is a restart later: the minutes since the last heartbeat of the earlier process.
        ("H-6", json!([[0, "left", {"a": 5}], [0, "roster", {"a": 15}]]), json!({"a": 600})),
        ("H-6", json!([[0, "left", {"a": 300}], [0, "roster", {"a": 15}]]), json!({"a": 0})),
    ]
}

fn task_rows() -> Vec<RuleRow> {
    let all = json!([
        ["review-new", "review", 1],
        ["review-old", "review", 30],
        ["blocked", "blocked", 9_000],
        ["progress-new", "in_progress", 1],
        ["progress-old", "in_progress", 20],
        ["both", "in_progress", 500],
        ["inbox", "inbox", 1],
        ["done", "done", 1],
        ["chat", "in_progress", 1, {"labels": ["system:orchestrator-chat"]}],
        ["paused", "blocked", 1, {"blockedReason": "Paused by user (/stop)"}],
    ]);
    let own = json!([
        ["assigned-old", "assigned", 90],
        ["blocked", "blocked", 1],
        ["progress-old", "in_progress", 50],
        ["review", "review", 1],
        ["archived", "archived", 1],
        ["progress-new", "in_progress", 5],
        ["assigned-new", "assigned", 2],
        ["unknown", "a status of a newer version", 1],
    ]);
    vec![
        // The orchestrator's list; the tasks in their order. Blocked tasks come last (W-21). Neither the chat nor a paused
        // task is work.
        (
            "H-11",
            json!({"leads": true, "all": all}),
            json!(["both", "progress-old", "progress-new", "review-old", "review-new", "blocked"]),
        ),
        (
            "H-12",
            json!({"own": own}),
            json!(["progress-new", "progress-old", "assigned-new", "assigned-old"]),
        ),
        (
            "H-12",
            json!({"leads": true, "own": [["own", "assigned", 10], ["both", "assigned", 500]], "all": all}),
            json!(["both", "progress-old", "progress-new", "review-old", "review-new", "own", "blocked"]),
        ),
        ("H-13", json!({"own": [["old", "assigned", 9], ["new", "assigned", 1]]}), json!("new")),
        (
            "H-13",
            json!({"leads": true, "all": [["old", "assigned", 9], ["new", "assigned", 1]]}),
            json!("old"),
        ),
        ("H-13", json!({"leads": true}), json!(null)),
    ]
}

/// Replies to a prompt that named T1 (the focus task) and T2, in a heartbeat that created T3.
fn answer_rows() -> Vec<RuleRow> {
    let post = |task: &str, text: &str| json!(["post", task, text]);
    let rows = [
        (json!(null), json!("empty")),
        (json!(""), json!("empty")),
        (json!("  \n "), json!("empty")),
        (json!("HEARTBEAT_OK"), json!("nothing to do")),
        (json!(" HEARTBEAT_OK \n"), json!("nothing to do")),
        (json!("Loading context for heartbeat...\n\nHEARTBEAT_OK"), json!("nothing to do")),
        (json!("Did some checks.\nHEARTBEAT_OK"), json!("nothing to do")),
        (json!("HEARTBEAT_OK\n\nNothing to do."), json!("nothing to do")),
        (json!("NO_REPLY"), json!("no reply")),
        (json!("NO_"), json!("no reply")),
        (json!("No response from OpenClaw."), json!("placeholder")),
        (json!("@lead @ben No reply from agent."), json!("placeholder")),
        (json!("The build is green."), post("T1", "The build is green.")),
        (json!("Fixed.\nTask ID: T2"), post("T2", "Fixed.\nTask ID: T2")),
        (json!("**Task ID:** T2\nFixed."), post("T2", "**Task ID:** T2\nFixed.")),
        (json!("task id: `T2`\nFixed."), post("T2", "task id: `T2`\nFixed.")),
        (json!("Task ID: T3\nCreated."), post("T3", "Task ID: T3\nCreated.")),
        (json!("Task ID: T2\nFixed.\nHEARTBEAT_OK"), post("T2", "Task ID: T2\nFixed.")),
        (json!("About Task ID: T9 and Task ID: T2."), post("T2", "About Task ID: T9 and Task ID: T2.")),
        // W-20.
        (json!("Report mentions HEARTBEAT_OK inline."), post("T1", "Report mentions HEARTBEAT_OK inline.")),
        (json!("done Task ID: ZZ9"), json!(["no task", "done Task ID: ZZ9"])),
        (json!("Task ID:"), post("T1", "Task ID:")),
    ];
    let mut rows: Vec<RuleRow> =
        rows.map(|(text, expected)| ("H-17", json!({"text": text}), expected)).into();
    rows.push(("H-17", json!({"text": "Text.", "listed": []}), json!(["no task", "Text."])));
    rows
}

fn follow_up_rows() -> Vec<RuleRow> {
    let stale = |minutes: i64| json!({"stale for": minutes});
    let reply = |minutes_ago: i64| json!([["ben", "agent", "Done so far.", minutes_ago]]);
    vec![
        // A thread with the minutes since each message; the minutes since ben's last reply.
        (
            "H-25",
            json!([["ben", "agent", "A real one.", 9], ["ben", "agent", "No response from OpenClaw.", 8]]),
            json!(9),
        ),
        ("H-25", json!([["ben", "agent", "HEARTBEAT_OK", 8]]), json!(null)),
        ("H-25", json!([["ada", "agent", "Of another agent.", 8]]), json!(null)),
        ("H-25", json!([["ben", "user", "Of a person with this id.", 8]]), json!(null)),
        ("H-25", json!([["ben", "agent", "One.", 9], ["ben", "agent", "Two.", 7]]), json!(7)),
        ("H-25", json!([]), json!(null)),
        // The last reply counts, else the last change, else the creation.
        ("H-26", json!({"status": "in_progress", "changed": 90, "thread": reply(10)}), json!("not stale")),
        ("H-26", json!({"status": "in_progress", "changed": 1, "thread": reply(20)}), stale(20)),
        ("H-26", json!({"status": "review", "changed": 16}), stale(16)),
        ("H-26", json!({"status": "review", "created": 16}), stale(16)),
        ("H-26", json!({"status": "review", "created": 0}), json!("not stale")),
        // The clock of the backend is ahead.
        ("H-26", json!({"status": "review", "changed": -5}), json!("not stale")),
        ("H-27", json!({"status": "assigned", "changed": 16}), stale(16)),
        ("H-27", json!({"status": "assigned", "changed": 15}), stale(15)),
        ("H-27", json!({"status": "assigned", "changed": 14}), json!("not stale")),
        // Blocked tasks are candidates too (W-21).
        ("H-27", json!({"status": "blocked", "changed": 23 * 60}), json!("not stale")),
        ("H-27", json!({"status": "blocked", "changed": 24 * 60}), stale(24 * 60)),
        ("H-27", json!({"status": "blocked", "changed": 9_000, "assignees": []}), json!("no assignees")),
        ("H-27", json!({"status": "done", "changed": 9_000}), json!("unsupported status")),
        ("H-27", json!({"status": "a newer status", "changed": 9_000}), json!("unsupported status")),
        // The assignees in a team of ben, ada and the orchestrator lead.
        ("H-28", json!(["ben", "lead", "ada", "ben", "deleted"]), json!(["ben", "ada"])),
        ("H-28", json!(["lead"]), json!([])),
        // The seconds, and the minutes in the text, which names the task in one line.
        ("H-29", json!(30), json!("No update on \"Ship the thing\" for about 1 minute.")),
        ("H-29", json!(119), json!("No update on \"Ship the thing\" for about 1 minute.")),
        ("H-29", json!(960), json!("No update on \"Ship the thing\" for about 16 minutes.")),
    ]
}

fn decide(rule: &str, given: &Value) -> Value {
    match rule {
        "H-1" => {
            let interval = Interval::of(given.as_str().map(|minutes| minutes.parse().unwrap()));
            json!([interval.span.as_secs(), interval.corrected.is_some()])
        }
        "H-2" => first_delays(given),
        "H-3" | "H-4" | "H-5" | "H-6" => waits_after(given),
        "H-11" | "H-12" => json!(tracked(given)),
        "H-13" => json!(tracked(given).first()),
        "H-17" => meaning(given),
        "H-25" => {
            let replied = follow_up::last_reply(&thread(given), &[AgentId::new("ben")]);
            json!(replied.map(|at| (NOW.0 - at.0) / MINUTE))
        }
        "H-26" | "H-27" => decision(given),
        "H-28" => {
            let assignees: Vec<&str> = texts(given);
            let team = roster(&["ben", "ada", "lead"]);
            json!(follow_up::recipients(&task("t1", "review", &assignees, 20), &team, &AgentId::new("lead")))
        }
        "H-29" => {
            let task = task_with("t1", "review", json!({"title": "Ship\nthe thing"}));
            let text = follow_up::message(&task, Duration::from_secs(given.as_u64().unwrap()));
            json!(text.split_inclusive('.').next())
        }
        _ => panic!("{rule} has rows and no function"),
    }
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

fn milliseconds(wait: Duration) -> u64 {
    wait.as_millis().try_into().unwrap()
}

fn first_delays(given: &Value) -> Value {
    let count = given[1].as_u64().unwrap();
    let agent = |number: u64| AgentId::new(format!("a{number}"));
    let interval = Duration::from_secs(given[0].as_u64().unwrap());
    let team: Vec<_> = (0..count).map(|number| (agent(number), interval)).collect();
    let mut schedule = BeatSchedule::default();
    schedule.follow(&team, NOW, &mut || given[2].as_f64().unwrap());
    let wait = |number| schedule.next_of(&agent(number)).map(|due| milliseconds(due.since(NOW)));
    json!((0..count).map(wait).collect::<Vec<_>>())
}

/// The seconds until the next heartbeat of each agent that waits for one, after these steps.
fn waits_after(steps: &Value) -> Value {
    let (mut schedule, mut running, mut now) = (BeatSchedule::default(), Vec::new(), NOW);
    for step in steps.as_array().unwrap() {
        let agents = || {
            let minutes = step[2].as_object().unwrap().iter();
            minutes
                .map(|(agent, minutes)| (AgentId::new(agent), Duration::from_mins(minutes.as_u64().unwrap())))
        };
        now = NOW + Duration::from_mins(step[0].as_u64().unwrap());
        match step[1].as_str().unwrap() {
            "roster" => schedule.follow(&agents().collect::<Vec<_>>(), now, &mut || 0.5),
            "left" => agents().for_each(|(agent, ago)| {
                schedule.recall(agent, Recalled { began: Some(now - ago), ..Recalled::default() });
            }),
            "begin" => running.extend(schedule.due(now, &mut |agent| WorkId::new(agent.as_str()))),
            "end" => {
                running.drain(..).for_each(|beat| schedule.ended(&beat.agent, &beat.id, false, now));
            }
            "look" => {}
            other => panic!("{other}"),
        }
    }
    let agents = ["a", "b"].into_iter();
    let waits = agents.filter_map(|agent| Some((agent, schedule.next_of(&AgentId::new(agent))?)));
    json!(waits.map(|(agent, due)| (agent, milliseconds(due.since(now)) / 1_000)).collect::<BTreeMap<_, _>>())
}

fn tracked(given: &Value) -> Vec<String> {
    let list = |name: &str| -> Vec<Task> {
        let rows = given[name].as_array().into_iter().flatten();
        let make = |row: &Value| {
            let mut more = row.get(3).cloned().unwrap_or_else(|| json!({}));
            more["updatedAt"] = json!(NOW.0 - row[2].as_i64().unwrap() * MINUTE);
            task_with(row[0].as_str().unwrap(), row[1].as_str().unwrap(), more)
        };
        rows.map(make).collect()
    };
    let tasks = board::tracked(list("own"), list("all"), given["leads"] == true);
    tasks.into_iter().map(|task| task.id.to_string()).collect()
}

fn meaning(given: &Value) -> Value {
    let listed = given.get("listed").map_or_else(|| vec!["T1", "T2"], texts);
    let listed: Vec<TaskId> = listed.into_iter().map(TaskId::new).collect();
    match read(given["text"].as_str(), &listed, &["T3".to_owned()]) {
        BeatAnswer::Quiet(Silence::Empty) => json!("empty"),
        BeatAnswer::Quiet(Silence::HeartbeatOk) => json!("nothing to do"),
        BeatAnswer::Quiet(Silence::NoReply) => json!("no reply"),
        BeatAnswer::Quiet(Silence::Placeholder) => json!("placeholder"),
        BeatAnswer::Post(task, text) => json!(["post", task.as_str(), text]),
        BeatAnswer::NoTask(text) => json!(["no task", text]),
    }
}

/// The messages with these authors, kinds of authors, texts and minutes since they were written.
fn thread(rows: &Value) -> Vec<ThreadItem> {
    let make = |row: &Value| {
        let at = NOW.0 - row[3].as_i64().unwrap() * MINUTE;
        message(row[0].as_str().unwrap(), row[1] == "agent", row[2].as_str().unwrap(), at)
    };
    rows.as_array().into_iter().flatten().map(make).collect()
}

fn decision(given: &Value) -> Value {
    let at = |name: &str| given[name].as_i64().map_or(0, |minutes| NOW.0 - minutes * MINUTE);
    let assignees = given.get("assignees").cloned().unwrap_or_else(|| json!(["ben"]));
    let more = json!({"assignedAgentIds": assignees, "updatedAt": at("changed"), "createdAt": at("created")});
    let task = task_with("t1", given["status"].as_str().unwrap(), more);
    match follow_up::decide(&task, Some(&thread(&given["thread"])), NOW) {
        Decision::Stale(elapsed) => json!({"stale for": elapsed.as_secs() / 60}),
        Decision::NotStale => json!("not stale"),
        Decision::NoAssignees => json!("no assignees"),
        Decision::UnsupportedStatus => json!("unsupported status"),
    }
}

#[test]
fn the_rules_of_section_6_hold_for_their_rows() {
    check_rows(&rows(), decide);
}

#[test]
fn each_rule_of_section_6_has_a_row_or_a_test() {
    check_covered('H', 30, &rows(), &TESTS);
}
