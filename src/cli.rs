//! Parses the command line into a [`Command`]. [`crate::app`] carries the commands out.

mod completions;
#[cfg(feature = "mission-control")]
mod control_plane;
#[cfg(feature = "demo")]
mod demo;
pub mod documents;
mod features;
mod fleet;
mod help;
mod machines;
mod options;
mod read;
#[cfg(feature = "demo")]
mod rehearse;
mod state_commands;
mod table;

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};

pub use self::completions::Shell;
use self::features::BUILT_IN;
use self::options::{ALL_OPTIONS, JSON};
use self::read::Given;
use self::table::{commands, find, lacks};
#[cfg(feature = "mission-control")]
use crate::app::Local;
#[cfg(feature = "demo")]
use crate::app::rehearse::Rehearse;
use crate::app::{
    self, Bootstrap, BudgetRequest, ConfigurationOptions, Dead, Exit, GatewayConfig, Pause, ServiceLocation,
    Skills, SnapshotCommand,
};
#[cfg(feature = "demo")]
use crate::app::{Demo, DemoPool};
#[cfg(feature = "provision")]
use crate::app::{FlyCleanup, Provision};
use mcr_config::typos;
use mcr_model::redact::Redactor;

/// A word of at least this length may contain two typos.
const LONG_WORD: usize = 6;

/// A parsed command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Nothing was given: runs the service if it is configured, otherwise shows a short help.
    Bare,
    /// Runs the service.
    Run {
        /// `--env-file`.
        env_file: Option<PathBuf>,
        /// `--stop-on-eof`.
        stop_on_eof: bool,
    },
    /// Runs a worker of a pool.
    Worker {
        /// `--env-file`.
        env_file: Option<PathBuf>,
        /// `--stop-on-eof`.
        stop_on_eof: bool,
    },
    /// Reports what is wrong, and how to fix it.
    Doctor {
        /// `--env-file`.
        env_file: Option<PathBuf>,
        /// `--all`.
        all: bool,
        /// `--json`.
        json: bool,
        /// `--live`.
        live: bool,
        /// `--config` and `--patch`.
        configuration: ConfigurationOptions,
    },
    /// Shows the state of the running service.
    Status {
        /// Where the service is.
        at: ServiceLocation,
        /// `--json`.
        json: bool,
        /// `--ready`.
        ready: bool,
    },
    /// Explains what happened to a notification, a task or an agent, and why.
    Why {
        /// Where the service is.
        at: ServiceLocation,
        /// The id of the notification, task or agent, or an agent's slug.
        id: String,
        /// `--json`.
        json: bool,
    },
    /// Lists the tasks whose status and facts differ.
    Evidence {
        /// Where the service is.
        at: ServiceLocation,
        /// `--since`.
        since: Duration,
        /// `--json`.
        json: bool,
    },
    /// Lists, shows, retries or drops the deliveries that were given up.
    Dead {
        /// Where the service is.
        at: ServiceLocation,
        /// The subcommand.
        what: Dead,
        /// `--json`.
        json: bool,
    },
    /// Pauses or resumes new turns.
    Pause {
        /// Where the service is.
        at: ServiceLocation,
        /// Whether to pause or resume, and which agent.
        wanted: Pause,
        /// `--json`.
        json: bool,
    },
    /// Shows or changes the daily budgets.
    Budget {
        /// Where the service is.
        at: ServiceLocation,
        /// The subcommand.
        what: BudgetRequest,
        /// `--json`.
        json: bool,
    },
    /// Writes the configuration of the OpenClaw gateway.
    GatewayConfig(GatewayConfig),
    /// Runs Mission Control with a scripted team on this machine.
    #[cfg(feature = "demo")]
    Demo(Demo),
    /// Runs a worker pool with a chat.
    #[cfg(feature = "demo")]
    DemoPool(DemoPool),
    /// Rehearses with a gateway that is not in use.
    #[cfg(feature = "demo")]
    Rehearse(Rehearse),
    /// Runs the embedded Mission Control.
    #[cfg(feature = "mission-control")]
    Local(Local),
    /// Lists or changes the accounts of an embedded Mission Control.
    #[cfg(feature = "mission-control")]
    Fleet(app::Fleet),
    /// Stores or restores the state of a worker's agent.
    Snapshot(SnapshotCommand),
    /// Checks, packs or installs skills.
    Skills {
        /// What to do.
        wanted: Skills,
        /// `--json`.
        json: bool,
    },
    /// Deletes the machines and volumes of an app at Fly.
    #[cfg(feature = "provision")]
    FlyCleanup(FlyCleanup),
    /// Makes, shows or destroys the machine of an account.
    #[cfg(feature = "provision")]
    Provision(Provision),
    /// Writes the env file of a new machine.
    Bootstrap(Bootstrap),
    /// Prints the completions of a shell.
    Completions(Shell),
    /// Prints the version of this build.
    Version {
        /// `--json`.
        json: bool,
    },
    /// Prints the help on everything, or on one command.
    Help {
        /// The command.
        of: Option<String>,
    },
}

