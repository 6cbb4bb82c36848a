//! Finding tasks: lists, searches, details, histories, and unusual limits (backend-contract §2.21, §2.22, §2.24–2.26,
//! §2.30, §2.31).

use mission_control_runtime::local::Options;
use serde_json::{Value, json};

use super::seeds::refusal;
use super::team::{Team, missing_id, outcome};

/// The platform's error for a limit that is not a count.
const NO_COUNT: &str = "Uncaught TypeError: Arg 1 `n` to `take` must be a non-negative integer";

fn titles(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|row| row["title"].as_str().unwrap()).collect()
}

/// A call by an agent with additional arguments.
fn ask(team: &Team, name: &str, agent: &str, more: &Value) -> Result<Value, String> {
    let mut args = json!({"agentId": agent});
    args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    team.board.service(name, args)
}

/// A task with this title and status, last changed at this time.
fn task(team: &Team, title: &str, status: &str, agents: &[&str], changed: f64) -> String {
    let row = json!({"title": title, "status": status, "assignedAgentIds": agents, "updatedAt": changed});
    team.board.task(row)
}

#[test]
fn lists_are_newest_first_or_last_changed_first() {
    // §2.21: ordered by the last change with an assignee and no status, otherwise by creation.
    let team = Team::new();
    let ada = [&*team.ada];
    task(&team, "a", "review", &ada, 30.0);
    task(&team, "b", "inbox", &[], 20.0);
    task(&team, "c", "archived", &ada, 40.0);
    task(&team, "d", "review", &[], 10.0);
    task(&team, "e", "review", &ada, 30.0);
    team.board.task(json!({"title": "chat", "labels": ["system:orchestrator-chat"], "updatedAt": 5.0}));
    let rows = [
        (json!({}), vec!["chat", "e", "d", "c", "b", "a"]),
        (json!({"status": "review"}), vec!["e", "d", "a"]),
        (json!({"status": "review", "assigneeAgentId": team.ada}), vec!["e", "a"]),
        (json!({"assigneeAgentId": team.ada}), vec!["c", "e", "a"]),
        (json!({"assigneeAgentId": team.board.foreign("agents", &team.ada)}), vec![]),
        (json!({"limit": 2}), vec!["chat", "e"]),
        (json!({"limit": 0.5}), vec![]),
        (json!({"limit": 1.5}), vec!["chat"]),
        (json!({"limit": 0}), vec![]),
        (json!({"limit": 1e9}), vec!["chat", "e", "d", "c", "b", "a"]),
        (json!({"assigneeAgentId": team.ada, "limit": 2}), vec!["c", "e"]),
        (json!({"assigneeAgentId": team.ada, "limit": -1}), vec!["c", "e"]),
        (json!({"assigneeAgentId": team.ada, "limit": 0.25}), vec![]),
    ];
    for (args, expected) in rows {
        let list = ask(&team, "listTasksForAgentTool", &team.lead, &args).unwrap();
        assert_eq!(titles(&list), expected, "{args}");
    }
    for limit in [json!(-1), json!(0.33), json!({"$float": "AAAAAAAA+H8="})] {
        let args = json!({"limit": limit});
        assert_eq!(outcome(ask(&team, "listTasksForAgentTool", &team.lead, &args)), NO_COUNT, "{limit}");
    }
}

