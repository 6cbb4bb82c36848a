//! Folders that are locked or not writable, and disks that are full or slow.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// The variable with the folder for the test process inside another file system.
const PLACE: &str = "LEDGER_TEST_PLACE";

/// Reports that a test cannot run on this machine.
#[allow(clippy::print_stdout, reason = "whoever reads the tests' output should know")]
fn skipped(why: &str) {
    println!("SKIPPED: {why}");
}

#[test]
fn two_processes_do_not_share_a_ledger() {
    let home = TempDir::new().unwrap();
    let place = home.path().join("state");
    let first = open(&place);
    let refused = try_open(&place).err().unwrap();
    let words = format!(
        "process {} already runs on STATE_DIR {}; stop it. (A second STATE_DIR would not help: only one runtime may serve \
         an account.)",
        std::process::id(),
        place.display()
    );
    assert_eq!(refused.to_string(), words);
    assert!(!refused.is_of_the_place());
    put(&first.ledger, "n1", 1);
    // Reading at the same time is allowed.
    assert_eq!(read(&place).unwrap().deliveries.len(), 1);
    drop(first);
    assert_eq!(open(&place).open.len(), 1);
}

/// A child process that is just being started has all our files open for a moment, including the lock.
#[test]
fn a_place_is_free_as_soon_as_it_is_given_up() {
    let home = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                Command::new("true").status().unwrap();
            }
        });
        let refused = (0..300).find_map(|_| try_open(home.path()).err());
        over.store(true, Ordering::SeqCst);
        assert!(refused.is_none(), "{refused:?}");
    });
}

#[test]
fn all_is_its_owners_alone() {
    let home = TempDir::new().unwrap();
    let place = home.path().join("deep/state");
    let opened = open(&place);
    put(&opened.ledger, "n1", 1);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place), 0o700);
    let mut names = Vec::new();
    for entry in fs::read_dir(&place).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(mode(&entry.path()), 0o600, "{}", entry.path().display());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    let expected = ["ledger.lock", "ledger.mark", "ledger.sqlite", "ledger.sqlite-shm", "ledger.sqlite-wal"];
    assert_eq!(names, expected);
    drop(opened);
    fs::set_permissions(place.join("ledger.sqlite"), fs::Permissions::from_mode(0o644)).unwrap();
    drop(open(&place));
    assert_eq!(mode(&place.join("ledger.sqlite")), 0o600);
}

/// The caller may then continue without a ledger, and reports that.
#[test]
fn a_place_that_cannot_be_written_is_a_sentence() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    for place in [file.clone(), file.join("state"), Path::new("/proc/state").to_owned()] {
        let refused = try_open(&place).err().unwrap();
        assert!(refused.is_of_the_place());
        let words = format!("STATE_DIR {} ", place.display());
        assert!(refused.to_string().starts_with(&words), "{refused}");
    }
}

/// "5 ms added to each commit": only to commits with a waiting note.
#[test]
fn a_slow_disk_can_be_played() {
    let home = TempDir::new().unwrap();
    let slow = Options { slow: Duration::from_millis(60), ..options() };
    let ledger = Ledger::open(&folder(home.path()).unwrap(), &slow).unwrap().ledger;
    let began = Instant::now();
    (0..4).for_each(|count| put(&ledger, "n1", count));
    assert!(began.elapsed() >= Duration::from_millis(240));
    let began = Instant::now();
    (0..2_000).for_each(|count| close(&ledger, &format!("n{count}"), NOW, Wait::Not));
    // With a wait each they would take two minutes.
    assert!(began.elapsed() < Duration::from_secs(40), "a caller waited: {:?}", began.elapsed());
}

