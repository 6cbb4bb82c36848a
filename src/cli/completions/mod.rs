//! Completion scripts for shells. They derive from the command table, so they never go out of date.

mod bash;
mod fish;
mod zsh;

use super::features::Feature;
use super::options::{CommandOption, Value};
use super::table::{CommandSpec, Subcommand, commands, find};

/// The name of the program, as the shells know it.
const PROGRAM: &str = "mission-control-runtime";

/// A shell for which completions exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    /// bash 4 or later.
    Bash,
    /// zsh.
    Zsh,
    /// fish.
    Fish,
}

impl Shell {
    /// The names of the shells.
    pub(super) const NAMES: &[&str] = &["bash", "zsh", "fish"];

    /// The shell with this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "bash" => Some(Self::Bash),
            "zsh" => Some(Self::Zsh),
            "fish" => Some(Self::Fish),
            _ => None,
        }
    }

    /// The completions of a build with these features.
    pub(super) fn script(self, build: &[Feature]) -> String {
        match self {
            Self::Bash => bash::script(build),
            Self::Zsh => zsh::script(build),
            Self::Fish => fish::script(build),
        }
    }
}

/// A position on the command line: after a command, or after a command and its subcommand.
struct Position {
    command: &'static CommandSpec,
    subcommand: Option<&'static Subcommand>,
}

/// All positions in a build with these features.
fn positions(build: &[Feature]) -> impl Iterator<Item = Position> {
    commands(build).flat_map(|command| {
        let subcommands = command.subcommands.iter().map(Some);
        [None].into_iter().chain(subcommands).map(move |subcommand| Position { command, subcommand })
    })
}

impl Position {
    fn options(&self) -> &'static [&'static CommandOption] {
        self.command.accepted(self.subcommand).options
    }

    /// What the next word is. `None` if no word may follow.
    fn operand(&self) -> Option<(&'static str, Value)> {
        self.command.accepted(self.subcommand).operand.map(|operand| (operand.name, operand.value))
    }

    /// The subcommands that may follow.
    fn subcommands(&self) -> &'static [Subcommand] {
        if self.subcommand.is_some() { &[] } else { self.command.subcommands }
    }
}

/// The command that runs if none is named.
fn default_command(build: &[Feature]) -> Option<&'static CommandSpec> {
    find("run", build)
}

/// The words that a value may be, and whether it may be a file.
fn choices(value: Value, build: &[Feature]) -> (Vec<&'static str>, bool) {
    match value {
        Value::Text => (Vec::new(), false),
        Value::File | Value::Folder => (Vec::new(), true),
        Value::OneOf(words) => (words.to_vec(), false),
        Value::OneOfOrFile(words) => (words.to_vec(), true),
        Value::Command => (commands(build).map(|command| command.name).collect(), false),
    }
}

/// A text in single quotes of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The beginning of an explanation, short enough for a list.
fn short(purpose: &str) -> &str {
    let ends = [" (", ": ", "; "].into_iter().filter_map(|end| purpose.find(end));
    &purpose[..ends.min().unwrap_or(purpose.len())]
}
