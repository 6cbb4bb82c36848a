//! The supervisor of a gateway, with commands that misbehave: each is a visible reason, and none is a second gateway.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use mission_control_runtime::files::Folder;
use mission_control_runtime::gateway_child::health::{ChildHealth, ChildStatus};
use mission_control_runtime::gateway_child::{ChildLimits, ChildSetup, ChildState, GatewayChild};
use mission_control_runtime::gateway_keys::KeyEnvFile;
use mission_control_runtime::model::ChildCommand;
use mission_control_runtime::panics::Panics;
use mission_control_runtime::secret::Secret;
use mission_control_runtime::wakeup::Wakeup;
use tempfile::TempDir;

use crate::support::program::private;
use crate::support::wait::{own_address, until};

mod recovery;

const STOP_LIMIT: Duration = Duration::from_secs(10);

/// A folder with a command, and the supervisor's view of a gateway.
struct Place {
    folder: TempDir,
    state: Arc<Folder>,
    status: Arc<ChildStatus>,
    changed: Wakeup,
    ready: Arc<AtomicBool>,
    turns: Arc<AtomicUsize>,
    panics: Panics,
    /// Whether the question for the running turns panics.
    broken: Arc<AtomicBool>,
    address: SocketAddr,
}

impl Place {
    /// With a shell script as the gateway. It notes each start in the file `starts`.
    fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = private(&folder.path().join("state"));
        let place = Self {
            state,
            status: Arc::default(),
            changed: Wakeup::new(),
            ready: Arc::new(AtomicBool::new(true)),
            turns: Arc::default(),
            panics: Panics::default(),
            broken: Arc::default(),
            address: own_address(),
            folder,
        };
        let text = format!("#!/bin/sh\ncd {}\necho $$ >>starts\n{script}\n", place.folder.path().display());
        fs::write(place.script(), text).unwrap();
        fs::set_permissions(place.script(), fs::Permissions::from_mode(0o755)).unwrap();
        place
    }

    fn script(&self) -> PathBuf {
        self.folder.path().join("gateway")
    }

    fn keys(&self) -> KeyEnvFile {
        KeyEnvFile::new(self.folder.path().join("state/gateway.env"), self.folder.path().join("agents"))
    }

    fn start(&self) -> GatewayChild {
        self.start_with("run", &[])
    }

    /// With this argument of the command, and these variables.
    fn start_with(&self, argument: &str, more: &[(&str, &str)]) -> GatewayChild {
        let (ready, turns, broken) = (self.ready.clone(), self.turns.clone(), self.broken.clone());
        let limits = ChildLimits {
            start: Duration::from_millis(300),
            hurry: Duration::from_millis(100),
            drain: Duration::from_secs(20),
            pause: Duration::from_millis(20),
            pause_max: Duration::from_millis(50),
            ..ChildLimits::default()
        };
        GatewayChild::start(ChildSetup {
            command: ChildCommand::parse(&format!("'{}' gateway {argument}", self.script().display()))
                .unwrap(),
            environment: [("PATH", "/usr/bin:/bin"), ("A_KEY", "environment")]
                .iter()
                .chain(more)
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            keys: self.keys(),
            address: (self.address.ip().to_string(), self.address.port()),
            folder: Some(self.state.clone()),
            is_ready: Box::new(move || ready.load(Ordering::SeqCst)),
            turns: Box::new(move || {
                assert!(!broken.load(Ordering::SeqCst), "a panic of the test");
                turns.load(Ordering::SeqCst)
            }),
            limits,
            status: self.status.clone(),
            changed: self.changed.clone(),
            redactor: Arc::default(),
            panics: self.panics.clone(),
        })
        .unwrap()
    }

    /// Ends the supervisor as a killed runtime does: it leaves the gateway as it is.
    fn kill(&self, supervisor: GatewayChild) {
        drop(supervisor);
        until("the end of the supervisor", || Arc::strong_count(&self.ready) == 1);
    }

    fn until(&self, what: &str, holds: impl Fn(&ChildHealth) -> bool) -> ChildHealth {
        until(what, || holds(&self.status.now()));
        self.status.now()
    }

    fn is_ready(&self) -> ChildHealth {
        self.until("a ready gateway", |health| health.state == ChildState::Ready)
    }

    /// The numbers of the processes that were started.
    fn starts(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("starts")).unwrap_or_default();
        // The query of the version starts the program once more.
        text.lines().map(str::to_owned).collect()
    }
}

