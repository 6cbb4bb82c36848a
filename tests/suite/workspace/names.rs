//! Paths that may become files, and agents that have a workspace.

use mission_control_runtime::model::AgentProfile;
use mission_control_runtime::workspace::FilePath;
use mission_control_runtime::workspace::roster::select;
use serde_json::json;

use super::profile;

#[test]
fn a_path_stays_inside_the_workspace() {
    for good in ["SOUL.md", "skills/a-b/SKILL.md", "memory/2026-11-30.md", "deliverables", ".hidden"] {
        assert_eq!(FilePath::parse(good).unwrap().as_str(), good);
    }
    let bad = [
        "",
        "/etc/passwd",
        "../x",
        "a/../b",
        "a/..",
        "a//b",
        "a/",
        "./a",
        "a/./b",
        "a\\b",
        "a\0b",
        "..a",
        ".mission-control/manifest.json",
        ".Mission-Control/next.json",
        "a/b/c/d/e",
        "a b",
    ];
    for bad in bad {
        assert_eq!(FilePath::parse(bad), None, "{bad:?}");
        assert!(serde_json::from_value::<FilePath>(json!(bad)).is_err(), "{bad:?}");
    }
}

#[test]
fn one_bad_agent_does_not_stop_the_others() {
    let slugs = ["engineer", "..", "QA", "qa", "", "writer"];
    let profiles: Vec<AgentProfile> = slugs.iter().map(|slug| profile(&json!({"slug": slug}))).collect();
    let mut rows: Vec<Result<&AgentProfile, &str>> = profiles.iter().map(Ok).collect();
    rows.insert(1, Err("missing field `name`"));
    let selected = select(rows);
    let names: Vec<&str> = selected.agents.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["engineer", "QA", "writer"]);
    let rejected: Vec<String> =
        selected.rejected.iter().map(|agent| format!("{}: {}", agent.slug, agent.why)).collect();
    assert_eq!(rejected.len(), 4, "{rejected:?}");
    let words = [
        "row 2: Mission Control's answer",
        "..: the slug must begin",
        "qa: the agent `QA` has the same slug",
        ": the slug is blank",
    ];
    for (line, words) in rejected.iter().zip(words) {
        assert!(line.starts_with(words), "{line}");
    }
}
