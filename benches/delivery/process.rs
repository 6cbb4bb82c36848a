//! The processes of a measurement and their values in `/proc`: the program under test, the bare loop for comparison, and
//! the doubles behind both.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::bare::Plan;
use super::observations::{Goal, Load, Observations, Pace, ProcessState};
use super::world;

/// One tick of the kernel's accounting (`CLK_TCK` is 100 on every Linux we run on).
const TICK: Duration = Duration::from_millis(10);
/// The kept log lines, to explain a failure.
const LAST_LINES: usize = 30;
/// The maximum time until a process reports that it is ready.
const START: Duration = Duration::from_secs(20);

/// The number of nudges to a program that reports that it is not ready.
const NUDGES: usize = 100;

/// The token of the gateway.
pub(crate) const GATEWAY_TOKEN: &str = "the-gateway-of-the-bench";

/// A child process, killed when dropped.
pub(crate) struct Process(Child);

impl Process {
    fn proc_file(&self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{name}", self.0.id())).unwrap_or_default()
    }

    /// Processor time in ticks, user and kernel, of all present and past threads.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = self.proc_file("stat");
        let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let ticks = after_name.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u32>().ok());
        TICK * ticks.sum()
    }

    /// Processor time in nanoseconds, but only of the present threads.
    pub(crate) fn fine_cpu(&self) -> Duration {
        let threads = fs::read_dir(format!("/proc/{}/task", self.0.id()));
        let spent = |thread: fs::DirEntry| {
            let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        };
        let all = threads.into_iter().flatten().filter_map(Result::ok).filter_map(spent);
        Duration::from_nanos(all.sum())
    }

    /// Resident memory in MiB.
    pub(crate) fn memory(&self) -> f64 {
        let status = self.proc_file("status");
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or_default() / 1024.0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// This program again in another role, and the first line it prints.
fn again(args: &[String]) -> (Process, ChildStdin, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let mut child = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let input = child.stdin.take().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Process(child), input, line.trim().to_owned())
}

/// Backend and gateway in a separate process.
pub(crate) struct Behind {
    pub(crate) backend: String,
    pub(crate) gateway: String,
    agent: ureq::Agent,
    /// The doubles serve while this is open.
    _input: ChildStdin,
    pub(crate) process: Process,
}

impl Behind {
    pub(crate) fn start(agents: usize) -> Self {
        let (process, input, line) = again(&["doubles".to_owned(), agents.to_string()]);
        let (backend, gateway) = line.split_once(' ').unwrap();
        let agent = ureq::Agent::config_builder().proxy(None).build().into();
        let (backend, gateway) = (backend.to_owned(), gateway.to_owned());
        Self { backend, gateway, agent, _input: input, process }
    }

    fn tell<T: DeserializeOwned>(&self, what: &str, words: &impl Serialize) -> T {
        let body = serde_json::to_vec(words).unwrap();
        let mut answer =
            self.agent.post(format!("http://{}/control/{what}", self.backend)).send(&body).unwrap();
        let text = answer.body_mut().with_config().limit(u64::MAX).read_to_vec().unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    /// Removes all rows and records.
    pub(crate) fn reset(&self) {
        let _: serde_json::Value = self.tell("reset", &());
    }

    pub(crate) fn pace(&self, pace: Pace) {
        let _: serde_json::Value = self.tell("pace", &pace);
    }

    pub(crate) fn load(&self, load: Load) {
        let _: serde_json::Value = self.tell("load", &load);
    }

    pub(crate) fn observations(&self) -> Observations {
        self.tell("books", &())
    }

    /// Waits until this many rows are settled. Returns their number.
    pub(crate) fn delivered(&self, count: usize, patience: Duration) -> usize {
        self.wait(Goal { delivered: count, in_flight: usize::MAX, millis: millis(patience) }).delivered
    }

    /// Waits until this many turns are in flight. Returns their number.
    pub(crate) fn in_flight(&self, count: usize, patience: Duration) -> usize {
        self.wait(Goal { delivered: usize::MAX, in_flight: count, millis: millis(patience) }).in_flight
    }

    fn wait(&self, goal: Goal) -> ProcessState {
        self.tell("wait", &goal)
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// The process that delivers: the program under test, or the bare loop.
pub(crate) trait Carrier {
    fn name(&self) -> &'static str;
    fn process(&self) -> &Process;
    fn behind(&self) -> &Behind;
    /// Announces this many rows.
    fn go(&mut self, rows: usize);
    /// Its last output, if it writes any.
    fn last_words(&self) -> String;
}

/// The bare loop.
pub(crate) struct Bare<'a> {
    behind: &'a Behind,
    process: Process,
    input: ChildStdin,
}

impl<'a> Bare<'a> {
    pub(crate) fn start(behind: &'a Behind, workers: usize, turn_bytes: usize) -> Self {
        let (backend, gateway) = (behind.backend.clone(), behind.gateway.clone());
        let plan = Plan { backend, gateway, workers, turn_bytes };
        let (process, input, _) = again(&plan.to_args());
        Self { behind, process, input }
    }
}

impl Carrier for Bare<'_> {
    fn name(&self) -> &'static str {
        "bare loop"
    }

    fn process(&self) -> &Process {
        &self.process
    }

    fn behind(&self) -> &Behind {
        self.behind
    }

    fn go(&mut self, rows: usize) {
        self.input.write_all(format!("{rows}\n").as_bytes()).unwrap();
    }

    fn last_words(&self) -> String {
        String::new()
    }
}

