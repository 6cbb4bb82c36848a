//! The table of known problems: a row for each problem and each kind of release.

use serde_json::{Value, json};

use super::*;

/// The sound configuration, in the form of this release.
fn sound(release: &str) -> Value {
    let is_entries = Form::of(Release::parse(release).unwrap()) == Form::Entries;
    let agents = if is_entries {
        json!({"entries": {"engineer": {}, "qa": {}}})
    } else {
        json!({"list": [{"id": "engineer", "default": true}, {"id": "qa"}]})
    };
    let mut config = json!({
        "gateway": {"http": {"endpoints": {"responses": {"enabled": true}}}},
        "tools": {"toolSearch": false, "alsoAllow": ["sessions_list", "sessions_history"]},
        "agents": {"defaults": {"heartbeat": {"every": "0m"}, "maxConcurrent": 5}},
        "session": {"reset": {"mode": "idle", "idleMinutes": 525_600}},
    });
    config["agents"].as_object_mut().unwrap().extend(agents.as_object().unwrap().clone());
    config
}

/// The sound configuration with the value at this path. `null` removes it.
fn with(release: &str, path: &str, value: Value) -> Value {
    let mut config = sound(release);
    let (parents, key) = path.rsplit_once('.').unwrap_or(("", path));
    let parents = parents.split('.').filter(|key| !key.is_empty());
    let parent = parents.fold(&mut config, |at, key| {
        if at.get(key).is_none() {
            at[key] = json!({});
        }
        &mut at[key]
    });
    if value.is_null() {
        parent.as_object_mut().unwrap().remove(key);
    } else {
        parent[key] = value;
    }
    config
}

fn team() -> Vec<String> {
    ["engineer", "qa"].map(str::to_owned).to_vec()
}

fn facts<'a>(release: &str, config: Option<&'a Value>, team: &'a [String]) -> Facts<'a> {
    Facts {
        release: Release::parse(release),
        config,
        endpoint: config.map(|_| true),
        history: config.map(|_| true),
        listed: config.map(|_| team),
        team: Some(team),
        client_tools: true,
        turns: 5,
        engine: None,
        retired: config.map(|_| &[][..]),
    }
}

fn judge(facts: &Facts<'_>, problem: Problem) -> Diagnosis {
    examine(facts).into_iter().find(|found| found.problem == problem).unwrap().diagnosis
}

const RELEASES: [&str; 11] = [
    "2026.2.19",
    "2026.3.24",
    "2026.3.31",
    "2026.4.15",
    "2026.5.7",
    "2026.5.28",
    "2026.6.11",
    "2026.7.1",
    "2026.7.35",
    "2026.8.2",
    "2026.9.6",
];

#[test]
fn a_sound_configuration_has_no_problem_on_any_release_and_an_unseen_one_is_never_fine() {
    let team = team();
    for release in RELEASES {
        let config = sound(release);
        let found = examine(&facts(release, Some(&config), &team));
        assert_eq!(found.len(), Problem::ALL.len());
        for Examined { problem, diagnosis } in found {
            assert_eq!(diagnosis, Diagnosis::Fine, "{release}: {problem}");
        }
        // What the release cannot have is fine without a look.
        let cannot = |problem| match problem {
            Problem::ToolSearch => {
                matches!(Form::of(Release::parse(release).unwrap()), Form::List { tool_search: false, .. })
            }
            _ => false,
        };
        for Examined { problem, diagnosis } in examine(&facts(release, None, &team)) {
            let expected = if cannot(problem) { Diagnosis::Fine } else { Diagnosis::Unseen };
            assert_eq!(diagnosis, expected, "{release}: {problem}");
        }
    }
}

