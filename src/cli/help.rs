//! The text of `--help`, for everything or for one command. It derives from the command table.

use super::features::Feature;
use super::options::{ALL_OPTIONS, CommandOption};
use super::table::{CommandSpec, Operand, commands, find};
use crate::app::Exit;
use crate::app::load::DEFAULT_ENV_FILE;

/// The column of the explanations.
const COLUMN: usize = 20;

/// The width of a line.
const WIDTH: usize = 110;

/// The help on one command, or on everything in a build with these features.
pub(super) fn text(of: Option<&str>, build: &[Feature]) -> String {
    of.and_then(|name| find(name, build)).map_or_else(|| whole(build), one)
}

/// The help for a call without a command and without a configuration.
pub(super) fn short(build: &[Feature]) -> String {
    let shown = ["demo", "run --env-file FILE", "doctor", "help"].into_iter().filter_map(|line| {
        let command = find(line.split(' ').next()?, build)?;
        Some(row(line, command.purpose))
    });
    let commands: String = shown.collect();
    format!(
        "mission-control-runtime delivers what people and agents write in Mission Control to OpenClaw sessions.\n\
         It is not configured: no variable is set, and {DEFAULT_ENV_FILE} does not exist.\n\n\
         {}",
        commands.trim_end()
    )
}

fn whole(build: &[Feature]) -> String {
    let mut text = "mission-control-runtime: delivers what people and agents write in Mission Control
to the right OpenClaw session, and posts the answers.

Usage: mission-control-runtime [COMMAND] [OPTIONS]

Commands:\n"
        .to_owned();
    text.extend(commands(build).map(usage));
    text.push('\n');
    let mut last = Vec::new();
    for option in ALL_OPTIONS {
        let of = commands(build).filter(|command| command.accepts(option));
        let of: Vec<&str> = of.map(|command| command.name).collect();
        if of.is_empty() {
            continue;
        }
        if of != last {
            text.extend(["Options of ", &listed(&of), ":\n"]);
        }
        text.push_str(&option_lines(option));
        last = of;
    }
    text.push_str("\nExit codes:\n");
    text.extend(Exit::ALL.iter().map(|exit| format!("  {}  {}\n", exit.code(), exit.explain())));
    text
}

fn one(command: &'static CommandSpec) -> String {
    let options: String = ALL_OPTIONS
        .iter()
        .filter(|option| command.accepts(option))
        .map(|option| option_lines(option))
        .collect();
    let options = if options.is_empty() { options } else { format!("\nOptions:\n{options}") };
    format!("{}{options}\nExample:\n  mission-control-runtime {}\n", usage(command), command.example)
}

/// The lines on a command and its subcommands.
fn usage(command: &'static CommandSpec) -> String {
    let separator = if command.details.is_empty() { "" } else { ". " };
    let purpose = [command.purpose, separator, command.details].concat();
    let mut lines = row(&with_operand(command.name, command.operand.as_ref()), &purpose);
    for subcommand in command.subcommands {
        let name =
            with_operand(&format!("{} {}", command.name, subcommand.name), subcommand.operand.as_ref());
        lines += &row(&name, subcommand.purpose);
    }
    lines
}

/// A command with the placeholder of its argument.
pub(super) fn with_operand(name: &str, operand: Option<&Operand>) -> String {
    match operand {
        None => name.to_owned(),
        Some(operand) if operand.required.is_some() => format!("{name} {}", operand.name),
        Some(operand) => format!("{name} [{}]", operand.name),
    }
}

fn option_lines(option: &CommandOption) -> String {
    let value = option.value.map_or(String::new(), |(placeholder, _)| format!(" {placeholder}"));
    row(&format!("--{}{value}", option.name), option.purpose)
}

/// A name and its explanation, which begins on the next line if the name is too long.
fn row(name: &str, explanation: &str) -> String {
    let mut line = format!("  {name:<width$}", width = COLUMN - 2);
    let mut text = String::new();
    if line.len() > COLUMN || !line.ends_with(' ') {
        text.extend([&line, "\n"]);
        line = " ".repeat(COLUMN);
    }
    for word in explanation.split(' ') {
        if line.len() > COLUMN && line.len() + 1 + word.len() > WIDTH {
            text.extend([line.trim_end(), "\n"]);
            line = " ".repeat(COLUMN);
        }
        if line.len() > COLUMN {
            line.push(' ');
        }
        line.push_str(word);
    }
    format!("{text}{line}\n")
}

/// Joins names as `a, b and c`.
fn listed(names: &[&str]) -> String {
    match names {
        [names @ .., last] if !names.is_empty() => format!("{} and {last}", names.join(", ")),
        names => names.join(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::table::{COMMANDS, lacks};

    const FULL: [Feature; 3] = [Feature::MissionControl, Feature::Demo, Feature::Provision];

    #[test]
    fn help_lists_only_what_the_build_has() {
        let full = text(None, &FULL);
        for (feature, shown) in [
            (Feature::MissionControl, ["  local  ", "  --listen ADDRESS", "Options of local:"]),
            (Feature::Demo, ["  demo  ", "  --port N", "Options of demo:"]),
            (Feature::Provision, ["  fly-cleanup  ", "  --app NAME", "Options of fly-cleanup:"]),
        ] {
            let others: Vec<Feature> = FULL.into_iter().filter(|other| *other != feature).collect();
            for text_of_it in shown {
                assert!(full.contains(text_of_it), "{text_of_it}");
                assert!(!text(None, &others).contains(text_of_it), "{text_of_it}");
                assert!(!text(None, &[]).contains(text_of_it), "{text_of_it}");
            }
        }
        assert!(text(None, &[]).contains("  run  "));
        assert_eq!(text(Some("demo"), &[]), text(None, &[]));
    }

    #[test]
    fn a_command_is_in_the_build_or_names_the_feature_it_needs() {
        assert_eq!(commands(&FULL).count(), COMMANDS.len());
        assert_eq!(lacks(&FULL, "demo"), None);
        assert_eq!(lacks(&[], "demo"), Some(Feature::Demo));
        assert_eq!(lacks(&[Feature::Demo], "local"), Some(Feature::MissionControl));
        assert_eq!((lacks(&[], "run"), lacks(&[], "dance")), (None, None));
    }

    #[test]
    fn long_names_and_long_explanations_wrap_in_the_second_column() {
        assert_eq!(row("run", "Run it"), "  run               Run it\n");
        let name = "a-command with-long-arguments";
        assert_eq!(row(name, "Run it"), format!("  {name}\n{:20}Run it\n", ""));
        let wrapped = row("run", &"word ".repeat(40));
        assert!(wrapped.lines().count() == 3 && wrapped.lines().all(|line| line.len() <= WIDTH), "{wrapped}");
        assert!(wrapped.lines().skip(1).all(|line| line.starts_with(&" ".repeat(COLUMN))), "{wrapped}");
    }
}
