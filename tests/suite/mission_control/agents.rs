//! A person creates, changes and removes agents (backend-contract §3.2, §8).

use mission_control_runtime::local::Options;
use serde_json::{Value, json};

use super::board::Board;
use super::seeds::refusal;

fn create(board: &Board, slug: &str, more: Value) -> Result<Value, String> {
    let Value::Object(more) = more else { panic!("fields come as an object") };
    let mut args = json!({"name": "Ada", "slug": slug, "role": "Engineer"});
    args.as_object_mut().unwrap().extend(more);
    board.person("agents:create", args)
}

fn change(board: &Board, id: &Value, mut args: Value) -> Result<Value, String> {
    args["agentId"] = id.clone();
    board.person("agents:update", args)
}

fn get(board: &Board, id: &Value) -> Value {
    board.look("agents:get", json!({"agentId": id})).unwrap()
}

fn shared_flags() -> Value {
    json!({
        "canCreateTasks": false, "canModifyTaskStatus": true, "canCreateDocuments": true, "canMentionAgents": true,
        "canReviewTasks": false, "canMarkDone": false,
    })
}

#[test]
fn a_new_agent_has_the_defaults_of_the_contract() {
    let board = Board::new();
    let id = create(&board, "ada", json!({})).unwrap();
    let agent = get(&board, &id);
    assert_eq!(
        agent["openclawConfig"],
        json!({
            "model": "minimax-m2.5", "temperature": 0.7, "maxTokens": 4096.0, "skillIds": [],
            "contextConfig": {"maxHistoryMessages": 50.0, "includeTaskContext": true, "includeTeamContext": true},
            "behaviorFlags": shared_flags(),
        })
    );
    assert_eq!((&agent["status"], &agent["heartbeatInterval"]), (&json!("offline"), &json!(15.0)));
    assert!(agent["soulContent"].as_str().unwrap().starts_with("# SOUL: Ada"), "§3.2.2: made at creation");
    assert_eq!(board.look("agents:list", json!({})).unwrap(), json!([agent]));
    let happened = board.look("activities:list", json!({})).unwrap();
    assert_eq!(happened[0]["type"], "agent_status_changed");
    assert_eq!(happened[0]["meta"], json!({"action": "created", "status": "offline"}));

    let given = json!({
        "description": "Builds", "heartbeatInterval": -3.5, "icon": "x", "soulContent": "Be.", "identityContent": "I",
        "openclawConfig": {"model": "gpt-5-nano", "maxTokens": null, "rateLimits": {"requestsPerMinute": 3}},
    });
    let agent = get(&board, &create(&board, "eve", given).unwrap());
    assert_eq!((&agent["soulContent"], &agent["heartbeatInterval"]), (&json!("Be."), &json!(-3.5)), "D29");
    assert_eq!(agent["openclawConfig"].get("maxTokens"), None);
    assert_eq!(agent["openclawConfig"]["model"], "gpt-5-nano");
    assert_eq!(agent["openclawConfig"]["temperature"], 0.7, "an absent argument has the default");
}

#[test]
fn the_accounts_defaults_override_ours_and_arguments_override_both() {
    let board = Board::new();
    let mut flags = shared_flags();
    flags["canCreateTasks"] = json!(true);
    let defaults = json!({
        "model": "kimi-k2.5", "temperature": 0, "maxHistoryMessages": 12, "behaviorFlags": flags,
        "rateLimits": {"tokensPerDay": 5},
    });
    board.person("accounts:updateSettings", json!({"agentDefaults": defaults})).unwrap();
    let id = create(&board, "ada", json!({"openclawConfig": {"temperature": 1.5}})).unwrap();
    let config = get(&board, &id)["openclawConfig"].clone();
    assert_eq!((&config["model"], &config["temperature"]), (&json!("kimi-k2.5"), &json!(1.5)));
    assert_eq!((&config["maxTokens"], &config["behaviorFlags"]), (&json!(4096.0), &flags));
    // D33: the value is in the part that the schema defines.
    assert_eq!(config["contextConfig"]["maxHistoryMessages"], 12.0);
    assert!(config.get("maxHistoryMessages").is_none() && config.get("rateLimits").is_none());

    // The original's own schema refuses every new agent from now on.
    let original = Board::with(Options { original: true, ..Options::default() });
    create(&original, "before", json!({})).unwrap();
    let defaults = json!({"agentDefaults": {"maxHistoryMessages": 12}});
    original.person("accounts:updateSettings", defaults).unwrap();
    assert!(refusal(create(&original, "after", json!({}))).contains("extra field `maxHistoryMessages`"));
    assert_eq!(original.rows("agents").len(), 1);
}

