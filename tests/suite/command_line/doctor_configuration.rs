//! What `doctor` says about the gateway's configuration, and what `--patch` writes.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use mission_control_runtime::app::ConfigurationOptions;
use mission_control_runtime::cli::{Command, parse};
use serde_json::{Value, json};

use super::{TOKEN, good_backend};
use crate::support::program::{Program, folder, text};
use crate::support::scripted_http::{Move, ScriptedHttp, answer};

/// A gateway of this release. It refuses its WebSocket, so it does not show its configuration.
fn gateway(release: &str) -> ScriptedHttp {
    let json = |body: &Value| Move::Send(answer(200, &body.to_string()));
    let models = json!({"data": [{"id": "openclaw/default"}, {"id": "openclaw/engineer"}]});
    ScriptedHttp::start([
        json(&json!({"ok": true, "status": "started", "version": release, "uptimeMs": 12})),
        json(&json!({"ready": true, "failing": [], "uptimeMs": 12})),
        json(&models),
        Move::Send(answer(404, "")),
    ])
}

fn bad() -> Value {
    json!({
        "gateway": {"http": {"endpoints": {"responses": {"enabled": true}}}, "auth": {"token": "s3cr3t-of-the-gateway"}},
        "agents": {
            "defaults": {"heartbeat": {"every": "30m"}, "maxConcurrent": 1, "sandbox": {"mode": "off"}},
            "entries": {"engineer": {}},
        },
    })
}

#[test]
fn the_options_name_the_gateways_file_and_that_of_the_change() {
    let parsed = parse(["program", "doctor", "--config", "c", "--patch=p"].map(OsString::from)).unwrap();
    let Command::Doctor { configuration, .. } = parsed else { panic!("{parsed:?}") };
    assert_eq!(configuration, ConfigurationOptions { config: Some("c".into()), patch: Some("p".into()) });
}

/// The problems of a file are named, one change repairs them, and a second look finds none of them.
#[test]
fn a_bad_configuration_is_named_and_its_patch_repairs_it() {
    let (_kept, file) = folder();
    fs::write(file("bad.json"), bad().to_string()).unwrap();
    let run = |config: &str, more: &[&str]| {
        let (backend, gateway) = (good_backend(), gateway("2026.9.6"));
        let config = file(config);
        let args = ["doctor", "--config", config.to_str().unwrap()];
        let program = Program::of(args.into_iter().chain(more.iter().copied()).collect());
        let program = program.configured(&backend.url(), TOKEN).with("HEALTH_PORT", "0");
        let program = program.with("DELIVERY_MAX_CONCURRENT_SESSIONS", "5");
        text(&program.with("OPENCLAW_GATEWAY_URL", &gateway.url()).output())
    };
    let patch = file("patch.json");
    let found = run("bad.json", &["--patch", patch.to_str().unwrap()]);
    for words in [
        "gateway config  note: ",
        "Tool Search is on by default",
        "set agents.defaults.heartbeat.every to \"0m\"",
        "agents.defaults.maxConcurrent to 5",
        "agents.defaults.heartbeat.every: \"30m\" → \"0m\"",
        "tools.toolSearch: not set → false",
        "openclaw config patch --file ",
        "cannot be seen from here: ",
        "retired files in workspaces",
    ] {
        assert!(found.contains(words), "{words}: {found}");
    }
    assert!(!found.contains("s3cr3t"), "{found}");
    let change: Value = serde_json::from_str(&fs::read_to_string(&patch).unwrap()).unwrap();
    let expected = json!({
        "agents": {"defaults": {"heartbeat": {"every": "0m"}, "maxConcurrent": 5}},
        // The probe of this gateway finds no way to the history.
        "tools": {"toolSearch": false, "alsoAllow": ["sessions_list", "sessions_history"]},
    });
    assert_eq!(change, expected);
    assert_eq!(fs::metadata(&patch).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(file("bad.json")).unwrap(), bad().to_string(), "nothing else is changed");

    let mut good = bad();
    good["agents"]["defaults"]["heartbeat"]["every"] = json!("0m");
    good["agents"]["defaults"]["maxConcurrent"] = json!(5);
    good["tools"] = json!({"toolSearch": false, "alsoAllow": ["sessions_list", "sessions_history"]});
    fs::write(file("good.json"), good.to_string()).unwrap();
    let again = file("again.json");
    let found = run("good.json", &["--patch", again.to_str().unwrap()]);
    assert!(found.contains("gateway config  ok"), "{found}");
    assert!(found.contains("nothing is written: there is nothing that a change"), "{found}");
    assert!(!again.exists());
}

