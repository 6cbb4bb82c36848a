//! The agents, as a runtime sees them: backend-contract §2.4–2.6, §2.27, §2.32.

use mission_control_runtime::model::{Agent, AgentProfile};
use serde_json::{Value, json};

use super::board::Board;
use super::seeds::refusal;

const NO_AGENT: &str = "js000000000000000000000000000000";

fn config(skills: &Value) -> Value {
    json!({"openclawConfig": {"model": "minimax-m2.5", "temperature": 0.7, "skillIds": skills}})
}

fn skill(board: &Board, slug: &str, enabled: bool) -> String {
    let row = json!({
        "accountId": board.account, "name": slug.to_uppercase(), "slug": slug, "category": "custom", "config": {},
        "isEnabled": enabled, "contentMarkdown": "# how", "createdAt": 1.0, "updatedAt": 1.0,
    });
    board.engine.write_row("skills", row).unwrap()
}

#[test]
fn agents_are_listed_with_sessions_and_flags() {
    let board = Board::new();
    let flags = json!({"model": "m", "temperature": 0.0, "skillIds": [], "behaviorFlags": {"canMarkDone": true, "requiresApprovalForActions": ["x"]}});
    let zoe = board.agent("zoe", "Zoe", "First", json!({"openclawConfig": flags, "status": "offline"}));
    let adam = board.agent("adam", "Adam", "Second", json!({"soulContent": "I am"}));
    board.set(json!({"agentDefaults": {"behaviorFlags": {"canCreateTasks": true, "canMarkDone": false}}}));
    let changes = || board.engine.wait_for_change(0, std::time::Duration::ZERO);
    let listed = board.service("listAgents", json!({})).unwrap();
    let before = changes();
    assert_eq!(board.service("listAgents", json!({})).unwrap(), listed);
    assert_eq!(changes(), before, "sessions are opened once");

    let mut expected = board.row("agents", &zoe);
    expected["systemSessionKey"] = json!(format!("system:agent:zoe:{}:v1", board.account));
    expected["effectiveBehaviorFlags"] = json!({
        "canCreateTasks": true, "canModifyTaskStatus": true, "canCreateDocuments": true, "canMentionAgents": true,
        "canReviewTasks": false, "canMarkDone": true, "requiresApprovalForActions": ["x"],
    });
    assert_eq!(listed[0], expected, "complete, in the order of their creation");
    assert_eq!(listed[1]["_id"], adam);
    assert_eq!(listed[1]["effectiveBehaviorFlags"]["canMarkDone"], false);
    assert_eq!(listed.as_array().unwrap().len(), 2);
    serde_json::from_value::<Vec<Agent>>(listed).unwrap();
}

#[test]
fn workspaces_have_texts_and_skills() {
    let board = Board::new();
    let (on, off) = (skill(&board, "on", true), skill(&board, "off", false));
    let foreign = board.foreign("skills", &on);
    let skills = json!([on, off, foreign, "kn000000000000000000000000000000", on, ""]);
    board.agent("zoe", "Zoe", "Builder", config(&skills));
    board.agent(
        "adam",
        "Adam",
        "Second",
        json!({"soulContent": "  I am\n", "identityContent": "\n \u{feff}"}),
    );
    let list = || board.service("listAgentsForRuntime", json!({})).unwrap();
    let listed = list();
    let resolved = json!({"_id": on, "name": "ON", "slug": "on", "contentMarkdown": "# how"});
    assert_eq!(listed[0]["resolvedSkills"], json!([resolved, resolved]));
    assert_eq!(listed[0]["openclawConfig"]["skillIds"], skills);
    assert!(listed[0]["effectiveSoulContent"].as_str().unwrap().starts_with("# SOUL: Zoe\n\nRole: Builder"));
    assert!(listed[0]["effectiveIdentityContent"].as_str().unwrap().starts_with("# Zoe\n\nRole: Builder"));
    assert_eq!(listed[1]["effectiveSoulContent"], "I am");
    assert!(
        listed[1]["effectiveIdentityContent"].as_str().unwrap().contains("HEARTBEAT.md"),
        "blank is none"
    );
    assert_eq!((listed[1].get("openclawConfig"), &listed[1]["resolvedSkills"]), (None, &json!([])));
    assert!(!listed[0]["effectiveUserMd"].as_str().unwrap().is_empty());
    assert_eq!(listed[0]["effectiveUserMd"], listed[1]["effectiveUserMd"]);
    let mut fields: Vec<_> = listed[0].as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    let expected = [
        "_id",
        "effectiveIdentityContent",
        "effectiveSoulContent",
        "effectiveUserMd",
        "name",
        "openclawConfig",
        "resolvedSkills",
        "role",
        "slug",
    ];
    assert_eq!(fields, expected);
    serde_json::from_value::<Vec<AgentProfile>>(listed).unwrap();
    board.set(json!({"userMd": " We are few.\n"}));
    assert_eq!(list()[0]["effectiveUserMd"], "We are few.");
    assert!(board.rows("agentRuntimeSessions").is_empty(), "only read");
}