#[test]
fn lists_are_complete_unless_the_original_is_requested() {
    // D20: 40 older tasks of an agent, then 210 newer unassigned ones and 40 newer ones of another agent.
    for original in [false, true] {
        let team = Team::with(Options { original, ..Options::default() });
        for _ in 0..40 {
            task(&team, "ours", "review", &[&team.ada], 1.0);
        }
        for _ in 0..210 {
            task(&team, "other", "review", &[], 1.0);
        }
        for _ in 0..40 {
            task(&team, "ben's", "review", &[&team.ben], 1.0);
        }
        let count = |args: Value| {
            let list = ask(&team, "listTasksForAgentTool", &team.lead, &args).unwrap();
            list.as_array().unwrap().len()
        };
        let found = [
            count(json!({"assigneeAgentId": team.ada, "limit": 200})),
            count(json!({"assigneeAgentId": team.ada, "status": "review", "limit": 200})),
            count(json!({"assigneeAgentId": team.ben, "limit": 200})),
            count(json!({})),
            count(json!({"limit": 500})),
        ];
        assert_eq!(found, if original { [0, 0, 29, 50, 200] } else { [40, 40, 40, 50, 200] });
    }
}

#[test]
fn only_the_orchestrator_lists_and_searches_tasks() {
    let team = Team::new();
    let task = team.task("inbox", &[]);
    let stranger = team.board.foreign("agents", &team.ada);
    let rows = [
        ("listTasksForAgentTool", json!({"limit": -1}), "list tasks"),
        ("getTaskForAgentTool", json!({"taskId": task}), "get tasks"),
        ("searchTasksForAgentTool", json!({"query": " "}), "search tasks"),
    ];
    for (name, args, what) in rows {
        let text = format!("Forbidden: Only the orchestrator can {what}");
        assert_eq!(refusal(ask(&team, name, &team.ada, &args)), text);
        assert_eq!(
            refusal(ask(&team, name, &stranger, &args)),
            "Forbidden: Agent belongs to different account"
        );
    }
    // The calls that every agent may make.
    let rows = [
        ("loadTaskDetailsForAgentTool", json!({"taskId": task})),
        ("getTaskHistoryForAgentTool", json!({"taskId": task})),
        ("listAssignedTasksForAgent", json!({})),
    ];
    for (name, args) in rows {
        assert_eq!(outcome(ask(&team, name, &team.ada, &args)), "ok", "{name}");
        assert_eq!(
            refusal(ask(&team, name, &stranger, &args)),
            "Forbidden: Agent belongs to different account"
        );
    }
}

#[test]
fn a_task_is_returned_completely_or_not_at_all() {
    let team = Team::new();
    let task = team.task("blocked", &[&team.ada]);
    let foreign = team.board.foreign("tasks", &task);
    let get = |id: &str| ask(&team, "getTaskForAgentTool", &team.lead, &json!({"taskId": id})).unwrap();
    assert_eq!(get(&task), team.board.row("tasks", &task));
    assert_eq!(get(&foreign), json!(null));
    assert_eq!(get(&missing_id(&task)), json!(null));
    for name in ["loadTaskDetailsForAgentTool", "getTaskHistoryForAgentTool"] {
        let load = |id: &str| refusal(ask(&team, name, &team.ada, &json!({"taskId": id})));
        assert_eq!(load(&foreign), "Forbidden: Task belongs to different account");
        assert_eq!(load(&missing_id(&task)), "Not found: Task does not exist");
    }
}

