//! The version that the gateway's program prints. No shell is involved, and a program that hangs is ended.

use std::ffi::OsString;
use std::io::Read as _;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crossbeam_channel::bounded;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::process::prepared;
use mcr_model::{ChildCommand, version_in};

/// The longest output that is read.
const OUTPUT_BYTES_MAX: u64 = 4_096;

/// Runs the program with `--version`. `None` if it prints no version within the time limit.
pub(super) fn ask(
    command: &ChildCommand,
    environment: &[(OsString, OsString)],
    limit: Duration,
) -> Option<String> {
    let arguments = command.version_arguments();
    let mut asked = prepared(command, environment, &arguments);
    let mut child = asked.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let output = child.stdout.take()?;
    let (told, heard) = bounded(1);
    let read = move || {
        let mut text = Vec::new();
        let _ = output.take(OUTPUT_BYTES_MAX).read_to_end(&mut text);
        // Nobody waits any more after the time limit.
        let _ = told.send(text);
    };
    let reading = thread::Builder::new().name("gateway-version".to_owned()).spawn(read);
    let text = reading.ok().and_then(|_| heard.recv_timeout(limit).ok());
    if let Ok(pid) = i32::try_from(child.id()) {
        // Fails if it has ended, as it should. Its number is not used again before the wait below.
        let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
    let _ = child.wait();
    version_in(&String::from_utf8_lossy(&text?)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn version(line: &str, limit: Duration) -> Option<String> {
        ask(&ChildCommand::parse(line).unwrap(), &[("PATH".into(), "/usr/bin:/bin".into())], limit)
    }

    #[test]
    fn a_program_that_hangs_or_prints_without_end_is_ended() {
        let long = Duration::from_secs(30);
        assert_eq!(version("echo OpenClaw 2026.9.6", long).as_deref(), Some("2026.9.6"));
        assert_eq!(version("/no/such/program", long), None);
        assert_eq!(version("yes x", long), None);
        let began = Instant::now();
        assert_eq!(version("sh -c 'sleep 60 & sleep 60'", Duration::from_millis(100)), None);
        assert!(began.elapsed() < Duration::from_secs(30));
    }
}