fn runs(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Prints the version if asked, and otherwise does something else.
fn versioned(script: &str) -> String {
    format!("if [ \"$1\" = --version ]; then echo OpenClaw 2026.9.6; exit; fi\n{script}")
}

#[test]
fn a_gateway_that_exits_at_once_is_started_again_and_the_reason_is_visible() {
    let place = Place::new("exit 7");
    place.ready.store(false, Ordering::SeqCst);
    let child = place.start();
    let health = place.until("three restarts", |health| health.restarts >= 3);
    assert_eq!(health.version, None);
    assert_eq!(health.reason.as_deref(), Some("the gateway has ended with exit code 7"));
    assert!(child.stop(STOP_LIMIT));
    assert_eq!(place.status.now().state, ChildState::Stopped);
}

#[test]
fn a_missing_command_and_one_that_deletes_itself_are_visible_reasons() {
    let place = Place::new(&versioned("rm gateway; exit 0"));
    place.ready.store(false, Ordering::SeqCst);
    let child = place.start();
    let health = place.until("the reason", |health| {
        health.reason.as_ref().is_some_and(|reason| reason.contains("cannot be started: No such file"))
    });
    assert_eq!((health.state, health.pid), (ChildState::Waiting, None));
    assert!(child.stop(STOP_LIMIT));
}

#[test]
fn a_gateway_that_hangs_at_its_start_is_killed_with_its_whole_group() {
    let place = Place::new(&versioned(
        "trap '' TERM\nsh -c 'trap \"\" TERM; echo $$ >>starts; sleep 600' &\nsleep 600",
    ));
    place.ready.store(false, Ordering::SeqCst);
    let child = place.start();
    let health = place.until("the reason", |health| health.restarts >= 1);
    assert_eq!(health.reason.as_deref(), Some("the gateway was not ready within 0.3 s of its start"));
    child.stop(Duration::from_millis(100));
    place.until("the stop", |health| health.state == ChildState::Stopped);
    until("the end of every process", || !place.starts().iter().any(|pid| runs(pid)));
}

#[test]
fn a_taken_port_starts_nothing() {
    let place = Place::new(&versioned("sleep 600"));
    let other = TcpListener::bind(place.address).unwrap();
    let child = place.start();
    let health = place.until("the reason", |health| health.reason.is_some());
    let reason = health.reason.unwrap();
    assert!(reason.starts_with(&format!("another process already serves {}", place.address)), "{reason}");
    assert_eq!(place.starts(), Vec::<String>::new());
    drop(other);
    place.is_ready();
    let health = place.until("the version", |health| health.version.is_some());
    assert_eq!((health.reason, health.version.as_deref()), (None, Some("2026.9.6")));
    assert!(child.stop(STOP_LIMIT));
}

/// The environment has the stored keys, which replace others, and a restart waits for the turns.
#[test]
fn other_keys_restart_the_gateway_when_no_turn_runs() {
    let place = Place::new(&versioned("echo \"$A_KEY $B_KEY\" >>seen\nsleep 600"));
    let seen = || fs::read_to_string(place.folder.path().join("seen")).unwrap_or_default();
    let child = place.start();
    let first = place.is_ready();
    until("the environment", || seen() == "environment \n");
    place.turns.store(1, Ordering::SeqCst);
    place.keys().write(&Secret::new("A_KEY=stored\nB_KEY='b c'\nLD_PRELOAD=/tmp/x.so\n")).unwrap();
    place.changed.notify();
    until("the change", || place.status.now().state == ChildState::Ready);
    assert_eq!(place.status.now().pid, first.pid, "a turn runs");
    place.turns.store(0, Ordering::SeqCst);
    until("the stored keys", || seen() == "environment \nstored b c\n");
    let second = place.is_ready();
    assert_eq!((second.restarts, second.reason), (1, None));
    assert!(second.started_at > first.started_at);
    // The keys are removed.
    place.keys().write(&Secret::new("# none\n")).unwrap();
    place.changed.notify();
    until("the old environment", || seen() == "environment \nstored b c\nenvironment \n");
    assert!(child.stop(STOP_LIMIT));
}

#[test]
fn the_gateway_of_a_killed_runtime_is_taken_over() {
    let place = Place::new(&versioned("sleep 600"));
    let first = place.start();
    let before = place.is_ready();
    place.kill(first);
    let second = place.start();
    let after = place.until("the adoption", |health| health.adopted && health.state == ChildState::Ready);
    assert_eq!((after.pid, after.started_at), (before.pid, before.started_at));
    let pid = after.pid.unwrap().to_string();
    assert!(runs(&pid));
    // Its end is noticed, and another one is started.
    // By the shell: some programs `kill` take the number of a group for a request to end every process.
    Command::new("sh").args(["-c", &format!("kill -KILL -{pid}")]).status().unwrap();
    let next = place.until("the next gateway", |health| health.pid.is_some_and(|now| now.to_string() != pid));
    assert!(!next.adopted);
    assert!(second.stop(STOP_LIMIT));
    until("its end", || !place.starts().iter().any(|pid| runs(pid)));
}

/// A killed runtime's gateway with older keys is restarted.
#[test]
fn a_gateway_that_was_taken_over_gets_the_present_keys() {
    let place = Place::new(&versioned("echo \"$A_KEY\" >>seen\nsleep 600"));
    let first = place.start();
    place.is_ready();
    place.kill(first);
    place.keys().write(&Secret::new("A_KEY=stored\n")).unwrap();
    let child = place.start();
    let seen = || fs::read_to_string(place.folder.path().join("seen")).unwrap_or_default();
    until("the stored key", || seen() == "environment\nstored\n");
    assert!(child.stop(STOP_LIMIT));
}

/// A runtime is killed in each state of its gateway. The next runtime has one gateway, or the same reason for none.
#[test]
fn a_killed_runtime_leaves_every_state_to_the_next_one() {
    type Change = fn(&Place);
    // What the gateway does, whether it is ready, what follows in the first runtime's life, the state at its end, and the
    // reason that the next runtime has, if any.
    let rows: [(&str, bool, Change, ChildState, Option<&str>); 5] = [
        ("exit 7", false, |_| {}, ChildState::Waiting, Some("the gateway has ended with exit code 7")),
        ("rm gateway", false, |_| {}, ChildState::Waiting, Some("cannot be started: No such file")),
        ("sleep 600", false, |_| {}, ChildState::Starting, Some("was not ready within 0.3 s")),
        ("sleep 600", true, |place| place.turns.store(1, Ordering::SeqCst), ChildState::Ready, None),
        (
            "trap 'until [ -e leave ]; do sleep 0.01; done; exit 0' TERM\nwhile :; do sleep 0.01; done",
            true,
            |place| {
                place.is_ready();
                place.keys().write(&Secret::new("A_KEY=stored\n")).unwrap();
                place.changed.notify();
            },
            ChildState::Stopping,
            None,
        ),
    ];
    for (script, ready, change, state, reason) in rows {
        let place = Place::new(&versioned(&format!("echo \"$A_KEY\" >>seen\n{script}")));
        place.ready.store(ready, Ordering::SeqCst);
        let first = place.start();
        change(&place);
        place.until(script, |health| health.state == state);
        place.kill(first);
        fs::write(place.folder.path().join("leave"), "").unwrap();
        place.turns.store(0, Ordering::SeqCst);
        if ready {
            place.keys().write(&Secret::new("A_KEY=last\n")).unwrap();
        }
        let second = place.start();
        let seen = || fs::read_to_string(place.folder.path().join("seen")).unwrap_or_default();
        if let Some(reason) = reason {
            place.until(reason, |health| health.reason.as_ref().is_some_and(|why| why.contains(reason)));
        } else {
            until("the last keys", || seen() == "environment\nlast\n");
            place.is_ready();
            let running = place.starts().iter().filter(|pid| runs(pid)).count();
            assert_eq!(running, 1, "{script}");
        }
        second.stop(STOP_LIMIT);
        until("the end of every process", || !place.starts().iter().any(|pid| runs(pid)));
    }
}

/// An env file that cannot be read ends no gateway that works, and starts none with the wrong keys.
#[test]
fn an_env_file_that_cannot_be_read_leaves_a_running_gateway_alone() {
    let place = Place::new(&versioned("echo \"$A_KEY\" >>seen\nsleep 600"));
    place.keys().write(&Secret::new("A_KEY=stored\n")).unwrap();
    let seen = || fs::read_to_string(place.folder.path().join("seen")).unwrap_or_default();
    let child = place.start();
    let first = place.is_ready();
    let folder = place.folder.path().join("state");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    place.changed.notify();
    let pid = first.pid.unwrap().to_string();
    // By the shell: some programs `kill` take the number of a group for a request to end every process.
    Command::new("sh").args(["-c", &format!("kill -KILL -{pid}")]).status().unwrap();
    let health = place.until("the reason", |health| {
        health.reason.as_ref().is_some_and(|reason| reason.contains("can be written by other users"))
    });
    assert_eq!((health.pid, health.last_end.as_deref()), (None, Some("was ended by signal 9")));
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(place.is_ready().restarts, 1, "the folder alone has restarted nothing");
    assert_eq!(seen(), "stored\nstored\n");
    assert!(child.stop(STOP_LIMIT));
}
