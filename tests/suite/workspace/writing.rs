//! The files on a disk: atomic, private, inside of the workspace, and in one of two complete states after any kill.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mission_control_runtime::absence::CONFIRM_AFTER;
use mission_control_runtime::clock::{Clock as _, SystemClock};
use mission_control_runtime::gateway::dialect::Release;
use mission_control_runtime::workspace::health::WorkspaceHealth;
use mission_control_runtime::workspace::{AgentTokens, ProfileRow, Workspaces};
use serde_json::{Value, json};

use super::{NOW, profile, skill};

/// A folder with the workspaces in `agents`, as `install.sh` makes it.
pub(super) struct Place {
    pub(super) dir: tempfile::TempDir,
}

impl Place {
    pub(super) fn new(mode: u32) -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        for folder in [place.dir.path().to_owned(), place.root()] {
            fs::create_dir_all(&folder).unwrap();
            fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
        }
        place
    }

    pub(super) fn root(&self) -> PathBuf {
        self.dir.path().join("agents")
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    pub(super) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|why| panic!("{path}: {why}"))
    }

    pub(super) fn workspaces(&self) -> Workspaces {
        Workspaces::new(self.root())
    }

    /// Puts this `next.json` into the engineer's workspace, with the permissions of the runtime's.
    pub(super) fn decide(&self, next: &str) {
        let path = self.path("engineer/.mission-control/next.json");
        fs::write(&path, next).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o640)).unwrap();
    }

    /// The files of a profile, with their contents.
    fn profile_files(&self) -> BTreeMap<String, String> {
        let mut files = files_below(&self.root());
        files.retain(|path, _| !path.contains("/.mission-control/") && !path.contains("/memory/"));
        let place = self.dir.path().to_str().unwrap();
        for text in files.values_mut() {
            *text = text.replace(place, "PLACE");
        }
        files
    }
}

/// All regular files below a folder, by their paths.
pub(super) fn files_below(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found
                    .insert(name, String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()).into_owned());
            }
        }
    }
    found
}

pub(super) fn rows(profiles: &[Value]) -> Vec<ProfileRow> {
    profiles.iter().map(|changes| Ok(profile(changes))).collect()
}

pub(super) fn before() -> Vec<ProfileRow> {
    rows(&[json!({"resolvedSkills": [skill("good", "Text"), skill("old", "Text")]})])
}

pub(super) fn after() -> Vec<ProfileRow> {
    let skills = json!([skill("good", "New text"), skill("new", "Text")]);
    rows(&[json!({"effectiveSoulContent": "New soul.", "resolvedSkills": skills})])
}

/// The agent API requires no token.
pub(super) const NO_TOKENS: AgentTokens<'static> = &|_| None;

pub(super) fn release() -> Option<Release> {
    Release::parse("2026.9.6")
}

pub(super) fn fine(health: &WorkspaceHealth) {
    assert!(!health.is_failing(), "{health:?}");
}

#[test]
fn a_sync_writes_every_file_and_the_second_one_nothing() {
    let place = Place::new(0o700);
    let mut workspaces = place.workspaces();
    let now = SystemClock.now();
    let health = workspaces.sync(&before(), NO_TOKENS, release(), now);
    fine(&health);
    assert_eq!((health.agents[0].files, health.agents[0].changed_at), (6, Some(now)));
    let files: Vec<String> = place.profile_files().into_keys().collect();
    let expected = [
        "engineer/AGENTS.md",
        "engineer/IDENTITY.md",
        "engineer/MEMORY.md",
        "engineer/SOUL.md",
        "engineer/USER.md",
        "engineer/skills/good/SKILL.md",
        "engineer/skills/old/SKILL.md",
    ];
    assert_eq!(files, expected);
    assert!(place.path("engineer/deliverables").is_dir());
    let worktrees = format!("{}/worktrees/<task id>", place.dir.path().display());
    assert!(place.read("engineer/AGENTS.md").contains(&worktrees));

    let times = |place: &Place| {
        let stamp = |path: &str| fs::metadata(place.path(path)).unwrap().modified().unwrap();
        ["engineer/SOUL.md", "engineer/.mission-control/manifest.json", "../openclaw.json"].map(stamp)
    };
    let first = times(&place);
    let again = place.workspaces().sync(&before(), NO_TOKENS, release(), now);
    fine(&again);
    assert_eq!((again.agents[0].changes, times(&place)), (0, first));
    let own = files_below(&place.path("engineer/.mission-control"));
    assert_eq!(own.keys().collect::<Vec<_>>(), ["manifest.json"]);

    let later = workspaces.sync(&after(), NO_TOKENS, release(), NOW);
    fine(&later);
    assert_eq!(place.read("engineer/SOUL.md"), "New soul.\n");
    assert!(
        !place.path("engineer/skills/old").exists() && place.path("engineer/skills/new/SKILL.md").exists()
    );
}

