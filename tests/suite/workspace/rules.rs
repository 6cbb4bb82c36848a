//! The rules of runtime-behaviour §7: a table for those that pure functions decide, and tests for the others.

use mission_control_runtime::workspace::{
    ConfiguredAgent, Desired, FilePath, FolderName, Layout, UnusableName, agents_text, gateway_file,
    heartbeat_text, skill_key, with_front_matter,
};
use serde_json::{Value, json};

use super::{Disk, NOW, files_of, skill};
use crate::support::rules::{RuleRow, RuleTest, check_covered, check_rows};

/// The rules that only threads and files show.
const TESTS: [RuleTest; 10] = [
    ("A-1", "at once and at every interval", "workspaces_follow_the_board_and_the_program_says_since_when"),
    (
        "A-2",
        "the roster alone",
        "h_4_a_new_agent_begins_within_two_seconds_and_an_unchanged_one_is_left_alone",
    ),
    ("A-3", "as specified", "h_5_a_removed_agent_has_no_beat_and_the_end_of_its_last_one_changes_nothing"),
    ("A-4", "at the next use", "a_beat_uses_the_agent_as_the_roster_has_it_now"),
    ("A-5", "as specified", "without_the_variable_nothing_is_written"),
    ("A-6", "shown in /health", "one_agent_with_an_obstacle_does_not_stop_the_others"),
    ("A-7", "every field, at the next use (W-17)", "a_beat_uses_the_agent_as_the_roster_has_it_now"),
    ("A-14", "atomic (W-27)", "a_kill_at_any_write_leaves_one_of_two_complete_states"),
    (
        "A-17",
        "the gateway reloads by itself",
        "the_unit_of_the_gateway_reads_the_generated_file_and_writes_the_gateways_own",
    ),
    ("A-18", "`gateway-config`", "each_variable_has_its_effect"),
];

fn rows() -> Vec<RuleRow> {
    let mut rows = slug_rows();
    rows.extend(skill_rows());
    rows.extend(text_rows());
    rows.extend(file_rows());
    rows
}

/// A slug; the name of the folder, or why there is none.
fn slug_rows() -> Vec<RuleRow> {
    let longest = "a".repeat(64);
    let refused = |why: &str| json!({"refused": why});
    let rows = [
        (json!("engineer"), json!("engineer")),
        (json!("squad-lead"), json!("squad-lead")),
        (json!("agent_1"), json!("agent_1")),
        (json!("  engineer  "), json!("engineer")),
        (json!("/engineer/"), json!("engineer")),
        (json!("QA"), json!("QA")),
        (json!(longest), json!(longest)),
        (json!(".."), refused("characters")),
        (json!("."), refused("characters")),
        (json!("../etc"), refused("characters")),
        (json!("a/../b"), refused("characters")),
        (json!("a/b"), refused("characters")),
        (json!("a\\b"), refused("characters")),
        (json!(""), refused("blank")),
        (json!("   "), refused("blank")),
        (json!("///"), refused("blank")),
        (json!("slug with spaces"), refused("characters")),
        (json!("slug.dots"), refused("characters")),
        (json!("nul\0byte"), refused("characters")),
        (json!("line\nbreak"), refused("characters")),
        (json!("müller"), refused("characters")),
        (json!("-rf"), refused("characters")),
        (json!("__proto__"), refused("characters")),
        (json!(".mission-control"), refused("characters")),
        (json!("CON"), refused("reserved")),
        (json!("com1"), refused("reserved")),
        (json!("a".repeat(10_240)), refused("too long")),
    ];
    rows.into_iter().map(|(slug, expected)| ("A-8", slug, expected)).collect()
}

