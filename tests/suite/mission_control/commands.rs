//! The commands of the embedded Mission Control: their output, their data, and a runtime that works with it.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use super::board::agent;
use crate::support::program::{Program, Running, folder, get, text};

/// Starts it with data in a folder. Returns the printed variables.
fn start(data: &str, more: [&str; 2]) -> (Running, HashMap<String, String>) {
    let args = ["local", "--listen", "127.0.0.1:0", "--data", data, more[0], more[1]];
    let mut running = Program::new(args).start();
    let printed = running.environment().expect("it starts");
    (running, printed)
}

fn stop(running: Running) {
    running.signal("TERM");
    let (code, log) = running.end();
    assert_eq!(code, Some(0), "{log}");
}

fn ask(printed: &HashMap<String, String>, kind: &str, path: &str, mut args: Value) -> Value {
    args["accountId"] = json!(printed["ACCOUNT_ID"]);
    let key = format!("Convex {}", printed["ADMIN_KEY"]);
    let request = agent().post(format!("{}/api/{kind}", printed["CONVEX_URL"])).header("Authorization", &key);
    let body = json!({"path": path, "args": args}).to_string();
    let mut answer = request.header("Content-Type", "application/json").send(body).unwrap();
    let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
    assert_eq!(answer["status"], "success", "{answer}");
    answer["value"].clone()
}

#[test]
fn a_start_prints_lines_for_an_env_file_and_the_same_ones_again() {
    let (_kept, path) = folder();
    let data = path("data").to_str().unwrap().to_owned();
    let (running, first) = start(&data, ["--seed", "demo"]);
    for name in ["ACCOUNT_ID", "CONVEX_URL", "SERVICE_TOKEN", "ADMIN_KEY"] {
        assert!(first[name].len() > 15, "{name}");
    }
    let tasks = ask(&first, "query", "tasks:list", json!({}));
    assert!(tasks.as_array().unwrap().len() >= 5);
    stop(running);
    for file in fs::read_dir(path("data")).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode & 0o077, 0, "{}: others may read it ({mode:o})", file.file_name().display());
    }

    // `--seed` does not change existing data.
    let (mut running, again) = start(&data, ["--seed", "demo"]);
    running.wait_for_log(&format!("Data opened path={data}"));
    running.wait_for_log("Option --seed has no effect");
    for name in ["ACCOUNT_ID", "SERVICE_TOKEN", "ADMIN_KEY"] {
        assert_eq!(first[name], again[name], "{name}");
    }
    assert_eq!(ask(&again, "query", "tasks:list", json!({})), tasks);
    stop(running);
}

#[test]
fn a_start_prints_the_valid_token_or_says_that_it_is_unknown() {
    let (_kept, path) = folder();
    let data = path("data").to_str().unwrap().to_owned();
    let (running, first) = start(&data, ["--seed", "demo"]);
    let made = ask(&first, "action", "service/actions:provisionServiceToken", json!({}));
    stop(running);

    let (running, second) = start(&data, ["--seed", "demo"]);
    assert!(second["SERVICE_TOKEN"] == made["token"] && second["SERVICE_TOKEN"] != first["SERVICE_TOKEN"]);
    let token = json!({"serviceToken": second["SERVICE_TOKEN"]});
    ask(&second, "action", "service/actions:listAgents", token);
    stop(running);

    fs::remove_file(path("data").join("service-token")).unwrap();
    let (running, third) = start(&data, ["--seed", "demo"]);
    assert!(!third.contains_key("SERVICE_TOKEN"), "no empty assignment");
    let made = ask(&third, "action", "service/actions:provisionServiceToken", json!({}));
    stop(running);
    let (running, fourth) = start(&data, ["--seed", "demo"]);
    assert!(fourth["SERVICE_TOKEN"] == made["token"]);
    stop(running);
}

#[test]
fn a_start_that_cannot_listen_leaves_nothing_behind() {
    let (_kept, path) = folder();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, data) = (taken.local_addr().unwrap().to_string(), path("data"));
    let output =
        Program::new(["local", "--seed", "demo", "--listen", &address, "--data", data.to_str().unwrap()])
            .output();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("--listen"), "{}", text(&output));
    assert!(!data.exists(), "no file was created");
}