/// 0640 in the gateway's group, 0600 without one. The agent writes to its own files in place: 0660.
#[test]
fn files_are_private_or_of_the_group_that_writes_to_the_root() {
    for (root, file, agents_file, folder, own) in [
        (0o700, 0o600, 0o600, 0o700, 0o700),
        (0o755, 0o600, 0o600, 0o700, 0o700),
        (0o770, 0o640, 0o660, 0o770, 0o750),
    ] {
        let place = Place::new(root);
        fine(&place.workspaces().sync(&before(), NO_TOKENS, release(), NOW));
        let mode = |path: &str| fs::metadata(place.path(path)).unwrap().mode() & 0o777;
        for path in [
            "engineer/SOUL.md",
            "engineer/skills/good/SKILL.md",
            "engineer/.mission-control/manifest.json",
            "../openclaw.json",
        ] {
            assert_eq!(mode(path), file, "{path} below {root:o}");
        }
        for path in ["engineer/MEMORY.md", "engineer/memory/WORKING.md"] {
            assert_eq!(mode(path), agents_file, "{path} below {root:o}");
        }
        for path in ["engineer", "engineer/skills", "engineer/skills/good", "engineer/deliverables"] {
            assert_eq!(mode(path), folder, "{path} below {root:o}");
        }
        assert_eq!(mode("engineer/.mission-control"), own);
        let group = fs::metadata(place.root()).unwrap().gid();
        assert_eq!(fs::metadata(place.path("engineer/SOUL.md")).unwrap().gid(), group);
    }
}

/// Ends the process before the n-th write: that write and all later ones do not happen.
fn killed_at(place: &Place, write: usize, rows: &[ProfileRow]) -> bool {
    let count = Arc::new(AtomicUsize::new(0));
    let seen = count.clone();
    let gate = move |_: &str| {
        if seen.fetch_add(1, Ordering::Relaxed) < write { Ok(()) } else { Err(io::Error::other("killed")) }
    };
    Workspaces::with(place.root(), Box::new(gate)).sync(rows, NO_TOKENS, release(), NOW);
    count.load(Ordering::Relaxed) > write
}

