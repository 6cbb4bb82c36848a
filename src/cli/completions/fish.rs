//! Completions for fish.

use std::fmt::Write as _;

use super::{PROGRAM, choices, default_command, positions, short};
use crate::cli::features::Feature;
use crate::cli::options::{ALL_OPTIONS, CommandOption, Value};
use crate::cli::table::commands;

/// Whether the cursor is after these words, and after at most so many others. Options and their values do not count.
const FUNCTION: &str = r#"function __mission_control_runtime_after
    set -l tokens (commandline -opc)
    set -l words
    set -l is_value 0
    for token in $tokens[2..]
        if test $is_value = 1
            set is_value 0
            continue
        end
        switch $token
            case OPTIONS
                set is_value 1
            case '-*'
            case '*'
                set -a words $token
        end
    end
    set -l expected $argv[2..]
    set -l length (count $expected)
    set -l more (math (count $words) - $length)
    test $more -ge 0 -a $more -le $argv[1]; or return 1
    test $length -eq 0; and return 0
    test "$words[1..$length]" = "$expected"
end
"#;

/// The script for a build with these features.
pub(super) fn script(build: &[Feature]) -> String {
    let mut text = format!("# Completions of {PROGRAM} for fish. Printed by `{PROGRAM} completions fish`.\n");
    let with_value = ALL_OPTIONS.iter().filter(|option| option.value.is_some());
    let with_value: Vec<String> = with_value.map(|option| format!("--{}", option.name)).collect();
    text += &FUNCTION.replace("OPTIONS", &with_value.join(" "));
    let _ = writeln!(text, "complete -c {PROGRAM} -f");
    let _ = writeln!(text, "complete -c {PROGRAM} -l help -d 'Print the help'");
    let start = after(0, "");
    text += &line(&start, "-l version", "Print the version");
    for command in commands(build) {
        text += &line(&start, &format!("-a {}", command.name), command.purpose);
    }
    for option in default_command(build).map_or(&[][..], |command| command.options) {
        text += &option_line(&start, option, build);
    }
    for position in positions(build) {
        let subcommand = position.subcommand.map_or("", |subcommand| subcommand.name);
        let words = [position.command.name, subcommand].join(" ");
        let here = after(0, words.trim_end());
        for subcommand in position.subcommands() {
            text += &line(&here, &format!("-a {}", subcommand.name), subcommand.purpose);
        }
        if let Some((name, value)) = position.operand() {
            text += &line(&here, &values(value, build), name);
        }
        let operands = usize::from(position.operand().is_some());
        for option in position.options() {
            text += &option_line(&after(operands, words.trim_end()), option, build);
        }
    }
    text
}

/// The condition that the cursor is after these words and at most so many others.
fn after(others: usize, words: &str) -> String {
    format!("__mission_control_runtime_after {others} {words}").trim_end().to_owned()
}

fn option_line(condition: &str, option: &CommandOption, build: &[Feature]) -> String {
    let value = option.value.map_or(String::new(), |(_, value)| format!(" -r {}", values(value, build)));
    line(condition, &format!("-l {}{}", option.name, value.trim_end()), option.purpose)
}

/// How fish completes a value.
fn values(value: Value, build: &[Feature]) -> String {
    let (words, is_file) = choices(value, build);
    let words = if words.is_empty() { String::new() } else { format!("-a {} ", quoted(&words.join(" "))) };
    match value {
        Value::Folder => "-a '(__fish_complete_directories)'".to_owned(),
        _ if is_file => format!("{words}-F"),
        _ => words,
    }
}

fn line(condition: &str, what: &str, purpose: &str) -> String {
    format!(
        "complete -c {PROGRAM} -n {} {} -d {}\n",
        quoted(condition),
        what.trim_end(),
        quoted(short(purpose))
    )
}

/// A text in single quotes of fish.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}
