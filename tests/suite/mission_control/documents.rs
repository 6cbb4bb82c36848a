//! Documents of agents (backend-contract §2.28, §2.29).

use mission_control_runtime::local::Options;
use serde_json::{Value, json};

use super::seeds::refusal;
use super::team::{Team, missing_id, outcome};

fn write(team: &Team, agent: &str, more: &Value) -> Result<String, String> {
    let mut args = json!({"agentId": agent, "title": "Notes", "content": "text", "type": "note"});
    args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = team.board.service("createDocumentFromAgent", args)?;
    Ok(answer["documentId"].as_str().unwrap().to_owned())
}

#[test]
fn writing_is_refused_in_order() {
    let team = Team::new();
    let task = team.task("inbox", &[]);
    let foreign_task = team.board.foreign("tasks", &task);
    let stranger = team.board.foreign("agents", &team.ada);
    let ours = write(&team, &team.ada, &json!({})).unwrap();
    let foreign = team.board.foreign("documents", &ours);
    let nowhere = missing_id(&ours);
    team.flag(&team.ben, "canCreateDocuments", false);
    let (long, longest) = ("x".repeat(2001), "x".repeat(1_000_001));
    let no_task = "Not found: Task does not exist or belongs to different account";
    let rows = [
        (&team.ada, json!({"title": "", "content": "x".repeat(1_000_000)}), "ok"),
        (&team.ada, json!({"documentId": foreign}), "Forbidden: Document belongs to different account"),
        (&team.ada, json!({"documentId": nowhere}), "Not found: Document does not exist"),
        // Within the limit of characters, but too large for a row of the platform.
        (&team.ada, json!({"content": "é".repeat(600_000)}), "Value is too large (maximum size 1 MiB)"),
        (
            &team.ada,
            json!({"documentId": nowhere, "content": longest}),
            "Content too long (max 1000000 characters)",
        ),
        (&team.ada, json!({"title": long, "content": longest}), "Title too long (max 2000 characters)"),
        (&team.ada, json!({"title": long, "taskId": foreign_task}), no_task),
        (&team.ada, json!({"title": long, "taskId": missing_id(&task)}), no_task),
        (&team.ben, json!({"taskId": foreign_task}), "Forbidden: Agent is not allowed to create documents"),
        (&stranger, json!({"taskId": foreign_task}), "Forbidden: Agent belongs to different account"),
    ];
    for (agent, more, expected) in rows {
        assert_eq!(outcome(write(&team, agent, &more).map(Value::from)), expected);
    }
    let wrong = refusal(write(&team, &team.ada, &json!({"type": "memo"})).map(Value::from));
    assert!(wrong.starts_with("ArgumentValidationError"), "{wrong}");
}

#[test]
fn a_new_document_is_a_file_of_its_author() {
    let team = Team::new();
    let task = team.task("inbox", &[]);
    let id = write(&team, &team.ada, &json!({"taskId": task})).unwrap();
    let row = team.board.row("documents", &id);
    let expected = json!({
        "_id": id, "_creationTime": row["_creationTime"], "accountId": team.board.account, "kind": "file",
        "title": "Notes", "content": "text", "type": "note", "taskId": task, "version": 1.0, "authorType": "agent",
        "authorId": team.ada, "createdAt": 1_765_526_400_000.0, "updatedAt": 1_765_526_400_000.0,
    });
    assert_eq!(row, expected);
    let happened = &team.board.look("activities:list", json!({"limit": 1})).unwrap()[0];
    assert_eq!((&happened["type"], &happened["targetName"]), (&json!("document_created"), &json!("Notes")));
    assert_eq!(happened["meta"], json!({"type": "note", "taskId": task}));
    assert!(team.board.followers(&task).is_empty());
    assert!(team.board.rows("notifications").is_empty());
    assert_eq!(team.board.look("documents:listByTask", json!({"taskId": task})).unwrap(), json!([expected]));
}