#[test]
fn a_kill_at_any_write_leaves_one_of_two_complete_states() {
    let states = [before(), after()].map(|rows| {
        let place = Place::new(0o700);
        fine(&place.workspaces().sync(&before(), NO_TOKENS, release(), NOW));
        fine(&place.workspaces().sync(&rows, NO_TOKENS, release(), NOW));
        place.profile_files()
    });
    let mut seen = [0, 0];
    let mut write = 0;
    loop {
        let place = Place::new(0o700);
        fine(&place.workspaces().sync(&before(), NO_TOKENS, release(), NOW));
        fs::write(place.path("engineer/USER.md"), "Changed by the agent.").unwrap();
        fs::write(place.path("engineer/notes.md"), "Mine.").unwrap();
        let was_killed = killed_at(&place, write, &after());
        // The restart completes what was decided, without Mission Control.
        place.workspaces().recover().unwrap();
        let mut files = place.profile_files();
        assert_eq!(files.remove("engineer/notes.md").as_deref(), Some("Mine."), "write {write}");
        let user = files.get_mut("engineer/USER.md").unwrap();
        if user == "Changed by the agent." {
            states[0]["engineer/USER.md"].clone_into(user);
        } else {
            let copy = place.read("engineer/.mission-control/replaced/USER.md");
            assert_eq!(copy, "Changed by the agent.", "write {write}");
        }
        let state = states.iter().position(|state| *state == files);
        let state = state.unwrap_or_else(|| panic!("write {write} leaves a mixture: {files:#?}"));
        seen[state] += 1;
        // The next sync completes the rest, and leaves nothing behind.
        fine(&place.workspaces().sync(&after(), NO_TOKENS, release(), NOW));
        let mut files = place.profile_files();
        files.remove("engineer/notes.md");
        assert_eq!(files, states[1], "write {write}");
        let own: Vec<String> = files_below(&place.path("engineer/.mission-control")).into_keys().collect();
        assert_eq!(own, ["manifest.json", "replaced/USER.md"], "write {write}");
        write += 1;
        if !was_killed {
            break;
        }
    }
    assert!(seen[0] >= 8 && seen[1] >= 12, "the kill struck both halves: {seen:?}");
}

/// Also the recovery may be killed, and the first sync of all.
#[test]
fn a_kill_in_the_recovery_is_recovered_too() {
    let mut write = 0;
    loop {
        let place = Place::new(0o700);
        let was_killed = killed_at(&place, write, &before());
        for second in (write % 5..60).step_by(5) {
            killed_at(&place, second, &before());
        }
        fine(&place.workspaces().sync(&before(), NO_TOKENS, release(), NOW));
        assert_eq!(place.profile_files().len(), 7, "write {write}");
        let left: Vec<String> = files_below(&place.path("engineer/.mission-control")).into_keys().collect();
        assert_eq!(left, ["manifest.json"], "write {write}");
        write += 1;
        if !was_killed {
            return;
        }
    }
}

