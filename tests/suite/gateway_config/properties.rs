//! What holds for all environments and all files.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

use super::{Start, roster};

/// Values of the variables, good and bad.
const VARIABLES: [(&str, &[&str]); 16] = [
    ("OPENCLAW_GATEWAY_TOKEN", &["a-secret-token"]),
    ("CLAWDBOT_GATEWAY_TOKEN", &["a-secret-token"]),
    ("OPENCLAW_BIND_HOST", &["0.0.0.0", "127.0.0.1", "10.0.0.1", "::1", "host", "lan"]),
    ("OPENCLAW_MAX_CONCURRENT", &["1", "8", "99", "x"]),
    ("AI_GATEWAY_API_KEY", &["a-secret-key"]),
    ("VERCEL_AI_GATEWAY_API_KEY", &["a-secret-key"]),
    ("ANTHROPIC_API_KEY", &["a-secret-key"]),
    ("OPENAI_API_KEY", &["a-secret-key"]),
    ("BRAVE_API_KEY", &["a-secret-key"]),
    ("GITHUB_TOKEN", &["a-secret-token"]),
    ("TELEGRAM_BOT_TOKEN", &["a-secret-token"]),
    ("SLACK_BOT_TOKEN", &["a-secret-token"]),
    ("SLACK_APP_TOKEN", &["a-secret-token"]),
    ("OPENCLAW_SESSION_RETENTION_DAYS", &["0", "30", "x"]),
    ("OPENCLAW_CONFIG_RELOAD", &["1", "0"]),
    ("OPENCLAW_BROWSER_EXECUTABLE_PATH", &["/usr/bin/chromium"]),
];

/// Keys that the merge reads or writes, so that files get in its way.
const KEYS: [&str; 30] = [
    "gateway",
    "auth",
    "token",
    "mode",
    "bind",
    "port",
    "http",
    "agents",
    "defaults",
    "list",
    "entries",
    "model",
    "models",
    "primary",
    "providers",
    "anthropic",
    "apiKey",
    "profiles",
    "channels",
    "telegram",
    "botToken",
    "enabled",
    "skills",
    "browser",
    "openclaw",
    "tools",
    "toolSearch",
    "session",
    "id",
    "own",
];

/// A configuration: any nesting of the keys.
fn any_config() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        Just(json!(true)),
        Just(json!(7)),
        select(vec!["", "none", "token", "anthropic/claude-haiku-4.5", "${ANTHROPIC_API_KEY}", "literal"])
            .prop_map(|text| json!(text)),
        Just(json!({"source": "env", "provider": "default", "id": "TELEGRAM_BOT_TOKEN"})),
    ];
    let any = leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            3 => proptest::collection::btree_map(select(KEYS.to_vec()), inner.clone(), 0..6)
                .prop_map(|map| json!(map)),
            1 => proptest::collection::vec(inner, 0..3).prop_map(Value::Array),
        ]
    });
    proptest::collection::btree_map(select(KEYS.to_vec()), any, 0..6).prop_map(|map| json!(map))
}

fn any_start() -> impl Strategy<Value = Start> {
    let variables = proptest::collection::vec((any::<bool>(), any::<Index>()), VARIABLES.len());
    let generated = prop_oneof![Just(None), Just(Some(roster())), any_config().prop_map(Some)];
    let release = select(vec![None, Some("2026.2.19"), Some("2026.7.1"), Some("2026.9.6")]);
    let existing = proptest::option::of(any_config());
    (variables, existing, generated, release).prop_map(|(chosen, existing, generated, release)| {
        let set = VARIABLES.iter().zip(chosen).filter(|(_, (set, _))| *set);
        let start = set.fold(Start::default(), |start, ((name, values), (_, index))| {
            start.set(name, values[index.index(values.len())])
        });
        let start = Start { existing, generated, ..start };
        match release {
            Some(release) => start.release(release),
            None => start,
        }
    })
}

