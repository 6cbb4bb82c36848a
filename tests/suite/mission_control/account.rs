//! The account, its token, its skills and its documents, as people manage them (backend-contract §2.33, §2.34, §3.6,
//! §3.7, §8).

use mission_control_runtime::local::{Caller, Kind, Options, Owner};
use serde_json::{Value, json};

use super::board::Board;
use super::seeds::refusal;

fn settings(board: &Board) -> Value {
    board.look("accounts:get", json!({})).unwrap()["settings"].clone()
}

fn choose(board: &Board, args: Value) -> Result<Value, String> {
    board.person("accounts:updateSettings", args)
}

fn flags() -> Value {
    json!({
        "canCreateTasks": true, "canModifyTaskStatus": true, "canCreateDocuments": true, "canMentionAgents": true,
        "canReviewTasks": false, "canMarkDone": false,
    })
}

#[test]
fn settings_are_merged_by_key() {
    let board = Board::new();
    let lead = board.agent("lead", "Lead", "Orchestrator", json!({}));
    let preferences =
        json!({"taskUpdates": true, "agentActivity": false, "emailDigest": false, "memberUpdates": true});
    let steps = [
        json!({"theme": "dark"}),
        json!({"userMd": "We sail."}),
        json!({"notificationPreferences": preferences}),
        json!({"agentDefaults": {"model": "kimi-k2.5", "temperature": 0.2}}),
        json!({"orchestratorAgentId": lead}),
    ];
    for step in &steps {
        assert_eq!(choose(&board, step.clone()).unwrap(), json!({"success": true}));
    }
    let mut expected = json!({});
    for step in &steps {
        expected.as_object_mut().unwrap().extend(step.as_object().unwrap().clone());
    }
    assert_eq!(settings(&board), expected);

    // The defaults for agents are replaced as a whole. `null` unsets the orchestrator.
    choose(&board, json!({"agentDefaults": {"maxTokens": 100}, "orchestratorAgentId": null})).unwrap();
    expected["agentDefaults"] = json!({"maxTokens": 100.0});
    expected.as_object_mut().unwrap().remove("orchestratorAgentId");
    assert_eq!(settings(&board), expected);

    let happened = board.look("activities:list", json!({})).unwrap();
    assert_eq!(happened[0]["type"], "account_updated");
    assert_eq!(happened[0]["meta"], json!({"changedFields": ["agentDefaults", "orchestratorAgentId"]}));
    assert_eq!(
        happened.as_array().unwrap().len(),
        steps.len() + 2,
        "one for each step, and those of the setup"
    );
}

#[test]
fn settings_have_limits() {
    let board = Board::new();
    let lead = board.agent("lead", "Lead", "Orchestrator", json!({}));
    let foreign = board.foreign("agents", &lead);
    let task = board.task(json!({}));
    let foreign_task = board.foreign("tasks", &task);
    let gone = format!("js{}", "0".repeat(30));
    let rows = [
        (json!({"userMd": "ä".repeat(50_001)}), "userMd too long (max 50000 characters)".to_owned()),
        (
            json!({"orchestratorAgentId": foreign}),
            format!("Invalid agent: {foreign} does not belong to account"),
        ),
        (json!({"orchestratorAgentId": gone}), format!("Invalid agent: {gone} does not belong to account")),
        (
            json!({"orchestratorChatTaskId": foreign_task}),
            "Forbidden: Task belongs to different account".to_owned(),
        ),
        (json!({"agentDefaults": {"temperature": 2.1}}), "temperature must be between 0 and 2".to_owned()),
        (
            json!({"agentDefaults": {"maxTokens": 1.5}}),
            "maxTokens must be a whole number between 1 and 128000".to_owned(),
        ),
        (
            json!({"agentDefaults": {"model": "gpt-99"}}),
            "Invalid model: gpt-99 (known models: minimax-m2.5, claude-haiku-4.5, kimi-k2.5, gpt-5-nano)"
                .to_owned(),
        ),
        (
            json!({"agentDefaults": {"maxHistoryMessages": {"$float": "AAAAAAAA8H8="}}}),
            "agentDefaults: every number must be finite".to_owned(),
        ),
        (json!({"theme": 1}), "ArgumentValidationError: Value does not match validator.".to_owned()),
        (
            json!({"orchestratorAgentId": task}),
            format!(
                "ArgumentValidationError: Found ID \"{task}\" from table `tasks`, which does not match the table name in \
                 validator `v.id(\"agents\")`."
            ),
        ),
    ];
    for (args, expected) in rows {
        assert_eq!(refusal(choose(&board, args)), expected);
    }
    let half = json!({"agentDefaults": {"behaviorFlags": {"canMarkDone": true}}});
    assert!(refusal(choose(&board, half)).contains("missing the required field `canCreateTasks`"));
    assert_eq!(settings(&board), json!({}), "no refused change is stored");
    choose(&board, json!({"userMd": "ä".repeat(50_000), "agentDefaults": {"behaviorFlags": flags()}}))
        .unwrap();
}