#[test]
fn a_link_leads_no_write_out_of_the_workspace() {
    let place = Place::new(0o700);
    let outside = tempfile::tempdir().unwrap();
    let victim = outside.path().join("victim");
    fs::write(&victim, "Untouched.").unwrap();
    fs::create_dir_all(place.path("engineer")).unwrap();
    symlink(outside.path(), place.path("engineer/skills")).unwrap();
    symlink(&victim, place.path("engineer/SOUL.md")).unwrap();
    symlink(outside.path(), place.path("qa")).unwrap();
    let agents = rows(&[
        json!({"resolvedSkills": [skill("good", "Text")]}),
        json!({"_id": "a2", "slug": "qa"}),
        json!({"_id": "a3", "slug": "writer"}),
    ]);
    let health = place.workspaces().sync(&agents, NO_TOKENS, release(), NOW);
    let warnings = health.agents[0].warnings.join("\n");
    assert!(warnings.contains("SOUL.md is not a regular file"), "{warnings}");
    assert!(warnings.contains("skills/good/SKILL.md is not a regular file"), "{warnings}");
    assert!(
        health.agents[1].error.as_deref().unwrap().contains("qa is no folder, or a link to one"),
        "{health:?}"
    );
    assert_eq!(health.agents[2].error, None, "the others are written");
    assert!(place.path("writer/SOUL.md").exists() && place.path("engineer/AGENTS.md").exists());
    assert_eq!(fs::read_to_string(&victim).unwrap(), "Untouched.");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn one_agent_with_an_obstacle_does_not_stop_the_others() {
    let place = Place::new(0o700);
    fs::write(place.path("engineer"), "a file").unwrap();
    let agents =
        rows(&[json!({}), json!({"_id": "a2", "slug": "../x"}), json!({"_id": "a3", "slug": "writer"})]);
    let health = place.workspaces().sync(&agents, NO_TOKENS, release(), NOW);
    assert!(health.is_failing() && health.agents[0].error.is_some(), "{health:?}");
    assert_eq!(health.rejected[0].0, "../x");
    assert!(place.path("writer/SOUL.md").exists());
    let file: Value = serde_json::from_str(&place.read("../openclaw.json")).unwrap();
    let ids: Vec<&str> = file["agents"]["list"]
        .as_array()
        .unwrap()
        .iter()
        .map(|agent| agent["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["engineer", "writer"], "A-8");
}

#[test]
fn an_agent_is_removed_only_when_a_second_answer_confirms_it() {
    let place = Place::new(0o700);
    let both = rows(&[json!({}), json!({"_id": "a2", "slug": "qa"})]);
    let half = rows(&[json!({})]);
    let listed = || {
        let file: Value = serde_json::from_str(&place.read("../openclaw.json")).unwrap();
        file["agents"]["list"].as_array().unwrap().len()
    };
    let mut workspaces = place.workspaces();
    fine(&workspaces.sync(&both, NO_TOKENS, release(), NOW));
    fine(&workspaces.sync(&half, NO_TOKENS, release(), NOW));
    assert!(place.path("qa/SOUL.md").exists() && listed() == 2, "half a roster may be a mistake");
    fine(&workspaces.sync(&both, NO_TOKENS, release(), NOW));
    fine(&workspaces.sync(&half, NO_TOKENS, release(), NOW));
    assert!(place.path("qa/SOUL.md").exists() && listed() == 2);
    // An unreadable row may be the missing agent.
    let mut unreadable = rows(&[json!({})]);
    unreadable.push(Err("missing field `slug`".to_owned()));
    fine(&workspaces.sync(&unreadable, NO_TOKENS, release(), NOW));
    assert!(place.path("qa/SOUL.md").exists() && listed() == 2);
    fine(&workspaces.sync(&half, NO_TOKENS, release(), NOW));
    assert!(place.path("qa/SOUL.md").exists() && listed() == 2, "less than a minute later");
    fine(&workspaces.sync(&half, NO_TOKENS, release(), NOW + CONFIRM_AFTER));
    assert!(!place.path("qa/SOUL.md").exists() && listed() == 1, "confirmed");
    assert!(place.path("qa/MEMORY.md").exists(), "its work stays");
    fine(&workspaces.sync(&both, NO_TOKENS, release(), NOW));
    assert!(place.path("qa/SOUL.md").exists() && listed() == 2, "it is back");
}

/// A list without any agent is most likely a mistake: it removes nothing, however often it comes.
#[test]
fn an_empty_list_removes_no_workspace() {
    let place = Place::new(0o700);
    let both = rows(&[json!({}), json!({"_id": "a2", "slug": "qa"})]);
    let mut workspaces = place.workspaces();
    fine(&workspaces.sync(&both, NO_TOKENS, release(), NOW));
    let before = (place.profile_files(), place.read("../openclaw.json"));
    for minutes in [0, 1, 5, 60 * 24] {
        let health = workspaces.sync(&[], NO_TOKENS, release(), NOW + CONFIRM_AFTER * minutes);
        let kept = health.kept.as_deref().unwrap_or_default();
        assert!(
            kept.starts_with("Mission Control lists no agents, so 2 workspaces of former agents stay"),
            "{kept}"
        );
    }
    assert_eq!((place.profile_files(), place.read("../openclaw.json")), before);
    // A list with agents counts from its own first answer.
    let (half, later) = (rows(&[json!({})]), NOW + CONFIRM_AFTER * (60 * 25));
    let health = workspaces.sync(&half, NO_TOKENS, release(), later);
    assert!(health.kept.is_none() && place.path("qa/SOUL.md").exists());
    fine(&workspaces.sync(&half, NO_TOKENS, release(), later + CONFIRM_AFTER));
    assert!(!place.path("qa/SOUL.md").exists());
    // Without a workspace there is nothing to say.
    assert_eq!(Place::new(0o700).workspaces().sync(&[], NO_TOKENS, release(), NOW).kept, None);
}

#[test]
fn the_configuration_of_the_typescript_runtime_is_taken_over_and_another_file_stays() {
    let place = Place::new(0o700);
    let file = place.dir.path().join("openclaw.json");
    let former = json!({
        "agents": {"defaults": {"skipBootstrap": true}, "list": [{"id": "engineer", "workspace": "/root/clawd/agents/engineer", "identity": {"name": "Jonas"}}]},
        "load": {"extraDirs": ["/root/clawd/agents/engineer/skills"]},
    });
    fs::write(&file, former.to_string()).unwrap();
    fs::create_dir(place.path("engineer")).unwrap();
    fs::write(place.path("engineer/SOUL.md"), "Former soul.").unwrap();
    fs::write(place.path("engineer/HEARTBEAT.md"), "Former beat.").unwrap();
    fine(&place.workspaces().sync(&before(), NO_TOKENS, release(), NOW));
    assert!(!place.path("engineer/HEARTBEAT.md").exists());
    assert_eq!(place.read("engineer/.mission-control/replaced/HEARTBEAT.md"), "Former beat.");
    assert_eq!(place.read("engineer/.mission-control/replaced/SOUL.md"), "Former soul.");
    assert!(!fs::read_to_string(&file).unwrap().contains("extraDirs"));

    let own = r#"{"gateway": {"port": 1}, "agents": {"list": []}}"#;
    for text in [own, "not JSON", "[]"] {
        fs::write(&file, text).unwrap();
        let health = place.workspaces().sync(&before(), NO_TOKENS, release(), NOW);
        assert!(health.error.as_deref().unwrap().contains("not a generated configuration"), "{health:?}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
        assert!(health.agents[0].error.is_none(), "the workspaces are written all the same");
    }
}

/// Until the gateway reports its release, the files stay in the layout of the last sync.
#[test]
fn an_unknown_release_changes_no_layout() {
    let place = Place::new(0o700);
    let mut workspaces = place.workspaces();
    fine(&workspaces.sync(&before(), NO_TOKENS, Release::parse("2026.2.19"), NOW));
    fine(&workspaces.sync(&before(), NO_TOKENS, None, NOW));
    assert!(place.path("engineer/TOOLS.md").exists());
    fine(&workspaces.sync(&before(), NO_TOKENS, release(), NOW));
    fine(&workspaces.sync(&before(), NO_TOKENS, None, NOW));
    assert!(!place.path("engineer/TOOLS.md").exists() && !place.path("engineer/HEARTBEAT.md").exists());
}

#[test]
fn an_operators_own_agents_md_takes_the_place_of_the_texts() {
    let place = Place::new(0o700);
    fs::write(place.dir.path().join("AGENTS.md"), "# Ours\n").unwrap();
    fine(&place.workspaces().sync(&before(), NO_TOKENS, release(), NOW));
    assert!(place.read("engineer/AGENTS.md").starts_with("# Ours\n\n## Tools\n"));
}

#[test]
fn a_damaged_manifest_is_reported_and_loses_no_file() {
    let place = Place::new(0o700);
    fine(&place.workspaces().sync(&before(), NO_TOKENS, release(), NOW));
    fs::write(place.path("engineer/.mission-control/manifest.json"), r#"{"files": {"../../x": {}}}"#)
        .unwrap();
    place.decide(r#"{"steps": [{"path": "/etc/passwd"}]}"#);
    let health = place.workspaces().sync(&after(), NO_TOKENS, release(), NOW);
    fine(&health);
    assert!(
        health.agents[0].warnings[0].starts_with("the list of written files cannot be read"),
        "{health:?}"
    );
    assert_eq!(place.read("engineer/SOUL.md"), "New soul.\n");
    assert!(place.workspaces().sync(&after(), NO_TOKENS, release(), NOW).agents[0].warnings.is_empty());
}

#[test]
fn a_root_that_cannot_be_made_is_a_reason() {
    let place = Place::new(0o700);
    fs::write(place.dir.path().join("file"), "").unwrap();
    let health =
        Workspaces::new(place.dir.path().join("file/agents")).sync(&before(), NO_TOKENS, release(), NOW);
    assert!(
        health.is_failing() && health.error.as_deref().unwrap().contains("cannot be written"),
        "{health:?}"
    );
}