/// An invalid command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misuse(String);

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pause = if self.0.ends_with('?') { " " } else { "; " };
        write!(f, "{}{pause}see `mission-control-runtime --help`", self.0)
    }
}

/// Runs the program. `commit` is the commit it was built from.
pub fn main(args: impl IntoIterator<Item = OsString>, commit: Option<&str>) -> Exit {
    let args: Vec<OsString> = args.into_iter().collect();
    // Known before the command line is understood, so that programs get every error in the form that they asked for.
    let as_json = args.iter().any(|arg| arg == "--json");
    match parse(args) {
        Ok(Command::Bare) if app::is_configured() => app::run(None, false),
        Ok(Command::Bare) => app::misused(false, &help::short(BUILT_IN)),
        Ok(Command::Run { env_file, stop_on_eof }) => app::run(env_file.as_deref(), stop_on_eof),
        Ok(Command::Worker { env_file, stop_on_eof }) => app::worker(env_file.as_deref(), stop_on_eof),
        Ok(Command::Doctor { env_file, all, json, live, configuration }) => {
            app::doctor(env_file.as_deref(), &app::Doctor { all, json, live, configuration })
        }
        Ok(Command::Status { at, json, ready }) => app::status(&at, json, ready),
        Ok(Command::Why { at, id, json }) => app::why(&at, &id, json),
        Ok(Command::Evidence { at, since, json }) => app::evidence(&at, since, json),
        Ok(Command::Dead { at, what, json }) => app::dead(&at, &what, json),
        Ok(Command::Pause { at, wanted, json }) => app::pause(&at, &wanted, json),
        Ok(Command::Budget { at, what, json }) => app::budget(&at, &what, json),
        Ok(Command::GatewayConfig(options)) => app::gateway_config(&options),
        #[cfg(feature = "demo")]
        Ok(Command::Demo(wanted)) => app::demo(&wanted),
        #[cfg(feature = "demo")]
        Ok(Command::DemoPool(wanted)) => app::demo_pool(wanted),
        #[cfg(feature = "demo")]
        Ok(Command::Rehearse(wanted)) => app::rehearse::rehearse(&wanted),
        #[cfg(feature = "mission-control")]
        Ok(Command::Local(what)) => app::local(&what),
        #[cfg(feature = "mission-control")]
        Ok(Command::Fleet(wanted)) => app::fleet(&wanted),
        Ok(Command::Snapshot(wanted)) => app::snapshot(&wanted),
        Ok(Command::Skills { wanted, json }) => app::skills(&wanted, json),
        #[cfg(feature = "provision")]
        Ok(Command::FlyCleanup(wanted)) => app::fly_cleanup(&wanted),
        #[cfg(feature = "provision")]
        Ok(Command::Provision(wanted)) => app::provision(&wanted),
        Ok(Command::Bootstrap(wanted)) => app::bootstrap(&wanted),
        Ok(Command::Completions(shell)) => app::print(&shell.script(BUILT_IN)),
        Ok(Command::Version { json: false }) => app::print(&app::version(commit)),
        Ok(Command::Version { json: true }) => app::print(&app::version_json(commit)),
        Ok(Command::Help { of }) => app::print(&help::text(of.as_deref(), BUILT_IN)),
        Err(misuse) => app::misused(as_json, &misuse.to_string()),
    }
}

/// Parses the command line. The first argument is the program's name.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, Misuse> {
    let mut parser = Parser::from_iter(args);
    let mut words: VecDeque<String> = VecDeque::new();
    let (mut values, mut flags) = (Vec::new(), Vec::new());
    while let Some(arg) = parser.next().map_err(misuse)? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => {
                return match words.pop_front() {
                    Some(word) if lacks(BUILT_IN, &word).is_some() => Err(no_command(&word)),
                    of => Ok(Command::Help { of }),
                };
            }
            Arg::Short('V') | Arg::Long("version") => {
                return Ok(Command::Version { json: flags.contains(&JSON.name) });
            }
            Arg::Value(word) => words.push_back(word.string().map_err(misuse)?),
            Arg::Short(letter) => return Err(unknown("option", &format!("-{letter}"), &[])),
            Arg::Long(name) => match ALL_OPTIONS.iter().find(|option| option.name == name) {
                Some(option) if option.value.is_none() => flags.push(option.name),
                Some(option) => {
                    let value = parser.value().ok().filter(|value| !value.is_empty());
                    let missing = || Misuse(format!("--{} needs a value", option.name));
                    values.push((option.name, value.ok_or_else(missing)?));
                }
                None => {
                    let known: Vec<_> =
                        ALL_OPTIONS.iter().map(|option| format!("--{}", option.name)).collect();
                    let known: Vec<_> = known.iter().map(String::as_str).collect();
                    return Err(unknown("option", &format!("--{name}"), &known));
                }
            },
        }
    }
    command(words, values, flags)
}