/// Each row: the releases from the first to the last one, the changed setting, and the problem that it is.
#[test]
fn each_setting_is_a_problem_on_the_releases_where_it_has_an_effect() {
    let (oldest, newest) = (RELEASES[0], RELEASES[10]);
    let rows = [
        ("tools.toolSearch", Value::Null, "2026.7.35", newest, Problem::ToolSearch),
        ("tools.toolSearch", json!(true), "2026.5.28", newest, Problem::ToolSearch),
        ("tools.toolSearch", json!({"mode": "tools"}), "2026.5.28", newest, Problem::ToolSearch),
        ("agents.defaults.heartbeat", Value::Null, oldest, "2026.8.2", Problem::OwnHeartbeat),
        ("agents.defaults.heartbeat", json!({"every": "30m"}), oldest, newest, Problem::OwnHeartbeat),
        ("agents.defaults.heartbeat", json!({"target": "last"}), oldest, newest, Problem::OwnHeartbeat),
        ("session.reset", Value::Null, oldest, "2026.8.2", Problem::DailyReset),
        ("session.reset", json!({"mode": "daily", "atHour": 4}), oldest, newest, Problem::DailyReset),
        ("session.resetByType", json!({"direct": {"mode": "daily"}}), oldest, newest, Problem::DailyReset),
        ("session.resetByType", json!({"dm": {"mode": "daily"}}), oldest, newest, Problem::DailyReset),
        ("agents.defaults.maxConcurrent", json!(4), oldest, newest, Problem::Concurrency),
        ("agents.defaults.maxConcurrent", Value::Null, oldest, "2026.8.2", Problem::Concurrency),
        ("gateway.reload", json!({"mode": "off"}), oldest, newest, Problem::HotReload),
    ];
    let team = team();
    for (path, value, first, last, problem) in rows {
        let place = |release: &str| RELEASES.iter().position(|known| *known == release).unwrap();
        for release in RELEASES {
            let config = with(release, path, value.clone());
            let found = judge(&facts(release, Some(&config), &team), problem);
            let expected = (place(first)..=place(last)).contains(&place(release));
            let is_note = matches!(&found, Diagnosis::Note(why) if !why.is_empty());
            assert!(
                is_note == expected && (expected || found == Diagnosis::Fine),
                "{release}: {path} {value}: {found:?}"
            );
        }
    }
}

#[test]
fn a_setting_of_another_kind_of_session_and_a_switched_off_heartbeat_are_no_problem() {
    let team = team();
    let rows = [
        ("session.resetByType", json!({"group": {"mode": "daily"}}), Problem::DailyReset),
        ("session.reset", json!({"mode": "none"}), Problem::DailyReset),
        ("agents.defaults.heartbeat", json!({"every": "0h"}), Problem::OwnHeartbeat),
        (
            "agents.entries",
            json!({"engineer": {"heartbeat": {"target": "last"}}, "qa": {}}),
            Problem::OwnHeartbeat,
        ),
        ("agents.defaults.maxConcurrent", json!(6), Problem::Concurrency),
        ("gateway.reload", json!({"mode": "hybrid"}), Problem::HotReload),
        ("agents.defaults.sandbox", json!({"mode": "off"}), Problem::Sandbox),
    ];
    for (path, value, problem) in rows {
        let config = with("2026.9.6", path, value.clone());
        assert_eq!(
            judge(&facts("2026.9.6", Some(&config), &team), problem),
            Diagnosis::Fine,
            "{path} {value}"
        );
    }
    // An agent's own schedule counts, even where the common one is off; and a single agent is woken by default.
    let own = json!({"engineer": {"heartbeat": {"every": "10m"}}, "qa": {}});
    let config = with("2026.9.6", "agents.entries", own);
    let found = judge(&facts("2026.9.6", Some(&config), &team), Problem::OwnHeartbeat);
    assert!(
        matches!(&found, Diagnosis::Note(why) if why.contains("wakes engineer on a schedule")),
        "{found:?}"
    );
    let mut single = with("2026.9.6", "agents.entries", json!({"engineer": {}}));
    single["agents"].as_object_mut().unwrap().remove("defaults");
    let found = judge(&facts("2026.9.6", Some(&single), &team[..1]), Problem::OwnHeartbeat);
    assert!(matches!(&found, Diagnosis::Note(_)), "{found:?}");
}

