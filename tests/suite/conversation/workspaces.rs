//! The program writes the agents' workspaces, and shows what it wrote.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use mission_control_runtime::demo::gateway::{Prompt, Thought};
use serde_json::{Value, json};

use super::operator::{as_operator, ask};
use super::over_http::{post, way};
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
    let health = stack.until("the workspace", |health| files_of(health, "ben")["files"] == 5);
    assert_eq!(health["workspaces"]["root"], root.to_str().unwrap());
    assert_eq!((&health["reasons"], &health["workspaces"]["count"]), (&json!([]), &json!(1)));
    assert!(files_of(&health, "ben")["changedAt"].as_i64() > Some(0), "{health}");
    let file: Value = serde_json::from_slice(&fs::read(place.path().join("openclaw.json")).unwrap()).unwrap();
    assert_eq!(file["agents"]["list"][0]["workspace"], root.join("ben").to_str().unwrap());

    let ben = stack.agent("ben").to_owned();
    stack.board.person("agents:update", json!({"agentId": ben, "soulContent": "You like tests."})).unwrap();
    stack.hire("ada");
    stack.until("both changes", |health| {
        files_of(health, "ada")["files"] == 5
            && fs::read_to_string(root.join("ben/SOUL.md")).is_ok_and(|soul| soul == "You like tests.\n")
    });
    let (_, status) = stack.command(["status"]);
    assert!(status.contains("\nworkspaces  2 as in Mission Control"), "{status}");

    // A file that the runtime did not write stays, also over a restart.
    fs::write(root.join("ben/notes.md"), "Mine.").unwrap();
    stack.kill_and_start();
    stack.until("a sync after the restart", |health| files_of(health, "ben")["files"] == 5);
    assert_eq!(fs::read_to_string(root.join("ben/notes.md")).unwrap(), "Mine.");
    stack.stop();
}

/// The page's data: the files of one workspace, and by what sign an agent is online.
#[test]
fn an_operator_sees_the_files_of_a_workspace_and_the_signs_of_its_agent() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("agents");
    let stack = stack(&["ben"], &root);
    stack.until("the workspace", |health| files_of(health, "ben")["files"] == 5);
    let ben = stack.agent("ben").to_owned();
    let soul = "A line of the soul.\n".repeat(2_000);
    stack.board.person("agents:update", json!({"agentId": ben, "soulContent": soul})).unwrap();
    stack.until("the long soul", |health| files_of(health, "ben")["warnings"] != json!([]));
    let (status, listed) = as_operator(&stack, "GET", "/workspaces/ben", "");
    assert_eq!((status, &listed["slug"]), (200, &json!("ben")), "{listed}");
    let files = listed["files"].as_array().unwrap();
    let cut: Vec<&Value> =
        files.iter().filter(|file| file["cut"] == true).map(|file| &file["path"]).collect();
    assert_eq!((files.len(), cut), (5, vec![&json!("SOUL.md")]), "{listed}");
    for file in files {
        let path = root.join("ben").join(file["path"].as_str().unwrap());
        assert_eq!(file["bytes"].as_u64(), Some(fs::metadata(&path).unwrap().len()), "{}", path.display());
        assert!(file["at"].as_i64() > Some(0), "{file}");
    }
    for (path, expected) in
        [("/workspaces/nobody", 404), ("/workspaces/.mission-control", 404), ("/workspaces/a%2Fb", 404)]
    {
        assert_eq!(as_operator(&stack, "GET", path, "").0, expected, "{path}");
    }
    assert_eq!(ask(&stack, "GET", "/workspaces/ben", "", &[]).0, 401, "it is data for operators only");

    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "are you there?");
    stack.answer_of("ben", &task);
    stack.until("the sign", |_| {
        let overview = as_operator(&stack, "GET", "/overview", "").1;
        let online = &overview["agents"]["shown"][0]["online"];
        // The report about the agent follows its answer.
        let by = online["by"].as_str().unwrap_or_default();
        ["answered-turn", "status-report"].contains(&by) && online["at"].as_i64() > Some(0)
    });
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
        health["reasons"] == json!([]) && files_of(health, "ben")["files"] == 5
    });
    stack.stop();
}

/// The token of the agent API is in a private file, and not in the briefing. The file opens what the briefing describes.
#[test]
fn the_token_is_in_a_file_of_the_workspace_and_not_in_the_briefing() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("agents");
    let file = root.join("ben/.mission-control-token");
    let heard = Arc::<Mutex<String>>::default();
    let (recorder, its_file) = (heard.clone(), file.clone());
    let mind = move |prompt: &Prompt| {
        recorder.lock().unwrap().clone_from(&prompt.instructions);
        let token = fs::read_to_string(&its_file).unwrap();
        let (base, mut headers) = way(&prompt.instructions);
        headers.push(("x-runtime-token".to_owned(), token.trim().to_owned()));
        let (status, _) =
            post(&format!("{base}/agent/task-status"), &headers, &json!({"status": "in_progress"}));
        // An agent that publishes the token.
        Thought::say(format!("{status} {token}"))
    };
    let variables = [
        ("OPENCLAW_CLIENT_TOOLS_ENABLED", "false"),
        ("OPENCLAW_PROFILE_SYNC", "yes"),
        ("OPENCLAW_WORKSPACE_ROOT", root.to_str().unwrap()),
    ];
    let mut stack = Stack::set(&["ben"], mind, &variables);
    stack.until("the workspace", |health| files_of(health, "ben")["files"] == 5);
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    let token = fs::read_to_string(&file).unwrap().trim().to_owned();
    assert!(token.starts_with("mc_session_") && token.len() == 43, "{}", token.len());
    let task = stack.task("assigned", &["ben"]);
    stack.mention(&task, "ben", "begin");
    let answer = stack.answer_of("ben", &task);
    assert!(answer.starts_with("200 ") && !answer.contains(&token), "{answer}");
    assert_eq!(stack.board.row("tasks", &task)["status"], "in_progress");
    let briefing = heard.lock().unwrap().clone();
    assert!(!briefing.contains("mc_session_") && briefing.contains(file.to_str().unwrap()), "{briefing}");

    // Without the file, the briefing states the token.
    stack.settled();
    fs::write(&file, "another token").unwrap();
    stack.mention(&task, "ben", "again");
    stack.until("the second briefing", |_| heard.lock().unwrap().contains("x-runtime-token: mc_session_"));
    let log = stack.stop();
    assert!(!log.contains(&token), "{log}");
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
