//! The runtime as a child process: the same program, with `run`.

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

/// How long it may take to end in peace: it lets turns that run come to their end.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(20);

/// Stands before each line of its log.
const PREFIX: &str = "runtime | ";

/// What every life of the runtime is started with.
pub(super) struct Setting {
    folder: Folder,
    /// Opens its live page.
    operator: Secret,
    variables: Vec<(&'static str, String)>,
}

impl Setting {
    pub(super) fn new(board: &Board, gateway: &str, token: &Secret) -> Result<Self, String> {
        let folder = Folder::new().map_err(|why| format!("no folder for the runtime's state: {why}"))?;
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
            // Behind a start, and behind a restart, rows wait for two lists.
            ("DELIVERY_INTERVAL", "1000".to_owned()),
            ("STATE_DIR", state.display().to_string()),
        ];
        Ok(Self { folder, operator, variables })
    }

    /// The link to the live page of a runtime that listens there: whoever started the demo may act in it.
    pub(super) fn link(&self, address: &BaseUrl) -> String {
        format!("{}#token={}", address.join("/"), self.operator.expose())
    }
}

/// A folder that goes away.
struct Folder(PathBuf);

impl Folder {
    /// With an env file that says nothing, so that the machine's own is not read.
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

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is the system's to clear away.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What it has to tell; the end of the news is its own.
pub(super) enum RuntimeEvent {
    /// It answers at this address.
    Listening(BaseUrl),
}

/// One life of it. Killed when dropped.
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
        // One message for each life; whoever listens may be busy for a moment.
        let (tell, news) = unbounded();
        if let Some(log) = child.stderr.take() {
            thread::Builder::new().name("runtime-log".to_owned()).spawn(move || pass_on(log, &tell))?;
        }
        Ok(Self { child, news })
    }

    /// Ends it: in peace, or after its time is over.
    pub(super) fn stop(&mut self) {
        if !terminate(&self.child) {
            warn!("the runtime cannot be asked to end, so it is ended");
            return;
        }
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            match self.child.try_wait() {
                Ok(None) => thread::sleep(LOOK),
                Ok(Some(_)) | Err(_) => return,
            }
        }
        warn!("the runtime did not end within {} s, so it is ended", PATIENCE.as_secs());
    }

    /// How it ended, once its news have.
    pub(super) fn farewell(&mut self) -> String {
        // It has closed its log; whatever still holds it up is not worth waiting for.
        let status = self.child.kill().and_then(|()| self.child.wait());
        status.as_ref().map_or_else(ToString::to_string, ExitStatus::to_string)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // Fails where it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The standard library can only kill; every shell can ask.
fn terminate(child: &Child) -> bool {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "kill -TERM \"$0\"", &child.id().to_string()]);
    shell.stdin(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Shows its log and finds in it where it listens.
fn pass_on(log: ChildStderr, tell: &Sender<RuntimeEvent>) {
    for line in BufReader::new(log).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        let address = line.split_once("listening on ").map(|(_, address)| address.trim());
        if let Some(address) = address.and_then(|address| BaseUrl::parse(address).ok()) {
            // Nobody may listen any more, which is as well.
            let _ = tell.send(RuntimeEvent::Listening(address));
        }
        // A log that nobody reads is no reason to end.
        let _ = writeln!(std::io::stderr(), "{PREFIX}{line}");
    }
}