#[test]
fn a_probe_outranks_the_configuration_and_the_difference_is_a_change_that_took_no_effect() {
    let team = team();
    let config = sound("2026.9.6");
    let base = facts("2026.9.6", Some(&config), &team);
    let off = Facts { endpoint: Some(false), ..base };
    assert_eq!(judge(&off, Problem::Endpoint), Diagnosis::Fine, "the reload is named instead");
    assert!(
        matches!(judge(&off, Problem::HotReload), Diagnosis::Wrong(why) if why.contains("the endpoint for turns"))
    );
    let one = ["engineer".to_owned()];
    let stale = Facts { listed: Some(&one), ..base };
    assert_eq!(judge(&stale, Problem::Agents), Diagnosis::Fine, "the reload is named instead");
    assert!(
        matches!(judge(&stale, Problem::HotReload), Diagnosis::Wrong(why) if why.contains("the agent qa"))
    );
    let off = with("2026.9.6", "gateway", json!({}));
    let unprobed = Facts { endpoint: None, config: Some(&off), ..base };
    assert!(matches!(judge(&unprobed, Problem::Endpoint), Diagnosis::Wrong(_)));
    assert_eq!(
        judge(&Facts { listed: None, ..base }, Problem::HotReload),
        Diagnosis::Unseen,
        "nothing to compare"
    );
    let closed = Facts { history: Some(false), ..base };
    assert!(
        matches!(judge(&closed, Problem::History), Diagnosis::Wrong(why) if why.contains("restart the gateway"))
    );
}

/// spec §12.3: where the token alone does not open the history.
#[test]
fn a_closed_history_is_named_with_the_setting_that_opens_it() {
    let team = team();
    for release in RELEASES {
        let config = with(release, "tools", json!({"toolSearch": false}));
        let base = Facts { history: None, ..facts(release, Some(&config), &team) };
        let found = judge(&base, Problem::History);
        if ["2026.2.19", "2026.3.31", "2026.4.15"].contains(&release) {
            assert!(
                matches!(&found, Diagnosis::Wrong(why) if why.contains("tools.alsoAllow")),
                "{release}: {found:?}"
            );
        } else {
            assert_eq!(found, Diagnosis::Unseen, "{release}");
        }
        let found = judge(&Facts { history: Some(false), ..base }, Problem::History);
        assert!(
            matches!(&found, Diagnosis::Wrong(why) if why.contains("tools.alsoAllow")),
            "{release}: {found:?}"
        );
    }
}

/// The advice is in the spelling of the release, and in that of a configuration that has the other one.
#[test]
fn a_missing_agent_is_named_in_the_spelling_of_its_release() {
    let three = ["engineer", "qa", "writer"].map(str::to_owned);
    let rows = [
        ("2026.9.6", "add it, under its slug, to agents.entries"),
        ("2026.8.2", "add {\"id\": \"writer\"} to agents.list"),
        ("2026.3.31", "add {\"id\": \"writer\"} to agents.list"),
    ];
    for (release, advice) in rows {
        let config = sound(release);
        let known = team();
        for listed in [None, Some(&known[..])] {
            let base = Facts { team: Some(&three), listed, ..facts(release, Some(&config), &known) };
            let found = judge(&base, Problem::Agents);
            assert!(
                matches!(&found, Diagnosis::Wrong(why) if why.contains("does not know writer: ") && why.contains(advice)),
                "{release}: {found:?}"
            );
        }
    }
    let list = with("2026.7.1", "x", Value::Null);
    let base = Facts { team: Some(&three), ..facts("2026.9.6", Some(&list), &three[..2]) };
    assert!(matches!(judge(&base, Problem::Agents), Diagnosis::Wrong(why) if why.contains("agents.list")));
    assert_eq!(judge(&Facts { team: None, ..base }, Problem::Agents), Diagnosis::Unseen);
}

