//! Changes of a task's fields by agents and people (backend-contract §2.16, §8).

use mission_control_runtime::local::Options;
use serde_json::{Value, json};

use super::seeds::{refusal, texts};
use super::team::{Team, outcome};

fn update(team: &Team, agent: &str, task: &str, fields: &Value) -> Result<Value, String> {
    let mut args = json!({"agentId": agent, "taskId": task});
    args.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    team.board.service("updateTaskFromAgent", args)
}

#[test]
fn an_update_reports_the_given_fields() {
    let team = Team::new();
    // From, the fields, the reported changes.
    let rows: [(&str, Value, &[&str]); 8] = [
        ("assigned", json!({}), &[]),
        ("assigned", json!({"blockedReason": "why"}), &[]),
        ("assigned", json!({"title": "Fix login"}), &["title"]),
        (
            "assigned",
            json!({"status": "review", "dueDate": 9, "assignedUserIds": [], "assignedAgentIds": [team.ada],
                "labels": ["a"], "priority": 1.5, "description": "d", "title": "t"}),
            &[
                "title",
                "description",
                "priority",
                "labels",
                "assignedAgentIds",
                "assignedUserIds",
                "dueDate",
                "status",
            ],
        ),
        ("review", json!({"status": "review"}), &[]),
        ("review", json!({"status": "review", "priority": 5}), &["priority"]),
        ("blocked", json!({"status": "blocked", "blockedReason": "another"}), &[]),
        ("in_progress", json!({"status": "blocked", "blockedReason": "why"}), &["status"]),
    ];
    for (from, fields, changed) in rows {
        let task = team.task(from, &[&team.ada]);
        let answer = update(&team, &team.ada, &task, &fields).unwrap();
        assert_eq!(answer["taskId"], json!(task));
        assert_eq!(texts(&answer["changedFields"]), changed, "{from} {fields}");
    }
}

#[test]
fn texts_are_trimmed_and_lists_replaced() {
    let team = Team::new();
    let task = team.task("review", &[]);
    let fields = json!({
        "title": "  ", "description": " d\n", "labels": ["a", "a"], "assignedUserIds": [" ", "user_dana", ""],
        "blockedReason": "not asked for",
    });
    update(&team, &team.ada, &task, &fields).unwrap();
    let row = team.board.row("tasks", &task);
    assert_eq!((&row["title"], &row["description"]), (&json!(""), &json!("d")));
    assert_eq!((&row["labels"], &row["assignedUserIds"]), (&json!(["a", "a"]), &json!(["user_dana"])));
    assert_eq!(row.get("blockedReason"), None);
    let fields = ["title", "description", "labels", "assignedUserIds"];
    assert_eq!(team.activities_of(&task), [("task_updated".to_owned(), json!({"changedFields": fields}))]);
}

#[test]
fn updating_is_refused_in_order() {
    let team = Team::new();
    let task = team.task("in_progress", &[&team.ada]);
    let foreign = team.board.foreign("tasks", &task);
    let stranger = team.board.foreign("agents", &team.ada);
    team.flag(&team.ben, "canModifyTaskStatus", false);
    let (long, longer, longest) = ("x".repeat(2000), "x".repeat(2001), "x".repeat(100_001));
    let invalid = format!("Invalid agent: {stranger}");
    let rows = [
        (&team.ada, &task, json!({"title": long, "blockedReason": long}), "ok"),
        (&team.ada, &task, json!({"assignedAgentIds": [stranger]}), &invalid),
        (
            &team.ada,
            &task,
            json!({"assignedUserIds": ["user_eve"]}),
            "Invalid user: user_eve is not a member of this account",
        ),
        (
            &team.ada,
            &task,
            json!({"assignedAgentIds": []}),
            "Invalid assignees: status 'in_progress' requires at least one assignee",
        ),
        // The status is checked before the fields.
        (
            &team.ada,
            &task,
            json!({"assignedAgentIds": [stranger], "status": "done"}),
            "Forbidden: Task must be in review before marking done",
        ),
        (
            &team.ada,
            &task,
            json!({"status": "blocked"}),
            "blockedReason is required when status is 'blocked'",
        ),
        (
            &team.ada,
            &task,
            json!({"status": "blocked", "blockedReason": " "}),
            "blockedReason is required when status is 'blocked'",
        ),
        (
            &team.ada,
            &task,
            json!({"status": "assigned"}),
            "Invalid status: must be in_progress, review, done, or blocked",
        ),
        (
            &team.ada,
            &task,
            json!({"status": "assigned", "priority": 0.9}),
            "Invalid priority: must be between 1 (highest) and 5 (lowest)",
        ),
        (
            &team.ada,
            &task,
            json!({"priority": 5.1}),
            "Invalid priority: must be between 1 (highest) and 5 (lowest)",
        ),
        (&team.ada, &foreign, json!({"priority": 9}), "Forbidden: Task belongs to different account"),
        (
            &team.ada,
            &foreign,
            json!({"description": longest}),
            "Description too long (max 100000 characters)",
        ),
        (
            &team.ada,
            &foreign,
            json!({"title": longer, "description": longest}),
            "Title too long (max 2000 characters)",
        ),
        (&team.ben, &foreign, json!({"title": longer}), "Forbidden: Agent is not allowed to modify tasks"),
        (&stranger, &foreign, json!({"title": longer}), "Forbidden: Agent belongs to different account"),
        (
            &stranger,
            &foreign,
            json!({"blockedReason": longer}),
            "blockedReason must be at most 2000 characters",
        ),
    ];
    for (agent, task, fields, expected) in rows {
        assert_eq!(outcome(update(&team, agent, task, &fields)), expected);
    }
}