#[test]
fn a_patch_overwrites_no_file_and_needs_a_configuration() {
    let (_kept, file) = folder();
    fs::write(file("bad.json"), bad().to_string()).unwrap();
    fs::write(file("there.json"), "mine").unwrap();
    std::os::unix::fs::symlink(file("nowhere.json"), file("link.json")).unwrap();
    let rows = [
        (Some("bad.json"), "there.json", "the file exists, and is not overwritten; name another one"),
        (Some("bad.json"), "link.json", "the file exists, and is not overwritten; name another one"),
        (Some("bad.json"), "no-folder/patch.json", "is not written: "),
        (Some("missing.json"), "patch.json", "missing.json does not exist, or is empty."),
        (None, "patch.json", "cannot be seen from here: name its file with --config FILE"),
    ];
    for (config, patch, words) in rows {
        let (backend, gateway) = (good_backend(), gateway("2026.9.6"));
        let patch = file(patch);
        let config = config.map(|config| file(config).to_str().unwrap().to_owned());
        let mut args = vec!["doctor", "--patch", patch.to_str().unwrap()];
        args.extend(config.iter().flat_map(|config| ["--config", config.as_str()]));
        let program = Program::of(args).configured(&backend.url(), TOKEN).with("HEALTH_PORT", "0");
        let output = program.with("OPENCLAW_GATEWAY_URL", &gateway.url()).output();
        let found = text(&output);
        assert_eq!(output.status.code(), Some(1), "{words}: {found}");
        assert!(found.contains("patch           WRONG: ") && found.contains(words), "{words}: {found}");
    }
    assert_eq!(fs::read_to_string(file("there.json")).unwrap(), "mine");
    assert!(!file("nowhere.json").exists() && !file("patch.json").exists());
}

/// Without a look, nothing is "ok": neither the gateway nor a file shows the configuration.
#[test]
fn an_unseen_configuration_is_never_ok() {
    let (backend, gateway) = (good_backend(), gateway("2026.9.6"));
    let program = Program::new(["doctor"]).configured(&backend.url(), TOKEN).with("HEALTH_PORT", "0");
    let found = text(&program.with("OPENCLAW_GATEWAY_URL", &gateway.url()).output());
    assert!(found.contains("gateway config  skipped"), "{found}");
    for words in ["Tool Search", "the gateway's own heartbeat", "the reset of sessions", "--config FILE"] {
        let unseen = found.split_once("gateway config").unwrap().1;
        assert!(unseen.contains(words), "{words}: {found}");
    }
}

/// The file of the gateway's own variable is read if the gateway does not show its configuration.
#[test]
fn the_gateways_own_variable_names_the_file() {
    let (_kept, file) = folder();
    fs::write(file("openclaw.json"), bad().to_string()).unwrap();
    let (backend, gateway) = (good_backend(), gateway("2026.9.6"));
    let program = Program::new(["doctor"]).configured(&backend.url(), TOKEN).with("HEALTH_PORT", "0");
    let program = program.with("OPENCLAW_CONFIG_PATH", file("openclaw.json").to_str().unwrap());
    let found = text(&program.with("OPENCLAW_GATEWAY_URL", &gateway.url()).output());
    assert!(found.contains("Tool Search is on by default"), "{found}");
    assert!(found.contains("openclaw.json: the endpoint for turns"), "{found}");
}
