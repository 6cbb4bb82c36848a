//! Command lines that are invalid: the exit code, and where the reason is reported.

use serde_json::{Value, json};

use crate::support::program::{Program, text};

#[test]
fn an_invalid_command_line_is_code_2() {
    let output = Program::new(["--\u{1b}[31mred"]).output();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        !text(&output).contains('\u{1b}'),
        "control characters of the command line must not reach a terminal"
    );
}

/// Programs that ask for JSON get it for every failure, also if the command line is invalid.
#[test]
fn an_invalid_command_line_is_reported_as_json_if_json_is_asked_for() {
    let rows: [(&[&str], &str); 5] = [
        (&["status", "--jsno", "--json"], "there is no option `--jsno`; did you mean `--json`? see "),
        (&["--json", "why"], "`why` needs "),
        (&["run", "--json"], "--json is not an option of this command; see "),
        (&["stauts", "--json"], "did you mean `status`? see `mission-control-runtime --help`"),
        (&["dead", "show", "--json", "--env-file"], "--env-file needs a value; see "),
    ];
    for (args, words) in rows {
        let output = args.iter().fold(Program::new([]), |program, arg| program.and([arg])).output();
        let shown: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|why| panic!("{args:?}: {why}"));
        assert_eq!((output.status.code(), &shown["success"]), (Some(2), &json!(false)), "{args:?}");
        assert_eq!((&shown["details"], output.stderr.len()), (&json!([]), 0), "{args:?}");
        assert!(shown["error"].as_str().unwrap().contains(words), "{args:?}: {shown}");
    }
    let output = Program::new(["status", "--jsno"]).output();
    assert!(
        output.stdout.is_empty() && output.stderr.starts_with(b"there is no option"),
        "{}",
        text(&output)
    );
}
