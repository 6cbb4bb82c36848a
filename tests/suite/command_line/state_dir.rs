//! The state folder: where it is, and which folders the service refuses.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::TOKEN;
use crate::support::program::{Program, Running, folder, get, text};
use crate::support::wait;

/// A user without rights, on every Linux.
const NOBODY: u32 = 65_534;

/// A service without a backend, with this state folder.
pub(super) fn service(state: &Path) -> Program {
    runs().with("STATE_DIR", state.to_str().unwrap())
}

fn runs() -> Program {
    Program::new(["run"]).configured("http://127.0.0.1:9", TOKEN).with("HEALTH_PORT", "0")
}

/// Runs a service that must not start. Returns its exit code and log.
pub(super) fn refused(program: Program) -> (Option<i32>, String) {
    let mut running = program.start();
    wait::until("the refusal to start", || running.has_ended());
    running.end()
}

/// Starts a service that must start, and stops it.
pub(super) fn starts(program: Program) -> String {
    let mut running: Running = program.start();
    running.address();
    running.signal("TERM");
    let (code, log) = running.end();
    assert_eq!(code, Some(0), "{log}");
    log
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A new folder.
fn made(path: &Path) -> &Path {
    fs::create_dir(path).unwrap();
    set_mode(path, 0o700);
    path
}

/// Whether the test may give files away. A normal user may not, nor may one who is root in a user namespace only.
#[allow(clippy::print_stdout, reason = "readers of the test output should know")]
fn can_give_away(path: &Path) -> bool {
    let probe = path.join("probe");
    fs::write(&probe, "").unwrap();
    let can = chown(&probe, Some(NOBODY), Some(NOBODY)).is_ok();
    fs::remove_file(&probe).unwrap();
    if !can {
        println!("SKIPPED: folders of other users (only root can make one)");
    }
    can
}

#[test]
fn a_folder_of_another_user_is_refused_with_the_token_planted_in_it() {
    let (_kept, path) = folder();
    let state = path("state");
    made(&state);
    if !can_give_away(&state) {
        return;
    }
    fs::write(state.join("operator-token"), "planted-by-another-user").unwrap();
    chown(&state, Some(NOBODY), Some(NOBODY)).unwrap();
    let (code, log) = refused(service(&state));
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("belongs to user 65534, but this process runs as user 0"), "{log}");
    assert!(!log.contains("Listening"), "{log}");
}

#[test]
fn a_folder_writable_by_others_is_refused_and_a_readable_one_is_made_private() {
    let (_kept, path) = folder();
    for (name, open) in [("a", 0o770), ("b", 0o707), ("c", 0o777), ("d", 0o722)] {
        let state = path(name);
        set_mode(made(&state), open);
        let (code, log) = refused(service(&state));
        assert_eq!(code, Some(1), "{log}");
        assert!(log.contains(&format!("can be changed by other users (mode {open:o})")), "{log}");
        assert!(log.contains(&format!("chmod 700 {}", state.display())), "{log}");
        assert_eq!((mode(&state), fs::read_dir(&state).unwrap().count()), (open, 0), "nothing is changed");
    }
    for (name, open) in [("e", 0o755), ("f", 0o750), ("g", 0o711), ("h", 0o700)] {
        let state = path(name);
        set_mode(made(&state), open);
        let log = starts(service(&state));
        assert_eq!(mode(&state), 0o700);
        assert_eq!(log.contains("withdrawn"), open != 0o700, "{log}");
    }
}

