//! Disks that are full, read-only or contain foreign data: each case is a clear error, nothing is half written, and
//! writes succeed again once there is space.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::process::{Process, program, program_after};
use crate::support::program::{Program, folder, text};

/// The maximum size of files; a shell counts in blocks of 512 bytes.
const FILE_BLOCKS: u32 = 4096;

/// Reports that this machine cannot run the test.
#[allow(clippy::print_stdout, reason = "a skipped test must be visible in the output")]
fn skipped(why: &str) {
    println!("SKIPPED: {why}");
}

/// Whether a command exists and succeeds.
fn works(command: &str, args: &[&str]) -> bool {
    let done = Command::new(command).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    done.is_ok_and(|status| status.success())
}

/// The titles on the board.
fn titles(process: &Process) -> Vec<Value> {
    let tasks = process.client.look("tasks:list", json!({})).unwrap();
    tasks.as_array().unwrap().iter().map(|task| task["title"].clone()).collect()
}

/// Writes until the disk is full, then calls `make_room`. After that, writes must succeed again.
fn fill_up(process: &Process, words: &str, make_room: impl FnOnce()) {
    let client = &process.client;
    let create = |title: &str| {
        client.person("tasks:create", json!({"title": title, "description": "x".repeat(50_000)}))
    };
    let mut written = Vec::new();
    let refused = loop {
        assert!(written.len() < 2_000, "the disk never gets full");
        let title = format!("Task {}", written.len());
        match create(&title) {
            Ok(_) => written.push(json!(title)),
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused.0, Some(500), "{}", refused.1);
    let answer: Value = serde_json::from_str(&refused.1).unwrap();
    assert_eq!(answer["code"], "InternalServerError");
    let message = answer["message"].as_str().unwrap();
    assert!(message.contains(words) && message.contains("nothing was changed"), "{message}");

    // The refused write left nothing, reads succeed, and a retry is refused with the same error.
    assert_eq!(titles(process), written);
    assert_eq!(create("once more").unwrap_err(), refused);
    assert_eq!(titles(process), written);
    let activities = client.look("activities:list", json!({"limit": 200})).unwrap();
    let recorded = activities.as_array().unwrap().iter().filter(|row| row["type"] == "task_created").count();
    assert_eq!(recorded, written.len().min(199));

    make_room();
    create("Room again").unwrap();
    written.push(json!("Room again"));
    assert_eq!(titles(process), written);
}

#[test]
fn a_write_without_space_is_refused_completely_and_succeeds_later() {
    if !works("prlimit", &["--version"]) {
        return skipped("a file that may not grow (there is no prlimit)");
    }
    let (_home, path) = folder();
    let words = format!("trap '' XFSZ && ulimit -S -f {FILE_BLOCKS}");
    let process =
        Process::start(program_after(&words, &path("data"))).unwrap_or_else(|(_, why)| panic!("{why}"));
    let process_id = process.running.id().to_string();
    fill_up(&process, "look for a quota, a limit on the size of files", || {
        assert!(works("prlimit", &["--pid", &process_id, "--fsize=unlimited"]));
    });
    // The data on the full disk also survive a kill.
    let before = titles(&process);
    process.running.kill();
    let again = Process::start(program(&path("data"))).unwrap_or_else(|(_, why)| panic!("{why}"));
    assert_eq!(titles(&again), before);
}

/// A full file system of 3 MB in a separate mount namespace, if the machine allows one.
#[test]
fn a_full_disk_is_reported_and_survived() {
    let world = ["-Urm", "sh", "-c", "mount -t tmpfs -o size=3m none /mnt"];
    if !works("unshare", &world) {
        return skipped("a full disk (this machine allows no file systems of one's own)");
    }
    let inside =
        "mount -t tmpfs -o size=3m none /mnt && head -c 1000000 /dev/zero > /mnt/ballast && mkdir /mnt/data";
    let words = format!("exec unshare -Urm sh -c '{inside} && exec \"$0\" \"$@\"' \"$0\" \"$@\"; true");
    let process = Process::start(program_after(&words, Path::new("/mnt/data")));
    let process = process.unwrap_or_else(|(_, why)| panic!("{why}"));
    let ballast = format!("/proc/{}/root/mnt/ballast", process.running.id());
    fill_up(&process, "the disk is full", || fs::remove_file(ballast).unwrap());
}

/// All files of a directory with their bytes, except an empty log and the index of a log, which carry no data.
fn content(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.retain(|(name, bytes)| !(name.ends_with("-shm") || name.ends_with("-wal") && bytes.is_empty()));
    files.sort();
    files
}

/// A damage to valid data, given the path of the database and its bytes.
type Damage = fn(&Path, &[u8]);

fn sql(path: &Path, statement: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(statement).unwrap();
}

#[test]
fn unusable_data_are_refused_with_a_clear_error_and_unchanged() {
    let home = TempDir::new().unwrap();
    let data = home.path().join("data");
    let process = Process::start(program(&data)).unwrap_or_else(|(_, why)| panic!("{why}"));
    for title in 0..100 {
        process.client.person("tasks:create", json!({"title": format!("Task {title}")})).unwrap();
    }
    process.running.signal("TERM");
    assert_eq!(process.running.end().0, Some(0));
    let good = content(&data);
    let path = data.join("mission-control.sqlite");
    let bytes = fs::read(&path).unwrap();
    assert!(good.iter().all(|(name, _)| !name.contains("-wal")), "a regular shutdown leaves one file");

    let rows: [(&str, Damage, &str); 10] = [
        (
            "a newer layout",
            |path, _| sql(path, "PRAGMA user_version = 99"),
            "the data was written by a newer version (layout 99, this program supports up to 3); use that version",
        ),
        (
            "another program's",
            |path, _| sql(path, "PRAGMA application_id = 7; PRAGMA journal_mode = DELETE"),
            "the data is damaged (it is another program's database)",
        ),
        (
            "another program's, new",
            |path, _| {
                fs::remove_file(path).unwrap();
                sql(path, "CREATE TABLE boats (name TEXT)");
            },
            "the data is damaged (it is another program's database)",
        ),
        (
            "no database",
            |path, bytes| fs::write(path, "a letter to my aunt ".repeat(bytes.len() / 20)).unwrap(),
            "the data is damaged (file is not a database)",
        ),
        (
            "a short letter",
            |path, _| fs::write(path, "dear aunt").unwrap(),
            "the data is damaged (file is not a database)",
        ),
        (
            "a page in the middle full of noise",
            |path, bytes| {
                let mut bytes = bytes.to_vec();
                let middle = bytes.len() / 2 / 4096 * 4096;
                bytes[middle..middle + 4096].fill(0xA5);
                fs::write(path, bytes).unwrap();
            },
            "the data is damaged (",
        ),
        (
            "the list of tables full of noise",
            |path, bytes| {
                let mut bytes = bytes.to_vec();
                bytes[100..4096].fill(0xA5);
                fs::write(path, bytes).unwrap();
            },
            "the data is damaged (",
        ),
        (
            "cut off in the middle",
            |path, bytes| fs::write(path, &bytes[..bytes.len() / 2]).unwrap(),
            "the data is damaged (",
        ),
        (
            "emptied",
            |path, _| fs::write(path, "").unwrap(),
            "/mission-control.sqlite: it is empty or missing, but",
        ),
        (
            "gone",
            |path, _| fs::remove_file(path).unwrap(),
            "/mission-control.sqlite: it is empty or missing, but",
        ),
    ];
    for (name, damage, words) in rows {
        damage(&path, &bytes);
        let damaged = content(&data);
        let output = program(&data).output();
        assert_eq!(output.status.code(), Some(1), "{name}: {}", text(&output));
        let said = text(&output);
        assert!(said.contains(words), "{name}: {said}");
        assert_eq!(said.trim_end().lines().count(), 1, "{name}: {said}");
        assert!(content(&data) == damaged, "{name}: something was changed");
        fs::write(&path, &bytes).unwrap();
    }
    // The valid data are unchanged.
    assert!(content(&data) == good);
    let again = Process::start(program(&data)).unwrap_or_else(|(_, why)| panic!("{why}"));
    assert_eq!(titles(&again).len(), 100);

    let second = program(&data).output();
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second).starts_with("another process has the data open; stop it, or use another"));
    assert_eq!(titles(&again).len(), 100, "the first process continues");
}