#[test]
fn a_search_scores_matches_by_field() {
    // §2.24: title 3, description 2, reason 1.
    let team = Team::new();
    let write_row = |title: &str, description: &str, reason: &str| {
        let row = json!({"title": title, "description": description, "blockedReason": reason, "status": "archived"});
        team.board.task(row)
    };
    write_row("one", "", "LOGIN");
    write_row("Login two", "", "");
    write_row("three", "the login page", "");
    write_row("four login", "log in", "no login");
    write_row("five", "log in", "");
    write_row("six LOGIN", "login", "login");
    write_row("seven login", "", "");
    let search = |query: &str, limit: Value| {
        let args =
            if limit.is_null() { json!({"query": query}) } else { json!({"query": query, "limit": limit}) };
        ask(&team, "searchTasksForAgentTool", &team.lead, &args).unwrap()
    };
    let all = search(" Login ", json!(null));
    assert_eq!(titles(&all), ["six LOGIN", "four login", "Login two", "seven login", "three", "one"]);
    let scores: Vec<f64> =
        all.as_array().unwrap().iter().map(|hit| hit["relevanceScore"].as_f64().unwrap()).collect();
    assert_eq!(scores, [6.0, 4.0, 3.0, 3.0, 2.0, 1.0]);
    let fields: Vec<&String> = all[0].as_object().unwrap().keys().collect();
    assert_eq!(fields.len(), 10, "{fields:?}");

    let rows = [
        ("", json!(null), 0),
        ("  ", json!(null), 0),
        ("nowhere", json!(null), 0),
        ("lo.in", json!(null), 0),
        ("login", json!(2), 2),
        ("login", json!(2.9), 2),
        ("login", json!(0), 0),
        ("login", json!(-4), 2),
        ("login", json!(1000), 6),
    ];
    for (query, limit, found) in rows {
        assert_eq!(search(query, limit.clone()).as_array().unwrap().len(), found, "{query} {limit}");
    }
    for _ in 0..120 {
        write_row("login", "", "");
    }
    assert_eq!(search("login", json!(null)).as_array().unwrap().len(), 20);
    assert_eq!(search("login", json!(500)).as_array().unwrap().len(), 100);
}

#[test]
fn a_search_without_words_or_matches_is_empty() {
    let team = Team::new();
    team.board.task(json!({"title": "plain"}));
    let hit = ask(&team, "searchTasksForAgentTool", &team.lead, &json!({"query": "PLAIN"})).unwrap();
    assert_eq!(hit[0].get("blockedReason"), None);
    assert_eq!(hit[0]["assignedAgentIds"], json!([]));
}

#[test]
fn details_and_history_contain_the_newest_messages() {
    let team = Team::new();
    let task = team.task("in_progress", &[]);
    for number in 1..=30 {
        team.board.says(&team.ada, &task, &format!("m{number}"));
    }
    // The function, the limit, the number of returned messages.
    let rows = [
        ("loadTaskDetailsForAgentTool", json!(null), 10),
        ("loadTaskDetailsForAgentTool", json!(8), 8),
        ("loadTaskDetailsForAgentTool", json!(0), 1),
        ("loadTaskDetailsForAgentTool", json!(-5), 1),
        ("loadTaskDetailsForAgentTool", json!(999), 30),
        ("getTaskHistoryForAgentTool", json!(null), 25),
        ("getTaskHistoryForAgentTool", json!(3), 3),
        ("getTaskHistoryForAgentTool", json!(0), 1),
    ];
    for (name, limit, count) in rows {
        let mut args = json!({"taskId": task});
        if !limit.is_null() {
            args["messageLimit"] = limit.clone();
        }
        let answer = ask(&team, name, &team.ben, &args).unwrap();
        let thread = if name.starts_with("load") { &answer["thread"] } else { &answer["messages"] };
        let thread = thread.as_array().unwrap();
        assert_eq!(thread.len(), count, "{name} {limit}");
        assert_eq!(thread[count - 1]["content"], "m30", "{name}: oldest first");
        assert_eq!(thread[0]["authorName"], "Ada");
        assert_eq!(answer["task"]["_id"], json!(task));
    }
    for name in ["loadTaskDetailsForAgentTool", "getTaskHistoryForAgentTool"] {
        let args = json!({"taskId": task, "messageLimit": 2.5});
        assert_eq!(outcome(ask(&team, name, &team.ada, &args)), NO_COUNT, "{name}");
    }
}

