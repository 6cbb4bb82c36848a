//! The runtime as a child process, for the commands that bring their own board: this program with `run`, or with `worker`.
//!
//! The child stops when its standard input closes. So its parent stops it by closing the pipe, and a killed parent
//! leaves no child: the system closes the pipe of a dead process.

mod access;
mod folder;

use std::fs::DirBuilder;
use std::io::{BufRead as _, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use log::warn;

pub(super) use self::access::GatewayAccess;
use self::folder::TemporaryFolder;
use super::embedded::Board;
use super::state_dir::StateDir;
use mcr_config::{Section, variables_of};
use mcr_model::BaseUrl;
use mcr_model::secret::Secret;

/// How long running turns may continue when the parent ends, in milliseconds. Their answers are not kept.
const DRAIN_MS: u32 = 500;

/// How long the runtime may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// The pause between two checks whether the runtime has ended.
const EXIT_POLL_PAUSE: Duration = Duration::from_millis(20);

/// The settings of every start of the runtime.
pub(super) struct Setting {
    /// The program that is run.
    program: PathBuf,
    /// `run` or `worker`.
    command: &'static str,
    /// Before each line of the log.
    name: String,
    folder: TemporaryFolder,
    /// Opens the runtime's live page.
    operator: Secret,
    variables: Vec<(&'static str, String)>,
}

impl Setting {
    /// The settings for this board and gateway. The runtime's page has this port; 0 takes any free port.
    pub(super) fn new(board: &Board, gateway: &GatewayAccess, port: u16) -> Result<Self, String> {
        let mut setting = Self::with_state("run", "runtime".to_owned(), gateway)?;
        let service_token = board.service_token.as_ref().map_or("", |token| token.expose());
        setting.variables.extend([
            ("ACCOUNT_ID", board.account.clone()),
            ("CONVEX_URL", board.url.clone()),
            ("BOARD_URL", board.url.clone()),
            ("SERVICE_TOKEN", service_token.to_owned()),
            ("HEALTH_PORT", port.to_string()),
            // After a start or a restart, rows wait for two lists.
            ("DELIVERY_INTERVAL", "1000".to_owned()),
            // The agents have nothing to do on schedule, and only the turns of the parent count.
            ("HEARTBEAT_MODE", "off".to_owned()),
        ]);
        Ok(setting)
    }

    /// The settings of a worker for this queue, its token and this gateway. The number tells the logs of workers apart.
    pub(super) fn of_worker(
        queue: &str,
        token: &Secret,
        gateway: &GatewayAccess,
        number: usize,
    ) -> Result<Self, String> {
        let mut setting = Self::with_state("worker", format!("worker {number}"), gateway)?;
        let own = |name: &str| setting.folder.path().join(name).display().to_string();
        let (workspace, state) = (own("workspace"), own(".clawdbot"));
        setting.variables.extend([
            ("CONVEX_URL", queue.to_owned()),
            ("WORKER_AUTH_TOKEN", token.expose().to_owned()),
            ("OPENCLAW_WORKSPACE_DIR", workspace),
            ("OPENCLAW_STATE_DIR", state),
            ("HEALTH_PORT", "0".to_owned()),
        ]);
        Ok(setting)
    }

    /// A new folder with a `STATE_DIR`, and what all children need.
    fn with_state(command: &'static str, name: String, gateway: &GatewayAccess) -> Result<Self, String> {
        let folder = TemporaryFolder::new().map_err(|why| {
            format!(
                "no folder can be made for the runtime's state: {why}. Set TMPDIR to a folder that you may write to"
            )
        })?;
        let state = folder.path().join("state");
        let made = DirBuilder::new().mode(0o700).create(&state).map_err(|why| why.to_string());
        let operator = made.and_then(|()| StateDir::new(&state).token_or_new())?;
        let program = std::env::current_exe()
            .map_err(|why| format!("the program's own file cannot be found: {why}"))?;
        let variables = vec![
            ("OPENCLAW_GATEWAY_URL", gateway.url.clone()),
            ("OPENCLAW_GATEWAY_TOKEN", gateway.token.expose().to_owned()),
            ("HEALTH_HOST", Ipv4Addr::LOCALHOST.to_string()),
            ("DRAIN_TIMEOUT_MS", DRAIN_MS.to_string()),
            ("STATE_DIR", state.display().to_string()),
        ];
        Ok(Self { program, command, name, folder, operator, variables })
    }

    /// Runs this program instead of the running one.
    pub(super) fn run_program(&mut self, program: PathBuf) {
        self.program = program;
    }

    /// Sets another variable, or replaces one.
    pub(super) fn set(&mut self, name: &'static str, value: String) {
        self.variables.retain(|(known, _)| *known != name);
        self.variables.push((name, value));
    }

    /// Passes the variables of the guardrails on to the runtime, as far as they are set.
    pub(super) fn pass_guardrails(&mut self, variable: impl Fn(&str) -> Option<String>) {
        for guardrail in variables_of(Section::Guardrails) {
            if let Some(value) = variable(guardrail.name) {
                self.set(guardrail.name, value);
            }
        }
    }

    /// A file for the log of all runtimes.
    pub(super) fn log_file(&self) -> PathBuf {
        self.folder.path().join("runtime.log")
    }

    /// Keeps the folder with the state and the log. Returns its path.
    pub(super) fn keep(self) -> Result<PathBuf, String> {
        self.folder.keep().map_err(|why| format!("the folder of the runtime's state cannot be kept: {why}"))
    }

    /// The runtime's `STATE_DIR`.
    pub(super) fn state_dir(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// The link to the live page of the runtime at this address. It has the token, because the person who
    /// started the demo may act.
    pub(super) fn link(&self, address: &BaseUrl) -> String {
        format!("{}#token={}", address.join("/"), self.operator.expose())
    }
}

/// Checks that the runtime's page can have this port, before anything starts.
pub(super) fn check_port(port: u16, option: &str) -> Result<(), String> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map(drop).map_err(|why| {
        format!(
            "the runtime's page cannot listen on 127.0.0.1:{port}: {why}. Another demo may hold the port, or a \
             runtime with HEALTH_PORT={port}. Stop it, or choose another port with {option}"
        )
    })
}

/// An event of the runtime's log. The channel closes with the log.
pub(super) enum RuntimeEvent {
    /// The runtime listens on this address.
    Listening(BaseUrl),
    /// The start is complete: the runtime knows the team.
    Started,
    /// The last permitted turn is sent.
    TurnLimit,
}

/// One run of the runtime. Dropping it kills the process.
pub(super) struct Runtime {
    child: Child,
    pub(super) news: Receiver<RuntimeEvent>,
}

impl Runtime {
    /// Starts the process and copies its log.
    pub(super) fn start(setting: &Setting, log: impl Write + Send + 'static) -> std::io::Result<Self> {
        let mut command = Command::new(&setting.program);
        command.args([setting.command, "--stop-on-eof", "--env-file"]).arg(setting.folder.env_file());
        command.env_clear().envs(setting.variables.iter().map(|(name, value)| (name, value)));
        // In a process group of its own: a Ctrl-C in the terminal reaches the parent only, which then stops the runtime.
        command.current_dir(setting.folder.path()).process_group(0);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        // Each run sends few messages, and the receiver may be busy for a moment.
        let (events, news) = unbounded();
        if let Some(lines) = child.stderr.take() {
            let name = setting.name.clone();
            thread::Builder::new()
                .name("runtime-log".to_owned())
                .spawn(move || forward_log(lines, &name, log, &events))?;
        }
        Ok(Self { child, news })
    }

    /// The id of the process.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process has ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// Stops the runtime, and kills it after its time limit.
    pub(super) fn stop(mut self) {
        drop(self.child.stdin.take());
        let until = Instant::now() + STOP_TIMEOUT;
        while Instant::now() < until {
            match self.child.try_wait() {
                Ok(None) => thread::sleep(EXIT_POLL_PAUSE),
                Ok(Some(_)) | Err(_) => return,
            }
        }
        warn!(seconds = STOP_TIMEOUT.as_secs(); "The runtime did not stop in time and is killed");
    }

    /// Kills the process at once (SIGKILL), and keeps the value of a runtime that has ended.
    pub(super) fn kill_now(&mut self) {
        // Fails if the process has ended already, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Kills the process at once (SIGKILL). Returns how it ended.
    pub(super) fn kill(self) -> String {
        self.reap().as_ref().map_or_else(ToString::to_string, ExitStatus::to_string)
    }

    /// Kills the process, unless it has ended. Returns its exit status.
    pub(super) fn reap(mut self) -> std::io::Result<ExitStatus> {
        self.child.kill().and_then(|()| self.child.wait())
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.kill_now();
    }
}

/// Copies the log and finds events in it.
fn forward_log(lines: ChildStderr, name: &str, mut log: impl Write, events: &Sender<RuntimeEvent>) {
    for line in BufReader::new(lines).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        // A closed output is no reason to stop.
        let _ = writeln!(log, "{name} | {line}");
        if let Some(event) = event_of(&line) {
            // The receiver may be gone, which is fine.
            let _ = events.send(event);
        }
    }
}

fn event_of(line: &str) -> Option<RuntimeEvent> {
    if let Some((_, address)) = line.split_once(" Listening url=") {
        return BaseUrl::parse(address.trim()).ok().map(RuntimeEvent::Listening);
    }
    if line.contains(" Turn limit reached; ") {
        return Some(RuntimeEvent::TurnLimit);
    }
    line.contains(" The roster has changed ").then_some(RuntimeEvent::Started)
}

/// The path for a shell, quoted where needed.
pub(super) fn shell_word(path: &Path) -> String {
    let path = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if path.chars().all(is_plain) { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}