/// A flipped byte is either detected at the start, or fails only the calls that read it. It never ends the process.
#[test]
fn a_flipped_byte_never_ends_the_process() {
    let home = TempDir::new().unwrap();
    let data = home.path().join("data");
    let process = Process::start(program(&data)).unwrap_or_else(|(_, why)| panic!("{why}"));
    for title in 0..50 {
        process.client.person("tasks:create", json!({"title": format!("Task {title}")})).unwrap();
    }
    process.running.signal("TERM");
    process.running.end();
    let path = data.join("mission-control.sqlite");
    let good = fs::read(&path).unwrap();
    let of_tasks = |at: usize| good[at..].starts_with(b"\"title\":\"Task ");
    let (first, last) =
        ((0..good.len()).find(|at| of_tasks(*at)), (0..good.len()).rev().find(|at| of_tasks(*at)));
    let rows = [first.unwrap(), last.unwrap() + 1, last.unwrap() + 8, good.len() / 3, good.len() / 5 * 4];
    for at in rows {
        let mut bytes = good.clone();
        bytes[at] ^= 0xFF;
        fs::write(&path, bytes).unwrap();
        match Process::start(program(&data)) {
            Err((code, said)) => {
                assert!(code == Some(1) && said.starts_with("the data is damaged ("), "{code:?} {said}");
            }
            Ok(process) => {
                for answer in [
                    process.client.look("tasks:list", json!({})),
                    process.client.person("tasks:create", json!({"title": "One more"})),
                ] {
                    let Err((status, said)) = answer else { continue };
                    assert_eq!(status, Some(500), "{said}");
                    assert!(said.contains("the data is damaged ("), "{said}");
                }
                assert!(process.client.service("listAgents", json!({})).is_ok());
            }
        }
        // A killed process may have left its log.
        let _ = fs::remove_file(data.join("mission-control.sqlite-wal"));
        fs::write(&path, &good).unwrap();
    }
}