fn skill_rows() -> Vec<RuleRow> {
    let large = "x".repeat(524_289);
    vec![
        // The text of the skill `plain-words` in Mission Control; its file.
        ("A-9", json!("# Text"), json!("---\nname: plain-words\ndescription: \"Does it.\"\n---\n\n# Text\n")),
        (
            "A-9",
            json!("---\ntags: x\n---\n# Text"),
            json!("---\nname: plain-words\ndescription: \"Does it.\"\ntags: x\n---\n# Text\n"),
        ),
        (
            "A-9",
            json!("---\nname: own\n---\nText"),
            json!("---\nname: own\ndescription: \"Does it.\"\n---\nText\n"),
        ),
        (
            "A-9",
            json!("---\ntags: x\ndescription: mine\n---\nText"),
            json!("---\nname: plain-words\ntags: x\ndescription: mine\n---\nText\n"),
        ),
        (
            "A-9",
            json!("---\nname: 'it''s'\ndescription: \"a\"\n---\nText"),
            json!("---\nname: 'it''s'\ndescription: \"a\"\n---\nText\n"),
        ),
        (
            "A-9",
            json!("---\nno end of the block"),
            json!("---\nname: plain-words\ndescription: \"Does it.\"\n---\n\n---\nno end of the block\n"),
        ),
        // The slug and the text of a skill; its name in the gateway's configuration, or none if the skill is left out.
        ("A-10", json!(["plain-words", "# Text"]), json!("plain-words")),
        ("A-10", json!(["/plain-words/", "# Text"]), json!("plain-words")),
        ("A-10", json!(["plain-words", "---\nname: own\n---\nText"]), json!("own")),
        ("A-10", json!(["plain-words", "---\nname: 'it''s'\n---\nText"]), json!("it's")),
        ("A-10", json!(["plain-words", "---\nname: \"quoted name\"\n---\nText"]), json!("quoted name")),
        ("A-10", json!(["../../etc/cron.d/x", "Text"]), json!(null)),
        ("A-10", json!(["/etc/passwd", "Text"]), json!(null)),
        ("A-10", json!(["blank", "  \n"]), json!(null)),
        ("A-10", json!(["huge", large]), json!(null)),
    ]
}

/// Words that the texts of the program have.
fn text_rows() -> Vec<RuleRow> {
    let agents = [
        "`/var/lib/openclaw/repos/<name>`",
        "`/var/lib/openclaw/worktrees/<task id>`",
        "`feat/task-<task id>`",
        "`Repository — Primary`",
        "No applicable skill",
        "BLOCKED",
        "`response_request`",
        "`sessions_spawn`",
        "[Document](/document/<documentId>)",
        "## Several agents on one task",
    ];
    let heartbeat = ["HEARTBEAT_OK", "Task ID: <id>", "mention"];
    let agents = agents.into_iter().map(|words| ("A-11", json!(words), json!(true)));
    agents.chain(heartbeat.into_iter().map(|words| ("A-12", json!(words), json!(true)))).collect()
}

fn file_rows() -> Vec<RuleRow> {
    let scaffold =
        ["MEMORY.md", "deliverables", "memory/2026-11-29.md", "memory/2026-11-30.md", "memory/2026-12-01.md"];
    let mut kept: Vec<&str> = scaffold.to_vec();
    kept.insert(2, "deliverables/report.md");
    kept.push("memory/WORKING.md");
    vec![
        // The layout; the files that follow Mission Control. A current gateway does not read HEARTBEAT.md and TOOLS.md.
        ("§7.3", json!("current"), json!(["AGENTS.md", "IDENTITY.md", "SOUL.md", "USER.md"])),
        (
            "§7.3",
            json!("former"),
            json!(["AGENTS.md", "HEARTBEAT.md", "IDENTITY.md", "SOUL.md", "TOOLS.md", "USER.md"]),
        ),
        // The stored model; the model in the gateway's configuration.
        ("§7.4", json!("minimax-m2.5"), json!("minimax/minimax-m2.5")),
        ("§7.4", json!(" claude-haiku-4.5 "), json!("anthropic/claude-haiku-4-5")),
        ("§7.4", json!("kimi-k2.5"), json!("moonshotai/kimi-k2.5")),
        ("§7.4", json!("gpt-5-nano"), json!("openai/gpt-5-nano")),
        ("§7.4", json!("unknown"), json!(null)),
        ("§7.4", json!(" "), json!(null)),
        // The soul at the first sync and at the second one; what the second one does with SOUL.md.
        ("A-13", json!(["One.", "One."]), json!([])),
        ("A-13", json!(["One.", " One.\n\n"]), json!([])),
        ("A-13", json!(["One.", "Two."]), json!(["write SOUL.md"])),
        ("A-13", json!([" ", "Two."]), json!(["write SOUL.md"])),
        (
            "A-13",
            json!([" ", " "]),
            json!(["warn SOUL.md has no text in Mission Control, so it is not written"]),
        ),
        // Two texts of one length, whose old weak hash was equal.
        ("A-13", json!(["Aa", "BB"]), json!(["write SOUL.md"])),
        // The number of syncs; the changes of the last one.
        ("A-15", json!(1), json!(10)),
        ("A-15", json!(2), json!(0)),
        ("A-15", json!(3), json!(0)),
        // A file that the agent wrote; what is left once the agent is removed.
        ("A-16", json!("deliverables/report.md"), json!(kept)),
    ]
}