#[test]
fn people_see_accounts_without_their_tokens() {
    let board = Board::new();
    let (other, _) = board
        .engine
        .create_account("Other", "other", Owner { user_id: "u", name: "Eve", email: "e@example.com" })
        .unwrap();
    let listed = board.call(Kind::Query, "accounts:list", &json!({})).unwrap();
    let ids: Vec<&Value> = listed.as_array().unwrap().iter().map(|account| &account["_id"]).collect();
    assert_eq!(ids, [&json!(board.account), &json!(other)]);
    let hash = board.row("accounts", &board.account)["serviceTokenHash"].as_str().unwrap().to_owned();
    let one = board.look("accounts:get", json!({})).unwrap();
    assert_eq!(one, listed[0]);
    assert_eq!(one["hasServiceToken"], true);
    assert!(!listed.to_string().contains(&hash) && one.get("serviceTokenHash").is_none());
    let members = board.look("memberships:list", json!({})).unwrap();
    assert_eq!((&members[0]["userName"], &members[0]["role"]), (&json!("Dana Reyes"), &json!("owner")));
    // accounts:list has no account argument.
    assert!(board.look("accounts:list", json!({})).unwrap_err().contains("extra field `accountId`"));
}

#[test]
fn functions_for_people_refuse_other_callers() {
    let board = Board::new();
    let args = json!({"accountId": board.account});
    let gone = json!({"accountId": format!("k1{}", "0".repeat(30))});
    let rows = [
        (Kind::Query, "accounts:list", json!({}), "Unauthenticated: No valid identity found"),
        (Kind::Query, "agents:list", args.clone(), "Unauthenticated: No valid identity found"),
        (Kind::Mutation, "accounts:updateSettings", args.clone(), "Unauthenticated: No valid identity found"),
        // §2.33
        (Kind::Action, "service/actions:provisionServiceToken", args, "Unauthorized: Must be authenticated"),
    ];
    for (kind, path, args, expected) in rows {
        let (_, answer) = board.engine.call(kind, path, &args, Caller::Stranger, "0123456789abcdef");
        assert!(answer["errorMessage"].as_str().unwrap().contains(expected), "{path}: {answer}");
    }
    let why = refusal(board.call(Kind::Action, "service/actions:provisionServiceToken", &gone));
    assert_eq!(why, "Not found: Account does not exist");
}

#[test]
fn a_new_token_replaces_the_old_one() {
    let mut board = Board::new();
    let args = json!({"accountId": board.account});
    let answer = board.call(Kind::Action, "service/actions:provisionServiceToken", &args).unwrap();
    let token = answer["token"].as_str().unwrap().to_owned();
    assert!(token.starts_with(&format!("mc_service_{}_", board.account)) && token != board.token);
    assert_eq!(refusal(board.service("listAgents", json!({}))), "Invalid service token");
    board.token = token;
    assert_eq!(board.service("listAgents", json!({})).unwrap(), json!([]));
}

#[test]
fn a_synchronized_token_must_name_the_account() {
    let mut board = Board::new();
    let sync = |board: &Board, token: &str| {
        let args = json!({"accountId": board.account, "serviceToken": token});
        board.call(Kind::Action, "service/actions:syncServiceToken", &args)
    };
    let (other, _) = board
        .engine
        .create_account("Other", "other", Owner { user_id: "u", name: "Eve", email: "e@example.com" })
        .unwrap();
    let account = board.account.clone();
    let long = format!("mc_service_{account}_{}", "x".repeat(512));
    let rows = [
        ("token".to_owned(), "Invalid service token format"),
        ("mc_service_".to_owned(), "Invalid service token structure"),
        (format!("mc_service_{account}"), "Invalid service token structure"),
        (format!("mc_service_{account}_"), "Invalid service token structure"),
        (format!("mc_service_{other}_secret"), "Forbidden: Service token does not match account"),
        (long, "Invalid service token"),
    ];
    for (token, expected) in rows {
        let why = sync(&board, &token).unwrap_err();
        assert!(token.len() < 12 || !why.contains(&token), "{why}");
        assert_eq!(refusal(Err(why)), expected);
    }
    let own = format!("mc_service_{account}_my_own_secret");
    assert_eq!(sync(&board, &format!(" {own}\n")).unwrap(), json!({"success": true}));
    board.token = own;
    assert_eq!(board.service("listAgents", json!({})).unwrap(), json!([]));
}