/// Entries that an attacker or a mistake could leave in the folder, for each file that the service reads or
/// writes.
#[test]
fn no_planted_file_is_read_or_written() {
    let (_kept, path) = folder();
    let victim = path("victim");
    fs::write(&victim, "a file of another program").unwrap();
    let names = [
        "operator-token",
        "operator-token.new",
        "paused.json",
        "running.json",
        "sessions.key",
        "sessions.lines",
        "sessions.new",
        "wakes.json",
        "wakes.new",
        "ledger.lock",
        "ledger.mark",
        "ledger.sqlite",
        "ledger.sqlite-wal",
        "ledger.sqlite-shm",
    ];
    for (number, name) in names.into_iter().enumerate() {
        let state = path(&format!("state{number}"));
        made(&state);
        symlink(&victim, state.join(name)).unwrap();
        let (code, log) = refused(service(&state));
        assert!(
            code == Some(1) && log.contains(name) && log.contains("it is a symbolic link"),
            "{name}: {log}"
        );
        assert_eq!(fs::read_to_string(&victim).unwrap(), "a file of another program", "{name}");
        assert_eq!(fs::read_dir(&state).unwrap().count(), 1, "{name}: nothing is created");
    }
    let state = path("hard");
    fs::hard_link(&victim, made(&state).join("sessions.lines")).unwrap();
    let (_, log) = refused(service(&state));
    assert!(log.contains("sessions.lines cannot be used: it has a second name"), "{log}");
    let state = path("pipe");
    made(&state);
    assert!(Command::new("mkfifo").arg(state.join("paused.json")).status().unwrap().success());
    let (_, log) = refused(service(&state));
    assert!(log.contains("paused.json cannot be used: it is not a regular file"), "{log}");
    let state = path("foreign");
    made(&state);
    if can_give_away(&state) {
        fs::write(state.join("operator-token"), "planted-by-another-user").unwrap();
        chown(state.join("operator-token"), Some(NOBODY), Some(NOBODY)).unwrap();
        let (_, log) = refused(service(&state));
        assert!(log.contains("operator-token cannot be used: it belongs to user 65534"), "{log}");
    }
}

/// As systemd does with `DynamicUser`.
#[test]
fn the_folder_may_be_reached_through_a_link() {
    let (_kept, path) = folder();
    let (real, link) = (path("private"), path("state"));
    made(&real);
    symlink(&real, &link).unwrap();
    for _ in 0..2 {
        starts(service(&link));
    }
    assert!(real.join("ledger.sqlite").exists() && real.join("operator-token").exists());
}

/// A service with a folder that cannot be used answers as `starting`, with the reason. A stop signal ends it.
fn waits(state: &Path) -> (Running, String) {
    let mut running = service(state).start();
    let address = running.address();
    let health: Value = serde_json::from_str(&get(&address, "/health").1).unwrap();
    assert_eq!(
        (&health["status"], &health["reasons"]),
        (&json!("starting"), &json!(["ledger_off"])),
        "{health}"
    );
    let why = health["ledger"]["off"].as_str().unwrap();
    assert!(why.contains(&format!("STATE_DIR {}", state.display())), "{why}");
    assert!(why.contains("LEDGER=off"), "it names the remedy: {why}");
    assert_eq!((get(&address, "/livez").0, get(&address, "/readyz").0), (200, 503));
    (running, address)
}

#[test]
fn a_service_that_cannot_record_waits_unless_configured_to_work_without() {
    for place in ["/proc/there-is-no-room-here", "/dev/null/state"] {
        let place = Path::new(place);
        let (mut running, _) = waits(place);
        running.wait_for_log("Not started yet");
        let began = Instant::now();
        running.signal("TERM");
        let (code, log) = running.end();
        assert!(code == Some(0) && began.elapsed() < Duration::from_mins(1), "{:?}: {log}", began.elapsed());
        let mut running = service(place).with("LEDGER", "off").start();
        let address = running.address();
        // The service listens before it opens the ledger.
        let until = Instant::now() + Duration::from_mins(2);
        loop {
            let health: Value = serde_json::from_str(&get(&address, "/health").1).unwrap();
            match health["ledger"]["off"].as_str() {
                Some(why) => break assert!(why.contains("LEDGER=off"), "{health}"),
                None => assert!(Instant::now() < until, "{health}"),
            }
        }
    }
    // An unsafe folder is not used without a ledger either.
    let (_kept, path) = folder();
    let state = path("state");
    set_mode(made(&state), 0o777);
    let (code, log) = refused(service(&state).with("LEDGER", "off"));
    assert!(code == Some(1) && log.contains("can be changed by other users"), "{log}");
}