#[test]
fn an_update_changes_only_the_given_fields() {
    let board = Board::new();
    let id =
        create(&board, "ada", json!({"description": "Builds", "icon": "x", "identityContent": "I"})).unwrap();
    let before = get(&board, &id);
    assert_eq!(change(&board, &id, json!({})).unwrap(), json!({"success": true}));
    assert_eq!(get(&board, &id), before);
    let skill = board.person("skills:create", json!({"name": "Sail", "slug": "sail"})).unwrap();
    change(
        &board,
        &id,
        json!({
            "name": "Ben", "role": "QA", "description": null, "icon": null, "identityContent": null,
            "soulContent": "New", "heartbeatInterval": 5,
            "openclawConfig": {
                "skillIds": [skill], "temperature": 2, "systemPromptPrefix": "Hm.", "contextConfig": null,
                "behaviorFlags": shared_flags(),
            },
        }),
    )
    .unwrap();
    let after = get(&board, &id);
    for gone in ["description", "icon", "identityContent"] {
        assert_eq!(after.get(gone), None, "{gone}");
    }
    assert_eq!(
        (&after["name"], &after["slug"], &after["role"]),
        (&json!("Ben"), &json!("ada"), &json!("QA"))
    );
    let config = &after["openclawConfig"];
    assert_eq!((&config["temperature"], &config["model"]), (&json!(2.0), &json!("minimax-m2.5")));
    assert_eq!((&config["skillIds"], config.get("contextConfig")), (&json!([skill]), None));

    let newest = board.look("activities:list", json!({})).unwrap()[0].clone();
    assert_eq!((&newest["meta"]["action"], &newest["targetName"]), (&json!("updated"), &json!("Ben")));

    // A skill of the agent may be disabled later, and remains the agent's.
    board.person("skills:update", json!({"skillId": skill, "isEnabled": false})).unwrap();
    change(&board, &id, json!({"openclawConfig": {"skillIds": [skill]}})).unwrap();
    let new = create(&board, "new", json!({"openclawConfig": {"skillIds": [skill]}}));
    assert_eq!(refusal(new), format!("Invalid skill: {} is not enabled", skill.as_str().unwrap()));
}

/// §6: agents authenticate with their session keys. So no key is issued twice, even if a slug moves to another agent
/// or a removed agent is replaced.
#[test]
fn a_session_key_is_never_issued_to_another_agent() {
    let board = Board::new();
    let task = board.person("tasks:create", json!({"title": "Sail"})).unwrap();
    let mut seen = std::collections::HashSet::new();
    let mut fresh = |agent: &Value| {
        let list = board.service("listAgents", json!({})).unwrap();
        let own =
            list.as_array().unwrap().iter().find(|row| row["_id"] == *agent).unwrap()["systemSessionKey"]
                .clone();
        board.person("tasks:assign", json!({"taskId": task, "assignedAgentIds": [agent]})).unwrap();
        let notification =
            board.rows("notifications").into_iter().rfind(|row| row["recipientId"] == *agent).unwrap();
        let context = board
            .service("getNotificationForDelivery", json!({"notificationId": notification["_id"]}))
            .unwrap();
        assert!(seen.insert(own.clone()), "{own} again");
        assert!(
            seen.insert(context["deliverySessionKey"].clone()),
            "{} again",
            context["deliverySessionKey"]
        );
    };
    let ada = create(&board, "ada", json!({})).unwrap();
    fresh(&ada);
    change(&board, &ada, json!({"slug": "ada-2"})).unwrap();
    assert_eq!(get(&board, &ada)["slug"], "ada-2");
    fresh(&ada);
    let other = create(&board, "ada", json!({})).unwrap();
    fresh(&other);
    board.person("agents:remove", json!({"agentId": other})).unwrap();
    fresh(&create(&board, "ada", json!({})).unwrap());
    change(&board, &ada, json!({"slug": "ada-3"})).unwrap();
    change(&board, &ada, json!({"slug": "ada-2"})).unwrap();
    fresh(&ada);
    // An unchanged slug is not a change.
    let key = || board.service("listAgents", json!({})).unwrap()[0]["systemSessionKey"].clone();
    let before = key();
    change(&board, &ada, json!({"slug": "ada-2"})).unwrap();
    assert_eq!(key(), before);
}

