//! The variables of the gateway container against the specification (runtime behaviour, §8.2): one row each.

use serde_json::{Value, json};

use super::{Start, roster};

/// A reference to a variable, as the current release wants it.
fn env(name: &str) -> Value {
    json!({"source": "env", "provider": "default", "id": name})
}

fn with(pairs: &[(&str, &str)]) -> Start {
    pairs.iter().fold(Start::default(), |start, (name, value)| start.set(name, value))
}

/// A rule, the start, a path in the result, and the value there (`null` for none).
type Row = (&'static str, Start, &'static str, Value);

#[expect(clippy::too_many_lines, reason = "one table")]
fn rows() -> Vec<Row> {
    let vercel = "vercel-ai-gateway";
    let older = |start: Start| start.release("2026.7.1");
    let token = with(&[("OPENCLAW_GATEWAY_TOKEN", "t-12345678")]);
    let key = with(&[("AI_GATEWAY_API_KEY", "k")]);
    let anthropic = with(&[("ANTHROPIC_API_KEY", "k")]);
    vec![
        (
            "token",
            token.clone(),
            "/gateway/auth",
            json!({"mode": "token", "token": env("OPENCLAW_GATEWAY_TOKEN")}),
        ),
        ("token: network", token.clone(), "/gateway/bind", json!("lan")),
        ("no token: loopback", with(&[]), "/gateway/bind", json!("loopback")),
        ("no token: no authentication", with(&[]), "/gateway/auth", json!({"mode": "none"})),
        (
            "older: text reference",
            older(token.clone()),
            "/gateway/auth/token",
            json!("${OPENCLAW_GATEWAY_TOKEN}"),
        ),
        (
            "bind host",
            token.clone().set("OPENCLAW_BIND_HOST", "127.0.0.1"),
            "/gateway/bind",
            json!("loopback"),
        ),
        (
            "bind host: one",
            token.clone().set("OPENCLAW_BIND_HOST", "10.0.0.7"),
            "/gateway/customBindHost",
            json!("10.0.0.7"),
        ),
        (
            "bind host: no IPv4",
            token.clone().set("OPENCLAW_BIND_HOST", "fe80::1"),
            "/gateway/bind",
            json!("loopback"),
        ),
        (
            "bind host needs a token",
            with(&[("OPENCLAW_BIND_HOST", "0.0.0.0")]),
            "/gateway/bind",
            json!("loopback"),
        ),
        ("turns: default", with(&[]), "/agents/defaults/maxConcurrent", json!(5)),
        (
            "turns: most",
            with(&[("OPENCLAW_MAX_CONCURRENT", "99")]),
            "/agents/defaults/maxConcurrent",
            json!(16),
        ),
        (
            "turns: least",
            with(&[("OPENCLAW_MAX_CONCURRENT", "0")]),
            "/agents/defaults/maxConcurrent",
            json!(1),
        ),
        (
            "turns: no number",
            with(&[("OPENCLAW_MAX_CONCURRENT", "many")]),
            "/agents/defaults/maxConcurrent",
            json!(5),
        ),
        (
            "turns: not the generated",
            with(&[]).generated(roster()),
            "/agents/defaults/maxConcurrent",
            json!(5),
        ),
        (
            "GitHub",
            with(&[("GH_TOKEN", "a"), ("GITHUB_TOKEN", "a")]),
            "/agents/defaults/sandbox/docker/env",
            json!({"GH_TOKEN": "${GH_TOKEN}", "GITHUB_TOKEN": "${GH_TOKEN}"}),
        ),
        (
            "GitHub: second name",
            with(&[("GITHUB_TOKEN", "a")]),
            "/agents/defaults/sandbox/docker/env/GH_TOKEN",
            json!("${GITHUB_TOKEN}"),
        ),
        (
            "Brave",
            with(&[("BRAVE_API_KEY", "k")]),
            "/tools/web/search",
            json!({"maxResults": 5, "timeoutSeconds": 30}),
        ),
        (
            "Brave: older",
            older(with(&[("BRAVE_API_KEY", "k")])),
            "/tools/web/search/provider",
            json!("brave"),
        ),
        (
            "Vercel: profile",
            key.clone(),
            "/auth/profiles/vercel-ai-gateway:default",
            json!({"provider": vercel, "mode": "api_key"}),
        ),
        ("Vercel: key", key.clone(), "/models/providers/vercel-ai-gateway/apiKey", env("AI_GATEWAY_API_KEY")),
        (
            "Vercel: the other name",
            with(&[("VERCEL_AI_GATEWAY_API_KEY", "k")]),
            "/models/providers/vercel-ai-gateway/apiKey",
            env("VERCEL_AI_GATEWAY_API_KEY"),
        ),
        (
            "Vercel: models",
            key.clone(),
            "/agents/defaults/model",
            json!({
                "primary": "vercel-ai-gateway/minimax/minimax-m2.5",
                "fallbacks": [
                    "vercel-ai-gateway/anthropic/claude-haiku-4.5",
                    "vercel-ai-gateway/moonshotai/kimi-k2.5",
                    "vercel-ai-gateway/openai/gpt-5-nano",
                ],
            }),
        ),
        (
            "Vercel: an old release refuses the name",
            key.clone().release("2026.2.19"),
            "/plugins",
            Value::Null,
        ),
        (
            "Vercel: no plugin in an older release",
            older(key.clone()),
            "/plugins/entries/vercel-ai-gateway",
            json!({"enabled": false}),
        ),
        ("Vercel: no plugin", key.clone(), "/plugins/entries/vercel-ai-gateway", json!({"enabled": false})),
        ("Vercel: key taken away", with(&[]).existing(key.config()), "/plugins", Value::Null),
        (
            "Vercel before Anthropic",
            key.clone().set("ANTHROPIC_API_KEY", "k"),
            "/models/providers/anthropic",
            Value::Null,
        ),
        (
            "Anthropic: provider",
            anthropic.clone(),
            "/models/providers/anthropic/api",
            json!("anthropic-messages"),
        ),
        (
            "Anthropic: window",
            anthropic.clone(),
            "/models/providers/anthropic/models/0/contextWindow",
            json!(200_000),
        ),
        (
            "Anthropic: primary",
            anthropic.clone(),
            "/agents/defaults/model",
            json!({"primary": "anthropic/claude-haiku-4-5", "fallbacks": []}),
        ),
        (
            "OpenAI: after Anthropic",
            anthropic.clone().set("OPENAI_API_KEY", "k"),
            "/agents/defaults/model",
            json!({"primary": "anthropic/claude-haiku-4-5", "fallbacks": ["openai/gpt-5-nano"]}),
        ),
        (
            "OpenAI: alone",
            with(&[("OPENAI_API_KEY", "k")]),
            "/agents/defaults/model",
            json!({"primary": "openai/gpt-5-nano", "fallbacks": []}),
        ),
        (
            "OpenAI: provider",
            with(&[("OPENAI_API_KEY", "k")]),
            "/models/providers/openai/api",
            json!("openai-responses"),
        ),
        (
            "browser",
            with(&[("OPENCLAW_BROWSER_EXECUTABLE_PATH", "/b")]),
            "/browser/profiles/openclaw",
            json!({"cdpPort": 18800}),
        ),
        (
            "browser: older",
            older(with(&[("OPENCLAW_BROWSER_EXECUTABLE_PATH", "/b")])),
            "/browser/profiles/openclaw",
            json!({"cdpPort": 18800, "color": "#FF4500"}),
        ),
        (
            "browser: former profile",
            with(&[("OPENCLAW_BROWSER_EXECUTABLE_PATH", "/b")])
                .existing(json!({"browser": {"profiles": {"clawd": {}}}})),
            "/browser/profiles/clawd/cdpPort",
            json!(18800),
        ),
        ("browser: none installed", with(&[]), "/browser", Value::Null),
        (
            "retention",
            with(&[("OPENCLAW_SESSION_RETENTION_DAYS", "7")]),
            "/session/maintenance",
            json!({"mode": "enforce", "pruneAfter": "7d"}),
        ),
        (
            "retention: none",
            with(&[("OPENCLAW_SESSION_RETENTION_DAYS", "0")]),
            "/session/maintenance/pruneAfter",
            json!("1d"),
        ),
        (
            "retention: no number",
            with(&[("OPENCLAW_SESSION_RETENTION_DAYS", "a week")]),
            "/session",
            Value::Null,
        ),
        ("reload", with(&[("OPENCLAW_CONFIG_RELOAD", "1")]), "/gateway/reload/mode", json!("hybrid")),
        (
            "forced: port",
            with(&[]).existing(json!({"gateway": {"port": 1, "mode": "remote"}})),
            "/gateway/port",
            json!(18789),
        ),
        (
            "forced: mode",
            with(&[]).existing(json!({"gateway": {"port": 1, "mode": "remote"}})),
            "/gateway/mode",
            json!("local"),
        ),
        ("forced: responses", with(&[]), "/gateway/http/endpoints/responses/enabled", json!(true)),
        (
            "forced: Tool Search",
            with(&[]).existing(json!({"tools": {"toolSearch": {"enabled": true}}})),
            "/tools/toolSearch",
            json!(false),
        ),
        ("Tool Search: unknown", with(&[]).release("2026.3.31"), "/tools/toolSearch", Value::Null),
        ("forced: heartbeat", with(&[]), "/agents/defaults/heartbeat/every", json!("0m")),
        (
            "forced: pruning",
            with(&[]),
            "/agents/defaults/contextPruning",
            json!({"mode": "cache-ttl", "ttl": "5m"}),
        ),
        (
            "forced: model as an object",
            with(&[]).existing(json!({"agents": {"defaults": {"model": "a/b"}}})),
            "/agents/defaults/model",
            json!({"primary": "a/b", "fallbacks": []}),
        ),
        (
            "forced: models as an object",
            with(&[]).existing(json!({"agents": {"defaults": {"models": ["a/b"]}}})),
            "/agents/defaults/models",
            json!({"a/b": {}}),
        ),
        (
            "forced: no key in the profile",
            key.clone()
                .existing(json!({"auth": {"profiles": {"vercel-ai-gateway:default": {"apiKey": "k"}}}})),
            "/auth/profiles/vercel-ai-gateway:default/apiKey",
            Value::Null,
        ),
        ("forced: no load", with(&[]).existing(json!({"load": {"extraDirs": []}})), "/load", Value::Null),
        (
            "older: plain HTTP for the page",
            older(with(&[])),
            "/gateway/controlUi/allowInsecureAuth",
            json!(true),
        ),
        (
            "current: unknown there",
            with(&[]).existing(older(with(&[])).config()),
            "/gateway/controlUi",
            Value::Null,
        ),
        ("default: npm", with(&[]), "/skills/install/nodeManager", json!("npm")),
        ("default: skills", with(&[]), "/skills/entries/remind-me/enabled", json!(true)),
        ("default: commands", with(&[]), "/commands", json!({"native": "auto", "nativeSkills": "auto"})),
        ("template: compaction", with(&[]), "/agents/defaults/compaction/mode", json!("safeguard")),
        (
            "template: subagents",
            with(&[]),
            "/agents/defaults/subagents",
            json!({"maxConcurrent": 10, "maxChildrenPerAgent": 5}),
        ),
        ("older: no reset overnight", older(with(&[])), "/session/reset/mode", json!("idle")),
        (
            "roster: agents",
            with(&[]).generated(roster()),
            "/agents/entries/qa",
            json!({"workspace": "/clawd/agents/qa", "identity": {"name": "QA"}}),
        ),
        ("roster: no default agent", with(&[]).generated(roster()), "/agents/ownership", json!("explicit")),
        (
            "roster: prefix",
            key.clone().generated(roster()),
            "/agents/entries/engineer/model",
            json!("vercel-ai-gateway/anthropic/claude-haiku-4.5"),
        ),
        (
            "roster: defaults",
            with(&[]).existing(json!({})).generated(roster()),
            "/agents/defaults/skipBootstrap",
            json!(true),
        ),
        (
            "roster: skills",
            with(&[]).generated(roster()),
            "/skills/entries/release-notes",
            json!({"enabled": true}),
        ),
        ("roster: load ignored", with(&[]).generated(roster()), "/load", Value::Null),
        ("roster: older", older(with(&[])).generated(roster()), "/agents/list/0/default", json!(true)),
        (
            "roster: older has no entries",
            older(with(&[])).existing(with(&[]).generated(roster()).config()),
            "/agents/entries",
            Value::Null,
        ),
        (
            "roster: replaced",
            with(&[]).existing(json!({"agents": {"entries": {"gone": {}}}})).generated(roster()),
            "/agents/entries/gone",
            Value::Null,
        ),
        (
            "roster: empty",
            with(&[])
                .existing(json!({"agents": {"entries": {"gone": {}}}}))
                .generated(json!({"agents": {"list": []}})),
            "/agents/entries",
            Value::Null,
        ),
        (
            "roster: none",
            with(&[]).existing(json!({"agents": {"entries": {"kept": {}}}})).generated(json!({})),
            "/agents/entries",
            json!({"kept": {}}),
        ),
        (
            "Telegram",
            with(&[("TELEGRAM_BOT_TOKEN", "t")]),
            "/channels/telegram",
            json!({"enabled": true, "botToken": env("TELEGRAM_BOT_TOKEN")}),
        ),
        (
            "Discord",
            with(&[("DISCORD_BOT_TOKEN", "t")]),
            "/channels/discord",
            json!({"enabled": true, "token": env("DISCORD_BOT_TOKEN")}),
        ),
        (
            "Slack",
            with(&[("SLACK_BOT_TOKEN", "t"), ("SLACK_APP_TOKEN", "u")]),
            "/channels/slack",
            json!({"enabled": true, "botToken": env("SLACK_BOT_TOKEN"), "appToken": env("SLACK_APP_TOKEN")}),
        ),
        ("Slack: one of two", with(&[("SLACK_APP_TOKEN", "u")]), "/channels/slack", Value::Null),
    ]
}

