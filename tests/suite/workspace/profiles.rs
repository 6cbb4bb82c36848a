//! Runtime-behaviour §7.3: the files of a workspace, for each layout, and their sizes.

use mission_control_runtime::gateway::dialect::Release;
use mission_control_runtime::workspace::{
    ConfiguredAgent, FILE_CHARS_MAX, Layout, PROFILE_CHARS_MAX, USER_CHARS_MAX, agents_text, gateway_file,
    heartbeat_text, names_workspace,
};
use serde_json::json;

use super::{files_of, path, skill};
use crate::support::documents::check_fresh;

fn names(desired: &mission_control_runtime::workspace::Desired) -> Vec<&str> {
    desired.files.keys().map(mission_control_runtime::workspace::FilePath::as_str).collect()
}

#[test]
fn the_layout_follows_the_release() {
    for (release, layout) in [
        ("2026.2.19", Layout::Former),
        ("2026.8.2", Layout::Former),
        ("2026.9.0", Layout::Current),
        ("2026.9.6", Layout::Current),
        ("2027.1.1", Layout::Current),
    ] {
        assert_eq!(Layout::of(Release::parse(release).unwrap()), layout, "{release}");
    }
}

#[test]
fn a_current_release_gets_no_heartbeat_file_and_its_skills_in_agents_md() {
    let skills =
        json!([skill("plain-words", "Use short words."), {"_id": "s2", "name": "Empty", "slug": "empty"}]);
    let desired = files_of(&json!({"resolvedSkills": skills}), Layout::Current);
    let files = ["AGENTS.md", "IDENTITY.md", "SOUL.md", "USER.md", "skills/plain-words/SKILL.md"];
    assert_eq!(names(&desired), files);
    assert_eq!(desired.files[&path("SOUL.md")], "# Soul\n\nBuild small things.\n");
    let agents = &desired.files[&path("AGENTS.md")];
    assert!(agents.starts_with("# Rules\n\n## Tools\n\n"), "{agents}");
    assert!(agents.contains("- **A skill** (plain-words): Does it.\n- **Empty** (empty)\n"), "{agents}");
    assert!(desired.warnings.is_empty(), "{:?}", desired.warnings);
    let none = files_of(&json!({}), Layout::Current);
    assert!(none.files[&path("AGENTS.md")].ends_with("## Tools\n\nNo assigned skills\n"));
}

#[test]
fn a_former_release_gets_the_files_that_it_reads() {
    let skills = json!([skill("plain-words", "Use short words.")]);
    let desired = files_of(&json!({"resolvedSkills": skills}), Layout::Former);
    let files = [
        "AGENTS.md",
        "HEARTBEAT.md",
        "IDENTITY.md",
        "SOUL.md",
        "TOOLS.md",
        "USER.md",
        "skills/plain-words/SKILL.md",
    ];
    assert_eq!(names(&desired), files);
    assert_eq!(desired.files[&path("AGENTS.md")], "# Rules\n");
    assert_eq!(desired.files[&path("HEARTBEAT.md")], "# Beat\n");
    let tools = &desired.files[&path("TOOLS.md")];
    assert!(
        tools.starts_with("# Assigned skills\n")
            && tools.ends_with("- **A skill** (plain-words): Does it.\n"),
        "{tools}"
    );
    let none = files_of(&json!({}), Layout::Former);
    assert_eq!(none.files[&path("TOOLS.md")], "# Assigned skills\n\nNo assigned skills\n");
}

#[test]
fn the_agents_own_files_are_created_once() {
    let desired = files_of(&json!({}), Layout::Current);
    let scaffold: Vec<&str> =
        desired.scaffold.keys().map(mission_control_runtime::workspace::FilePath::as_str).collect();
    let days = [
        "MEMORY.md",
        "memory/2026-11-29.md",
        "memory/2026-11-30.md",
        "memory/2026-12-01.md",
        "memory/WORKING.md",
    ];
    assert_eq!(scaffold, days);
    assert_eq!(desired.folders, [path("deliverables")]);
}

