//! Tasks: created, assigned, archived, linked, paused, reopened (backend-contract §2.17–2.20, §5.6, §8).

use mission_control_runtime::local::Options;
use serde_json::{Value, json};

use super::board::Board;
use super::seeds::refusal;
use super::team::{Team, outcome};

fn long(chars: usize) -> String {
    // Each crab is two code units.
    "🦀".repeat(chars / 2) + &"x".repeat(chars % 2)
}

#[test]
fn the_status_of_a_new_task_depends_on_its_assignees() {
    // §2.17: requested status, assignees, resulting status, whether the creator becomes an assignee.
    let team = Team::new();
    let rows = [
        (None, false, "inbox", false),
        (Some("inbox"), false, "inbox", false),
        (Some("inbox"), true, "assigned", false),
        (None, true, "assigned", false),
        (Some("assigned"), false, "assigned", true),
        (Some("in_progress"), false, "in_progress", true),
        (Some("in_progress"), true, "in_progress", false),
        (Some("review"), false, "review", false),
        (Some("done"), false, "done", false),
        (Some("blocked"), true, "blocked", false),
        (Some("archived"), false, "archived", false),
    ];
    for (asked, with_ben, stands, with_creator) in rows {
        let mut args = json!({"agentId": team.ada, "title": " Fix ", "blockedReason": "no key"});
        if let Some(status) = asked {
            args["status"] = json!(status);
        }
        if with_ben {
            args["assignedAgentIds"] = json!([team.ben]);
        }
        let answer = team.board.service("createTaskFromAgent", args).unwrap();
        let row = team.board.row("tasks", answer["taskId"].as_str().unwrap());
        let rule = format!("{asked:?} {with_ben}");
        assert_eq!(row["status"], stands, "{rule}");
        let on_it = if with_creator {
            json!([team.ada])
        } else if with_ben {
            json!([team.ben])
        } else {
            json!([])
        };
        assert_eq!(row["assignedAgentIds"], on_it, "{rule}");
        assert_eq!(row.get("blockedReason").is_some(), stands == "blocked", "{rule}");
        assert_eq!(row["assignedUserIds"], json!([]), "{rule}");
        assert_eq!((&row["priority"], &row["labels"]), (&json!(3.0), &json!([])), "{rule}");
        assert_eq!((&row["title"], &row["createdBy"]), (&json!(" Fix "), &json!(team.ada)), "{rule}");
        assert_eq!(row.get("description"), None, "{rule}");
    }
}

#[test]
fn a_new_task_has_followers_and_notifies_its_assignees() {
    let team = Team::new();
    let args = json!({
        "agentId": team.ada, "title": "Fix", "description": "d", "priority": 9.5, "labels": ["bug"], "dueDate": 5,
        "assignedAgentIds": [team.ada, team.ben, team.ben],
    });
    let answer = team.board.service("createTaskFromAgent", args).unwrap();
    let task = answer["taskId"].as_str().unwrap();
    // The creator is notified of its own assignment, and a duplicate twice (D16, D26).
    assert_eq!(team.board.notifications_of(&team.ada), ["assignment: Ada assigned you"]);
    assert_eq!(
        team.board.notifications_of(&team.ben),
        ["assignment: Ada assigned you", "assignment: Ada assigned you"]
    );
    assert_eq!(team.board.followers(task), [&*team.lead, &team.ada, &team.ben]);
    assert_eq!(team.activities_of(task)[0].0, "task_created");
    let row = team.board.row("tasks", task);
    assert_eq!((&row["priority"], &row["dueDate"]), (&json!(9.5), &json!(5.0)));
    let body = &team.board.rows("notifications")[0]["body"];
    assert_eq!(body, "You were assigned to task \"Fix\"");
}

