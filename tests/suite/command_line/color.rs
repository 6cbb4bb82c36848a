//! Colours: on a terminal only, and not where the user refuses them.

use std::process::Command;

use crate::support::program::{Program, text};

/// Runs `doctor` on a pseudo-terminal, with these variables.
fn on_a_terminal(variables: &[(&str, &str)]) -> String {
    let mut command = Command::new("script");
    command.args(["-qec", &format!("{} doctor", env!("CARGO_BIN_EXE_mission-control-runtime")), "/dev/null"]);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("SHELL", "/bin/sh");
    text(&command.envs(variables.iter().copied()).output().unwrap())
}

#[test]
fn state_words_have_colours_on_a_terminal_only() {
    let red = "configuration   \u{1b}[31mWRONG\u{1b}[0m: ";
    assert!(on_a_terminal(&[]).contains(red), "{}", on_a_terminal(&[]));
    for refused in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let shown = on_a_terminal(&[refused]);
        assert!(shown.contains("configuration   WRONG: ") && !shown.contains('\u{1b}'), "{shown}");
    }
    let piped = text(&Program::new(["doctor"]).output());
    assert!(piped.contains("configuration   WRONG: ") && !piped.contains('\u{1b}'), "{piped}");
}