#[test]
fn blank_texts_have_defaults_and_a_blank_soul_is_reported() {
    let blank =
        json!({"effectiveSoulContent": " \n", "effectiveUserMd": "", "effectiveIdentityContent": " "});
    let desired = files_of(&blank, Layout::Current);
    assert_eq!(names(&desired), ["AGENTS.md", "IDENTITY.md", "USER.md"]);
    assert_eq!(desired.files[&path("IDENTITY.md")], "# Jonas\n\nRole: Builds\n");
    assert!(desired.files[&path("USER.md")].contains("profile settings"));
    let words: Vec<String> = desired.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(words, ["SOUL.md has no text in Mission Control, so it is not written"]);
}

/// Openclaw-gateway §12.3: 4,000 characters of `USER.md`, 20,000 of the others, 60,000 in all.
#[test]
fn a_text_above_the_gateways_limit_is_cut_and_named() {
    let long = "Ä line of text.\n".repeat(10_000);
    let changes =
        json!({"effectiveSoulContent": long, "effectiveUserMd": long, "effectiveIdentityContent": long});
    let desired = files_of(&changes, Layout::Current);
    let length = |name: &str| desired.files[&path(name)].encode_utf16().count();
    assert!(length("SOUL.md") <= FILE_CHARS_MAX && length("SOUL.md") > FILE_CHARS_MAX - 100);
    assert!(length("USER.md") <= USER_CHARS_MAX);
    let all: usize = ["SOUL.md", "USER.md", "AGENTS.md", "IDENTITY.md"].into_iter().map(length).sum();
    assert!(all <= PROFILE_CHARS_MAX, "{all}");
    let words: Vec<String> = desired.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        words[0],
        "SOUL.md has 160000 characters, and the gateway reads 20000: shorten its text in Mission Control"
    );
    assert_eq!(words.len(), 3, "{words:?}");
}

/// Runtime-behaviour §7.4.
#[test]
fn the_generated_configuration_names_agents_models_and_skills() {
    let agent = |id: &str, model: Option<&str>, keys: &[&str]| ConfiguredAgent {
        id: id.to_owned(),
        name: format!(" Agent {id} "),
        workspace: format!("/clawd/agents/{id}"),
        model: model.map(str::to_owned),
        skill_keys: keys.iter().map(|key| (*key).to_owned()).collect(),
    };
    let file = gateway_file(&[
        agent("engineer", Some(" claude-haiku-4.5 "), &["plain-words", "handover"]),
        agent("qa", Some("unknown"), &["handover"]),
        agent("writer", None, &[]),
    ]);
    let expected = json!({
        "agents": {
            "defaults": {"skipBootstrap": true},
            "list": [
                {"id": "engineer", "workspace": "/clawd/agents/engineer", "identity": {"name": "Agent engineer"},
                 "model": "anthropic/claude-haiku-4-5"},
                {"id": "qa", "workspace": "/clawd/agents/qa", "identity": {"name": "Agent qa"}},
                {"id": "writer", "workspace": "/clawd/agents/writer", "identity": {"name": "Agent writer"}},
            ],
        },
        "skills": {"entries": {"plain-words": {"enabled": true}, "handover": {"enabled": true}}},
    });
    assert_eq!(file, expected);
    assert_eq!(gateway_file(&[]), json!({"agents": {"defaults": {"skipBootstrap": true}, "list": []}}));
    assert!(names_workspace(&file, "qa") && !names_workspace(&file, "designer"));
    assert!(!names_workspace(&json!({"agents": {"list": [{"id": "qa", "workspace": "/elsewhere"}]}}), "qa"));
}

#[test]
fn the_text_that_ships_fits_and_has_no_placeholder() {
    let agents = agents_text("/var/lib/openclaw/");
    assert!(agents.encode_utf16().count() < 10_000 && !agents.contains("{{"));
}

/// The documents show the texts as agents of a default installation get them.
#[test]
fn the_documents_show_the_texts_of_the_program() {
    check_fresh("docs/runtime/AGENTS.md", |_| agents_text("/root/clawd"));
    check_fresh("docs/runtime/HEARTBEAT.md", |_| heartbeat_text().to_owned());
}