/// The program under test: this build's, or the one named in the environment.
pub(crate) fn program() -> PathBuf {
    let named = std::env::var_os("BENCH_PROGRAM");
    named.map_or_else(|| env!("CARGO_BIN_EXE_mission-control-runtime").into(), Into::into)
}

/// The configuration of the program under test. Unset values have their defaults.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Setting {
    pub(crate) workers: Option<usize>,
    pub(crate) list_limit: Option<usize>,
    pub(crate) sync_interval: Option<Duration>,
    /// Whether news comes by the wake query; otherwise by nudges and polls.
    pub(crate) wake_query: bool,
}

/// The program under test.
pub(crate) struct Runtime<'a> {
    behind: &'a Behind,
    process: Process,
    pub(crate) address: SocketAddr,
    /// The time from its start to its first reply on `/health`.
    pub(crate) start: Duration,
    log: Arc<Mutex<VecDeque<String>>>,
    agent: ureq::Agent,
    /// Its reply to the last nudge.
    pub(crate) nudged: u16,
}

impl<'a> Runtime<'a> {
    /// Starts it with its state in this folder.
    pub(crate) fn start(behind: &'a Behind, state: &Path, setting: Setting) -> Self {
        let mut command = Command::new(program());
        command.env_clear().arg("run").current_dir(std::env::temp_dir());
        // Turns on schedule are no part of the measured work.
        command.env("HEARTBEAT_MODE", "off");
        command.env("ACCOUNT_ID", world::ACCOUNT).env("SERVICE_TOKEN", world::TOKEN);
        command.env("CONVEX_URL", format!("http://{}", behind.backend));
        command.env("OPENCLAW_GATEWAY_URL", format!("http://{}", behind.gateway));
        command
            .env("OPENCLAW_GATEWAY_TOKEN", GATEWAY_TOKEN)
            .env("HEALTH_PORT", "0")
            .env("STATE_DIR", state)
            // Each row is a delivery of its own.
            .env("FOLD_MAX", "1");
        if let Ok(added) = std::env::var("BENCH_SLOW_DISK_MS") {
            command.env(mission_control_runtime::ledger::SLOW_DISK, added);
        }
        command.env("WAKE_QUERY", if setting.wake_query { "auto" } else { "off" });
        if let Some(workers) = setting.workers {
            command.env("DELIVERY_MAX_CONCURRENT_SESSIONS", workers.to_string());
        }
        if let Some(limit) = setting.list_limit {
            command.env("DELIVERY_LIST_LIMIT", limit.to_string());
        }
        if let Some(interval) = setting.sync_interval {
            command.env("AGENT_SYNC_INTERVAL", interval.as_millis().to_string());
        }
        let began = Instant::now();
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(VecDeque::new()));
        let heard = listen(BufReader::new(child.stderr.take().unwrap()), log.clone());
        let process = Process(child);
        let Ok(address) = heard.recv_timeout(START) else {
            panic!("the program does not listen:\n{}", words_of(&log));
        };
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut status = String::new();
        BufReader::new(stream).read_line(&mut status).unwrap();
        let start = began.elapsed();
        assert!(status.starts_with("HTTP/1.1 200"), "{status}");
        let agent = ureq::Agent::config_builder().proxy(None).http_status_as_error(false).build().into();
        Self { behind, process, address, start, log, agent, nudged: 0 }
    }

    /// Asks it to stop, as a supervisor does.
    pub(crate) fn signal_stop(&self) {
        let process = Pid::from_raw(self.process.0.id().try_into().unwrap());
        kill(process, Signal::SIGTERM).unwrap();
    }

    /// Whether it ends within this time.
    pub(crate) fn ends_within(mut self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        while Instant::now() < until {
            if self.process.0.try_wait().unwrap().is_some() {
                return true;
            }
            thread::sleep(Duration::from_millis(1));
        }
        false
    }
}

impl Carrier for Runtime<'_> {
    fn name(&self) -> &'static str {
        "runtime"
    }

    fn process(&self) -> &Process {
        &self.process
    }

    fn behind(&self) -> &Behind {
        self.behind
    }

    /// Nudges as a backend on the same host does. A program that has just started is asked again.
    fn go(&mut self, _: usize) {
        for _ in 0..NUDGES {
            let answer = self.agent.post(format!("http://{}/nudge", self.address)).send_empty();
            self.nudged = answer.map_or(0, |mut answer| {
                let _ = answer.body_mut().read_to_vec();
                answer.status().as_u16()
            });
            if self.nudged != 503 {
                return;
            }
            thread::sleep(TICK);
        }
    }

    fn last_words(&self) -> String {
        words_of(&self.log)
    }
}

/// Reads a log to its end and returns the address in it.
fn listen(log: impl BufRead + Send + 'static, last: Arc<Mutex<VecDeque<String>>>) -> Receiver<SocketAddr> {
    let (tell, heard) = unbounded();
    thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            if let Some((_, rest)) =
                line.split_once("Listening").and_then(|(_, fields)| fields.split_once("http://"))
            {
                let address = rest.split(['"', ' ']).next().and_then(|address| address.parse().ok());
                _ = address.map(|address| tell.send(address));
            }
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.len() == LAST_LINES {
                last.pop_front();
            }
            last.push_back(line);
        }
    });
    heard
}

fn words_of(log: &Mutex<VecDeque<String>>) -> String {
    let lines = log.lock().unwrap_or_else(PoisonError::into_inner);
    lines.iter().flat_map(|line| ["  ", line, "\n"]).collect()
}