#[test]
fn each_variable_has_its_effect() {
    for (rule, start, path, expected) in rows() {
        let config = start.config();
        let found = config.pointer(path).cloned().unwrap_or_default();
        assert_eq!(found, expected, "{rule}: {path} for {start:?}");
    }
}

#[test]
fn a_problem_is_one_sentence_that_says_what_to_do() {
    let guarded = with(&[("OPENCLAW_GATEWAY_TOKEN", "t-12345678"), ("OPENAI_API_KEY", "k")]);
    let model = |model: &str| json!({"agents": {"list": [{"id": "a", "model": model}]}});
    let rows = [
        (guarded.clone(), vec![]),
        (
            with(&[("OPENAI_API_KEY", "k"), ("OPENCLAW_BIND_HOST", "0.0.0.0")]),
            vec!["OPENCLAW_GATEWAY_TOKEN is not set"],
        ),
        (
            guarded.clone().set("OPENCLAW_BIND_HOST", "fe80::1"),
            vec!["the gateway listens on IPv4 addresses only"],
        ),
        (
            guarded.clone().set("SLACK_BOT_TOKEN", "x"),
            vec!["SLACK_BOT_TOKEN is set, but SLACK_APP_TOKEN is not"],
        ),
        (
            guarded.clone().set("SLACK_APP_TOKEN", "x"),
            vec!["SLACK_APP_TOKEN is set, but SLACK_BOT_TOKEN is not"],
        ),
        (guarded.clone().set("OPENCLAW_MAX_CONCURRENT", "17"), vec!["is 17; 16 is used"]),
        (
            guarded.clone().set("OPENCLAW_MAX_CONCURRENT", "x"),
            vec!["The gateway starts as if it were not set."],
        ),
        (guarded.clone().set("OPENCLAW_SESSION_RETENTION_DAYS", "0"), vec!["archived after one day"]),
        (
            guarded.clone().set("OPENCLAW_GATEWAY_TOKEN", "\"t-12345678\""),
            vec!["has quotes or blanks around its value"],
        ),
        (
            guarded.clone().set("OPENCLAW_GATEWAY_TOKEN_FILE", "/run/token"),
            vec!["OPENCLAW_GATEWAY_TOKEN_FILE has no effect here"],
        ),
        (guarded.clone().generated(model("openai/gpt-5-nano")), vec![]),
        (
            guarded.clone().generated(model("foo/bar")),
            vec!["`foo/bar`, but `models.providers` does not have its provider"],
        ),
        (
            guarded.clone().generated(model("bar")),
            vec!["`bar`, but `models.providers` does not have its provider"],
        ),
        (
            guarded.clone().generated(json!({"agents": {"list": [{"id": "../a"}, {}]}})),
            vec!["The agent \"../a\" is left out", "The agent \"\" is left out"],
        ),
        (guarded.clone().existing(json!({"gateway": "x"})), vec!["`gateway` was not an object"]),
        (
            guarded.clone().set("TELEGRAM_BOT_TOKEN", "x").generated(roster()),
            vec!["claude-haiku-4-5", "The channel `telegram`"],
        ),
        (with(&[]), vec!["No model provider is configured"]),
        (with(&[]).existing(json!({"models": {"providers": {"own": {}}}})), vec![]),
    ];
    for (start, expected) in rows {
        let said = start.sentences();
        let found = said.len() == expected.len()
            && said.iter().zip(&expected).all(|(said, words)| said.contains(words));
        assert!(found, "{start:?}: {said:?} instead of {expected:?}");
    }
}

