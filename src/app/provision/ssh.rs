//! The first report of a machine: its secrets are brought with the system's `ssh`, then it must say that it is ready.

use std::cell::RefCell;
use std::fmt::Display;
use std::io::Write as _;
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::host_key;
use mcr_clients::wire::Stop;
use mcr_files::Folder;
use mcr_model::redact::Redactor;
use mcr_model::secret::Secret;
use mcr_provision::request::{FirstReport, MachineEntry, NotReported};

/// The pause between two looks at the machine.
const LOOK: Duration = Duration::from_secs(5);

/// The pause between two looks at a running `ssh`.
const LOOK_AT_CHILD: Duration = Duration::from_millis(50);

/// The exit code of `ssh` itself, if there is no connection.
const NO_CONNECTION: i32 = 255;

/// What brings the variables and starts the services. An exit code of 2 means that cloud-init has only warnings.
const INSTALL: &str = "cloud-init status --wait >/dev/null; code=$?; \
    if [ $code != 0 ] && [ $code != 2 ]; then \
    echo 'cloud-init has failed: see /var/log/cloud-init-output.log on the machine' >&2; exit 21; fi; \
    mission-control-runtime bootstrap --stdin --env-file /etc/mission-control-runtime.env >/dev/null \
    && systemctl enable --now openclaw-gateway mission-control-runtime";

/// What says that the runtime works.
const READY: &str = "mission-control-runtime status --ready >/dev/null";

/// Brings the secrets and waits for the report.
pub(super) struct SshReport<'a> {
    /// Keeps the confirmed host keys.
    pub(super) folder: &'a Folder,
    pub(super) stop: &'a Stop,
    pub(super) timeout: Duration,
    /// The expected fingerprint of the host key.
    pub(super) host_key: Option<String>,
    /// The lines for the machine's env file.
    pub(super) variables: Option<Secret>,
    pub(super) redactor: Arc<Redactor>,
    /// Why the machine was waited for last.
    pub(super) last_reason: RefCell<String>,
    /// Says what the command waits for.
    pub(super) progress: &'a dyn Fn(&str),
}

/// How a command on the machine ended.
struct Remote {
    code: Option<i32>,
    words: String,
}

fn later(sentence: impl Display) -> NotReported {
    NotReported { sentence: sentence.to_string(), is_final: false }
}

impl FirstReport for SshReport<'_> {
    fn wait_for(&self, entry: &MachineEntry, address: IpAddr) -> Result<(), NotReported> {
        let until = Instant::now() + self.timeout;
        let known_hosts = self.known_hosts(entry, address, until)?;
        let Some(variables) = &self.variables else {
            return Err(later(format!(
                "machine {} at {address} waits for its secrets; run the command again with --runtime-env FILE",
                entry.name
            )));
        };
        self.until_done(entry, address, &known_hosts, (INSTALL, Some(variables)), until)?;
        self.until_done(entry, address, &known_hosts, (READY, None), until)
    }
}

impl SshReport<'_> {
    /// The confirmed host keys of the machine, as the path of a file.
    fn known_hosts(
        &self,
        entry: &MachineEntry,
        address: IpAddr,
        until: Instant,
    ) -> Result<String, NotReported> {
        let name = format!("known-hosts-{}", entry.name);
        let path = self.folder.path().join(&name).display().to_string();
        if self.folder.read(&name).map_err(later)?.is_some() {
            return Ok(path);
        }
        let key = loop {
            if let Some(key) = host_key::fetch(address).map_err(later)? {
                break key;
            }
            self.pause(entry, address, "it does not answer on port 22", until)?;
        };
        host_key::confirm(&key, address, self.host_key.as_deref()).map_err(later)?;
        self.folder.write(&name, key.lines.as_bytes()).map_err(later)?;
        Ok(path)
    }

    /// Runs a command on the machine until it succeeds.
    fn until_done(
        &self,
        entry: &MachineEntry,
        address: IpAddr,
        known_hosts: &str,
        (command, input): (&str, Option<&Secret>),
        until: Instant,
    ) -> Result<(), NotReported> {
        loop {
            let remote = self.run(address, known_hosts, (command, input), until).map_err(later)?;
            match remote.code {
                Some(0) => return Ok(()),
                // What the machine itself refuses does not pass by itself.
                Some(code) if code != NO_CONNECTION && input.is_some() => {
                    let sentence = format!(
                        "machine {} at {address} cannot be set up ({code}): {}",
                        entry.name, remote.words
                    );
                    return Err(NotReported { sentence, is_final: true });
                }
                Some(_) | None => self.pause(entry, address, &remote.words, until)?,
            }
        }
    }

    fn pause(
        &self,
        entry: &MachineEntry,
        address: IpAddr,
        why: &str,
        until: Instant,
    ) -> Result<(), NotReported> {
        let reason = if why.is_empty() { "it is not ready" } else { why };
        if Instant::now() >= until {
            let seconds = self.timeout.as_secs();
            let sentence =
                format!("machine {} at {address} has not reported within {seconds} s: {reason}", entry.name);
            return Err(NotReported { sentence, is_final: true });
        }
        let left = until.saturating_duration_since(Instant::now());
        // The same reason again would be a line every few seconds.
        if self.last_reason.replace(reason.to_owned()) != reason {
            let (name, seconds) = (&entry.name, left.as_secs());
            (self.progress)(&format!("Waiting up to {seconds} s for machine {name} at {address}: {reason}"));
        }
        if self.stop.wait(LOOK.min(left)) { Err(later("stopped; run the command again")) } else { Ok(()) }
    }

    /// Runs a command on the machine, as root, with only the confirmed host key.
    fn run(
        &self,
        address: IpAddr,
        known_hosts: &str,
        (command, input): (&str, Option<&Secret>),
        until: Instant,
    ) -> Result<Remote, String> {
        let mut child = Command::new("ssh")
            .args(["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=10"])
            .args([
                "-o",
                "GlobalKnownHostsFile=/dev/null",
                "-o",
                &format!("UserKnownHostsFile={known_hosts}"),
            ])
            .args(["-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4", "-o", "ForwardAgent=no"])
            .args([&format!("root@{address}"), "--", command])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|why| format!("ssh cannot be started: {why}; install the OpenSSH client"))?;
        if let Some(mut pipe) = child.stdin.take() {
            // A connection that ends early says why on standard error, so a broken pipe is no news.
            let _ = pipe.write_all(input.map_or("", Secret::expose).as_bytes());
        }
        loop {
            match child.try_wait() {
                Ok(Some(_)) => break,
                Ok(None) if Instant::now() >= until || self.stop.wait(LOOK_AT_CHILD) => {
                    child.kill().map_err(|why| format!("ssh cannot be ended: {why}"))?;
                    break;
                }
                Ok(None) => {}
                Err(why) => return Err(format!("ssh cannot be waited for: {why}")),
            }
        }
        let ended = child.wait_with_output().map_err(|why| format!("ssh cannot be waited for: {why}"))?;
        let words = String::from_utf8_lossy(&ended.stderr).into_owned();
        let last = words.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
        Ok(Remote { code: ended.status.code(), words: self.redactor.excerpt(last, 300) })
    }
}
