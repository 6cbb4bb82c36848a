//! Upgrades to good and bad versions, with the backend up, and with the backend away from the installation on.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::thread;
use std::time::{Duration, Instant};

use super::machine::{CONFIRM, Installer, Machine};

const GOOD: &str = "exec PROGRAM run";
/// It exits before it can count its start.
const FAILING: &str = "echo it fails >&2; exit 1";
/// It is killed three times, as soon as its start is counted and it listens. The fourth start may roll back.
const CRASHING: &str = "echo start >>PLACE/starts; [ $(wc -l <PLACE/starts) -le 3 ] || exec PROGRAM run
    rm -f PLACE/state/running.json; PROGRAM run & child=$!
    until [ -e PLACE/state/running.json ]; do sleep 0.1; done
    kill -KILL $child; wait $child; exit 1";
/// It answers, and Mission Control refuses its token.
const NEVER_READY: &str = "SERVICE_TOKEN=\"${SERVICE_TOKEN}x\" exec PROGRAM run";

/// Longer than a version may be unready while the backend answers.
const LONG_OUTAGE: Duration = CONFIRM.saturating_add(Duration::from_secs(5));

struct Case {
    script: &'static str,
    installer: Installer,
    backend_leaves: bool,
    /// The result, and words of its reason.
    result: &'static str,
    words: &'static str,
}

impl Case {
    #[allow(clippy::print_stdout, reason = "the time on this machine")]
    fn check(&self) {
        let mut machine = Machine::new(&[("2.0.0", self.script)], &[], self.installer);
        machine.request("2.0.0");
        machine.until("the command", |machine| machine.path("calls").exists());
        if self.backend_leaves {
            machine.backend_leaves();
            thread::sleep(LONG_OUTAGE);
            let is_good = self.result == "success";
            assert!(!is_good || machine.selected() == "2.0.0", "rolled back because the backend is away");
            machine.backend_returns();
        }
        let returned = Instant::now();
        machine.until("the result", |machine| !machine.history().is_empty());
        let running = if self.result == "success" { "2.0.0" } else { "1.0.0" };
        machine.until("the version in reports", |machine| machine.reports(running));
        let took = returned.elapsed();
        println!("{}, backend leaves: {}: {took:.1?}", self.words, self.backend_leaves);
        assert_eq!(machine.runtime()["pendingUpgrade"], serde_json::Value::Null, "the page shows none");
        let starts = machine.ended().len();
        // Two more readings of requests change nothing.
        thread::sleep(Duration::from_secs(11));
        let history = machine.history();
        assert_eq!(history.len(), 1, "{history:#?}\n{}", machine.log());
        assert_eq!(history[0]["status"], self.result, "{history:#?}\n{}", machine.log());
        let reason = history[0]["error"].as_str().unwrap_or_default();
        assert!(reason.contains(self.words), "{reason}\n{}", machine.log());
        assert_eq!(
            (history[0]["fromRuntimeVersion"].as_str(), history[0]["toRuntimeVersion"].as_str()),
            (Some("1.0.0"), Some("2.0.0"))
        );
        assert_eq!(machine.selected(), running);
        assert_eq!(machine.ended().len(), starts, "no exit loop: {:?}", machine.ended());
        let calls = fs::read_to_string(machine.path("calls")).unwrap();
        assert_eq!(calls.lines().filter(|line| line.starts_with("upgrade")).count(), 1, "{calls}");
        let health = machine.health().unwrap();
        let operation = &health["requests"]["operation"];
        assert_eq!(
            (operation["step"].as_str(), operation["isReported"].as_bool()),
            (Some("done"), Some(true))
        );
        let bad = health["requests"]["quarantine"].as_array().map_or(0, Vec::len);
        assert_eq!(bad, usize::from(self.result == "rolled_back"), "{health:#}");
    }
}

/// Each build, its installer, the result, and words of the reason.
const ROWS: [(&str, Installer, &str, &str); 4] = [
    (GOOD, Installer::None, "success", ""),
    (FAILING, Installer::Watches, "rolled_back", "2.0.0 exits at once"),
    (CRASHING, Installer::None, "rolled_back", "was started 4 times"),
    (NEVER_READY, Installer::None, "rolled_back", "has not been ready"),
];