#[test]
fn overwriting_without_a_task_detaches() {
    // D17. The version counts changes of the content, not of the title.
    let team = Team::new();
    let task = team.task("inbox", &[]);
    let id = write(&team, &team.ada, &json!({"taskId": task})).unwrap();
    let rows = [
        (json!({"taskId": task, "title": "New"}), 1.0, false, true),
        (json!({"taskId": task, "content": "more"}), 2.0, true, true),
        (json!({"content": "more", "type": "reference"}), 2.0, false, false),
        (json!({"content": "again"}), 3.0, true, false),
    ];
    for (more, version, increment, attached) in rows {
        let mut args = more.clone();
        args["documentId"] = json!(id);
        assert_eq!(write(&team, &team.ben, &args).unwrap(), id);
        let row = team.board.row("documents", &id);
        assert_eq!(row["version"], version, "{more}");
        assert_eq!(row.get("taskId").is_some(), attached, "{more}");
        assert_eq!(row["authorId"], json!(team.ada), "the author stays");
        let happened = &team.board.look("activities:list", json!({"limit": 1})).unwrap()[0];
        assert_eq!(happened["type"], "document_updated");
        assert_eq!(happened["meta"], json!({"versionIncrement": increment, "newVersion": version}), "{more}");
    }
    team.board.edit("documents", &id, json!({"deletedAt": 5.0, "kind": "folder"}));
    write(&team, &team.ada, &json!({"documentId": id})).unwrap();
    assert_eq!(team.board.row("documents", &id)["deletedAt"], 5.0, "deleted ones stay so");
}

#[test]
fn documents_are_listed_last_changed_first() {
    let team = Team::new();
    let (task, other) = (team.task("inbox", &[]), team.task("inbox", &[]));
    let write_row = |more: Value| {
        let mut row = json!({
            "accountId": team.board.account, "authorType": "user", "authorId": "user_dana", "createdAt": 1.0,
        });
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        team.board.engine.write_row("documents", row).unwrap()
    };
    write_row(json!({"updatedAt": 3.0, "title": "title", "name": "name", "type": "note", "taskId": task}));
    write_row(json!({"updatedAt": 5.0, "title": "title"}));
    write_row(json!({"updatedAt": 4.0, "kind": "folder"}));
    write_row(json!({"updatedAt": 9.0, "title": "deleted", "deletedAt": 1.0, "taskId": task}));
    let elsewhere = write_row(json!({"updatedAt": 8.0, "title": "elsewhere"}));
    team.board.foreign("documents", &elsewhere);
    team.board.edit("documents", &elsewhere, json!({"deletedAt": 2.0}));
    write_row(json!({"updatedAt": 2.0, "title": "other", "type": "note", "taskId": other}));
    let list = |args: Value| team.board.service("listDocumentsForAgent", args).unwrap()["documents"].clone();
    let titles = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|row| row["title"].as_str().unwrap().to_owned()).collect()
    };
    let all = list(json!({}));
    assert_eq!(titles(&all), ["title", "Untitled", "name", "other"]);
    assert_eq!(all[1].as_object().unwrap().len(), 3, "no type and no task: absent");
    let rows = [
        (json!({"type": "note"}), vec!["name", "other"]),
        (json!({"taskId": task}), vec!["name"]),
        (json!({"taskId": task, "type": "reference"}), vec![]),
        (json!({"taskId": team.board.foreign("tasks", &task)}), vec![]),
        (json!({"taskId": missing_id(&task)}), vec![]),
        (json!({"limit": 1}), vec!["title"]),
        (json!({"limit": 2.9}), vec!["title", "Untitled"]),
        (json!({"limit": 0}), vec!["title"]),
        (json!({"limit": -8}), vec!["title"]),
        (json!({"limit": 1e6}), vec!["title", "Untitled", "name", "other"]),
    ];
    for (args, expected) in rows {
        assert_eq!(titles(&list(args.clone())), expected, "{args}");
    }
}

#[test]
fn documents_of_a_type_are_found_behind_many_others() {
    // D20: the original reads twice the limit and filters afterwards.
    for (original, found) in [(false, 3), (true, 0)] {
        let team = Team::with(Options { original, ..Options::default() });
        for (count, kind) in [(3, "template"), (30, "note")] {
            for _ in 0..count {
                write(&team, &team.ada, &json!({"type": kind})).unwrap();
            }
        }
        let answer = team.board.service("listDocumentsForAgent", json!({"type": "template", "limit": 5}));
        assert_eq!(answer.unwrap()["documents"].as_array().unwrap().len(), found, "{original}");
    }
}
