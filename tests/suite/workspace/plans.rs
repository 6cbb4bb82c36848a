//! Runtime-behaviour A-13 and A-16 with the weaknesses of W-27 corrected: what a sync changes, and what it leaves alone.

use mission_control_runtime::workspace::{Desired, Layout, Manifest};
use serde_json::json;

use super::{Disk, NOW, files_of, skill};

/// The lines about files of the profile.
fn changes(lines: &[String]) -> Vec<&str> {
    lines
        .iter()
        .map(String::as_str)
        .filter(|line| !line.starts_with("create") && !line.starts_with("folder"))
        .collect()
}

#[test]
fn an_empty_folder_gets_all_files_and_the_second_sync_does_nothing() {
    let desired = files_of(&json!({"resolvedSkills": [skill("good", "Text")]}), Layout::Current);
    let mut disk = Disk::default();
    let lines = disk.sync(&desired, NOW);
    assert_eq!(
        lines,
        [
            "write AGENTS.md",
            "write IDENTITY.md",
            "write SOUL.md",
            "write USER.md",
            "write skills/good/SKILL.md",
            "create MEMORY.md",
            "create memory/2026-11-29.md",
            "create memory/2026-11-30.md",
            "create memory/2026-12-01.md",
            "create memory/WORKING.md",
            "folder deliverables",
        ]
    );
    let before = disk.clone();
    assert!(disk.sync(&desired, super::Millis(NOW.0 + 5_000)).is_empty());
    assert_eq!(disk, before, "not even the times in the manifest change");
}

#[test]
fn a_changed_text_is_written_and_a_removed_skill_is_removed() {
    let mut disk = Disk::default();
    disk.sync(&files_of(&json!({"resolvedSkills": [skill("good", "Text")]}), Layout::Current), NOW);
    let later = files_of(&json!({"effectiveSoulContent": "New."}), Layout::Current);
    let lines = disk.sync(&later, NOW);
    assert_eq!(changes(&lines), ["write AGENTS.md", "write SOUL.md", "remove skills/good/SKILL.md"]);
    assert!(disk.copies.is_empty(), "the former texts were Mission Control's");
}

#[test]
fn a_file_of_a_person_stays() {
    let own = Disk::of(&[("SOUL.md", "Mine."), ("HEARTBEAT.md", "Mine."), ("skills/own/SKILL.md", "Mine.")]);
    let mut disk = own.clone();
    let lines = disk.sync(&files_of(&json!({}), Layout::Current), NOW);
    assert!(
        lines.iter().any(|line| line.starts_with("warn SOUL.md exists and was not written by the runtime")),
        "{lines:?}"
    );
    for (path, text) in &own.files {
        assert_eq!(disk.files[path], *text, "{path}");
    }
    assert!(!disk.manifest.as_ref().unwrap().files.keys().any(|path| path.as_str() == "SOUL.md"));
    // Also with a manifest.
    disk.sync(&files_of(&json!({"effectiveSoulContent": "New."}), Layout::Current), NOW);
    assert_eq!(disk.files["SOUL.md"], "Mine.");
}

#[test]
fn a_managed_file_that_was_changed_follows_mission_control_and_a_copy_is_kept() {
    let desired = files_of(&json!({}), Layout::Current);
    let mut disk = Disk::default();
    disk.sync(&desired, NOW);
    disk.files.insert("SOUL.md".to_owned(), "Changed by the agent.".to_owned());
    disk.files.insert("USER.md".to_owned(), "<large>".to_owned());
    let lines = disk.sync(&desired, NOW);
    assert_eq!(changes(&lines)[..2], ["write SOUL.md", "write USER.md"]);
    assert!(
        lines[2].starts_with("warn SOUL.md was changed") && lines[3].starts_with("warn USER.md was changed")
    );
    assert_eq!(disk.copies[0], "Changed by the agent.");
    assert_eq!(disk.files["SOUL.md"], "# Soul\n\nBuild small things.\n");
}

/// Minutes after the replacement, and whether the operator is still reminded of it.
#[test]
fn a_replaced_text_is_reported_for_a_day_or_until_its_next_change() {
    let desired = files_of(&json!({}), Layout::Current);
    let later = |minutes: i64| super::Millis(NOW.0 + minutes * 60_000);
    let replaced = || {
        let mut disk = Disk::default();
        disk.sync(&desired, NOW);
        disk.files.insert("SOUL.md".to_owned(), "Changed by the agent.".to_owned());
        disk.sync(&desired, NOW);
        disk
    };
    let reminds = |disk: &mut Disk, desired: &Desired, minutes| {
        disk.sync(desired, later(minutes)).iter().any(|line| line.starts_with("warn SOUL.md was changed"))
    };
    let mut disk = replaced();
    for (minutes, expected) in
        [(1, true), (2, true), (24 * 60 - 1, true), (24 * 60, false), (24 * 60 + 1, false)]
    {
        assert_eq!(reminds(&mut disk, &desired, minutes), expected, "{minutes}");
    }
    assert_eq!(disk.copies.len(), 1, "a reminder replaces nothing");
    let mut disk = replaced();
    let changed = files_of(&json!({"effectiveSoulContent": "New."}), Layout::Current);
    assert!(!reminds(&mut disk, &changed, 1) && !reminds(&mut disk, &changed, 2), "the text is a new one");
}

