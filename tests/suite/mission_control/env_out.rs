//! `local --env-out`, which hands a runtime its variables without printing secrets, and `local status`.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::program::{Program, Running, folder, text};

/// Starts it with data in `data`. Returns the variables of the file.
fn start(data: &Path, file: &Path) -> (Running, HashMap<String, String>) {
    let (data, env_out) = (data.to_str().unwrap(), file.to_str().unwrap());
    let args = ["local", "--listen", "127.0.0.1:0", "--data", data, "--seed", "demo", "--env-out", env_out];
    let mut running = Program::new(args).start();
    running.wait_for_log("Runtime variables written");
    let lines = fs::read_to_string(file).unwrap();
    let variables = lines.lines().map(|line| line.split_once('=').unwrap());
    (running, variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

#[test]
fn the_file_is_all_that_a_runtime_needs_and_no_secret_is_printed() {
    let (_kept, path) = folder();
    let (data, file) = (path("data"), path("runtime.env"));
    let (running, variables) = start(&data, &file);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let mut names: Vec<&str> = variables.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["ACCOUNT_ID", "CONVEX_URL", "SERVICE_TOKEN"]);

    let doctor = Program::new(["doctor", "--env-file", file.to_str().unwrap()]);
    let output = doctor.with("OPENCLAW_GATEWAY_URL", "").output();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));

    running.signal("TERM");
    let (code, printed) = running.end();
    assert_eq!(code, Some(0), "{printed}");
    let admin_key = fs::read_to_string(data.join("admin-key")).unwrap();
    for secret in [variables["SERVICE_TOKEN"].as_str(), admin_key.trim()] {
        assert!(!printed.contains(secret), "a secret was printed");
    }
    assert!(printed.contains(&format!("ACCOUNT_ID={}", variables["ACCOUNT_ID"])), "{printed}");
    assert!(printed.contains("admin-key of the data folder"), "{printed}");

    // A restart has another port here, and the same account.
    let (again, next) = start(&data, &file);
    assert_eq!(next["SERVICE_TOKEN"], variables["SERVICE_TOKEN"]);
    assert_ne!(next["CONVEX_URL"], variables["CONVEX_URL"]);
    again.kill();
}

#[test]
fn a_file_that_cannot_be_written_ends_the_start_with_a_sentence() {
    let (_kept, path) = folder();
    let (data, file) = (path("data"), path("missing").join("runtime.env"));
    let args = ["local", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()];
    let args = [args[0], args[1], args[2], args[3], args[4], "--env-out", file.to_str().unwrap()];
    let output = Program::new(args).output();
    assert_eq!(output.status.code(), Some(1));
    let shown = format!("--env-out {} cannot be written: ", file.display());
    assert!(text(&output).contains(&shown), "{}", text(&output));
    assert!(!text(&output).contains("SERVICE_TOKEN="), "{}", text(&output));
}

#[test]
fn local_status_says_whether_the_server_answers() {
    let (_kept, path) = folder();
    let (running, variables) = start(&path("data"), &path("runtime.env"));
    let address = variables["CONVEX_URL"].strip_prefix("http://").unwrap();
    let output = Program::new(["local", "status", "--listen", address]).output();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    running.kill();
    let output = Program::new(["local", "status", "--listen", address]).output();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains(&format!("no Mission Control answers at {address}")), "{}", text(&output));
}
