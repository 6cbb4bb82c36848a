//! What holds for every profile and every folder.

use std::collections::BTreeSet;

use mission_control_runtime::workspace::{FileChange, FilePath, Layout, plan};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::{Disk, NOW, files_of};

const SLUGS: [&str; 9] = ["good", "GOOD", "other", "..", "/etc/x", "a/b", "", "nul\0", "con"];
const TEXTS: [&str; 6] = ["", " ", "Short.", "---\nname: x\n---\nText", "---\n", "Line\nLine"];
const PATHS: [&str; 11] = [
    "AGENTS.md",
    "HEARTBEAT.md",
    "IDENTITY.md",
    "SOUL.md",
    "TOOLS.md",
    "USER.md",
    "MEMORY.md",
    "deliverables",
    "notes.md",
    "skills/good/SKILL.md",
    "skills/own/SKILL.md",
];

fn any_profile() -> impl Strategy<Value = (Value, Layout)> {
    let skill = (select(SLUGS.to_vec()), select(TEXTS.to_vec()), 0..4_u8).prop_map(|(slug, text, id)| {
        json!({"_id": format!("s{id}"), "name": "S", "slug": slug, "contentMarkdown": text})
    });
    let text = || select(TEXTS.to_vec());
    let layout = prop_oneof![Just(Layout::Current), Just(Layout::Former)];
    (text(), text(), text(), proptest::collection::vec(skill, 0..6), layout).prop_map(
        |(soul, user, identity, skills, layout)| {
            let profile = json!({"effectiveSoulContent": soul, "effectiveUserMd": user,
                "effectiveIdentityContent": identity, "resolvedSkills": skills});
            (profile, layout)
        },
    )
}

fn any_files() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    let text = select(vec!["Mine.", "Short.\n", "", "<folder>", "<large>"]);
    proptest::collection::vec((select(PATHS.to_vec()), text), 0..8)
}

proptest! {
    /// Applying twice changes nothing, after any history of profiles and foreign writes.
    #[test]
    fn a_second_sync_has_nothing_to_do(
        files in any_files(),
        adopts: bool,
        history in proptest::collection::vec((any_profile(), any_files()), 1..4),
    ) {
        let mut disk = Disk { adopts, ..Disk::of(&files) };
        for ((profile, layout), writes) in history {
            disk.files.extend(Disk::of(&writes).files);
            let desired = files_of(&profile, layout);
            disk.sync(&desired, NOW);
            let before = disk.clone();
            let plan = plan(&desired, &disk.found(&desired), NOW);
            prop_assert!(plan.operations.is_empty(), "{:?}", plan.operations);
            disk.sync(&desired, NOW);
            prop_assert_eq!(&disk, &before);
        }
    }

    /// No operation leaves the workspace, names one file twice, or loses a content that Mission Control does not have.
    #[test]
    fn no_content_of_others_is_lost(
        files in any_files(),
        adopts: bool,
        (profile, layout) in any_profile(),
        (next, next_layout) in any_profile(),
    ) {
        let mut disk = Disk { adopts, ..Disk::of(&files) };
        for desired in [files_of(&profile, layout), files_of(&next, next_layout)] {
            let found = disk.found(&desired);
            let mut seen = BTreeSet::new();
            for operation in plan(&desired, &found, NOW).operations {
                let (FileChange::Write { path, .. } | FileChange::Create { path, .. } | FileChange::Folder(path)
                    | FileChange::Remove { path, .. }) = &operation;
                prop_assert!(FilePath::parse(path.as_str()).is_some(), "{path}");
                prop_assert!(seen.insert(path.clone()), "{path}");
            }
            disk.sync(&desired, NOW);
        }
        for (path, text) in Disk::of(&files).files {
            let written = text == "Short.\n";
            let kept = disk.files.get(&path) == Some(&text) || disk.copies.contains(&text);
            prop_assert!(kept || written, "{path} with {text:?}: {disk:?}");
            if !adopts && !written {
                prop_assert_eq!(disk.files.get(&path), Some(&text), "{}", path);
            }
        }
    }
}