#[test]
fn creating_is_refused_in_order() {
    let team = Team::new();
    let stranger = team.board.foreign("agents", &team.ada);
    let create = |agent: &str, more: Value| {
        let mut args = json!({"agentId": agent, "title": "Fix"});
        args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        outcome(team.board.service("createTaskFromAgent", args))
    };
    let invalid = format!("Invalid agent: {stranger}");
    let rows = [
        (&team.ada, json!({"title": long(2000)}), "ok"),
        (
            &team.ada,
            json!({"status": "blocked"}),
            "Invalid status at creation: Cannot move to 'blocked' without providing a reason",
        ),
        (&team.ada, json!({"status": "blocked", "assignedAgentIds": [stranger]}), &invalid),
        (
            &team.ada,
            json!({"description": long(100_001), "assignedAgentIds": [stranger]}),
            "Description too long (max 100000 characters)",
        ),
        (
            &team.ada,
            json!({"title": long(2001), "description": long(100_001)}),
            "Title too long (max 2000 characters)",
        ),
        (&team.ben, json!({"title": long(2001)}), "Forbidden: Agent is not allowed to create tasks"),
        (&stranger, json!({"title": long(2001)}), "Forbidden: Agent belongs to different account"),
        (&stranger, json!({"blockedReason": long(2001)}), "blockedReason must be at most 2000 characters"),
    ];
    for (agent, more, expected) in rows {
        assert_eq!(create(agent, more), expected);
    }
}