#[test]
fn the_orchestrator_is_the_configured_agent() {
    let board = Board::new();
    let ask = || board.service("getOrchestratorAgentId", json!({})).unwrap();
    assert_eq!(ask(), json!({"orchestratorAgentId": null}));
    board.set(json!({"orchestratorAgentId": NO_AGENT}));
    assert_eq!(ask(), json!({"orchestratorAgentId": NO_AGENT}), "whether or not it is there");
}

#[test]
fn skills_are_returned_as_stored() {
    let board = Board::new();
    let off = skill(&board, "off", false);
    let zoe = board.agent("zoe", "Zoe", "x", config(&json!([off])));
    let nameless = board.agent("", "Nameless", "x", json!({"lastHeartbeat": 1_765_526_400_123.0}));
    let of_zoe = json!({"agentId": "zoe", "skillIds": [off], "skillCount": 1.0, "lastUpdated": "2025-12-12T08:00:00.000Z"});
    let of_nameless = json!({"agentId": nameless, "skillIds": [], "skillCount": 0.0, "lastUpdated": "2025-12-12T08:00:00.123Z"});
    let ask = |args: Value| board.service("getAgentSkillsForTool", args);
    assert_eq!(ask(json!({"agentId": zoe})).unwrap(), json!([of_zoe, of_nameless]));
    assert_eq!(ask(json!({"agentId": zoe, "queryAgentId": nameless})).unwrap(), json!([of_nameless]));
    let foreign = board.foreign("agents", &zoe);
    let rows = [
        (
            json!({"agentId": NO_AGENT, "queryAgentId": NO_AGENT}),
            "Not found: Requesting agent does not exist",
        ),
        (
            json!({"agentId": foreign, "queryAgentId": NO_AGENT}),
            "Forbidden: Agent belongs to different account",
        ),
        (json!({"agentId": zoe, "queryAgentId": NO_AGENT}), "Not found: Target agent does not exist"),
        (
            json!({"agentId": zoe, "queryAgentId": foreign}),
            "Forbidden: Target agent belongs to different account",
        ),
    ];
    for (args, expected) in rows {
        assert_eq!(refusal(ask(args)), expected);
    }
}

#[test]
fn a_heartbeat_sets_status_and_current_task() {
    let board = Board::new();
    let zoe = board.agent("zoe", "Zoe", "x", json!({"status": "offline"}));
    let task = board.task(json!({}));
    let beat = |args: Value| board.service("updateAgentHeartbeat", args);
    let changed = |board: &Board| {
        board
            .rows("activities")
            .into_iter()
            .filter(|row| row["type"] == "agent_status_changed")
            .collect::<Vec<_>>()
    };
    board.advance(2_000);
    let now = 1_765_526_402_000.0;
    let answer = beat(json!({"agentId": zoe, "status": "online", "currentTaskId": task})).unwrap();
    assert_eq!(answer, json!({"success": true, "timestamp": now}));
    let row = board.row("agents", &zoe);
    assert_eq!(
        (&row["status"], &row["currentTaskId"], &row["lastHeartbeat"]),
        (&json!("online"), &json!(task), &json!(now))
    );
    let activity = changed(&board).pop().unwrap();
    assert_eq!(activity["meta"], json!({"oldStatus": "offline", "newStatus": "online", "heartbeat": true}));
    assert_eq!(
        (&activity["actorId"], &activity["targetId"], &activity["targetType"]),
        (&json!(zoe), &json!(zoe), &json!("agent"))
    );

    beat(json!({"agentId": zoe, "status": "online"})).unwrap();
    assert_eq!(board.row("agents", &zoe).get("currentTaskId"), None, "an absent task clears it");
    assert_eq!(changed(&board).len(), 1, "only changes are recorded");
    beat(json!({"agentId": zoe, "status": "online", "currentTaskId": "kx000000000000000000000000000000"}))
        .unwrap();

    assert_eq!(
        refusal(beat(json!({"agentId": NO_AGENT, "status": "online"}))),
        "Not found: Agent does not exist"
    );
    let foreign = board.foreign("agents", &zoe);
    assert_eq!(
        refusal(beat(json!({"agentId": foreign, "status": "online"}))),
        "Forbidden: Agent belongs to different account"
    );
    assert!(
        beat(json!({"agentId": zoe, "status": "asleep"})).unwrap_err().contains("ArgumentValidationError")
    );
}
