//! The completions, in the shells that they are written for. A missing shell is reported and skipped; bash is required.

use std::fs;
use std::process::{Command, Stdio};

use crate::support::program::{Program, folder, text};

/// Command lines with the cursor at the end, what must be offered there, and what must not.
const CASES: [(&str, &[&str], &[&str]); 12] = [
    ("", &["doctor", "dead", "completions"], &["list", "bash"]),
    ("do", &["doctor"], &["demo", "dead"]),
    ("dead ", &["list", "show", "retry", "drop"], &["doctor"]),
    ("dead sh", &["show"], &["list"]),
    ("status --", &["--json", "--ready", "--env-file", "--help"], &["--live", "--data"]),
    ("dead list --j", &["--json"], &["--env-file"]),
    ("local export --", &["--data"], &["--seed"]),
    ("local export ou", &["out.json"], &["doctor"]),
    ("run --env-file ou", &["out.json"], &["doctor"]),
    ("--env-file out.json doc", &["doctor"], &["dead"]),
    ("completions ", &["bash", "zsh", "fish"], &["doctor"]),
    ("help st", &["status"], &["why"]),
];

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn is_installed(shell: &str) -> bool {
    let asked = Command::new(shell).arg("--version").stdout(Stdio::null()).status();
    let is_installed = asked.is_ok_and(|status| status.success());
    if !is_installed {
        eprintln!("SKIPPED: {shell} is not installed, so its completions were not tried");
    }
    is_installed
}

/// Checks what `complete` offers for each command line, in a folder with a file and with the script of the shell.
fn check(shell: &str, complete: &str) {
    let (_kept, path) = folder();
    let script = Program::new(["completions", shell]).output();
    assert_eq!(script.status.code(), Some(0), "{}", text(&script));
    fs::write(path("script"), &script.stdout).unwrap();
    fs::write(path("out.json"), "{}").unwrap();
    fs::write(path("complete"), complete).unwrap();
    for (line, offered, absent) in CASES {
        let mut command = Command::new("timeout");
        command
            .args(["60", shell])
            .args(if shell == "zsh" { &["-f"][..] } else { &[] })
            .arg("complete")
            .arg(line);
        command.current_dir(path("")).env("HOME", path("")).env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
        let output = command.output().unwrap();
        let shown = text(&output);
        let words: Vec<&str> = shown.split_whitespace().collect();
        for word in offered {
            assert!(words.contains(word), "{shell}, `{line}`: {word} is missing in\n{shown}");
        }
        for word in absent {
            assert!(!words.contains(word), "{shell}, `{line}`: {word} does not belong in\n{shown}");
        }
    }
}

#[test]
fn bash_completes_commands_options_and_files() {
    let complete = r#"
set -u
source ./script
read -ra COMP_WORDS <<<"mission-control-runtime $1"
[[ $1 == *' ' || -z $1 ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_mission_control_runtime
printf '%s\n' "${COMPREPLY[@]}"
"#;
    check("bash", complete);
}

/// A name with a line break is one name, and its parts are none.
#[test]
fn bash_completes_a_name_with_a_line_break() {
    let (_kept, path) = folder();
    fs::write(path("script"), Program::new(["completions", "bash"]).output().stdout).unwrap();
    fs::write(path("one\ntwo"), "").unwrap();
    fs::write(path("one.json"), "").unwrap();
    fs::create_dir(path("one\nfolder")).unwrap();
    let complete = r#"
source ./script
COMP_WORDS=(mission-control-runtime "${@:1:2}" o) COMP_CWORD=3
_mission_control_runtime
printf '<%s>' "${COMPREPLY[@]}"
"#;
    fs::write(path("complete"), complete).unwrap();
    let complete = |words: [&str; 2]| {
        let mut command = Command::new("bash");
        command.arg("complete").args(words).current_dir(path("")).env("LC_ALL", "C.UTF-8");
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    assert_eq!(complete(["run", "--env-file"]), "<one.json><one\nfolder><one\ntwo>");
    assert_eq!(complete(["status", "--state-dir"]), "<one\nfolder>");
}

#[test]
fn zsh_completes_commands_options_and_files() {
    // Only an interactive shell completes, so one runs on a pseudo-terminal. It prints each candidate.
    let complete = r#"
cat > setup <<'END'
PROMPT=
autoload -Uz compinit && compinit -u -D
source ./script
compadd() {
    if [[ " ${@[1,(i)(-|--)]}" == *" -"[OAD]* ]]; then
        builtin compadd "$@"
        return
    fi
    local -a candidates
    builtin compadd -A candidates "$@"
    print -rl -- $candidates
    builtin compadd "$@"
}
show_begin() { print -r -- "<""begin>" }
show_end() { print -r -- "<""end>" }
compprefuncs=(show_begin)
comppostfuncs=(show_end)
bindkey '^I' complete-word
print "<""ready>"
END
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'source ./setup'
zpty -r shell ready '*<ready>*'
zpty -w -n shell "mission-control-runtime $1"$'\t'
zpty -r shell shown '*<begin>*<end>*'
print -r -- "${shown#*<begin>}"
zpty -d shell
"#;
    if is_installed("zsh") {
        check("zsh", complete);
    }
}

#[test]
fn fish_completes_commands_options_and_files() {
    let complete = "source ./script\ncomplete -C \"mission-control-runtime $argv[1]\"\n";
    if is_installed("fish") {
        check("fish", complete);
    }
}

#[test]
fn an_unknown_shell_is_refused_with_the_known_ones() {
    let output = Program::new(["completions"]).output();
    assert!(text(&output).contains("`completions` needs a shell: bash, zsh or fish"), "{}", text(&output));
    let output = Program::new(["completions", "fisch"]).output();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).contains("there is no shell `fisch`; did you mean `fish`?"), "{}", text(&output));
}
