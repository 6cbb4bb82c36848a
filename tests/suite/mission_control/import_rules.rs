//! An import applies the rules of the functions. It names every row that no function could have written, and imports
//! nothing then.

use mission_control_runtime::clock::SystemClock;
use mission_control_runtime::local::{Engine, Options};
use serde_json::{Value, json};

use super::copies::{self, Size, id};

fn engine() -> Engine {
    Engine::in_memory(Box::new(SystemClock), Options::default()).unwrap()
}

/// A small export with rows in most tables.
fn good() -> Value {
    let mut copy =
        copies::copy(Size { tasks: 3, agents: 2, messages: 4, documents: 2, waiting: 2, followers: 1 });
    let (account, at) = (id("k1", 0), 1_761_000_000_000.0);
    let row = |id: String, fields: Value| {
        let mut row = json!({"_id": id, "_creationTime": at, "accountId": account, "createdAt": at});
        row.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        row
    };
    let skill = json!({"name": "Sailing", "slug": "sailing", "category": "tool", "config": {}, "isEnabled": true,
        "updatedAt": at});
    copy["tables"]["skills"] = json!([row(id("kn", 0), skill)]);
    let activity = json!({"type": "task_created", "actorType": "user", "actorId": "user_owner",
        "actorName": "Owner", "targetType": "task", "targetId": id("kx", 0)});
    copy["tables"]["activities"] = json!([row(id("ac", 0), activity)]);
    let runtime = json!({"provider": "digitalocean", "providerId": "1", "ipAddress": "", "region": "",
        "openclawVersion": "", "runtimeServiceVersion": "", "dockerImageTag": "", "status": "online",
        "updatedAt": at});
    copy["tables"]["runtimes"] = json!([row(id("rt", 0), runtime)]);
    let session = json!({"agentId": id("js", 0), "sessionType": "system", "agentSlug": "agent-0",
        "generation": 1.0, "sessionKey": "system:x", "openedAt": at});
    let mut session = row(id("se", 0), session);
    session.as_object_mut().unwrap().remove("createdAt");
    copy["tables"]["agentRuntimeSessions"] = json!([session]);
    copy
}