/// At the same time, because the cases mostly wait.
fn check_all(backend_leaves: bool) {
    thread::scope(|scope| {
        for (script, installer, result, words) in ROWS {
            scope.spawn(move || Case { script, installer, backend_leaves, result, words }.check());
        }
    });
}

#[test]
fn good_failing_crashing_and_never_ready_versions_end_on_a_working_one() {
    check_all(false);
}

#[test]
fn the_same_while_the_backend_is_away_after_the_installation() {
    check_all(true);
}

/// The process works on in memory, and says that it cannot be started again.
#[test]
fn a_command_that_deletes_the_program_fails_and_the_process_stays() {
    let place = tempfile::tempdir().unwrap();
    let [program, command] = ["program", "command"].map(|name| place.path().join(name));
    fs::write(&command, format!("#!/bin/sh\nrm {}\n", program.display())).unwrap();
    fs::set_permissions(&command, fs::Permissions::from_mode(0o755)).unwrap();
    let program = program.to_str().unwrap();
    let build = format!(
        "[ -e PLACE/made ] || {{ ln PROGRAM {program} 2>/dev/null || cp PROGRAM {program}; touch PLACE/made; }}; \
         exec {program} run"
    );
    let variables = [("UPGRADE_COMMAND", command.to_str().unwrap())];
    let machine = Machine::new(&[("1.0.0", &build)], &variables, Installer::None);
    machine.request("2.0.0");
    machine.until("the result", |machine| !machine.history().is_empty());
    let history = machine.history();
    let reason = history[0]["error"].as_str().unwrap_or_default();
    let words = format!("UPGRADE_COMMAND has left no program at {program}");
    assert!(history[0]["status"] == "failed" && reason.starts_with(&words), "{history:#?}");
    assert!(!std::path::Path::new(program).exists());
    machine.until("the next report", |machine| machine.reports("1.0.0"));
    assert!(machine.ended().is_empty(), "{:?}", machine.ended());
}

/// What a bad command leads to: a reason, and the service works on.
#[test]
fn a_bad_command_fails_with_its_reason_and_changes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let [missing, hanging] = ["missing", "hanging"].map(|name| place.path().join(name));
    fs::write(&hanging, "#!/bin/sh\necho waiting\nexec sleep 600\n").unwrap();
    fs::set_permissions(&hanging, fs::Permissions::from_mode(0o755)).unwrap();
    let rows = [
        (missing.to_str().unwrap(), "60000", "cannot be started"),
        ("/bin/false", "60000", "exit code 1"),
        (hanging.to_str().unwrap(), "5000", "did not end within 5 s: waiting"),
    ];
    thread::scope(|scope| {
        for (command, limit, words) in rows {
            scope.spawn(move || {
                let variables = [("UPGRADE_COMMAND", command), ("UPGRADE_COMMAND_TIMEOUT", limit)];
                let machine = Machine::new(&[], &variables, Installer::None);
                machine.request("2.0.0");
                machine.until("the result", |machine| !machine.history().is_empty());
                let history = machine.history();
                let reason = history[0]["error"].as_str().unwrap_or_default();
                assert!(
                    history[0]["status"] == "failed" && reason.contains(words),
                    "{command}: {history:#?}"
                );
                machine.until("the next report", |machine| machine.reports("1.0.0"));
                assert!(machine.ended().is_empty(), "{command}: {:?}", machine.ended());
            });
        }
    });
}

/// Without a command the process ends once, and the old version reports the failure.
#[test]
fn without_a_command_the_process_ends_once() {
    let machine = Machine::new(&[], &[("UPGRADE_COMMAND", "")], Installer::None);
    machine.request("2.0.0");
    machine.until("the result", |machine| !machine.history().is_empty());
    thread::sleep(Duration::from_secs(11));
    let history = machine.history();
    assert_eq!(history.len(), 1, "{history:#?}");
    let reason = history[0]["error"].as_str().unwrap_or_default();
    assert!(history[0]["status"] == "failed" && reason.contains("UPGRADE_COMMAND is not set"), "{reason}");
    let ended = machine.ended();
    assert!(ended.len() == 1 && ended[0].code == Some(0), "{ended:?}");
}
