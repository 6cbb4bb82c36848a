//! The program writes the agents' workspaces, and shows what it wrote.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::polite;
use super::processes::Stack;

fn stack(slugs: &[&str], root: &Path) -> Stack {
    let variables = [
        ("OPENCLAW_PROFILE_SYNC", "yes"),
        ("OPENCLAW_WORKSPACE_ROOT", root.to_str().unwrap()),
        ("AGENT_SYNC_INTERVAL", "5000"),
    ];
    Stack::set(slugs, polite, &variables)
}

/// The agent's files in `/health`.
fn files_of<'a>(health: &'a Value, slug: &str) -> &'a Value {
    let agents = health["workspaces"]["agents"].as_array().unwrap();
    agents.iter().find(|agent| agent["slug"] == slug).unwrap_or(&Value::Null)
}

#[test]
fn workspaces_follow_the_board_and_the_program_says_since_when() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("agents");
    let mut stack = stack(&["ben"], &root);
    let health = stack.until("the workspace", |health| files_of(health, "ben")["files"] == 4);
    assert_eq!(health["workspaces"]["root"], root.to_str().unwrap());
    assert_eq!((&health["reasons"], &health["workspaces"]["count"]), (&json!([]), &json!(1)));
    assert!(files_of(&health, "ben")["changedAt"].as_i64() > Some(0), "{health}");
    let file: Value = serde_json::from_slice(&fs::read(place.path().join("openclaw.json")).unwrap()).unwrap();
    assert_eq!(file["agents"]["list"][0]["workspace"], root.join("ben").to_str().unwrap());

    let ben = stack.agent("ben").to_owned();
    stack.board.person("agents:update", json!({"agentId": ben, "soulContent": "You like tests."})).unwrap();
    stack.hire("ada");
    stack.until("both changes", |health| {
        files_of(health, "ada")["files"] == 4
            && fs::read_to_string(root.join("ben/SOUL.md")).is_ok_and(|soul| soul == "You like tests.\n")
    });
    let (_, status) = stack.command(["status"]);
    assert!(status.contains("\nworkspaces  2 as in Mission Control"), "{status}");

    // A file that the runtime did not write stays, also over a restart.
    fs::write(root.join("ben/notes.md"), "Mine.").unwrap();
    stack.kill_and_start();
    stack.until("a sync after the restart", |health| files_of(health, "ben")["files"] == 4);
    assert_eq!(fs::read_to_string(root.join("ben/notes.md")).unwrap(), "Mine.");
    stack.stop();
}

#[test]
fn a_workspace_that_cannot_be_written_is_a_reason_and_stops_no_delivery() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("agents");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("ben"), "a file").unwrap();
    let mut stack = stack(&["ben", "ada"], &root);
    let health = stack.until("the reason", |health| health["reasons"] == json!(["profiles_unwritable"]));
    assert!(files_of(&health, "ben")["error"].as_str().unwrap().contains("is no folder"), "{health}");
    assert_eq!(files_of(&health, "ada")["error"], Value::Null);
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "are you there?");
    stack.answer_of("ben", &task);
    let (_, status) = stack.command(["status"]);
    assert!(status.contains("\nworkspaces  ") && status.contains("is no folder"), "{status}");

    fs::remove_file(root.join("ben")).unwrap();
    stack.until("the recovery", |health| {
        health["reasons"] == json!([]) && files_of(health, "ben")["files"] == 4
    });
    stack.stop();
}

#[test]
fn without_the_variable_nothing_is_written() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("agents");
    let stack = Stack::set(&["ben"], polite, &[("OPENCLAW_WORKSPACE_ROOT", root.to_str().unwrap())]);
    let health = stack.until("the start", |health| health["status"] == "healthy");
    assert_eq!(health["workspaces"]["enabled"], false);
    assert!(!root.exists());
}