/// A volume that is mounted late: the start continues by itself, at the same address.
#[test]
fn a_service_starts_as_soon_as_its_folder_can_be_used() {
    let (_kept, path) = folder();
    let state = path("state");
    fs::write(&state, "in the place of the folder").unwrap();
    let (mut running, address) = waits(&state);
    fs::remove_file(&state).unwrap();
    running.wait_for_log("STATE_DIR can be used; the start continues");
    let opened = || {
        let health: Value = serde_json::from_str(&get(&address, "/health").1).unwrap();
        health["ledger"]["off"].is_null() && health["delivery"]["running"] == true
    };
    wait::until("the ledger", opened);
    running.signal("TERM");
    let (code, log) = running.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(state.join("ledger.sqlite").exists() && state.join("running.json").exists());
    // A folder that becomes unsafe meanwhile is refused.
    let state = path("unsafe");
    fs::write(&state, "in the place of the folder").unwrap();
    let (mut running, _) = waits(&state);
    fs::remove_file(&state).unwrap();
    set_mode(made(&state), 0o777);
    wait::until("the refusal", || running.has_ended());
    let (code, log) = running.end();
    assert!(code == Some(1) && log.contains("can be changed by other users"), "{log}");
}

/// Each source of the default folder, in order, with the folder that results.
#[test]
fn without_state_dir_the_environment_determines_the_folder() {
    let (_kept, path) = folder();
    let at = |name: &str| path(name).to_str().unwrap().to_owned();
    let (systemd, xdg, home) = (at("systemd"), at("xdg"), at("home"));
    let both = format!("{systemd}:{}", at("other"));
    let of_home = format!("{home}/.local/state/mission-control-runtime");
    let rows: [(&[(&str, &str)], String); 5] = [
        (&[("STATE_DIRECTORY", &both), ("XDG_STATE_HOME", &xdg), ("HOME", &home)], systemd.clone()),
        (&[("XDG_STATE_HOME", &xdg), ("HOME", &home)], format!("{xdg}/mission-control-runtime")),
        (&[("HOME", &home)], of_home.clone()),
        (&[("XDG_STATE_HOME", "relative"), ("HOME", &home)], of_home.clone()),
        (&[("XDG_STATE_HOME", " "), ("STATE_DIRECTORY", ""), ("HOME", &home)], of_home.clone()),
    ];
    for (given, folder) in rows {
        let with = |program: Program| {
            let program = program.without("STATE_DIR").within(&path(""));
            given.iter().fold(program, |program, (name, value)| program.with(name, value))
        };
        starts(with(runs()));
        assert!(Path::new(&folder).join("ledger.sqlite").exists(), "{given:?}: {folder}");
        assert_eq!(mode(Path::new(&folder)), 0o700);
        // Commands find the same folder.
        for args in [["dead", "list"], ["why", "ben"]] {
            let command =
                with(Program::new(args).configured("http://127.0.0.1:9", TOKEN).with("HEALTH_PORT", "0"));
            let said = text(&command.output());
            assert!(said.contains(&folder), "{args:?} {given:?}: {said}");
        }
    }
    let (code, log) = refused(runs().without("STATE_DIR").within(&path("")));
    assert!(code == Some(3) && log.contains("STATE_DIR"), "{log}");
    let (code, log) = refused(runs().without("STATE_DIR").with("HOME", "relative").within(&path("")));
    assert!(code == Some(3) && log.contains("STATE_DIR"), "{log}");
}