#[test]
fn a_stale_file_that_was_changed_stays() {
    let mut disk = Disk::default();
    disk.sync(&files_of(&json!({"resolvedSkills": [skill("good", "Text")]}), Layout::Current), NOW);
    disk.files.insert("skills/good/SKILL.md".to_owned(), "Improved.".to_owned());
    let without = files_of(&json!({}), Layout::Current);
    let lines = disk.sync(&without, NOW);
    assert!(
        lines.contains(
            &"warn skills/good/SKILL.md is no longer needed, but was changed, so it stays".to_owned()
        )
    );
    assert_eq!(disk.files["skills/good/SKILL.md"], "Improved.");
    assert!(disk.sync(&without, NOW).is_empty(), "it is reported once, and is the agent's from now on");
}

#[test]
fn files_of_the_typescript_runtime_are_adopted() {
    let former = Disk::of(&[
        ("SOUL.md", "Former soul."),
        ("AGENTS.md", "Former rules."),
        ("HEARTBEAT.md", "Former beat."),
        ("TOOLS.md", "## Assigned skills"),
        ("USER.md", "Robin owns the place.\n"),
        ("skills/good/SKILL.md", "Former skill."),
        ("skills/own/SKILL.md", "Mine."),
        ("MEMORY.md", "What I know."),
    ]);
    let desired = files_of(&json!({"resolvedSkills": [skill("good", "Text")]}), Layout::Current);
    let mut disk = Disk { adopts: true, ..former };
    let lines = disk.sync(&desired, NOW);
    assert_eq!(
        changes(&lines),
        [
            "write AGENTS.md",
            "write IDENTITY.md",
            "write SOUL.md",
            "write skills/good/SKILL.md",
            "remove HEARTBEAT.md",
            "remove TOOLS.md",
        ]
    );
    assert_eq!(disk.copies.len(), 5, "a copy of each is kept: {:?}", disk.copies);
    assert_eq!((&*disk.files["MEMORY.md"], &*disk.files["skills/own/SKILL.md"]), ("What I know.", "Mine."));
    assert!(disk.sync(&desired, NOW).is_empty());
    // Later, a file with such a name is a person's.
    disk.files.insert("TOOLS.md".to_owned(), "Mine.".to_owned());
    assert!(disk.sync(&desired, NOW).is_empty());
}

#[test]
fn an_upgraded_gateway_loses_the_files_that_it_no_longer_reads() {
    let mut disk = Disk::default();
    disk.sync(&files_of(&json!({}), Layout::Former), NOW);
    assert!(disk.files.contains_key("HEARTBEAT.md"));
    let lines = disk.sync(&files_of(&json!({}), Layout::Current), NOW);
    assert_eq!(changes(&lines), ["write AGENTS.md", "remove HEARTBEAT.md", "remove TOOLS.md"]);
    assert!(disk.copies.is_empty());
}

#[test]
fn what_is_no_regular_file_is_an_obstacle_for_itself_only() {
    let mut disk = Disk::of(&[("SOUL.md", "<folder>")]);
    let lines = disk.sync(&files_of(&json!({}), Layout::Current), NOW);
    assert!(lines.contains(&"write AGENTS.md".to_owned()));
    assert!(lines.iter().any(|line| line.starts_with("warn SOUL.md is not a regular file")), "{lines:?}");
    assert_eq!(disk.files["SOUL.md"], "<folder>");
}

#[test]
fn a_removed_agent_loses_its_profile_and_keeps_its_work() {
    let mut disk = Disk::default();
    disk.sync(&files_of(&json!({"resolvedSkills": [skill("good", "Text")]}), Layout::Current), NOW);
    disk.files.insert("deliverables/report.md".to_owned(), "Work.".to_owned());
    let lines = disk.sync(&Desired::default(), NOW);
    assert_eq!(lines.len(), 5, "{lines:?}");
    let left: Vec<&str> = disk.files.keys().map(String::as_str).collect();
    assert_eq!(
        left,
        [
            "MEMORY.md",
            "deliverables",
            "deliverables/report.md",
            "memory/2026-11-29.md",
            "memory/2026-11-30.md",
            "memory/2026-12-01.md",
            "memory/WORKING.md",
        ]
    );
    assert!(disk.manifest.unwrap().files.is_empty());
}

#[test]
fn a_manifest_keeps_what_it_does_not_know_and_refuses_paths_outside() {
    let text =
        br#"{"layout": "former", "files": {"SOUL.md": {"sha256": "00", "at": 5, "later": 1}}, "newer": [1]}"#;
    let manifest = Manifest::parse(text).unwrap();
    assert_eq!((manifest.layout, manifest.changed_at()), (Layout::Former, Some(super::Millis(5))));
    assert!(manifest.text().contains("\"newer\""), "{}", manifest.text());
    let outside = br#"{"files": {"../../etc/passwd": {"sha256": "00", "at": 5}}}"#;
    assert!(Manifest::parse(outside).unwrap_err().contains("no path inside a workspace"));
}
