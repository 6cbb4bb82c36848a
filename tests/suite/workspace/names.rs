//! Runtime-behaviour A-8: slugs and paths that may become files.

use mission_control_runtime::model::AgentProfile;
use mission_control_runtime::workspace::roster::select;
use mission_control_runtime::workspace::{FilePath, FolderName};
use serde_json::json;

use super::profile;

#[test]
fn a_slug_is_a_folder_name_by_the_table_a_8() {
    let long = "a".repeat(64);
    let rows = [
        ("engineer", "engineer"),
        ("squad-lead", "squad-lead"),
        ("agent_1", "agent_1"),
        ("  engineer  ", "engineer"),
        ("/engineer/", "engineer"),
        ("QA", "QA"),
        (&long, &long),
    ];
    for (slug, name) in rows {
        assert_eq!(FolderName::of(slug).map(|name| name.to_string()).as_deref(), Ok(name), "{slug:?}");
    }
}

#[test]
fn a_slug_that_could_leave_the_folder_is_refused() {
    let long = "a".repeat(10_240);
    let rows = [
        ("..", "letters"),
        (".", "letters"),
        ("../etc", "letters"),
        ("a/../b", "letters"),
        ("a/b", "letters"),
        ("a\\b", "letters"),
        ("", "blank"),
        ("   ", "blank"),
        ("///", "blank"),
        ("slug with spaces", "letters"),
        ("slug.dots", "letters"),
        ("nul\0byte", "letters"),
        ("line\nbreak", "letters"),
        ("müller", "letters"),
        ("-rf", "begin with"),
        ("__proto__", "begin with"),
        (".mission-control", "letters"),
        ("CON", "reserve"),
        ("com1", "reserve"),
        (&long, "64 characters"),
    ];
    for (slug, why) in rows {
        let refused = FolderName::of(slug).unwrap_err().to_string();
        assert!(refused.contains(why), "{slug:?}: {refused}");
    }
}

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
