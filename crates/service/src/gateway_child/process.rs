//! The process of the gateway: its start, its identity, its signals and its end.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use mcr_core::gateway_child::Ended;
use mcr_model::ChildCommand;

/// The time between two checks of a process that an earlier runtime has started. No event announces its end.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// The identity of a process. A number alone is not enough, because the system uses it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) pid: i32,
    /// When it started, in ticks since the boot.
    pub(super) started: u64,
    /// The boot.
    pub(super) boot: String,
}

impl Identity {
    /// The identity of the process with this number, and whether it has not ended.
    fn of(pid: i32) -> Option<(Self, bool)> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may contain blanks and brackets.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?;
        // The 22nd field of the whole line is the 20th behind the name.
        let started = fields.nth(18)?.parse().ok()?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned();
        Some((Self { pid, started, boot }, !matches!(state, "Z" | "X")))
    }

    /// Whether this very process still runs.
    pub(super) fn runs(&self) -> bool {
        Self::of(self.pid).is_some_and(|(found, runs)| runs && found == *self)
    }
}

/// A process of the gateway, with everything that it has started in its group.
pub(super) struct GatewayProcess {
    pub(super) identity: Identity,
    /// `None`: an earlier runtime has started it.
    child: Option<Child>,
}

impl GatewayProcess {
    /// Starts the command with exactly this environment, as the leader of a group.
    pub(super) fn start(command: &ChildCommand, environment: &[(OsString, OsString)]) -> io::Result<Self> {
        let output = io::stderr().as_fd().try_clone_to_owned()?;
        let mut child = prepared(command, environment, &command.arguments).stdout(output).spawn()?;
        // A child that has ended already is a zombie with an identity until it is reaped.
        let identity = group_of(&child).ok().and_then(|group| Identity::of(group.as_raw()));
        let Some((identity, _)) = identity else {
            child.kill()?;
            child.wait()?;
            return Err(io::Error::other("/proc does not show its process"));
        };
        Ok(Self { identity, child: Some(child) })
    }

    /// A process that an earlier runtime has started.
    pub(super) fn adopted(identity: Identity) -> Self {
        Self { identity, child: None }
    }

    /// Calls `then` once the process has ended. The process remains a zombie until [`reap`](Self::reap), so that its
    /// number is not used again.
    pub(super) fn watch(&self, then: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let (identity, is_child) = (self.identity.clone(), self.child.is_some());
        let wait = move || {
            let pid = Pid::from_raw(identity.pid);
            let wait = || waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
            if is_child {
                while wait() == Err(Errno::EINTR) {}
            } else {
                while identity.runs() {
                    thread::sleep(CHECK_INTERVAL);
                }
            }
            then();
        };
        thread::Builder::new().name("gateway-end".to_owned()).spawn(wait).map(drop)
    }

    /// Waits until the process of an earlier runtime has ended. Returns whether it has.
    pub(super) fn ends_until(&self, until: Instant) -> bool {
        while self.identity.runs() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            thread::sleep(left.min(CHECK_INTERVAL));
        }
        true
    }

    /// Sends a signal to the whole group, if its leader is still this process.
    pub(super) fn signal(&self, signal: Signal) {
        // Our own child keeps its number until it is reaped.
        if self.child.is_some() || self.identity.runs() {
            let group = Pid::from_raw(self.identity.pid);
            // Fails if the group has just ended, which is what a signal is for.
            let _ = killpg(group, signal);
        }
    }

    /// Ends what the process has left in its group, and takes its exit code.
    pub(super) fn reap(mut self) -> Ended {
        self.signal(Signal::SIGKILL);
        match self.child.as_mut().map(Child::wait) {
            Some(Ok(status)) => ended(status),
            Some(Err(_)) | None => Ended::Unknown,
        }
    }
}

/// The group that a child leads.
pub(super) fn group_of(child: &Child) -> io::Result<Pid> {
    i32::try_from(child.id()).map(Pid::from_raw).map_err(io::Error::other)
}

/// The command in a group of its own, without a terminal.
pub(super) fn prepared<A: AsRef<std::ffi::OsStr>>(
    command: &ChildCommand,
    environment: &[(OsString, OsString)],
    arguments: &[A],
) -> Command {
    let mut prepared = Command::new(&command.program);
    prepared.args(arguments).env_clear().stdin(Stdio::null()).process_group(0);
    prepared.envs(environment.iter().map(|(name, value)| (name, value)));
    prepared
}

fn ended(status: ExitStatus) -> Ended {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Code(code),
        (None, Some(signal)) => Ended::Signal(signal),
        (None, None) => Ended::Unknown,
    }
}
