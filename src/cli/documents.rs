//! The tables of commands and options in `docs/operations.md`. They derive from the command table.

use std::fmt::Write as _;

use super::help::with_operand;
use super::options::ALL_OPTIONS;
use super::table::COMMANDS;

/// The tables, in Markdown.
pub fn tables() -> String {
    let mut text = "| Command | Effect |\n|---|---|\n".to_owned();
    for command in COMMANDS {
        let separator = if command.details.is_empty() { "" } else { ". " };
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            text,
            "| `{}` | {}{separator}{} |",
            cell(&with_operand(command.name, command.operand.as_ref())),
            command.purpose,
            command.details
        );
        for subcommand in command.subcommands {
            let name = format!("{} {}", command.name, subcommand.name);
            let name = cell(&with_operand(&name, subcommand.operand.as_ref()));
            let _ = writeln!(text, "| `{name}` | {} |", subcommand.purpose);
        }
    }
    text.push_str("\n| Option | Of | Effect |\n|---|---|---|\n");
    for option in ALL_OPTIONS {
        let of = COMMANDS.iter().filter(|command| command.accepts(option));
        let of: Vec<String> = of.map(|command| format!("`{}`", command.name)).collect();
        let value = option.value.map_or(String::new(), |(placeholder, _)| format!(" {placeholder}"));
        let name = cell(&format!("--{}{value}", option.name));
        let _ = writeln!(text, "| `{name}` | {} | {} |", of.join(", "), option.purpose);
    }
    text
}

/// A text as it may stand in a cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
