//! The task workflow (backend-contract §4), for people and agents.

use serde_json::{Value, json};

use super::board::Board;
use super::seeds::refusal;
use super::team::{Team, missing_id, outcome};

const ALL: [&str; 7] = ["inbox", "assigned", "in_progress", "review", "done", "blocked", "archived"];

#[test]
fn people_change_statuses_by_the_table() {
    // §4.1: from, and the allowed statuses.
    let rows = [
        ("inbox", &["assigned", "archived"][..]),
        ("assigned", &["in_progress", "blocked", "inbox", "archived"]),
        ("in_progress", &["review", "blocked", "archived"]),
        ("review", &["done", "in_progress", "blocked", "archived"]),
        ("done", &["archived"]),
        ("blocked", &["assigned", "in_progress", "archived"]),
        ("archived", &[]),
    ];
    let board = Board::new();
    for (from, next) in rows {
        for to in ALL {
            let people = if to == "inbox" { json!([]) } else { json!(["user_dana"]) };
            let task = board.task(json!({"status": from, "assignedUserIds": people}));
            let args = json!({"taskId": task, "status": to, "blockedReason": "no key"});
            let expected = if next.contains(&to) {
                "ok".to_owned()
            } else {
                format!("Invalid transition: Cannot move from '{from}' to '{to}'")
            };
            assert_eq!(outcome(board.person("tasks:updateStatus", args)), expected, "{from} → {to}");
            let stands = if next.contains(&to) { to } else { from };
            assert_eq!(board.row("tasks", &task)["status"], stands, "{from} → {to}");
        }
    }
}

#[test]
fn each_status_has_its_requirements() {
    // §4.2: from, to, assignees, given reason, missing requirement.
    let board = Board::new();
    let agent = board.agent("ada", "Ada", "Engineer", json!({}));
    let unassigned = (json!([]), json!([]));
    let person = (json!(["user_dana"]), json!([]));
    let robot = (json!([]), json!([agent]));
    let rows = [
        ("inbox", "assigned", &unassigned, None, "Cannot move to 'assigned' without at least one assignee"),
        ("inbox", "assigned", &person, None, ""),
        ("inbox", "assigned", &robot, None, ""),
        ("assigned", "inbox", &person, None, "Cannot move to 'inbox' while assignees remain"),
        ("assigned", "inbox", &robot, None, "Cannot move to 'inbox' while assignees remain"),
        ("assigned", "inbox", &unassigned, None, ""),
        (
            "review",
            "in_progress",
            &unassigned,
            None,
            "Cannot move to 'in_progress' without at least one assignee",
        ),
        ("review", "blocked", &unassigned, None, "Cannot move to 'blocked' without providing a reason"),
        ("review", "blocked", &unassigned, Some(""), "Cannot move to 'blocked' without providing a reason"),
        ("review", "blocked", &unassigned, Some("  "), ""),
        ("review", "done", &unassigned, None, ""),
        ("in_progress", "review", &unassigned, None, ""),
        ("review", "archived", &unassigned, None, ""),
    ];
    for (from, to, (people, agents), reason, missing) in rows {
        let row = json!({"status": from, "assignedUserIds": people, "assignedAgentIds": agents});
        let mut args = json!({"taskId": board.task(row), "status": to});
        if let Some(reason) = reason {
            args["blockedReason"] = json!(reason);
        }
        let expected =
            if missing.is_empty() { "ok".to_owned() } else { format!("Invalid status change: {missing}") };
        assert_eq!(outcome(board.person("tasks:updateStatus", args)), expected, "{from} → {to} {reason:?}");
    }
}

