//! The host key of a new machine: fetched, shown, confirmed by a person, and kept for every later connection.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::net::IpAddr;
use std::process::{Command, Stdio};

use super::super::complain;

/// The host keys of a machine and the fingerprint of the first.
pub(super) struct HostKey {
    /// Lines of a `known_hosts` file.
    pub(super) lines: String,
    /// Such as `SHA256:…`.
    pub(super) fingerprint: String,
}

/// Asks the machine for its key. `None` if it does not answer yet.
pub(super) fn fetch(address: IpAddr) -> Result<Option<HostKey>, String> {
    let scanned = Command::new("ssh-keyscan")
        .args(["-T", "5", "-t", "ed25519", &address.to_string()])
        .stdin(Stdio::null())
        .output()
        .map_err(|why| format!("ssh-keyscan cannot be started: {why}; install the OpenSSH client"))?;
    let lines = String::from_utf8_lossy(&scanned.stdout).into_owned();
    let lines: String =
        lines.lines().filter(|line| !line.starts_with('#')).flat_map(|line| [line, "\n"]).collect();
    if lines.trim().is_empty() {
        return Ok(None);
    }
    let mut digest = Command::new("ssh-keygen")
        .args(["-l", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|why| format!("ssh-keygen cannot be started: {why}; install the OpenSSH client"))?;
    let failed = |why: std::io::Error| format!("ssh-keygen has failed: {why}");
    if let Some(mut input) = digest.stdin.take() {
        input.write_all(lines.as_bytes()).map_err(failed)?;
    }
    let shown = digest.wait_with_output().map_err(failed)?;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let fingerprint = shown.split_whitespace().find(|word| word.starts_with("SHA256:"));
    match fingerprint {
        Some(fingerprint) => Ok(Some(HostKey { fingerprint: fingerprint.to_owned(), lines })),
        None => Err("ssh-keygen shows no fingerprint of the machine's host key".to_owned()),
    }
}

/// Has a person confirm the key, or compares it with the expected one.
pub(super) fn confirm(key: &HostKey, address: IpAddr, expected: Option<&str>) -> Result<(), String> {
    let shown = &key.fingerprint;
    match expected {
        Some(expected) if expected == shown => return Ok(()),
        Some(expected) => {
            return Err(format!(
                "{address} shows the host key {shown} instead of {expected}; compare it with the machine's console"
            ));
        }
        None => {}
    }
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(format!(
            "{address} shows the host key {shown}; compare it with the machine's console, then run the command again with --host-key {shown}"
        ));
    }
    complain(&format!(
        "{address} shows the host key {shown}. Is it that of the machine's console? Type yes:"
    ));
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer).map_err(|why| format!("the answer cannot be read: {why}"))?;
    if answer.trim() == "yes" { Ok(()) } else { Err(format!("the host key {shown} was not confirmed")) }
}