fn decide(rule: &str, given: &Value) -> Value {
    let text = || given.as_str().unwrap();
    match rule {
        "A-8" => match FolderName::of(text()) {
            Ok(name) => json!(name.to_string()),
            Err(why) => json!({"refused": name_of(why)}),
        },
        "A-9" => {
            let skill = serde_json::from_value(skill("plain-words", text())).unwrap();
            json!(with_front_matter(&skill, &FolderName::of("plain-words").unwrap()))
        }
        "A-10" => key_of(given[0].as_str().unwrap(), given[1].as_str().unwrap()),
        "A-11" => json!(agents_text("/var/lib/openclaw/").contains(text())),
        "A-12" => json!(heartbeat_text().contains(text())),
        "§7.3" => {
            let layout: Layout = serde_json::from_value(given.clone()).unwrap();
            json!(files_of(&json!({}), layout).files.keys().map(FilePath::as_str).collect::<Vec<_>>())
        }
        "§7.4" => {
            let agent = ConfiguredAgent {
                id: "qa".to_owned(),
                name: "QA".to_owned(),
                workspace: "/agents/qa".to_owned(),
                model: Some(text().to_owned()),
                skill_keys: Vec::new(),
            };
            gateway_file(&[agent])["agents"]["list"][0]["model"].clone()
        }
        "A-13" => {
            let mut disk = Disk::default();
            let mut sync = |soul: &Value| {
                disk.sync(&files_of(&json!({"effectiveSoulContent": soul}), Layout::Current), NOW)
            };
            sync(&given[0]);
            let lines = sync(&given[1]);
            json!(lines.into_iter().filter(|line| line.contains("SOUL.md")).collect::<Vec<_>>())
        }
        "A-15" => {
            let (mut disk, desired) = (Disk::default(), files_of(&json!({}), Layout::Current));
            let counts = (0..given.as_u64().unwrap()).map(|_| disk.sync(&desired, NOW).len());
            json!(counts.last())
        }
        "A-16" => {
            let mut disk = Disk::default();
            disk.sync(&files_of(&json!({"resolvedSkills": [skill("good", "Text")]}), Layout::Current), NOW);
            disk.files.insert(text().to_owned(), "Work.".to_owned());
            disk.sync(&Desired::default(), NOW);
            json!(disk.files.keys().collect::<Vec<_>>())
        }
        _ => panic!("{rule} has rows and no function"),
    }
}

fn name_of(why: UnusableName) -> &'static str {
    match why {
        UnusableName::Blank => "blank",
        UnusableName::TooLong => "too long",
        UnusableName::Characters => "characters",
        UnusableName::Reserved => "reserved",
    }
}

fn key_of(slug: &str, text: &str) -> Value {
    let desired = files_of(&json!({"resolvedSkills": [skill(slug, text)]}), Layout::Current);
    let written = desired.files.iter().find(|(path, _)| path.as_str().ends_with("SKILL.md"));
    let key = written.map(|(_, text)| skill_key(text, &FolderName::of(slug).unwrap()));
    assert_eq!(desired.skill_keys.first(), key.as_ref(), "the configuration enables the skill by its name");
    json!(key)
}

#[test]
fn the_rules_of_section_7_hold_for_their_rows() {
    check_rows(&rows(), decide);
}

#[test]
fn each_rule_of_section_7_has_a_row_or_a_test() {
    check_covered('A', 18, &rows(), &TESTS);
}
