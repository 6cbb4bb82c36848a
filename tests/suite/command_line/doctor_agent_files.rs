//! What `doctor` says about `HEARTBEAT_CHECKLIST` and `OPENCLAW_WORKSPACE_ROOT`.

use std::fs;
use std::path::Path;

use super::{TOKEN, good_backend};
use crate::support::program::{Program, text};

/// The lines of the check; empty without one.
fn said(variables: &[(&str, &str)]) -> String {
    let backend = good_backend();
    let mut program = Program::new(["doctor"]).configured(&backend.url(), TOKEN).with("HEALTH_PORT", "0");
    for (name, value) in variables {
        program = program.with(name, value);
    }
    let found = text(&program.output());
    let lines = found.lines().skip_while(|line| !line.starts_with("agent files"));
    let check: Vec<&str> = lines
        .enumerate()
        .take_while(|(at, line)| *at == 0 || line.starts_with("  "))
        .map(|(_, line)| line)
        .collect();
    check.join("\n")
}

#[test]
fn each_mistake_in_the_files_of_agents_is_named() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let make = |name: &str, content: &str| {
        fs::create_dir_all(Path::new(&path(name)).parent().unwrap()).unwrap();
        fs::write(path(name), content).unwrap();
    };
    make("checklist.md", "Look at your tasks.");
    make("blank.md", " \n");
    make("large.md", &"x".repeat(70_000));
    make("agents/ben/.mission-control/manifest.json", "{}");
    make("agents/ben/checklist.md", "Do nothing.");
    let (root, list) = ("OPENCLAW_WORKSPACE_ROOT", "HEARTBEAT_CHECKLIST");
    let rows = [
        (list, path("checklist.md"), "heartbeats have the checklist"),
        (list, path("absent.md"), "WRONG: HEARTBEAT_CHECKLIST"),
        (list, path("absent.md"), "No such file"),
        (list, path("agents"), "it is not a regular file"),
        (list, path("blank.md"), "it is empty"),
        (list, path("large.md"), "at most 65536 are read"),
        (list, path("agents/ben/checklist.md"), "is in an agent's folder"),
        (list, "checklist.md".to_owned(), "is not an absolute path"),
        (root, path("agents"), "workspaces are written to"),
        (root, path("new/agents"), "workspaces are written to"),
        (root, path("checklist.md"), "is a file: name a folder"),
        (root, path("agents/ben"), "is inside the workspace"),
        (root, path("agents/ben/deliverables"), "is inside the workspace"),
        (root, "/proc/agents".to_owned(), "cannot be written"),
        (root, "agents".to_owned(), "is not an absolute path"),
    ];
    for (variable, value, words) in rows {
        let sync = if variable == root { "true" } else { "false" };
        let found = said(&[(variable, &value), ("OPENCLAW_PROFILE_SYNC", sync)]);
        assert!(found.contains(words), "{variable}={value}: {found}");
    }
    assert_eq!(said(&[(root, "agents"), ("OPENCLAW_PROFILE_SYNC", "false")]), "", "nothing is written there");
    assert!(!Path::new(&path("new")).exists(), "a check leaves nothing behind");
}
