//! What a sync reads: nothing that has not changed, and every change of others.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mission_control_runtime::clock::{Clock as _, Millis, SystemClock};
use mission_control_runtime::workspace::health::{AgentFiles, WorkspaceHealth};
use mission_control_runtime::workspace::{ProfileRow, Workspaces};
use serde_json::{Value, json};

use super::skill;
use super::writing::{NO_TOKENS, Place, before, fine, release, rows};

/// The files of [`before`] that follow Mission Control.
const FILES: usize = 6;

/// After this time a later write certainly has another time. It counts from a moment before the writes, which a slow disk
/// delays.
const SETTLED: Duration = Duration::from_mins(10);

fn sync(place: &Place, rows: &[ProfileRow], now: Millis) -> WorkspaceHealth {
    let health = place.workspaces().sync(rows, NO_TOKENS, release(), now);
    fine(&health);
    health
}

fn first(health: &WorkspaceHealth) -> &AgentFiles {
    &health.agents[0]
}

/// A workspace whose files were read after they had settled.
fn settled() -> (Place, Millis) {
    let place = Place::new(0o700);
    let now = SystemClock.now();
    sync(&place, &before(), now);
    assert_eq!(first(&sync(&place, &before(), now + SETTLED)).reads, FILES);
    (place, now + SETTLED)
}

/// Replaces the content of a file by another of the same size, in the same file and with the same time of the last write.
fn forge(path: &Path) {
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    let text = fs::read_to_string(path).unwrap();
    fs::write(path, "X".repeat(text.len())).unwrap();
    File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
}

#[test]
fn files_that_have_not_changed_are_not_read_again() {
    let (place, now) = settled();
    let memory = fs::metadata(place.path("engineer/MEMORY.md")).unwrap().modified().unwrap();
    for pass in 1..4 {
        let again = sync(&place, &before(), now + Duration::from_mins(5) * pass);
        assert_eq!((first(&again).reads, first(&again).changes), (0, 0), "pass {pass}");
    }
    assert_eq!(fs::metadata(place.path("engineer/MEMORY.md")).unwrap().modified().unwrap(), memory);
}

#[test]
fn an_edit_of_others_is_noticed() {
    type Edit = fn(&Path);
    let edits: [(&str, Edit); 4] = [
        ("another size", |path| fs::write(path, "Mine.").unwrap()),
        ("the same size and time", forge),
        ("another file in its place", |path| {
            fs::write(path.with_extension("new"), fs::read(path).unwrap().repeat(2)).unwrap();
            fs::rename(path.with_extension("new"), path).unwrap();
        }),
        ("removed", |path| fs::remove_file(path).unwrap()),
    ];
    for (name, edit) in edits {
        let (place, now) = settled();
        let soul = place.path("engineer/SOUL.md");
        let text = fs::read_to_string(&soul).unwrap();
        edit(&soul);
        let health = sync(&place, &before(), now + SETTLED);
        assert_eq!((first(&health).changes, fs::read_to_string(&soul).unwrap()), (1, text), "{name}");
        assert!(first(&health).reads <= 1, "{name}: only the changed file is read");
        let warned = first(&health).warnings.iter().any(|words| words.contains("SOUL.md was changed"));
        assert_eq!(warned, name != "removed", "{name}: {:?}", first(&health).warnings);
    }
}

/// Two writes may get the same time from the disk, so the stamp of a young file proves nothing.
#[test]
fn an_edit_right_after_a_sync_is_noticed() {
    let place = Place::new(0o700);
    let soul = place.path("engineer/SOUL.md");
    for _ in 0..20 {
        sync(&place, &before(), SystemClock.now());
        let text = fs::read_to_string(&soul).unwrap();
        forge(&soul);
        let health = sync(&place, &before(), SystemClock.now());
        assert_eq!((first(&health).changes, fs::read_to_string(&soul).unwrap()), (1, text));
    }
}

#[test]
fn a_touched_file_is_read_once_and_not_written() {
    let (place, now) = settled();
    let soul = File::options().write(true).open(place.path("engineer/SOUL.md")).unwrap();
    soul.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let counts = |health: &WorkspaceHealth| (first(health).reads, first(health).changes);
    assert_eq!(counts(&sync(&place, &before(), now + SETTLED)), (1, 0));
    assert_eq!(counts(&sync(&place, &before(), now + SETTLED * 2)), (0, 0));
}

