//! The program itself, as a process with an environment of its own.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use mission_control_runtime::files::{Access, Folder};
use tempfile::TempDir;

/// The longest that anything here may take; far more than it ever does.
const PATIENCE: Duration = Duration::from_mins(2);

/// The program, ready to be started.
pub(crate) struct Program(Command, TempDir);

impl Program {
    /// With an empty environment, and a folder that holds no file of ours.
    pub(crate) fn new<const N: usize>(args: [&str; N]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mission-control-runtime"));
        command.env_clear().args(args).current_dir(std::env::temp_dir());
        if args.contains(&"run") {
            // Turns on schedule would come between those that a test counts.
            command.env("HEARTBEAT_MODE", "off");
        }
        Self::in_a_place_of_its_own(command)
    }

    /// With arguments whose number is not fixed.
    pub(crate) fn of(args: Vec<&str>) -> Self {
        let Self(mut command, place) = Self::new([]);
        command.args(args);
        Self(command, place)
    }

    /// Two processes cannot share a state directory.
    fn in_a_place_of_its_own(mut command: Command) -> Self {
        let place = tempfile::tempdir().unwrap();
        command.env("STATE_DIR", place.path());
        Self(command, place)
    }

    /// The same after these words for a shell, such as `ulimit -n 64`.
    pub(crate) fn after<const N: usize>(words: &str, args: [&str; N]) -> Self {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(format!("{words} && exec \"$0\" \"$@\""));
        command.arg(env!("CARGO_BIN_EXE_mission-control-runtime")).args(args);
        command.env_clear().env("PATH", "/usr/bin:/bin").current_dir(std::env::temp_dir());
        Self::in_a_place_of_its_own(command)
    }

    /// With further arguments.
    pub(crate) fn and<const N: usize>(mut self, args: [&str; N]) -> Self {
        self.0.args(args);
        self
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// Without this variable.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.0.env_remove(name);
        self
    }

    /// In this working directory.
    pub(crate) fn within(mut self, folder: &Path) -> Self {
        self.0.current_dir(folder);
        self
    }

    /// An account, a token for it, and a backend.
    pub(crate) fn configured(self, backend: &str, token: &str) -> Self {
        self.with("ACCOUNT_ID", "acc0unt").with("SERVICE_TOKEN", token).with("CONVEX_URL", backend)
    }

    /// Runs it to its end.
    pub(crate) fn output(mut self) -> Output {
        self.0.stdin(Stdio::null()).output().unwrap()
    }

    /// Runs it to its end with this text on standard input.
    pub(crate) fn output_of(mut self, input: &str) -> Output {
        let pipes = self.0.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// Starts it, to be listened to.
    pub(crate) fn start(mut self) -> Running {
        let mut child =
            self.0.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (lines, heard) = channel();
        thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| lines.send(line)));
        Running { child, stdout, heard, log: String::new(), _place: self.1 }
    }
}

/// The program while it runs; killed when dropped.
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    heard: Receiver<String>,
    log: String,
    /// Gone with the process.
    _place: TempDir,
}

impl Running {
    /// Waits for a log line that holds these words.
    pub(crate) fn wait_for_log(&mut self, words: &str) -> String {
        while let Ok(line) = self.heard.recv_timeout(PATIENCE) {
            self.log.push_str(&line);
            self.log.push('\n');
            if line.contains(words) {
                return line;
            }
        }
        panic!("never heard {words:?} in:\n{}", self.log);
    }

    /// The address it says it listens on.
    pub(crate) fn address(&mut self) -> String {
        let line = self.wait_for_log("Listening");
        let (_, rest) = line.split_once("http://").unwrap();
        rest.split(['"', ' ']).next().unwrap().to_owned()
    }

    /// What `local` prints once it listens: `NAME=value` lines up to the admin key. None if it ends before.
    pub(crate) fn environment(&mut self) -> Option<HashMap<String, String>> {
        let printed = self.printed_to_the_key()?;
        let pairs = printed.lines().filter_map(|line| line.split_once('='));
        Some(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// What it prints up to the admin key. None if it ends before.
    pub(crate) fn printed_to_the_key(&mut self) -> Option<String> {
        let mut printed = String::new();
        loop {
            let start = printed.len();
            if self.stdout.read_line(&mut printed).unwrap() == 0 {
                return None;
            }
            if printed[start..].starts_with("ADMIN_KEY=") {
                return Some(printed);
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Ends it at once, as nobody can prevent.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end: the exit code and all it wrote.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        self.log.extend(self.heard.iter().flat_map(|line| [line, "\n".to_owned()]));
        let mut out = String::new();
        self.stdout.read_to_string(&mut out).unwrap();
        (status.code(), format!("{out}{}", self.log))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails where it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All that a finished program wrote.
pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// `GET` of a path at an address: status and body.
pub(crate) fn get(address: &str, path: &str) -> (u16, String) {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .timeout_global(Some(PATIENCE))
        .build()
        .into();
    let mut answer = agent.get(format!("http://{address}{path}")).call().unwrap();
    (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
}

/// Any request with these headers: the whole answer. `agent` says how long it is waited for.
pub(crate) fn exchange(
    agent: &ureq::Agent,
    (method, url): (&str, &str),
    headers: &[(&str, &str)],
    body: &str,
) -> ureq::http::Response<String> {
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = match method {
        "GET" => agent.run(request.body(()).unwrap()),
        _ => agent.run(request.body(body).unwrap()),
    };
    let (head, mut body) = answer.unwrap().into_parts();
    ureq::http::Response::from_parts(head, body.read_to_string().unwrap())
}

/// The private folder at this path, made where there is none.
pub(crate) fn private(path: &Path) -> Arc<Folder> {
    Arc::new(Folder::make(path, Access::Owner).unwrap())
}

/// A folder of its own for a test's files.
pub(crate) fn folder() -> (tempfile::TempDir, impl Fn(&str) -> PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    (folder, move |name: &str| path.join(name))
}
