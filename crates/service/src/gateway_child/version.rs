//! The version that the gateway's program prints. No shell is involved, and a program that hangs is ended.

use std::ffi::OsString;
use std::io::{self, Read as _};
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};

use super::process::{group_of, prepared};
use mcr_model::clock::Millis;
use mcr_model::{ChildCommand, version_in};
use nix::sys::signal::{Signal, killpg};

/// The longest output that is read.
const OUTPUT_BYTES_MAX: u64 = 4_096;

/// How long the program may take to print its version.
pub(super) const VERSION_LIMIT: Duration = Duration::from_secs(10);

/// The program, running with `--version`. It ends with this value.
pub(super) struct VersionQuery {
    child: Child,
    output: Receiver<Vec<u8>>,
    /// When the program is ended.
    pub(super) until: Millis,
}

impl VersionQuery {
    /// Starts the program with `--version`.
    pub(super) fn start(
        command: &ChildCommand,
        environment: &[(OsString, OsString)],
        until: Millis,
    ) -> io::Result<Self> {
        let mut asked = prepared(command, environment, &command.version_arguments());
        let mut child = asked.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let pipe = child.stdout.take();
        let (sender, output) = bounded(1);
        // From here on, an early return ends the program.
        let query = Self { child, output, until };
        let read = move || {
            let mut text = Vec::new();
            // A partial output contains the whole version or none of it.
            let _ = pipe.map(|pipe| pipe.take(OUTPUT_BYTES_MAX).read_to_end(&mut text));
            // Fails only after the end of the query.
            let _ = sender.send(text);
        };
        thread::Builder::new().name("gateway-version".to_owned()).spawn(read)?;
        Ok(query)
    }

    /// Has the program's output once it has ended.
    pub(super) fn output(&self) -> &Receiver<Vec<u8>> {
        &self.output
    }
}

impl Drop for VersionQuery {
    fn drop(&mut self) {
        // Fails if the program has ended, as it should. Its number is not used again before the wait below.
        let _ = group_of(&self.child).map(|group| killpg(group, Signal::SIGKILL));
        // Fails only if the exit code was taken, which happens nowhere else.
        let _ = self.child.wait();
    }
}

/// The version in a program's output.
pub(super) fn version_of(output: &[u8]) -> Option<String> {
    version_in(&String::from_utf8_lossy(output)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(line: &str) -> io::Result<VersionQuery> {
        let command = ChildCommand::parse(line).unwrap();
        VersionQuery::start(&command, &[("PATH".into(), "/usr/bin:/bin".into())], Millis(0))
    }

    fn version(line: &str) -> Option<String> {
        version_of(&query(line).unwrap().output().recv().unwrap())
    }

    #[test]
    fn a_program_that_prints_without_end_is_ended() {
        assert_eq!(version("echo OpenClaw 2026.9.6").as_deref(), Some("2026.9.6"));
        assert_eq!(version("yes x"), None);
        assert!(query("/no/such/program").is_err());
    }

    /// The thread that reads the output ends only once the whole group has ended.
    #[test]
    fn a_program_that_hangs_is_ended_with_its_group() {
        let hanging = query("sh -c 'sleep 600 & sleep 600'").unwrap();
        let output = hanging.output().clone();
        assert!(output.try_recv().is_err());
        drop(hanging);
        assert_eq!(output.recv(), Ok(Vec::new()));
    }
}
