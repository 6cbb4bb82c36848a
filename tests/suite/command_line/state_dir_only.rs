//! Commands that know the state folder and nothing else: no account, no token, no addresses.

use std::fs;

use serde_json::{Value, json};

use crate::support::board::Board;
use crate::support::program::{Program, folder, text};

/// Runs a command without any variable, with `--state-dir`.
fn output_of(args: &[&str], state: &str) -> (Option<i32>, String, Value) {
    let program = Program::of([args, &["--state-dir", state]].concat()).without("STATE_DIR");
    let output = program.output();
    let value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code(), text(&output), value)
}

#[test]
fn a_running_service_is_found_by_its_folder_alone() {
    let (_kept, path) = folder();
    let (state, board) = (path("state"), Board::new());
    let state = state.to_str().unwrap();
    let program =
        Program::new(["run"]).configured(&board.url(), &board.token).with("ACCOUNT_ID", &board.account);
    let mut service = program.with("HEALTH_PORT", "0").with("STATE_DIR", state).start();
    let address = service.address();
    service.wait_for_log("knows the account");

    let (code, said, _) = output_of(&["status"], state);
    assert!(code == Some(0) && said.contains(&format!("at {address}")), "{said}");
    let (_, _, status) = output_of(&["status", "--json"], state);
    assert_eq!(status["address"], address.as_str(), "{status}");
    let (code, said, _) = output_of(&["dead", "list"], state);
    assert_eq!((code, said.as_str()), (Some(0), "No dead letters.\n"));
    let (_, said, paused) = output_of(&["pause", "--json"], state);
    assert_eq!((&paused["success"], &paused["atOnce"]), (&json!(true), &json!(true)), "{said}");
    let (_, said, resumed) = output_of(&["resume", "--json"], state);
    assert_eq!((&resumed["success"], &resumed["ended"]), (&json!(true), &json!(1)), "{said}");
    let (code, said, unknown) = output_of(&["why", "unknown1", "--json"], state);
    assert!(code == Some(1) && unknown["success"] == false, "{said}");
    assert!(
        unknown["error"].as_str().unwrap().contains("neither the running service nor the ledger"),
        "{said}"
    );

    service.signal("TERM");
    assert_eq!(service.end().0, Some(0));
    // The folder remains, and its ledger answers.
    let (code, said, _) = output_of(&["status"], state);
    assert!(code == Some(1) && said.contains(&format!("No service runs on STATE_DIR {state}.")), "{said}");
    let (code, said, _) = output_of(&["dead", "list"], state);
    assert!(code == Some(0) && said.contains("No service runs here: this is what the ledger"), "{said}");
    let (code, said, _) = output_of(&["why", "unknown1"], state);
    assert!(code == Some(1) && said.contains("the ledger in"), "{said}");
    assert!(
        said.contains("Mission Control was not searched: its address and token are not configured here"),
        "{said}"
    );
    let (code, said, paused) = output_of(&["pause", "--json"], state);
    assert!(code == Some(0) && paused["atOnce"] == false, "{said}");
}

#[test]
fn without_any_variable_or_option_the_folder_is_unknown() {
    for command in ["status", "dead", "pause"] {
        let output = Program::new([command]).without("STATE_DIR").output();
        assert_eq!(output.status.code(), Some(3), "{}", text(&output));
        assert!(
            text(&output).starts_with("The state folder is unknown. Set STATE_DIR, or give --state-dir DIR.")
        );
    }
}

/// The default folder may belong to an earlier trial, not to the service that is meant.
#[test]
fn a_pause_needs_a_named_folder_or_a_configuration() {
    let (_kept, path) = folder();
    let program = Program::new(["pause"]).without("STATE_DIR").with("HOME", path("").to_str().unwrap());
    let output = program.output();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(
        text(&output).contains("Name the folder of the service with --state-dir DIR"),
        "{}",
        text(&output)
    );
    assert_eq!(fs::read_dir(path("")).unwrap().count(), 0);
}

#[test]
fn a_pause_in_a_folder_that_is_no_state_folder_changes_nothing() {
    let (_kept, path) = folder();
    let foreign = path("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("notes"), "of another program").unwrap();
    for command in ["pause", "resume"] {
        let (code, said, answer) = output_of(&[command, "--json"], foreign.to_str().unwrap());
        assert_eq!((code, &answer["success"]), (Some(1), &json!(false)), "{said}");
        assert!(said.contains("contains no ledger"), "{said}");
    }
    assert_eq!(fs::read_dir(&foreign).unwrap().count(), 1);
}

#[test]
fn failures_are_json_where_json_is_asked_for() {
    let (_kept, path) = folder();
    let state = path("missing");
    for args in [&["status"][..], &["why", "ben"], &["dead", "list"], &["dead", "retry", "k1"], &["pause"]] {
        let (code, said, answer) = output_of(&[args, &["--json"]].concat(), state.to_str().unwrap());
        assert_ne!(code, Some(0), "{args:?}: {said}");
        assert_eq!(answer["success"], false, "{args:?}: {said}");
        assert!(answer["error"].is_string() && answer["details"].is_array(), "{args:?}: {said}");
    }
}

#[test]
fn a_bare_call_without_a_configuration_shows_what_to_try() {
    let output = Program::new([]).without("STATE_DIR").output();
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output);
    for words in ["It is not configured", "  demo ", "  doctor ", "  run --env-file FILE", "  help "] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(output.stdout.is_empty() && said.lines().count() < 10, "{said}");
    // Any variable of ours is a configuration, even an incomplete one.
    let output = Program::new([]).without("STATE_DIR").with("ACCOUNT_ID", "acc0unt").output();
    assert!(output.status.code() == Some(3) && text(&output).contains("SERVICE_TOKEN"), "{}", text(&output));
}
