//! The command line: what was typed, as a [`Command`]; everything else happens in [`crate::app`].

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

use crate::app::{self, Exit};

/// What the program is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The service.
    Run {
        /// `--env-file`.
        env_file: Option<PathBuf>,
    },
    /// What is wrong, and how to mend it.
    Doctor {
        /// `--env-file`.
        env_file: Option<PathBuf>,
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
  doctor    Check configuration, certificates, backend and token; say how to mend what is wrong
  version   Print version, target and commit
  help      Print this

Options of run and doctor:
  --env-file FILE   Read variables from FILE where the environment does not set them
                    (default: /etc/mission-control-runtime.env, where it exists)
Options of doctor:
  --json            Print the findings as JSON

Exit codes:
";

/// Runs the program.
pub fn main(args: impl IntoIterator<Item = OsString>) -> Exit {
    match parse(args) {
        Ok(Command::Run { env_file }) => app::run(env_file.as_deref()),
        Ok(Command::Doctor { env_file, json }) => app::doctor(env_file.as_deref(), json),
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
    let (mut env_file, mut json) = (None, false);
    while let Some(arg) = parser.next().map_err(misuse)? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Short('V') | Arg::Long("version") => return Ok(Command::Version),
            Arg::Long("env-file") => env_file = Some(PathBuf::from(parser.value().map_err(misuse)?)),
            Arg::Long("json") => json = true,
            Arg::Value(word) if command.is_none() => command = Some(word.string().map_err(misuse)?),
            other => return Err(misuse(other.unexpected())),
        }
    }
    let command = command.as_deref().unwrap_or("run");
    let unused = |option: &str| Misuse(format!("`{command}` does not take {option}"));
    match command {
        "run" if json => Err(unused("--json")),
        "run" => Ok(Command::Run { env_file }),
        "doctor" => Ok(Command::Doctor { env_file, json }),
        "version" | "help" if env_file.is_some() => Err(unused("--env-file")),
        "version" | "help" if json => Err(unused("--json")),
        "version" => Ok(Command::Version),
        "help" => Ok(Command::Help),
        other => Err(Misuse(format!("there is no command `{}`", other.escape_debug()))),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn misuse(why: lexopt::Error) -> Misuse {
    Misuse(why.to_string().escape_debug().to_string())
}
