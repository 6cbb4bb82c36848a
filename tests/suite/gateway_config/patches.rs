//! What `doctor --patch` changes: `tests/golden/gateway-patch/*.json`. Each file has a configuration, what is wrong with it,
//! and the change. `UPDATE_GOLDEN=1 cargo test gateway_config::patches` writes them; read what changed before you commit it.

use mission_control_runtime::gateway::dialect::Release;
use mission_control_runtime::gateway_config::known_problems::{Diagnosis, Facts, examine, patch};
use serde_json::{Value, json};

use super::golden::check;

const FOLDER: &str = "tests/golden/gateway-patch";

/// A configuration with every problem that a patch repairs. The operator's other settings must stay.
fn bad(agents: &Value) -> Value {
    let mut config = json!({
        "gateway": {"port": 18789, "auth": {"mode": "token", "token": "the operator's own"}},
        "agents": {"defaults": {
            "model": {"primary": "openai/gpt-5.4"},
            "heartbeat": {"every": "30m", "target": "last"},
            "maxConcurrent": 2,
        }},
        "session": {"reset": {"mode": "daily", "atHour": 4}, "resetByType": {"direct": {"mode": "daily"}}},
        "tools": {"profile": "messaging"},
        "channels": {"telegram": {"enabled": true, "botToken": "the operator's own"}},
    });
    config["agents"].as_object_mut().unwrap().extend(agents.as_object().unwrap().clone());
    config
}

fn document(release: &str, config: &Value, listed: &[&str]) -> Value {
    let text = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let (listed, team) = (text(listed), text(&["engineer", "qa"]));
    let facts = Facts {
        release: Release::parse(release),
        config: Some(config),
        endpoint: Some(false),
        history: Some(false),
        listed: Some(&listed),
        team: Some(&team),
        client_tools: true,
        turns: 5,
        ..Facts::default()
    };
    let problems = examine(&facts).into_iter().filter_map(|found| match found.diagnosis {
        Diagnosis::Note(why) | Diagnosis::Wrong(why) => Some(format!("{}: {why}", found.problem)),
        Diagnosis::Fine | Diagnosis::Unseen => None,
    });
    let problems: Vec<String> = problems.collect();
    let found = patch(&facts).unwrap();
    json!({
        "release": release,
        "config": config,
        "listed": listed,
        "problems": problems,
        "patch": found.change,
        "lines": found.lines,
        "left": found.left,
    })
}

#[test]
fn each_bad_configuration_gives_the_change_in_its_file() {
    let entries = json!({"entries": {"engineer": {"heartbeat": {"every": "10m"}}}});
    let list = json!({"list": [{"id": "engineer", "default": true, "sandbox": {"mode": "off"}}]});
    let rows = [
        ("current", document("2026.9.6", &bad(&entries), &["engineer"])),
        ("current-with-the-former-list", document("2026.9.6", &bad(&list), &["engineer"])),
        ("current-without-agents", document("2026.9.6", &bad(&json!({})), &["main"])),
        ("2026.7.1", document("2026.7.1", &bad(&list), &["engineer"])),
        ("2026.3.31", document("2026.3.31", &bad(&list), &["engineer"])),
        ("nothing-configured", document("2026.9.6", &json!({}), &["main"])),
    ];
    check(FOLDER, rows.into_iter());
}