#[test]
fn a_history_contains_only_activities_of_the_task() {
    // §2.26: activities of messages and documents are not included.
    let team = Team::new();
    let args = json!({"agentId": team.ada, "title": "Fix", "assignedAgentIds": [team.ben]});
    let task =
        team.board.service("createTaskFromAgent", args).unwrap()["taskId"].as_str().unwrap().to_owned();
    team.board.says(&team.ada, &task, "hello");
    for status in ["in_progress", "review", "in_progress"] {
        team.moves(&team.ada, &task, status).unwrap();
    }
    let history = |limit: Value| {
        let args = json!({"taskId": task, "activityLimit": limit});
        ask(&team, "getTaskHistoryForAgentTool", &team.ben, &args).unwrap()
    };
    let all = history(json!(30));
    let kinds: Vec<&Value> = all["activities"].as_array().unwrap().iter().map(|row| &row["type"]).collect();
    assert_eq!(kinds, ["task_status_changed", "task_status_changed", "task_status_changed", "task_created"]);
    let newest = json!({
        "type": "task_status_changed", "actorType": "agent", "actorId": team.ada, "actorName": "Ada",
        "targetType": "task", "targetId": task, "targetName": "Fix",
        "meta": {"oldStatus": "review", "newStatus": "in_progress"}, "createdAt": 1_765_526_400_000.0,
    });
    assert_eq!(all["activities"][0], newest);
    assert_eq!(all["meta"], json!({"messageLimitApplied": 25.0, "activityLimitApplied": 30.0}));
    for (limit, applied, rows) in [(0, 0.0, 0), (-3, 0.0, 0), (2, 2.0, 2), (900, 200.0, 4)] {
        let some = history(json!(limit));
        assert_eq!(some["activities"].as_array().unwrap().len(), rows, "{limit}");
        assert_eq!(some["meta"]["activityLimitApplied"], applied, "{limit}");
    }
}

#[test]
fn an_agents_own_list_omits_only_done_tasks() {
    // §2.30, D19: archived and blocked tasks are included.
    let team = Team::new();
    let ada = [&*team.ada];
    for (at, status) in
        ["inbox", "assigned", "in_progress", "review", "done", "blocked", "archived"].iter().enumerate()
    {
        task(&team, status, status, &ada, f64::from(u8::try_from(at).unwrap()));
    }
    task(&team, "ben's", "review", &[&team.ben], 99.0);
    let live = ["archived", "blocked", "review", "in_progress", "assigned", "inbox"];
    let rows = [
        (json!({}), live.to_vec()),
        (json!({"includeDone": false, "limit": 2}), live[..2].to_vec()),
        (json!({"includeDone": true, "limit": 3}), vec!["archived", "blocked", "done"]),
        (json!({"limit": 0}), vec![]),
    ];
    for (args, expected) in rows {
        let list = ask(&team, "listAssignedTasksForAgent", &team.ada, &args).unwrap();
        assert_eq!(titles(&list), expected, "{args}");
    }
}

#[test]
fn the_heartbeat_list_contains_the_newest_of_each_status() {
    // §2.31.
    let team = Team::new();
    task(&team, "old", "review", &[], 90.0);
    task(&team, "new", "review", &[], 10.0);
    task(&team, "working", "in_progress", &[], 50.0);
    task(&team, "waiting", "inbox", &[], 99.0);
    let rows = [
        (json!({"statuses": ["in_progress", "review", "review"]}), vec!["old", "working", "new"]),
        (json!({"statuses": ["review", "in_progress"], "limit": 1}), vec!["working"]),
        (json!({"statuses": ["review"], "limit": 1}), vec!["new"]),
        (json!({"statuses": []}), vec![]),
        (json!({"statuses": [], "limit": -1}), vec![]),
        (json!({"statuses": ["inbox"], "limit": 0}), vec![]),
    ];
    for (args, expected) in rows {
        let list = team.board.service("listTasksForOrchestratorHeartbeat", args.clone()).unwrap();
        assert_eq!(titles(&list), expected, "{args}");
    }
    for limit in [json!(-1), json!(1.5)] {
        let args = json!({"statuses": ["inbox"], "limit": limit});
        assert_eq!(outcome(team.board.service("listTasksForOrchestratorHeartbeat", args)), NO_COUNT);
    }
}