/// The gateway's token must be usable: without it, the gateway would listen without authentication.
#[test]
fn an_unusable_token_keeps_the_configuration_from_being_written() {
    let (_, diagnostics) = with(&[("OPENCLAW_GATEWAY_TOKEN", "two words")]).go();
    assert!(mission_control_runtime::config::prevents(&diagnostics), "{diagnostics:?}");
    let (_, diagnostics) = with(&[("OPENAI_API_KEY", "two words")]).go();
    assert!(
        !mission_control_runtime::config::prevents(&diagnostics) && diagnostics.len() == 1,
        "{diagnostics:?}"
    );
}

#[test]
fn named_agents_are_added_unless_a_roster_is_generated() {
    let named = Start::default().set("OPENCLAW_AGENTS", " Squad-Lead, engineer,,squad-lead,../etc");
    let entries = &named.config()["agents"]["entries"];
    let ids: Vec<&String> = entries.as_object().unwrap().keys().collect();
    assert_eq!(ids, ["engineer", "squad-lead"]);
    assert!(named.sentences().iter().any(|sentence| sentence.contains("../etc")), "{:?}", named.sentences());
    // The operator's own settings of an agent stay, and a second merge changes nothing.
    let mut existing = named.config();
    existing["agents"]["entries"]["engineer"]["emoji"] = json!("x");
    assert_eq!(named.clone().existing(existing.clone()).config(), existing);
    let generated = named.generated(roster()).config();
    let ids: Vec<&String> = generated["agents"]["entries"].as_object().unwrap().keys().collect();
    assert_eq!(ids, ["engineer", "qa"]);
}