/// Checks words and options against the row of their command, and builds the command.
fn command(
    mut words: VecDeque<String>,
    values: Vec<(&'static str, OsString)>,
    flags: Vec<&'static str>,
) -> Result<Command, Misuse> {
    if words.is_empty() && values.is_empty() && flags.is_empty() {
        return Ok(Command::Bare);
    }
    let name = words.pop_front().unwrap_or_else(|| "run".to_owned());
    let spec = find(&name, BUILT_IN).ok_or_else(|| no_command(&name))?;
    let subcommand = match words.pop_front_if(|_| !spec.subcommands.is_empty()) {
        Some(word) => Some(spec.subcommand(&word).ok_or_else(|| {
            let known: Vec<_> = spec.subcommands.iter().map(|subcommand| subcommand.name).collect();
            unknown(&format!("command `{name}` with"), &word, &known)
        })?),
        None => None,
    };
    let accepted = spec.accepted(subcommand);
    let mut operand = None;
    if let Some(expected) = accepted.operand {
        operand = words.pop_front();
        if let (None, Some(required)) = (&operand, expected.required) {
            let called = [Some(&*name), subcommand.map(|subcommand| subcommand.name)];
            let called: Vec<&str> = called.into_iter().flatten().collect();
            return Err(Misuse(format!("`{}` needs {required}", called.join(" "))));
        }
    }
    // `help dead retry` shows the help on `dead`.
    if let Some(word) = words.pop_front().filter(|_| name != "help") {
        return Err(unknown("argument", &word, &[]));
    }
    let mut given = values.iter().map(|(option, _)| option).chain(&flags);
    if let Some(option) = given.find(|option| !accepted.options.iter().any(|known| known.name == **option)) {
        return Err(Misuse(format!("--{option} is not an option of this command")));
    }
    let subcommand = subcommand.map(|subcommand| subcommand.name);
    (spec.read)(&mut Given { command: name, subcommand, operand, values, flags })
}

/// Whether this build has a command with this name.
fn is_command(name: &str) -> bool {
    find(name, BUILT_IN).is_some()
}

fn no_command(typed: &str) -> Misuse {
    match lacks(BUILT_IN, typed) {
        Some(feature) => Misuse(features::lacking(typed, feature)),
        None => {
            unknown("command", typed, &commands(BUILT_IN).map(|command| command.name).collect::<Vec<_>>())
        }
    }
}

/// The error for an unknown word, with the known word that is most similar, if one is.
fn unknown(what: &str, typed: &str, known: &[&str]) -> Misuse {
    let typos_max = |known: &str| if known.len() < LONG_WORD { 1 } else { 2 };
    let near = known.iter().filter_map(|known| Some((typos(typed, known, typos_max(known))?, known)));
    let near = near.min_by_key(|(typos, _)| *typos);
    let meant = near.map_or(String::new(), |(_, near)| format!("; did you mean `{near}`?"));
    Misuse(format!("there is no {what} `{}`{meant}", tame(typed)))
}

#[expect(clippy::needless_pass_by_value, reason = "used in map_err")]
fn misuse(why: lexopt::Error) -> Misuse {
    Misuse(tame(&why.to_string()))
}

/// Removes control characters, which could alter the terminal, and tokens typed in the wrong place.
fn tame(text: &str) -> String {
    Redactor::default().clean(text).chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(line: &str) -> String {
        let command = parse(["program"].into_iter().chain(line.split_whitespace()).map(Into::into));
        command.map_or_else(|misuse| misuse.to_string(), |_| String::new())
    }

    #[test]
    fn every_command_that_help_lists_exists() {
        for name in commands(BUILT_IN).map(|command| command.name) {
            assert!(!answer(name).contains("no command"), "{name}");
        }
    }

    /// `make test` runs this in the full build and in the one without features.
    #[test]
    fn a_command_that_this_build_lacks_is_refused_with_the_remedy() {
        let commands = [
            ("demo", cfg!(feature = "demo")),
            ("rehearse", cfg!(feature = "demo")),
            ("local", cfg!(feature = "mission-control")),
            ("fleet", cfg!(feature = "mission-control")),
        ];
        for (name, built_in) in commands {
            for line in [name.to_owned(), format!("{name} --help"), format!("help {name}")] {
                assert_eq!(answer(&line).contains("without the Cargo feature"), !built_in, "{line}");
            }
        }
        let lacks_demo = answer("demo --port 0").contains("cargo build --release --features demo");
        assert_eq!(lacks_demo, !cfg!(feature = "demo"));
    }
}