/// The error for the import of this copy. The import must leave no rows.
fn refused(copy: &Value) -> String {
    let engine = engine();
    let why = engine.import(copy).expect_err("this should have been refused").to_string();
    for (name, rows) in engine.export().unwrap()["tables"].as_object().unwrap() {
        assert_eq!(rows, &json!([]), "{name} is half there: {why}");
    }
    why
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of rows, and what is said of each")]
fn a_row_that_no_function_could_write_is_refused_with_id_and_field() {
    let emoji = |count: usize| "\u{1f600}".repeat(count);
    let rows: Vec<(&str, &str, &str, Value, &str)> = vec![
        // Table, row, field, value, error.
        (
            "accounts",
            "k1",
            "runtimeStatus",
            json!("asleep"),
            "\"asleep\" is not one of provisioning, online, degraded",
        ),
        ("accounts", "k1", "plan", json!("gold"), "\"gold\" is not one of free, pro, enterprise"),
        (
            "accounts",
            "k1",
            "settings",
            json!({"userMd": emoji(25_001)}),
            "userMd too long (max 50000 characters)",
        ),
        (
            "accounts",
            "k1",
            "settings",
            json!({"agentDefaults": {"model": "gpt-99"}}),
            "Invalid model: gpt-99",
        ),
        (
            "accounts",
            "k1",
            "settings",
            json!({"agentDefaults": {"temperature": 3}}),
            "temperature must be between",
        ),
        (
            "accounts",
            "k1",
            "settings",
            json!({"agentDefaults": {"sails": 3}}),
            "Object contains extra field `sails`",
        ),
        ("memberships", "mb", "role", json!("captain"), "\"captain\" is not one of owner, admin, member"),
        ("memberships", "mb", "accountId", json!(id("k1", 9)), "no account has this id"),
        ("agents", "js", "slug", json!("../etc"), "Invalid slug: only lower-case letters"),
        ("agents", "js", "name", json!(" "), "Invalid name: must not be blank"),
        ("agents", "js", "status", json!("asleep"), "\"asleep\" is not one of online, busy, idle"),
        ("agents", "js", "identityContent", json!("x".repeat(50_001)), "identityContent too long (max 50000"),
        (
            "agents",
            "js",
            "openclawConfig",
            json!({"model": "m", "temperature": 0.7, "skillIds": []}),
            "Invalid model: m",
        ),
        ("agents", "js", "accountId", json!("k1"), "no account has this id"),
        ("tasks", "kx", "title", json!(emoji(1_001)), "Title too long (max 2000 characters)"),
        (
            "tasks",
            "kx",
            "description",
            json!("x".repeat(100_001)),
            "Description too long (max 100000 characters)",
        ),
        ("tasks", "kx", "status", json!("sunk"), "\"sunk\" is not one of inbox, assigned, in_progress"),
        (
            "tasks",
            "kx",
            "labels",
            json!(vec!["x".repeat(1_000); 1_100]),
            "Value is too large (maximum size 1 MiB)",
        ),
        ("tasks", "kx", "labels", json!("one"), "invalid type: string \"one\", expected a sequence"),
        ("tasks", "kx", "accountId", json!(id("k1", 1)), "no account has this id"),
        ("tasks", "kx", "assignedAgentIds", json!(["captain"]), "\"captain\" is not an id of agents"),
        (
            "messages",
            "kd",
            "content",
            json!("x".repeat(100_001)),
            "Message content too long (max 100000 characters)",
        ),
        ("messages", "kd", "authorType", json!("system"), "\"system\" is not one of user, agent"),
        ("messages", "kd", "taskId", json!(id("kx", 99)), "no task has this id"),
        ("messages", "kd", "createdAt", json!("today"), "invalid type: string \"today\", expected f64"),
        (
            "notifications",
            "jn",
            "type",
            json!("bell"),
            "\"bell\" is not one of mention, assignment, thread_update",
        ),
        ("notifications", "jn", "recipientType", json!("all"), "\"all\" is not one of user, agent"),
        ("notifications", "jn", "taskId", json!(id("kx", 99)), "no task has this id"),
        ("documents", "dc", "title", json!("x".repeat(2_001)), "Title too long (max 2000 characters)"),
        (
            "documents",
            "dc",
            "content",
            json!("x".repeat(1_000_001)),
            "Content too long (max 1000000 characters)",
        ),
        (
            "documents",
            "dc",
            "type",
            json!("poem"),
            "\"poem\" is not one of deliverable, note, template, reference",
        ),
        ("documents", "dc", "kind", json!("box"), "\"box\" is not one of file, folder"),
        ("skills", "kn", "slug", json!("Sail!"), "Invalid slug: only lower-case letters"),
        (
            "skills",
            "kn",
            "category",
            json!("art"),
            "\"art\" is not one of mcp_server, tool, integration, custom",
        ),
        (
            "skills",
            "kn",
            "contentMarkdown",
            json!("x".repeat(524_289)),
            "contentMarkdown exceeds maximum length",
        ),
        ("skills", "kn", "config", json!({"knots": 3}), "Object contains extra field `knots`"),
        ("subscriptions", "sb", "subscriberType", json!("all"), "\"all\" is not one of user, agent"),
        ("subscriptions", "sb", "taskId", json!(id("kx", 99)), "no task has this id"),
        ("activities", "ac", "actorType", json!("cat"), "\"cat\" is not one of user, agent, system"),
        ("agentRuntimeSessions", "se", "sessionType", json!("deck"), "\"deck\" is not one of task, system"),
        ("runtimes", "rt", "status", json!("asleep"), "\"asleep\" is not one of provisioning, online"),
        ("tasks", "kx", "_creationTime", json!(1e300), "it is after the year 2100"),
    ];
    for (table, prefix, field, value, expected) in rows {
        let mut copy = good();
        copy["tables"][table][0][field] = value;
        let why = refused(&copy);
        let row = id(prefix, 0);
        let begins = format!("the export is invalid (row {row} of {table}, field {field}: ");
        assert!(why.starts_with(&begins) && why.contains(expected), "{table}.{field}: {why}");
        assert!(why.len() < 500, "the error repeats only a part of the value: {table}.{field}");
    }
}

/// A change of an export.
type Change = fn(&mut Value);

#[test]
fn duplicates_of_unique_rows_are_refused() {
    fn twice(copy: &mut Value, table: &str, id: &str) {
        let mut row = copy["tables"][table][0].clone();
        row["_id"] = json!(id);
        copy["tables"][table].as_array_mut().unwrap().push(row);
    }
    let rows: [(Change, &str); 7] = [
        (
            |copy| copy["tables"]["agents"][0]["slug"] = json!("agent-1"),
            "field slug: Conflict: Agent slug already exists in this account",
        ),
        (
            |copy| twice(copy, "agentRuntimeSessions", &id("se", 7)),
            "field sessionKey: another session has this key",
        ),
        (|copy| twice(copy, "accounts", &id("k1", 7)), "field slug: Conflict: Account slug already exists"),
        (
            |copy| twice(copy, "skills", &id("kn", 7)),
            "field slug: Conflict: Skill slug already exists in this account",
        ),
        (
            |copy| twice(copy, "subscriptions", &id("sb", 7)),
            "field subscriberId: the task has another row with this value",
        ),
        (|copy| twice(copy, "runtimes", &id("rt", 7)), "field accountId: the account has another row"),
        (
            |copy| {
                for n in 0..2 {
                    copy["tables"]["messages"][n]["sourceNotificationId"] = json!(id("jn", 0));
                }
            },
            "field sourceNotificationId: another message has answered this notification",
        ),
    ];
    for (change, expected) in rows {
        let mut copy = good();
        change(&mut copy);
        let why = refused(&copy);
        assert!(why.contains(expected), "{expected}: {why}");
    }
}

#[test]
fn rows_may_not_refer_to_another_account() {
    let mut copy = good();
    let mut other = copy["tables"]["accounts"][0].clone();
    other["_id"] = json!(id("k1", 1));
    other["slug"] = json!("other");
    other.as_object_mut().unwrap().remove("settings");
    copy["tables"]["accounts"].as_array_mut().unwrap().push(other);
    assert!(engine().import(&copy).is_ok(), "two accounts are valid");
    for table in ["messages", "notifications", "subscriptions"] {
        let mut copy = copy.clone();
        copy["tables"][table][0]["accountId"] = json!(id("k1", 1));
        let why = refused(&copy);
        assert!(why.contains(", field taskId: the task belongs to another account"), "{table}: {why}");
    }
}

#[test]
fn rows_that_the_functions_allow_are_imported() {
    // The functions allow dangling ids, duplicate ids, agents' labels and any priority (contract §3.1, D26).
    let mut copy = good();
    let task = &mut copy["tables"]["tasks"][0];
    task["assignedAgentIds"] = json!([id("js", 0), id("js", 0), id("js", 77)]);
    task["labels"] = json!(vec!["a label ".repeat(40); 500]);
    task["priority"] = json!(-7.5);
    copy["tables"]["documents"][0]["taskId"] = json!(id("kx", 99));
    copy["tables"]["messages"][0]["authorId"] = json!("user_who_left");
    copy["tables"]["agents"][0]["currentTaskId"] = json!(id("kx", 99));
    let target = engine();
    target.import(&copy).unwrap_or_else(|why| panic!("{why}"));
    let out = target.export().unwrap();
    let again = engine();
    again.import(&out).unwrap_or_else(|why| panic!("{why}"));
    assert!(again.export().unwrap() == out);
}
