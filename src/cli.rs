//! The command line: what was typed, as a [`Command`]; everything else happens in [`crate::app`].

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

use crate::app::{self, Exit};
use crate::redact::Redactor;

/// What the program is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The service.
    Run {
        /// `--env-file`.
        env_file: Option<PathBuf>,
    },
    /// What is wrong, and how to fix it.
    Doctor {
        /// `--env-file`.
        env_file: Option<PathBuf>,
        /// `--all`.
        all: bool,
        /// `--json`.
        json: bool,
    },
    /// Which build this is.
    Version,
    /// What can be asked.
    Help,
}

/// A command line that cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misuse(String);

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; `mission-control-runtime --help` lists what there is", self.0)
    }
}

/// What `--help` prints.
pub const HELP: &str = "\
mission-control-runtime: carries what people and agents write in Mission Control
to the right OpenClaw session, and the answers back.

Usage: mission-control-runtime [COMMAND] [OPTIONS]

Commands:
  run       The service (this is also what happens without a command)
  doctor    Check configuration, certificates, port, backend and token; say how to fix what is wrong
  version   Print version, target and commit
  help      Print this

Options of run and doctor:
  --env-file FILE   Read variables from FILE where the environment does not set them
                    (default: /etc/mission-control-runtime.env, where it exists)
Options of doctor:
  --all             List every variable, not only those that are set
  --json            Print the findings as JSON, every variable included

Exit codes:
";

/// Runs the program.
pub fn main(args: impl IntoIterator<Item = OsString>) -> Exit {
    match parse(args) {
        Ok(Command::Run { env_file }) => app::run(env_file.as_deref()),
        Ok(Command::Doctor { env_file, all, json }) => app::doctor(env_file.as_deref(), all, json),
        Ok(Command::Version) => app::print(&app::version()),
        Ok(Command::Help) => app::print(&help()),
        Err(misuse) => app::misused(&misuse.to_string()),
    }
}

/// [`HELP`], with the exit codes behind it.
fn help() -> String {
    let codes = Exit::ALL.iter().map(|exit| format!("  {}  {}\n", exit.code(), exit.explain()));
    HELP.chars().chain(codes.collect::<String>().chars()).collect()
}

/// Reads the command line; the first argument is the program's own name.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, Misuse> {
    let mut parser = Parser::from_iter(args);
    let mut command = None;
    let (mut env_file, mut all, mut json) = (None, false, false);
    while let Some(arg) = parser.next().map_err(misuse)? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Short('V') | Arg::Long("version") => return Ok(Command::Version),
            Arg::Long("env-file") => {
                let file = parser.value().ok().filter(|file| !file.is_empty());
                env_file =
                    Some(PathBuf::from(file.ok_or_else(|| Misuse("--env-file needs a path".to_owned()))?));
            }
            Arg::Long("all") => all = true,
            Arg::Long("json") => json = true,
            Arg::Value(word) if command.is_none() => command = Some(word.string().map_err(misuse)?),
            Arg::Value(word) => return Err(unknown("argument", &word.to_string_lossy(), &[])),
            Arg::Long(name) => return Err(unknown("option", &format!("--{name}"), &OPTIONS)),
            Arg::Short(letter) => return Err(unknown("option", &format!("-{letter}"), &[])),
        }
    }
    let command = command.as_deref().unwrap_or("run");
    let given = [(env_file.is_some(), "--env-file"), (all, "--all"), (json, "--json")];
    let takes: &[&str] = match command {
        "run" => &OPTIONS[..1],
        "doctor" => &OPTIONS,
        _ => &[],
    };
    let command = match command {
        "run" => Command::Run { env_file },
        "doctor" => Command::Doctor { env_file, all, json },
        "version" => Command::Version,
        "help" => Command::Help,
        other => return Err(unknown("command", other, &["run", "doctor", "version", "help"])),
    };
    match given.into_iter().find(|(given, option)| *given && !takes.contains(option)) {
        Some((_, option)) => Err(Misuse(format!("{option} does not go with this command"))),
        None => Ok(command),
    }
}

/// The options that carry something; `run` takes the first.
const OPTIONS: [&str; 3] = ["--env-file", "--all", "--json"];

/// Something that is not there, and what may have been meant: a word with the same letters but for a slip or two.
fn unknown(what: &str, typed: &str, known: &[&str]) -> Misuse {
    let near = known.iter().find(|known| {
        let shared = known.chars().filter(|c| typed.contains(*c)).count();
        shared + 2 > known.len() && typed.len().abs_diff(known.len()) <= 1
    });
    let meant = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    Misuse(format!("there is no {what} `{}`{meant}", tame(typed)))
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn misuse(why: lexopt::Error) -> Misuse {
    Misuse(tame(&why.to_string()))
}

/// A terminal must not be painted by what was typed, nor a token repeated that was typed in the wrong place.
fn tame(text: &str) -> String {
    Redactor::default().clean(text).chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
