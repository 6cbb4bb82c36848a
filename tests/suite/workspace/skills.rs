//! Skills as files.

use mission_control_runtime::workspace::{FolderName, Layout, with_front_matter};
use serde_json::json;

use super::{files_of, path, skill};

#[test]
fn a_description_is_one_quoted_line() {
    let name = FolderName::of("s").unwrap();
    let long = "word ".repeat(100);
    let rows = [
        (json!({"description": "two\nlines \"quoted\""}), "\"two lines \\\"quoted\\\"\"".to_owned()),
        (json!({"description": " "}), "\"A skill\"".to_owned()),
        (json!({"description": null, "name": ""}), "\"s\"".to_owned()),
        (json!({"description": long}), format!("\"{}\"", &long[..200])),
    ];
    for (changes, expected) in rows {
        let mut row = skill("s", "Text");
        row.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let written = with_front_matter(&serde_json::from_value(row).unwrap(), &name);
        assert_eq!(written.lines().nth(2).unwrap(), format!("description: {expected}"), "{changes}");
    }
}

#[test]
fn a_bad_skill_is_left_out_with_a_reason_and_the_others_are_written() {
    let large = "x".repeat(524_289);
    let skills = json!([
        skill("../../etc/cron.d/x", "Text"),
        skill("/etc/passwd", "Text"),
        skill("good", "Text"),
        skill("good", "Text"),
        {"_id": "another", "name": "Other", "slug": "GOOD", "contentMarkdown": "Text"},
        skill("huge", &large),
        skill(&"long".repeat(3_000), "Text"),
        skill("blank", "  \n"),
        skill("/trimmed/", "Text"),
    ]);
    let desired = files_of(&json!({"resolvedSkills": skills}), Layout::Current);
    let written: Vec<&str> = desired
        .files
        .keys()
        .map(mission_control_runtime::workspace::FilePath::as_str)
        .filter(|path| path.contains('/'))
        .collect();
    assert_eq!(written, ["skills/good/SKILL.md", "skills/trimmed/SKILL.md"]);
    assert_eq!(desired.skill_keys, ["good", "trimmed"]);
    let words: Vec<String> = desired.warnings.iter().map(ToString::to_string).collect();
    let expected = [
        "the skill \"../../etc/cron.d/x\" is left out: its slug must begin",
        "the skill \"/etc/passwd\" is left out: its slug must begin",
        "a second skill with the slug \"GOOD\" is left out",
        "the skill \"huge\" is left out: its text has 524289 bytes",
        "the skill \"longlonglong",
    ];
    assert_eq!(words.len(), expected.len(), "{words:?}");
    for (words, expected) in words.iter().zip(expected) {
        assert!(words.starts_with(expected), "{words}");
    }
    assert!(desired.files[&path("AGENTS.md")].contains("(blank)"), "a skill without a text is listed");
}