#[test]
fn agents_have_limits() {
    let board = Board::new();
    let ada = create(&board, "ada", json!({})).unwrap();
    let ben = create(&board, "ben", json!({})).unwrap();
    let foreign = board.foreign("agents", ada.as_str().unwrap());
    let skill = board.person("skills:create", json!({"name": "Sail", "slug": "sail"})).unwrap();
    let foreign_skill = board.foreign("skills", skill.as_str().unwrap());
    let config = |config: Value| change(&board, &ben, json!({"openclawConfig": config}));
    let names = |names: Value| {
        let mut flags = shared_flags();
        flags["requiresApprovalForActions"] = names;
        change(&board, &ben, json!({"openclawConfig": {"behaviorFlags": flags}}))
    };
    let sources = json!({
        "maxHistoryMessages": 1, "includeTaskContext": true, "includeTeamContext": true,
        "customContextSources": ["x".repeat(201)],
    });
    let slug = "Invalid slug: only lower-case letters, digits and hyphens, at most 64";
    let taken = "Conflict: Agent slug already exists in this account";
    let tokens = "maxTokens must be a whole number between 1 and 128000";
    let foreign_text = format!("Invalid skill: {foreign_skill} does not belong to account");
    let rows = [
        (create(&board, "ada", json!({})), taken),
        (change(&board, &ben, json!({"slug": "ada"})), taken),
        (create(&board, "Ada", json!({})), slug),
        (create(&board, "a b", json!({})), slug),
        (create(&board, "", json!({})), slug),
        (change(&board, &ben, json!({"slug": "a/b"})), slug),
        (create(&board, "new", json!({"name": " "})), "Invalid name: must not be blank"),
        (
            create(&board, "new", json!({"identityContent": "x".repeat(50_001)})),
            "identityContent too long (max 50000 characters)",
        ),
        (config(json!({"temperature": -0.1})), "temperature must be between 0 and 2"),
        (config(json!({"maxTokens": 0})), tokens),
        (config(json!({"maxTokens": 128_001})), tokens),
        (config(json!({"maxTokens": 10.5})), tokens),
        (
            config(json!({"model": "x"})),
            "Invalid model: x (known models: minimax-m2.5, claude-haiku-4.5, kimi-k2.5, gpt-5-nano)",
        ),
        (
            config(json!({"systemPromptPrefix": "x".repeat(4_001)})),
            "systemPromptPrefix too long (max 4000 characters)",
        ),
        (config(json!({"skillIds": [foreign_skill]})), foreign_text.as_str()),
        (
            config(json!({"contextConfig": sources})),
            "customContextSources has an entry that is too long (max 200 characters)",
        ),
        (names(json!(vec!["x"; 21])), "requiresApprovalForActions has too many entries (max 20)"),
        (change(&board, &json!(foreign), json!({})), "Forbidden: Agent belongs to different account"),
        (
            board.person("agents:remove", json!({"agentId": foreign})),
            "Forbidden: Agent belongs to different account",
        ),
    ];
    for (answer, expected) in rows {
        assert_eq!(refusal(answer), expected);
    }
    names(json!(vec!["x".repeat(200); 20])).unwrap();
    assert_eq!(board.look("agents:get", json!({"agentId": foreign})).unwrap(), Value::Null);
    assert_eq!(board.look("agents:list", json!({})).unwrap().as_array().unwrap().len(), 2);

    // The original only checks whether the slug is free.
    let original = Board::with(Options { original: true, ..Options::default() });
    create(&original, "../Ada B", json!({})).unwrap();
    assert_eq!(refusal(create(&original, "../Ada B", json!({}))), taken);
}

/// A board where an agent is referenced everywhere: orchestrator, assignee, recipient, follower, with sessions.
fn everywhere(options: Options) -> (Board, Value, String) {
    let board = Board::with(options);
    let ada = create(&board, "ada", json!({})).unwrap();
    let id = ada.as_str().unwrap().to_owned();
    let ben = create(&board, "ben", json!({})).unwrap();
    board.person("accounts:updateSettings", json!({"orchestratorAgentId": ada})).unwrap();
    let task = board.person("tasks:create", json!({"title": "Sail"})).unwrap();
    board.person("tasks:assign", json!({"taskId": task, "assignedAgentIds": [ada, ben]})).unwrap();
    let task = task.as_str().unwrap().to_owned();
    board.says(&id, &task, "I am here");
    for notification in board.rows("notifications") {
        let args = json!({"notificationId": notification["_id"]});
        board.service("getNotificationForDelivery", args).unwrap();
    }
    board.service("listAgents", json!({})).unwrap();
    (board, ada, task)
}

fn counts(board: &Board, agent: &Value) -> [usize; 3] {
    let of = |table: &str, field: &str| {
        let rows = board.rows(table);
        rows.iter().filter(|row| row[field] == *agent && row.get("closedAt").is_none()).count()
    };
    [
        of("notifications", "recipientId"),
        of("subscriptions", "subscriberId"),
        of("agentRuntimeSessions", "agentId"),
    ]
}

#[test]
fn a_removed_agent_leaves_every_list() {
    for original in [false, true] {
        let (board, ada, task) = everywhere(Options { original, ..Options::default() });
        let [notified, follows, sessions] = counts(&board, &ada);
        assert!(notified > 0 && follows > 0 && sessions > 0, "{notified} {follows} {sessions}");
        let ben = board.rows("agents")[1]["_id"].clone();
        let of_ben = counts(&board, &ben);
        board.person("agents:remove", json!({"agentId": ada})).unwrap();

        assert_eq!(board.row("accounts", &board.account)["settings"].get("orchestratorAgentId"), None);
        let row = board.row("tasks", &task);
        assert_eq!((&row["assignedAgentIds"], &row["status"]), (&json!([ben]), &json!("assigned")));
        // D32: the original leaves the sessions open.
        assert_eq!(counts(&board, &ada), [0, 0, if original { sessions } else { 0 }]);
        assert_eq!(counts(&board, &ben), of_ben);
        assert_eq!(get(&board, &ada), Value::Null);
        assert_eq!(board.rows("messages").len(), 1, "its messages stay");
        let thread = board.look("messages:listByTask", json!({"taskId": task})).unwrap();
        assert_eq!(thread[0]["authorName"], Value::Null);
        let again = board.person("agents:remove", json!({"agentId": ada}));
        assert_eq!(refusal(again), "Not found: Agent does not exist");
    }
}