#[test]
fn our_runtime_works_with_it() {
    let (running, printed) = start(":memory:", ["--seed", "demo"]);
    let configured = |program: Program| {
        let names = ["ACCOUNT_ID", "CONVEX_URL", "SERVICE_TOKEN"];
        names.into_iter().fold(program, |program, name| program.with(name, &printed[name]))
    };
    let output = configured(Program::new(["doctor"])).with("OPENCLAW_GATEWAY_URL", "").output();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("knows the account; it has an orchestrator"), "{}", text(&output));

    let mut service = configured(Program::new(["run"])).with("HEALTH_PORT", "0").start();
    let address = service.address();
    service.wait_for_log("answers and knows the account");
    let health: Value = serde_json::from_str(&get(&address, "/health").1).unwrap();
    assert_eq!(health["backend"]["accepted"], json!(true));
    stop(service);
    stop(running);
}

#[test]
fn a_foreign_token_is_a_clear_error_even_if_reasons_are_redacted() {
    for (hidden, words) in
        [("--original", "does not accept the service token"), ("--redact", "Look up the request id")]
    {
        let (running, printed) = start(":memory:", ["--seed=demo", hidden]);
        let foreign = [&printed["SERVICE_TOKEN"], "x"].concat();
        let program = Program::new(["doctor"]).with("ACCOUNT_ID", &printed["ACCOUNT_ID"]);
        let output =
            program.with("CONVEX_URL", &printed["CONVEX_URL"]).with("SERVICE_TOKEN", &foreign).output();
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output).contains(words), "{hidden}: {}", text(&output));
        stop(running);
    }
}

#[test]
fn export_and_import_refuse_missing_data_and_memory() {
    let (_kept, path) = folder();
    let shown = |name: &str| path(name).to_str().unwrap().to_owned();
    fs::create_dir(path("other")).unwrap();
    let (file, other) = (shown("copy.json"), shown("other"));
    let nothing = "no data of a Mission Control exist in";
    let memory = "data in memory are lost when this command ends";
    let rows = [
        (Program::new(["local", "export", &file, "--data", &other]), nothing),
        (Program::new(["local", "rotate-key", "--data", &other]), nothing),
        (Program::new(["local", "rotate-key", "--data", ":memory:"]), memory),
        (Program::new(["local", "import", &file, "--data", ":memory:"]), memory),
    ];
    for (program, words) in rows {
        let output = program.output();
        assert_eq!(output.status.code(), Some(1), "{words}: {}", text(&output));
        assert!(text(&output).contains(words), "{words}: {}", text(&output));
    }
    assert_eq!(fs::read_dir(path("other")).unwrap().count(), 0);
    assert!(!path("copy.json").exists());
}

#[test]
fn data_are_exported_and_imported_and_keys_rotated() {
    let (_kept, path) = folder();
    let shown = |name: &str| path(name).to_str().unwrap().to_owned();
    let (one, two, file) = (shown("one"), shown("two"), shown("copy.json"));
    let (running, first) = start(&one, ["--seed", "demo"]);
    let key = ["sk-", "test-0123456789abcdef"].concat();
    ask(&first, "mutation", "secrets:upsertProviderKey", json!({"provider": "openai", "key": key}));
    let tasks = ask(&first, "query", "tasks:list", json!({}));
    let output = Program::new(["local", "export", &file, "--data", &one]).output();
    assert_eq!(output.status.code(), Some(1), "somebody has the data open: {}", text(&output));
    stop(running);

    let done = |args: [&str; 5]| {
        let output = Program::new(args).output();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", text(&output));
        text(&output)
    };
    let rotated = Program::new(["local", "rotate-key", "--data", &one]).output();
    assert!(text(&rotated).contains("sealed again: 1"), "{}", text(&rotated));
    done(["local", "export", &file, "--data", &one]);
    let copy = fs::read_to_string(&file).unwrap();
    assert!(
        !copy.contains(&key)
            && !copy.contains(&first["SERVICE_TOKEN"])
            && !copy.contains(&first["ADMIN_KEY"])
    );
    // The export does not contain the master key.
    fs::create_dir(path("two")).unwrap();
    fs::copy(path("one").join("master-key"), path("two").join("master-key")).unwrap();
    done(["local", "import", &file, "--data", &two]);
    let (running, second) = start(&two, ["--seed", "demo"]);
    assert_eq!(ask(&second, "query", "tasks:list", json!({})), tasks);
    let token = json!({"serviceToken": second["SERVICE_TOKEN"]});
    let keys = ask(&second, "action", "service/actions:getRuntimeSecrets", token);
    assert_eq!(keys["keys"][0]["value"], json!(key));
    stop(running);
}