#[test]
fn agents_reach_a_status_by_the_planned_steps() {
    // §4.3, all 28 cells: steps with `>`, `=` for none needed, `x` for no path, `d` for done without review.
    let targets = ["in_progress", "review", "done", "blocked"];
    let rows = [
        ("inbox", ["x", "x", "d", "x"]),
        ("assigned", ["in_progress", "in_progress>review", "d", "blocked"]),
        ("in_progress", ["=", "review", "d", "blocked"]),
        ("review", ["in_progress", "=", "done", "blocked"]),
        ("done", ["x", "x", "=", "x"]),
        ("blocked", ["in_progress", "in_progress>review", "d", "="]),
        ("archived", ["x", "x", "d", "x"]),
    ];
    let team = Team::new();
    for (from, cells) in rows {
        for (to, cell) in targets.into_iter().zip(cells) {
            let task = team.task(from, &[&team.ada]);
            team.board.advance(1000);
            let answer = team.moves(&team.lead, &task, to);
            let rule = format!("§4.3 {from} → {to}");
            match cell {
                "x" => {
                    let text = format!("Invalid transition: Cannot move from '{from}' to '{to}'");
                    assert_eq!(refusal(answer), text, "{rule}");
                }
                "d" => {
                    let text = "Forbidden: Task must be in review before marking done";
                    assert_eq!(refusal(answer), text, "{rule}");
                }
                steps => {
                    let row = team.board.row("tasks", &task);
                    let expected = json!({
                        "success": true, "taskId": task, "requestedStatus": to, "status": to,
                        "updatedAt": row["updatedAt"], "changed": steps != "=",
                    });
                    assert_eq!(answer.unwrap(), expected, "{rule}");
                    assert_eq!(row["status"], to, "{rule}");
                    // Only the last step is announced, with the status of the step before it as the old one.
                    let before = steps.rsplit('>').nth(1).unwrap_or(from);
                    let happened = team.activities_of(&task);
                    if steps == "=" {
                        assert!(happened.is_empty(), "{rule}");
                        assert_eq!(row["updatedAt"], 1.0, "{rule}");
                    } else {
                        assert_eq!(happened.len(), 1, "{rule}");
                        assert_eq!(happened[0].1["oldStatus"], before, "{rule}");
                        assert_eq!(happened[0].1["newStatus"], to, "{rule}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_status_by_an_agent_is_refused_in_order() {
    // §2.15, the checks in reverse order: each row violates one more.
    let team = Team::new();
    let other_task = team.board.foreign("tasks", &team.task("assigned", &[&team.ada]));
    let other_agent = team.board.foreign("agents", &team.ada);
    let gone_agent = missing_id(&team.ada);
    let task = team.task("inbox", &[]);
    let rows = [
        (&team.ada, &task, "in_progress", "Invalid transition: Cannot move from 'inbox' to 'in_progress'"),
        (&team.ada, &other_task, "in_progress", "Forbidden: Task belongs to different account"),
        (&team.ben, &other_task, "in_progress", "Forbidden: Agent is not allowed to modify task status"),
        (&other_agent, &other_task, "in_progress", "Forbidden: Agent belongs to different account"),
        (&gone_agent, &other_task, "in_progress", "Not found: Agent does not exist"),
        (&gone_agent, &other_task, "inbox", "Invalid status: must be in_progress, review, done, or blocked"),
        (
            &gone_agent,
            &other_task,
            "assigned",
            "Invalid status: must be in_progress, review, done, or blocked",
        ),
        (
            &gone_agent,
            &other_task,
            "archived",
            "Invalid status: must be in_progress, review, done, or blocked",
        ),
    ];
    team.flag(&team.ben, "canModifyTaskStatus", false);
    for (agent, task, to, text) in rows {
        assert_eq!(refusal(team.moves(agent, task, to)), text);
    }
    let wrong = refusal(team.moves(&team.ada, &task, "finished"));
    assert!(wrong.starts_with("ArgumentValidationError: "), "{wrong}");
}

#[test]
fn an_expected_status_that_differs_changes_nothing() {
    let team = Team::new();
    // Current status, expected status, requested status, whether it changed, resulting status.
    let rows = [
        ("assigned", "assigned", "in_progress", true, "in_progress"),
        ("in_progress", "assigned", "review", false, "in_progress"),
        // Even an impossible change is not refused.
        ("done", "assigned", "in_progress", false, "done"),
        ("inbox", "review", "done", false, "inbox"),
    ];
    for (from, expected, to, changed, stands) in rows {
        let task = team.task(from, &[&team.ada]);
        let args = json!({"agentId": team.ada, "taskId": task, "status": to, "expectedStatus": expected});
        let answer = team.board.service("updateTaskStatusFromAgent", args).unwrap();
        assert_eq!((&answer["changed"], &answer["status"]), (&json!(changed), &json!(stands)), "{from}");
    }
}

/// The other agents (slug, role), whether an orchestrator is set, who acts, the error.
type Approving<'a> = (&'a [(&'a str, &'a str)], bool, &'a str, &'a str);

#[test]
fn who_may_mark_done() {
    // §4.5.
    let qa_only = "Forbidden: QA must approve and mark tasks as done";
    let nobody_set = "Forbidden: Orchestrator must be set to mark tasks as done";
    let lead_only = "Forbidden: Only the orchestrator can mark tasks as done";
    let rows: [Approving<'_>; 17] = [
        (&[], true, "lead", "ok"),
        (&[], true, "ada", lead_only),
        (&[], false, "lead", nobody_set),
        (&[("qa", "Reviewer")], true, "qa", "ok"),
        (&[("qa", "Reviewer")], true, "lead", qa_only),
        (&[("qa", "Reviewer")], false, "ada", qa_only),
        (&[("QA", "Reviewer")], true, "lead", qa_only),
        (&[("eve", "QA reviewer")], true, "eve", "ok"),
        (&[("eve", "qa")], true, "lead", qa_only),
        (&[("eve", "Quality Assurance")], true, "lead", qa_only),
        (&[("eve", "Head of quality")], true, "lead", qa_only),
        (&[("eve", "quality-minded writer")], true, "lead", qa_only),
        (&[("eve", "Data inequality")], true, "lead", qa_only),
        (&[("eve", "aqua expert")], true, "lead", "ok"),
        (&[("eve", "qa_lead")], true, "lead", "ok"),
        (&[("qa-2", "Writer")], true, "lead", "ok"),
        (&[("qa", "Reviewer"), ("eve", "QA")], true, "eve", "ok"),
    ];
    for (others, set, actor, expected) in rows {
        let team = Team::new();
        if !set {
            team.board.set(json!({"orchestratorAgentId": null}));
        }
        let mut who: Vec<(&str, String)> = vec![("lead", team.lead.clone()), ("ada", team.ada.clone())];
        for (slug, role) in others {
            // An offline agent counts, too.
            who.push((slug, team.board.agent(slug, slug, role, json!({"status": "offline"}))));
        }
        let (_, id) = who.iter().find(|(slug, _)| *slug == actor).unwrap();
        let task = team.task("review", &[&team.ada]);
        assert_eq!(outcome(team.moves(id, &task, "done")), expected, "{others:?} {set} {actor}");
    }
}

#[test]
fn a_person_marks_done_without_approval() {
    let team = Team::new();
    team.board.agent("qa", "QA", "QA", json!({}));
    let task = team.task("review", &[]);
    team.board.person("tasks:updateStatus", json!({"taskId": task, "status": "done"})).unwrap();
    assert_eq!(team.board.row("tasks", &task)["status"], "done");
}

#[test]
fn a_reason_is_kept_only_while_blocked() {
    let team = Team::new();
    let task = team.task("in_progress", &[&team.ada]);
    team.moves(&team.ada, &task, "blocked").unwrap();
    assert_eq!(team.board.row("tasks", &task)["blockedReason"], "waiting");
    assert_eq!(team.activities_of(&task)[0].1["blockedReason"], "waiting");
    team.moves(&team.ada, &task, "in_progress").unwrap();
    assert_eq!(team.board.row("tasks", &task).get("blockedReason"), None);

    let args = json!({"agentId": team.ada, "taskId": task, "status": "blocked"});
    let text = "Invalid status change: Cannot move to 'blocked' without providing a reason";
    assert_eq!(refusal(team.board.service("updateTaskStatusFromAgent", args)), text);
}

#[test]
fn assignees_are_notified_of_status_changes() {
    // §4.4: the acting agent is excluded from the notifications; a person is not.
    let team = Team::new();
    let gone = missing_id(&team.ben);
    let row = json!({
        "status": "in_progress", "title": "Fix", "assignedUserIds": ["user_dana"],
        "assignedAgentIds": [team.ada, team.ben, gone],
    });
    let task = team.board.task(row);
    team.moves(&team.ada, &task, "review").unwrap();
    let title = "status_change: Task status changed to review";
    assert_eq!(team.board.notifications_of("user_dana"), [title]);
    assert_eq!(team.board.notifications_of(&team.ben), [title]);
    assert!(team.board.notifications_of(&team.ada).is_empty(), "the one that moved it");
    assert!(team.board.notifications_of(&team.lead).is_empty(), "the orchestrator is not on it");
    let row = team.board.rows("notifications").remove(0);
    assert_eq!(row["body"], "Ada changed \"Fix\" to review");
    assert_eq!(row["taskId"], json!(task));
    assert_eq!(row.get("messageId"), None);

    team.board.person("tasks:updateStatus", json!({"taskId": task, "status": "in_progress"})).unwrap();
    for who in ["user_dana", &team.ada, &team.ben] {
        let notified = team.board.notifications_of(who).pop();
        assert_eq!(notified.as_deref(), Some("status_change: Task status changed to in_progress"), "{who}");
    }
    assert_eq!(team.board.rows("notifications").len(), 5);
}

#[test]
fn people_get_only_the_notifications_they_want() {
    let wants = |task_updates: bool| {
        json!({"notificationPreferences": {
            "taskUpdates": task_updates, "agentActivity": !task_updates, "emailDigest": false, "memberUpdates": true,
        }})
    };
    for (settings, notified) in [(json!({}), 1), (wants(true), 1), (wants(false), 0)] {
        let team = Team::new();
        team.board.set(settings.clone());
        let row = json!({
            "status": "in_progress", "assignedUserIds": ["user_dana"], "assignedAgentIds": [team.ben],
        });
        let task = team.board.task(row);
        team.moves(&team.ada, &task, "review").unwrap();
        assert_eq!(team.board.notifications_of("user_dana").len(), notified, "{settings}");
        assert_eq!(team.board.notifications_of(&team.ben).len(), 1, "agents are always notified");
    }
}

#[test]
fn archiving_by_a_person_closes_the_sessions() {
    // §6, §8.
    let team = Team::new();
    let task = team.task("review", &[&team.ada]);
    let row = json!({"taskId": task, "createdAt": 1.0});
    let notification = team.board.notification(&team.ada, row);
    let key = |team: &Team| {
        let args = json!({"notificationId": notification});
        let context = team.board.service("getNotificationForDelivery", args).unwrap();
        context["deliverySessionKey"].as_str().unwrap().to_owned()
    };
    assert!(key(&team).ends_with(":v1"));
    team.moves(&team.lead, &task, "done").unwrap();
    assert!(key(&team).ends_with(":v1"), "done closes nothing");
    team.board.person("tasks:updateStatus", json!({"taskId": task, "status": "archived"})).unwrap();
    let archived: Value = team.board.row("tasks", &task);
    assert_eq!(archived["archivedAt"], archived["updatedAt"]);
    assert!(key(&team).ends_with(":v2"));
    let closed = team.board.rows("agentRuntimeSessions").remove(0);
    assert_eq!(closed["closedReason"], "task_archived");
}
