//! A program of the gateway's user that replaces the runtime's own files in a workspace: no write leaves the workspace,
//! and no file from elsewhere enters it.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::PathBuf;

use mission_control_runtime::files::shared::{SharedFolder, Sharing};
use mission_control_runtime::workspace::health::WorkspaceHealth;
use serde_json::{Value, json};

use super::NOW;
use super::writing::{NO_TOKENS, Place, after, before, files_below, fine, release, rows};

/// Another user than the one of the tests.
const FOREIGN: u32 = 64_321;

/// A synced workspace, with a file of the runtime outside of it.
struct Attacked {
    place: Place,
    secret: PathBuf,
}

impl Attacked {
    fn new() -> Self {
        let place = Place::new(0o770);
        let secret = place.dir.path().join("state/ledger.sqlite");
        fs::create_dir(place.dir.path().join("state")).unwrap();
        fs::write(&secret, "All deliveries.").unwrap();
        fs::create_dir(place.dir.path().join("far")).unwrap();
        fine(&place.workspaces().sync(&before(), NO_TOKENS, release(), NOW));
        Self { place, secret }
    }

    /// A `next.json` with these steps and the manifest of the last sync.
    fn next(&self, steps: &Value) -> String {
        let manifest: Value =
            serde_json::from_str(&self.place.read("engineer/.mission-control/manifest.json")).unwrap();
        json!({"manifest": manifest, "steps": steps}).to_string()
    }

    fn sync(&self) -> WorkspaceHealth {
        let agents = [after(), rows(&[json!({"_id": "a3", "slug": "writer"})])];
        let agents: Vec<_> = agents.into_iter().flatten().collect();
        self.place.workspaces().sync(&agents, NO_TOKENS, release(), NOW)
    }

    fn nothing_moved(&self, attack: &str) {
        assert_eq!(fs::read_to_string(&self.secret).unwrap(), "All deliveries.", "{attack}");
        assert_eq!(fs::read_dir(self.place.dir.path().join("far")).unwrap().count(), 0, "{attack}");
        assert!(!self.place.path("engineer/notes").exists(), "{attack}");
        let files = files_below(&self.place.root());
        assert!(files.values().all(|text| text != "All deliveries."), "{attack}: {files:#?}");
    }
}

/// The recovery and the health of the engineer say this, while the other agent is written.
fn refusal(attacked: &Attacked, expected: &str) {
    let recovered = attacked.place.workspaces().recover();
    let why = recovered.expect_err(expected).to_string();
    assert!(why.contains(expected), "{why}");
    let health = attacked.sync();
    let why = health.agents[0].error.as_deref().unwrap();
    assert!(why.contains(expected), "{why}");
    assert_eq!(health.agents[1].error, None, "the others are written");
    attacked.nothing_moved(expected);
}

#[test]
fn a_staged_file_is_a_number_in_the_runtimes_own_folder() {
    let sha256 = "0".repeat(64);
    for staged in [
        "../../../state/ledger.sqlite",
        "staged-0/../../../../state/ledger.sqlite",
        "staged-../x",
        "staged-",
        "staged-+1",
        "staged-01",
        "manifest.json",
        "..",
        "",
    ] {
        for step in [
            json!({"path": "notes/taken", "change": "create", "staged": staged}),
            json!({"path": "notes/taken", "change": "write", "staged": staged, "sha256": sha256, "ours": null}),
        ] {
            let attacked = Attacked::new();
            attacked.place.decide(&attacked.next(&json!([step])));
            attacked.place.workspaces().recover().unwrap();
            attacked.nothing_moved(staged);
            fine(&attacked.sync());
            attacked.nothing_moved(staged);
            assert_eq!(attacked.place.read("engineer/SOUL.md"), "New soul.\n");
            assert!(!attacked.place.path("engineer/.mission-control/next.json").exists());
        }
    }
}

#[test]
fn a_folder_is_not_made_through_a_link() {
    let attacked = Attacked::new();
    symlink(attacked.place.dir.path().join("far"), attacked.place.path("engineer/lnk")).unwrap();
    let steps = json!([
        {"path": "lnk/outside", "change": "folder"},
        {"path": "lnk", "change": "folder"},
        {"path": "memory/of/june", "change": "folder"},
    ]);
    attacked.place.decide(&attacked.next(&steps));
    attacked.place.workspaces().recover().unwrap();
    attacked.nothing_moved("a folder through a link");
    assert!(attacked.place.path("engineer/memory/of/june").is_dir(), "the other steps are carried out");
    fine(&attacked.sync());
}

