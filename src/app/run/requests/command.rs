//! Runs `UPGRADE_COMMAND`: without a shell, with a time limit, and with its last lines as the reason of a failure.

use std::io::Read;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// The last part of the output that is kept, in bytes.
const OUTPUT_BYTES_MAX: usize = 4_096;

/// The last lines of the output that name the reason.
const LINES_MAX: usize = 3;

/// How often to look whether the command has ended.
const LOOK: Duration = Duration::from_millis(50);

/// How long a process that the command has left may keep the output open.
const OUTPUT_WAIT: Duration = Duration::from_millis(500);

/// Runs the command to its end. The error says why it failed.
pub(super) fn run(words: &[String], limit: Duration) -> Result<(), String> {
    let Some((program, arguments)) = words.split_first() else { return Err("it is blank".to_owned()) };
    let not_started = |why: std::io::Error| format!("UPGRADE_COMMAND cannot be started: {program}: {why}");
    // One pipe for both outputs keeps the order of the lines.
    let (pipe, output) = std::io::pipe().map_err(not_started)?;
    let mut command = Command::new(program);
    // A group of its own, so that everything it has started can be ended.
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(output.try_clone().map_err(not_started)?)
        .stderr(output)
        .process_group(0);
    let mut child = command.spawn().map_err(not_started)?;
    // The command holds the pipe open for writing, which would keep the reader waiting.
    drop(command);
    let output = Arc::new(Mutex::new(Vec::new()));
    let reader = read(pipe, &output);
    let result = wait(&mut child, limit);
    let deadline = Instant::now() + OUTPUT_WAIT;
    while !reader.is_finished() && Instant::now() < deadline {
        thread::sleep(LOOK);
    }
    let said = last_lines(&output.lock().unwrap_or_else(PoisonError::into_inner));
    result.map_err(|why| if said.is_empty() { why } else { format!("{why}: {said}") })
}

/// Collects the end of an output.
fn read(mut pipe: impl Read + Send + 'static, output: &Arc<Mutex<Vec<u8>>>) -> thread::JoinHandle<()> {
    let output = output.clone();
    thread::spawn(move || {
        let mut part = [0; 1_024];
        while let Ok(count @ 1..) = pipe.read(&mut part) {
            let mut kept = output.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend_from_slice(&part[..count]);
            let excess = kept.len().saturating_sub(OUTPUT_BYTES_MAX);
            kept.drain(..excess);
        }
    })
}

fn wait(child: &mut Child, limit: Duration) -> Result<(), String> {
    let began = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return outcome(status),
            Ok(None) if began.elapsed() < limit => thread::sleep(LOOK),
            Ok(None) => {
                end(child);
                return Err(format!("UPGRADE_COMMAND did not end within {} s", limit.as_secs_f64()));
            }
            Err(why) => return Err(format!("UPGRADE_COMMAND cannot be observed: {why}")),
        }
    }
}

/// Ends the command with all its processes.
fn end(child: &mut Child) {
    if let Ok(group) = i32::try_from(child.id()) {
        // Fails if all have ended already.
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

fn outcome(status: ExitStatus) -> Result<(), String> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(format!("UPGRADE_COMMAND failed with exit code {code}")),
        (None, Some(signal)) => Err(format!("UPGRADE_COMMAND was ended by signal {signal}")),
        (None, None) => Err("UPGRADE_COMMAND failed".to_owned()),
    }
}

/// The last lines with text, as one line without control characters.
fn last_lines(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let joined = lines[lines.len().saturating_sub(LINES_MAX)..].join(" / ");
    joined.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit_ms: u64) -> Result<(), String> {
        let words = ["/bin/sh", "-c", script, "sh"].map(str::to_owned);
        run(&words, Duration::from_millis(limit_ms))
    }

    #[test]
    fn the_last_lines_of_a_failed_command_are_the_reason() {
        assert_eq!(sh("exit 0", 10_000), Ok(()));
        let why =
            sh("for i in 1 2 3 4; do echo line $i; done; echo; printf 'a\\001b\\n' >&2; exit 3", 10_000);
        let why = why.unwrap_err();
        assert!(why.starts_with("UPGRADE_COMMAND failed with exit code 3: ") && why.contains("ab"), "{why}");
        assert!(!why.contains("line 1") && !why.contains('\n'), "{why}");
        let why = run(&["/does/not/exist".to_owned()], Duration::from_secs(1)).unwrap_err();
        assert!(why.contains("cannot be started: /does/not/exist"), "{why}");
        let why = sh("kill -9 $$", 10_000).unwrap_err();
        assert!(why.contains("signal 9"), "{why}");
    }

    #[test]
    fn a_command_that_hangs_is_ended_with_all_it_has_started() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; echo waiting; wait", file.display());
        let why = sh(&script, 1_500).unwrap_err();
        assert_eq!(why, "UPGRADE_COMMAND did not end within 1.5 s: waiting");
        let process: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        // A killed process takes a moment to end, and without a parent it may stay as a zombie.
        let state = || std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        let has_ended = || state().is_empty() || state().contains(") Z ");
        let until = Instant::now() + Duration::from_secs(30);
        while !has_ended() && Instant::now() < until {
            thread::sleep(LOOK);
        }
        assert!(has_ended(), "{}", state());
    }

    #[test]
    fn words_are_no_shell_text() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("made");
        let evil = format!("1;touch {}", file.display());
        run(&["/bin/echo".to_owned(), evil], Duration::from_secs(10)).unwrap();
        assert!(!file.exists());
    }
}
