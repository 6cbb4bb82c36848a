//! A machine with a board, a supervisor and builds of the program. A build is a script; the link `current` selects one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mission_control_runtime::local;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::board::Board;
use crate::support::program::get;

/// The longest that a step may take on a loaded machine.
const PATIENCE: Duration = Duration::from_mins(2);

const PROGRAM: &str = env!("CARGO_BIN_EXE_mission-control-runtime");

/// How long a new version must work: longer than a good one needs to become ready on a loaded machine.
pub(super) const CONFIRM: Duration = Duration::from_secs(15);

/// An address where no gateway listens. Readiness does not depend on one.
const NO_GATEWAY: &str = "http://127.0.0.1:1";

/// A process that the supervisor has started.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) build: String,
    pub(super) code: Option<i32>,
}

pub(super) struct Machine {
    pub(super) board: Board,
    place: TempDir,
    address: String,
    stop: Arc<AtomicBool>,
    ended: Arc<Mutex<Vec<Ended>>>,
    supervisor: Option<JoinHandle<()>>,
}

/// What the installer of a machine does with a build that cannot even start.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Installer {
    /// Nothing: there is none.
    None,
    /// It returns to the build before after three starts, and leaves its result.
    Watches,
}

impl Machine {
    /// A machine that runs the build 1.0.0 of the program.
    pub(super) fn new(builds: &[(&str, &str)], variables: &[(&str, &str)], installer: Installer) -> Self {
        let board = Board::with(local::Options { redact: false, ..local::Options::default() });
        let place = tempfile::tempdir().unwrap();
        let machine = Self {
            address: board.url().trim_start_matches("http://").to_owned(),
            board,
            place,
            stop: Arc::default(),
            ended: Arc::default(),
            supervisor: None,
        };
        fs::create_dir(machine.path("builds")).unwrap();
        machine.build("1.0.0", "exec PROGRAM run");
        for (version, script) in builds {
            machine.build(version, script);
        }
        machine.script("command", SWITCH);
        machine.select("1.0.0");
        machine.supervised(variables, installer)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn script(&self, name: &str, text: &str) {
        let path = self.path(name);
        let place = self.place.path().to_str().unwrap();
        fs::write(&path, text.replace("PLACE", place).replace("PROGRAM", PROGRAM)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn build(&self, version: &str, script: &str) {
        let text = format!("#!/bin/sh\nexport RUNTIME_VERSION={version}\n{script}\n");
        self.script(&format!("builds/{version}"), &text);
    }

    pub(super) fn select(&self, version: &str) {
        select(self.place.path(), version);
    }

    /// The build that the next start runs.
    pub(super) fn selected(&self) -> String {
        selected(self.place.path())
    }

    fn supervised(mut self, variables: &[(&str, &str)], installer: Installer) -> Self {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg("exec ./current >>log 2>&1").current_dir(self.place.path()).env_clear();
        command.env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
        let command_path = self.path("command").to_str().unwrap().to_owned();
        let (state, result) = (self.path("state"), self.path("result"));
        let confirm = CONFIRM.as_millis().to_string();
        let mut all = vec![
            ("ACCOUNT_ID", self.board.account.as_str()),
            ("SERVICE_TOKEN", self.board.token.as_str()),
            ("STATE_DIR", state.to_str().unwrap()),
            ("HEALTH_PORT", "0"),
            ("OPENCLAW_GATEWAY_URL", NO_GATEWAY),
            ("HEARTBEAT_MODE", "off"),
            ("HEALTH_CHECK_INTERVAL", "5000"),
            ("UPGRADE_COMMAND", command_path.as_str()),
            ("UPGRADE_CONFIRM_MS", confirm.as_str()),
            ("UPGRADE_RESULT_FILE", result.to_str().unwrap()),
        ];
        // A blank value removes a variable.
        all.retain(|(name, _)| !variables.iter().any(|(other, _)| other == name));
        all.extend(variables);
        let url = self.board.url();
        command.env("CONVEX_URL", url).envs(all.into_iter().filter(|(_, value)| !value.is_empty()));
        let (stop, ended, place) = (self.stop.clone(), self.ended.clone(), self.place.path().to_owned());
        self.supervisor = Some(thread::spawn(move || supervise(command, &stop, &ended, &place, installer)));
        self.until("the first report", |machine| machine.reports("1.0.0"));
        self
    }

    /// Whether the last report names this version, and the runtime has not stopped. Without a gateway it never gets
    /// `online`.
    pub(super) fn reports(&self, version: &str) -> bool {
        let runtime = self.runtime();
        runtime["runtimeServiceVersion"] == version && runtime["runtimeStatus"] == "provisioning"
    }

    /// Waits until the condition holds.
    #[track_caller]
    pub(super) fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < end, "{what} does not come: {:#}\n{}", self.runtime(), self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// The runtime as the board shows it.
    pub(super) fn runtime(&self) -> Value {
        self.board.look("runtimes:getForAccount", json!({})).unwrap()
    }

    pub(super) fn request(&self, version: &str) {
        let wanted = json!({"targetRuntimeVersion": version, "strategy": "immediate"});
        self.board.person("runtimes:requestUpgrade", wanted).unwrap();
    }

    /// The results of upgrades on the board.
    pub(super) fn history(&self) -> Vec<Value> {
        self.runtime()["upgradeHistory"].as_array().cloned().unwrap_or_default()
    }

    /// `/health` of the running process.
    pub(super) fn health(&self) -> Option<Value> {
        let running = fs::read(self.path("state/running.json")).ok()?;
        let running: Value = serde_json::from_slice(&running).ok()?;
        let address = running["address"].as_str()?.to_owned();
        let answer = std::panic::catch_unwind(|| get(&address, "/health")).ok()?;
        serde_json::from_str(&answer.1).ok()
    }

    pub(super) fn ended(&self) -> Vec<Ended> {
        self.ended.lock().unwrap().clone()
    }

    /// The board does not answer any more.
    pub(super) fn backend_leaves(&mut self) {
        self.board.stop_serving();
    }

    pub(super) fn backend_returns(&mut self) {
        let address = self.address.clone();
        self.board.serve(&address);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(supervisor) = self.supervisor.take() {
            let _ = supervisor.join();
        }
    }
}

fn selected(place: &Path) -> String {
    let target = fs::read_link(place.join("current")).unwrap();
    target.file_name().unwrap().to_str().unwrap().to_owned()
}

fn select(place: &Path, version: &str) {
    let draft = place.join("current.new");
    let _ = fs::remove_file(&draft);
    std::os::unix::fs::symlink(place.join("builds").join(version), &draft).unwrap();
    fs::rename(&draft, place.join("current")).unwrap();
}

/// Starts `current` again and again, as a supervisor does.
fn supervise(
    mut command: Command,
    stop: &AtomicBool,
    ended: &Mutex<Vec<Ended>>,
    place: &Path,
    installer: Installer,
) {
    let mut failures = 0;
    while !stop.load(Ordering::SeqCst) {
        let build = selected(place);
        let mut child = command.spawn().unwrap();
        let code = wait(&mut child, stop);
        ended.lock().unwrap().push(Ended { build: build.clone(), code });
        failures = if code == Some(0) { 0 } else { failures + 1 };
        if installer == Installer::Watches && failures == 3 {
            let id = fs::read_to_string(place.join("request")).unwrap();
            fs::write(place.join("result"), format!("{} rolled_back\n{build} exits at once\n", id.trim()))
                .unwrap();
            select(place, "1.0.0");
        }
        thread::sleep(Duration::from_millis(300));
    }
}

fn wait(child: &mut Child, stop: &AtomicBool) -> Option<i32> {
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if stop.load(Ordering::SeqCst) {
            child.kill().unwrap();
            return child.wait().unwrap().code();
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Installs a version for the next start. Its arguments: the action, the version, the number of the request.
const SWITCH: &str = r#"#!/bin/sh
echo "$1 $2 $3" >>PLACE/calls
[ -x "PLACE/builds/$2" ] || { echo "there is no build $2"; exit 1; }
echo "$3" >PLACE/request
ln -sfn "PLACE/builds/$2" PLACE/current.new && mv -T PLACE/current.new PLACE/current
"#;