/// The agent may move a folder that the runtime made for it, and write to its own files.
#[test]
fn an_own_folder_or_file_that_others_may_write_to_is_refused() {
    let attacked = Attacked::new();
    let engineer = attacked.place.path("engineer");
    let next = attacked.next(&json!([{"path": "notes/made", "change": "folder"}]));
    fs::rename(engineer.join(".mission-control"), engineer.join("former")).unwrap();
    fs::write(engineer.join("MEMORY.md"), &next).unwrap();
    fs::rename(engineer.join("MEMORY.md"), engineer.join("memory/next.json")).unwrap();
    fs::rename(engineer.join("memory"), engineer.join(".mission-control")).unwrap();
    refusal(&attacked, "/engineer/.mission-control can be written by other users: remove it");
    fs::rename(engineer.join(".mission-control"), engineer.join("memory")).unwrap();
    fs::rename(engineer.join("former"), engineer.join(".mission-control")).unwrap();
    fine(&attacked.sync());

    let own = |name: &str| attacked.place.path("engineer/.mission-control").join(name);
    attacked.place.decide(&next);
    fs::set_permissions(own("next.json"), fs::Permissions::from_mode(0o660)).unwrap();
    refusal(&attacked, "/next.json can be written by other users: remove it");
    fs::remove_file(own("next.json")).unwrap();
    fine(&attacked.sync());

    fs::set_permissions(own("manifest.json"), fs::Permissions::from_mode(0o646)).unwrap();
    let health = attacked.sync();
    let why = health.agents[0].error.as_deref().unwrap();
    assert!(why.contains("/manifest.json can be written by other users: remove it"), "{why}");
}

#[test]
#[allow(clippy::print_stderr, reason = "a skipped test says so")]
fn an_own_folder_or_file_of_another_user_is_refused() {
    let attacked = Attacked::new();
    if fs::metadata(attacked.place.root()).unwrap().uid() != 0 {
        eprintln!("Skipped: only root can give a file to another user");
        return;
    }
    let engineer = attacked.place.path("engineer");
    let own = engineer.join(".mission-control");
    let next = attacked.next(&json!([{"path": "notes/made", "change": "folder"}]));
    attacked.place.decide(&next);
    let expected = format!("belongs to the user {FOREIGN}: remove it");
    for name in ["next.json", "manifest.json", ""] {
        chown(own.join(name), Some(FOREIGN), None).unwrap();
        if name == "manifest.json" {
            fs::remove_file(own.join("next.json")).unwrap();
            let health = attacked.sync();
            assert!(health.agents[0].error.as_deref().unwrap().contains(&expected), "{health:?}");
        } else {
            refusal(&attacked, &expected);
        }
        chown(own.join(name), Some(0), None).unwrap();
    }
    attacked.nothing_moved("a foreign owner");
    fine(&attacked.sync());
}

#[test]
fn a_name_that_leads_out_of_a_folder_is_refused_by_every_method() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("in/side")).unwrap();
    fs::write(dir.path().join("in/side/file"), "Text").unwrap();
    let folder = SharedFolder::open(&dir.path().join("in")).unwrap();
    for name in ["", ".", "..", "../in", "side/file", "/etc/passwd", "side/", "a\0b"] {
        let refusals = [
            folder.modified(name).map(drop),
            folder.folder(name).map(drop),
            folder.make_folder(name, Sharing::Private).map(drop),
            folder.entry(name).map(drop),
            folder.read(name, 9).map(drop),
            folder.read_ours(name, 9).map(drop),
            folder.create(name, b"", Sharing::Private),
            folder.rename(name, &folder, "new"),
            folder.rename("side", &folder, name),
            folder.link(name, &folder, "new"),
            folder.link("side", &folder, name),
            folder.remove(name),
            folder.remove_empty(name),
        ];
        for (method, refusal) in refusals.into_iter().enumerate() {
            let why = refusal.expect_err(name);
            assert_eq!(why.kind(), ErrorKind::InvalidInput, "{name:?}, method {method}: {why}");
        }
    }
    assert_eq!(files_below(dir.path()).keys().collect::<Vec<_>>(), ["in/side/file"]);
}
