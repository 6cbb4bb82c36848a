//! The digest of a gateway's configuration. It has secrets, so only the digest is stored.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;

use ring::digest::{Context, SHA256};

use mcr_model::ChildCommand;

/// Variables that differ between two starts of a runtime with the same configuration: of systemd, the shell and SSH.
const PER_START: [&str; 9] = [
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "SYSTEMD_EXEC_PID",
    "SHLVL",
    "OLDPWD",
    "_",
    "SSH_CLIENT",
    "SSH_CONNECTION",
    "SSH_TTY",
];

/// The digest of the command, the address and the environment. Of two values of a variable, the last one counts.
pub(super) fn digest_of(
    command: &ChildCommand,
    (host, port): &(String, u16),
    environment: &[(OsString, OsString)],
) -> String {
    let mut digest = Context::new(&SHA256);
    // With its length, so that no two lists of parts have the same bytes.
    let mut add = |part: &[u8]| {
        digest.update(&part.len().to_be_bytes());
        digest.update(part);
    };
    add(host.as_bytes());
    add(&port.to_be_bytes());
    add(&command.arguments.len().to_be_bytes());
    for word in std::iter::once(&command.program).chain(&command.arguments) {
        add(word.as_bytes());
    }
    let environment: BTreeMap<_, _> = environment.iter().map(|(name, value)| (name, value)).collect();
    for (name, value) in environment.into_iter().filter(|(name, _)| !PER_START.iter().any(|one| name == one))
    {
        add(name.as_bytes());
        add(value.as_bytes());
    }
    digest.finish().as_ref().iter().fold(String::new(), |mut text, byte| {
        // Writing to a text does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(line: &str, port: u16, environment: &[(&str, &str)]) -> String {
        let environment: Vec<_> =
            environment.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect();
        digest_of(&ChildCommand::parse(line).unwrap(), &("127.0.0.1".to_owned(), port), &environment)
    }

    #[test]
    fn a_digest_differs_if_a_new_gateway_would_differ() {
        let first = digest("openclaw gateway", 1, &[("A", "1"), ("B", "2")]);
        assert!(first.len() == 64 && first.bytes().all(|byte| byte.is_ascii_hexdigit()), "{first}");
        let same: [&[(&str, &str)]; 3] = [
            &[("B", "2"), ("A", "1")],
            &[("A", "0"), ("A", "1"), ("B", "2")],
            &[("A", "1"), ("B", "2"), ("INVOCATION_ID", "7"), ("SHLVL", "3")],
        ];
        for environment in same {
            assert_eq!(digest("openclaw  gateway", 1, environment), first, "{environment:?}");
        }
        let others = [
            digest("openclaw gateway run", 1, &[("A", "1"), ("B", "2")]),
            digest("openclawgateway", 1, &[("A", "1"), ("B", "2")]),
            digest("openclaw gateway", 2, &[("A", "1"), ("B", "2")]),
            digest("openclaw gateway", 1, &[("A", "1")]),
            digest("openclaw gateway", 1, &[("A", "1"), ("B", "3")]),
            digest("openclaw gateway", 1, &[("A", "1B2")]),
            digest("openclaw gateway A 1", 1, &[("B", "2")]),
        ];
        assert!(!others.contains(&first), "{first}: {others:?}");
    }
}