/// Runs inside a separate file system, see [`in_a_small_world`]. Its results are lines that start with `child:`.
#[test]
#[allow(clippy::print_stdout, reason = "it speaks to the test that started it")]
fn role() {
    let Ok(place) = std::env::var(PLACE) else { return };
    let (what, place) = place.split_once(' ').unwrap();
    let place = Path::new(place);
    let ledger = match try_open(&place.join("state")) {
        Ok(opened) => opened.ledger,
        Err(why) => {
            assert!(why.is_of_the_place());
            return println!("child: {why}");
        }
    };
    if what == "stuck" {
        put(&ledger, "n1", 1);
        close(&ledger, "n2", NOW, Wait::ForDisk);
        drop(ledger);
        assert!(Command::new("mount").args(["-o", "remount,ro", "/mnt"]).status().unwrap().success());
        let why = try_open(&place.join("state")).err().unwrap();
        let LedgerError::Stuck { known: Some(known), .. } = &why else { panic!("{why:?}") };
        assert!(!why.is_of_the_place() && *known == [WorkId::new("n1")], "{known:?}");
        return println!("child: {why}");
    }
    assert_eq!(what, "full");
    let fill = |count: u32| {
        let row = row(&format!("n{count}"));
        let stage = Stage::Answered(PendingAnswer::new(vec!["x".repeat(50_000)], false));
        let record = Record { failures: [(Cause::Interrupted, count)].into(), stage, ..Record::default() };
        ledger.note(&Note::of(&row, NOW).record(&record), Wait::ForDisk)
    };
    let refused = (0..200).find_map(|count| fill(count).err().map(|why| (count, why)));
    let (count, why) = refused.expect("it is full");
    assert_eq!((ledger.state().off.as_deref(), ledger.state().holds), (Some(&*why.to_string()), true));
    assert_eq!(fill(count).unwrap_err(), why, "and it stays so");
    assert!(count > 2, "{count}");
    // A note without a waiting caller does not wait and does not fail.
    close(&ledger, "passing", NOW, Wait::Not);
    fs::remove_file(place.join("ballast")).unwrap();
    fill(count).unwrap();
    assert_eq!((ledger.state().off, ledger.state().holds), (None, false));
    drop(ledger);
    let opened = open(&place.join("state"));
    assert_eq!(opened.open.len(), usize::try_from(count).unwrap() + 1);
    println!("child: {why}");
}

/// Runs [`role`] in a file system of 3 MB, after this shell command. Returns its result, or `None` if this machine does
/// not allow it.
fn in_a_small_world(what: &str, words: &str) -> Option<String> {
    let allowed = Command::new("unshare")
        .args(["-Urm", "sh", "-c", "mount -t tmpfs -o size=3m none /mnt"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !allowed.is_ok_and(|status| status.success()) {
        return None;
    }
    let itself = std::env::current_exe().unwrap();
    let script = format!("mount -t tmpfs -o size=3m none /mnt && {words} && exec \"$0\" \"$@\"");
    let output = Command::new("unshare")
        .args(["-Urm", "sh", "-c", &script])
        .arg(itself)
        .args(["--exact", "ledger::disk::role", "--nocapture", "--test-threads=1"])
        .env(PLACE, format!("{what} /mnt"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    Some(said.split_once("child: ").unwrap().1.lines().next().unwrap().to_owned())
}

/// A full disk is reported to waiting callers and in the state. The notes are written once there is space.
#[test]
fn a_full_disk_is_said_and_survived() {
    match in_a_small_world("full", "head -c 2000000 /dev/zero > /mnt/ballast") {
        None => skipped("a full disk (this machine allows no file systems of one's own)"),
        Some(said) => assert_eq!(said, "the disk is full, so nothing more is recorded: free space on it"),
    }
}

/// Progress of its open deliveries could not be recorded, and the next start would find their old state. The service
/// must not continue then.
#[test]
fn a_ledger_that_can_no_longer_be_written_is_not_forgotten() {
    let Some(said) = in_a_small_world("stuck", "true") else {
        return skipped("a disk that becomes read-only (this machine allows no file systems of one's own)");
    };
    assert!(said.contains("ledger.lock could not be opened (Read-only file system"), "{said}");
    assert!(said.ends_with("has deliveries under way (1), which could be done twice"), "{said}");
}

#[test]
fn a_read_only_disk_is_said() {
    let rows = [
        ("mount -o remount,ro /mnt", "STATE_DIR /mnt/state cannot be made (Read-only file system"),
        (
            "mkdir -m 700 /mnt/state && touch /mnt/state/ledger.lock && mount -o remount,ro /mnt",
            "/mnt/state/ledger.lock could not be opened (Read-only file system",
        ),
        (
            "head -c 3100000 /dev/zero 2>/dev/null > /mnt/ballast || true",
            "the disk is full, so nothing more is recorded: free space on it",
        ),
    ];
    for (words, sentence) in rows {
        match in_a_small_world("closed", words) {
            None => return skipped("a read-only disk (this machine allows no file systems of one's own)"),
            Some(said) => assert!(said.starts_with(sentence), "{words}: {said}"),
        }
    }
}
