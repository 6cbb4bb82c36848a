//! Ledgers that prevent a start: each command gives the same reason as the service.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::delivery::cause::Cause;
use mission_control_runtime::delivery::journal::{Journal as _, Note, Wait};
use mission_control_runtime::delivery::{Record, Stage, ToolRounds};
use mission_control_runtime::files::{Access, Folder};
use mission_control_runtime::ledger::{Ledger, Options};
use mission_control_runtime::model::{AccountId, LedgerSync, Notification};
use serde_json::json;

use super::state_dir::{refused, service, starts};
use super::{TOKEN, good_backend};
use crate::support::program::{Program, folder, text};

const NOW: Millis = Millis(1_765_526_400_123);

/// A ledger with one delivery.
fn ledger_with(state: &Path, record: &Record) {
    let folder = Arc::new(Folder::make(state, Access::Owner).unwrap());
    let options = Options::new(AccountId::new("acc0unt"), LedgerSync::Full);
    let ledger = Ledger::open(&folder, &options).unwrap().ledger;
    let row: Notification = serde_json::from_value(json!({
        "_id": "n1", "accountId": "acc0unt", "type": "mention", "recipientType": "agent", "recipientId": "agent1",
        "taskId": "task1", "messageId": "message1", "title": "t", "body": "b", "createdAt": NOW.0, "readAt": null,
    }))
    .unwrap();
    ledger.note(&Note::of(&row.into(), NOW).record(record), Wait::ForDisk).unwrap();
    ledger.close();
}

fn working() -> Record {
    Record { tries: 1, stage: Stage::Working(ToolRounds::default()), ..Record::default() }
}

/// The names, sizes and times of all files, except those that SQLite creates next to a database for its
/// readers.
fn files(state: &Path) -> Vec<(String, u64, i64)> {
    let entries = fs::read_dir(state).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<_> = entries
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap()))
        .map(|(name, facts)| (name, facts.len(), facts.mtime_nsec()))
        .collect();
    files.retain(|(name, ..)| !name.ends_with("-shm") && !name.ends_with("-wal"));
    files.sort();
    files
}

/// Runs `doctor` with everything else in order. Returns its exit code and output.
fn doctor(state: &Path, ledger: &str) -> (Option<i32>, String) {
    let backend = good_backend();
    let program = Program::new(["doctor"]).configured(&backend.url(), TOKEN).with("HEALTH_PORT", "0");
    let program = program.with("OPENCLAW_GATEWAY_URL", "").with("LEDGER", ledger);
    let output = program.with("STATE_DIR", state.to_str().unwrap()).output();
    (output.status.code(), text(&output))
}

/// Checks that the service does not start and that `doctor` gives the same reason. Returns the reason.
fn both_refuse(state: &Path, ledger: &str) -> String {
    let before = files(state);
    let (code, found) = doctor(state, ledger);
    assert_eq!(files(state), before, "doctor changes nothing");
    let (refusal, log) = refused(service(state).with("LEDGER", ledger));
    assert_eq!(refusal, Some(1), "{log}");
    let (_, reason) = log.split_once("Not started reason=").expect(&log);
    let reason: String = serde_json::from_str(reason.lines().next().unwrap()).expect(&log);
    assert!(
        code == Some(1) && found.contains(&format!("disk            WRONG: {reason}\n")),
        "{reason}\n{found}"
    );
    assert!(found.ends_with("\nnot ready to run: disk\n"), "{found}");
    reason
}

#[test]
fn doctor_refuses_an_emptied_ledger_as_the_service_does() {
    let (_kept, path) = folder();
    for (name, empty) in [("removed", false), ("emptied", true)] {
        let state = path(name);
        ledger_with(&state, &working());
        let (code, found) = doctor(&state, "on");
        assert_eq!(code, Some(0), "the ledger is intact: {found}");
        let database = state.join("ledger.sqlite");
        if empty { fs::write(&database, "") } else { fs::remove_file(&database) }.unwrap();
        // It is not known which deliveries were given up in it.
        for args in [["dead", "list"], ["why", "ben"]] {
            let program = Program::new(args).configured("http://127.0.0.1:9", TOKEN).with("HEALTH_PORT", "0");
            let output = program.with("STATE_DIR", state.to_str().unwrap()).output();
            let said = text(&output);
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(said.contains("the ledger is damaged (it is empty, and 1 commits"), "{args:?}: {said}");
            assert!(!said.contains("No dead letters"), "{said}");
        }
        let reason = both_refuse(&state, "on");
        assert!(reason.starts_with("the ledger is damaged (it is empty, and 1 commits"), "{reason}");
    }
}

#[test]
fn without_a_ledger_no_service_starts_while_deliveries_could_be_repeated() {
    let (_kept, path) = folder();
    let state = path("working");
    ledger_with(&state, &working());
    let reason = both_refuse(&state, "off");
    for words in [
        "deliveries under way (1)",
        "start once without LEDGER=off until they are settled",
        "move the files ledger.* away",
    ] {
        assert!(reason.contains(words), "{words}: {reason}");
    }
    // A delivery that only waits is listed again and starts again.
    let state = path("waiting");
    ledger_with(&state, &Record { failures: [(Cause::BackendAway, 3)].into(), ..Record::default() });
    let (code, found) = doctor(&state, "off");
    assert_eq!(code, Some(0), "{found}");
    starts(service(&state).with("LEDGER", "off"));
    // A reopened delivery would not be listed again.
    let state = path("reopened");
    ledger_with(&state, &Record { reopened: true, ..Record::default() });
    both_refuse(&state, "off");
}

/// Uses a separate read-only file system, because permissions do not stop root.
#[test]
#[allow(clippy::print_stdout, reason = "readers of the test output should know")]
fn doctor_does_not_call_a_read_only_folder_writable() {
    let allowed = Command::new("unshare").args(["-Urm", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        return println!("SKIPPED: a read-only folder (this machine allows no private file systems)");
    }
    let read_only = "mount -t tmpfs none /mnt && mkdir -m 700 /mnt/state && mount -o remount,ro /mnt";
    let inside = format!("exec unshare -Urm sh -c '{read_only} && exec \"$0\" \"$@\"' \"$0\" \"$@\"; true");
    let program = Program::after(&inside, ["doctor"]);
    let output = program
        .configured("http://127.0.0.1:9", TOKEN)
        .with("HEALTH_PORT", "0")
        .with("STATE_DIR", "/mnt/state")
        .output();
    let found = text(&output);
    assert!(found.contains("disk            WRONG: STATE_DIR /mnt/state cannot be written"), "{found}");
    assert!(!found.contains("/mnt/state can be written"), "{found}");
}
