//! Whole configurations: `tests/golden/gateway-config/*.json`. Each file has a start, what is said about it, and the
//! configuration. `UPDATE_GOLDEN=1 cargo test gateway_config::golden` writes them; read what changed before you commit it.
//! `tests/conformance/configurations.sh` starts the real gateway with each of them.

use std::fs;

use serde_json::{Value, json};

use super::{Start, roster};
use crate::support::documents::project;

const FOLDER: &str = "tests/golden/gateway-config";

/// Every start that has a file.
fn starts() -> Vec<(&'static str, Start)> {
    let plain = Start::default();
    let guarded = plain.clone().set("OPENCLAW_GATEWAY_TOKEN", "the-token-of-the-gateway");
    let vercel = guarded.clone().set("VERCEL_AI_GATEWAY_API_KEY", "key-of-vercel").generated(roster());
    let older = vercel.clone().release("2026.7.1");
    let own = json!({
        "gateway": {"auth": {"mode": "token", "token": "the operator's own"}, "port": 9000, "controlUi": {"basePath": "/ui"}},
        "agents": {"defaults": {"model": {"primary": "mistral/large", "fallbacks": []}}, "entries": {"scout": {"model": "mistral/large"}}},
        "models": {"providers": {"mistral": {"baseUrl": "https://api.mistral.ai/v1", "apiKey": "own", "api": "openai-completions", "models": []}}},
        "skills": {"entries": {"bird": {"enabled": false}}},
        "channels": {"telegram": {"botToken": "own", "enabled": false}},
        "commands": {"native": false},
        "ui": {"seamColor": "#FF4500"},
    });
    vec![
        ("nothing-set", plain.clone()),
        ("token-only", guarded.clone()),
        ("former-name-of-the-token", plain.clone().set("CLAWDBOT_GATEWAY_TOKEN", "the-token-of-the-gateway")),
        ("vercel-and-roster", vercel.clone()),
        (
            "anthropic-and-openai",
            guarded.clone().set("ANTHROPIC_API_KEY", "key-a").set("OPENAI_API_KEY", "key-o"),
        ),
        ("openai-only", guarded.clone().set("OPENAI_API_KEY", "key-o").set("OPENCLAW_MAX_CONCURRENT", "40")),
        (
            "channels",
            vercel
                .clone()
                .set("TELEGRAM_BOT_TOKEN", "token-t")
                .set("DISCORD_BOT_TOKEN", "token-d")
                .set("SLACK_BOT_TOKEN", "token-b")
                .set("SLACK_APP_TOKEN", "token-a"),
        ),
        ("half-of-slack", guarded.clone().set("SLACK_BOT_TOKEN", "token-b")),
        (
            "tools-and-browser",
            guarded
                .clone()
                .set("BRAVE_API_KEY", "key-b")
                .set("GITHUB_TOKEN", "token-g")
                .set("OPENCLAW_BROWSER_EXECUTABLE_PATH", "/usr/bin/chromium")
                .set("OPENCLAW_SESSION_RETENTION_DAYS", "14")
                .set("OPENCLAW_CONFIG_RELOAD", "1"),
        ),
        (
            "on-a-host",
            guarded
                .clone()
                .on_host()
                .set("OPENCLAW_BIND_HOST", "127.0.0.1")
                .set("OPENCLAW_AGENTS", "squad-lead,engineer")
                .set("ANTHROPIC_API_KEY", "key-a"),
        ),
        ("one-address", guarded.clone().set("OPENCLAW_BIND_HOST", "127.0.0.1")),
        ("network-without-token", plain.clone().set("OPENCLAW_BIND_HOST", "0.0.0.0")),
        ("the-operators-own-settings", plain.clone().existing(own)),
        ("older-release", older.clone()),
        ("upgrade-from-an-older-release", vercel.clone().existing(older.config())),
        ("keys-taken-away", plain.existing(vercel.set("TELEGRAM_BOT_TOKEN", "token-t").config())),
    ]
}

/// What the file of a start contains.
fn document(start: &Start) -> Value {
    json!({
        "environment": start.environment,
        "release": start.release.map(|release| release.to_string()),
        "existing": start.existing,
        "generated": start.generated,
        "said": start.sentences(),
        "config": start.config(),
    })
}

#[test]
fn each_start_gives_the_configuration_in_its_file() {
    let starts = starts();
    check(FOLDER, starts.iter().map(|(name, start)| (*name, document(start))));
}

/// Compares each document with its file in this folder, or writes it. Each file must have a document.
pub(super) fn check<'a>(folder: &str, documents: impl Iterator<Item = (&'a str, Value)>) {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut names: Vec<String> = Vec::new();
    for (name, document) in documents {
        let path = project(&format!("{folder}/{name}.json"));
        let text = format!("{}\n", serde_json::to_string_pretty(&document).unwrap());
        if update {
            fs::write(&path, &text).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(found == text, "{}: expected\n{text}", path.display());
        names.push(format!("{name}.json"));
    }
    names.sort();
    let files = fs::read_dir(project(folder)).unwrap();
    let mut files: Vec<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    assert_eq!(files, names, "each file has a document");
}

#[test]
fn no_configuration_and_no_sentence_contains_a_secret() {
    for (name, start) in starts() {
        let shown = format!("{} {:?}", start.config(), start.sentences());
        for (variable, value) in
            start.environment.iter().filter(|(name, _)| name.ends_with("TOKEN") || name.ends_with("_KEY"))
        {
            assert!(!shown.contains(value.as_str()), "{name}: {variable}");
        }
    }
}