#[test]
fn a_sandbox_without_its_engine_and_retired_files_are_named_only_after_a_look() {
    let team = team();
    let config =
        with("2026.9.6", "agents.entries", json!({"engineer": {"sandbox": {"mode": "all"}}, "qa": {}}));
    let base = facts("2026.9.6", Some(&config), &team);
    assert_eq!(judge(&base, Problem::Sandbox), Diagnosis::Unseen);
    assert_eq!(judge(&Facts { engine: Some(true), ..base }, Problem::Sandbox), Diagnosis::Fine);
    assert!(matches!(judge(&Facts { engine: Some(false), ..base }, Problem::Sandbox), Diagnosis::Wrong(_)));
    let files = ["/w/qa/TOOLS.md".to_owned()];
    let found = judge(&Facts { retired: Some(&files), ..base }, Problem::RetiredFiles);
    assert!(
        matches!(found, Diagnosis::Note(why) if why.contains("/w/qa/TOOLS.md") && why.contains("openclaw doctor --fix"))
    );
    assert_eq!(judge(&Facts { retired: None, ..base }, Problem::RetiredFiles), Diagnosis::Unseen);
    let config = with("2026.9.6", "agents.entries", json!({"engineer": {"workspace": "/w/e"}, "qa": {}}));
    assert_eq!(workspaces(&config), ["/w/e"]);
    let config = with("2026.7.1", "agents.defaults.workspace", json!("/w"));
    assert_eq!(workspaces(&config), ["/w"]);
}

/// Every problem that a configuration can repair is gone after the patch, on each release, and a second patch is empty.
#[test]
fn a_patched_configuration_has_no_problem_left_that_a_patch_repairs() {
    let three = ["engineer", "qa", "writer"].map(str::to_owned);
    for release in RELEASES {
        let config = json!({
            "gateway": {"port": 1, "reload": {"mode": "hybrid"}},
            "agents": {"defaults": {"maxConcurrent": 1, "heartbeat": {"every": "5m"}}},
            "session": {"reset": {"mode": "daily"}, "resetByType": {"direct": {"mode": "daily"}, "group": {"mode": "daily"}}},
            "tools": {"allow": ["read"]},
        });
        let main = ["main".to_owned()];
        let base = Facts {
            endpoint: Some(false),
            history: Some(false),
            listed: Some(&main),
            team: Some(&three),
            ..facts(release, Some(&config), &main)
        };
        let found = patch(&base).unwrap();
        assert_eq!(found.left, [], "{release}");
        let mut repaired = config.clone();
        merge_patch::tests::apply(&mut repaired, &Value::Object(found.change));
        assert_eq!(repaired["gateway"]["port"], 1, "{release}: other settings stay");
        assert_eq!(repaired["session"]["resetByType"], json!({"group": {"mode": "daily"}}), "{release}");
        assert_eq!(
            repaired["tools"]["allow"],
            json!(["read", "sessions_list", "sessions_history"]),
            "{release}"
        );
        assert!(repaired["tools"].get("alsoAllow").is_none(), "{release}: the gateway refuses both");
        let listed = ["main", "engineer", "qa", "writer"].map(str::to_owned);
        let after = Facts {
            config: Some(&repaired),
            endpoint: Some(true),
            history: Some(true),
            listed: Some(&listed),
            ..base
        };
        for Examined { problem, diagnosis } in examine(&after) {
            assert_eq!(diagnosis, Diagnosis::Fine, "{release}: {problem}");
        }
        assert!(patch(&after).unwrap().change.is_empty(), "{release}");
    }
}

#[test]
fn a_repair_that_would_lose_a_secret_or_an_agent_is_left_out() {
    let three = ["engineer", "qa", "writer"].map(str::to_owned);
    let redacted = json!([{"id": "engineer", "tts": {"apiKey": "__OPENCLAW_REDACTED__"}}, {"id": "qa"}]);
    let strange = json!([{"id": "engineer"}, {"id": "qa"}, {"id": "has space"}]);
    for list in [redacted, strange] {
        let config = with("2026.7.1", "agents.list", list);
        let found =
            patch(&Facts { team: Some(&three), ..facts("2026.7.1", Some(&config), &three[..2]) }).unwrap();
        assert_eq!((found.left, found.repaired, found.lines), (vec![Problem::Agents], vec![], vec![]));
    }
    let team = team();
    assert_eq!(patch(&facts("2026.9.6", None, &team)), Err(PatchError::NoConfiguration));
    assert_eq!(patch(&facts("2026.9.6", Some(&json!([])), &team)), Err(PatchError::NotAnObject));
}