/// From, agents and whether a person is assigned, added agents, resulting status, notified agents.
type Assigning<'a> = (&'a str, &'a [&'a str], bool, &'a [&'a str], &'a str, &'a [&'a str]);

#[test]
fn assigning_adds_agents_and_starts_inbox_tasks() {
    // §2.18.
    let rows: [Assigning<'_>; 8] = [
        ("inbox", &[], false, &["ada"], "in_progress", &["ada"]),
        ("inbox", &[], false, &["ada", "ben", "ada"], "in_progress", &["ada", "ben"]),
        ("inbox", &["ada"], false, &[], "in_progress", &[]),
        ("inbox", &[], true, &[], "assigned", &[]),
        ("inbox", &[], false, &[], "inbox", &[]),
        ("assigned", &["ada"], false, &["ada", "ben"], "assigned", &["ben"]),
        ("blocked", &[], false, &["ben"], "blocked", &["ben"]),
        ("archived", &[], false, &["ben"], "archived", &["ben"]),
    ];
    for (from, before, person, added, stands, notified) in rows {
        let team = Team::new();
        let ids = |slugs: &[&str]| -> Vec<String> {
            slugs
                .iter()
                .map(|slug| if *slug == "ada" { team.ada.clone() } else { team.ben.clone() })
                .collect()
        };
        let people = if person { json!(["user_dana"]) } else { json!([]) };
        let row = json!({"status": from, "assignedAgentIds": ids(before), "assignedUserIds": people});
        let task = team.board.task(row);
        let args = json!({"agentId": team.lead, "taskId": task, "assignedAgentIds": ids(added)});
        let answer = team.board.service("assignTaskFromAgent", args).unwrap();
        assert_eq!(answer, json!({"taskId": task}));
        let rule = format!("§2.18 {from} {before:?} + {added:?}");
        assert_eq!(team.board.row("tasks", &task)["status"], stands, "{rule}");
        for (slug, id) in [("ada", &team.ada), ("ben", &team.ben)] {
            let expected: &[&str] =
                if notified.contains(&slug) { &["assignment: Lead assigned you"] } else { &[] };
            assert_eq!(team.board.notifications_of(id), expected, "{rule}");
        }
        assert!(team.board.notifications_of("user_dana").is_empty(), "{rule}: no status_change");
        let mut followers = ids(notified);
        followers.push(team.lead.clone());
        assert_eq!(team.board.followers(&task), followers, "{rule}");
        let happened = team.activities_of(&task);
        let newly = happened.iter().find(|(kind, _)| kind == "task_updated").unwrap();
        assert_eq!(newly.1, json!({"assignedAgentIds": ids(notified)}), "{rule}");
        let moved = happened.iter().find(|(kind, _)| kind == "task_status_changed").map(|(_, meta)| meta);
        let expected = json!({"oldStatus": from, "newStatus": stands, "reason": "auto_assignment"});
        assert_eq!(moved, (from != stands).then_some(&expected), "{rule}");
    }
}

#[test]
fn only_the_orchestrator_assigns_archives_and_links() {
    let team = Team::new();
    let task = team.task("inbox", &[]);
    let stranger = team.board.foreign("agents", &team.ada);
    let foreign = team.board.foreign("tasks", &task);
    let rows = [
        ("assignTaskFromAgent", json!({"assignedAgentIds": []}), "assign agents"),
        ("deleteTaskFromAgent", json!({"reason": "old"}), "archive/delete tasks"),
        ("linkTaskToPrForAgentTool", json!({"prNumber": 7}), "link tasks to PRs"),
    ];
    for (name, more, what) in rows {
        let call = |agent: &str, task: &str| {
            let mut args = json!({"agentId": agent, "taskId": task});
            args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            outcome(team.board.service(name, args))
        };
        assert_eq!(call(&team.ada, &foreign), format!("Forbidden: Only the orchestrator can {what}"));
        assert_eq!(call(&stranger, &foreign), "Forbidden: Agent belongs to different account");
        assert_eq!(call(&team.lead, &foreign), "Forbidden: Task belongs to different account");
        assert_eq!(call(&team.lead, &task), "ok");
    }
    let args = json!({"agentId": team.lead, "taskId": task, "assignedAgentIds": [stranger]});
    assert_eq!(
        refusal(team.board.service("assignTaskFromAgent", args)),
        format!("Invalid agent: {stranger}")
    );

    // A removed agent among the assignees blocks every further assignment.
    let stale = team.task("assigned", &[&stranger]);
    let args = json!({"agentId": team.lead, "taskId": stale, "assignedAgentIds": [team.ada]});
    assert_eq!(
        refusal(team.board.service("assignTaskFromAgent", args)),
        format!("Invalid agent: {stranger}")
    );
    assert!(team.board.notifications_of(&team.ada).is_empty());
}

#[test]
fn deleting_archives_from_any_status_without_notifications() {
    // §2.19.
    for from in ["inbox", "assigned", "in_progress", "review", "done", "blocked", "archived"] {
        let team = Team::new();
        let task = team.task(from, &[&team.ada]);
        let delete = |reason: &str| {
            let args = json!({"agentId": team.lead, "taskId": task, "reason": reason});
            team.board.service("deleteTaskFromAgent", args)
        };
        assert_eq!(refusal(delete(&long(2001))), "reason must be at most 2000 characters");
        assert_eq!(delete("").unwrap(), json!({"success": true}));
        let row = team.board.row("tasks", &task);
        assert_eq!(row["status"], "archived", "{from}");
        assert_eq!(row["archivedAt"], row["updatedAt"], "{from}");
        assert_eq!(row.get("blockedReason").is_some(), from == "blocked", "only a normal step takes it away");
        let meta =
            json!({"oldStatus": from, "newStatus": "archived", "reason": "", "action": "task_deleted"});
        assert_eq!(team.activities_of(&task), [("task_status_changed".to_owned(), meta)]);
        assert!(team.board.rows("notifications").is_empty(), "{from}");

        team.board.advance(5000);
        delete("again").unwrap();
        assert_ne!(team.board.row("tasks", &task)["archivedAt"], row["archivedAt"], "it can be repeated");
    }
}

#[test]
fn a_link_to_a_pull_request_is_stored() {
    let team = Team::new();
    let task = team.task("review", &[]);
    for number in [65.0, 0.5, -3.0] {
        let args = json!({"agentId": team.lead, "taskId": task, "prNumber": number});
        team.board.service("linkTaskToPrForAgentTool", args).unwrap();
        let row = team.board.row("tasks", &task);
        assert_eq!(row["metadata"], json!({"prNumber": number}));
        assert_eq!(row["updatedAt"], 1_765_526_400_000.0);
    }
    assert!(team.activities_of(&task).is_empty());
}

#[test]
fn a_person_creates_a_task_that_only_the_orchestrator_follows() {
    // §8, §5.6.
    let team = Team::new();
    let task = team.board.person("tasks:create", json!({"title": "Fix"})).unwrap();
    let task = task.as_str().unwrap();
    let row = team.board.look("tasks:get", json!({"taskId": task})).unwrap();
    assert_eq!((&row["status"], &row["priority"]), (&json!("inbox"), &json!(3.0)));
    assert_eq!(row["createdBy"], "user_dana");
    assert_eq!(team.board.followers(task), [&*team.lead]);
    assert!(team.board.rows("notifications").is_empty());
    let created = &team.board.look("activities:listByTask", json!({"taskId": task})).unwrap()[0];
    assert_eq!((&created["type"], &created["actorName"]), (&json!("task_created"), &json!("Dana Reyes")));
    assert_eq!(team.board.look("tasks:list", json!({})).unwrap(), json!([row]));
}

#[test]
fn a_person_assigns_any_people_and_agents() {
    let team = Team::new();
    let task = team.task("inbox", &[]);
    let assign = |more: Value| {
        let mut args = json!({"taskId": task});
        args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        team.board.person("tasks:assign", args)
    };
    // The given lists, the resulting status, the resulting followers.
    let (ada, ben, lead) = (&*team.ada, &*team.ben, &*team.lead);
    let rows = [
        (json!({"assignedAgentIds": [ada, ben]}), "assigned", vec![ada, ben, lead]),
        (json!({"assignedUserIds": ["user_dana"]}), "assigned", vec![ada, ben, lead, "user_dana"]),
        (json!({"assignedAgentIds": [ben, lead]}), "assigned", vec![ben, lead, "user_dana"]),
        // The orchestrator keeps following a task after it is unassigned.
        (json!({"assignedAgentIds": []}), "assigned", vec![lead, "user_dana"]),
        (json!({"assignedUserIds": []}), "inbox", vec![lead]),
    ];
    for (lists, stands, followers) in rows {
        assign(lists.clone()).unwrap();
        assert_eq!(team.board.row("tasks", &task)["status"], stands, "{lists}");
        assert_eq!(team.board.followers(&task), followers, "{lists}");
    }
    for who in [ada, ben, lead, "user_dana"] {
        assert_eq!(team.board.notifications_of(who), ["assignment: Dana Reyes assigned you"], "{who}");
    }
    let moved: Vec<_> =
        team.activities_of(&task).into_iter().filter(|row| row.0 == "task_status_changed").collect();
    let back = json!({"oldStatus": "assigned", "newStatus": "inbox", "reason": "auto_assignment"});
    assert_eq!((moved.len(), &moved[0].1), (2, &back));

    let stranger = team.board.foreign("agents", ada);
    let text = format!("Invalid agent: {stranger} does not belong to account");
    assert_eq!(refusal(assign(json!({"assignedAgentIds": [stranger]}))), text);
    let text = "Invalid user: user_eve is not a member of this account";
    assert_eq!(refusal(assign(json!({"assignedUserIds": ["user_eve"]}))), text);
}

#[test]
fn stop_blocks_a_task_and_its_agents_become_idle() {
    let text = "Task can only be paused when status is Assigned, In progress, or Review";
    let rows = [
        ("inbox", text),
        ("assigned", "ok"),
        ("in_progress", "ok"),
        ("review", "ok"),
        ("done", text),
        ("blocked", "ok"),
        ("archived", text),
    ];
    for (from, expected) in rows {
        let team = Team::new();
        let task = team.task(from, &[&team.ada]);
        team.board.edit("agents", &team.ada, json!({"status": "busy", "currentTaskId": task}));
        let answer = team.board.person("tasks:pauseAgents", json!({"taskId": task}));
        let paused = answer.as_ref().map_or(json!(null), |answer| answer["paused"].clone());
        assert_eq!(outcome(answer), expected, "{from}");
        let agent = team.board.row("agents", &team.ada);
        let row = team.board.row("tasks", &task);
        if paused == true {
            assert_eq!((&row["status"], &agent["status"]), (&json!("blocked"), &json!("idle")), "{from}");
            assert_eq!(row["blockedReason"], "Paused by user (/stop)", "{from}");
            assert_eq!(agent.get("currentTaskId"), None, "{from}");
            assert_eq!(agent["lastHeartbeat"], 1_765_526_400_000.0, "{from}");
            assert_eq!(
                team.board.notifications_of(&team.ada),
                ["status_change: Task status changed to blocked"]
            );
        } else {
            assert_eq!((&row["status"], &agent["status"]), (&json!(from), &json!("busy")), "{from}");
            assert!(team.board.rows("notifications").is_empty(), "{from}");
        }
        assert_eq!(from == "blocked", paused == false, "{from}: nothing to do, and no error");
    }
}

#[test]
fn only_done_tasks_are_reopened() {
    let team = Team::new();
    for from in ["inbox", "assigned", "in_progress", "review", "blocked", "archived"] {
        let args = json!({"taskId": team.task(from, &[&team.ada])});
        let text = "Invalid operation: Can only reopen done tasks";
        assert_eq!(refusal(team.board.person("tasks:reopen", args)), text, "{from}");
    }
    let task = team.task("done", &[&team.ada]);
    team.board.person("tasks:reopen", json!({"taskId": task})).unwrap();
    assert_eq!(team.board.row("tasks", &task)["status"], "review");
    let meta = json!({"oldStatus": "done", "newStatus": "review", "reopened": true});
    assert_eq!(team.activities_of(&task), [("task_status_changed".to_owned(), meta)]);
    assert!(team.board.rows("notifications").is_empty());
}

#[test]
fn removing_a_task_removes_its_thread() {
    let team = Team::new();
    let (task, other) = (team.task("in_progress", &[&team.ben]), team.task("in_progress", &[&team.ben]));
    for task in [&task, &other] {
        team.board.follows(task, "agent", &team.ben);
        team.board.says(&team.ada, task, "hello @ben");
        team.moves(&team.ada, task, "review").unwrap();
    }
    let count = |table: &str| team.board.rows(table).len();
    let before = ["messages", "subscriptions", "notifications"].map(count);
    team.board.person("tasks:remove", json!({"taskId": task})).unwrap();
    let after = ["messages", "subscriptions", "notifications"].map(count);
    assert_eq!(before.map(|rows| rows / 2), after);
    assert_eq!(team.board.look("tasks:get", json!({"taskId": task})).unwrap(), json!(null));
    assert!(team.activities_of(&task).is_empty());
    assert_eq!(team.activities_of(&other).len(), 1);
    let again = team.board.person("tasks:remove", json!({"taskId": task}));
    assert_eq!(refusal(again), "Not found: Task does not exist");
}

#[test]
fn labels_of_people_are_limited_and_labels_of_agents_only_by_the_row() {
    let board = Board::new();
    let flags = json!({"canCreateTasks": true, "canModifyTaskStatus": true});
    let agent = board.agent(
        "ada",
        "Ada",
        "Engineer",
        json!({"openclawConfig": {
        "model": "m", "temperature": 0.7, "skillIds": [], "behaviorFlags": flags}}),
    );
    let labels = |count: usize, chars: usize| {
        json!((0..count).map(|n| format!("{n:0>chars$}")).collect::<Vec<String>>())
    };
    let create = |labels: Value| board.person("tasks:create", json!({"title": "T", "labels": labels}));
    let task = create(labels(50, 100)).unwrap();
    let update = |labels: Value| board.person("tasks:update", json!({"taskId": task, "labels": labels}));
    let too_many = "Too many labels: a task may have 50, this one has 51";
    let too_long = "Label too long: a label may have 100 characters, this one has 101";
    for answer in [create(labels(51, 5)), update(labels(51, 5))] {
        assert_eq!(refusal(answer), too_many);
    }
    for answer in [create(labels(1, 101)), update(labels(3, 101))] {
        assert_eq!(refusal(answer), too_long);
    }
    update(json!(["\u{1f600}".repeat(50)])).unwrap();
    // By the contract, agents' labels have no separate limit, but a row has one (§3.10).
    let by_agent = |labels: Value| {
        board.service("createTaskFromAgent", json!({"agentId": agent, "title": "T", "labels": labels}))
    };
    let made = by_agent(labels(2_000, 200)).unwrap();
    let change = json!({"agentId": agent, "taskId": made["taskId"], "labels": labels(2_000, 600)});
    for answer in [by_agent(labels(2_000, 600)), board.service("updateTaskFromAgent", change)] {
        assert_eq!(refusal(answer), "Value is too large (maximum size 1 MiB)");
    }
    // A person can change the other fields of such a task.
    let rest = json!({"taskId": made["taskId"], "title": "Another title"});
    board.person("tasks:update", rest).unwrap();
    let original = Board::with(Options { original: true, ..Options::default() });
    original.person("tasks:create", json!({"title": "T", "labels": labels(200, 200)})).unwrap();
}