#[test]
fn skills_are_created_changed_and_removed() {
    let board = Board::new();
    let create = |args: Value| board.person("skills:create", args);
    let id = create(json!({"name": "Sailing", "slug": "sailing", "contentMarkdown": "Wind."})).unwrap();
    let id = id.as_str().unwrap();
    let skill = board.row("skills", id);
    let defaults = (&skill["category"], &skill["isEnabled"], &skill["config"]);
    assert_eq!(defaults, (&json!("custom"), &json!(true), &json!({})));

    let agent = board.person(
        "agents:create",
        json!({"name": "Ada", "slug": "ada", "role": "Sailor", "openclawConfig": {"skillIds": [id]}}),
    );
    let agent = agent.unwrap();
    let taught = || board.service("listAgentsForRuntime", json!({})).unwrap()[0]["resolvedSkills"].clone();
    assert_eq!(taught()[0]["slug"], "sailing");
    let change = |args: Value| {
        let mut args = args;
        args["skillId"] = json!(id);
        board.person("skills:update", args)
    };
    board.advance(1_000);
    change(json!({"isEnabled": false})).unwrap();
    assert_eq!(taught(), json!([]));
    change(json!({
        "isEnabled": true, "name": "Rowing", "slug": "rowing", "category": "tool", "contentMarkdown": null,
        "config": {"authType": "api_key", "credentialRef": "ROWING_KEY", "rateLimit": 5}, "description": "Arms",
    }))
    .unwrap();
    let row = board.row("skills", id);
    assert_eq!(
        row["config"],
        json!({"authType": "api_key", "credentialRef": "ROWING_KEY", "rateLimit": 5.0})
    );
    assert_eq!((&row["slug"], row.get("contentMarkdown")), (&json!("rowing"), None));
    assert!(row["updatedAt"].as_f64() > row["createdAt"].as_f64());

    board.person("skills:remove", json!({"skillId": id})).unwrap();
    assert_eq!(board.look("skills:list", json!({})).unwrap(), json!([]));
    assert_eq!(board.row("agents", agent.as_str().unwrap())["openclawConfig"]["skillIds"], json!([]));
    assert_eq!(refusal(change(json!({"name": "x"}))), "Not found: Skill does not exist");
}

#[test]
fn skills_have_limits() {
    let board = Board::new();
    let sailing = board.person("skills:create", json!({"name": "Sailing", "slug": "sailing"})).unwrap();
    let foreign = board.foreign("skills", sailing.as_str().unwrap());
    let rowing = board.person("skills:create", json!({"name": "Rowing", "slug": "rowing"})).unwrap();
    let new = |slug: &str, content: &str| {
        board.person("skills:create", json!({"name": "New", "slug": slug, "contentMarkdown": content}))
    };
    let change = |id: &Value, args: Value| {
        let mut args = args;
        args["skillId"] = id.clone();
        board.person("skills:update", args)
    };
    let too_much = "contentMarkdown exceeds maximum length (524288 bytes). Got 524290 bytes.";
    let bad_slug = "Invalid slug: only lower-case letters, digits and hyphens, at most 64";
    let taken = "Conflict: Skill slug already exists in this account";
    let rows = [
        // bytes, not characters
        (new("big", &"é".repeat(262_145)), too_much),
        (new("sailing", ""), taken),
        (new("../etc", ""), bad_slug),
        (new("", ""), bad_slug),
        (new(&"a".repeat(65), ""), bad_slug),
        (change(&rowing, json!({"slug": "sailing"})), taken),
        (change(&rowing, json!({"contentMarkdown": "é".repeat(262_145)})), too_much),
        (change(&rowing, json!({"name": " "})), "Invalid name: must not be blank"),
        (change(&json!(foreign), json!({"name": "x"})), "Forbidden: Skill belongs to different account"),
    ];
    for (answer, expected) in rows {
        assert_eq!(refusal(answer), expected);
    }
    new("exactly", &"é".repeat(262_144)).unwrap();
    change(&rowing, json!({"slug": "rowing", "name": "Rowing again"})).unwrap();

    // The original accepts any text.
    let original = Board::with(Options { original: true, ..Options::default() });
    original.person("skills:create", json!({"name": "Odd", "slug": "../Odd"})).unwrap();
}

