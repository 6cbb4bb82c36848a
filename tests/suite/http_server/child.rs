//! The child process of a test: a server whose memory or descriptors are measured, or clients that need more descriptors
//! than one process may have.
//!
//! The child is the test binary itself with one selected test ([`role`]), which does nothing unless a variable assigns a
//! role. It writes lines that start with `child:` and ends when its standard input closes.

use std::io::{self, stdin, stdout};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::*;

/// The variable with the role: `server LIMITS`, or `crowd ADDRESS COUNT PACE`.
const PART: &str = "HTTP_SERVER_TEST_PART";

/// A child process, ended when dropped.
pub(super) struct Actor {
    process: Child,
    cue: Option<ChildStdin>,
    lines: BufReader<ChildStdout>,
}

impl Actor {
    /// Starts a child. `limits` are arguments for `ulimit`, such as `-n 64`.
    pub(super) fn start(part: &str, limits: Option<&str>) -> Self {
        let itself = std::env::current_exe().unwrap();
        let mut command = match limits {
            Some(limits) => {
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(format!("ulimit {limits} && exec \"$0\" \"$@\"")).arg(itself);
                shell
            }
            None => Command::new(itself),
        };
        command.args(["--exact", "http_server::child::role", "--nocapture", "--test-threads=1"]);
        command.env(PART, part).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().expect("it is piped"));
        Self { cue: process.stdin.take(), process, lines }
    }

    /// The child's next line without its prefix.
    pub(super) fn read_line(&mut self) -> String {
        let mut line = String::new();
        while self.lines.read_line(&mut line).unwrap() > 0 {
            // The test harness prints "test … ... " on the same line first.
            if let Some((_, words)) = line.trim_end().split_once("child: ") {
                return words.to_owned();
            }
            line.clear();
        }
        panic!("the child ended without a word");
    }

    /// Starts a server in a child process and returns its address. `server` lists its limits (see [`limits_of`]).
    pub(super) fn server(server: &str, limits: Option<&str>) -> (Self, SocketAddr) {
        let mut actor = Self::start(format!("server {server}").trim_end(), limits);
        let address = actor.read_line().parse().unwrap();
        (actor, address)
    }

    /// Closes the child's input. A server then stops and reports how many connections it had to cut off.
    pub(super) fn end(&mut self) {
        self.cue = None;
    }

    /// A value of `/proc/PID/status` in KiB: `VmRSS`, `VmHWM`.
    pub(super) fn kib(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).expect("a line of that name");
        line.split_whitespace().nth(1).and_then(|figure| figure.parse().ok()).expect("a figure")
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        drop(self.cue.take());
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn say(words: &str) {
    let mut out = stdout().lock();
    writeln!(out, "child: {words}").and_then(|()| out.flush()).unwrap();
}

#[test]
fn role() {
    let Ok(part) = std::env::var(PART) else { return };
    let words: Vec<&str> = part.split(' ').collect();
    match words[..] {
        ["server", ref limits @ ..] => {
            let limits = limits_of(limits);
            let server = Server::bind("127.0.0.1:0", limits, |request| routes(&request)).unwrap();
            say(&server.local_addr().to_string());
            io::copy(&mut stdin(), &mut io::sink()).unwrap();
            say(&format!("{} cut off", server.stop(GUARD)));
        }
        ["crowd", address, count, pace] => {
            let address: SocketAddr = address.parse().unwrap();
            let pace = Duration::from_micros(pace.parse().unwrap());
            let connect = |_| {
                std::thread::sleep(pace);
                TcpStream::connect_timeout(&address, GUARD).unwrap()
            };
            let crowd: Vec<TcpStream> = (0..count.parse::<usize>().unwrap()).map(connect).collect();
            say(&format!("{} connected", crowd.len()));
            io::copy(&mut stdin(), &mut io::sink()).unwrap();
        }
        _ => panic!("no such part: {part}"),
    }
}

/// Parses limits such as `head_time=400` (milliseconds or bytes).
fn limits_of(words: &[&str]) -> ServerLimits {
    let reserved_paths = vec!["/livez", "/health"];
    let mut limits =
        ServerLimits { head_time: GUARD, idle_time: GUARD * 3, reserved_paths, ..ServerLimits::default() };
    for word in words {
        let (name, figure) = word.split_once('=').unwrap();
        let figure: u64 = figure.parse().unwrap();
        let time = Duration::from_millis(figure);
        match name {
            "head_time" => limits.head_time = time,
            "body_time" => limits.body_time = time,
            "write_time" => limits.write_time = time,
            "linger_time" => limits.linger_time = time,
            "stack_bytes" => limits.stack_bytes = usize::try_from(figure).unwrap(),
            _ => panic!("no such limit: {name}"),
        }
    }
    limits
}