/// A manifest of an earlier version has no stamps and no sizes.
#[test]
fn a_manifest_of_an_earlier_version_is_completed() {
    let (place, now) = settled();
    let path = place.path("engineer/.mission-control/manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for file in manifest["files"].as_object_mut().unwrap().values_mut() {
        let kept = ["sha256", "at"].map(|name| (name.to_owned(), file[name].clone()));
        *file = Value::Object(kept.into_iter().collect());
    }
    fs::write(&path, manifest.to_string()).unwrap();
    let counts = |health: &WorkspaceHealth| (first(health).reads, first(health).changes);
    assert_eq!(counts(&sync(&place, &before(), now + SETTLED)), (FILES, 0));
    assert_eq!(counts(&sync(&place, &before(), now + SETTLED * 2)), (0, 0));
    let written: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(written["files"]["SOUL.md"]["at"], manifest["files"]["SOUL.md"]["at"], "since when");
    assert!(written["files"]["SOUL.md"]["bytes"].as_u64() > Some(0));
}

#[test]
fn a_file_of_100_megabytes_is_replaced_unread_and_the_agents_own_one_stays() {
    let (place, now) = settled();
    for name in ["SOUL.md", "MEMORY.md"] {
        File::create(place.path("engineer").join(name)).unwrap().set_len(100 * 1024 * 1024).unwrap();
    }
    let health = sync(&place, &before(), now + SETTLED);
    assert_eq!(first(&health).changes, 1);
    assert!(first(&health).warnings.iter().any(|words| words.contains("SOUL.md was changed")));
    assert!(place.read("engineer/SOUL.md").starts_with("# Soul"));
    assert_eq!(fs::metadata(place.path("engineer/MEMORY.md")).unwrap().len(), 100 * 1024 * 1024);
}

#[test]
fn an_unwritable_workspace_is_a_reason_and_the_others_are_written() {
    let place = Place::new(0o700);
    let refused = AtomicBool::new(false);
    let refuse_the_first = move |_: &str| {
        if refused.swap(true, Ordering::SeqCst) {
            Ok(())
        } else {
            Err(io::Error::from(io::ErrorKind::PermissionDenied))
        }
    };
    let agents = rows(&[json!({}), json!({"_id": "a2", "slug": "writer"})]);
    let mut workspaces = Workspaces::with(place.root(), Box::new(refuse_the_first));
    let health = workspaces.sync(&agents, NO_TOKENS, release(), SystemClock.now());
    let error = first(&health).error.as_deref().unwrap();
    assert!(error.contains("engineer cannot be written") && error.contains("make it writable"), "{error}");
    assert!(health.agents[1].error.is_none() && place.path("writer/SOUL.md").exists());
    let skills =
        json!([skill("../x", "Text"), skill("/etc/x", "Text"), skill("huge", &"x".repeat(100 << 20))]);
    let agents = rows(&[json!({"resolvedSkills": skills}), json!({"_id": "a2", "slug": "writer"})]);
    let health = workspaces.sync(&agents, NO_TOKENS, release(), SystemClock.now());
    fine(&health);
    assert_eq!(first(&health).warnings.len(), 3, "{:?}", first(&health).warnings);
    assert!(place.path("engineer/SOUL.md").exists() && !place.path("engineer/skills").exists());
}

/// The cost of a sync is counted in files that are read and written: none for agents without a change.
#[test]
fn the_cost_of_a_sync_follows_the_changes_and_not_the_number_of_agents() {
    let place = Place::new(0o700);
    let team = |soul: &str| -> Vec<ProfileRow> {
        let agents: Vec<Value> = (0..100)
            .map(|number| json!({"_id": format!("a{number}"), "slug": format!("agent-{number}")}))
            .collect();
        let mut team = rows(&agents);
        team[7].as_mut().unwrap().effective_soul_content = soul.to_owned();
        team
    };
    let now = SystemClock.now();
    let cost = |rows: &[ProfileRow], now| {
        let health = sync(&place, rows, now);
        let sum = |count: fn(&AgentFiles) -> usize| health.agents.iter().map(count).sum::<usize>();
        (sum(|files| files.reads), sum(|files| files.changes))
    };
    let (read, written) = cost(&team("One."), now);
    assert!(read == 0 && written >= 400, "{read} {written}");
    assert_eq!(cost(&team("One."), now + SETTLED), (400, 0), "once more after the first sync");
    assert_eq!(cost(&team("One."), now + SETTLED * 2), (0, 0));
    assert_eq!(cost(&team("Two."), now + SETTLED * 3), (0, 1));
    assert_eq!(cost(&team("Two."), now + SETTLED * 4), (1, 0), "the new file once more");
    assert_eq!(cost(&team("Two."), now + SETTLED * 5), (0, 0));
}
