//! The runtime as a child process: this program with `run`.

use std::fs::{self, DirBuilder, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use log::warn;

use crate::app::embedded::Board;
use crate::app::state_dir::StateDir;
use mcr_model::BaseUrl;
use mcr_model::random;
use mcr_model::secret::Secret;

/// How long the runtime may take to stop: it lets running turns finish.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// The pause between two checks whether the runtime has ended.
const EXIT_POLL_PAUSE: Duration = Duration::from_millis(20);

/// The prefix of each line of the runtime's log.
const PREFIX: &str = "runtime | ";

/// The settings of every start of the runtime.
pub(super) struct Setting {
    folder: TemporaryFolder,
    /// Opens the runtime's live page.
    operator: Secret,
    variables: Vec<(&'static str, String)>,
}

impl Setting {
    pub(super) fn new(board: &Board, gateway: &str, token: &Secret) -> Result<Self, String> {
        let folder =
            TemporaryFolder::new().map_err(|why| format!("no folder can be made for the demo's state: {why}. Set TMPDIR to a folder that you may write to"))?;
        let state = folder.0.join("state");
        let made = DirBuilder::new().mode(0o700).create(&state).map_err(|why| why.to_string());
        let operator = made.and_then(|()| StateDir::new(&state).token_or_new())?;
        let service_token = board.service_token.as_ref().map_or("", |token| token.expose());
        let variables = vec![
            ("ACCOUNT_ID", board.account.clone()),
            ("CONVEX_URL", board.url.clone()),
            ("SERVICE_TOKEN", service_token.to_owned()),
            ("OPENCLAW_GATEWAY_URL", gateway.to_owned()),
            ("OPENCLAW_GATEWAY_TOKEN", token.expose().to_owned()),
            ("HEALTH_HOST", "127.0.0.1".to_owned()),
            ("HEALTH_PORT", "0".to_owned()),
            // After a start or a restart, rows wait for two lists.
            ("DELIVERY_INTERVAL", "1000".to_owned()),
            ("STATE_DIR", state.display().to_string()),
        ];
        Ok(Self { folder, operator, variables })
    }

    /// The link to the live page of the runtime at this address. It has the token, because the person who
    /// started the demo may act.
    pub(super) fn link(&self, address: &BaseUrl) -> String {
        format!("{}#token={}", address.join("/"), self.operator.expose())
    }
}

/// A temporary folder.
struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    /// Makes a folder with an empty env file, so that the machine's own is not read.
    fn new() -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("mission-control-demo-{}", random::hex::<8>()));
        DirBuilder::new().mode(0o700).create(&path)?;
        let folder = Self(path);
        File::create(folder.env_file())?;
        Ok(folder)
    }

    fn env_file(&self) -> PathBuf {
        self.0.join("nothing.env")
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // The system clears away what cannot be removed.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An event of the runtime's log. The channel closes with the log.
pub(super) enum RuntimeEvent {
    /// The runtime listens on this address.
    Listening(BaseUrl),
}

/// One run of the runtime. Dropping it kills the process.
pub(super) struct Runtime {
    child: Child,
    pub(super) news: Receiver<RuntimeEvent>,
}

impl Runtime {
    pub(super) fn start(setting: &Setting) -> std::io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("run").arg("--env-file").arg(setting.folder.env_file());
        command.env_clear().envs(setting.variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(&setting.folder.0);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        // Each run sends one message, and the receiver may be busy for a moment.
        let (tell, news) = unbounded();
        if let Some(log) = child.stderr.take() {
            thread::Builder::new().name("runtime-log".to_owned()).spawn(move || forward_log(log, &tell))?;
        }
        Ok(Self { child, news })
    }

    /// Stops the runtime, and kills it after its time limit.
    pub(super) fn stop(&mut self) {
        if !terminate(&self.child) {
            warn!("the runtime cannot be asked to stop, so it is killed");
            return;
        }
        let until = Instant::now() + STOP_TIMEOUT;
        while Instant::now() < until {
            match self.child.try_wait() {
                Ok(None) => thread::sleep(EXIT_POLL_PAUSE),
                Ok(Some(_)) | Err(_) => return,
            }
        }
        warn!("the runtime did not stop within {} s, so it is killed", STOP_TIMEOUT.as_secs());
    }

    /// How the runtime ended, after its log has closed.
    pub(super) fn exit_status(&mut self) -> String {
        // The log is closed. Nothing else of the process is worth waiting for.
        let status = self.child.kill().and_then(|()| self.child.wait());
        status.as_ref().map_or_else(ToString::to_string, ExitStatus::to_string)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // Fails if the process has ended already, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends SIGTERM to the process. The standard library can only kill, so a shell sends the signal.
fn terminate(child: &Child) -> bool {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "kill -TERM \"$0\"", &child.id().to_string()]);
    shell.stdin(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Copies the log and finds the address in it.
fn forward_log(log: ChildStderr, tell: &Sender<RuntimeEvent>) {
    for line in BufReader::new(log).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        let address = line.split_once("listening on ").map(|(_, address)| address.trim());
        if let Some(address) = address.and_then(|address| BaseUrl::parse(address).ok()) {
            // The receiver may be gone, which is fine.
            let _ = tell.send(RuntimeEvent::Listening(address));
        }
        // A closed output is no reason to stop.
        let _ = writeln!(std::io::stderr(), "{PREFIX}{line}");
    }
}