#[test]
fn documents_are_created_changed_and_deleted() {
    let board = Board::new();
    let task = board.task(json!({}));
    let create = |args: Value| board.person("documents:create", args).unwrap().as_str().unwrap().to_owned();
    let id = create(json!({"title": "Plan", "content": "One", "type": "note", "taskId": task}));
    let get = |id: &str| board.look("documents:get", json!({"documentId": id})).unwrap();
    let change = |args: Value| {
        let mut args = args;
        args["documentId"] = json!(id);
        board.person("documents:update", args)
    };
    assert_eq!((&get(&id)["authorId"], &get(&id)["version"]), (&json!("user_dana"), &json!(1.0)));
    change(json!({"content": "Two"})).unwrap();
    change(json!({"title": "The plan", "content": "Two"})).unwrap();
    assert_eq!(
        (&get(&id)["version"], &get(&id)["taskId"]),
        (&json!(2.0), &json!(task)),
        "only other words count"
    );
    change(json!({"taskId": null, "type": "template"})).unwrap();
    assert_eq!((get(&id).get("taskId"), &get(&id)["type"]), (None, &json!("template")));

    let other = create(json!({"title": "Other", "content": "x", "type": "note"}));
    let list = |args: Value| {
        let listed = board.look("documents:list", args).unwrap();
        assert!(!listed.to_string().contains("content"), "{listed}");
        let title = |row: &Value| row["title"].as_str().unwrap().to_owned();
        listed.as_array().unwrap().iter().map(title).collect::<Vec<_>>()
    };
    assert_eq!(list(json!({})), ["Other", "The plan"]);
    assert_eq!(list(json!({"type": "template"})), ["The plan"]);
    assert_eq!(list(json!({"taskId": task})), [] as [&str; 0]);

    board.person("documents:remove", json!({"documentId": id})).unwrap();
    assert_eq!((list(json!({})), get(&id)), (vec!["Other".to_owned()], Value::Null));
    assert!(board.row("documents", &id)["deletedAt"].is_f64(), "the row stays");
    assert_eq!(refusal(change(json!({"title": "x"}))), "Not found: Document does not exist");
    let happened = board.look("activities:list", json!({})).unwrap();
    let kinds: Vec<&Value> = happened.as_array().unwrap().iter().map(|row| &row["type"]).collect();
    let expected = ["deleted", "created", "updated", "updated", "updated", "created"];
    assert_eq!(
        kinds[..6].iter().map(|kind| kind.as_str().unwrap()).collect::<Vec<_>>(),
        expected.map(|what| format!("document_{what}"))
    );

    let foreign = board.foreign("documents", &other);
    let foreign_task = board.foreign("tasks", &task);
    let new = |title: String, content: String, task: &str| {
        board.person(
            "documents:create",
            json!({"title": title, "content": content, "type": "note", "taskId": task}),
        )
    };
    let rows = [
        (new("t".repeat(2_001), String::new(), &task), "Title too long (max 2000 characters)"),
        (new(String::new(), "c".repeat(1_000_001), &task), "Content too long (max 1000000 characters)"),
        (new(String::new(), "é".repeat(600_000), &task), "Value is too large (maximum size 1 MiB)"),
        (new("t".into(), "c".into(), &foreign_task), "Forbidden: Task belongs to different account"),
        (
            board.person("documents:update", json!({"documentId": foreign, "title": "x"})),
            "Forbidden: Document belongs to different account",
        ),
    ];
    for (answer, expected) in rows {
        assert_eq!(refusal(answer), expected);
    }
    assert_eq!(get(&foreign), Value::Null);
}

#[test]
fn reference_documents_and_user_md_reach_the_agents() {
    let board = Board::new();
    let agent = board.agent("ada", "Ada", "Engineer", json!({}));
    let task = board.task(json!({"assignedAgentIds": [agent]}));
    let notification = board.notification(&agent, json!({"taskId": task}));
    let doc = || {
        let args = json!({"notificationId": notification});
        board.service("getNotificationForDelivery", args).unwrap()["repositoryDoc"].clone()
    };
    assert_eq!(doc(), Value::Null);
    let title = "Repository \u{2014} Primary";
    let args = json!({"title": title, "content": "In the harbour.", "type": "reference"});
    let id = board.person("documents:create", args).unwrap();
    assert_eq!(doc(), json!({"title": title, "content": "In the harbour."}));
    board.person("documents:remove", json!({"documentId": id})).unwrap();
    assert_eq!(doc(), Value::Null, "a deleted document is omitted (contract D24)");
}