#[test]
fn assignees_are_set_before_a_task_starts() {
    let team = Team::new();
    // From an unassigned task: first the fields; or first the status, which is then refused.
    let task = team.task("blocked", &[]);
    let fields = json!({"assignedAgentIds": [team.ben], "status": "in_progress"});
    update(&team, &team.ada, &task, &fields).unwrap();
    assert_eq!(team.board.row("tasks", &task)["status"], "in_progress");
    // It was assigned before the status changed, so it gets both notifications.
    let notified = ["assignment: Ada assigned you", "status_change: Task status changed to in_progress"];
    assert_eq!(team.board.notifications_of(&team.ben), notified);

    let task = team.task("blocked", &[]);
    let fields = json!({"assignedAgentIds": [team.ben], "status": "review"});
    let text = "Invalid status change: Cannot move to 'in_progress' without at least one assignee";
    assert_eq!(refusal(update(&team, &team.ada, &task, &fields)), text);

    // There is no path from the inbox, and the call changes nothing (D27).
    let task = team.task("inbox", &[]);
    let fields = json!({"assignedAgentIds": [team.ben], "status": "in_progress"});
    let text = "Invalid transition: Cannot move from 'inbox' to 'in_progress'";
    assert_eq!(refusal(update(&team, &team.ada, &task, &fields)), text);
    assert_eq!(team.board.row("tasks", &task)["assignedAgentIds"], json!([]));
}

#[test]
fn replaced_assignees_stop_following_and_new_ones_are_notified() {
    // §5.6; D14: the original notifies no assignee.
    for original in [false, true] {
        let team = Team::with(Options { original, ..Options::default() });
        let task = team.task("inbox", &[&team.lead, &team.ben]);
        for who in [&team.lead, &team.ben] {
            team.board.follows(&task, "agent", who);
        }
        let fields = json!({"assignedAgentIds": [team.ada], "assignedUserIds": ["user_dana"]});
        update(&team, &team.ada, &task, &fields).unwrap();
        assert_eq!(team.board.followers(&task), [&*team.lead, "user_dana", &team.ada]);
        assert_eq!(team.board.row("tasks", &task)["status"], "inbox", "it stays in the inbox");
        let notified = |who: &str| team.board.notifications_of(who);
        let expected: &[&str] = if original { &[] } else { &["assignment: Ada assigned you"] };
        assert_eq!(notified("user_dana"), expected);
        assert!(notified(&team.ada).is_empty(), "the acting agent is not notified");
        update(&team, &team.ada, &task, &json!({"assignedAgentIds": [team.ada, team.ben]})).unwrap();
        assert_eq!(notified(&team.ben), expected);
    }
}

#[test]
fn a_person_edits_fields_within_their_limits() {
    let team = Team::new();
    let task = team.task("in_progress", &[]);
    let edit = |fields: Value| {
        let mut args = json!({"taskId": task});
        args.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        outcome(team.board.person("tasks:update", args))
    };
    assert_eq!(edit(json!({"title": " New ", "priority": 1, "dueDate": 7, "labels": ["x"]})), "ok");
    let row = team.board.row("tasks", &task);
    assert_eq!((&row["title"], &row["dueDate"]), (&json!("New"), &json!(7.0)));
    assert_eq!(edit(json!({"dueDate": null, "description": "d"})), "ok");
    assert_eq!(team.board.row("tasks", &task).get("dueDate"), None);
    assert_eq!(team.activities_of(&task)[0].1, json!({"changedFields": ["description", "dueDate"]}));
    assert_eq!(edit(json!({})), "ok");
    assert_eq!(team.activities_of(&task).len(), 2, "nothing given, nothing written down");
    assert_eq!(edit(json!({"priority": 6})), "Invalid priority: must be between 1 (highest) and 5 (lowest)");
    assert_eq!(edit(json!({"title": "x".repeat(2001)})), "Title too long (max 2000 characters)");
    assert!(team.board.rows("notifications").is_empty());
}