/// Every path to a value that is no object.
fn leaves(value: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            map.iter().for_each(|(key, value)| leaves(value, &format!("{path}/{key}"), found));
        }
        value => found.push((path.to_owned(), value.clone())),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_second_merge_changes_nothing(start in any_start()) {
        let once = start.config();
        let again = Start { existing: Some(once.clone()), ..start }.config();
        prop_assert_eq!(once, again);
    }

    #[test]
    fn deliveries_can_work_and_strangers_cannot_call(start in any_start()) {
        let config = start.config();
        prop_assert_eq!(&config["gateway"]["http"]["endpoints"]["responses"]["enabled"], &json!(true));
        prop_assert_eq!(&config["agents"]["defaults"]["heartbeat"]["every"], &json!("0m"));
        prop_assert!(config["tools"].get("toolSearch").is_none_or(|on| on == &json!(false)));
        let turns = config["agents"]["defaults"]["maxConcurrent"].as_u64().unwrap();
        prop_assert!((1..=16).contains(&turns));
        let auth = &config["gateway"]["auth"];
        prop_assert!(auth["mode"] != "none" || config["gateway"]["bind"] == "loopback");
        prop_assert!(auth["mode"] != "token" || !auth["token"].is_null());
        let text = config.to_string();
        prop_assert!(!text.contains("a-secret"), "a secret was copied: {}", text);
    }

    /// Everything under a key that this product does not know survives, at every depth.
    #[test]
    fn unknown_settings_survive(start in any_start(), own in any_config()) {
        let mut existing = start.existing.clone().unwrap_or_else(|| json!({}));
        for path in [&["own"][..], &["gateway", "own"], &["agents", "defaults", "own"], &["channels", "own"], &["tools", "own"]] {
            let mut here = &mut existing;
            for key in path {
                if !here.is_object() {
                    *here = json!({});
                }
                here = here.as_object_mut().unwrap().entry(*key).or_insert_with(|| Value::Object(Map::new()));
            }
            *here = own.clone();
        }
        let config = Start { existing: Some(existing), generated: None, ..start }.config();
        for path in ["/own", "/gateway/own", "/agents/defaults/own", "/channels/own", "/tools/own"] {
            prop_assert_eq!(config.pointer(path), Some(&own), "{}", path);
        }
    }

    /// What the operator chose wins over defaults; only the environment and the forced settings win over it.
    #[test]
    fn the_operators_choice_survives(start in any_start()) {
        let chosen = json!({
            "gateway": {"controlUi": {"basePath": "/ui"}},
            "agents": {"defaults": {"model": {"primary": "own/model", "fallbacks": ["own/other"]}, "compaction": {"mode": "default"},
                "contextPruning": {"tools": {"deny": ["x"]}}, "heartbeat": {"model": "own/model"}}},
            "models": {"providers": {"anthropic": {"apiKey": "own", "models": []}}},
            "commands": {"native": false},
            "skills": {"entries": {"bird": {"enabled": false}}, "install": {"nodeManager": "pnpm"}},
            "tools": {"web": {"search": {"maxResults": 9, "provider": "perplexity"}}, "profile": "coding"},
            "channels": {"discord": {"enabled": false, "token": "own"}},
        });
        let release = start.release;
        let environment = start.environment.clone();
        let start = Start { existing: Some(chosen.clone()), generated: None, ..start };
        let config = start.config();
        let mut expected = Vec::new();
        leaves(&chosen, "", &mut expected);
        for (path, value) in expected {
            // The older release needs the name of the provider that has a key.
            let by_environment = path == "/tools/web/search/provider"
                && environment.contains_key("BRAVE_API_KEY") && release.is_some();
            prop_assert!(by_environment || config.pointer(&path) == Some(&value), "{} in {}", path, config);
        }
    }
}

/// A part of the wrong type is named. In the generated file it removes no agent.
#[test]
fn parts_of_the_wrong_type_are_named_and_left_out() {
    let left_out =
        |path: &str, expected: &str| format!("The setting `{path}` is not {expected} and is left out.");
    let qa = json!({"agents": {"entries": {"qa": {}}}});
    for wrong in [json!({}), json!("qa"), json!(7), json!(null)] {
        let start = Start::default().existing(json!({"agents": {"list": wrong}}));
        assert!(start.sentences().contains(&left_out("agents.list", "an array")), "{:?}", start.sentences());
        let start = Start::default().existing(qa.clone()).generated(json!({"agents": {"list": wrong}}));
        assert!(start.sentences().contains(&left_out("agents.list", "an array")), "{:?}", start.sentences());
        assert!(start.config()["agents"]["entries"]["qa"].is_object(), "{}", start.config());
    }
    for (generated, path, expected) in [
        (json!({"agents": {"entries": []}}), "agents.entries", "an object"),
        (json!({"agents": {"defaults": "fast"}}), "agents.defaults", "an object"),
        (json!({"skills": {"entries": ["bird"]}}), "skills.entries", "an object"),
        (json!({"skills": {"allowBundled": {}}}), "skills.allowBundled", "an array"),
    ] {
        let start = Start::default().existing(qa.clone()).generated(generated);
        assert!(start.sentences().contains(&left_out(path, expected)), "{:?}", start.sentences());
        assert!(start.config()["agents"]["entries"]["qa"].is_object(), "{}", start.config());
    }
}