/// The former default folder still holds running deliveries.
#[test]
fn a_ledger_in_the_former_default_folder_is_moved_by_the_printed_command() {
    let (_kept, path) = folder();
    let (work, home) = (path("it's work"), path("home"));
    made(&work);
    made(&home);
    let former = work.join(".mission-control-runtime");
    starts(service(&former));
    fs::write(former.join("mark"), "moved").unwrap();
    let run =
        |program: Program| program.without("STATE_DIR").with("HOME", home.to_str().unwrap()).within(&work);
    let (code, log) = refused(run(runs()));
    assert_eq!(code, Some(3), "{log}");
    // A pause would create the new folder, and prevent the move.
    let command =
        |name| run(Program::new([name]).configured("http://127.0.0.1:9", TOKEN).with("HEALTH_PORT", "0"));
    for name in ["pause", "resume"] {
        let output = command(name).output();
        let said = text(&output);
        let advice = said.lines().next().unwrap();
        assert!(output.status.code() == Some(3) && log.contains(advice), "{name}: {said}");
        assert!(advice.contains("move it: mkdir -p"), "{name}: {said}");
        assert_eq!(fs::read_dir(&home).unwrap().count(), 0, "{name} makes nothing");
    }
    let doctor = text(&run(Program::new(["doctor"]).configured("http://127.0.0.1:9", TOKEN)).output());
    assert!(doctor.contains(".mission-control-runtime") && doctor.contains("not ready to run"), "{doctor}");
    let command = log.lines().find_map(|line| Some(line.split_once("move it: ")?.1)).expect(&log);
    let moved = Command::new("sh").args(["-c", command]).current_dir(&work).status().unwrap();
    assert!(moved.success(), "{command}");
    starts(run(runs()));
    let now = home.join(".local/state/mission-control-runtime");
    assert!(
        now.join("ledger.sqlite").exists()
            && now.join("mark").exists()
            && !former.join("ledger.sqlite").exists()
    );
    // Both exist: only a person knows which one counts.
    starts(service(&former));
    let (code, log) = refused(run(runs()));
    assert!(code == Some(3) && log.contains("two directories contain a ledger"), "{log}");
    // Named explicitly, it is as good as any other.
    starts(service(&former).within(&work));
}

/// The folder is private, so only its owner and root can tell whether a service runs.
#[test]
fn another_user_learns_who_may_read_the_folder() {
    let (kept, path) = folder();
    set_mode(kept.path(), 0o755);
    let state = path("state");
    made(&state);
    let other_user = "exec setpriv --reuid=65534 --regid=65534 --clear-groups \"$0\" \"$@\"; true";
    let reaches = Program::after(other_user, ["--version"]).output();
    if !can_give_away(&state) || !reaches.status.success() {
        return;
    }
    starts(service(&state));
    let shown = state.to_str().unwrap();
    let words = format!("this user may not read STATE_DIR {shown}: run the command as its owner or as root.");
    let commands: [&[&str]; 6] =
        [&["status"], &["pause"], &["resume"], &["dead", "list"], &["dead", "retry", "k1"], &["why", "ben"]];
    for args in commands {
        let with = |program: Program| {
            let program = args.iter().fold(program, |program, arg| program.and([*arg]));
            text(&program.with("STATE_DIR", shown).output())
        };
        let said = with(Program::after(other_user, []));
        assert!(said.contains(&words) && !said.contains("No service runs"), "{args:?}: {said}");
        // With the service's configuration, too.
        let said = with(
            Program::after(other_user, []).configured("http://127.0.0.1:9", TOKEN).with("HEALTH_PORT", "9"),
        );
        assert!(said.contains(&words) && !said.contains("Start it with"), "{args:?}: {said}");
    }
}

/// Root runs commands next to a service that runs as a separate user.
#[test]
fn root_acts_on_the_folder_of_another_user_and_its_files_stay_that_users() {
    let (_kept, path) = folder();
    let state = path("state");
    made(&state);
    if !can_give_away(&state) {
        return;
    }
    starts(service(&state));
    for entry in fs::read_dir(&state).unwrap() {
        chown(entry.unwrap().path(), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    chown(&state, Some(NOBODY), Some(NOBODY)).unwrap();
    let asks = |program: Program| {
        let program = program.configured("http://127.0.0.1:9", TOKEN).with("HEALTH_PORT", "0");
        text(&program.with("STATE_DIR", state.to_str().unwrap()).output())
    };
    let listed = asks(Program::new(["dead", "list"]));
    assert!(listed.contains("No dead letters"), "{listed}");
    let paused = asks(Program::new(["pause"]));
    assert!(paused.contains("Everything is paused"), "{paused}");
    for entry in fs::read_dir(&state).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().uid(), NOBODY, "{:?}", entry.path());
    }
    // Root does not follow a link that this user plants.
    let victim = path("victim");
    fs::write(&victim, "kept").unwrap();
    fs::remove_file(state.join("paused.json")).unwrap();
    symlink(&victim, state.join("paused.json")).unwrap();
    symlink(&victim, state.join("paused.json.new")).unwrap();
    asks(Program::new(["pause"]));
    assert_eq!(fs::read_to_string(&victim).unwrap(), "kept");
}
