//! Completions for zsh: a function for a folder of `$fpath`, which can also be sourced.

use std::fmt::Write as _;

use super::{PROGRAM, Position, choices, default_command, positions, quoted, short};
use crate::cli::features::Feature;
use crate::cli::options::{CommandOption, Value};
use crate::cli::table::commands;

const TAIL: &str = r#"    esac
}

if [[ $funcstack[1] == _mission-control-runtime ]]; then
    _mission-control-runtime "$@"
else
    compdef _mission-control-runtime mission-control-runtime
fi
"#;

/// The script for a build with these features.
pub(super) fn script(build: &[Feature]) -> String {
    let mut text = format!("#compdef {PROGRAM}\n# Printed by `{PROGRAM} completions zsh`.\n");
    text.push_str("_mission-control-runtime() {\n    local curcontext=$curcontext state line\n");
    text.push_str("    local -a candidates\n    typeset -A opt_args\n    _arguments -C \\\n");
    let options = default_command(build).map_or(&[][..], |command| command.options);
    text += &specifications(options, build);
    text.push_str("        '--version[Print the version]' \\\n        '1: :->next' \\\n        '*:: :->rest' && return\n");
    let described: Vec<(&str, &str)> =
        commands(build).map(|command| (command.name, command.purpose)).collect();
    text += &described_words(&described);
    text.push_str("    case $words[1] in\n");
    for position in positions(build).filter(|position| position.subcommand.is_none()) {
        let _ = writeln!(text, "        {})", position.command.name);
        text += &of_command(&position, build);
        text.push_str("            ;;\n");
    }
    text + TAIL
}

/// The words that may stand here, with their explanations.
fn described_words(words: &[(&str, &str)]) -> String {
    let mut text = "    if [[ $state == next ]]; then\n        candidates=(\n".to_owned();
    for (name, purpose) in words {
        let _ = writeln!(text, "            {}", quoted(&format!("{name}:{}", short(purpose))));
    }
    text + "        )\n        _describe command candidates\n        return\n    fi\n"
}

fn of_command(position: &Position, build: &[Feature]) -> String {
    let subcommands = position.subcommands();
    let mut text = "            _arguments -C \\\n".to_owned();
    text += &specifications(position.options(), build);
    if subcommands.is_empty() {
        return text + &operand(position, build);
    }
    text.push_str("        '1: :->next' \\\n        '*:: :->rest' && return\n");
    let described: Vec<(&str, &str)> = subcommands.iter().map(|sub| (sub.name, sub.purpose)).collect();
    text += &described_words(&described);
    text.push_str("            case $words[1] in\n");
    for subcommand in subcommands {
        let position = Position { command: position.command, subcommand: Some(subcommand) };
        let _ = write!(text, "        {})\n            _arguments \\\n", subcommand.name);
        text += &specifications(position.options(), build);
        text += &operand(&position, build);
        text.push_str("            ;;\n");
    }
    text + "            esac\n"
}

/// The argument as `_arguments` reads it; the last line of the call.
fn operand(position: &Position, build: &[Feature]) -> String {
    match position.operand() {
        Some((name, value)) => format!("        {}\n", quoted(&format!("1:{}", action(name, value, build)))),
        None => "        && return\n".to_owned(),
    }
}

/// The options as `_arguments` reads them.
fn specifications(options: &[&CommandOption], build: &[Feature]) -> String {
    let mut text = "        '--help[Print the help]' \\\n".to_owned();
    for option in options {
        let purpose = short(option.purpose).replace('[', r"\[").replace(']', r"\]");
        let name = option.name;
        let specification = match option.value {
            Some((placeholder, value)) => {
                format!("--{name}=[{purpose}]:{}", action(placeholder, value, build))
            }
            None => format!("--{name}[{purpose}]"),
        };
        let _ = writeln!(text, "        {} \\", quoted(&specification));
    }
    text
}

/// A placeholder, and how its value is completed.
fn action(placeholder: &str, value: Value, build: &[Feature]) -> String {
    let (words, _) = choices(value, build);
    let words = words.join(" ");
    let how = match value {
        Value::Text => String::new(),
        Value::File => "_files".to_owned(),
        Value::Folder => "_files -/".to_owned(),
        Value::OneOf(_) | Value::Command => format!("({words})"),
        Value::OneOfOrFile(_) => format!("{{compadd -- {words}; _files}}"),
    };
    format!("{placeholder}:{how}")
}