/// A user who may read but not write. Root may write everywhere, so as root the test uses another user.
#[test]
fn a_read_only_directory_is_a_clear_error() {
    use std::os::unix::fs::{PermissionsExt, chown};
    let other_user = "setpriv --reuid=65534 --regid=65534 --clear-groups";
    let is_root = works("sh", &["-c", "test $(id -u) = 0"]);
    let word = if is_root { format!("exec {other_user} \"$0\" \"$@\"; true") } else { "true".to_owned() };
    let reaches = Program::after(&word, ["--version"]).output();
    if !reaches.status.success() {
        return skipped(
            "a read-only directory: root may write everywhere, and no other user can start the program",
        );
    }
    let home = TempDir::new().unwrap();
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let data = home.path().join("data");
    mode(home.path(), 0o755);
    let process = Process::start(program(&data)).unwrap_or_else(|(_, why)| panic!("{why}"));
    process.running.signal("TERM");
    process.running.end();
    let files = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path());
    for file in files.chain([data.clone()]) {
        mode(&file, if file == data { 0o555 } else { 0o444 });
        if is_root {
            chown(&file, Some(65_534), Some(65_534)).unwrap();
        }
    }
    let before = content(&data);
    let output = program_after(&word, &data).output();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(
        text(&output).contains("/mission-control.sqlite could not be opened (Permission denied"),
        "{}",
        text(&output)
    );
    assert!(content(&data) == before);

    let below = data.join("deeper");
    let output = program_after(&word, &below).output();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("/data/deeper could not be made (Permission denied"), "{}", text(&output));
    mode(&data, 0o755);
}

#[test]
fn an_export_without_space_leaves_no_file() {
    let (_kept, path) = folder();
    let (data, place) = (path("data"), path("copies"));
    fs::create_dir(&place).unwrap();
    let process = Process::start(program(&data)).unwrap_or_else(|(_, why)| panic!("{why}"));
    for _ in 0..10 {
        let task = json!({"title": "Task", "description": "x".repeat(50_000)});
        process.client.person("tasks:create", task).unwrap();
    }
    process.running.signal("TERM");
    assert_eq!(process.running.end().0, Some(0));

    let file = place.join("copy.json");
    let args = || ["local", "export", file.to_str().unwrap(), "--data", data.to_str().unwrap()];
    let output = Program::after("trap '' XFSZ && ulimit -S -f 256", args()).output();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("/copy.json could not be written (File too large"), "{}", text(&output));
    assert_eq!(fs::read_dir(&place).unwrap().count(), 0, "a draft is left");
    let output = Program::new(args()).output();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(fs::read_dir(&place).unwrap().count(), 1);
}
